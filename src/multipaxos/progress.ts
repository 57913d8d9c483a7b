/**
 * What a leader knows of one peer: which slots it has accepted in the leader's ballot, and what is on its way there.
 * Acknowledgements are kept per slot, as ranges, since they may come in any order. Plain records, replaced and
 * never edited.
 */

import type { Index, Milliseconds } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';

/** Slots `from` to `to`, both included. */
export interface SlotRange {
  readonly from: Index;
  readonly to: Index;
}

/** One Accept on its way. */
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
  /** It does not answer: one Accept a heartbeat, until it does. */
  readonly probing: boolean;
  /** The slot after `match` at the last heartbeat, if it was waited for; 0 otherwise. */
  readonly waiting: Index;
  /** Everything up to here is durable there, chosen or accepted. */
  readonly durable: Index;
  /** The newest read round that it has answered. */
  readonly readRound: number;
  readonly answeredAt: Milliseconds;
}

const NO_RANGES: readonly SlotRange[] = [];
const NOTHING_INFLIGHT: readonly PaxosInflight[] = [];

/** A peer at the beginning of a leadership whose floor is `committedAtElection`. */
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

/** With an Accept up to `to` on its way; one that is sent again stands there already, and counts once. */
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
    durable: p.durable,
    readRound: p.readRound,
    answeredAt: p.answeredAt,
  };
}

/** With everything on its way given up, to be sent from `next` on one by one until an answer comes. */
export function probe(p: PaxosProgress, next: Index): PaxosProgress {
  return { ...p, next, inflight: NOTHING_INFLIGHT, inflightBytes: 0, probing: true };
}

/** It answers again: whatever it lacks may be on its way at once, from the lowest slot above `base` on. */
export function resume(p: PaxosProgress, base: Index): PaxosProgress {
  const next = Math.max(p.match, base) + 1;
  return { ...p, next, inflight: NOTHING_INFLIGHT, inflightBytes: 0, probing: false };
}

/** At a heartbeat: what is still not accepted at the next one will be sent again. */
export function withWaiting(p: PaxosProgress, waiting: Index): PaxosProgress {
  return p.waiting === waiting ? p : { ...p, waiting };
}

function insert(beyond: readonly SlotRange[], from: Index, to: Index): readonly SlotRange[] {
  const ranges: SlotRange[] = [];
  let first = from;
  let last = to;
  let at = 0;
  for (; at < beyond.length && (beyond[at] as SlotRange).to < from - 1; at++) ranges.push(beyond[at] as SlotRange);
  for (; at < beyond.length && (beyond[at] as SlotRange).from <= last + 1; at++) {
    const range = beyond[at] as SlotRange;
    first = Math.min(first, range.from);
    last = Math.max(last, range.to);
  }
  ranges.push({ from: first, to: last });
  for (; at < beyond.length; at++) ranges.push(beyond[at] as SlotRange);
  return ranges;
}

/** Whether an acknowledgement of `from` to `to` says anything new. */
function isNews(p: PaxosProgress, from: Index, to: Index): boolean {
  if (to <= p.match) return false;
  return !p.beyond.some((range) => range.from <= from && to <= range.to);
}

/** With `match` raised, and whatever that settles. */
function withMatch(p: PaxosProgress, to: Index, durable: Index): PaxosProgress {
  let match = to;
  let beyond = p.beyond;
  while (beyond.length > 0 && (beyond[0] as SlotRange).from <= match + 1) {
    match = Math.max(match, (beyond[0] as SlotRange).to);
    beyond = beyond.slice(1);
  }
  // What was sent to one that does not answer is sent again: counted on, it could fill the window for ever.
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
    durable,
    readRound: p.readRound,
    answeredAt: p.answeredAt,
  };
}

/**
 * With slots `from` to `to` accepted; the same if that is no news. A set of slots: what arrives twice counts once
 * (paxos/acks-by-slot), and what arrives out of order counts too.
 */
export function withAccepted(p: PaxosProgress, from: Index, to: Index): PaxosProgress {
  if (!isNews(p, from, to)) return p;
  const durable = from <= p.durable + 1 ? Math.max(p.durable, to) : p.durable;
  if (from <= p.match + 1) return withMatch(p, to, durable);
  return { ...p, beyond: insert(p.beyond, from, to), durable };
}

/** With everything up to `chosen` known to be chosen there and here: it will never be acknowledged. */
export function withChosen(p: PaxosProgress, chosen: Index): PaxosProgress {
  return chosen <= p.match ? p : withMatch(p, chosen, p.durable);
}

/** With what an answer says beside that; the same if that is no news. */
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
    durable: Math.max(p.durable, durable),
    readRound: Math.max(p.readRound, readRound),
    answeredAt: now,
  };
}
