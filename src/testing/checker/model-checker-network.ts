/**
 * The network as a set: every message that was ever sent can arrive at any time and any number of times. No message is
 * in it twice, and answers are in it as soon as they are possible: see `SentSet.answer`.
 */

import type { ReplicaId } from '../../core/members.js';
import type { Action, MessagePick } from '../world/actions.js';
import type { Part } from './fingerprint.js';
import type { PartTaker } from './fingerprint-parts.js';
import type { AnswerEffect, RememberingProgram } from './model-checker-memo.js';
import type { Payload } from '../world/process.js';
import type { Turn } from '../world/turn.js';
import { localTime, type Flight, type Link, type Rules, type Slot, type World } from '../world/state.js';

/** One action on a path of a search. */
export interface Taken {
  readonly action: Action;
  /** The message that arrives, `null` where the action is about none. */
  readonly flight: Flight | null;
  /** Of an answer that was made at once: the messages that it put into the set. Of a move: `null`. */
  readonly made: readonly Flight[] | null;
}

type DeliveryAction = Extract<Action, { readonly pick: MessagePick }>;

export function isDelivery(action: Action): action is DeliveryAction {
  return 'pick' in action;
}

/** A path without the answers whose messages no later action of it uses. */
export function neededOf(way: readonly Taken[]): readonly Taken[] {
  const wanted = new Set<Flight | null>();
  const needed: Taken[] = [];
  for (const taken of [...way].reverse()) {
    if (taken.made !== null && !taken.made.some((flight) => wanted.has(flight))) continue;
    wanted.add(taken.flight);
    needed.push(taken);
  }
  return needed.reverse();
}

/** The messages of a world as a set, and the reductions that this allows. */
export class SentSet {
  private readonly rules: Rules;
  private readonly taker: PartTaker;
  private readonly program: RememberingProgram;
  private readonly turn: Turn;
  private readonly drops: boolean;

  /** @param drops whether outdated messages are dropped */
  constructor(rules: Rules, taker: PartTaker, program: RememberingProgram, turn: Turn, drops: boolean) {
    this.rules = rules;
    this.drops = drops && rules.model.isOutdated !== undefined;
    this.taker = taker;
    this.program = program;
    this.turn = turn;
  }

  /** The message that a delivery is about, if it is under way. */
  flightOf({ links, slots }: World, { from, to, pick }: DeliveryAction): Flight | undefined {
    const { places } = this.rules;
    const { flights } = links[places.get(from)! * slots.length + places.get(to)!]!;
    for (let i = 0; i < flights.length; i++) if (flights[i]!.ordinal === pick) return flights[i];
    return undefined;
  }

  /** The same delivery where messages may have other ordinals; `null` where that one was never sent. */
  sameAgain({ links, slots }: World, action: Action, { payload }: Flight): Action | null {
    if (!isDelivery(action)) return null;
    const { places } = this.rules;
    const { flights } = links[places.get(action.from)! * slots.length + places.get(action.to)!]!;
    const flight = flights.find((each) => each.payload === payload);
    return flight === undefined ? null : { ...action, pick: flight.ordinal };
  }

  /**
   * Drops messages that were sent before (equal messages are one object). Of messages that differ only in the view,
   * round or request that they name, only the newest stays, and the older ones count as lost. Otherwise a request that
   * is repeated whenever a message arrives again would make the set grow for ever.
   */
  reduce(world: World, before: World): World {
    let links: Link[] | null = null;
    for (let at = 0; at < world.links.length; at++) {
      const link = world.links[at] as Link;
      const old = before.links[at] as Link;
      if (link === old) continue;
      let kept: Flight[] | null = null;
      for (let i = old.flights.length; i < link.flights.length; i++) {
        kept = this.withNewest(kept ?? old.flights, link.flights[i] as Flight, at) ?? kept;
      }
      links ??= world.links.slice();
      links[at] = { ...link, flights: kept ?? old.flights }; // `sent` counts on, as in a plain world
    }
    return links === null ? world : { ...world, links };
  }

  /** The set with one more message; `null` if it is in there. */
  private withNewest(flights: readonly Flight[], flight: Flight, at: number): Flight[] | null {
    if (holds(flights, flight.payload)) return null;
    const part = this.taker.canonicalMessage(flight, at);
    const kept = flights.filter((each) => !sameButNumbers(this.taker.canonicalMessage(each, at), part));
    kept.push(flight);
    return kept;
  }

  /**
   * If the only effect of a message on its receiver is to send others, these are sent at once, and so on. The search
   * loses nothing by it: all else is unchanged, and everything that can happen with fewer messages in a set can happen
   * with more, since none must arrive. It saves the states that differ only in whether an answer that is possible at
   * any time was sent already, which are most of all states. It depends on no protocol, so it holds for broken ones,
   * too.
   * @param before a world whose answers are all in the set
   * @param taken gets the actions, the one that throws included
   * @throws the error of a check or of the code under test
   */
  answer(world: World, before: World | null, taken: Taken[]): World {
    const size = world.slots.length;
    let now = world;
    for (let at = 0; at < now.links.length; ) {
      const [slot, was] = [world.slots[at % size]!, before?.slots[at % size]];
      const old = slot.process === was?.process && slot.clock === was?.clock ? before!.links[at]! : null;
      const after = this.answerOn(now, at, old, taken);
      // An answer can be answered in turn: from the beginning, until nothing more comes.
      at = after === now ? at + 1 : 0;
      now = after;
    }
    return now;
  }

  /** The world after the first answer on a link that is not there yet; the same if there is none. */
  private answerOn(world: World, at: number, old: Link | null, taken: Taken[]): World {
    const { flights } = world.links[at]!;
    if (old?.flights === flights) return world;
    const size = world.slots.length;
    const { process, clock } = world.slots[at % size]!;
    if (process === null) return world;
    const from = this.rules.ids[Math.floor(at / size)] as ReplicaId;
    const to = this.rules.ids[at % size] as ReplicaId;
    for (let i = 0; i < flights.length; i++) {
      const flight = flights[i] as Flight;
      const action: Action = { at: 0, kind: 'duplicate', from, to, pick: flight.ordinal };
      const sends = this.answersTo(process, localTime(clock, 0), { action, flight, made: null }, taken);
      if (sends === null || sends.every((send) => this.isThere(world, to, send))) continue;
      const after = this.withAnswers(world, { action, flight, made: null }, taken);
      if (after !== world) return after;
    }
    return world;
  }

  private answersTo(process: unknown, now: number, taking: Taken, taken: Taken[]): readonly AnswerEffect[] | null {
    const { from, to } = taking.action as DeliveryAction;
    taken.push(taking);
    const event = { kind: 'message', now, from, bytes: taking.flight!.payload } as const;
    const sends = this.program.answersTo(process, event, to);
    taken.pop();
    return sends;
  }

  /** Whether a message is in the set, or would be dropped from it. */
  private isThere({ links, slots }: World, sender: ReplicaId, { to, bytes }: AnswerEffect): boolean {
    const { places } = this.rules;
    const [from, target] = [places.get(sender)!, places.get(to)!];
    if (holds(links[from * slots.length + target]!.flights, bytes)) return true;
    return this.isOutdated(slots[from] as Slot, slots[target] as Slot, bytes);
  }

  private withAnswers(world: World, taking: Taken, taken: Taken[]): World {
    const { turn } = this;
    taken.push(taking);
    turn.rewind(world);
    turn.run(taking.action);
    const { links, ghost } = this.reduce(turn.finish(), world);
    taken.pop();
    // If a check remembers the answer, or it replaces another message, it is a move like any other.
    const made = addedTo(world.links, links);
    if (ghost !== world.ghost || made === null) return world;
    taken.push({ ...taking, made });
    return { ...world, links };
  }

  /** Drops the messages that the protocol's model calls outdated, since they can never change anything again. */
  drop(world: World): World {
    if (!this.drops) return world;
    const { slots } = world;
    let links: Link[] | null = null;
    for (let at = 0; at < world.links.length; at++) {
      const { flights } = world.links[at]!;
      if (flights.length === 0) continue;
      const from = slots[Math.floor(at / slots.length)] as Slot;
      const to = slots[at % slots.length] as Slot;
      const kept = flights.filter(({ payload }) => !this.isOutdated(from, to, payload));
      if (kept.length === flights.length) continue;
      links ??= world.links.slice();
      links[at] = { ...world.links[at]!, flights: kept };
    }
    return links === null ? world : { ...world, links };
  }

  private isOutdated(from: Slot, to: Slot, payload: Payload): boolean {
    const { program, model } = this.rules;
    if (!this.drops || from.process === null || to.process === null) return false;
    return model.isOutdated?.(program.message(payload), program.core(from.process), program.core(to.process)) === true;
  }
}

function holds(flights: readonly Flight[], payload: unknown): boolean {
  for (let i = 0; i < flights.length; i++) if (flights[i]!.payload === payload) return true;
  return false;
}

/** The messages added since `before`; `null` if one of `before` is missing. */
function addedTo(before: readonly Link[], after: readonly Link[]): Flight[] | null {
  const added: Flight[] = [];
  for (let at = 0; at < after.length; at++) {
    const [old, now] = [before[at]!.flights, after[at]!.flights];
    if (old === now) continue;
    for (let i = 0; i < old.length; i++) if (now[i] !== old[i]) return null;
    for (let i = old.length; i < now.length; i++) added.push(now[i] as Flight);
  }
  return added;
}

function sameButNumbers(one: Part, other: Part): boolean {
  if (one.a !== other.a || one.b !== other.b || one.references.length === 0) return false;
  return one.places.every((place, at) => place === other.places[at]);
}
