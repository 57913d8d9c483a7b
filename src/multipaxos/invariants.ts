/**
 * The invariants of one replica: what holds of every state, and between a state and the next one. docs/rules.md says
 * where each rule comes from. The checks run in production too (see `Protocol`), so they look at what a step changed.
 * Rules that need the whole cluster are in `evidence/`. The first functions recognise messages that prove safety
 * broken.
 */

import { assert, InvariantViolation } from '../core/assert.js';
import { sameValue } from '../core/entries.js';
import { checkCoreState, checkCoreStep } from '../core/invariants.js';
import { entryAt, lastTerm, slice, termAt, type Log } from '../core/log.js';
import type { Member, ReplicaId } from '../core/members.js';
import type { Entry, Inbound, Milliseconds } from '../core/protocol.js';
import { leastPatience } from '../core/tuning.js';
import { numberOf, type Ballot } from './ballot.js';
import type { PaxosMessage } from './messages.js';
import { nextOverdue, type PaxosProgress } from './progress.js';
import { NO_END, pagesHold } from './ranges.js';
import { commitOf, type PaxosLeader, type PaxosState, type PaxosCandidate, type PromiseProgress } from './state.js';
import { reach, voteAt } from './window.js';

/** @throws InvariantViolation when one slot has two values in one ballot */
export function checkOneValue(ours: Entry, theirs: Entry, from: ReplicaId): void {
  if (ours.term !== theirs.term || sameValue(ours, theirs)) return;
  throw new InvariantViolation('paxos/one-value-per-ballot: two values for one slot and ballot', {
    from,
    ours,
    theirs,
  });
}

/** @throws InvariantViolation when a chosen value is not the one that was chosen before */
export function checkChosen(ours: Entry, theirs: Entry, from: ReplicaId): void {
  if (sameValue(ours, theirs)) return;
  throw new InvariantViolation('paxos/one-value-per-slot: two values chosen for one slot', { from, ours, theirs });
}

/** @throws InvariantViolation when a proposal contradicts the own vote, or the chosen entry in memory, of its ballot */
export function checkProposal(state: PaxosState, proposal: Entry, from: ReplicaId): void {
  const { index } = proposal;
  const ours = index <= commitOf(state) ? entryAt(state.log, index) : voteAt(state.window, index);
  if (ours !== undefined) checkOneValue(ours, proposal, from);
}

function checkWindow({ window, promised, log }: PaxosState): void {
  let last = log.last;
  for (const { from, ballot, entries } of window.runs) {
    const head = entries[0];
    const tail = entries[entries.length - 1];
    assert(head !== undefined && from > last, 'paxos/votes-above-commit: votes are in runs that never overlap');
    last = from + entries.length - 1;
    const stands = head.index === from && tail?.index === last && head.term === ballot && tail.term === ballot;
    assert(stands, 'paxos/votes-by-slot: a vote stands under its slot and ballot');
    assert(ballot <= promised, 'paxos/vote-at-promise: no vote is above the promise');
  }
}

function checkLog({ log }: PaxosState): void {
  const { chunks, first, last, runs, tailFrom } = log;
  assert(tailFrom <= last + 1 && tailFrom >= first, 'log/tail-is-whole: the tail is a part of the log');
  let next = tailFrom;
  for (const { from, entries } of chunks) {
    assert(from === next, 'log/tail-is-whole: the tail has no gap');
    next += entries.length;
  }
  assert(next === last + 1, 'log/tail-is-whole: the tail reaches the commit index');
  const newest = entryAt(log, last);
  assert(newest === undefined || newest.term === lastTerm(log), 'log/tail-is-whole: the tail agrees with its ballots');
  assert((runs[runs.length - 1]?.from ?? 0) <= last, 'log/tail-is-whole: no ballot lies beyond the commit index');
}

function checkProgress(peer: PaxosProgress, role: PaxosLeader, most: Milliseconds): void {
  assert(peer.match < role.next && peer.next <= role.next, 'paxos/acks-by-slot: nobody accepts what was not proposed');
  assert(peer.readRound <= role.reads.readRound, 'reads/rounds-in-order: no round is answered that was not begun');
  let last = peer.match;
  for (const { from, to } of peer.beyond) {
    assert(from > last + 1 && from <= to && to < role.next, 'paxos/acks-by-slot: ranges beyond a gap stay apart');
    last = to;
  }
  assert(peer.sentTo < role.next, 'paxos/acks-by-slot: nothing is sent that was not proposed');
  let bytes = 0;
  last = 0;
  for (const sent of [...peer.inflight].sort((a, b) => a.from - b.from)) {
    bytes += sent.bytes;
    const apart = sent.from > last && sent.from <= sent.to && sent.to <= peer.sentTo;
    assert(apart, 'limits/in-flight-adds-up: what is under way counts once');
    last = sent.to;
  }
  assert(bytes === peer.inflightBytes, 'limits/in-flight-adds-up: the bytes under way add up');
  const due = nextOverdue(peer, most);
  assert(peer.overdueAt === due, 'limits/lost-by-evidence: what is overdue follows from what is under way');
}

function checkLeader(state: PaxosState, role: PaxosLeader): void {
  const { options, promised, window } = state;
  const commit = commitOf(state);
  const own = role.ballot === promised && numberOf(role.ballot) === options.number;
  assert(own, 'paxos/own-acceptor: a leader has promised its own ballot');
  assert(state.hardSeq <= state.durableSeq, "paxos/ballot-used-once: a leader's ballot is durable");
  assert(
    role.next > role.committedAtElection && role.next > commit && role.noopIndex > role.committedAtElection,
    'paxos/propose-above-reported-commit: nothing chosen is proposed',
  );
  const from = Math.max(commit, role.committedAtElection) + 1;
  const voted = reach(window, from, role.next - 1, role.ballot) === Math.max(role.next, from) - 1;
  assert(voted, 'paxos/own-acceptor: what a leader proposed, it has voted for');
  assert(
    commit < role.committedAtElection || role.next <= commit + options.alpha + 1,
    'paxos/alpha-window: nothing is proposed beyond the commit index + α',
  );
  let before = role.next - 1;
  for (const { index } of role.toRepropose) {
    assert(
      index > before && index < role.noopIndex,
      'paxos/highest-ballot-value: values to repropose lie ahead, in order',
    );
    before = index;
  }
  assert(role.peers.length === options.others.length, 'paxos/answers-to-this-ballot: one view a member');
  for (let at = 0; at < role.peers.length; at++) {
    const peer = role.peers[at] as PaxosProgress;
    assert(peer.id === options.others[at]?.id, 'paxos/answers-to-this-ballot: one view a member');
    checkProgress(peer, role, leastPatience(options.timing));
  }
}

function checkCandidate({ options, promised }: PaxosState, role: PaxosCandidate): void {
  const own = role.ballot === promised && numberOf(role.ballot) === options.number;
  assert(own, 'paxos/own-acceptor: a candidate has promised its own ballot');
  assert(
    role.promises.length === options.others.length,
    'paxos/phase1-majority: promises are kept in the order of the others',
  );
  for (const { upTo, beyond } of role.promises) {
    let last = upTo;
    for (const { from, to } of beyond) {
      assert(from > last + 1 && from <= to, 'paxos/pages-cover-all: what is covered beyond a gap stays apart');
      last = to;
    }
  }
}

/** What promises reported lies above the commit index, and above the own vote of its slot. */
function checkReported({ reported, window, log, promised, role }: PaxosState): void {
  let last = log.last;
  for (const { from, ballot, entries } of reported.runs) {
    assert(from > last, 'paxos/promise-reports-votes: what is reported is kept once, above the commit index');
    last = from + entries.length - 1;
    assert(ballot < promised, 'paxos/phase1-majority: no vote of a promise is in the ballot promised');
    const [first, end] = [voteAt(window, from), voteAt(window, last)];
    const isHigher = (first?.term ?? 0) < ballot && (end?.term ?? 0) < ballot;
    assert(isHigher, 'paxos/highest-ballot-value: of what is reported the highest ballots are kept');
  }
  assert(
    role.kind !== 'leader' || last === log.last,
    'paxos/promise-reports-votes: a leader has proposed what it was told',
  );
}

/** @throws InvariantViolation when a state contradicts itself */
export function checkState(state: PaxosState): void {
  const { role } = state;
  checkCoreState(state, commitOf(state));
  checkLog(state);
  checkWindow(state);
  checkReported(state);
  if (role.kind === 'leader') checkLeader(state, role);
  else if (role.kind === 'candidate') checkCandidate(state, role);
}

/** A vote above the commit index stays, or is replaced by one in a later ballot. */
function checkVotesKept(before: PaxosState, after: PaxosState): void {
  const commit = commitOf(after);
  for (const run of before.window.runs) {
    if (after.window.runs.includes(run)) continue;
    for (const entry of run.entries) {
      if (entry.index <= commit) continue;
      const now = voteAt(after.window, entry.index);
      if (now === entry) continue;
      assert(
        now !== undefined && now.term >= entry.term,
        "paxos/votes-stay: a vote is replaced by a later ballot's only",
      );
      assert(
        now.term > entry.term || sameValue(now, entry),
        'paxos/one-value-per-ballot: a vote is never changed within its ballot',
      );
    }
  }
}

/** New votes are in the ballot promised, at most α above the commit index, and made by an Accept or as leader. */
function checkVotesMade(before: PaxosState, after: PaxosState, message: Inbound<PaxosMessage> | undefined): void {
  const highest = commitOf(after) + after.options.alpha;
  // A leader may give way at the end of the very step in which it has proposed.
  const leads = after.role.kind === 'leader' || before.role.kind === 'leader';
  const accepts = message === undefined || (message.kind === 'receive' && message.message.kind === 'accept');
  for (const run of after.window.runs) {
    if (before.window.runs.includes(run)) continue;
    for (const entry of run.entries) {
      if (voteAt(before.window, entry.index) === entry) continue;
      assert(entry.term === after.promised, 'paxos/vote-at-promise: a new vote is in the ballot promised');
      assert(entry.index <= highest, 'paxos/alpha-window: no vote lies beyond the commit index + α');
      assert(leads || accepts, 'paxos/vote-by-accept: only an Accept makes a vote');
    }
  }
}

/** Whether the step may raise the promise: by a Prepare, Accept or Heartbeat, or by campaigning. */
function mayPromise(message: Inbound<PaxosMessage>): boolean {
  const kind = message.kind === 'receive' ? message.message.kind : message.kind;
  return /^(?:tick|campaign|prepare|accept|heartbeat|preVoteReply|handover)$/.test(kind);
}

/** Whether the step may raise the commit index: by one of these messages, or by the own vote that became durable. */
function mayCommit(message: Inbound<PaxosMessage>): boolean {
  if (message.kind !== 'receive') return message.kind === 'persisted' || message.kind === 'install';
  switch (message.message.kind) {
    case 'accepted':
    case 'accept':
    case 'heartbeat':
    case 'commit':
    case 'readAnswer':
    case 'catchUpReply':
      return true;
    default:
      return false;
  }
}

/** The entries that the step committed, as far as they are still in memory. */
function newlyCommitted(before: Log, after: Log): readonly Entry[] {
  const from = Math.max(before.last + 1, after.tailFrom);
  const entries = slice(after, from, after.last, Infinity) ?? [];
  for (let at = 0; at < entries.length; at++) {
    const { index, term } = entries[at] as Entry;
    const within = at > 0 && at < entries.length - 1 && term === (entries[at - 1] as Entry).term;
    const agrees = index === from + at && (within || term === termAt(after, index));
    assert(agrees, 'log/tail-is-whole: the tail agrees with its ballots');
  }
  return entries;
}

/** The commit index rises over own votes in the leader's ballot, or by pages; at a leader over its own proposals. */
function checkCommitStep(before: PaxosState, after: PaxosState, message: Inbound<PaxosMessage> | undefined): void {
  assert(message === undefined || mayCommit(message), 'paxos/learned-is-chosen: this message makes nothing chosen');
  const { role } = after;
  const learned = message === undefined || (message.kind === 'receive' && message.message.kind === 'catchUpReply');
  for (const entry of newlyCommitted(before.log, after.log)) {
    if (role.kind === 'leader') {
      if (entry.index <= role.committedAtElection) continue;
      const own = voteAt(before.window, entry.index);
      const fits = own?.term === role.ballot && sameValue(own, entry);
      assert(fits, 'paxos/yield-to-chosen: a leader leads on only while what it proposed is what is chosen');
    } else if (!learned && !pagesHold(before.catchingUp?.ahead ?? [], entry)) {
      const covered = entry.term === after.leaderCommitBallot && entry.index <= after.leaderCommit;
      assert(
        covered,
        'paxos/commit-by-own-ballot: the commit index of a leader holds for votes in its own ballot only',
      );
    }
  }
}

/** Whether the message is the page that this promise lacked. */
function completes(
  { upTo, beyond }: PromiseProgress,
  peer: ReplicaId,
  ballot: Ballot,
  message?: Inbound<PaxosMessage>,
): boolean {
  if (message?.kind !== 'receive' || message.from !== peer || message.message.kind !== 'promise') return false;
  const m = message.message;
  if (m.ballot !== ballot) return false;
  // Not by `withPage`: a check must not use the function that it checks.
  const ranges = [...beyond, { from: m.from, to: m.next === 0 ? NO_END : m.next - 1 }].sort((a, b) => a.from - b.from);
  let end = Math.max(upTo, m.commit);
  for (const { from, to } of ranges) if (from <= end + 1) end = Math.max(end, to);
  return end === NO_END;
}

/** A new leader had complete promises of a majority in its own ballot, and proposes above all their commit indexes. */
function checkElected(before: PaxosState, role: PaxosLeader, message: Inbound<PaxosMessage> | undefined): void {
  const was = before.role;
  const { others } = before.options;
  assert(
    was.kind === 'candidate' && was.ballot === role.ballot,
    'paxos/phase1-majority: only a candidate leads, in its ballot',
  );
  let promises = 1;
  for (let at = 0; at < was.promises.length; at++) {
    const promise = was.promises[at] as PromiseProgress;
    if (promise.upTo !== NO_END && !completes(promise, (others[at] as Member).id, role.ballot, message)) continue;
    promises++;
    assert(promise.commit <= role.committedAtElection, 'paxos/propose-above-reported-commit: above all promises');
  }
  // Not by `majority`: a check must not use the function that it checks.
  if (message !== undefined)
    assert(2 * promises > was.promises.length + 1, 'paxos/phase1-majority: a majority has promised');
  assert(commitOf(before) <= role.committedAtElection, 'paxos/propose-above-reported-commit: above all promises');
}

/** Whether a message is an answer to another ballot than this leader's. */
function isStale(message: Inbound<PaxosMessage> | undefined, { ballot }: PaxosLeader): boolean {
  if (message?.kind !== 'receive') return false;
  const { kind } = message.message;
  return (kind === 'accepted' || kind === 'heartbeatReply') && message.message.ballot !== ballot;
}

/** Within a leadership its ballot, `committedAtElection` and no-op stay, and its progress records never fall back. */
function checkLeaderStep(was: PaxosLeader, role: PaxosLeader, message: Inbound<PaxosMessage> | undefined): void {
  const stands =
    was.ballot === role.ballot &&
    was.committedAtElection === role.committedAtElection &&
    was.noopIndex === role.noopIndex;
  assert(stands && was.next <= role.next, 'paxos/one-leadership-per-ballot: a leadership has one start and one no-op');
  assert(was.reads.readRound <= role.reads.readRound, 'reads/rounds-in-order: rounds are counted upwards');
  assert(was.peers === role.peers || !isStale(message, was), 'paxos/answers-to-this-ballot: no other answers count');
  for (let at = 0; at < role.peers.length; at++) {
    const [old, now] = [was.peers[at] as PaxosProgress, role.peers[at] as PaxosProgress];
    if (old !== now)
      assert(old.match <= now.match && old.durable <= now.durable, 'paxos/acks-by-slot: what is acknowledged stays so');
  }
}

/**
 * @param message what the step took, to check what it was allowed to change
 * @throws InvariantViolation when a step broke what must hold between two states
 */
export function checkStep(before: PaxosState, after: PaxosState, message?: Inbound<PaxosMessage>): void {
  if (before === after) return;
  checkCoreStep(before, after);
  assert(after.promised >= before.promised, 'paxos/promise-never-falls: a promise is never lowered');
  const allowed = after.promised === before.promised || message === undefined || mayPromise(message);
  assert(allowed, 'paxos/promise-never-falls: only Prepare, Accept, Heartbeat and an own campaign promise');
  if (before.log !== after.log) {
    assert(commitOf(after) >= commitOf(before), 'log/commit-never-falls: the commit index never falls');
    const old = entryAt(before.log, commitOf(before));
    const now = entryAt(after.log, commitOf(before));
    assert(old === undefined || now === undefined || old === now, 'paxos/one-value-per-slot: a chosen value stays');
    if (commitOf(after) > commitOf(before)) checkCommitStep(before, after, message);
  }
  if (before.window !== after.window) {
    checkVotesKept(before, after);
    checkVotesMade(before, after, message);
  }
  if (before.role === after.role || after.role.kind !== 'leader') return;
  if (before.role.kind === 'leader') checkLeaderStep(before.role, after.role, message);
  else checkElected(before, after.role, message);
}
