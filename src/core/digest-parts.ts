/**
 * The parts of a digest that both protocols have: requests, reads, delivery, timers, and what is passed on. Only
 * evidence needs them. Deadlines count from `now`, and numbers that only name something are references, so that the
 * same situation at another time, or after another history, is the same.
 */

import type { Attempts } from './attempts.js';
import type { Delivery } from './delivery.js';
import type { ElectionTimer } from './election-timer.js';
import type { ForwardedProposal, Forwarding } from './forwarding.js';
import type { ReplicaId } from './members.js';
import { digestEntry, type Digest } from './model.js';
import type { Entry, EntryId, Milliseconds } from './protocol.js';
import type { ForwardedRead, LeaderRead } from './reads.js';

/** One state being taken in: where it goes, whose it is, and what its times count from. */
export interface DigestScribe {
  readonly digest: Digest;
  readonly me: ReplicaId;
  readonly now: Milliseconds;
  /** Below it, relative to now, all deadlines are alike: a tick is asked only whether it is late by more. */
  readonly late: Milliseconds;
}

/** A number that names something; 0 for nothing. */
export function digestNumber(digest: Digest, kind: string, owner: ReplicaId, number: number): void {
  if (number === 0) digest.value(0);
  else digest.reference(kind, owner, number);
}

/** When something is due; how late it is counts only as far as somebody asks. */
export function digestDeadline({ digest, now, late }: DigestScribe, deadline: Milliseconds): void {
  digest.value(Math.max(deadline - now, late));
}

export function digestElectionTimer(s: DigestScribe, { deadline, timeout, forgiven }: ElectionTimer): void {
  digestDeadline(s, deadline);
  s.digest.value(timeout);
  s.digest.value(forgiven);
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
export function digestLeaderReads(s: DigestScribe, reads: readonly LeaderRead[]): void {
  const { digest, me } = s;
  digest.value(reads.length);
  for (const { request, peer, forward, deadline } of reads) {
    digest.id(peer);
    digestNumber(digest, 'request', me, request);
    digestNumber(digest, 'forward', peer ?? me, forward);
    digestDeadline(s, deadline);
  }
}

export function digestAttempts(s: DigestScribe, attempts: Attempts): void {
  const { digest, me } = s;
  digest.value(attempts.length);
  for (const { requests, ids, first, forward, deadline } of attempts) {
    digest.value(requests.length);
    for (const request of requests) digestNumber(digest, 'request', me, request);
    for (const id of ids) digestEntryId(digest, id);
    digest.value(first);
    digestNumber(digest, 'forward', me, forward);
    digestDeadline(s, deadline);
  }
}

/** Reads that were passed on. */
export function digestForwardedReads(s: DigestScribe, reads: readonly ForwardedRead[]): void {
  const { digest, me } = s;
  digest.value(reads.length);
  for (const { request, forward, deadline } of reads) {
    digestNumber(digest, 'request', me, request);
    digestNumber(digest, 'forward', me, forward);
    digestDeadline(s, deadline);
  }
}

function digestProposal(digest: Digest, { kind, id, data, retry }: ForwardedProposal): void {
  digest.text(kind);
  digestEntryId(digest, id);
  digest.bytes(data);
  digest.value(retry);
}

/** All of a message that passes something on, but its kind and term. Its number belongs to the side that asked. */
export function digestForwarding(message: Forwarding, from: ReplicaId, to: ReplicaId, digest: Digest): void {
  const asks = message.kind === 'forwardProposals' || message.kind === 'forwardRead';
  digestNumber(digest, 'forward', asks ? from : to, message.number);
  switch (message.kind) {
    case 'forwardProposals':
      digest.value(message.proposals.length);
      for (const proposal of message.proposals) digestProposal(digest, proposal);
      return;
    case 'forwardRead':
      return;
    case 'forwardRefused':
      digest.text(message.reason);
      return digest.id(message.leader);
    case 'readAnswer':
      digest.value(message.index);
      return digest.value(message.commit);
  }
}
