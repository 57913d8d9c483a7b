/**
 * The leader's progress record of one peer: the slots that it has accepted in the leader's ballot, and the Accepts
 * under way to it. Acknowledgements are kept by slot, as ranges, since they may come in any order. Records are replaced
 * and never edited.
 */

import type { Index, Milliseconds } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { NO_RANGES, withRange, type SlotRange } from './ranges.js';

/** One Accept under way. */
export interface PaxosInflight {
  readonly last: Index;
  readonly bytes: number;
}

export interface PaxosProgress {
  readonly id: ReplicaId;
  /** Every slot up to here is accepted there in the leader's ballot, or known to be chosen at both ends. */
  readonly match: Index;
  /** Accepted beyond a gap: ascending ranges, apart from each other. */
  readonly beyond: readonly SlotRange[];
  /** The next slot that will be sent. */
  readonly next: Index;
  readonly inflight: readonly PaxosInflight[];
  readonly inflightBytes: number;
  /** It does not answer: one Accept at each heartbeat until it does. */
  readonly probing: boolean;
  /** The slot after `match` at the last heartbeat, if its acknowledgement was missing; 0 otherwise. */
  readonly waiting: Index;
  /** At which heartbeat that was so first. */
  readonly waitingSince: Milliseconds;
  /** When its gaps were last filled; `-Infinity` for never. */
  readonly filledAt: Milliseconds;
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
    next: committedAtElection + 1,
    inflight: NOTHING_INFLIGHT,
    inflightBytes: 0,
    probing: false,
    waiting: 0,
    waitingSince: now,
    filledAt: -Infinity,
    durable: 0,
    readRound: 0,
    answeredAt: now,
  };
}

/** Whether the peer has accepted `slot`. */
export function hasAccepted(peer: PaxosProgress, slot: Index): boolean {
  if (slot <= peer.match) return true;
  const { beyond } = peer;
  for (let i = 0; i < beyond.length; i++) {
    const range = beyond[i] as SlotRange;
    if (range.from <= slot && slot <= range.to) return true;
  }
  return false;
}

/** The first slot above `base` that is not accepted there, and the last one of the gap that begins there. */
export function gapAbove({ match, beyond }: PaxosProgress, base: Index, end: Index): SlotRange {
  let from = Math.max(match, base) + 1;
  for (const range of beyond) {
    if (range.from > from) return { from, to: range.from - 1 };
    from = Math.max(from, range.to + 1);
  }
  return { from, to: end };
}

/** With an Accept up to `last` under way; one that is sent again counts once. */
export function withInflight(p: PaxosProgress, last: Index, bytes: number): PaxosProgress {
  if (p.inflight.length > 0 && p.inflight.some((each) => each.last === last)) return p;
  return {
    id: p.id,
    match: p.match,
    beyond: p.beyond,
    next: Math.max(p.next, last + 1),
    inflight: p.inflight.length === 0 ? [{ last, bytes }] : [...p.inflight, { last, bytes }],
    inflightBytes: p.inflightBytes + bytes,
    probing: p.probing,
    waiting: p.waiting,
    waitingSince: p.waitingSince,
    filledAt: p.filledAt,
    durable: p.durable,
    readRound: p.readRound,
    answeredAt: p.answeredAt,
  };
}

/** With all Accepts under way given up, to be sent again from `next` on, one by one, until an answer comes. */
export function probe(p: PaxosProgress, next: Index): PaxosProgress {
  return { ...p, next, inflight: NOTHING_INFLIGHT, inflightBytes: 0, probing: true };
}

/** The peer answers again: with all slots that it lacks above `base` to be sent, as its window allows. */
export function resume(p: PaxosProgress, base: Index): PaxosProgress {
  const next = Math.max(p.match, base) + 1;
  return { ...p, next, inflight: NOTHING_INFLIGHT, inflightBytes: 0, probing: false };
}

/** At a heartbeat: with the slot that is waited for. */
export function withWaiting(p: PaxosProgress, waiting: Index, now: Milliseconds): PaxosProgress {
  return p.waiting === waiting ? p : { ...p, waiting, waitingSince: now };
}

/** Whether an acknowledgement of `from` to `to` covers a slot that was not acknowledged before. */
function isNews(p: PaxosProgress, from: Index, to: Index): boolean {
  if (to <= p.match) return false;
  return !p.beyond.some((range) => range.from <= from && to <= range.to);
}

/** With `match` raised to `to`, and beyond it over the ranges that follow without a gap. */
function withMatch(p: PaxosProgress, to: Index, durable: Index): PaxosProgress {
  let match = to;
  let beyond = p.beyond;
  while (beyond.length > 0 && (beyond[0] as SlotRange).from <= match + 1) {
    match = Math.max(match, (beyond[0] as SlotRange).to);
    beyond = beyond.slice(1);
  }
  // A peer that is probed is sent everything again, so the old Accepts must not fill its window for ever.
  const sent = p.probing ? NOTHING_INFLIGHT : p.inflight;
  let inflightBytes = p.probing ? 0 : p.inflightBytes;
  let answered = 0;
  for (; answered < sent.length && (sent[answered] as PaxosInflight).last <= match; answered++) {
    inflightBytes -= (sent[answered] as PaxosInflight).bytes;
  }
  return {
    id: p.id,
    match,
    beyond,
    next: p.probing ? match + 1 : Math.max(p.next, match + 1),
    inflight: answered === sent.length ? NOTHING_INFLIGHT : answered === 0 ? sent : sent.slice(answered),
    inflightBytes,
    probing: false,
    waiting: p.waiting,
    waitingSince: p.waitingSince,
    filledAt: p.filledAt,
    durable,
    readRound: p.readRound,
    answeredAt: p.answeredAt,
  };
}

/**
 * With slots `from` to `to` accepted; the same record if all were before. Acknowledged slots are a set: one that
 * arrives twice counts once, and one that arrives out of order counts too (paxos/acks-by-slot).
 */
export function withAccepted(p: PaxosProgress, from: Index, to: Index): PaxosProgress {
  if (!isNews(p, from, to)) return p;
  const durable = from <= p.durable + 1 ? Math.max(p.durable, to) : p.durable;
  if (from <= p.match + 1) return withMatch(p, to, durable);
  return { ...p, beyond: withRange(p.beyond, from, to), durable };
}

/** With everything up to `commit` known to be chosen on both sides: the peer will not acknowledge it any more. */
export function withChosen(p: PaxosProgress, commit: Index): PaxosProgress {
  return commit <= p.match ? p : withMatch(p, commit, p.durable);
}

/** With the durable index, the read round and the time of an answer; the same record if nothing changes. */
export function withAnswer(p: PaxosProgress, durable: Index, readRound: number, now: Milliseconds): PaxosProgress {
  if (durable <= p.durable && readRound <= p.readRound && p.answeredAt === now) return p;
  return {
    id: p.id,
    match: p.match,
    beyond: p.beyond,
    next: p.next,
    inflight: p.inflight,
    inflightBytes: p.inflightBytes,
    probing: p.probing,
    waiting: p.waiting,
    waitingSince: p.waitingSince,
    filledAt: p.filledAt,
    durable: Math.max(p.durable, durable),
    readRound: Math.max(p.readRound, readRound),
    answeredAt: now,
  };
}
