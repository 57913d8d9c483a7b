/**
 * Outdated messages: in every future of the cluster they change nothing where they arrive, and neither do the answers
 * to them. A search need not keep them.
 */

import type { ReplicaId } from '../../core/members.js';
import type { Ballot } from '../ballot.js';
import type { PaxosMessage } from '../messages.js';
import { NO_END } from '../ranges.js';
import { placeOf } from '../../core/state.js';
import type { PaxosState } from '../state.js';

/**
 * Whether a replica has durably promised at least this ballot. A promise that is not durable may be lost in a crash.
 */
function hasPromised({ promised, hardSeq, durableSeq }: PaxosState, ballot: Ballot): boolean {
  return promised >= ballot && hardSeq <= durableSeq;
}

/** Whether a replica is neither in Phase 1 nor in Phase 2 of its own `ballot`, and never will be again. */
function isOver(owner: PaxosState, ballot: Ballot): boolean {
  const { role } = owner;
  return (role.kind === 'follower' || role.ballot !== ballot) && hasPromised(owner, ballot);
}

/** Whether a promise for `ballot` changes nothing at the owner of the ballot any more. */
function isPromiseIdle(owner: PaxosState, ballot: Ballot, acceptor: ReplicaId): boolean {
  const { role } = owner;
  if (role.kind === 'follower' || role.ballot !== ballot) return isOver(owner, ballot);
  // Its Prepare has left, so the own promise is durable and no crash brings this Phase 1 back. Once it is over it
  // stays so; and a promise that is complete stays so.
  const promise = role.kind === 'leader' ? undefined : role.promises[placeOf(owner.options, acceptor)];
  return role.kind === 'leader' || promise?.upTo === NO_END;
}

/** Whether an answer to the question of this number still counts, though it has no entries. */
function isAwaited({ catchingUp }: PaxosState, number: number): boolean {
  if (catchingUp === null) return false;
  return catchingUp.doubt?.number === number || catchingUp.questions.some((question) => question.number === number);
}

/**
 * Whether a message can never change anything again, neither at `to` nor by an answer at `from`. In doubt it is not
 * outdated. @see Model.isOutdated
 */
export function isOutdated(m: PaxosMessage, from: PaxosState, to: PaxosState): boolean {
  switch (m.kind) {
    case 'prepare':
      // Answered by a Nack, or by a promise once more. Where the ballot still leads, such a Nack would end it.
      // One that is no first one makes an acceptor wait longer that still follows the ballot.
      return hasPromised(to, m.first ? m.ballot : m.ballot + 1) && isOver(from, m.ballot);
    case 'accept':
    case 'heartbeat':
      return hasPromised(to, m.ballot + 1) && isOver(from, m.ballot);
    case 'promise':
      return isPromiseIdle(to, m.ballot, from.options.id);
    case 'nack':
    case 'accepted':
    case 'heartbeatReply':
      return isOver(to, m.ballot);
    case 'catchUpReply':
      // Entries are learned whatever was asked, again after a crash. An answer without any counts only while its
      // question is waited for (`continueCatchUp`), and numbers are never used again.
      return m.entries.length === 0 && !isAwaited(to, m.number);
    default:
      return false;
  }
}
