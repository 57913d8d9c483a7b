/**
 * The parts of a digest that both protocols have: requests, reads, delivery, timers, and forwarding. Only evidence
 * needs them. Deadlines are relative to `now`, and numbers that only name something are references, so that two states
 * that behave alike have one digest, whenever and by whatever history they were reached.
 */

import { itemsOf } from './book.js';
import type { Delivery } from './delivery.js';
import type { ElectionMessage } from './election-messages.js';
import type { ForwardedProposal, Forwarding } from './forwarding.js';
import type { Grants } from './lease-reads.js';
import type { ReplicaId } from './members.js';
import { digestEntry, digestUnordered, type Digest } from './model.js';
import { RECENT, type Log } from './log.js';
import type { Entry, EntryId, Index, Limits, Milliseconds } from './protocol.js';
import { READ_EXCHANGES, readsOf, type ForwardedReads, type LeaderReads } from './reads.js';
import type { CoreLeader, CoreOptions, CoreState } from './state.js';
import type { Transferring } from './transferring.js';

/** The digest that a state is fed into, the replica whose state it is, and the time that deadlines are relative to. */
export interface DigestScribe {
  readonly digest: Digest;
  readonly me: ReplicaId;
  readonly now: Milliseconds;
  /** Deadlines further in the past than this, relative to now, are alike: the pause check asks for no more. */
  readonly late: Milliseconds;
  /** Answers that take longer than this are alike: the patience that follows is at its bound. */
  readonly slow: Milliseconds;
}

/** The scribe of a replica with this timing. */
export function scribeOf(digest: Digest, { id, timing }: CoreOptions, now: Milliseconds): DigestScribe {
  return { digest, me: id, now, late: -Math.floor(timing.electionMin / 2) - 1, slow: timing.electionMax / 2 };
}

/** A number that names something; 0 for nothing. */
export function digestNumber(digest: Digest, kind: string, owner: ReplicaId, number: number): void {
  if (number === 0) digest.value(0);
  else digest.reference(kind, owner, number);
}

/** A deadline, relative to now; how long it is past counts only down to `late`. */
export function digestDeadline({ digest, now, late }: DigestScribe, deadline: Milliseconds): void {
  digest.value(Math.max(deadline - now, late));
}

/** The timer, and the round of pre-votes. */
export function digestElectionTimer(s: DigestScribe, { electionTimer, preVoting, options }: CoreState): void {
  const { startedAt, deadline, timeout, forgiven, spread, deferred, quickUntil } = electionTimer;
  for (const until of [startedAt + options.timing.electionMin, quickUntil]) s.digest.value(Math.max(0, until - s.now));
  digestNumber(s.digest, 'preVote', s.me, preVoting?.number ?? 0);
  if (preVoting !== null) {
    s.digest.value(preVoting.granted.length);
    digestUnordered(s.digest, options.others, ({ id }) => {
      s.digest.id(id);
      s.digest.value(preVoting.granted.includes(id));
    });
    const { handover } = preVoting;
    s.digest.value(handover !== null);
    digestNumber(s.digest, 'takeOver', handover?.from ?? s.me, handover?.number ?? 0);
  }
  digestDeadline(s, deadline);
  s.digest.value(timeout);
  s.digest.value(forgiven);
  s.digest.value(spread);
  s.digest.value(deferred);
}

/** Whether it leaves, whom alone it elects; whether its disk is full, and how long it has made nothing durable. */
export function digestWaiting(s: DigestScribe, state: CoreState): void {
  const { leaving, storageFull, refusedHandover, role, unsyncedSince, persistSeq, bound, options } = state;
  s.digest.value(leaving);
  s.digest.value(storageFull);
  s.digest.value(refusedHandover !== null);
  s.digest.value(refusedHandover?.term ?? 0);
  digestNumber(s.digest, 'handover', refusedHandover?.from ?? s.me, refusedHandover?.number ?? 0);
  if (role.kind === 'leader') {
    digestDeadline(s, role.giveWayAt);
    s.digest.id(role.preferred?.id ?? null);
    s.digest.value(s.now - (role.preferred?.since ?? s.now));
    digestNumber(s.digest, 'takeOver', s.me, role.preferred?.asked ?? 0);
  }
  digestNumber(s.digest, 'persist', s.me, unsyncedSince === Infinity ? 0 : persistSeq);
  const left = Math.max(0, bound.until - s.now);
  s.digest.value(left);
  if (left > 0) s.digest.id(bound.to);
  s.digest.value(unsyncedSince === Infinity ? -1 : Math.max(0, unsyncedSince + options.timing.electionMin - s.now));
}

/** What the stamps of later entries follow from. */
export function digestLogTime({ digest, now }: DigestScribe, { stamp, stampedAt, clocks, wake }: CoreState): void {
  digest.value(stamp);
  if (stamp > 0) digest.value(now - stampedAt);
  for (const ahead of [clocks.own, ...clocks.heard]) digest.value(ahead + now);
  digest.value(clocks.isOff);
  digest.value(wake.at);
  if (wake.at < Infinity) digest.value(Math.max(0, wake.notBefore - now));
}

/** Of the newest snapshot its index: a later one names a newer one, and the rest matters to a start alone. */
export function digestSnapshot({ digest }: DigestScribe, { snapshot }: CoreState): void {
  digest.value(snapshot?.index ?? 0);
}

/** A leader's transfer. */
export function digestTransfer(s: DigestScribe, transfer: Transferring | null): void {
  const { digest, me } = s;
  digest.value(transfer !== null);
  if (transfer === null) return;
  digest.text(transfer.why);
  digestNumber(digest, 'request', me, transfer.request);
  digest.id(transfer.named);
  digest.id(transfer.to);
  digest.value(transfer.through);
  digest.value(transfer.blocked);
  digestNumber(digest, 'handover', me, transfer.number);
  for (const ids of [transfer.doubtful, transfer.refused]) {
    digest.value(ids.length);
    digestUnordered(digest, [...ids], (id) => digest.id(id));
  }
  digestDeadline(s, transfer.retryAt);
  digestDeadline(s, transfer.deadline);
}

/** A leader's grants. */
export function digestGrants(s: DigestScribe, { asked, until, over }: Grants): void {
  const { digest, me, now } = s;
  digest.value(over);
  digest.value(asked.length);
  for (const { number, sentAt } of asked) {
    digestNumber(digest, 'grant', me, number);
    digest.value(sentAt - now);
  }
  for (const each of until) digest.value(Math.max(0, each - now));
}

export function digestEntries(digest: Digest, entries: readonly Entry[]): void {
  digest.value(entries.length);
  for (let i = 0; i < entries.length; i++) digestEntry(entries[i] as Entry, digest);
}

function digestEntryId(digest: Digest, { session, sequence, firstIncomplete }: EntryId): void {
  digest.value(session);
  digest.value(sequence);
  digest.value(firstIncomplete);
}

/** With bounds of at least `RECENT` entries and this many bytes, no scope that can be searched fills the tail. */
const ROOMY_BYTES = 64 * 1024;

/**
 * Where chunks begin matters only to `evict`, which drops whole ones; so it is digested only if the tail can fill up.
 * Entries below the tail are on the disk, which is digested apart.
 */
export function digestLog(log: Log, limits: Limits, digest: Digest): void {
  digest.value(log.first);
  digest.value(log.baseTerm);
  digest.value(log.last);
  digest.value(log.tailFrom);
  digest.value(log.runs.length);
  for (const { from, term } of log.runs) {
    digest.value(from);
    digest.value(term);
  }
  const tight = limits.tailEntries < RECENT || limits.tailBytes < ROOMY_BYTES;
  if (tight) digest.value(log.chunks.length);
  for (const { from, entries } of log.chunks) {
    if (tight) digest.value(from);
    for (let i = 0; i < entries.length; i++) digestEntry(entries[i] as Entry, digest);
  }
}

export function digestDelivery({ digest, me }: DigestScribe, delivery: Delivery): void {
  digest.value(delivery.delivered);
  digest.value(delivery.applied);
  digest.value(delivery.unapplied.length);
  for (const { through, bytes } of delivery.unapplied) {
    digest.value(through);
    digest.value(bytes);
  }
  digestNumber(digest, 'load', me, delivery.loading);
}

/** Reads that wait at the leader. */
export function digestLeaderReads(s: DigestScribe, waiting: LeaderReads): void {
  const { digest, me } = s;
  const reads = readsOf(waiting);
  digest.value(reads.length);
  for (const { key, peer, forward, deadline } of reads) {
    digest.id(peer);
    digestNumber(digest, 'request', me, peer === null ? key : 0);
    digestNumber(digest, 'forward', peer ?? me, forward);
    digestDeadline(s, deadline);
  }
}

/** When a forward left that waits for its answer; which counts only while it says how quick an answer is. */
function digestSentAt({ digest, now, slow }: DigestScribe, sentAt: Milliseconds, exchanges: number): void {
  digest.value(Math.min(now - sentAt, exchanges * slow));
}

/**
 * What a leader told the peer at this place, and what the peer forwarded: only above what it was told, since nothing
 * ever follows from the rest.
 */
export function digestTold(digest: Digest, { told, forwarded }: CoreLeader, at: number): void {
  const known = told[at] as Index;
  const through = forwarded[at] as Index;
  digest.value(known);
  digest.value(through > known ? through : 0);
}

/** Attempts, and how much was forwarded that the leader has not answered. */
export function digestAttempts(
  s: DigestScribe,
  { attempts, forwardedBytes, answeredBytes }: Pick<CoreState, 'attempts' | 'forwardedBytes' | 'answeredBytes'>,
): void {
  const { digest, me } = s;
  const items = itemsOf(attempts);
  digest.value(forwardedBytes - answeredBytes);
  digest.value(items.length);
  for (const { requests, ids, at, forward, sentAt, through, deadline, until } of items) {
    digest.value(requests.length);
    for (const request of requests) digestNumber(digest, 'request', me, request);
    for (const id of ids) digestEntryId(digest, id);
    digest.value(at);
    digestDeadline(s, deadline);
    if (at < Infinity) continue;
    digestNumber(digest, 'forward', me, forward);
    digestSentAt(s, sentAt, 1);
    digest.value(Math.max(0, through - answeredBytes));
    digestDeadline(s, until);
  }
}

/** Reads that were forwarded. */
export function digestForwardedReads(s: DigestScribe, reads: ForwardedReads): void {
  const { digest, me } = s;
  const items = itemsOf(reads);
  digest.value(items.length);
  for (const { key, forward, sentAt, deadline, until } of items) {
    digestNumber(digest, 'request', me, key);
    digestNumber(digest, 'forward', me, forward);
    digestSentAt(s, sentAt, READ_EXCHANGES);
    digestDeadline(s, deadline);
    digestDeadline(s, until);
  }
}

function digestProposal(digest: Digest, { kind, id, data, retry }: ForwardedProposal): void {
  digest.text(kind);
  digestEntryId(digest, id);
  digest.bytes(data);
  digest.value(retry);
}

/** What the number of a message is of, and whether its sender gave it. */
const NUMBERED = {
  preVote: ['preVote', true],
  preVoteReply: ['preVote', false],
  handover: ['handover', true],
  handoverRefused: ['handover', false],
  askGrant: ['grant', true],
  grant: ['grant', false],
  logBegins: ['catchUp', false],
  askTakeOver: ['takeOver', true],
  canTakeOver: ['takeOver', false],
} as const;

/** A message around elections but for its kind and term. Its number was given by the replica that asked. */
export function digestElection(message: ElectionMessage, from: ReplicaId, to: ReplicaId, digest: Digest): void {
  const [kind, asks] = NUMBERED[message.kind];
  digestNumber(digest, kind, asks ? from : to, message.number);
  switch (message.kind) {
    case 'preVote':
      digest.value(message.lastIndex);
      digest.value(message.lastTerm);
      return digest.value(message.handover);
    case 'preVoteReply':
      digest.value(message.current);
      return digest.value(message.granted);
    case 'grant':
      return digest.value(message.length);
    case 'logBegins':
      return digest.value(message.first);
    case 'handover':
    case 'handoverRefused':
    case 'askGrant':
    case 'askTakeOver':
    case 'canTakeOver':
      return;
  }
}

/** A forwarding message but for its kind and term. Its number was given by the replica that forwarded. */
export function digestForwarding(message: Forwarding, from: ReplicaId, to: ReplicaId, digest: Digest): void {
  const asks = message.kind === 'forwardProposals' || message.kind === 'forwardRead';
  digestNumber(digest, 'forward', asks ? from : to, message.number);
  switch (message.kind) {
    case 'forwardProposals':
      digest.value(message.proposals.length);
      for (const proposal of message.proposals) digestProposal(digest, proposal);
      return;
    case 'forwardAccepted':
      digest.value(message.places.length);
      for (const { first, count } of message.places) {
        digest.value(first);
        digest.value(count);
      }
      return;
    case 'forwardRead':
      return digest.value(message.byLease);
    case 'forwardRefused':
      digest.text(message.reason);
      return digest.id(message.leader);
    case 'readAnswer':
      digest.value(message.index);
      return digest.value(message.commit);
  }
}
