/**
 * Elections: the box "RequestVote RPC" of Figure 2 (§5.2, §5.4.1), and what an expired election timer starts: pre-votes
 * first (`../core/pre-vote.ts`), then the election.
 */

import { isElectionMessage } from '../core/election-messages.js';
import { askForGrants, noGrants } from '../core/lease-reads.js';
import { lastTerm } from '../core/log.js';
import { noteClock, wallTime } from '../core/log-time.js';
import type { Index, Milliseconds } from '../core/protocol.js';
import { refusesElection, seekElection, type ElectionRules } from '../core/pre-vote.js';
import type { TransferRules } from '../core/transfer.js';
import type { ReplicaId } from '../core/members.js';
import { majority } from '../core/quorum.js';
import { noReads } from '../core/reads.js';
import { sizeOf } from '../core/state.js';
import { checkElectionTimer, deferCampaign, resetQuorumTimer, startElectionTimer } from '../core/election-timer.js';
import type { RaftDraft } from './draft.js';
import { MAX_TERM, type RaftMessage, type RequestVote, type RequestVoteReply } from './messages.js';
import { appendNoop } from './replication.js';
import { broadcast, noticeRules } from './sending.js';
import type { RaftCandidate, RaftProgress, RaftState } from './state.js';

/**
 * Starts an election: a new term, the own vote, and RequestVote to all others once both are durable.
 * @param handover the leader of the term before asked for it
 */
export function campaign(draft: RaftDraft, handover = false): void {
  if (draft.state.role.kind === 'leader') return;
  if (draft.state.term >= MAX_TERM) return startElectionTimer(draft); // no honest member gets so far
  draft.becomeCandidate();
  const { term, log, options, hardSeq } = draft.state;
  const last = { lastIndex: log.last, lastTerm: lastTerm(log) };
  const request: RequestVote = { kind: 'requestVote', term, ...last, handover };
  for (const { id } of options.others) draft.send(id, request, hardSeq, 'control');
}

export const electionRules: ElectionRules<RaftDraft> = {
  withdraw: (draft) => draft.follow(null),
  claim({ state: { term, log } }) {
    return { term: Math.min(term + 1, MAX_TERM), lastIndex: log.last, lastTerm: lastTerm(log) };
  },
  mayLead: ({ state }, preVote) => preVote.term > state.term && (preVote.handover || isUpToDate(state, preVote)),
  learnTerm(draft, term) {
    if (term <= draft.state.term) return false;
    draft.yieldTo(term);
    return true;
  },
  campaign: (draft) => campaign(draft),
};

export const transferRules: TransferRules<RaftDraft> = {
  held: noticeRules.held,
  last: ({ state }) => state.log.last,
  withdraw: electionRules.withdraw,
  takeOver(draft) {
    campaign(draft, true);
    return true;
  },
};

/** Whether the candidate's log is at least as up to date as ours (§5.4.1). */
function isUpToDate(state: RaftState, message: Pick<RequestVote, 'lastIndex' | 'lastTerm'>): boolean {
  const own = lastTerm(state.log);
  return message.lastTerm > own || (message.lastTerm === own && message.lastIndex >= state.log.last);
}

/** RequestVote RPC, receiver implementation. */
export function onRequestVote(draft: RaftDraft, from: ReplicaId, message: RequestVote): void {
  const { state } = draft;
  const current = message.term === state.term;
  const free = state.vote === null || state.vote === from;
  const granted = current && free && state.role.kind === 'follower' && isUpToDate(state, message);
  if (granted) {
    draft.voteFor(from);
    startElectionTimer(draft);
    deferCampaign(draft);
  }
  // A grant rests on the durable vote; a refusal on nothing.
  const reply: RequestVoteReply = { kind: 'requestVoteReply', term: draft.state.term, granted, wall: wallTime(draft) };
  draft.send(from, reply, granted ? draft.state.hardSeq : 0, 'control');
}

/** A vote, if it is granted in the term of this candidate. */
export function onRequestVoteReply(draft: RaftDraft, from: ReplicaId, message: RequestVoteReply): void {
  const { state } = draft;
  if (!message.granted || message.term !== state.term || state.role.kind !== 'candidate') return;
  noteClock(draft, from, message.wall);
  countVote(draft, from);
}

/** Counts a vote, once for each voter, and leads with those of a majority (§5.2). */
function countVote(draft: RaftDraft, voter: ReplicaId): void {
  const { votes } = draft.state.role as RaftCandidate;
  if (votes.includes(voter)) return;
  draft.countVotes([...votes, voter]);
  if (votes.length + 1 >= majority(sizeOf(draft.state.options))) lead(draft);
}

/** Counts the own vote once it is durable; also in a cluster of one. */
export function countOwnVote(draft: RaftDraft): void {
  const { state } = draft;
  if (state.role.kind === 'candidate' && state.hardSeq <= state.durableSeq) countVote(draft, state.options.id);
}

function newProgress(id: ReplicaId, viewId: number, next: Index, now: Milliseconds): RaftProgress {
  return {
    id,
    viewId,
    match: 0,
    next,
    probing: true,
    asked: false,
    inflight: [],
    inflightBytes: 0,
    lane: 'control',
    progressedAt: 0,
    questioned: false,
    answeredAt: now,
    readRound: 0,
    loading: 0,
  };
}

/** Becomes leader: initializes nextIndex and matchIndex, appends a no-op and sends it (§5.2, §8). */
function lead(draft: RaftDraft): void {
  const { log, options } = draft.state;
  const viewId = draft.freshNumber();
  const peers = options.others.map(({ id }) => newProgress(id, viewId, log.last + 1, draft.now));
  draft.becomeLeader({
    kind: 'leader',
    peers,
    noopIndex: log.last + 1,
    heartbeatAt: peers.length === 0 ? Infinity : draft.now + options.timing.heartbeat,
    reads: noReads,
    told: peers.map(() => 0),
    forwarded: peers.map(() => 0),
    standing: null,
    grants: noGrants(options),
    transfer: null,
    giveWayAt: Infinity,
    preferred: null,
    uncommitted: null,
    uncommittedBytes: 0,
  });
  appendNoop(draft);
  broadcast(draft);
  askForGrants(draft);
}

/** When the timer has expired, a follower or candidate campaigns, and a leader steps down (Ongaro's thesis 6.2). */
export function tickElection(draft: RaftDraft, due: Milliseconds): void {
  if (draft.state.role.kind === 'leader' && draft.state.role.peers.length > 0) resetQuorumTimer(draft);
  if (!checkElectionTimer(draft, due)) return;
  if (draft.state.role.kind === 'leader') draft.follow(null);
  else seekElection(draft, electionRules);
}

/**
 * Whether the term of this message is to be taken over (Rules for Servers). One that a pre-vote names has not begun;
 * and while this replica hears a leader, nobody deposes it by asking for a vote (thesis 4.2.3), unless that leader
 * handed over: only its own target asks so for the next term (liveness/handover-passes-stickiness).
 */
export function bringsTerm(draft: RaftDraft, from: ReplicaId, message: RaftMessage): boolean {
  if (message.term <= draft.state.term || isElectionMessage(message)) return false;
  if (message.kind !== 'requestVote') return true;
  const isHandover = message.handover && message.term === draft.state.term + 1;
  return isHandover || !refusesElection(draft, from);
}
