/**
 * The model checker: exhaustive search over the shipped `step`, breadth first, so that the first violation found is one
 * of the shortest (where messages are a set, deliveries that only make the receiver answer do not count). It covers a
 * scope (`model-checker-scope.ts`). A complete search proves that no rule breaks within the scope, unless two states
 * had the same fingerprint (`fingerprint-table.ts` says how likely that is).
 */

import { errorFrom } from '../../replica/errors.js';
import type { Action } from '../world/actions.js';
import { checkLimits, checkScope } from './check-scope.js';
import { collisionOdds, FingerprintTable } from './fingerprint-table.js';
import type { Taken } from './model-checker-network.js';
import { SearchSpace, searchWorld, type Reductions, type SearchState } from './model-checker-state.js';
import type { Move, Scope } from './model-checker-scope.js';
import { Trail } from './model-checker-trail.js';
import type { WorldOptions } from '../world/options.js';

export interface ModelCheckerOptions extends Reductions {
  readonly scope: Scope;
  /** The most distinct states; without bound unless given. */
  readonly maxStates?: number;
  /** The most moves from the beginning; without bound unless given. */
  readonly maxDepth?: number;
  /** Called every 4,096 states; `true` ends the search. It serves for limits of time and memory. */
  readonly stop?: (progress: SearchProgress) => boolean;
  /** The number of states expected; up to it the table of fingerprints does not grow. */
  readonly expected?: number;
  /** Called with every distinct state. */
  readonly visit?: (state: SearchState) => void;
}

/** The progress of a search. */
export interface SearchProgress {
  /** States made, and how many of them were new. */
  readonly generated: number;
  readonly distinct: number;
  /** Moves from the beginning to the farthest state. */
  readonly depth: number;
  /** States whose moves were not tried yet. */
  readonly waiting: number;
}

/** A violation and a shortest path to it. */
export interface FoundViolation {
  /** The message of the violation, which begins with the rule's name, or of an error of the code under test. */
  readonly rule: string;
  readonly error: Error;
  /** From `createWorld(world)` on: `apply` them one after the other. `formatActions` makes a scenario of them. */
  readonly actions: readonly Action[];
  readonly world: WorldOptions;
}

export interface ModelCheckerResult extends SearchProgress {
  /** Whether everything within the scope was searched. If not, and no violation was found, nothing is proved. */
  readonly complete: boolean;
  /** The limit that ended the search; `null` if none did. */
  readonly limit: 'states' | 'depth' | 'stop' | null;
  readonly violation: FoundViolation | null;
  /** The model's coverage points that were met. */
  readonly coverage: ReadonlySet<string>;
  /** The odds that two states were taken for one. */
  readonly collisionOdds: number;
}

/** The number of states generated between two calls of `stop`. */
const STOP_CHECK_EVERY = 4096;

/** One search. */
class ModelSearch {
  private readonly options: ModelCheckerOptions;
  private readonly space: SearchSpace;
  private readonly table: FingerprintTable;
  private readonly trail = new Trail();
  private readonly coverage = new Set<string>();
  private level: (SearchState | null)[] = [];
  private next: SearchState[] = [];
  private generated = 0;
  private depth = 0;
  private limit: ModelCheckerResult['limit'] = null;
  private violation: FoundViolation | null = null;

  constructor(options: ModelCheckerOptions) {
    this.options = options;
    this.space = new SearchSpace(options.scope, options, (point) => this.coverage.add(point));
    this.table = new FingerprintTable(options.expected);
  }

  run(): ModelCheckerResult {
    this.meet(this.space.initial, 0, 0);
    while (this.next.length > 0 && this.isGoing()) {
      if (this.depth >= (this.options.maxDepth ?? Infinity)) {
        this.limit = 'depth';
        break;
      }
      this.level = this.next;
      this.next = [];
      const first = this.table.size - this.level.length;
      for (let i = 0; i < this.level.length && this.isGoing(); i++) {
        this.expand(this.level[i] as SearchState, first + i);
        this.level[i] = null; // frees memory, most of which the worlds of a level take
      }
      if (this.next.length > 0) this.depth += 1;
    }
    const { limit, violation, coverage } = this;
    const complete = limit === null && violation === null;
    return { ...this.progress(), complete, limit, violation, coverage, collisionOdds: collisionOdds(this.table.size) };
  }

  private isGoing(): boolean {
    return this.limit === null && this.violation === null;
  }

  private progress(): SearchProgress {
    return { generated: this.generated, distinct: this.table.size, depth: this.depth, waiting: this.next.length };
  }

  private expand(state: SearchState, number: number): void {
    const moves = this.space.moves(state);
    for (let i = 0; i < moves.length && this.isGoing(); i++) {
      let after: SearchState | null;
      try {
        after = this.space.after(state, moves[i] as Move);
      } catch (error) {
        this.violation = this.found(errorFrom(error), number, moves[i] as Move);
        return;
      }
      if (after === null) continue;
      this.generated += 1;
      if (after !== state) this.meet(after, number, i);
      if (this.generated % STOP_CHECK_EVERY === 0 && this.options.stop?.(this.progress()) === true) this.limit = 'stop';
    }
  }

  private meet(state: SearchState, parent: number, move: number): void {
    const { printer } = this.space;
    this.space.print(state);
    if (!this.table.add(printer.a, printer.b)) return;
    this.trail.add(parent, move);
    this.next.push(state);
    this.options.visit?.(state);
    if (this.table.size >= (this.options.maxStates ?? Infinity)) this.limit = 'states';
  }

  private found(error: Error, parent: number, last: Move): FoundViolation {
    const way: Taken[] = [];
    // A new space, since the violation has left the turn of this one in the middle of an action.
    const space = new SearchSpace(this.options.scope, this.options, () => {});
    let state = space.initial;
    for (const at of this.trail.to(parent)) {
      state = space.after(state, space.moves(state)[at] as Move, way) as SearchState;
    }
    try {
      space.after(state, last, way);
    } catch {
      // The path ends with the violation, as expected.
    }
    const actions = space.shortest(way);
    return { rule: error.message, error, actions, world: searchWorld(this.options.scope) };
  }
}

/**
 * Searches everything that can happen within a scope.
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` or RangeError for invalid options
 */
export function checkModel(options: ModelCheckerOptions): ModelCheckerResult {
  checkScope(options.scope);
  checkLimits({ maxStates: options.maxStates, maxDepth: options.maxDepth });
  return new ModelSearch(options).run();
}
