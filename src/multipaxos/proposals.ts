/**
 * Proposals from the host and from peers: proposed at once by a leader, passed on by a follower in one message, and
 * refused without effect where neither is possible. And the ends of waiting: refusals, deadlines, callers that have
 * gone. The identity of an entry is its id at its slot, since a re-vote changes its ballot.
 */

import type {
  Entry,
  Index,
  Milliseconds,
  Outcome,
  Proposal,
  Propose,
  Reason,
  RequestNumber,
} from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { dropReads, type LeaderRead } from '../core/reads.js';
import { endAllAttempts, endCancelled, endExpired, endRefused } from '../core/attempts.js';
import type { PaxosDraft } from './draft.js';
import { propose, roomOf } from './leader.js';
import type { Forward, ForwardedProposal, Refused } from './messages.js';
import { leaderOf, ownReads, type PaxosLeader, type PaxosState } from './state.js';
import { page } from './window.js';

function none(reason: Reason, leader: ReplicaId | null): Outcome {
  return { kind: 'none', reason, leader };
}

function requestsOf(proposals: readonly Proposal[]): readonly RequestNumber[] {
  return proposals.map((proposal) => proposal.request);
}

/** Where a proposal stands above W already, proposed before; 0 if nowhere. */
function slotOf(state: PaxosState, { id }: ForwardedProposal): Index {
  for (const entry of page(state.window, 0, Infinity)[0]) {
    if (entry.id !== null && entry.id.session === id.session && entry.id.sequence === id.sequence) return entry.index;
  }
  return 0;
}

/** Proposes these at the next slots. Gives the first of them. */
function proposeAll(draft: PaxosDraft, lead: PaxosLeader, proposals: readonly ForwardedProposal[]): Index {
  const { ballot, next: first } = lead;
  const entries = new Array<Entry>(proposals.length);
  for (let i = 0; i < proposals.length; i++) {
    const { kind, id, data } = proposals[i] as ForwardedProposal;
    entries[i] = { index: first + i, term: ballot, kind, id, data };
  }
  propose(draft, entries);
  return first;
}

function isRetry(proposal: ForwardedProposal): boolean {
  return proposal.retry;
}

/** A leader's own proposals: as many as there is room for; the rest is busy, without effect. */
function proposeHere(draft: PaxosDraft, proposals: readonly Proposal[], deadline: Milliseconds): void {
  const { state } = draft;
  let fresh = proposals;
  if (proposals.some(isRetry)) {
    const standing = proposals.filter((each) => each.retry && slotOf(state, each) > 0);
    if (standing.length > 0) draft.book(standing, 0, 0, deadline);
    fresh = proposals.filter((each) => !standing.includes(each));
  }
  const lead = state.role as PaxosLeader;
  const room = roomOf(state, lead);
  const taken = fresh.length <= room ? fresh : fresh.slice(0, room);
  if (taken.length > 0) draft.book(taken, proposeAll(draft, lead, taken), 0, deadline);
  if (taken === fresh) return;
  draft.resolve(requestsOf(fresh.slice(room)), none('busy', state.options.id));
}

/** The host has something to replicate. */
export function onPropose(draft: PaxosDraft, { proposals, deadline }: Propose): void {
  const leader = leaderOf(draft.state);
  if (deadline <= draft.now) return draft.resolve(requestsOf(proposals), none('deadline', leader));
  if (leader === null) return draft.resolve(requestsOf(proposals), none('noLeader', null));
  if (proposals.length === 0) return;
  if (draft.state.role.kind === 'leader') return proposeHere(draft, proposals, deadline);
  const number = draft.freshNumber();
  draft.book(proposals, 0, number, deadline);
  const passed = proposals.map(({ kind, id, data, retry }) => ({ kind, id, data, retry }));
  let bytes = 0;
  for (const { data } of proposals) bytes += data.length;
  const lane = bytes > draft.state.options.limits.messageBytes ? 'bulk' : 'control';
  draft.send(leader, { kind: 'forward', number, proposals: passed }, 0, lane);
}

function refuse(draft: PaxosDraft, to: ReplicaId, number: number, reason: Refused['reason']): void {
  draft.send(to, { kind: 'refused', number, reason, leader: leaderOf(draft.state) }, 0, 'control');
}

/** A follower passes proposals on: all are taken, or none. Taking them is not answered; committing them is. */
export function onForward(draft: PaxosDraft, from: ReplicaId, m: Forward): void {
  const { state } = draft;
  const { role } = state;
  if (role.kind !== 'leader') return refuse(draft, from, m.number, 'notLeader');
  const fresh: ForwardedProposal[] = [];
  let through = 0;
  for (const proposal of m.proposals) {
    const slot = proposal.retry ? slotOf(state, proposal) : 0;
    if (slot === 0) fresh.push(proposal);
    through = Math.max(through, slot);
  }
  // More than α at once can never fit: then as many as do are taken, and what is said covers the rest.
  const room = roomOf(state, role);
  const fits = fresh.length <= room || (fresh.length > state.options.alpha && room > 0);
  if (!fits || fresh.length > room) refuse(draft, from, m.number, 'busy');
  if (!fits) return;
  const taken = fresh.slice(0, room);
  if (taken.length > 0) through = proposeAll(draft, role, taken) + taken.length - 1;
  if (through > 0) draft.noteForwarder(from, through);
}

/** What was passed on is refused: a read ends, a proposal may have left a copy elsewhere. */
export function onRefused(draft: PaxosDraft, m: Refused): void {
  draft.end(endRefused(draft.state.attempts, m.number, m.reason, m.leader));
  endReads(draft, (read) => read.forward === m.number, none(m.reason, m.leader));
}

/** Ends the reads that were passed on and for which `ends` holds. */
function endReads(draft: PaxosDraft, ends: (read: PaxosState['reads'][number]) => boolean, outcome: Outcome): void {
  const ended = draft.state.reads.filter(ends);
  if (ended.length === 0) return;
  draft.setReads(draft.state.reads.filter((read) => !ends(read)));
  draft.resolve(ownReads(ended), outcome);
}

/** Ends a leader's own reads for which `ends` holds. */
function endQueued(draft: PaxosDraft, ends: (read: LeaderRead) => boolean, outcome: Outcome): void {
  const { role } = draft.state;
  if (role.kind !== 'leader') return;
  const [reads, ended] = dropReads(role.reads, ends);
  if (ended.length === 0) return;
  draft.ownLeader().reads = reads;
  draft.resolve(ownReads(ended), outcome);
}

/** Ends whatever has waited until its deadline. */
export function expire(draft: PaxosDraft): void {
  const { now } = draft;
  draft.end(endExpired(draft.state.attempts, now));
  endReads(draft, (read) => read.deadline <= now, none('deadline', leaderOf(draft.state)));
  endQueued(draft, (read) => read.deadline <= now, none('deadline', leaderOf(draft.state)));
}

/** Ends what these callers waited for. */
export function onCancel(draft: PaxosDraft, requests: readonly RequestNumber[]): void {
  const gone = new Set(requests);
  draft.end(endCancelled(draft.state.attempts, requests));
  endReads(draft, (read) => gone.has(read.request), none('cancelled', null));
  endQueued(draft, (read) => read.peer === null && gone.has(read.request), none('cancelled', null));
}

/** Ends everything. */
export function endAll(draft: PaxosDraft, reason: Reason): void {
  draft.end(endAllAttempts(draft.state.attempts, reason));
  endReads(draft, () => true, none(reason, null));
  endQueued(draft, (read) => read.peer === null, none(reason, null));
}
