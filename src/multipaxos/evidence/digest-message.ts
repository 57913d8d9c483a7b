/** Digests of Multi-Paxos' messages: all fields that count, with numbers that only name something as references. */

import type { Digest } from '../../core/model.js';
import type { ReplicaId } from '../../core/members.js';
import { digestElection, digestEntries, digestForwarding, digestNumber } from '../../core/digest-parts.js';
import { digestReadRound, digestSpans } from './digest.js';
import type { Heartbeat, HeartbeatReply, PaxosMessage, Prepare, PromisePage } from '../messages.js';

function prepare({ ballot, from, first, pages, handover, held }: Prepare, digest: Digest): void {
  digest.value(ballot);
  digest.value(from);
  digest.value(first);
  digest.value(pages);
  digest.value(handover);
  digestSpans(held, digest);
}

function promise({ from, commit, next, rest, votes, wall }: PromisePage, digest: Digest): void {
  digest.value(rest);
  digest.value(from);
  digest.value(commit);
  digest.value(next);
  digestEntries(digest, votes);
  digest.value(wall);
}

/**
 * What an answer says of the disk is left out, as in the progress that it raises.
 * @param leader the sender of the heartbeat, which counts the read rounds
 */
function heartbeat(m: Heartbeat | HeartbeatReply, leader: ReplicaId, digest: Digest): void {
  digest.value(m.ballot);
  digest.value(m.commit);
  digestReadRound(digest, leader, m.ballot, m.readRound);
}

/** @see Model.digestMessage */
export function digestMessage(m: PaxosMessage, from: ReplicaId, to: ReplicaId, digest: Digest): void {
  digest.text(m.kind);
  switch (m.kind) {
    case 'prepare':
      return prepare(m, digest);
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
      digest.value(m.wall);
      return heartbeat(m, to, digest);
    case 'commit':
      digest.value(m.ballot);
      return digest.value(m.commit);
    case 'catchUp':
      digestNumber(digest, 'catchUp', from, m.number);
      digest.value(m.from);
      digest.value(m.to);
      return digest.value(m.bytes);
    case 'catchUpReply':
      digestNumber(digest, 'catchUp', to, m.number);
      digest.value(m.commit);
      digest.value(m.rest);
      return digestEntries(digest, m.entries);
    case 'askSlots':
      return digestNumber(digest, 'quorumRead', from, m.number);
    case 'slots':
      digestNumber(digest, 'quorumRead', to, m.number);
      return digest.value(m.highest);
    case 'preVote':
    case 'preVoteReply':
    case 'handover':
    case 'handoverRefused':
    case 'askGrant':
    case 'grant':
    case 'logBegins':
    case 'askTakeOver':
    case 'canTakeOver':
      digest.value(m.term);
      return digestElection(m, from, to, digest);
    default:
      digest.value(m.term);
      return digestForwarding(m, from, to, digest);
  }
}
