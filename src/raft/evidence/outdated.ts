/**
 * Outdated messages: in every future of the cluster they change nothing where they arrive, and nobody answers them. A
 * search need not keep them.
 *
 * All that is outdated is of a term that its receiver has durably reached, so it raises no term, now or after a crash.
 * A replica counts votes and acknowledgements of a term only if it campaigned in it, which it does once, when it
 * reaches the term: one that follows in a term, or crashes in it, never counts any of that term again. Requests are
 * never outdated: who refuses one tells its term, and that term may be a later one than any now.
 */

import type { ReplicaId } from '../../core/members.js';
import type { RaftMessage } from '../messages.js';
import type { RaftState } from '../state.js';

/** Whether a vote granted to a replica, in its term, changes nothing any more. */
function isVoteIdle({ role }: RaftState, voter: ReplicaId): boolean {
  return role.kind !== 'candidate' || role.votes.includes(voter);
}

/**
 * Whether a message can never change anything again, neither at `to` nor by an answer at `from`. In doubt it is not
 * outdated. @see Model.isOutdated
 */
export function isOutdated(m: RaftMessage, from: RaftState, to: RaftState): boolean {
  if (m.term > to.term || to.hardSeq > to.durableSeq) return false;
  const past = m.term < to.term;
  switch (m.kind) {
    case 'requestVoteReply':
      return past || !m.granted || isVoteIdle(to, from.options.id);
    case 'appendAccepted':
    case 'appendRejected':
    case 'roundConfirmed':
      return past || to.role.kind === 'follower';
    case 'commit':
      return past;
    default:
      return false;
  }
}
