/**
 * What a message claims when it leaves, held against the disk of its sender (durability/send-after-sync), against what
 * the sender promised before, and against the log of the leader that it answers (raft/match-is-durable).
 */

import { termAt, type Log } from '../../core/log.js';
import type { ReplicaId } from '../../core/members.js';
import type { Term } from '../../core/protocol.js';
import type { AppendAccepted } from '../messages.js';
import { promiseOf, violated, winnerOf, withPromise, type RaftGhost, type RaftPromise } from './ghost.js';
import { viewOf, type RaftCluster, type RaftSendFact } from './rules.js';

/** How many entries of an acknowledgement are compared, from its end: those below were compared before. */
const COMPARED = 8;

/** The vote of the sender that the message implies, `null` if none; `undefined` if it rests on nothing durable. */
function voteIn({ from, to, message }: RaftSendFact): ReplicaId | null | undefined {
  switch (message.kind) {
    case 'requestVote':
    case 'appendEntries':
      return from;
    case 'requestVoteReply':
      return message.granted ? to : undefined;
    case 'appendAccepted':
      return null;
    default:
      return undefined;
  }
}

/** A replica claims one vote in a term, also after restarts. */
function checkVote(known: RaftPromise, term: Term, vote: ReplicaId | null): void {
  if (known.term !== term || known.vote === null || vote === null || known.vote === vote) return;
  violated('raft/one-vote-per-term: one vote a term', { replica: known.replica, term, votes: [known.vote, vote] });
}

/** The term and the vote that a message rests on are durable when it leaves. */
function checkPromised({ from, message }: RaftSendFact, vote: ReplicaId | null, cluster: RaftCluster): void {
  const { hard } = viewOf(cluster, from).disk;
  const { term, kind } = message;
  const held = hard?.term ?? 0;
  if (held > term || (held === term && (vote === null || hard?.vote === vote))) return;
  violated('durability/send-after-sync: term and vote are durable before they are sent', {
    from,
    message: kind,
    term,
    vote,
    durable: hard,
  });
}

/** The log of a leader of that term while it leads. */
function leadersLog(ghost: RaftGhost, term: Term, cluster: RaftCluster): Log | null {
  const leader = winnerOf(ghost, term);
  const state = leader === undefined ? null : viewOf(cluster, leader).state;
  return state !== null && state.role.kind === 'leader' && state.term === term ? state.log : null;
}

/** What is acknowledged is durable, as it stands in the sender's log, and agrees with the leader's log. */
function checkAccepted(ghost: RaftGhost, from: ReplicaId, accepted: AppendAccepted, cluster: RaftCluster): void {
  const { term, match } = accepted;
  const { disk, state } = viewOf(cluster, from);
  // In a later term it may have dropped what it acknowledged, and says so too late.
  if ((disk.hard?.term ?? 0) > term) return;
  const own = state !== null && state.term === term ? state.log : null;
  const leaders = leadersLog(ghost, term, cluster);
  for (let index = match; index > 0 && index > match - COMPARED; index--) {
    const found = disk.entry(index)?.term;
    const broken =
      found === undefined
        ? 'durability/send-after-sync: what is acknowledged is durable'
        : own !== null && index >= own.first - 1 && termAt(own, index) !== found
          ? 'durability/send-after-sync: what is acknowledged is durable as it stands'
          : leaders !== null && index >= leaders.first - 1 && termAt(leaders, index) !== found
            ? "raft/match-is-durable: what is acknowledged is the leader's"
            : null;
    if (broken !== null) violated(broken, { from, term, match, index, durable: found ?? null });
  }
}

/** Checks what a message claims. Gives the ghost with what its sender has promised by it. */
export function checkClaims(ghost: RaftGhost, fact: RaftSendFact, cluster: RaftCluster): RaftGhost {
  const vote = voteIn(fact);
  if (vote === undefined) return ghost;
  checkPromised(fact, vote, cluster);
  const { from, message } = fact;
  const { term } = message;
  if (message.kind === 'appendAccepted') checkAccepted(ghost, from, message, cluster);
  const known = promiseOf(ghost, from);
  if (known !== undefined) {
    checkVote(known, term, vote);
    const newer = term > known.term || (term === known.term && known.vote === null && vote !== null);
    if (!newer) return ghost;
  }
  return withPromise(ghost, { replica: from, term, vote });
}
