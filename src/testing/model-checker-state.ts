/**
 * One state of a search, and how the next ones are made of it: the world, what was spent of the scope, and the parts
 * of its fingerprint.
 */

import { Names, type Part } from './fingerprint.js';
import { PartTaker, type WorldParts } from './fingerprint-parts.js';
import { WorldPrinter } from './fingerprint-world.js';
import { RememberingProgram } from './model-checker-memo.js';
import { mayElect, movesOf, termOf, type Move, type Scope, type Spent } from './model-checker-scope.js';
import { Turn } from './turn.js';
import { createWorld, type WorldOptions } from './world.js';
import { localTime, type Flight, type Link, type Rules, type Slot, type World } from './world-state.js';

/** @see the opening comment */
export interface SearchState {
  readonly world: World;
  readonly spent: Spent;
  readonly parts: WorldParts;
}

/** What of a search may be switched off, to show that it loses nothing. */
export interface Reductions {
  /** The protocol's canonical digests, rather than states as they stand. On unless given. */
  readonly canonical?: boolean;
  /** Replicas that differ only by name are one, if the protocol allows it. On unless given. */
  readonly symmetry?: boolean;
}

/** A timeout as short as it gets: no spread, so that which comes first is nobody's draw. */
const TIMING = { heartbeat: 50, electionMin: 150, electionMax: 150 } as const;

/** The worlds of a scope, and what leads from one to the other. */
export class SearchSpace {
  readonly scope: Scope;
  readonly initial: SearchState;
  /** The fingerprint taken last. */
  readonly printer: WorldPrinter;
  private readonly taker: PartTaker;
  private readonly program: RememberingProgram;
  private readonly rules: Rules;
  /** One for all: making one costs more than a step. */
  private readonly turn: Turn;

  /** @param hit told of probes that a step shows */
  constructor(scope: Scope, reductions: Reductions, hit: (probe: string) => void) {
    this.scope = scope;
    const plain = createWorld(searchWorld(scope));
    const { ids, model, program, watch } = plain.rules;
    const names = new Names(ids);
    this.program = new RememberingProgram(program, watch, names, (facts) => {
      for (const fact of facts) model.probe(fact, hit);
    });
    this.rules = { ...plain.rules, program: this.program };
    const world = { ...plain, rules: this.rules };
    const { canonical = true, symmetry = true } = reductions;
    const alike = scope.candidates === undefined || scope.candidates >= ids.length;
    this.printer = new WorldPrinter(names, symmetry && canonical && alike && model.symmetric);
    this.taker = new PartTaker(this.rules, names, canonical);
    this.turn = new Turn(world);
    const spent = { elections: ids.map(() => 0), beats: 0, crashes: 0 };
    this.initial = { world, spent, parts: this.taker.take(world, null, null) };
  }

  moves({ world, spent }: SearchState): readonly Move[] {
    return movesOf(this.scope, world, spent);
  }

  /**
   * The state after a move; `null` if it is beyond the scope. The same state if the move changes nothing.
   * @throws whatever a check or the code under test throws
   */
  after(state: SearchState, move: Move): SearchState | null {
    const { world: before } = state;
    if (this.isIdle(before, move)) return state;
    const { turn } = this;
    turn.rewind(before);
    for (const action of move.actions) turn.run(action);
    let world = turn.finish();
    if (this.scope.network === 'set') world = asSet(world, before, this.taker);
    const spent = this.spend(state, world, move);
    if (spent === null) return null;
    if (spent === state.spent && isSame(world, before)) return state;
    return { world, spent, parts: this.taker.take(world, before, state.parts) };
  }

  /** Leaves the state's fingerprint in `printer`. */
  print({ parts, spent }: SearchState): void {
    this.printer.print(parts, spent.elections, [spent.beats, spent.crashes]);
  }

  /** A message in a set that does nothing leaves nothing changed, not even the set. */
  private isIdle({ slots, links }: World, { actions }: Move): boolean {
    const action = actions[0];
    if (action?.kind !== 'duplicate') return false;
    const { places } = this.rules;
    const [from, to] = [places.get(action.from)!, places.get(action.to)!];
    const { process, clock } = slots[to] as Slot;
    const flight = links[from * slots.length + to]!.flights.find((each) => each.ordinal === action.pick);
    return process !== null && this.program.isIdle(process, localTime(clock, 0), action.from, flight!.payload);
  }

  private spend({ world: before, spent }: SearchState, world: World, { timeout, crash }: Move): Spent | null {
    if (crash) return { ...spent, crashes: spent.crashes + 1 };
    if (timeout < 0) return spent;
    const { scope } = this;
    const term = termOf(world, world.slots[timeout]!);
    if (term <= termOf(before, before.slots[timeout]!)) {
      return spent.beats < (scope.beats ?? 0) ? { ...spent, beats: spent.beats + 1 } : null;
    }
    if (!mayElect(scope, spent, timeout) || term > (scope.maxTerm ?? Infinity)) return null;
    return { ...spent, elections: spent.elections.map((count, place) => (place === timeout ? count + 1 : count)) };
  }
}

/** What the worlds of a scope are made of. */
export function searchWorld(scope: Scope): WorldOptions {
  const { model, replicas, splitWrites = false, splitApplies = false, tuning = {} } = scope;
  const eager = { written: !splitWrites, applied: !splitApplies, loaded: true };
  const timing = { ...TIMING, ...tuning.timing };
  return { model, replicas, program: 'core', eager, tuning: { ...tuning, timing } };
}

/**
 * In a set nothing is twice: what was sent again is not new (equal messages are one object). And of messages that
 * differ only by which session, round or question they name, only the newest stays: the older ones are lost. Without
 * that, a question that is asked anew whenever something arrives again would make the set grow for ever.
 */
function asSet(world: World, before: World, taker: PartTaker): World {
  let links: Link[] | null = null;
  for (let at = 0; at < world.links.length; at++) {
    const link = world.links[at] as Link;
    const old = before.links[at] as Link;
    if (link === old) continue;
    let kept: Flight[] | null = null;
    for (let i = old.flights.length; i < link.flights.length; i++) {
      kept = withNewest(kept ?? old.flights, link.flights[i] as Flight, at, taker) ?? kept;
    }
    links ??= world.links.slice();
    links[at] = { ...link, flights: kept ?? old.flights }; // `sent` counts on, as in a plain world
  }
  return links === null ? world : { ...world, links };
}

/** The set with one more message; `null` if it is in there. */
function withNewest(flights: readonly Flight[], flight: Flight, at: number, taker: PartTaker): Flight[] | null {
  for (let i = 0; i < flights.length; i++) if (flights[i]!.payload === flight.payload) return null;
  const part = taker.canonicalMessage(flight, at);
  const kept = flights.filter((each) => !sameButNumbers(taker.canonicalMessage(each, at), part));
  kept.push(flight);
  return kept;
}

function sameButNumbers(one: Part, other: Part): boolean {
  if (one.a !== other.a || one.b !== other.b || one.references.length === 0) return false;
  return one.places.every((place, at) => place === other.places[at]);
}

function isSame(a: World, b: World): boolean {
  // What else the record has changes with the slot of whoever changed it.
  if (a.ghost !== b.ghost || a.record.calls !== b.record.calls) return false;
  for (let i = 0; i < a.slots.length; i++) if (a.slots[i] !== b.slots[i]) return false;
  for (let i = 0; i < a.links.length; i++) if (a.links[i]!.flights !== b.links[i]!.flights) return false;
  return true;
}
