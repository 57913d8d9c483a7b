/**
 * Random walks through a scope that is too large to be exhausted, over the same worlds and moves. A violation that it
 * finds is as good as one of the search; finding none proves nothing.
 */

import { nextSeed, sample } from '../../core/random.js';
import { shown } from '../../core/shown.js';
import { errorFrom, invalidArgument } from '../../replica/errors.js';
import type { Action } from '../world/actions.js';
import { checkLimits, checkScope } from './check-scope.js';
import type { FoundViolation } from './model-checker.js';
import type { Move, Scope } from './model-checker-scope.js';
import { SearchSpace, searchWorld } from './model-checker-state.js';

export interface WalkOptions {
  readonly scope: Scope;
  /** Any 32-bit integer. */
  readonly seed: number;
  /** The number of walks, each from the beginning, and the most moves of each. */
  readonly walks: number;
  readonly length: number;
  /** Called after each walk; `true` ends the search. */
  readonly stop?: (walks: number) => boolean;
}

export interface WalkResult {
  /** Walks begun, and moves made in all of them. */
  readonly walks: number;
  readonly moves: number;
  readonly violation: FoundViolation | null;
  /** The model's coverage points that were met. */
  readonly coverage: ReadonlySet<string>;
}

/** Walks from the beginning of a scope. */
class Walker {
  moves = 0;
  violation: FoundViolation | null = null;
  readonly coverage = new Set<string>();
  private readonly space: SearchSpace;
  private seed: number;

  constructor(scope: Scope, seed: number) {
    this.space = new SearchSpace(scope, { symmetry: false, answers: false }, (point) => this.coverage.add(point));
    this.seed = seed;
  }

  private draw(below: number): number {
    this.seed = nextSeed(this.seed);
    return Math.floor(sample(this.seed) * below);
  }

  walk(length: number): void {
    let state = this.space.initial;
    const actions: Action[] = [];
    for (let i = 0; i < length; i++) {
      const moves = this.space.moves(state);
      if (moves.length === 0) return;
      const move = moves[this.draw(moves.length)] as Move;
      this.moves += 1;
      try {
        const after = this.space.after(state, move);
        if (after === null || after === state) continue;
        state = after;
      } catch (error) {
        const known = errorFrom(error);
        const world = searchWorld(this.space.scope);
        this.violation = { rule: known.message, error: known, actions: [...actions, ...move.actions], world };
        return;
      }
      actions.push(...move.actions);
    }
  }
}

/**
 * Walks at random within a scope until a rule breaks.
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` or RangeError for invalid options
 */
export function walkModel(options: WalkOptions): WalkResult {
  const { scope, seed, walks, length } = options;
  checkScope(scope);
  checkLimits({ walks, length });
  if (!Number.isSafeInteger(seed)) throw invalidArgument(`seed: expected a safe integer, got ${shown(seed)}`);
  const walker = new Walker(scope, seed);
  let done = 0;
  while (done < walks && walker.violation === null && options.stop?.(done) !== true) {
    walker.walk(length);
    done += 1;
  }
  return { walks: done, moves: walker.moves, violation: walker.violation, coverage: walker.coverage };
}
