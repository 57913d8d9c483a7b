/**
 * What a leader knows of one peer: which slots it has accepted in the leader's ballot, and what is on its way there.
 * Acknowledgements are kept per slot, as ranges, since they may come in any order (R11). Plain records, replaced and
 * never edited.
 */

import type { Index, Milliseconds, ReplicaId } from '../core/protocol.js';

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
  /** Every slot of this leader's up to here, above the W of then, is accepted there; the floor at first. */
  readonly match: Index;
  /** Accepted beyond a gap: ascending ranges, apart from each other. */
  readonly beyond: readonly Range[];
  /** The next slot that will be sent. */
  readonly next: Index;
  readonly sent: readonly Sent[];
  readonly sentBytes: number;
  /** It does not answer: one Accept a heartbeat, until it does. */
  readonly probing: boolean;
  /** Nothing was newly accepted since the last heartbeat. */
  readonly stalled: boolean;
  /** Its chosen prefix, and how much of it is durable there. */
  readonly chosen: Index;
  readonly durable: Index;
  /** The newest read round that it has answered. */
  readonly round: number;
  readonly heardAt: Milliseconds;
}

const NO_RANGES: readonly Range[] = [];
const NOTHING_SENT: readonly Sent[] = [];

/** A peer at the beginning of a leadership whose floor is `floor`. */
export function newProgress(id: ReplicaId, floor: Index, chosen: Index, now: Milliseconds): Progress {
  return {
    id,
    match: floor,
    beyond: NO_RANGES,
    next: floor + 1,
    sent: NOTHING_SENT,
    sentBytes: 0,
    probing: false,
    stalled: false,
    chosen,
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

/** With an Accept up to `to` on its way. */
export function withSent(p: Progress, to: Index, bytes: number): Progress {
  return {
    id: p.id,
    match: p.match,
    beyond: p.beyond,
    next: to + 1,
    sent: p.sent.length === 0 ? [{ to, bytes }] : [...p.sent, { to, bytes }],
    sentBytes: p.sentBytes + bytes,
    probing: p.probing,
    stalled: p.stalled,
    chosen: p.chosen,
    durable: p.durable,
    round: p.round,
    heardAt: p.heardAt,
  };
}

/** With everything on its way given up, to be sent from `next` on one by one until an answer comes. */
export function probe(p: Progress, next: Index): Progress {
  return { ...p, next, sent: NOTHING_SENT, sentBytes: 0, probing: true };
}

/** After a heartbeat: what is unanswered by the next one will be sent again. */
export function withStalled(p: Progress, stalled: boolean): Progress {
  return p.stalled === stalled ? p : { ...p, stalled };
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

function unsent(p: Progress, match: Index): readonly Sent[] {
  let answered = 0;
  while (answered < p.sent.length && (p.sent[answered] as Sent).to <= match) answered++;
  if (answered === p.sent.length) return NOTHING_SENT;
  return answered === 0 ? p.sent : p.sent.slice(answered);
}

/**
 * With slots `from` to `to` accepted, everything up to `base` being chosen anyway; the same if that is no news.
 * A set of slots: what arrives twice counts once (bug 24), and what arrives out of order counts too (bug 21).
 */
export function withAccepted(p: Progress, from: Index, to: Index, base: Index): Progress {
  if (!isNews(p, from, to)) return p;
  let match = p.match;
  let beyond = p.beyond;
  if (from <= Math.max(match, base) + 1) {
    match = to;
    while (beyond.length > 0 && (beyond[0] as Range).from <= match + 1) {
      match = Math.max(match, (beyond[0] as Range).to);
      beyond = beyond.slice(1);
    }
  } else beyond = insert(beyond, from, to);
  const sent = unsent(p, match);
  let sentBytes = 0;
  for (let i = 0; i < sent.length; i++) sentBytes += (sent[i] as Sent).bytes;
  return {
    id: p.id,
    match,
    beyond,
    next: p.probing ? Math.max(match, base) + 1 : Math.max(p.next, match + 1),
    sent,
    sentBytes,
    probing: false,
    stalled: false,
    chosen: p.chosen,
    durable: p.durable,
    round: p.round,
    heardAt: p.heardAt,
  };
}

/** With what an answer says beside that; the same if that is no news. */
export function withAnswer(p: Progress, chosen: Index, durable: Index, round: number, now: Milliseconds): Progress {
  const known = chosen <= p.chosen && durable <= p.durable && round <= p.round;
  if (known && p.heardAt === now) return p;
  return {
    id: p.id,
    match: p.match,
    beyond: p.beyond,
    next: p.next,
    sent: p.sent,
    sentBytes: p.sentBytes,
    probing: p.probing,
    stalled: p.stalled,
    chosen: Math.max(p.chosen, chosen),
    durable: Math.max(p.durable, durable),
    round: Math.max(p.round, round),
    heardAt: now,
  };
}
