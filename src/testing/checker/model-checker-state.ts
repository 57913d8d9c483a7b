/**
 * The states of a search and their successors. A state is a world, the scope's counters, and the parts of its
 * fingerprint.
 */

import type { Action } from '../world/actions.js';
import { Names } from './fingerprint.js';
import { PartTaker, type WorldParts } from './fingerprint-parts.js';
import { WorldPrinter } from './fingerprint-world.js';
import { RememberingProgram } from './model-checker-memo.js';
import { isDelivery, neededOf, SentSet, type Taken } from './model-checker-network.js';
import { mayElect, movesOf, leads, termOf, type Move, type Scope, type Spent } from './model-checker-scope.js';
import { Turn } from '../world/turn.js';
import type { WorldOptions } from '../world/options.js';
import { createWorld } from '../world/world.js';
import { localTime, type Rules, type Slot, type World } from '../world/state.js';

/** A state of a search. */
export interface SearchState {
  readonly world: World;
  readonly spent: Spent;
  readonly parts: WorldParts;
}

/** The reductions of a search. Each can be switched off, to show that the search finds the same without it. */
export interface Reductions {
  /** Fingerprints use the protocol's canonical digests rather than plain data. On unless given. */
  readonly canonical?: boolean;
  /** Replicas that differ only by name are one, if the protocol allows it. On unless given. */
  readonly symmetry?: boolean;
  /** Where messages are a set, answers that change nothing else are in it at once. On unless given. */
  readonly answers?: boolean;
  /**
   * Messages that the protocol's model calls outdated are dropped. On unless given. Switch it off for a changed
   * protocol: the model's claim holds for the original one.
   */
  readonly outdated?: boolean;
}

/** The shortest timeouts, without spread, so that none depends on a random draw. */
const TIMING = { heartbeat: 50, electionMin: 150, electionMax: 150 } as const;

/** The worlds of a scope and the moves between them. */
export class SearchSpace {
  readonly scope: Scope;
  readonly initial: SearchState;
  /** Computes fingerprints and keeps the last one. */
  readonly printer: WorldPrinter;
  private readonly taker: PartTaker;
  private readonly program: RememberingProgram;
  private readonly rules: Rules;
  /** One turn for all worlds, since making one costs more than a step. */
  private readonly turn: Turn;
  private readonly sent: SentSet;
  private readonly answers: boolean;

  /** @param hit called with the coverage points that a step meets */
  constructor(scope: Scope, reductions: Reductions, hit: (point: string) => void) {
    this.scope = scope;
    const plain = createWorld(searchWorld(scope));
    const { ids, model, program, watch } = plain.rules;
    const names = new Names(ids);
    this.program = new RememberingProgram(program, watch, names, scope.network === 'set', (facts) => {
      for (const fact of facts) model.cover(fact, hit);
    });
    this.rules = { ...plain.rules, program: this.program };
    const world = { ...plain, rules: this.rules };
    const { canonical = true, symmetry = true, answers = true, outdated = true } = reductions;
    const alike = scope.candidates === undefined || scope.candidates >= ids.length;
    this.printer = new WorldPrinter(names, symmetry && canonical && alike && model.symmetric);
    this.taker = new PartTaker(this.rules, names, canonical);
    this.turn = new Turn(world);
    this.sent = new SentSet(this.rules, this.taker, this.program, this.turn, outdated);
    this.answers = answers && scope.network === 'set';
    const spent = { elections: ids.map(() => 0), beats: 0, crashes: 0, snapshots: 0, installs: 0 };
    this.initial = { world, spent, parts: this.taker.take(world, null, null) };
  }

  moves({ world, spent }: SearchState): readonly Move[] {
    return movesOf(this.scope, world, spent);
  }

  /**
   * The state after a move; `null` if it is beyond the scope; the same state if the move changes nothing.
   * @param taken gets the actions in order, the one that throws included
   * @throws the error of a check or of the code under test
   */
  after(state: SearchState, move: Move, taken: Taken[] = []): SearchState | null {
    const { world: before } = state;
    if (this.isIdle(before, move)) return state;
    const { turn, sent } = this;
    turn.rewind(before);
    for (const action of move.actions) {
      const flight = isDelivery(action) ? (sent.flightOf(before, action) ?? null) : null;
      taken.push({ action, flight, made: null });
      turn.run(action);
    }
    let world = turn.finish();
    if (this.scope.network === 'set') world = sent.reduce(world, before);
    const same = isSame(world, before) || isRefused(move, world, before);
    if (same && move.timeout < 0) return state;
    const spent = this.spend(state, world, move);
    if (spent === null) return null;
    if (same && spent === state.spent) return state;
    if (this.answers) world = sent.answer(world, before, taken);
    world = sent.drop(world);
    return { world, spent, parts: this.taker.take(world, before, state.parts) };
  }

  /** Computes the state's fingerprint; `printer` keeps it. */
  print({ parts, spent }: SearchState): void {
    const { elections, beats, crashes, snapshots, installs } = spent;
    this.printer.print(parts, elections, [beats, crashes, snapshots, installs]);
  }

  /**
   * The actions of a path from the beginning to a violation, without the answers that no later action needs; with all
   * of them if the shorter path breaks no rule at its end.
   */
  shortest(way: readonly Taken[]): readonly Action[] {
    const all = way.map(({ action }) => action);
    const needed = neededOf(way);
    return needed.length === way.length ? all : (this.again(needed) ?? all);
  }

  /** Runs a path again, without adding answers; `null` unless its last action breaks a rule. */
  private again(way: readonly Taken[]): readonly Action[] | null {
    const { watch } = this.rules;
    watch.error = null;
    watch.facts.length = 0;
    let { world } = this.initial;
    const turn = new Turn(world);
    const actions: Action[] = [];
    for (const [at, { action, flight }] of way.entries()) {
      const given = flight === null ? action : this.sent.sameAgain(world, action, flight);
      if (given === null) return null;
      actions.push(given);
      turn.rewind(world);
      try {
        turn.run(given);
      } catch {
        return at === way.length - 1 ? actions : null;
      }
      world = this.scope.network === 'set' ? this.sent.reduce(turn.finish(), world) : turn.finish();
    }
    return null;
  }

  /** Whether a move delivers a message of the set that has no effect, so that the world stays the same. */
  private isIdle(world: World, { actions }: Move): boolean {
    const action = actions[0];
    if (action?.kind !== 'duplicate') return false;
    const { process, clock } = world.slots[this.rules.places.get(action.to)!] as Slot;
    const { payload } = this.sent.flightOf(world, action)!;
    return process !== null && this.program.isIdle(process, localTime(clock, 0), action.from, payload);
  }

  private spend({ world: before, spent }: SearchState, world: World, { timeout, counter }: Move): Spent | null {
    if (counter !== null) return { ...spent, [counter]: spent[counter] + 1 };
    if (timeout < 0) return spent;
    const { scope } = this;
    const slot = before.slots[timeout]!;
    const term = termOf(world, world.slots[timeout]!);
    // With pre-votes an election begins before its term does.
    const asks = before.rules.preVote && !leads(before, slot);
    if (term <= termOf(before, slot) && !asks) {
      return spent.beats < (scope.beats ?? 0) ? { ...spent, beats: spent.beats + 1 } : null;
    }
    if (!mayElect(scope, spent, timeout) || term > (scope.maxTerm ?? Infinity)) return null;
    return { ...spent, elections: spent.elections.map((count, place) => (place === timeout ? count + 1 : count)) };
  }
}

/** The options of a scope's worlds. */
export function searchWorld(scope: Scope): WorldOptions {
  const { model, replicas, splitWrites = false, splitApplies = false, tuning = {} } = scope;
  const eager = { written: !splitWrites, applied: !splitApplies, loaded: true };
  const timing = { ...TIMING, ...tuning.timing };
  return { model, replicas, program: 'core', eager, tuning: { preVote: false, ...tuning, timing } };
}

function isSame(a: World, b: World): boolean {
  // The other parts of the record change only together with the slot of the replica that changed them.
  if (a.ghost !== b.ghost || a.record.calls !== b.record.calls) return false;
  for (let i = 0; i < a.slots.length; i++) if (!sameSlot(a.slots[i] as Slot, b.slots[i] as Slot)) return false;
  for (let i = 0; i < a.links.length; i++) if (a.links[i]!.flights !== b.links[i]!.flights) return false;
  return true;
}

/** Whether a snapshot was brought for which the replica has no use: a file without a name is never used. */
function isRefused({ counter }: Move, { slots }: World, before: World): boolean {
  return counter === 'installs' && slots.every(({ process }, place) => process === before.slots[place]?.process);
}

/** Whether two slots are equal; a process that only sent messages has a new slot with equal fields. */
function sameSlot(a: Slot, b: Slot): boolean {
  if (a === b) return true;
  for (const key of Object.keys(a) as (keyof Slot)[]) if (a[key] !== b[key]) return false;
  return true;
}
