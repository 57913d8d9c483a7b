/**
 * The draft of one step of Multi-Paxos: the verbs by which handlers change promise, votes, chosen prefix and role. Each
 * verb asserts the rule that it could break. `promise` and `vote` are for acceptor.ts alone.
 */

import { assert } from '../core/assert.js';
import { BaseDraft, type Mutable } from '../core/draft.js';
import { append, emptyBehind } from '../core/log.js';
import { noteStamps } from '../core/log-time.js';
import type { Entry, HardState, Index, PersistSeq, SnapshotName } from '../core/protocol.js';
import { noteUnsynced } from '../core/unsynced.js';
import type { Ballot } from './ballot.js';
import type { PaxosMessage } from './messages.js';
import {
  copyLeader,
  copyState,
  type Bearing,
  type CatchingUp,
  type PaxosFollower,
  type PaxosLeader,
  type PaxosRole,
  type PaxosState,
  type Serving,
} from './state.js';
import { above, emptyWindow, runsOf, runsThrough, withVotes } from './window.js';

export class PaxosDraft extends BaseDraft<PaxosState, PaxosMessage> {
  protected override copy(state: PaxosState): Mutable<PaxosState> {
    return copyState(state);
  }

  protected override copyLeader(leader: PaxosLeader): Mutable<PaxosLeader> {
    return copyLeader(leader);
  }

  protected override hardState(): HardState {
    const { promised, log } = this.state;
    return { term: promised, vote: null, commit: log.last };
  }

  protected override idleRole(): PaxosFollower {
    return { kind: 'follower', leader: null, ballot: 0 };
  }

  override get commitIndex(): Index {
    return this.state.log.last;
  }

  override termOf(state: PaxosState): Ballot {
    return state.promised;
  }

  // The acceptor's verbs.

  /** Promises to take part in no ballot below `ballot`. */
  promise(ballot: Ballot): void {
    assert(ballot > this.state.promised, 'paxos/promise-never-falls: a promise is only raised');
    const next = this.edit();
    next.promised = ballot;
    next.preVoting = null;
    this.persistHard();
  }

  /** Votes for consecutive slots above the commit index, in the ballot promised. Gives the persist of the votes. */
  vote(entries: readonly Entry[]): PersistSeq {
    const { log, promised } = this.state;
    const head = entries[0] as Entry;
    assert(head.index > log.last, 'paxos/votes-above-commit: no vote at or below the commit index');
    assert(head.term === promised, 'paxos/vote-at-promise: a vote is in the ballot promised');
    const seq = this.persist({ kind: 'put', entries });
    const next = this.edit();
    next.window = withVotes(next.window, entries);
    noteStamps(this, entries);
    next.unsynced = noteUnsynced(next.unsynced, head.index, head.index + entries.length - 1, promised, seq);
    return seq;
  }

  // The learner's verbs.

  /** Raises the commit index to `upTo`, over values for which this replica voted in the ballot that chose them. */
  chooseVoted(upTo: Index): void {
    const next = this.edit();
    let { log } = next;
    const runs = runsThrough(next.window, upTo);
    for (let i = 0; i < runs.length; i++) log = append(log, (runs[i] as (typeof runs)[0]).entries);
    assert(log.last === upTo, 'log/no-gap: the commit index advances over votes without a gap');
    next.log = log;
    next.window = above(next.window, upTo);
    next.reported = above(next.reported, upTo);
  }

  /**
   * Raises the commit index over these chosen entries, which follow it. `foreign` are those for which this replica did
   * not vote in the ballot that chose them: they are put now, in the persist whose hard state carries the new commit
   * index.
   */
  chooseLearned(entries: readonly Entry[], foreign: readonly Entry[]): void {
    const next = this.edit();
    next.log = append(next.log, entries);
    noteStamps(this, entries);
    next.window = above(next.window, next.log.last);
    next.reported = above(next.reported, next.log.last);
    if (foreign.length === 0) return;
    const seq = this.persist({ kind: 'put', entries: foreign });
    for (const { index } of foreign) next.unsynced = noteUnsynced(next.unsynced, index, index, 0, seq);
  }

  /** The chosen prefix begins behind a snapshot of a peer. Votes above it and the promise stay: paxos/votes-stay. */
  install(snapshot: SnapshotName): void {
    const { index } = snapshot;
    this.replaceLog(snapshot, emptyBehind(snapshot), true);
    const next = this.edit();
    next.window = above(next.window, index);
    next.reported = above(next.reported, index);
  }

  /** Notes the commit index that a message of the leader of `ballot` carried. */
  noteLeaderCommit(ballot: Ballot, commit: Index): void {
    const { leaderCommitBallot, leaderCommit } = this.state;
    if (ballot < leaderCommitBallot || (ballot === leaderCommitBallot && commit <= leaderCommit)) return;
    const next = this.edit();
    next.leaderCommitBallot = ballot;
    next.leaderCommit = commit;
  }

  setCatchingUp(catchingUp: CatchingUp | null): void {
    if (catchingUp !== this.state.catchingUp) this.edit().catchingUp = catchingUp;
  }

  setQuorumReads(quorumReads: PaxosState['quorumReads']): void {
    this.edit().quorumReads = quorumReads;
  }

  override halt(fault: string | null): void {
    const reads = this.state.quorumReads.map(({ request }) => request);
    this.refuse(reads, fault === null ? 'stopped' : 'storageFailed', null);
    this.setQuorumReads([]);
    super.halt(fault);
  }

  setServing(serving: readonly Serving[]): void {
    this.edit().serving = serving;
  }

  // The proposer's verbs.

  setRole(role: PaxosRole): void {
    this.putRole(role);
  }

  /** Notes votes of another acceptor, ascending, each in place of one of a lower ballot. */
  noteReported(votes: readonly Entry[]): void {
    if (votes.length === 0) return;
    const next = this.edit();
    for (const run of runsOf(votes)) next.reported = withVotes(next.reported, run);
    noteStamps(this, votes);
  }

  /** Forgets what promises reported: a leader is heard, or this replica leads. */
  forgetReported(): void {
    if (this.state.reported !== emptyWindow) this.edit().reported = emptyWindow;
  }

  setBearing(bearing: Bearing): void {
    const { until, span } = this.state.bearing;
    if (until !== bearing.until || span !== bearing.span) this.edit().bearing = bearing;
  }

  setStrandings(strandings: number): void {
    if (strandings !== this.state.strandings) this.edit().strandings = strandings;
  }

  /** Notes the ballot that a Nack reported. */
  noteBallotSeen(ballot: Ballot): void {
    if (ballot > this.state.highestBallotSeen) this.edit().highestBallotSeen = ballot;
  }
}
