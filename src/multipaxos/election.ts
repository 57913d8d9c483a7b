/**
 * Elections: which replica tries to lead, and when. A follower or candidate campaigns when its election timer expires;
 * a leader steps down when its quorum timer does, or when an acceptor has promised a higher ballot. Nothing here is
 * needed for safety ("Paxos Made Simple", §2.4).
 */

import {
  checkElectionTimer,
  deferCampaign,
  mostSpread,
  resetQuorumTimer,
  startElectionTimer,
} from '../core/election-timer.js';
import type { ReplicaId } from '../core/members.js';
import type { Milliseconds } from '../core/protocol.js';
import { seekElection, type ElectionRules } from '../core/pre-vote.js';
import type { TransferRules } from '../core/transfer.js';
import { sampleBetween } from '../core/random.js';
import { isResting, noteAhead } from './catch-up.js';
import type { PaxosDraft } from './draft.js';
import { numberOf, succeeds, type Ballot } from './ballot.js';
import { heartbeat } from './heartbeat.js';
import { noticeRules } from './leader.js';
import type { Nack } from './messages.js';
import { campaign, nextBallot, resendPrepares } from './phase1.js';
import { follow } from './roles.js';
import { commitOf, type PaxosLeader, type PaxosState } from './state.js';

export const electionRules: ElectionRules<PaxosDraft> = {
  withdraw: (draft) => follow(draft, null, 0),
  claim({ state }) {
    return { term: nextBallot(state), lastIndex: commitOf(state), lastTerm: 0 };
  },
  mayLead: ({ state }, { term }) => term > state.promised,
  learnTerm(draft, ballot) {
    const { promised, highestBallotSeen } = draft.state;
    draft.noteBallotSeen(ballot);
    return ballot > Math.max(promised, highestBallotSeen);
  },
  campaign: (draft) => campaign(draft),
};

/** A target that has accepted everything needs no more than one page of each acceptor in its Phase 1. */
export const transferRules: TransferRules<PaxosDraft> = {
  held: noticeRules.held,
  last: ({ leaderRole }) => leaderRole.next - 1,
  withdraw: electionRules.withdraw,
  takeOver(draft) {
    if (!succeeds(nextBallot(draft.state), draft.state.promised)) return false;
    campaign(draft, true);
    return true;
  },
};

/** Whether the ballot is of a member that this leader has sent a Handover, and that did not refuse it. */
function isOfTarget({ role, options }: PaxosState, ballot: Ballot): boolean {
  if (role.kind !== 'leader' || role.transfer === null) return false;
  const { to, number, doubtful } = role.transfer;
  const sender = options.others.find((member) => member.number === numberOf(ballot))?.id;
  return sender !== undefined && (doubtful.includes(sender) || (number !== 0 && to === sender));
}

/**
 * An acceptor has promised a higher ballot: this replica's own ballot is over. A leader campaigns again soon, unless it
 * was a target of its transfer, whose Prepare waits for its disk (liveness/target-is-waited-for).
 */
export function onNack(draft: PaxosDraft, from: ReplicaId, m: Nack): void {
  const { role, options } = draft.state;
  if (role.kind === 'follower' || role.ballot !== m.ballot || m.promised <= role.ballot) return;
  draft.noteBallotSeen(m.promised);
  const handedOver = isOfTarget(draft.state, m.promised);
  follow(draft, null, 0);
  if (role.kind === 'leader' && !handedOver) {
    // A candidate that nobody else promises must not cost an election timeout; if it can lead, it comes first.
    const { heartbeat } = options.timing;
    const soon = sampleBetween(draft.state.seed, heartbeat, 2 * heartbeat);
    const { electionTimer } = draft.state;
    const deadline = draft.now + Math.min(soon, electionTimer.timeout);
    draft.setElectionTimer({ ...electionTimer, deadline, forgiven: false });
  }
  noteAhead(draft, from, m.commit);
}

function tickLeader(draft: PaxosDraft, due: Milliseconds): void {
  const role = draft.leaderRole;
  if (role.peers.length === 0) return;
  resetQuorumTimer(draft);
  if (checkElectionTimer(draft, due)) return follow(draft, null, 0); // no majority has answered
  if (draft.now < role.heartbeatAt) return;
  if (isStranded(draft.state, role)) return giveWay(draft);
  if (commitOf(draft.state) >= role.committedAtElection) draft.setStrandings(0);
  heartbeat(draft);
}

/** A replica that gave way so often in a row waits no longer before it campaigns than one that did once more. */
const MOST_STRANDINGS = 4;

/**
 * A leader that cannot learn lets another one lead, who has more or hears more: it steps down, and campaigns again from
 * the widest range of timeouts only, and twice as late each time that this happens in a row
 * (liveness/stranded-gives-way). A new Phase 1 without the acceptor that reported the commit index reports the votes
 * that the others still have.
 */
function giveWay(draft: PaxosDraft): void {
  const { strandings, options } = draft.state;
  follow(draft, null, 0);
  startElectionTimer(draft, mostSpread(options.timing));
  deferCampaign(draft);
  const { electionTimer } = draft.state;
  const later = (2 ** strandings - 1) * options.timing.electionMax;
  draft.setElectionTimer({ ...electionTimer, deadline: electionTimer.deadline + later });
  draft.setStrandings(Math.min(strandings + 1, MOST_STRANDINGS));
}

/**
 * Whether the leader cannot learn the entries up to `committedAtElection`: all were asked, and nobody answered in time.
 */
function isStranded(state: PaxosState, role: PaxosLeader): boolean {
  const { catchingUp } = state;
  return commitOf(state) < role.committedAtElection && (catchingUp === null || isResting(catchingUp));
}

/** Time has come for something. @param due what the host was asked to tick at */
export function tickElection(draft: PaxosDraft, due: Milliseconds): void {
  const { role, options } = draft.state;
  if (role.kind === 'leader') return tickLeader(draft, due);
  if (options.others.length === 0) return;
  if (checkElectionTimer(draft, due)) return seekElection(draft, electionRules);
  if (role.kind === 'candidate' && draft.now >= role.resendAt) resendPrepares(draft);
}

/** When the election timer, a candidate's next Prepare, or a leader's next heartbeat is due. */
export function electionDeadline({ role, electionTimer, options }: PaxosState): Milliseconds {
  if (role.kind === 'leader') return Math.min(role.heartbeatAt, electionTimer.deadline);
  if (role.kind === 'follower' || options.others.length === 0) return electionTimer.deadline;
  return Math.min(electionTimer.deadline, role.resendAt);
}
