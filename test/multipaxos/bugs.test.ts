/** Bugs of other implementations of Paxos that could occur here, by what goes wrong in them. */

import { describe, expect, it } from 'vitest';
import type { PaxosLeader } from '../../src/multipaxos/state.js';
import { voteAt } from '../../src/multipaxos/window.js';
import { learnsPageAhead } from './page-ahead.js';
import {
  accept,
  accepted,
  b,
  elect,
  elected,
  deliveries,
  messages,
  Node,
  prepare,
  promise,
  proposed,
  requestOf,
  resolves,
  sends,
  settled,
  timing,
  value,
  word,
  words,
  type Outbound,
} from './support.js';

const timingHeartbeat = timing.heartbeat;

it('a stale or repeated Accept of the same ballot takes no vote away', () => {
  const node = new Node('n1');
  const early = accept(b(1, 2), [value(1, b(1, 2), 'a'), value(2, b(1, 2), 'b')]);
  node.get('n2', early);
  node.get('n2', accept(b(1, 2), [value(3, b(1, 2), 'c'), value(4, b(1, 2), 'd')], 1));
  const out = node.get('n2', early);
  expect([2, 3, 4].map((slot) => voteAt(node.state.window, slot)).map((vote) => vote && word(vote))).toEqual([
    'b',
    'c',
    'd',
  ]);
  expect(node.w).toBe(1);
  expect(messages(out, 'accepted')).toEqual([accepted(b(1, 2), 2, 2, 1)]);
});

describe('a decided slot is never proposed anew, however little the candidate knows', () => {
  it('by a vote of the promising acceptor', () => {
    const a = new Node('n1');
    a.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
    a.sync();
    const [reply] = messages(a.get('n3', prepare(b(2, 3))), 'promise');
    const c = new Node('n3');
    c.get('n2', prepare(b(1, 2)));
    c.campaign();
    c.sync();
    const out = c.get('n1', reply as ReturnType<typeof promise>);
    expect(proposed(out, 'n1')).toEqual(['1:x', '2:-']);
  });

  it('by its chosen prefix', () => {
    const a = new Node('n1');
    a.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
    a.get('n2', { kind: 'commit', ballot: b(1, 2), commit: 1 });
    const [reply] = messages(a.get('n3', prepare(b(2, 3))), 'promise');
    expect([reply?.commit, reply?.votes]).toEqual([1, []]);
    expect(proposed(elected({}, { commit: 1 }).all, 'n2')).toEqual(['2:-']);
  });
});

it('with no votes above the commit index a new leader proposes right above it, not at 1', () => {
  const node = new Node('n1');
  node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'a'), value(2, b(1, 2), 'b')]));
  node.get('n2', { kind: 'commit', ballot: b(1, 2), commit: 2 });
  node.sync();
  elect(node);
  expect(proposed(node.all, 'n2')).toEqual(['3:-']);
});

it('a lagging candidate starts above what others know to be chosen, which acceptors do not vote for again', () => {
  const lagging = elected({}, { commit: 7 });
  expect(proposed(lagging.all, 'n2')).toEqual(['8:-']);
  expect(resolves(lagging.propose(['x']))[0]).toMatch(/none busy/); // beyond α, with commit index 0
});

it('when no replica is left that knows what is chosen below committedAtElection, a new Phase 1 finds the votes', () => {
  const node = new Node('n1');
  node.get('n3', accept(b(1, 3), [value(1, b(1, 3), 'x')]));
  node.sync();
  elect(node, { commit: 1, ballot: b(2, 1) }); // n2 knew, and crashes
  expect(node.state.role).toMatchObject({ kind: 'leader', committedAtElection: 1 });
  const alive = { kind: 'heartbeatReply', wall: 0, ballot: b(2, 1), readRound: 0, commit: 0, durable: 0 } as const;
  for (let turn = 0; turn < 13 && node.role === 'leader'; turn++) {
    node.pass(timingHeartbeat);
    node.sync();
    node.get('n3', alive);
  }
  // It gives way: others come first.
  expect(node.role).toBe('follower');
  expect(node.state.electionTimer).toMatchObject({
    spread: 4 * (timing.electionMax - timing.electionMin),
    deferred: true,
  });
  node.pass(node.state.electionTimer.deadline - node.now);
  expect([node.role, node.state.promised]).toEqual(['candidate', b(3, 1)]);
  node.sync();
  const out = node.get('n3', promise(b(3, 1), { votes: [value(1, b(1, 3), 'x')] }));
  expect(proposed(out, 'n3')).toEqual(['1:x', '2:-', '3:-']); // 2 is its own of the ballot before
});

it('who has learned meanwhile asks nobody when a connection is lost', () => {
  const node = new Node('n1');
  node.get('n3', { kind: 'heartbeat', ballot: b(1, 3), commit: 3, readRound: 0 });
  expect(messages(node.all, 'catchUp')).toMatchObject([{ from: 1, to: 3 }]);
  const values = [1, 2, 3].map((slot) => value(slot, b(1, 3), 'x'));
  node.get('n3', { kind: 'accept', ballot: b(1, 3), commit: 3, entries: values });
  expect(node.state.log.last).toBe(3);
  const out = node.step({ kind: 'disconnected', peer: 'n3', lane: 'bulk', now: node.now });
  expect(messages(out, 'catchUp')).toEqual([]);
});

it('a promise delayed across stepping down and campaigning again is not counted', () => {
  const node = new Node('n1');
  node.campaign();
  node.sync();
  const delayed = promise(b(1, 1), { votes: [] });
  node.get('n3', prepare(b(1, 3)));
  node.campaign();
  node.sync();
  expect(node.state.promised).toBe(b(2, 1));
  node.get('n2', delayed);
  expect(node.role).toBe('candidate');
});

describe('a replica that sees a higher promise takes no higher ballot without a new Phase 1', () => {
  it('a leader that is refused steps down, and prepares before it proposes again', () => {
    const node = settled();
    const out = node.get('n2', { kind: 'nack', ballot: b(1, 1), promised: b(4, 3), commit: 0 });
    expect(node.role).toBe('follower');
    expect(messages(out, 'accept')).toEqual([]);
    const next = node.pass(500);
    expect(messages(next, 'prepare')[0]?.ballot).toBe(b(5, 1));
    expect(messages(next, 'accept')).toEqual([]);
  });

  it('a refusal of an older ballot means nothing', () => {
    const node = elected();
    const { state } = node;
    node.get('n2', { kind: 'nack', ballot: b(9, 1), promised: b(10, 3), commit: 0 });
    node.get('n2', { kind: 'nack', ballot: b(1, 1), promised: b(1, 1), commit: 0 });
    expect(node.state).toBe(state);
  });
});

it('no two members ever use one ballot, and gaps are filled only by a leader in its own', () => {
  const ballots = new Set<number>();
  for (const id of ['n1', 'n2', 'n3']) {
    const node = new Node(id);
    for (let turn = 0; turn < 4; turn++) {
      node.sync();
      node.pass(3000);
      ballots.add(node.state.promised);
      expect(messages(node.all, 'accept')).toEqual([]);
    }
  }
  expect(ballots.size).toBeGreaterThanOrEqual(9);
  expect([...ballots].every((ballot) => ballot % 65536 >= 1 && ballot % 65536 <= 3)).toBe(true);
});

it('what is acknowledged survives a crash that drops every unsynced write', () => {
  const node = new Node('n1');
  const out = node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
  const [ack] = sends(out, 'accepted');
  expect(ack?.after).toBeGreaterThan(0);
  expect(voteAt(node.restart().state.window, 1)).toBeUndefined();
  node.sync(ack?.after);
  expect(voteAt(node.restart().state.window, 1)).toMatchObject({ term: b(1, 2) });
});

it('acknowledgements of later slots do not hide earlier ones, nor the other way round', () => {
  const node = settled({ size: 5 });
  node.get('n3', accepted(b(1, 1), 1));
  node.propose(['s2', 's3', 's4']);
  node.sync();
  node.get('n2', accepted(b(1, 1), 4));
  node.get('n3', accepted(b(1, 1), 4));
  expect(node.w).toBe(1);
  node.get('n4', accepted(b(1, 1), 2, 3));
  expect(node.w).toBe(1);
  expect(deliveries(node.get('n5', accepted(b(1, 1), 2)))).toEqual(['2:s2']);
  expect(deliveries(node.get('n5', accepted(b(1, 1), 3)))).toEqual(['3:s3', '4:s4']);
});

it('a duplicate vote counts once', () => {
  const node = elected({ size: 5 });
  node.sync();
  for (let copy = 0; copy < 3; copy++) node.get('n2', accepted(b(1, 1), 1));
  expect(node.w).toBe(0);
  node.get('n3', accepted(b(1, 1), 1));
  expect(node.w).toBe(1);
});

it('promises of acceptors with different prefixes are put together by slot', () => {
  const node = new Node('n1', { size: 5 });
  node.campaign();
  node.sync();
  node.get('n2', promise(b(1, 1), { commit: 2, votes: [value(3, 9, 'three'), value(5, 9, 'five')] }));
  const out = node.get('n3', promise(b(1, 1), { commit: 0, votes: [value(1, 9, 'one'), value(4, 9, 'four')] }));
  expect(proposed(out, 'n4')).toEqual(['3:three', '4:four', '5:five', '6:-']);
});

it('an old value that is proposed again ends nobody’s request but its own', () => {
  const node = new Node('n1');
  node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'old')]));
  node.sync();
  elect(node);
  node.sync();
  node.get('n2', accepted(b(2, 1), 1, 2));
  node.propose(['new']);
  node.sync();
  const out = node.get('n2', accepted(b(2, 1), 3));
  expect(resolves(node.all)).toEqual([`${requestOf('new')} committed`]);
  expect(deliveries(out)).toEqual(['3:new']);
});

it('what a deposed leader proposed ends with its leadership, and nothing that is chosen later ends it again', () => {
  const node = settled();
  node.propose(['mine', 'kept']);
  const entries = [value(2, b(2, 3), 'other'), value(3, b(2, 3), 'kept')];
  const lost = node.get('n3', accept(b(2, 3), entries));
  expect([...resolves(lost)].sort()).toEqual(
    [`${requestOf('kept')} unknown leaderChanged`, `${requestOf('mine')} unknown leaderChanged`].sort(),
  );
  const out = node.get('n3', { kind: 'commit', ballot: b(2, 3), commit: 3 });
  expect(resolves(out)).toEqual([]);
  expect(deliveries(node.all).slice(-2)).toEqual(['2:other', '3:kept']);
});

it('a leader that was cut off learns by a reply that it is behind, and gives way', () => {
  const node = settled();
  node.propose(['stale']);
  const out = node.get('n2', { kind: 'heartbeatReply', wall: 0, ballot: b(1, 1), readRound: 0, commit: 3, durable: 3 });
  const [question] = messages(out, 'catchUp', 'n2');
  const entries = [value(2, b(2, 3), 'x'), value(3, b(2, 3), 'y')];
  node.get('n2', { kind: 'catchUpReply', number: question?.number ?? 0, commit: 3, rest: 0, entries });
  expect([node.role, node.w]).toEqual(['follower', 3]);
});

it('two leaders’ values compete for one slot, and a notice without the right ballot settles nothing', () => {
  const node = new Node('n2');
  node.get('n1', accept(b(1, 1), [value(1, b(1, 1), 'first')]));
  node.get('n3', accept(b(2, 3), [value(1, b(2, 3), 'second')]));
  node.get('n1', { kind: 'commit', ballot: b(1, 1), commit: 1 });
  expect(node.w).toBe(0);
  expect(deliveries(node.get('n3', { kind: 'commit', ballot: b(2, 3), commit: 1 }))).toEqual(['1:second']);
});

describe('what is lost is sent again', () => {
  it('a Prepare, to those who have not answered', () => {
    const node = new Node('n1', { size: 5 });
    node.campaign();
    node.sync();
    node.get('n3', promise(b(1, 1)));
    const asked = (out: readonly Outbound[]): readonly string[] => {
      return sends(out, 'prepare').map(({ to, message: { pages } }) => `${to} ${pages}`);
    };
    // Whoever answers is told that it goes on, and whoever has not within half an election timeout is asked again.
    expect(asked(node.pass(timingHeartbeat))).toEqual(['n2 0', 'n3 0', 'n4 0', 'n5 0']);
    expect(asked(node.pass(timing.electionMin / 2 - timingHeartbeat))).toEqual(['n2 8', 'n4 8', 'n5 8']);
  });

  it('an Accept, the lowest gap first', () => {
    const node = settled();
    node.get('n3', accepted(b(1, 1), 1));
    for (const text of ['a', 'b', 'c', 'd']) node.propose([text]);
    node.sync();
    node.get('n2', accepted(b(1, 1), 2));
    node.get('n2', accepted(b(1, 1), 4));
    const out = node.pass(2 * timingHeartbeat);
    expect(proposed(out, 'n2')).toEqual(['3:b']); // what was sent after it is acknowledged
    expect(proposed(out, 'n3')).toEqual([]); // what takes longer than a heartbeat is not lost
    const later = node.pass(timing.electionMin / 2);
    expect(proposed(later, 'n3')).toEqual(['3:b', '4:c', '5:d']); // 2 is chosen: it is caught up
  });

  it('counts as under way once, however often that is', () => {
    const node = settled();
    for (const text of ['a', 'b', 'c', 'd']) node.propose([text]);
    node.sync();
    node.get('n2', accepted(b(1, 1), 2));
    node.get('n2', accepted(b(1, 1), 4));
    let filled = 0;
    const alive = (): void => {
      for (const from of ['n2', 'n3']) {
        const { readRound } = (node.state.role as PaxosLeader).reads;
        node.get(from, { kind: 'heartbeatReply', wall: 0, ballot: b(1, 1), readRound, commit: 0, durable: 0 });
      }
    };
    for (let beat = 0; beat < 40; beat++) {
      const out = node.pass(timingHeartbeat);
      if (proposed(out, 'n2').length > 0) filled++;
      expect(['', '3:b']).toContain(proposed(out, 'n2').join());
      alive();
    }
    expect(filled).toBe(11); // at once, and each time after half an election timeout
    const { peers } = node.state.role as PaxosLeader;
    expect(peers.map(({ inflight }) => inflight.length)).toEqual([1, 1]);
  });

  it('nothing while it is answered', () => {
    const node = settled();
    node.get('n3', accepted(b(1, 1), 1));
    node.propose(['a']);
    node.sync();
    for (const peer of ['n2', 'n3']) node.get(peer, accepted(b(1, 1), 2));
    expect(messages(node.pass(3 * timingHeartbeat), 'accept')).toEqual([]);
  });

  it('a question for chosen entries goes to the next peer, and is given up after the last', () => {
    const node = new Node('n1');
    node.get('n2', { kind: 'heartbeat', ballot: b(1, 2), commit: 3, readRound: 0 });
    expect(node.state.catchingUp?.peer).toBe('n2');
    const patience = timing.electionMin / 2;
    const [doubt] = sends(node.pass(patience), 'catchUp');
    expect(doubt).toMatchObject({ to: 'n2', message: { bytes: 0 } });
    expect(sends(node.pass(patience), 'catchUp').map(({ to }) => to)).toEqual(['n3']);
    node.pass(patience);
    expect(node.state.catchingUp?.retryAt).toBe(Infinity);
    node.get('n2', { kind: 'heartbeat', ballot: b(1, 2), commit: 3, readRound: 0 });
    expect(node.state.catchingUp).toMatchObject({ peer: 'n2', retryAt: node.now + timing.electionMin / 2 });
  });

  it('a page that came before the ones below it is learned when own votes reach it', learnsPageAhead);

  it('a page that is late is waited for while the peer hears, until its second answer passes (limits/late-is-not-lost)', () => {
    const node = new Node('n1');
    node.get('n2', { kind: 'heartbeat', ballot: b(1, 2), commit: 3, readRound: 0 });
    const patience = timing.electionMin / 2;
    const ask = (): number => (sends(node.pass(patience), 'catchUp')[0]?.message as { number: number }).number;
    const answer = (number: number) => {
      return node.get('n2', { kind: 'catchUpReply', number, commit: 3, rest: 1, entries: [] });
    };
    for (let turn = 0; turn < 20; turn++) expect(sends(answer(ask()), 'catchUp')).toEqual([]);
    const number = ask();
    answer(number);
    expect(sends(answer(number), 'catchUp').map(({ to }) => to)).toEqual(['n3']);
  });

  it('a lost connection to whom it asked sends it to the next peer at once', () => {
    const node = new Node('n1');
    node.get('n2', { kind: 'heartbeat', ballot: b(1, 2), commit: 3, readRound: 0 });
    const out = node.step({ kind: 'disconnected', now: node.now, peer: 'n2', lane: 'bulk' });
    expect(sends(out, 'catchUp').map(({ to }) => to)).toEqual(['n3']);
  });

  it('to a peer that was unreachable everything, once it answers', () => {
    const node = settled();
    node.get('n3', accepted(b(1, 1), 1));
    node.step({ kind: 'unreachable', now: node.now, peer: 'n2' });
    expect(proposed(node.propose(['a', 'b']), 'n2')).toEqual([]);
    node.sync();
    const out = node.get('n2', {
      kind: 'heartbeatReply',
      wall: 0,
      ballot: b(1, 1),
      readRound: 0,
      commit: 1,
      durable: 1,
    });
    expect(proposed(out, 'n2')).toEqual(['2:a', '3:b']);
    node.step({ kind: 'unreachable', now: node.now, peer: 'n2' });
    expect(proposed(node.pass(timingHeartbeat), 'n2')).toEqual(['2:a', '3:b']);
  });

  it('a window full of what was chosen long ago lets go of it (found by random schedules)', () => {
    const node = settled({ limits: { inflightMessages: 2 } });
    node.get('n3', accepted(b(1, 1), 1));
    node.propose(['a']);
    node.propose(['b']);
    node.sync();
    node.get('n3', accepted(b(1, 1), 2, 3)); // n2 never answers these two
    expect(node.w).toBe(3);
    expect(proposed(node.propose(['c']), 'n2')).toEqual([]);
    const out = node.get('n2', {
      kind: 'heartbeatReply',
      wall: 0,
      ballot: b(1, 1),
      readRound: 0,
      commit: 3,
      durable: 0,
    });
    expect(proposed(out, 'n2')).toEqual(['4:c']);
  });
});

describe('proofs of broken safety are recognised on receipt, and nothing else throws', () => {
  it('two values for one slot and ballot, in an Accept', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
    expect(() => node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'y')]))).toThrow(
      'two values for one slot and ballot',
    );
    node.get('n2', { kind: 'commit', ballot: b(1, 2), commit: 1 });
    expect(() => node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'y')]))).toThrow(
      'two values for one slot and ballot',
    );
  });

  it('two values for one slot and ballot, in two promises', () => {
    const node = new Node('n1', { size: 5 });
    node.campaign();
    node.sync();
    node.get('n2', promise(b(1, 1), { votes: [value(1, 9, 'x')] }));
    const other = promise(b(1, 1), { votes: [value(1, 9, 'y')] });
    expect(() => node.get('n3', other)).toThrow('two values for one slot and ballot');
  });

  it('another value chosen than before', () => {
    const node = new Node('n1');
    node.get('n2', { kind: 'heartbeat', ballot: b(1, 2), commit: 4, readRound: 0 });
    const { number } = node.state.catchingUp?.questions[0] as { number: number };
    const page = [value(1, b(1, 2), 'a'), value(2, b(1, 2), 'b')];
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'a')]));
    expect(node.w).toBe(1);
    const wrong = {
      kind: 'catchUpReply',
      number,
      commit: 4,
      rest: 0,
      entries: [value(1, b(1, 3), 'z'), page[1]],
    } as never;
    expect(() => node.get('n2', wrong)).toThrow('two values chosen for one slot');
    node.get('n2', { kind: 'catchUpReply', number, commit: 4, rest: 0, entries: page });
    expect(words(node.state.log.chunks.flatMap((chunk) => chunk.entries))).toEqual(['1:a', '2:b']);
  });
});
