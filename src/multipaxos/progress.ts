/**
 * What a leader knows of one peer: which slots it has accepted in the leader's ballot, and what is on its way there.
 * Acknowledgements are kept per slot, as ranges, since they may come in any order (R11). Plain records, replaced and
 * never edited.
 */

import type { Index, Milliseconds } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';

/** Slots `from` to `to`, both included. */
export interface Range {
  readonly from: Index;
  readonly to: Index;
}

/** One Accept on its way. */
export interface Sent {
  readonly to: Index;
  readonly bytes: number;
}

export interface Progress {
  readonly id: ReplicaId;
  /** Every slot up to here is accepted there in the leader's ballot, or known to be chosen at both ends. */
  readonly match: Index;
  /** Accepted beyond a gap: ascending ranges, apart from each other. */
  readonly beyond: readonly Range[];
  /** The next slot that will be sent. */
  readonly next: Index;
  readonly sent: readonly Sent[];
  readonly sentBytes: number;
  /** It does not answer: one Accept a heartbeat, until it does. */
  readonly probing: boolean;
  /** The slot after `match` at the last heartbeat, if it was waited for; 0 otherwise. */
  readonly waiting: Index;
  /** Everything up to here is durable there, chosen or accepted. */
  readonly durable: Index;
  /** The newest read round that it has answered. */
  readonly round: number;
  readonly heardAt: Milliseconds;
}

const NO_RANGES: readonly Range[] = [];
const NOTHING_SENT: readonly Sent[] = [];

/** A peer at the beginning of a leadership whose floor is `floor`. */
export function newProgress(id: ReplicaId, floor: Index, now: Milliseconds): Progress {
  return {
    id,
    match: floor,
    beyond: NO_RANGES,
    next: floor + 1,
    sent: NOTHING_SENT,
    sentBytes: 0,
    probing: false,
    waiting: 0,
    durable: 0,
    round: 0,
    heardAt: now,
  };
}

/** Whether the peer has accepted `slot`. */
export function hasAccepted(peer: Progress, slot: Index): boolean {
  if (slot <= peer.match) return true;
  const { beyond } = peer;
  for (let i = 0; i < beyond.length; i++) {
    const range = beyond[i] as Range;
    if (range.from <= slot && slot <= range.to) return true;
  }
  return false;
}

/** The first slot above `base` that is not accepted there, and the last one of the gap that begins there. */
export function gapAbove({ match, beyond }: Progress, base: Index, end: Index): Range {
  let from = Math.max(match, base) + 1;
  for (const range of beyond) {
    if (range.from > from) return { from, to: range.from - 1 };
    from = Math.max(from, range.to + 1);
  }
  return { from, to: end };
}

/** With an Accept up to `to` on its way; one that is sent again stands there already, and counts once. */
export function withSent(p: Progress, to: Index, bytes: number): Progress {
  if (p.sent.length > 0 && p.sent.some((each) => each.to === to)) return p;
  return {
    id: p.id,
    match: p.match,
    beyond: p.beyond,
    next: Math.max(p.next, to + 1),
    sent: p.sent.length === 0 ? [{ to, bytes }] : [...p.sent, { to, bytes }],
    sentBytes: p.sentBytes + bytes,
    probing: p.probing,
    waiting: p.waiting,
    durable: p.durable,
    round: p.round,
    heardAt: p.heardAt,
  };
}

/** With everything on its way given up, to be sent from `next` on one by one until an answer comes. */
export function probe(p: Progress, next: Index): Progress {
  return { ...p, next, sent: NOTHING_SENT, sentBytes: 0, probing: true };
}

/** It answers again: whatever it lacks may be on its way at once, from the lowest slot above `base` on. */
export function resume(p: Progress, base: Index): Progress {
  const next = Math.max(p.match, base) + 1;
  return { ...p, next, sent: NOTHING_SENT, sentBytes: 0, probing: false };
}

/** At a heartbeat: what is still not accepted at the next one will be sent again. */
export function withWaiting(p: Progress, waiting: Index): Progress {
  return p.waiting === waiting ? p : { ...p, waiting };
}

function insert(beyond: readonly Range[], from: Index, to: Index): readonly Range[] {
  const ranges: Range[] = [];
  let first = from;
  let last = to;
  let at = 0;
  for (; at < beyond.length && (beyond[at] as Range).to < from - 1; at++) ranges.push(beyond[at] as Range);
  for (; at < beyond.length && (beyond[at] as Range).from <= last + 1; at++) {
    const range = beyond[at] as Range;
    first = Math.min(first, range.from);
    last = Math.max(last, range.to);
  }
  ranges.push({ from: first, to: last });
  for (; at < beyond.length; at++) ranges.push(beyond[at] as Range);
  return ranges;
}

/** Whether an acknowledgement of `from` to `to` says anything new. */
function isNews(p: Progress, from: Index, to: Index): boolean {
  if (to <= p.match) return false;
  return !p.beyond.some((range) => range.from <= from && to <= range.to);
}

/** With `match` raised, and whatever that settles. */
function matched(p: Progress, to: Index, durable: Index): Progress {
  let match = to;
  let beyond = p.beyond;
  while (beyond.length > 0 && (beyond[0] as Range).from <= match + 1) {
    match = Math.max(match, (beyond[0] as Range).to);
    beyond = beyond.slice(1);
  }
  // What was sent to one that does not answer is sent again: counted on, it could fill the window for ever.
  const sent = p.probing ? NOTHING_SENT : p.sent;
  let sentBytes = p.probing ? 0 : p.sentBytes;
  let answered = 0;
  for (; answered < sent.length && (sent[answered] as Sent).to <= match; answered++) {
    sentBytes -= (sent[answered] as Sent).bytes;
  }
  return {
    id: p.id,
    match,
    beyond,
    next: p.probing ? match + 1 : Math.max(p.next, match + 1),
    sent: answered === sent.length ? NOTHING_SENT : answered === 0 ? sent : sent.slice(answered),
    sentBytes,
    probing: false,
    waiting: p.waiting,
    durable,
    round: p.round,
    heardAt: p.heardAt,
  };
}

/**
 * With slots `from` to `to` accepted; the same if that is no news. A set of slots: what arrives twice counts once
 * (bug 24), and what arrives out of order counts too (bug 21).
 */
export function withAccepted(p: Progress, from: Index, to: Index): Progress {
  if (!isNews(p, from, to)) return p;
  const durable = from <= p.durable + 1 ? Math.max(p.durable, to) : p.durable;
  if (from <= p.match + 1) return matched(p, to, durable);
  return { ...p, beyond: insert(p.beyond, from, to), durable };
}

/** With everything up to `chosen` known to be chosen there and here: it will never be acknowledged (R17). */
export function withChosen(p: Progress, chosen: Index): Progress {
  return chosen <= p.match ? p : matched(p, chosen, p.durable);
}

/** With what an answer says beside that; the same if that is no news. */
export function withAnswer(p: Progress, durable: Index, round: number, now: Milliseconds): Progress {
  if (durable <= p.durable && round <= p.round && p.heardAt === now) return p;
  return {
    id: p.id,
    match: p.match,
    beyond: p.beyond,
    next: p.next,
    sent: p.sent,
    sentBytes: p.sentBytes,
    probing: p.probing,
    waiting: p.waiting,
    durable: Math.max(p.durable, durable),
    round: Math.max(p.round, round),
    heardAt: now,
  };
}
