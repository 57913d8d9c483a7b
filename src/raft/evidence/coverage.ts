/** The coverage points of Raft: what a search must have met at least once, and how a step shows it. */

import { readsOf } from '../../core/reads.js';
import { termAt } from '../../core/log.js';
import type { Hit } from '../../core/model.js';
import type { Outbound } from '../../core/protocol.js';
import { compactionPoints, coverCompaction } from '../../core/compaction-coverage.js';
import { coverLeadership, leadershipPoints } from '../../core/leadership-coverage.js';
import { coverPreVotes, preVotePoints } from '../../core/pre-vote-coverage.js';
import { majorityReached } from '../../core/quorum.js';
import { durableIndex } from '../../core/unsynced.js';
import type { RaftMessage } from '../messages.js';
import { leaderOf } from '../../core/state.js';
import { type RaftLeader, type RaftState } from '../state.js';
import type { RaftStepFact } from './rules.js';

const ELECTION_WON = 'election won';
const ELECTION_LOST = 'campaigned again without a majority';
const STALE_LOG = 'vote refused for a stale log';
const SECOND_VOTE = 'vote refused since another has it';
const HIGHER_TERM = 'leader stepped down on a higher term';
const QUORUM_LOST = 'leader stepped down since no majority answered';
const KEPT = 'new leader took over entries that it did not know to be committed';
const CONFLICT = 'conflict truncated';
const REJECTED = 'append rejected for its previous entry';
const STALE_APPEND = 'append of an older term refused';
const AGAIN = 'entries arrived again and changed nothing';
const NOT_BY_COUNT = 'entry of an earlier term on a majority and not committed';
const WITH_OWN = 'entries of an earlier term committed with one of its own';
const BACK = 'leader went back by a hint';
const LOADED = 'entries loaded for a follower';
const FORWARDED = 'forwarded proposals appended';
const REFUSED = 'forward refused';
const TOLD = 'commit told by a notice';
const READ_WAITS = 'read waits for an entry of this term';
const READ_SERVED = 'read served after a round';
const PAUSED = 'pause forgiven';
const UNSENT = 'forward that never left';
const DISCONNECTED = 'connection lost with something under way';

/** @see Model.coveragePoints */
export const coveragePoints: readonly string[] = [
  ELECTION_WON,
  ELECTION_LOST,
  STALE_LOG,
  SECOND_VOTE,
  HIGHER_TERM,
  QUORUM_LOST,
  KEPT,
  CONFLICT,
  REJECTED,
  STALE_APPEND,
  AGAIN,
  NOT_BY_COUNT,
  WITH_OWN,
  BACK,
  LOADED,
  FORWARDED,
  REFUSED,
  TOLD,
  READ_WAITS,
  READ_SERVED,
  PAUSED,
  UNSENT,
  DISCONNECTED,
  ...preVotePoints,
  ...compactionPoints,
  ...leadershipPoints,
];
type ReceivedMessage = RaftMessage & { readonly round?: number };

function sends(outbound: readonly Outbound<RaftMessage>[], is: (message: RaftMessage) => boolean): boolean {
  return outbound.some((each) => each.kind === 'send' && is(each.message));
}

/** Elections won and lost, and leaders that step down. */
function coverRoles(before: RaftState, after: RaftState, hit: Hit): void {
  if (before.role === after.role) return;
  const [was, is] = [before.role.kind, after.role.kind];
  if (was !== 'leader' && is === 'leader') {
    hit(ELECTION_WON);
    if (before.log.last > before.commit) hit(KEPT);
  }
  if (was === 'candidate' && is === 'candidate' && after.term > before.term) hit(ELECTION_LOST);
  const steppedDown = was === 'leader' && is === 'follower' && !after.stopped;
  if (steppedDown) hit(after.term > before.term ? HIGHER_TERM : QUORUM_LOST);
  if (after.electionTimer.forgiven && !before.electionTimer.forgiven) hit(PAUSED);
}

function coverVote({ after, outbound }: RaftStepFact, before: RaftState, message: RaftMessage, hit: Hit): void {
  if (message.kind !== 'requestVote' || message.term !== after.term) return;
  if (!sends(outbound, (reply) => reply.kind === 'requestVoteReply' && !reply.granted)) return;
  if (after.vote === null) hit(STALE_LOG);
  else if (before.term === after.term) hit(SECOND_VOTE);
}

function coverAppend({ after, outbound }: RaftStepFact, before: RaftState, message: RaftMessage, hit: Hit): void {
  if (message.kind !== 'appendEntries') return;
  if (message.term < after.term) hit(STALE_APPEND);
  else if (sends(outbound, (reply) => reply.kind === 'appendRejected')) hit(REJECTED);
  else if (message.entries.length > 0 && after.log === before.log) hit(AGAIN);
  const cut = message.entries.some(({ index, term }) => (termAt(before.log, index) ?? term) !== term);
  if (cut && after.log !== before.log) hit(CONFLICT);
}

function coverLeader(before: RaftState, after: RaftState, was: RaftLeader, is: RaftLeader, hit: Hit): void {
  if (after.commit > before.commit && termAt(after.log, before.commit + 1) !== after.term) hit(WITH_OWN);
  if (after.commit === before.commit && was.peers !== is.peers) {
    const reached = is.peers.map((peer) => peer.match);
    const index = majorityReached([durableIndex(after.unsynced, after.log.last), ...reached]);
    if (index > after.commit && termAt(after.log, index) !== after.term) hit(NOT_BY_COUNT);
  }
  if (readsOf(is.reads.waiting).length > readsOf(was.reads.waiting).length && after.commit < is.noopIndex)
    hit(READ_WAITS);
}

function coverAnswers({ after, outbound, inbound }: RaftStepFact, message: ReceivedMessage | null, hit: Hit): void {
  const forwarded = message?.kind === 'forwardProposals';
  if (forwarded && leaderOf(after) === after.options.id && sends(outbound, (each) => each.kind === 'appendEntries')) {
    hit(FORWARDED);
  }
  if (sends(outbound, (each) => each.kind === 'forwardRefused')) hit(REFUSED);
  if (sends(outbound, (each) => each.kind === 'commit')) hit(TOLD);
  const ready = outbound.some((each) => each.kind === 'readReady');
  if (ready && message?.kind === 'roundConfirmed') hit(READ_SERVED);
  const leads = after.role.kind === 'leader' && inbound?.kind === 'loaded';
  if (leads && sends(outbound, (each) => each.kind === 'appendEntries' && each.entries.length > 0)) hit(LOADED);
}

/** @see Model.cover */
export function cover(fact: RaftStepFact, hit: Hit): void {
  const { before, after, inbound, outbound } = fact;
  if (before === null || inbound === null) return;
  const step = { before, after, inbound, outbound };
  coverPreVotes(step, hit);
  coverCompaction(step, hit);
  coverLeadership(step, hit);
  if (before !== after) {
    coverRoles(before, after, hit);
    if (inbound.kind === 'unsent') hit(UNSENT);
    if (inbound.kind === 'disconnected') hit(DISCONNECTED);
  }
  const message = inbound.kind === 'receive' ? inbound.message : null;
  if (outbound.length > 0) coverAnswers(fact, message, hit);
  if (message !== null) {
    coverVote(fact, before, message, hit);
    coverAppend(fact, before, message, hit);
  }
  if (before.role.kind !== 'leader' || after.role.kind !== 'leader' || before.role === after.role) return;
  coverLeader(before, after, before.role, after.role, hit);
  if (message?.kind === 'appendRejected' && after.role.peers !== before.role.peers) hit(BACK);
}
