/**
 * Who tries to lead, and when (2.5, for now with randomized timeouts alone), and Phase 1: one Prepare for the whole
 * suffix above W. Nothing here is needed for safety but R3 to R8, which are marked.
 */

import { assert } from '../core/assert.js';
import type { Member, ReplicaId } from '../core/members.js';
import type { Entry, HardState, Index, Milliseconds } from '../core/protocol.js';
import { majority, majorityReached } from '../core/quorum.js';
import { sampleBetween } from '../core/random.js';
import { noReads } from '../core/reads.js';
import { heard, judgeSilence, type Silence } from '../core/election-timer.js';
import { promiseOwn } from './acceptor.js';
import { ballotOf, MAX_ROUND, roundOf, type Ballot } from './ballot.js';
import { noteAhead } from './catch-up.js';
import type { PaxosDraft } from './draft.js';
import { checkOneValue } from './invariants.js';
import { answering, resend } from './leader.js';
import type { Heartbeat, HeartbeatReply, Nack, PromisePage } from './messages.js';
import { newProgress, resume, withAnswer, withChosen, type Progress } from './progress.js';
import { announce, follow, leave } from './roles.js';
import { chosenOf, placeOf, type Leading, type PaxosState, type Preparing, type Promised } from './state.js';
import { page } from './window.js';

function prepare(draft: PaxosDraft, at: number): void {
  const { role, self, hardSeq } = draft.state;
  const { ballot, promises } = role as Preparing;
  const { from } = promises[at] as Promised;
  const { id } = self.others[at] as Member;
  draft.send(id, { kind: 'prepare', ballot, from }, hardSeq, 'control'); // R5: after its own promise is durable
}

/** Takes up a ballot above all that it knows, promises it like any acceptor, and asks everyone (Phase 1a). */
export function campaign(draft: PaxosDraft): void {
  const { self, promised, seen } = draft.state;
  const round = Math.max(roundOf(promised), roundOf(seen)) + 1;
  draft.drawSilence();
  if (round > MAX_ROUND) return;
  leave(draft, null);
  const ballot = ballotOf(round, self.number);
  promiseOwn(draft, ballot); // R4, R5
  const from = chosenOf(draft.state) + 1;
  const promises = self.others.map(() => ({ from, complete: false, chosen: 0, votes: [] }));
  draft.setRole({ kind: 'candidate', ballot, promises, resendAt: draft.now + self.timing.heartbeat });
  announce(draft);
  for (let at = 0; at < promises.length; at++) prepare(draft, at);
}

/** A page of a promise. Of another ballot, or another page than the one waited for, it counts for nothing (R3). */
export function onPromise(draft: PaxosDraft, from: ReplicaId, m: PromisePage): void {
  const { role } = draft.state;
  if (role.kind !== 'candidate' || role.ballot !== m.ballot) return;
  const at = placeOf(draft.state, from);
  const known = role.promises[at] as Promised;
  if (known.complete || known.from !== m.from || !isPage(m)) return;
  const promise: Promised = {
    from: m.next === 0 ? known.from : m.next, // above W_a, as `isPage` sees to
    complete: m.next === 0, // R8: only now does it say something of every slot
    chosen: Math.max(known.chosen, m.chosen),
    votes: [...known.votes, ...m.votes],
  };
  const promises = role.promises.slice();
  promises[at] = promise;
  draft.setRole({ ...role, promises });
  if (!promise.complete) prepare(draft, at);
}

/** Whether the votes are from where they can be: above what was asked for and W_a, below the ballot promised. */
function isPage({ ballot, from, chosen, next, votes }: PromisePage): boolean {
  const first = votes[0];
  const last = votes[votes.length - 1];
  if (next !== 0 && (last === undefined || next <= last.index)) return false;
  if (first !== undefined && first.index < Math.max(from, chosen + 1)) return false;
  return votes.every((vote) => vote.term < ballot);
}

/** The highest-ballot vote of each slot above the floor (R7), ascending. */
function highestVotes(state: PaxosState, promises: readonly Promised[], floor: Index): readonly Entry[] {
  const highest = new Map<Index, Entry>();
  const take = (vote: Entry, from: ReplicaId): void => {
    if (vote.index <= floor) return; // R6
    const known = highest.get(vote.index);
    if (known !== undefined) checkOneValue(known, vote, from);
    if (known === undefined || known.term < vote.term) highest.set(vote.index, vote);
  };
  for (const vote of page(state.window, 0, Infinity)[0]) take(vote, state.self.id);
  promises.forEach(({ complete, votes }, at) => {
    if (complete) for (const vote of votes) take(vote, (state.self.others[at] as Member).id);
  });
  return [...highest.values()].sort((a, b) => a.index - b.index);
}

/** Leads once its own promise is durable and makes a majority with those that are complete. */
export function tryToLead(draft: PaxosDraft): void {
  const { state } = draft;
  const { ballot, promises } = state.role as Preparing;
  if (state.hardSeq > state.durableSeq) return; // R4, R5
  const complete = promises.filter((promise) => promise.complete);
  if (complete.length + 1 < majority(promises.length + 1)) return;
  const floor = complete.reduce((most, { chosen }) => Math.max(most, chosen), chosenOf(state)); // R6
  const carried = highestVotes(state, promises, floor);
  const fence = (carried[carried.length - 1]?.index ?? floor) + 1; // R7, bug 3: never below the floor
  lead(draft, ballot, floor, fence, carried);
  promises.forEach((promise, at) => {
    if (promise.complete && promise.chosen === floor) noteAhead(draft, (state.self.others[at] as Member).id, floor);
  });
}

function lead(draft: PaxosDraft, ballot: Ballot, floor: Index, fence: Index, carried: readonly Entry[]): void {
  const { self } = draft.state;
  const { electionMax } = self.timing;
  const alone = self.others.length === 0;
  const peers = self.others.map(({ id }) => newProgress(id, floor, draft.now));
  draft.setRole({
    kind: 'leader',
    ballot,
    floor,
    fence,
    next: floor + 1,
    carried,
    peers,
    heartbeatAt: Infinity,
    quorum: { deadline: alone ? Infinity : draft.now + electionMax, timeout: electionMax, forgiven: false },
    reads: noReads,
    owed: [],
  });
  announce(draft);
  if (!alone) beat(draft);
}

/** A heartbeat to everyone: the leader is there, and where it stands. */
export function sendHeartbeats(draft: PaxosDraft): void {
  const { ballot, reads, peers } = draft.state.role as Leading;
  const message: Heartbeat = { kind: 'heartbeat', ballot, chosen: chosenOf(draft.state), round: reads.round };
  for (const { id } of peers) {
    draft.send(id, message, 0, 'control');
    draft.noteHearing(id);
  }
}

function beat(draft: PaxosDraft): void {
  draft.leading().heartbeatAt = draft.now + draft.state.self.timing.heartbeat;
  sendHeartbeats(draft);
  resend(draft);
}

/** A peer heard the leader's heartbeat. Gives whether it answers this leader. */
export function onHeartbeatReply(draft: PaxosDraft, from: ReplicaId, m: HeartbeatReply): boolean {
  const at = answering(draft, from, m.ballot);
  if (at < 0) return false;
  const lead = draft.state.role as Leading;
  if (m.round > lead.reads.round) return false;
  let peer = lead.peers[at] as Progress;
  const w = chosenOf(draft.state);
  peer = withChosen(peer, Math.min(m.chosen, w));
  if (peer.probing && peer.sent.length === 0 && m.chosen >= w) peer = resume(peer, w);
  draft.setPeer(at, withAnswer(peer, m.durable, m.round, draft.now));
  noteAhead(draft, from, m.chosen);
  return true;
}

/** An acceptor has promised a higher ballot. Whoever that is, ours is over; a leader tries again soon, above it. */
export function onNack(draft: PaxosDraft, from: ReplicaId, m: Nack): void {
  const { role, self } = draft.state;
  if (role.kind === 'follower' || role.ballot !== m.ballot || m.promised <= role.ballot) return;
  draft.see(m.promised);
  follow(draft, null, 0);
  if (role.kind === 'leader') {
    // One stray promise must not cost an election timeout (2.5); whoever made it campaign may come first.
    const { heartbeat } = self.timing;
    const soon = sampleBetween(draft.state.seed, heartbeat, 2 * heartbeat);
    const { timeout } = draft.state.silence;
    draft.setSilence({ deadline: draft.now + Math.min(soon, timeout), timeout, forgiven: false });
  }
  noteAhead(draft, from, m.chosen);
}

/** A leader's silence counts from when a majority was last heard. */
function quorumSilence(lead: Leading, now: Milliseconds): Silence {
  const times = [now];
  for (const { heardAt } of lead.peers) times.push(heardAt);
  const since = majorityReached(times);
  return since + lead.quorum.timeout > lead.quorum.deadline ? heard(lead.quorum, since) : lead.quorum;
}

function tickLeader(draft: PaxosDraft, due: Milliseconds): void {
  const role = draft.state.role as Leading;
  if (role.peers.length === 0) return;
  const { timing } = draft.state.self;
  const silence = quorumSilence(role, draft.now);
  if (silence !== role.quorum) draft.leading().quorum = silence;
  const verdict = judgeSilence(silence, draft.state.seed, due, draft.now, timing);
  if (verdict === 'silence') return follow(draft, null, 0); // CheckQuorum
  if (verdict !== 'waiting') {
    draft.setSeed(verdict.seed);
    const timeout = timing.electionMax;
    draft.leading().quorum = { deadline: draft.now + timeout, timeout, forgiven: true };
  }
  if (draft.now < role.heartbeatAt) return;
  if (isStranded(draft.state, role)) return campaign(draft);
  beat(draft);
}

/**
 * Nobody that answers knows what is chosen up to the floor: whoever said so in Phase 1 is gone. A majority may still
 * have the votes, so a new Phase 1, without that one, finds them above a lower floor.
 */
function isStranded(state: PaxosState, role: Leading): boolean {
  return chosenOf(state) < role.floor && state.catchingUp === null;
}

/** Whether this replica's own timer counts: a single member is never waiting for others. */
function isTimed({ self, role }: PaxosState): boolean {
  return self.others.length > 0 && role.kind !== 'leader';
}

/** Time has come for something. @param due what the host was asked to tick at */
export function tickElection(draft: PaxosDraft, due: Milliseconds): void {
  const { role, silence, seed, self } = draft.state;
  if (role.kind === 'leader') return tickLeader(draft, due);
  if (!isTimed(draft.state)) return;
  const verdict = judgeSilence(silence, seed, due, draft.now, self.timing);
  if (verdict === 'silence') return campaign(draft);
  if (verdict !== 'waiting') {
    draft.setSeed(verdict.seed);
    draft.setSilence(verdict.paused);
  }
  if (role.kind !== 'candidate' || draft.now < role.resendAt) return;
  draft.setRole({ ...role, resendAt: draft.now + self.timing.heartbeat });
  role.promises.forEach(({ complete }, at) => {
    if (!complete) prepare(draft, at);
  });
}

/** When an election timer, or a leader's heartbeat, is due. */
export function electionDeadline(state: PaxosState): Milliseconds {
  const { role, silence } = state;
  if (role.kind === 'leader') return Math.min(role.heartbeatAt, role.quorum.deadline);
  if (!isTimed(state)) return Infinity;
  return role.kind === 'candidate' ? Math.min(silence.deadline, role.resendAt) : silence.deadline;
}

/** The promise that a recovered replica is bound by: never below any vote that it cast (2.2). */
export function recoveredPromise(hard: HardState | null, votes: readonly Entry[]): Ballot {
  let promised = hard?.term ?? 0;
  for (const { term } of votes) promised = Math.max(promised, term);
  assert(Number.isSafeInteger(promised), 'a promise is a ballot');
  return promised;
}
