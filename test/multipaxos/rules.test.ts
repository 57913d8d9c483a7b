/** One directed trace for each rule of docs/rules.md by which Multi-Paxos is safe. */

import { describe, expect, it } from 'vitest';
import { lastVote, voteAt } from '../../src/multipaxos/window.js';
import {
  accept,
  accepted,
  b,
  elect,
  elected,
  deliveries,
  messages,
  Node,
  noop,
  prepare,
  promise,
  proposed,
  resolves,
  sends,
  settled,
  value,
  words,
} from './support.js';

describe('paxos/promise-binds: an acceptor promises what is not below its promise, durably', () => {
  it('promises, and the reply waits for its disk', () => {
    const node = new Node('n1');
    const out = node.get('n2', prepare(b(1, 2)));
    const [reply] = sends(out, 'promise', 'n2');
    expect(reply?.message).toEqual(promise(b(1, 2)));
    expect(reply?.after).toBe(node.state.persistSeq);
    expect(node.state.promised).toBe(b(1, 2));
    node.sync();
    expect(node.restart().state.promised).toBe(b(1, 2));
  });

  it('repeats it, still waiting for the first copy', () => {
    const node = new Node('n1');
    node.get('n2', prepare(b(1, 2)));
    const [again] = sends(node.get('n2', prepare(b(1, 2))), 'promise');
    expect(again?.after).toBe(node.state.hardSeq);
    node.sync();
    const [durable] = sends(node.get('n2', prepare(b(1, 2))), 'promise');
    expect(durable?.after).toBe(0);
  });

  it('refuses what is below, and says what it has promised', () => {
    const node = new Node('n1');
    node.get('n3', prepare(b(2, 3)));
    const out = node.get('n2', prepare(b(2, 2)));
    expect(messages(out, 'nack')).toEqual([{ kind: 'nack', ballot: b(2, 2), promised: b(2, 3), commit: 0 }]);
    expect(messages(out, 'promise')).toEqual([]);
  });

  it('a ballot counts only from its owner', () => {
    const node = new Node('n1');
    expect(node.get('n2', prepare(b(5, 3)))).toEqual([]);
    expect(node.get('n9', prepare(b(5, 3)))).toEqual([]);
    expect(node.state.promised).toBe(0);
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
    node.get('n3', { kind: 'commit', ballot: b(1, 2), commit: 1 });
    node.get('n3', { kind: 'readAnswer', term: b(1, 2), number: 1, index: 1, commit: 1 });
    expect(node.w).toBe(0);
  });
});

describe('paxos/vote-at-promise: an Accept at or above the promise is voted for, and raises the promise', () => {
  it('raises it', () => {
    const node = new Node('n1');
    node.get('n2', prepare(b(1, 2)));
    node.get('n3', accept(b(3, 3), [value(1, b(3, 3), 'x')]));
    expect(node.state.promised).toBe(b(3, 3));
    const out = node.get('n2', prepare(b(2, 2)));
    expect(messages(out, 'promise')).toEqual([]);
    expect(messages(out, 'nack')[0]?.promised).toBe(b(3, 3));
    node.sync();
    expect(node.restart().state.promised).toBe(b(3, 3));
  });

  it('refuses one below', () => {
    const node = new Node('n1');
    node.get('n3', prepare(b(2, 3)));
    const out = node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
    expect(messages(out, 'nack')[0]).toMatchObject({ ballot: b(1, 2), promised: b(2, 3) });
    expect(lastVote(node.state.window)).toBe(0);
  });
});

it('paxos/phase1-majority: a promise of an older own ballot counts for nothing', () => {
  const node = new Node('n1');
  node.campaign();
  node.sync();
  node.pass(node.state.electionTimer.timeout);
  node.sync();
  expect(node.state.promised).toBe(b(2, 1));
  node.get('n2', promise(b(1, 1)));
  node.get('n3', promise(b(1, 1)));
  expect(node.role).toBe('candidate');
  node.get('n3', promise(b(2, 1)));
  expect(node.role).toBe('leader');
});

it('paxos/own-acceptor: a candidate’s own promise counts when it is durable, like anyone’s', () => {
  const node = new Node('n1');
  node.campaign();
  node.get('n2', promise(b(1, 1)));
  node.get('n3', promise(b(1, 1)));
  expect(node.role).toBe('candidate');
  node.sync();
  expect(node.role).toBe('leader');
});

it('paxos/own-acceptor: its own votes are reported to itself, too', () => {
  const node = new Node('n1');
  node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'mine'), value(2, b(1, 2), 'own')]));
  node.sync();
  elect(node);
  expect(proposed(node.all, 'n2')).toEqual(['1:mine', '2:own', '3:-']);
});

describe('paxos/ballot-used-once: a ballot is durable before its Prepare leaves, and never used again', () => {
  it('waits for the disk', () => {
    const node = new Node('n1');
    const prepares = sends(node.campaign(), 'prepare');
    expect(prepares.map(({ to, after }) => [to, after])).toEqual([
      ['n2', 1],
      ['n3', 1],
    ]);
  });

  it('after a restart campaigns above', () => {
    const node = new Node('n1');
    node.campaign();
    node.sync();
    const again = node.restart();
    expect(again.state.promised).toBe(b(1, 1));
    expect(messages(again.campaign(), 'prepare')[0]?.ballot).toBe(b(2, 1));
  });
});

describe('paxos/propose-above-reported-commit: nothing at or below committedAtElection is proposed', () => {
  it('committedAtElection is the highest commit index of any promise', () => {
    const node = elected({}, { commit: 5 });
    expect(node.state.role).toMatchObject({ kind: 'leader', committedAtElection: 5, noopIndex: 6 });
    expect(proposed(node.all, 'n2')[0]).toBe('6:-');
  });

  it('votes at or below it are left alone, and what it lacks is caught up', () => {
    const node = new Node('n3');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'old')]));
    node.sync();
    node.campaign();
    node.sync();
    const out = node.get('n1', promise(b(2, 3), { commit: 2, votes: [value(3, b(1, 2), 'new')] }));
    expect(proposed(out, 'n1')).toEqual(['3:new', '4:-']);
    expect(messages(out, 'catchUp', 'n1')).toHaveLength(1);
    node.sync();
    node.get('n1', accepted(b(2, 3), 3, 4, 2));
    expect(node.w).toBe(0); // nothing is applied before what is below is known
    const question = messages(out, 'catchUp')[0]?.number ?? 0;
    const entries = [value(1, b(1, 1), 'a'), value(2, b(1, 1), 'b')];
    const rest = node.get('n1', { kind: 'catchUpReply', number: question, commit: 2, rest: 0, entries });
    expect(deliveries(rest)).toEqual(['1:a', '2:b', '3:new', '4:-']);
  });
});

it('paxos/highest-ballot-value: the highest ballot’s value for each slot, no-ops in the gaps, and on above', () => {
  const node = new Node('n1', { size: 5 });
  node.campaign();
  node.sync();
  node.get('n2', promise(b(1, 1), { votes: [value(2, 10, 'low'), value(4, 30, 'four')] }));
  expect(node.role).toBe('candidate');
  const out = node.get('n3', promise(b(1, 1), { votes: [value(2, 20, 'high')] }));
  expect(proposed(out, 'n4')).toEqual(['1:-', '2:high', '3:-', '4:four', '5:-']);
  expect(node.state.role).toMatchObject({ noopIndex: 5, next: 6 });
  const event = out.find((each) => each.kind === 'event');
  expect(event).toMatchObject({ event: { kind: 'role', role: 'leader', term: b(1, 1), fence: 5 } });
});

describe('paxos/promise-reports-votes: a promise covers every slot above the chosen prefix, in pages', () => {
  const votes = [1, 2, 3, 4, 5].map((slot) => value(slot, b(1, 2), `v${slot}`));

  it('an acceptor reports all votes, and its chosen prefix with every page', () => {
    const node = new Node('n1', { limits: { messageBytes: 110 } });
    node.get('n2', accept(b(1, 2), votes));
    node.get('n2', { kind: 'commit', ballot: b(1, 2), commit: 1 });
    node.sync();
    const [one] = messages(node.get('n3', prepare(b(2, 3))), 'promise');
    expect([one?.commit, one?.next, words(one?.votes ?? [])]).toEqual([1, 4, ['2:v2', '3:v3']]);
    const [two] = messages(node.get('n3', prepare(b(2, 3), { from: 4 })), 'promise');
    expect([two?.commit, two?.next, words(two?.votes ?? [])]).toEqual([1, 0, ['4:v4', '5:v5']]);
  });

  it('a candidate counts it when the last page is there, and asks for the next one', () => {
    const node = new Node('n1');
    node.campaign();
    node.sync();
    const out = node.get('n2', promise(b(1, 1), { next: 3, rest: 3, votes: [value(1, 9, 'a'), value(2, 9, 'b')] }));
    expect(node.role).toBe('candidate');
    expect(messages(out, 'prepare', 'n2')).toEqual([prepare(b(1, 1), { from: 3, first: false })]);
    node.get('n2', promise(b(1, 1), { next: 3, votes: [value(1, 9, 'a'), value(2, 9, 'b')] })); // once more: ignored
    expect(node.role).toBe('candidate');
    const last = node.get('n2', promise(b(1, 1), { from: 3, votes: [value(3, 9, 'c')] }));
    expect(proposed(last, 'n3')).toEqual(['1:a', '2:b', '3:c', '4:-']);
  });

  it('what was chosen between two pages raises committedAtElection, and the next page begins above it', () => {
    const node = new Node('n1');
    node.campaign();
    node.sync();
    const out = node.get('n2', promise(b(1, 1), { next: 2, commit: 6, votes: [] }));
    expect(messages(out, 'prepare')).toEqual([]); // a page that ends before it begins is not believed
    const page = promise(b(1, 1), { commit: 1, next: 3, rest: 3, votes: [value(2, 9, 'b')] });
    expect(messages(node.get('n2', page), 'prepare')[0]?.from).toBe(3);
    expect(node.role).toBe('candidate');
    const rest = node.get('n2', promise(b(1, 1), { from: 3, commit: 4, votes: [value(5, 9, 'e')] }));
    expect(node.state.role).toMatchObject({ committedAtElection: 4, noopIndex: 6 });
    expect(proposed(rest, 'n3')).toEqual(['5:e', '6:-']);
  });
});

describe('paxos/promise-reports-votes: what makes no sense is not counted', () => {
  it('a page once more, when the promise is complete', () => {
    const node = new Node('n1', { size: 5 });
    node.campaign();
    node.sync();
    const page = promise(b(1, 1), { next: 3, votes: [value(1, 9, 'a'), value(2, 9, 'b')] });
    node.get('n2', page);
    node.get('n2', promise(b(1, 1), { from: 3 }));
    const { state } = node;
    node.get('n2', page);
    expect(node.state).toBe(state);
    node.get('n3', promise(b(1, 1)));
    expect(node.role).toBe('leader');
  });

  it('votes at or above the ballot promised, below the slot asked for, or chosen', () => {
    const node = new Node('n1');
    node.campaign();
    node.sync();
    const { state } = node;
    node.get('n2', promise(b(1, 1), { votes: [value(1, b(1, 1), 'x')] }));
    node.get('n2', promise(b(1, 1), { commit: 2, votes: [value(2, 9, 'x')] }));
    node.get('n2', promise(b(1, 1), { next: 2, votes: [value(2, 9, 'x')] }));
    expect(node.state).toBe(state);
  });
});

describe('paxos/alpha-window: nothing is proposed beyond the commit index + α', () => {
  it('the rest of a batch is busy, without effect', () => {
    const node = settled({ alpha: 3 });
    const out = node.propose(['a', 'b', 'c', 'd', 'e']);
    expect(proposed(out, 'n2')).toEqual(['2:a', '3:b', '4:c']);
    expect(resolves(out).map((each) => each.replace(/^\d+ /, ''))).toEqual(['none busy', 'none busy']);
    node.sync();
    node.get('n3', accepted(b(1, 1), 2));
    expect(proposed(node.propose(['f', 'g']), 'n3')).toEqual(['5:f']);
  });

  it('values of Phase 1 are proposed again as the commit index rises, and everything else waits', () => {
    const votes = [1, 2, 3, 4, 5].map((slot) => value(slot, 9, `v${slot}`));
    const node = elected({ alpha: 2 }, { votes });
    expect(proposed(node.all, 'n2')).toEqual(['1:v1', '2:v2']);
    expect(resolves(node.propose(['x']))[0]).toMatch(/none busy/);
    node.sync();
    expect(proposed(node.get('n2', accepted(b(1, 1), 1, 2)), 'n2')).toEqual(['3:v3', '4:v4']);
    node.sync();
    expect(proposed(node.get('n3', accepted(b(1, 1), 3, 4)), 'n2')).toEqual(['5:v5', '6:-']);
  });

  it('an acceptor does not vote further ahead than its own commit index allows', () => {
    const node = new Node('n1', { alpha: 2 });
    const out = node.get(
      'n2',
      accept(
        b(1, 2),
        [2, 3, 4].map((slot) => value(slot, b(1, 2), `v${slot}`)),
      ),
    );
    expect(messages(out, 'accepted')[0]).toEqual(accepted(b(1, 2), 2, 2));
    expect(lastVote(node.state.window)).toBe(2);
  });
});

describe('paxos/chosen-by-majority: a slot is chosen when a majority has accepted it', () => {
  it('each slot by itself', () => {
    const node = settled({ size: 5 });
    node.get('n3', accepted(b(1, 1), 1));
    expect(node.w).toBe(1);
    node.propose(['a', 'b']);
    node.sync();
    node.get('n2', accepted(b(1, 1), 2));
    node.get('n3', accepted(b(1, 1), 3)); // one vote each beside its own: nothing is chosen
    expect(node.w).toBe(1);
    node.get('n4', accepted(b(1, 1), 2));
    expect(node.w).toBe(2);
  });

  it('its own vote counts when durable, whatever order the others answer in', () => {
    const node = settled();
    node.propose(['a', 'b']);
    node.get('n3', accepted(b(1, 1), 3)); // beyond a gap
    node.get('n2', accepted(b(1, 1), 2));
    expect(node.w).toBe(1);
    node.sync();
    expect(node.w).toBe(3);
  });

  it('not because a peer knows something to be chosen there, which may be another value', () => {
    const node = settled();
    node.propose(['a', 'b']);
    node.sync();
    expect(messages(node.get('n2', accepted(b(1, 1), 0, 0, 3)), 'catchUp', 'n2')).toHaveLength(1);
    node.get('n3', { kind: 'heartbeatReply', wall: 0, ballot: b(1, 1), readRound: 0, commit: 3, durable: 3 });
    expect(node.w).toBe(1);
  });

  it('not by acknowledgements of slots that were never proposed', () => {
    const node = settled();
    node.get('n2', accepted(b(1, 1), 2, 9));
    node.propose(['a']);
    node.sync();
    expect(node.w).toBe(1);
  });
});

describe('paxos/commit-by-own-ballot: a leader’s commit index counts for own votes in its ballot only', () => {
  it('adopts its own votes of that ballot', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x'), value(2, b(1, 2), 'y')]));
    expect(deliveries(node.get('n2', { kind: 'commit', ballot: b(1, 2), commit: 1 }))).toEqual(['1:x']);
    expect(node.w).toBe(1);
  });

  it('asks for the rest otherwise', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'lost')]));
    const out = node.get('n3', { kind: 'heartbeat', ballot: b(2, 3), commit: 1, readRound: 0 });
    expect(deliveries(out)).toEqual([]);
    const [question] = messages(out, 'catchUp', 'n3');
    expect(question?.from).toBe(1);
    const entries = [value(1, b(2, 3), 'won')];
    const number = question?.number ?? 0;
    expect(deliveries(node.get('n3', { kind: 'catchUpReply', number, commit: 1, rest: 0, entries }))).toEqual([
      '1:won',
    ]);
  });

  it('keeps a leader’s commit index for votes that come later', () => {
    const node = new Node('n1');
    node.get('n2', { kind: 'heartbeat', ballot: b(1, 2), commit: 2, readRound: 0 });
    const out = node.get(
      'n2',
      accept(b(1, 2), [value(1, b(1, 2), 'x'), value(2, b(1, 2), 'y'), value(3, b(1, 2), 'z')]),
    );
    expect(deliveries(out)).toEqual(['1:x', '2:y']);
  });
});

describe('paxos/yield-to-chosen: a leader that learns of a chosen value not its own steps down at once', () => {
  function contradicted(entries: ReturnType<typeof value>[]): Node {
    const node = settled();
    node.propose(['mine']);
    const out = node.get('n2', {
      kind: 'heartbeatReply',
      wall: 0,
      ballot: b(1, 1),
      readRound: 0,
      commit: 2,
      durable: 0,
    });
    const [question] = messages(out, 'catchUp', 'n2');
    const number = question?.number ?? 0;
    const rest = node.get('n2', { kind: 'catchUpReply', number, commit: 2, rest: 0, entries });
    // No message that leaves from now on carries the commit index in the ballot that did not choose it.
    expect(rest.some((each) => each.kind === 'send' && 'commit' in each.message && each.message.commit > 1)).toBe(
      false,
    );
    return node;
  }

  it('another value for its own slot', () => {
    const node = contradicted([value(2, b(3, 3), 'other')]);
    expect([node.role, node.w]).toEqual(['follower', 2]);
  });

  it('not its own value, chosen in another ballot', () => {
    const mine = { ...value(2, b(3, 3), 'mine') };
    const node = contradicted([mine]);
    expect([node.role, node.w]).toEqual(['leader', 2]);
  });

  it('a value where it has proposed nothing yet', () => {
    const node = settled();
    const out = node.get('n2', {
      kind: 'heartbeatReply',
      wall: 0,
      ballot: b(1, 1),
      readRound: 0,
      commit: 2,
      durable: 0,
    });
    const number = messages(out, 'catchUp')[0]?.number ?? 0;
    node.get('n2', { kind: 'catchUpReply', number, commit: 2, rest: 0, entries: [value(2, b(3, 3), 'other')] });
    expect(node.role).toBe('follower');
  });
});

it('durability/send-after-sync: an acceptor acknowledges what is durable, and a leader counts itself by the same rule', () => {
  const acceptor = new Node('n1');
  const out = acceptor.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
  expect(sends(out, 'accepted')[0]?.after).toBe(acceptor.state.persistSeq);
  const leader = elected();
  leader.get('n2', accepted(b(1, 1), 1));
  expect(leader.w).toBe(0);
  leader.sync();
  expect(leader.w).toBe(1);
});

describe('paxos/votes-above-commit: an Accept at or below the commit index changes nothing and is not acknowledged', () => {
  it('wholly below', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
    node.get('n2', { kind: 'commit', ballot: b(1, 2), commit: 1 });
    node.sync();
    const before = node.state;
    const out = node.get('n3', accept(b(2, 3), [noop(1, b(2, 3))]));
    expect(messages(out, 'accepted')).toEqual([accepted(b(2, 3), 0, 0, 1)]);
    expect(node.state.log).toBe(before.log);
    expect(out.some((each) => each.kind === 'persist' && each.ops.some((op) => op.kind === 'put'))).toBe(false);
  });

  it('partly below: only the rest is voted for', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
    node.get('n2', { kind: 'commit', ballot: b(1, 2), commit: 1 });
    const out = node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x'), value(2, b(1, 2), 'y')], 1));
    expect(messages(out, 'accepted')).toEqual([accepted(b(1, 2), 2, 2, 1)]);
    expect(voteAt(node.state.window, 1)).toBeUndefined();
  });
});
