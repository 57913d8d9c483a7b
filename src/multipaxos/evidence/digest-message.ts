/** What a message says, for searches: all of it, with numbers that only name something as references. */

import type { Digest } from '../../core/model.js';
import type { ReplicaId } from '../../core/members.js';
import { digestEntries, digestReadRound } from './digest.js';
import type { ForwardedProposal, Heartbeat, HeartbeatReply, PaxosMessage, PromisePage } from '../messages.js';

function proposal({ kind, id, data, retry }: ForwardedProposal, digest: Digest): void {
  digest.text(kind);
  digest.value(id.session);
  digest.value(id.sequence);
  digest.value(id.firstIncomplete);
  digest.bytes(data);
  digest.value(retry);
}

function promise({ from, commit, next, votes }: PromisePage, digest: Digest): void {
  digest.value(from);
  digest.value(commit);
  digest.value(next);
  digestEntries(digest, votes);
}

/** `leader` sent the heartbeat, and counts the rounds. */
function heartbeat(m: Heartbeat | HeartbeatReply, leader: ReplicaId, digest: Digest): void {
  digest.value(m.ballot);
  digest.value(m.commit);
  digestReadRound(digest, leader, m.ballot, m.readRound);
  if (m.kind === 'heartbeatReply') digest.value(m.durable);
}

/** Each number belongs to the side that asked. */
function request(
  m: Extract<PaxosMessage, { readonly number: number }>,
  from: ReplicaId,
  to: ReplicaId,
  digest: Digest,
): void {
  const catchUp = m.kind === 'catchUp' || m.kind === 'catchUpReply';
  const asks = m.kind === 'catchUp' || m.kind === 'forward' || m.kind === 'readIndex';
  digest.reference(catchUp ? 'catchUp' : 'forward', asks ? from : to, m.number);
  switch (m.kind) {
    case 'catchUp':
      return digest.value(m.from);
    case 'catchUpReply':
      digest.value(m.commit);
      return digestEntries(digest, m.entries);
    case 'forward':
      digest.value(m.proposals.length);
      for (const each of m.proposals) proposal(each, digest);
      return;
    case 'refused':
      digest.text(m.reason);
      return digest.id(m.leader);
    case 'readIndex':
      return;
    case 'readIndexReply':
      digest.value(m.index);
      digest.value(m.ballot);
      return digest.value(m.commit);
  }
}

export function digestMessage(m: PaxosMessage, from: ReplicaId, to: ReplicaId, digest: Digest): void {
  digest.text(m.kind);
  switch (m.kind) {
    case 'prepare':
      digest.value(m.ballot);
      return digest.value(m.from);
    case 'promise':
      digest.value(m.ballot);
      return promise(m, digest);
    case 'nack':
      digest.value(m.ballot);
      digest.value(m.promised);
      return digest.value(m.commit);
    case 'accept':
      digest.value(m.ballot);
      digest.value(m.commit);
      return digestEntries(digest, m.entries);
    case 'accepted':
      digest.value(m.ballot);
      digest.value(m.from);
      digest.value(m.to);
      return digest.value(m.commit);
    case 'heartbeat':
      return heartbeat(m, from, digest);
    case 'heartbeatReply':
      return heartbeat(m, to, digest);
    case 'commit':
      digest.value(m.ballot);
      return digest.value(m.commit);
    default:
      return request(m, from, to, digest);
  }
}
