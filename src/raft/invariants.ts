/**
 * The invariants of one replica: what holds of every state, and between a state and the next one. docs/rules.md says
 * where each rule comes from. The checks run in production too (see `Protocol`), so they look at what a step changed.
 * Rules that need the whole cluster are in `evidence/`. Messages that prove safety broken (two leaders in a term, a
 * conflict at or below the commit index) are recognised in `replication.ts`.
 */

import { assert } from '../core/assert.js';
import { itemsOf } from '../core/book.js';
import { checkCoreState, checkCoreStep } from '../core/invariants.js';
import type { UnsyncedRun } from '../core/unsynced.js';
import { lastTerm, termAt } from '../core/log.js';
import { type TermRun, type Inbound, type Index, type SnapshotName } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { majority } from '../core/quorum.js';
import { placeOf } from '../core/state.js';
import type { AppendEntries, RaftMessage } from './messages.js';
import type { RaftCandidate, RaftLeader, RaftProgress, RaftState } from './state.js';

function checkLog({ log, term, unsynced }: RaftState): void {
  for (let at = 1; at < log.runs.length; at++) {
    assert(
      (log.runs[at] as TermRun).term > (log.runs[at - 1] as TermRun).term,
      'raft/terms-rise-in-log: terms rise in the log',
    );
  }
  assert(lastTerm(log) <= term, 'raft/terms-rise-in-log: no entry is of a later term than the replica');
  for (let at = 0; at < unsynced.length; at++) {
    const run = unsynced[at] as UnsyncedRun;
    assert(run.to <= log.last, 'durability/unsynced-runs: what is unsynced is in the log');
    const stands = run.from < log.first || termAt(log, run.from) === run.term;
    assert(stands, 'durability/unsynced-runs: what is unsynced is what is in the log now');
  }
}

function checkProgress(peer: RaftProgress, { log, options }: RaftState, readRound: number): void {
  assert(peer.match < peer.next && peer.next <= log.last + 1, 'raft/match-below-next: match < next ≤ last + 1');
  assert(peer.next >= log.first, 'raft/trimmed-is-not-sent: what is sent next is in the log');
  let bytes = 0;
  let last = peer.match;
  for (const each of peer.inflight) {
    assert(
      each.last > last && (peer.probing || each.last < peer.next),
      'limits/in-flight-adds-up: what is under way lies between match and next',
    );
    last = each.last;
    bytes += each.bytes;
  }
  assert(bytes === peer.inflightBytes, 'limits/in-flight-adds-up: the bytes under way add up');
  const { inflightMessages, inflightBytes } = options.limits;
  const newest = peer.inflight[peer.inflight.length - 1]?.bytes ?? 0;
  const bounded = peer.inflight.length <= inflightMessages && bytes - newest <= inflightBytes;
  assert(bounded, 'limits/in-flight-window: no more is under way than the window takes, and one message');
  const isAlone = peer.inflight.length === 0 || (peer.inflight.length === 1 && peer.asked);
  assert(!peer.probing || isAlone, 'raft/probe-one-at-a-time: a probe is not pipelined');
  assert(peer.readRound <= readRound, 'reads/rounds-in-order: no round is confirmed that was not begun');
}

function checkLeader(state: RaftState, role: RaftLeader): void {
  const { log, term, commit, options, vote } = state;
  assert(vote === options.id, 'raft/candidate-votes-for-itself: a leader voted for itself');
  assert(
    lastTerm(log) === term && (termAt(log, role.noopIndex) ?? term) === term,
    "raft/leader-append-only: a leader's log ends in its term",
  );
  assert(role.peers.length === options.others.length, 'raft/members-only: a leader has one view of each member');
  for (let at = 0; at < role.peers.length; at++) {
    const peer = role.peers[at] as RaftProgress;
    assert(peer.id === options.others[at]?.id, 'raft/members-only: a leader has one view of each member');
    checkProgress(peer, state, role.reads.readRound);
  }
  let bytes = 0;
  let newest = 0;
  for (const each of itemsOf(role.uncommitted)) {
    assert(each.key > commit, 'limits/uncommitted-adds-up: what is committed is not counted as uncommitted');
    bytes += each.bytes;
    newest = each.bytes;
  }
  assert(bytes === role.uncommittedBytes, 'limits/uncommitted-adds-up: the uncommitted bytes add up');
  const bounded = bytes - newest <= options.limits.uncommittedBytes;
  assert(bounded, 'limits/uncommitted-bound: no more is uncommitted than one batch beyond the bound');
  assert(
    role.reads.begun === null || commit >= role.noopIndex,
    'reads/own-term-first: no round begins before an own entry is committed',
  );
}

function checkCandidate({ log, term, vote, options }: RaftState, { votes }: RaftCandidate): void {
  assert(vote === options.id, 'raft/candidate-votes-for-itself: a candidate voted for itself');
  assert(lastTerm(log) < term, 'raft/candidate-term-is-new: no entry is of the term of a candidate');
  for (let at = 0; at < votes.length; at++) {
    const voter = votes[at] as ReplicaId;
    assert(votes.indexOf(voter) === at, 'raft/votes-are-a-set: a vote counts once');
    assert(voter === options.id || placeOf(options, voter) >= 0, 'raft/members-only: only members vote');
  }
}

/** @throws InvariantViolation naming what does not hold */
export function checkState(state: RaftState): void {
  const { log, commit, role } = state;
  checkCoreState(state, commit);
  checkLog(state);
  if (role.kind === 'leader') checkLeader(state, role);
  else if (role.kind === 'candidate') checkCandidate(state, role);
  else {
    assert(role.leader !== state.options.id, 'raft/members-only: a follower does not follow itself');
    assert(role.matched <= log.last, 'raft/append-after-match: what matched the leader is in the log');
  }
}

/** What a follower's log may become by an append: Figure 2, AppendEntries RPC, rules 2 to 4. */
function checkAdopted(before: RaftState, after: RaftState, { prevIndex, prevTerm, entries }: AppendEntries): void {
  const base = before.log.first - 1;
  assert(
    prevIndex < base || termAt(before.log, prevIndex) === prevTerm,
    'raft/append-after-match: entries are adopted behind one that agrees',
  );
  const end = prevIndex + entries.length;
  let conflict = false;
  for (const { index, term } of entries) {
    if (index <= base) continue; // raft/trimmed-matches
    const known = termAt(before.log, index);
    if (known !== undefined && known !== term) conflict = true;
    assert(termAt(after.log, index) === term, 'raft/append-after-match: what is adopted is what was sent');
  }
  const last = conflict ? end : Math.max(before.log.last, end);
  assert(after.log.last === last, 'raft/cut-at-conflict-only: a log is cut at a conflict, and only there');
  const stays = prevIndex < base || termAt(after.log, prevIndex) === prevTerm;
  assert(stays, 'raft/append-after-match: nothing before what is adopted changes');
}

/** A snapshot of a peer, in place of a log that ends below it or disagrees with it; otherwise the suffix stays. */
function checkInstalled(before: RaftState, after: RaftState, { index, term }: SnapshotName): void {
  assert(index > before.commit, 'snapshots/install-above-commit: nothing committed is taken back');
  const matched = termAt(before.log, index) === term;
  const stands = after.commit === index && after.log.first === index + 1 && after.log.baseTerm === term;
  assert(stands, 'snapshots/install-above-commit: the log begins behind the snapshot');
  const last = matched ? before.log.last : index;
  assert(
    after.log.last === last && lastTerm(after.log) === (matched ? lastTerm(before.log) : term),
    'raft/suffix-if-it-matches: what lies behind a snapshot stays if the log agrees with it, and only then',
  );
}

/** Compares terms and bounds alone, since entries may have been evicted from memory. */
function checkLogStep(before: RaftState, after: RaftState, inbound: Inbound<RaftMessage>): void {
  const [was, is] = [before.log, after.log];
  if (was.last === is.last && lastTerm(was) === lastTerm(is) && was.runs === is.runs) return;
  if (inbound.kind === 'install') return checkInstalled(before, after, inbound.snapshot);
  assert(
    termAt(is, before.commit) === termAt(was, before.commit),
    'raft/committed-stays: committed entries are never dropped',
  );
  if (inbound.kind === 'snapshotTaken') {
    const same = is.last === was.last && lastTerm(is) === lastTerm(was);
    return assert(same, 'snapshots/trim-below-snapshot: a trim takes nothing from the end of the log');
  }
  if (inbound.kind === 'receive' && inbound.message.kind === 'appendEntries') {
    return checkAdopted(before, after, inbound.message);
  }
  // A leader may give way at the end of the very step in which it has appended.
  const leads = after.role.kind === 'leader' || before.role.kind === 'leader';
  assert(leads, 'raft/leader-append-only: only a leader appends what nobody sent');
  assert(
    is.last > was.last && termAt(is, was.last) === lastTerm(was),
    'raft/leader-append-only: a leader only appends',
  );
  assert(termAt(is, was.last + 1) === after.term, 'raft/leader-append-only: a leader appends in its term');
}

/** A new leader was a candidate of the same term, with the votes of a majority (§5.2). */
function checkElected(before: RaftState, after: RaftState): void {
  const { role, term, options } = before;
  assert(
    role.kind === 'candidate' && term === after.term,
    'raft/leader-by-majority: a leader was a candidate of that term',
  );
  // The vote that decided the election came in this step, so it is not among those counted before.
  assert(
    role.votes.length + 1 >= majority(options.others.length + 1),
    'raft/leader-by-majority: a leader has votes of a majority',
  );
}

/** A vote goes to a candidate that asked for it and whose log is at least as up to date (§5.4.1). */
function checkVoted(before: RaftState, after: RaftState, inbound: Inbound<RaftMessage>): void {
  const { vote, options, log } = after;
  if (vote === null || vote === options.id || (vote === before.vote && after.term === before.term)) return;
  const asked = inbound.kind === 'receive' && inbound.message.kind === 'requestVote' && inbound.from === vote;
  assert(asked, 'raft/vote-for-the-asker: a vote goes to the candidate that asks for it');
  const { term, lastTerm: theirs, lastIndex } = inbound.message;
  assert(term === after.term, 'raft/vote-for-the-asker: a vote is of the term of its request');
  const own = lastTerm(log);
  assert(
    theirs > own || (theirs === own && lastIndex >= log.last),
    'raft/up-to-date-log: a vote goes to a log that is no worse',
  );
}

/** A leader's knowledge of a peer grows only by answers of this term that echo the id of its progress record. */
function checkAnswers(was: RaftLeader, is: RaftLeader, inbound: Inbound<RaftMessage>): void {
  for (let at = 0; at < is.peers.length; at++) {
    const [old, peer] = [was.peers[at] as RaftProgress, is.peers[at] as RaftProgress];
    if (old === peer || (old.match === peer.match && old.readRound === peer.readRound)) continue;
    const answer = inbound.kind === 'receive' && inbound.from === peer.id ? inbound.message : null;
    assert(
      peer.match >= old.match && peer.readRound >= old.readRound,
      'raft/match-never-falls: a matchIndex never falls',
    );
    if (peer.match > old.match) {
      const match: Index = answer?.kind === 'appendAccepted' && answer.viewId === peer.viewId ? answer.match : 0;
      assert(peer.match <= match, 'raft/answers-name-the-view: a matchIndex rises by an answer to this view');
    }
    if (peer.readRound > old.readRound) {
      const readRound = answer?.kind === 'roundConfirmed' && answer.viewId === peer.viewId ? answer.readRound : 0;
      assert(peer.readRound <= readRound, 'raft/answers-name-the-view: a round is confirmed by an answer to this view');
    }
  }
}

/**
 * A read joins only a round that begins after it; and a round leaves the queue only when a majority, this replica
 * included, has confirmed it, or when its reads have ended.
 */
function checkReadRounds(was: RaftLeader, is: RaftLeader, inbound: Inbound<RaftMessage>): void {
  if (was.reads === is.reads || inbound.kind === 'tick' || inbound.kind === 'cancel') return;
  const { begun } = is.reads;
  const { begun: old } = was.reads;
  assert(
    begun === null || old?.readRound !== begun.readRound || old.reads === begun.reads,
    'reads/no-late-joiner: no read joins a round that had begun',
  );
  const left = begun?.readRound ?? is.reads.readRound + 1;
  const first = old?.readRound ?? was.reads.readRound + 1;
  if (left === first) return;
  let confirmed = 1;
  for (const peer of is.peers) if (peer.readRound >= left - 1) confirmed++;
  assert(
    confirmed >= majority(is.peers.length + 1),
    'reads/confirmed-by-majority: a round of reads is confirmed by a majority',
  );
}

function checkCommitStep(after: RaftState): void {
  const { role, log, commit, term } = after;
  if (role.kind === 'leader')
    assert(termAt(log, commit) === term, 'raft/commit-own-term: a leader commits by an entry of its own term');
  else {
    assert(role.kind === 'follower', 'raft/only-leader-commits: a candidate learns of no commit');
    assert(commit <= role.matched, 'raft/commit-what-matched: a follower commits only what agrees with its leader');
  }
}

/** Whether this is a message of an earlier term; but for forwarded ones, such a message changes nothing. */
function isStale(term: number, inbound: Inbound<RaftMessage>): boolean {
  if (inbound.kind !== 'receive' || inbound.message.term >= term) return false;
  const { kind } = inbound.message;
  return !kind.startsWith('forward') && kind !== 'readAnswer';
}

/** @throws InvariantViolation naming what does not hold */
export function checkStep(before: RaftState, after: RaftState, inbound: Inbound<RaftMessage>): void {
  if (before === after) return;
  checkCoreStep(before, after);
  assert(!isStale(before.term, inbound), 'raft/stale-term-is-ignored: a message of an earlier term changes nothing');
  assert(after.term >= before.term, 'raft/term-never-falls: terms never fall');
  assert(after.commit >= before.commit, 'log/commit-never-falls: the commit index never falls');
  const sameVote = after.term > before.term || before.vote === null || after.vote === before.vote;
  assert(sameVote, 'raft/one-vote-per-term: one vote a term');
  if (before.vote !== after.vote || before.term !== after.term) checkVoted(before, after, inbound);
  if (before.log !== after.log) checkLogStep(before, after, inbound);
  if (before.commit !== after.commit && inbound.kind !== 'install') checkCommitStep(after);
  if (before.role === after.role || after.role.kind !== 'leader') return;
  if (before.role.kind !== 'leader' || before.term !== after.term) checkElected(before, after);
  else {
    checkAnswers(before.role, after.role, inbound);
    checkReadRounds(before.role, after.role, inbound);
  }
}
