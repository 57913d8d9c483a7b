/**
 * Raft's invariants: each rule finds what breaks it, and is content just before; on Raft as it is, over random runs,
 * all of them are quiet and every coverage point is met. That they kill
 * mutants of the source is the business of the mutation gate.
 */

import { describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../../src/core/assert.js';
import { withItem, withNewest } from '../../../src/core/book.js';
import { append, emptyLog, truncate } from '../../../src/core/log.js';
import type { ClusterView, DiskView } from '../../../src/core/model.js';
import type { Entry, HardState, Inbound } from '../../../src/core/protocol.js';
import { raftModel, type RaftGhost, type RaftMessage, type RaftState } from '../../../src/raft/index.js';
import type { RaftLeader, RaftProgress } from '../../../src/raft/state.js';
import { entry, logOf, Node } from '../support.js';

const { safety, protocol } = raftModel;
const { checkState, checkStep } = protocol;
const EMPTY = safety.initial;
/** More bytes than any limit. */
const far = 2 ** 41;

/** The rule that was broken, by the first words of what was thrown; `quiet` if none was. */
function ruleOf(work: () => unknown): string {
  try {
    work();
    return 'quiet';
  } catch (error) {
    if (!(error instanceof InvariantViolation)) throw error;
    return error.message.split(': {')[0] as string;
  }
}

const hardOf = (term: number, vote: string | null = null): HardState => ({ term, vote, commit: 0 });

function diskOf(hard: HardState | null, terms: readonly number[]): DiskView {
  const entries = logOf(...terms);
  return { hard, last: terms.length, entry: (index) => entries[index - 1] };
}

interface Place {
  readonly state?: RaftState;
  readonly hard?: HardState;
  readonly disk?: readonly number[];
}

/** A cluster of three: what is not given is down, with an empty disk. */
function clusterOf(places: Readonly<Record<string, Place>>): ClusterView<RaftState> {
  const replicas = ['a', 'b', 'c'].map((id) => {
    const { state = null, hard = null, disk = [] } = places[id] ?? {};
    return { id, state, disk: diskOf(hard, disk) };
  });
  return { replicas, committed: { last: 0, entry: () => undefined } };
}

/** A follower of term 1 or the term of its last entry, with such a log. */
function followerOf(id: string, ...terms: number[]): RaftState {
  return new Node(id, 3, hardOf(Math.max(1, ...terms)), logOf(...terms)).state;
}

/** It leads the term after that of its last entry; its noop is the last in its log. */
function leaderOf(id: string, ...terms: number[]): RaftState {
  const node = new Node(id, 3, hardOf(Math.max(1, ...terms)), logOf(...terms));
  node.lead('b');
  node.sync();
  return node.state;
}

function step(before: RaftState | null, after: RaftState, places: Record<string, Place>, ghost: RaftGhost = EMPTY) {
  const replica = after.options.id;
  const fact = { replica, before, after, inbound: null, outbound: [] };
  return safety.step(ghost, fact, clusterOf({ [replica]: { state: after }, ...places }));
}

function withPeer(state: RaftState, change: Partial<RaftProgress>): RaftState {
  const role = state.role as RaftLeader;
  const peers = role.peers.map((peer) => (peer.id === 'b' ? { ...peer, ...change } : peer));
  return { ...state, role: { ...role, peers } };
}

const ghostOf = (change: Partial<RaftGhost>): RaftGhost => ({ ...EMPTY, ...change });
const voted = { hard: hardOf(2, 'a') };
const twoVotes = { a: voted, b: voted };

describe('a win', () => {
  const candidate = followerOf('a', 1, 1);
  const leader = leaderOf('a', 1, 1);
  const win = (places: Record<string, Place>, ghost?: RaftGhost): string =>
    ruleOf(() => step(candidate, leader, { ...places, a: { state: leader, ...places['a'] } }, ghost));

  it('comes once a term', () => {
    expect(win(twoVotes, ghostOf({ wins: [{ term: 1, leader: 'b' }] }))).toBe('quiet');
    expect(win(twoVotes, ghostOf({ wins: [{ term: 2, leader: 'b' }] }))).toBe(
      'raft/one-leader-per-term: a term is won once',
    );
    expect(step(candidate, leader, twoVotes).wins).toEqual([{ term: 2, leader: 'a' }]);
  });

  it('rests on durable votes of a majority', () => {
    expect(win({ a: voted, c: { hard: hardOf(3, 'b') } })).toBe('quiet'); // its vote of term 2 is not known any more
    for (const other of [hardOf(2, 'b'), hardOf(2), hardOf(1, 'a')]) {
      expect(win({ a: voted, b: { hard: other } })).toBe(
        'raft/leader-by-majority: a leader has durable votes of a majority',
      );
    }
  });

  it('is of a term of which no log has an entry', () => {
    expect(win({ ...twoVotes, c: { state: followerOf('c', 1, 3) } })).toBe('quiet');
    const rule = 'raft/candidate-term-is-new: no log has an entry of a term that is yet to be won';
    expect(win({ ...twoVotes, c: { state: followerOf('c', 1, 2) } })).toBe(rule);
  });

  it('is of a log that has everything committed in earlier terms', () => {
    const committed = (through: number, by: number) => ghostOf({ committed: [{ through, term: 1, by }] });
    expect(win(twoVotes, committed(2, 1))).toBe('quiet');
    expect(win(twoVotes, committed(3, 1))).toBe(
      'raft/leader-completeness: a leader has every entry committed before its term',
    );
    // Late votes may make a leader of a term that others have long left (etcd's MoreUpToDateCorrect, taken at its word, forbids it).
    expect(win(twoVotes, committed(3, 5))).toBe('quiet');
  });
});

describe('logs', () => {
  const before = followerOf('b', 1);
  const after = followerOf('b', 1, 2);
  const beside = (other: RaftState): string => ruleOf(() => step(before, after, { c: { state: other } }));

  it('have one entry for an index and term, and the same before it', () => {
    expect(beside(followerOf('c', 1, 2))).toBe('quiet');
    expect(beside(followerOf('c', 1, 3))).toBe('quiet');
    expect(beside(followerOf('c', 2, 2))).toBe('raft/log-matching: logs agree before a common entry');
    const other = new Node('c', 3, hardOf(2), [entry(1, 1), entry(2, 2, 77)]).state;
    expect(beside(other)).toBe('raft/log-matching: one entry for an index and term');
    expect(ruleOf(() => step(null, after, { c: { state: other } }))).toBe(
      'raft/log-matching: one entry for an index and term',
    );
  });

  it('that end in a term have all that was committed in earlier ones', () => {
    const rise = (ghost: RaftGhost): string => ruleOf(() => step(before, after, {}, ghost));
    expect(rise(ghostOf({ committed: [{ through: 1, term: 1, by: 1 }] }))).toBe('quiet');
    const rule = 'raft/later-logs-are-complete: a log has every entry committed before the term that it ends in';
    expect(rise(ghostOf({ committed: [{ through: 2, term: 1, by: 1 }] }))).toBe(rule);
  });
});

describe('a commit', () => {
  const leader = leaderOf('a', 1, 1);
  const to = (commit: number): RaftState => ({ ...leader, commit });
  const holders = { a: { disk: [1, 1, 2] }, b: { disk: [1, 1, 2] } };
  const commit = (after: RaftState, places: Record<string, Place>, ghost = EMPTY): string =>
    ruleOf(() => step({ ...after, commit: 0 }, after, places, ghost));

  it('of a leader is of what a majority has on disk, in that term', () => {
    expect(commit(to(3), holders)).toBe('quiet');
    expect(commit(to(3), { a: { disk: [1, 1] }, b: { disk: [1, 1, 2] }, c: { disk: [1, 1, 2] } })).toBe('quiet');
    for (const disk of [[1, 1], [1, 1, 1], [1, 2, 2], []]) {
      const rule = 'log/committed-on-majority: what is committed is durable on a majority';
      expect(commit(to(3), { ...holders, b: { disk } })).toBe(rule);
    }
    expect(step({ ...leader, commit: 0 }, to(3), holders).committed).toEqual([
      { through: 2, term: 1, by: 2 },
      { through: 3, term: 2, by: 2 },
    ]);
  });

  it('is of a leader, and the others learn of the same', () => {
    const follower = { ...followerOf('b', 1, 1), commit: 2 };
    const known = (term: number): RaftGhost => ghostOf({ committed: [{ through: 2, term, by: 4 }] });
    expect(commit(follower, {}, known(1))).toBe('quiet');
    expect(commit(follower, {})).toBe('raft/only-leader-commits: only a leader commits');
    expect(commit(follower, {}, known(2))).toBe('log/one-value-per-index: one entry is committed at an index');
    expect(commit(to(2), holders, known(3))).toBe('log/one-value-per-index: one entry is committed at an index');
    expect(commit(to(3), holders, known(3))).toBe('log/one-value-per-index: one entry is committed at an index');
  });

  it('is in every log that ends in a later term', () => {
    expect(commit(to(3), { ...holders, c: { state: followerOf('c', 1, 1, 2, 3) } })).toBe('quiet');
    const rule = 'raft/later-logs-are-complete: what is committed is in every log that ends in a later term';
    expect(commit(to(3), { ...holders, c: { state: followerOf('c', 1, 1, 3) } })).toBe(rule);
  });
});

describe('a matchIndex', () => {
  const leader = leaderOf('a', 1, 1);
  const RULE = 'raft/match-is-durable: a matchIndex is durable at the peer and agrees';
  const cases: readonly (readonly [Place, string])[] = [
    [{ disk: [1, 1, 2], hard: hardOf(2) }, 'quiet'],
    [{ disk: [1, 1], hard: hardOf(2) }, RULE],
    [{ disk: [1, 1, 1], hard: hardOf(2) }, RULE],
    [{ disk: [1, 1], hard: hardOf(3) }, 'quiet'], // it may have dropped in a later term what it once acknowledged
  ];

  it('is durable at the peer and agrees, when the leader learns of it', () => {
    const after = withPeer(leader, { match: 3, next: 4 });
    for (const [b, rule] of cases) expect(ruleOf(() => step(leader, after, { b }))).toBe(rule);
  });

  it('and whenever the disk of the peer changes', () => {
    const a = { state: withPeer(leader, { match: 3, next: 4 }) };
    for (const [b, rule] of cases) expect(ruleOf(() => safety.durable(EMPTY, 'b', clusterOf({ a, b })))).toBe(rule);
  });
});

describe('what leaves a replica', () => {
  const request: RaftMessage = { kind: 'requestVote', term: 2, lastIndex: 2, lastTerm: 1, handover: false };
  const grant: RaftMessage = { kind: 'requestVoteReply', wall: 0, term: 2, granted: true };
  const heartbeat: RaftMessage = {
    kind: 'appendEntries',
    term: 2,
    viewId: 1,
    prevIndex: 0,
    prevTerm: 0,
    entries: [],
    commit: 0,
    readRound: 0,
  };
  const accepted = (match: number): RaftMessage => ({ kind: 'appendAccepted', wall: 0, term: 2, viewId: 1, match });
  const send = (message: RaftMessage, places: Record<string, Place>, ghost = EMPTY, to = 'c') =>
    safety.send(ghost, { from: 'b', to, message }, clusterOf(places));

  it('rests on a durable term and vote', () => {
    const at = (message: RaftMessage, hard: HardState): string => ruleOf(() => send(message, { b: { hard } }));
    const rule = 'durability/send-after-sync: term and vote are durable before they are sent';
    for (const message of [request, heartbeat]) {
      expect(at(message, hardOf(2, 'b'))).toBe('quiet');
      for (const hard of [hardOf(1, 'b'), hardOf(2), hardOf(2, 'c')]) expect(at(message, hard)).toBe(rule);
    }
    expect(at(grant, hardOf(2, 'c'))).toBe('quiet');
    expect(at(grant, hardOf(2, 'b'))).toBe(rule);
    expect(at(grant, hardOf(1, 'c'))).toBe(rule);
    expect(at({ ...grant, granted: false } as RaftMessage, hardOf(1))).toBe('quiet');
    expect(at(accepted(0), hardOf(1))).toBe(rule);
  });

  it('acknowledges what is durable as it stands in the log, and as the leader has it', () => {
    const at = (disk: number[], own: number[], leader: number[]): string => {
      const a = { state: leaderOf('a', ...leader) };
      const b = { state: followerOf('b', ...own), hard: hardOf(2, 'a'), disk };
      return ruleOf(() => send(accepted(3), { a, b }, ghostOf({ wins: [{ term: 2, leader: 'a' }] }), 'a'));
    };
    expect(at([1, 1, 2], [1, 1, 2], [1, 1])).toBe('quiet');
    expect(at([1, 1], [1, 1, 2], [1, 1])).toBe('durability/send-after-sync: what is acknowledged is durable');
    expect(at([1, 1, 1], [1, 1, 2], [1, 1])).toBe(
      'durability/send-after-sync: what is acknowledged is durable as it stands',
    );
    expect(at([1, 1, 2], [1, 1, 2], [1, 1, 1])).toBe("raft/match-is-durable: what is acknowledged is the leader's");
  });

  it('is one vote a term, for good', () => {
    const b = { hard: hardOf(2, 'c') };
    const ghost = send(grant, { b });
    expect(ghost.promises).toEqual([{ replica: 'b', term: 2, vote: 'c' }]);
    expect(send(grant, { b }, ghost)).toBe(ghost);
    expect(ruleOf(() => send(grant, { b: { hard: hardOf(2, 'a') } }, ghost, 'a'))).toBe(
      'raft/one-vote-per-term: one vote a term',
    );
    const start = (hard: HardState) => step(null, new Node('b', 3, hard).state, {}, ghost);
    const write = (hard: HardState) => safety.durable(ghost, 'b', clusterOf({ b: { hard } }));
    for (const keep of [start, write]) {
      expect(ruleOf(() => keep(hardOf(2, 'c')))).toBe('quiet');
      expect(ruleOf(() => keep(hardOf(3)))).toBe('quiet');
      expect(ruleOf(() => keep(hardOf(1)))).toBe('raft/term-never-falls: a term that was promised is never forgotten');
      expect(ruleOf(() => keep(hardOf(2)))).toBe('raft/one-vote-per-term: a vote is never forgotten');
    }
  });
});

describe('one state', () => {
  const leader = leaderOf('a', 1, 1);
  const role = leader.role as RaftLeader;
  const follower = followerOf('b', 1, 1);
  const lead = (change: Partial<RaftLeader>): RaftState => ({ ...leader, role: { ...role, ...change } });
  const candidate = (): RaftState => {
    const node = new Node('a', 3, hardOf(1), logOf(1));
    node.step({ kind: 'campaign' });
    return node.state;
  };
  const none = { own: null, ofPeers: null };
  const begun = { readRound: 1, waiting: none, begun: { readRound: 1, index: 3, reads: none } };

  it.each<readonly [string, RaftState]>([
    ['log/delivery-in-bounds: the commit index lies within the log', { ...follower, commit: 3 }],
    [
      'log/delivery-in-bounds: applied ≤ delivered ≤ commit',
      { ...follower, delivery: { ...follower.delivery, delivered: 1 } },
    ],
    [
      'raft/terms-rise-in-log: terms rise in the log',
      { ...follower, log: append(follower.log, [entry(3, 2), entry(4, 1)]), term: 2 },
    ],
    ['raft/terms-rise-in-log: no entry is of a later term than the replica', { ...follower, term: 0 }],
    [
      'durability/kept-until-durable: memory holds what is not durable or not committed',
      { ...follower, log: { ...follower.log, tailFrom: 4 } },
    ],
    ['durability/persists-in-order: no persist is waited for that was not issued', { ...follower, hardSeq: 9 }],
    [
      'durability/unsynced-runs: what is unsynced is in the log',
      { ...follower, persistSeq: 1, unsynced: [{ from: 2, to: 3, term: 1, persistSeq: 1 }] },
    ],
    [
      'durability/unsynced-runs: what is unsynced is what is in the log now',
      { ...follower, persistSeq: 1, unsynced: [{ from: 2, to: 2, term: 2, persistSeq: 1 }] },
    ],
    [
      'durability/unsynced-runs: what is durable is not unsynced',
      { ...follower, persistSeq: 1, durableSeq: 1, unsynced: [{ from: 2, to: 2, term: 1, persistSeq: 1 }] },
    ],
    ['raft/match-below-next: match < next ≤ last + 1', withPeer(leader, { match: 3, next: 3 })],
    [
      'limits/in-flight-adds-up: what is under way lies between match and next',
      withPeer(leader, { probing: false, inflight: [{ last: 9, bytes: 0 }] }),
    ],
    ['limits/in-flight-adds-up: the bytes under way add up', withPeer(leader, { inflightBytes: 5 })],
    [
      'limits/in-flight-window: no more is under way than the window takes, and one message',
      withPeer(leader, {
        probing: false,
        next: 4,
        inflight: [
          { last: 2, bytes: far },
          { last: 3, bytes: 1 },
        ],
        inflightBytes: far + 1,
      }),
    ],
    [
      'raft/probe-one-at-a-time: a probe is not pipelined',
      withPeer(leader, { probing: true, asked: false, next: 3, inflight: [{ last: 3, bytes: 0 }], inflightBytes: 0 }),
    ],
    ['reads/rounds-in-order: no round is confirmed that was not begun', withPeer(leader, { readRound: 1 })],
    ['raft/candidate-votes-for-itself: a leader voted for itself', { ...leader, vote: 'b' }],
    ["raft/leader-append-only: a leader's log ends in its term", { ...leader, term: 3 }],
    ['raft/members-only: a leader has one view of each member', lead({ peers: role.peers.slice(1) })],
    ['raft/members-only: a leader has one view of each member', lead({ peers: [...role.peers].reverse() })],
    [
      'limits/uncommitted-adds-up: what is committed is not counted as uncommitted',
      lead({ uncommitted: withItem(null, { key: 0, deadline: Infinity, at: 0, bytes: 0 }) }),
    ],
    [
      'limits/uncommitted-bound: no more is uncommitted than one batch beyond the bound',
      lead({
        uncommitted: withNewest(null, [
          { key: 2, deadline: Infinity, at: 2, bytes: far },
          { key: 3, deadline: Infinity, at: 3, bytes: 1 },
        ]),
        uncommittedBytes: far + 1,
      }),
    ],
    ['limits/uncommitted-adds-up: the uncommitted bytes add up', lead({ uncommittedBytes: 1 })],
    ['reads/own-term-first: no round begins before an own entry is committed', lead({ reads: begun })],
    ['raft/candidate-votes-for-itself: a candidate voted for itself', { ...candidate(), vote: 'c' }],
    ['raft/candidate-term-is-new: no entry is of the term of a candidate', { ...candidate(), term: 1 }],
    [
      'raft/votes-are-a-set: a vote counts once',
      { ...candidate(), role: { ...candidate().role, votes: ['b', 'b'] } as never },
    ],
    ['raft/members-only: only members vote', { ...candidate(), role: { ...candidate().role, votes: ['z'] } as never }],
    [
      'raft/members-only: a follower does not follow itself',
      { ...follower, role: { ...follower.role, leader: 'b' } as never },
    ],
    [
      'raft/append-after-match: what matched the leader is in the log',
      { ...follower, role: { ...follower.role, matched: 3 } as never },
    ],
    ['core/stop-is-final: a stopped replica takes no part', { ...leader, stopped: true }],
    [
      'core/stop-is-final: a stopped replica waits for nothing',
      {
        ...follower,
        stopped: true,
        reads: withItem(null, { key: 1, forward: 1, sentAt: 0, deadline: 1, until: 1, at: Infinity }),
      },
    ],
  ])('%s', (rule, state) => {
    for (const sound of [leader, follower, candidate()]) expect(ruleOf(() => checkState(sound))).toBe('quiet');
    expect(ruleOf(() => checkState(state))).toBe(rule);
  });
});

describe('one step', () => {
  const follower = followerOf('b', 1, 1);
  const leader = leaderOf('a', 1, 1);
  const role = leader.role as RaftLeader;
  const tick: Inbound<RaftMessage> = { kind: 'tick', now: 0 };
  const receive = (from: string, message: RaftMessage): Inbound<RaftMessage> => {
    return { kind: 'receive', now: 0, from, message };
  };
  const appendOf = (prevIndex: number, prevTerm: number, entries: readonly Entry[], term = 2): Inbound<RaftMessage> => {
    const rest = { viewId: 1, commit: 0, readRound: 0 };
    return receive('a', { kind: 'appendEntries', term, prevIndex, prevTerm, entries, ...rest });
  };
  const logged = (...terms: number[]): RaftState => ({ ...follower, term: 2, log: append(emptyLog, logOf(...terms)) });
  const asked = (lastIndex: number, lastTerm: number, term = 2): Inbound<RaftMessage> =>
    receive('c', { kind: 'requestVote', term, lastIndex, lastTerm, handover: false });
  const later = followerOf('b', 1, 2);
  const sure = { ...follower, commit: 2 };
  const read: Inbound<RaftMessage> = { kind: 'read', now: 0, request: 1, deadline: 9 };
  const grants: RaftState = { ...follower, term: 2, vote: 'c' };
  const { viewId } = role.peers[0] as RaftProgress;
  const ack = (change: object = {}): Inbound<RaftMessage> =>
    receive('b', { kind: 'appendAccepted', wall: 0, term: 2, viewId, match: 2, ...change } as RaftMessage);
  const matched = withPeer(leader, { match: 2, next: 4 });
  const noReads = { own: null, ofPeers: null };
  const reading = (joined: number): RaftState => {
    const keys = Array.from({ length: joined }, (_, at) => at + 1);
    const own = withNewest(
      null,
      keys.map((key) => ({ key, peer: null, forward: 0, deadline: 9, at: Infinity })),
    );
    const begun = joined === 0 ? null : { readRound: 1, index: 3, reads: { own, ofPeers: null } };
    return { ...leader, commit: 3, role: { ...role, reads: { readRound: 1, waiting: noReads, begun } } };
  };
  const underWay = reading(1);
  const candidate = {
    ...leader,
    role: { kind: 'candidate', votes: ['a'] } as const,
  };

  it.each<readonly [string, RaftState, RaftState, Inbound<RaftMessage>]>([
    ['raft/term-never-falls: terms never fall', follower, { ...follower, term: 0 }, tick],
    ['core/stop-is-final: a stopped replica takes no part', { ...follower, stopped: true }, follower, tick],
    ['raft/stale-term-is-ignored: a message of an earlier term changes nothing', leader, matched, ack({ term: 1 })],
    [
      'raft/stale-term-is-ignored: a message of an earlier term changes nothing',
      { ...follower, term: 3 },
      logged(1, 1, 2),
      appendOf(2, 1, []),
    ],
    ['log/commit-never-falls: the commit index never falls', { ...follower, commit: 1 }, follower, tick],
    ['law/time-is-data: time never falls', { ...follower, now: 9 }, follower, tick],
    ['raft/one-vote-per-term: one vote a term', { ...follower, vote: 'a' }, { ...follower, vote: 'c' }, tick],
    ['raft/one-vote-per-term: one vote a term', { ...follower, vote: 'a' }, follower, tick],
    ['raft/vote-for-the-asker: a vote goes to the candidate that asks for it', follower, grants, tick],
    ['raft/vote-for-the-asker: a vote is of the term of its request', { ...follower, term: 2 }, grants, asked(2, 1, 3)],
    ['raft/up-to-date-log: a vote goes to a log that is no worse', follower, grants, asked(1, 1)],
    ['raft/up-to-date-log: a vote goes to a log that is no worse', later, { ...later, vote: 'c' }, asked(9, 1)],
    ['quiet', follower, grants, asked(2, 1)],
    ['quiet', follower, logged(1, 1, 2), appendOf(2, 1, [entry(3, 2)])],
    ['quiet', follower, logged(1, 2), appendOf(1, 1, [entry(2, 2)])],
    [
      'raft/append-after-match: entries are adopted behind one that agrees',
      follower,
      logged(1, 1, 2),
      appendOf(2, 2, [entry(3, 2)]),
    ],
    [
      'raft/append-after-match: what is adopted is what was sent',
      follower,
      logged(1, 1, 1),
      appendOf(2, 1, [entry(3, 2)]),
    ],
    [
      'raft/cut-at-conflict-only: a log is cut at a conflict, and only there',
      follower,
      logged(1),
      appendOf(0, 0, [entry(1, 1)]),
    ],
    [
      'raft/cut-at-conflict-only: a log is cut at a conflict, and only there',
      logged(1, 1, 1),
      logged(1, 2, 2),
      appendOf(1, 1, [entry(2, 2)]),
    ],
    [
      'raft/append-after-match: nothing before what is adopted changes',
      logged(1, 1),
      logged(2, 2),
      appendOf(1, 1, [entry(2, 2)]),
    ],
    [
      'raft/committed-stays: committed entries are never dropped',
      sure,
      { ...logged(1), commit: 2 },
      appendOf(1, 1, []),
    ],
    ['raft/leader-append-only: only a leader appends what nobody sent', follower, logged(1, 1, 2), tick],
    ['raft/leader-append-only: a leader only appends', leader, { ...leader, log: truncate(leader.log, 3) }, tick],
    [
      'raft/leader-append-only: a leader appends in its term',
      leader,
      { ...leader, log: append(leader.log, [entry(4, 3)]) },
      tick,
    ],
    ['quiet', leader, { ...leader, log: append(leader.log, [entry(4, 2)]) }, tick],
    ['raft/commit-own-term: a leader commits by an entry of its own term', leader, { ...leader, commit: 2 }, ack()],
    [
      'raft/commit-what-matched: a follower commits only what agrees with its leader',
      follower,
      { ...follower, commit: 1 },
      tick,
    ],
    ['raft/only-leader-commits: a candidate learns of no commit', candidate, { ...candidate, commit: 1 }, tick],
    ['raft/leader-by-majority: a leader was a candidate of that term', follower, leader, tick],
    ['quiet', candidate, leader, tick],
    [
      'raft/leader-by-majority: a leader has votes of a majority',
      { ...candidate, role: { ...candidate.role, votes: [] } },
      leader,
      tick,
    ],
    ['quiet', leader, matched, ack()],
    ['raft/match-never-falls: a matchIndex never falls', matched, leader, ack()],
    ['raft/answers-name-the-view: a matchIndex rises by an answer to this view', leader, matched, ack({ viewId: 0 })],
    ['raft/answers-name-the-view: a matchIndex rises by an answer to this view', leader, matched, ack({ match: 1 })],
    ['raft/answers-name-the-view: a matchIndex rises by an answer to this view', leader, matched, tick],
    [
      'raft/answers-name-the-view: a round is confirmed by an answer to this view',
      leader,
      withPeer(leader, { readRound: 1 }),
      tick,
    ],
    ['reads/confirmed-by-majority: a round of reads is confirmed by a majority', leader, reading(0), read],
    ['quiet', underWay, underWay, read],
    ['reads/no-late-joiner: no read joins a round that had begun', reading(1), reading(2), read],
  ])('%s', (rule, before, after, inbound) => {
    expect(ruleOf(() => checkStep(before, after, inbound))).toBe(rule);
  });
});
