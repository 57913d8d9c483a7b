/** Elections: the box "RequestVote RPC" of Figure 2 (§5.2, §5.4.1), and when silence starts one. */

import { lastTerm } from '../core/log.js';
import type { Milliseconds } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { majority } from '../core/quorum.js';
import { noReads } from '../core/reads.js';
import { checkElectionTimer } from '../core/election-timer.js';
import type { RaftDraft } from './draft.js';
import type { RequestVote, RequestVoteReply } from './messages.js';
import { appendNoop } from './replication.js';
import { broadcast } from './sending.js';
import { voters, type RaftCandidate, type RaftProgress, type RaftState } from './state.js';

/** Tries to lead: a new term, the own vote, and a request to everybody once both are durable. */
export function campaign(draft: RaftDraft): void {
  if (draft.state.role.kind === 'leader') return;
  draft.becomeCandidate();
  const { term, log, options, hardSeq } = draft.state;
  const request: RequestVote = { kind: 'requestVote', term, lastIndex: log.last, lastTerm: lastTerm(log) };
  for (const peer of options.others) draft.send(peer, request, hardSeq, 'control');
}

/** §5.4.1: whether a log that ends so is at least as up to date as ours. */
function isUpToDate(state: RaftState, message: RequestVote): boolean {
  const own = lastTerm(state.log);
  return message.lastTerm > own || (message.lastTerm === own && message.lastIndex >= state.log.last);
}

/** RequestVote RPC, receiver implementation. Our own view of the membership plays no part: raft/vote-by-log-alone. */
export function onRequestVote(draft: RaftDraft, from: ReplicaId, message: RequestVote): void {
  const { state } = draft;
  const current = message.term === state.term;
  const free = state.vote === null || state.vote === from;
  const granted = current && free && state.role.kind === 'follower' && isUpToDate(state, message);
  if (granted) {
    draft.voteFor(from);
    const { role } = draft.state;
    if (role.kind === 'follower') draft.setRole({ ...role, electionTimer: draft.freshElectionTimer() });
  }
  // A grant rests on the durable vote; a refusal on nothing.
  const reply: RequestVoteReply = { kind: 'requestVoteReply', term: draft.state.term, granted };
  draft.send(from, reply, granted ? draft.state.hardSeq : 0, 'control');
}

export function onRequestVoteReply(draft: RaftDraft, from: ReplicaId, message: RequestVoteReply): void {
  const { state } = draft;
  if (!message.granted || message.term !== state.term || state.role.kind !== 'candidate') return;
  countVote(draft, from);
}

/** Votes are a set of names, so a duplicate counts for nothing: raft/votes-are-a-set. */
function countVote(draft: RaftDraft, voter: ReplicaId): void {
  const role = draft.state.role as RaftCandidate;
  if (role.votes.includes(voter)) return;
  draft.setRole({ kind: 'candidate', votes: [...role.votes, voter], electionTimer: role.electionTimer });
  const { votes } = draft.state.role as RaftCandidate;
  if (votes.length >= majority(voters(draft.state))) lead(draft);
}

/** Our own vote counts once it is durable, in a cluster of one too: durability/own-vote-after-sync. */
export function countOwnVote(draft: RaftDraft): void {
  const { state } = draft;
  if (state.role.kind === 'candidate' && state.hardSeq <= state.durableSeq) countVote(draft, state.options.id);
}

function lead(draft: RaftDraft): void {
  const { log, options } = draft.state;
  const viewId = draft.freshNumber();
  const peers = options.others.map(
    (id): RaftProgress => ({
      id,
      viewId,
      match: 0,
      next: log.last + 1,
      probing: true,
      asked: false,
      inflight: [],
      inflightBytes: 0,
      progressed: true,
      heard: false,
      readRound: 0,
      loading: 0,
    }),
  );
  const { timing } = options;
  const alone = peers.length === 0;
  const timeout = timing.electionMax;
  draft.becomeLeader(peers, {
    noopIndex: log.last + 1,
    heartbeatAt: alone ? Infinity : draft.now + timing.heartbeat,
    electionTimer: { deadline: alone ? Infinity : draft.now + timeout, timeout, forgiven: false },
    reads: noReads,
    forwarders: [],
    uncommitted: [],
    uncommittedBytes: 0,
  });
  appendNoop(draft);
  broadcast(draft);
}

/**
 * Silence, or a pause of ours? A follower or candidate that met silence campaigns; a leader that met the silence of a
 * majority steps down, and is silent itself from then on.
 */
export function tickElection(draft: RaftDraft, due: Milliseconds): void {
  const { role, seed, options } = draft.state;
  const verdict = checkElectionTimer(role.electionTimer, seed, due, draft.now, options.timing);
  if (verdict === 'waiting') return;
  if (verdict === 'silence') {
    if (role.kind === 'leader') draft.follow(null);
    else campaign(draft);
    return;
  }
  draft.setSeed(verdict.seed);
  const { deadline, forgiven } = verdict.paused;
  if (role.kind !== 'leader') draft.setRole({ ...role, electionTimer: verdict.paused });
  else if (options.others.length > 0) {
    const { timeout } = role.electionTimer;
    draft.ownLeader().electionTimer = { deadline: Math.max(deadline, draft.now + timeout), timeout, forgiven };
  }
}
