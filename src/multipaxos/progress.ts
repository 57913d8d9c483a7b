/**
 * The leader's progress record of one peer: the slots that it has accepted in the leader's ballot, and the Accepts
 * under way to it. What is unsent and unacknowledged follows from the two: an Accept that counts as lost is taken
 * from what is under way, and its slots are unsent again. Acknowledgements are kept by slot, as ranges, since they may
 * come in any order. Records are replaced and never edited.
 *
 * An Accept is lost when one that was sent after it, by the same lane, is acknowledged, and it is still missing a
 * quarter of a round trip later than the slowest answer of late (the idea of RACK, RFC 8985): that much later, since a
 * transport may reorder; by the same lane, since a large command may take longer than the small ones after it. If
 * nothing is acknowledged at all, all that a lane carries is lost after `patienceFor`.
 */

import type { Mutable } from '../core/draft.js';
import type { Index, Lane, Milliseconds } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { firstFree, NO_RANGES, withRange, type SlotRange } from './ranges.js';

/** One Accept under way. */
export interface PaxosInflight extends SlotRange {
  readonly bytes: number;
  readonly lane: Lane;
  readonly sentAt: Milliseconds;
  /** One of these slots was sent before: its acknowledgement may be that of the earlier Accept. */
  readonly again: boolean;
  /** One that was sent after it by the same lane is acknowledged. */
  readonly overtaken: boolean;
}

export interface PaxosProgress {
  readonly id: ReplicaId;

  // What it has accepted.
  /** Every slot up to here is accepted there in the leader's ballot, or known to be chosen at both ends. */
  readonly match: Index;
  /** Accepted beyond a gap: ascending ranges, apart from each other. */
  readonly beyond: readonly SlotRange[];

  // What was sent.
  /** In the order of sending, no slot in two of them. */
  readonly inflight: readonly PaxosInflight[];
  readonly inflightBytes: number;
  /** Every slot below it is accepted or under way; above it, others may be. */
  readonly next: Index;
  /** The highest slot that was ever sent. */
  readonly sentTo: Index;
  /** It does not answer: one Accept at a time until it does. */
  readonly probing: boolean;

  // How long answers take.
  /** The longest that an acknowledgement took of late; 0 before the first. */
  readonly roundTrip: Milliseconds;
  /** When an Accept under way that was overtaken counts as lost; `Infinity` for none. */
  readonly overdueAt: Milliseconds;
  /** For each lane, since when its oldest Accept under way waits, and nothing by that lane was acknowledged. */
  readonly waitsSince: Readonly<Record<Lane, Milliseconds>>;

  /** Everything up to here is durable there, as chosen or as accepted. */
  readonly durable: Index;
  /** The newest read round that it has answered. */
  readonly readRound: number;
  /** When its last answer came. */
  readonly answeredAt: Milliseconds;
}

const NOTHING_INFLIGHT: readonly PaxosInflight[] = [];

/** The record of a peer at the beginning of a leadership. */
export function newProgress(id: ReplicaId, committedAtElection: Index, now: Milliseconds): PaxosProgress {
  return {
    id,
    match: committedAtElection,
    beyond: NO_RANGES,
    inflight: NOTHING_INFLIGHT,
    inflightBytes: 0,
    next: committedAtElection + 1,
    sentTo: committedAtElection,
    probing: false,
    roundTrip: 0,
    overdueAt: Infinity,
    waitsSince: { control: now, bulk: now },
    durable: 0,
    readRound: 0,
    answeredAt: now,
  };
}

/** A copy to change, written as a literal: several times faster than a spread. */
function copyProgress(p: PaxosProgress): Mutable<PaxosProgress> {
  return {
    id: p.id,
    match: p.match,
    beyond: p.beyond,
    inflight: p.inflight,
    inflightBytes: p.inflightBytes,
    next: p.next,
    sentTo: p.sentTo,
    probing: p.probing,
    roundTrip: p.roundTrip,
    overdueAt: p.overdueAt,
    waitsSince: p.waitsSince,
    durable: p.durable,
    readRound: p.readRound,
    answeredAt: p.answeredAt,
  };
}

function holds(ranges: readonly SlotRange[], from: Index, to: Index): boolean {
  for (let i = 0; i < ranges.length; i++) {
    const range = ranges[i] as SlotRange;
    if (range.from <= from && to <= range.to) return true;
  }
  return false;
}

/** Whether the peer has accepted `slot`. */
export function hasAccepted(peer: PaxosProgress, slot: Index): boolean {
  return slot <= peer.match || holds(peer.beyond, slot, slot);
}

/** The lowest slots above `base` that are neither accepted nor under way; none if `from` is above `end`. */
export function unsentAbove(
  { match, beyond, inflight, next, sentTo }: PaxosProgress,
  base: Index,
  end: Index,
): SlotRange {
  const from = Math.max(next, match + 1, base + 1);
  return from > sentTo ? { from, to: end } : firstFree([...beyond, ...inflight], from, end);
}

/** With an Accept of slots that were unsent under way. */
export function withSent(p: PaxosProgress, { from, to }: SlotRange, bytes: number, lane: Lane, now: Milliseconds) {
  const sent: PaxosInflight = { from, to, bytes, lane, sentAt: now, again: from <= p.sentTo, overtaken: false };
  const after = copyProgress(p);
  if (p.inflight.every((each) => each.lane !== lane)) after.waitsSince = waitsFrom(p.waitsSince, lane, now);
  after.inflight = p.inflight.length === 0 ? [sent] : [...p.inflight, sent];
  after.inflightBytes += bytes;
  after.next = to + 1;
  after.sentTo = Math.max(p.sentTo, to);
  return after as PaxosProgress;
}

/** With nothing under way, so that all that is not accepted above `base` is unsent. */
function withNothingSent(p: PaxosProgress, base: Index, probing: boolean): Mutable<PaxosProgress> {
  const after = copyProgress(p);
  after.inflight = NOTHING_INFLIGHT;
  after.inflightBytes = 0;
  after.next = Math.max(p.match, base) + 1;
  after.overdueAt = Infinity;
  after.probing = probing;
  return after;
}

/** With all Accepts under way given up, to be sent again one by one, until an answer comes. */
export function probe(p: PaxosProgress, base: Index): PaxosProgress {
  return withNothingSent(p, base, true);
}

/** The peer answers again: with all slots that it lacks above `base` to be sent, as its window allows. */
export function resume(p: PaxosProgress, base: Index): PaxosProgress {
  return withNothingSent(p, base, false);
}

/** When an Accept that was overtaken counts as lost. @param most milliseconds that an answer takes at most */
function overdue(sent: PaxosInflight, roundTrip: Milliseconds, most: Milliseconds): Milliseconds {
  return sent.sentAt + Math.min(most, Math.floor((5 * roundTrip) / 4) + 1);
}

/** With the Accepts taken from what is under way for which this holds. */
function without(p: Mutable<PaxosProgress>, goes: (each: PaxosInflight) => boolean): readonly PaxosInflight[] {
  const gone = p.inflight.filter(goes);
  if (gone.length === 0) return gone;
  p.inflight = gone.length === p.inflight.length ? NOTHING_INFLIGHT : p.inflight.filter((each) => !gone.includes(each));
  for (const { bytes } of gone) p.inflightBytes -= bytes;
  return gone;
}

/** Without the Accepts that count as lost: their slots are unsent. @param most as in `overdue` */
export function withoutOverdue(p: PaxosProgress, now: Milliseconds, most: Milliseconds): PaxosProgress {
  if (p.overdueAt > now) return p;
  return withoutLost(p, most, (each) => each.overtaken && overdue(each, p.roundTrip, most) <= now);
}

/** Without all that a lane carries. @param most as in `overdue` */
export function withoutLane(p: PaxosProgress, lane: Lane, most: Milliseconds): PaxosProgress {
  return withoutLost(p, most, (each) => each.lane === lane);
}

function withoutLost(p: PaxosProgress, most: Milliseconds, isLost: (each: PaxosInflight) => boolean): PaxosProgress {
  const after = copyProgress(p);
  for (const { from } of without(after, isLost)) after.next = Math.max(p.match + 1, Math.min(after.next, from));
  after.overdueAt = nextOverdue(after, most);
  return after;
}

/** When the first of the Accepts under way that were overtaken counts as lost. @param most as in `overdue` */
export function nextOverdue({ inflight, roundTrip }: PaxosProgress, most: Milliseconds): Milliseconds {
  let at = Infinity;
  for (const each of inflight) if (each.overtaken) at = Math.min(at, overdue(each, roundTrip, most));
  return at;
}

/** Whether an acknowledgement of `from` to `to` covers a slot that was not acknowledged before. */
function isNews(p: PaxosProgress, from: Index, to: Index): boolean {
  return to > p.match && !holds(p.beyond, from, to);
}

/** With `match` raised to `to`, and beyond it over the ranges that follow without a gap. */
function raise(p: Mutable<PaxosProgress>, to: Index): void {
  p.match = to;
  while (p.beyond.length > 0 && (p.beyond[0] as SlotRange).from <= p.match + 1) {
    p.match = Math.max(p.match, (p.beyond[0] as SlotRange).to);
    p.beyond = p.beyond.slice(1);
  }
  p.next = Math.max(p.next, p.match + 1);
}

/** Since when a lane waits, with another time for one of them. */
function waitsFrom({ control, bulk }: PaxosProgress['waitsSince'], lane: Lane, now: Milliseconds) {
  return lane === 'control' ? { control: now, bulk } : { control, bulk: now };
}

/** With how long this acknowledgement took: a longer time counts at once, a shorter one by a sixty-fourth. */
function measured(roundTrip: Milliseconds, { sentAt, again }: PaxosInflight, now: Milliseconds, most: Milliseconds) {
  const took = now - sentAt;
  if (took >= roundTrip) return Math.min(took, most);
  return again ? roundTrip : roundTrip - Math.ceil((roundTrip - took) / 64);
}

/** The Accepts that are acknowledged are under way no longer; those that they overtook are marked. */
function acknowledge(p: Mutable<PaxosProgress>, now: Milliseconds, most: Milliseconds): void {
  const left: PaxosInflight[] = [];
  const passed = { control: false, bulk: false };
  for (let at = p.inflight.length - 1; at >= 0; at--) {
    const each = p.inflight[at] as PaxosInflight;
    if (each.to > p.match && !holds(p.beyond, Math.max(each.from, p.match + 1), each.to)) {
      left.push(passed[each.lane] && !each.overtaken ? { ...each, overtaken: true } : each);
      continue;
    }
    p.inflightBytes -= each.bytes;
    if (passed[each.lane]) continue;
    passed[each.lane] = true;
    p.roundTrip = measured(p.roundTrip, each, now, most);
    p.waitsSince = waitsFrom(p.waitsSince, each.lane, now);
  }
  if (left.length === p.inflight.length) return;
  p.inflight = left.length === 0 ? NOTHING_INFLIGHT : left.reverse();
  p.overdueAt = nextOverdue(p, most);
}

/**
 * With slots `from` to `to` accepted; the same record if all were before. Acknowledged slots are a set: one that
 * arrives twice counts once, and one that arrives out of order counts too (paxos/acks-by-slot).
 * @param most milliseconds that an answer takes at most
 */
export function withAccepted(
  p: PaxosProgress,
  from: Index,
  to: Index,
  now: Milliseconds,
  most: Milliseconds,
): PaxosProgress {
  if (!isNews(p, from, to)) return p;
  const after = p.probing ? withNothingSent(p, p.match, false) : copyProgress(p);
  if (from <= p.durable + 1) after.durable = Math.max(p.durable, to);
  if (from <= p.match + 1) raise(after, to);
  else after.beyond = withRange(p.beyond, from, to);
  acknowledge(after, now, most);
  return after;
}

/**
 * With everything up to `commit` known to be chosen on both sides: the peer will not acknowledge it any more.
 * @param most as in `overdue`
 */
export function withChosen(p: PaxosProgress, commit: Index, most: Milliseconds): PaxosProgress {
  if (commit <= p.match) return p;
  const after = p.probing ? withNothingSent(p, p.match, false) : copyProgress(p);
  raise(after, commit);
  without(after, ({ to }) => to <= after.match);
  after.overdueAt = nextOverdue(after, most);
  return after;
}

/** With the durable index, the read round and the time of an answer; the same record if nothing changes. */
export function withAnswer(p: PaxosProgress, durable: Index, readRound: number, now: Milliseconds): PaxosProgress {
  if (durable <= p.durable && readRound <= p.readRound && p.answeredAt === now) return p;
  const after = copyProgress(p);
  after.durable = Math.max(p.durable, durable);
  after.readRound = Math.max(p.readRound, readRound);
  after.answeredAt = now;
  return after;
}
