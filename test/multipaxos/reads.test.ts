/** Linearizable reads by ReadIndex (Ongaro's thesis 6.4, and reads/above-all-reported). */

import { describe, expect, it } from 'vitest';
import {
  accept,
  accepted,
  b,
  elected,
  messages,
  Node,
  prepare,
  promise,
  resolves,
  sends,
  settled,
  timing,
  value,
} from './support.js';
import type { Outbound } from './support.js';

function ready(outbound: readonly Outbound[]): readonly (readonly number[])[] {
  return outbound.flatMap((each) => (each.kind === 'readReady' ? [[each.request, each.index]] : []));
}

function reply(readRound: number, ballot = b(1, 1), commit = 1) {
  return { kind: 'heartbeatReply', wall: 0, ballot, readRound, commit, durable: 0 } as const;
}

describe('the index', () => {
  it('is the commit index when nothing else was ever voted for', () => {
    const node = settled();
    node.propose(['a']);
    node.sync();
    node.get('n2', accepted(b(1, 1), 2));
    node.read(7);
    expect(ready(node.get('n2', reply(1)))).toEqual([[7, 2]]);
  });

  it('covers every vote that Phase 1 reported, chosen or not', () => {
    const node = elected({}, { votes: [value(4, 9, 'x')] });
    node.read(7);
    expect(node.w).toBe(0);
    expect(ready(node.get('n2', reply(1, b(1, 1), 0)))).toEqual([[7, 4]]);
  });

  it('covers what is chosen elsewhere and not known here (committedAtElection)', () => {
    const node = elected({}, { commit: 6 });
    node.read(7);
    expect(ready(node.get('n2', reply(1, b(1, 1), 6)))).toEqual([[7, 6]]);
  });

  it('is fixed when the round begins, after the read arrived', () => {
    const node = settled();
    node.read(1);
    node.propose(['a']);
    node.sync();
    node.get('n2', accepted(b(1, 1), 2));
    expect(messages(node.read(2), 'heartbeat')).toEqual([]); // waits for the next round
    expect(ready(node.get('n3', reply(1)))).toEqual([[1, 1]]);
    expect(ready(node.get('n3', reply(1)))).toEqual([]);
    expect(ready(node.get('n3', reply(2)))).toEqual([[2, 2]]);
  });
});

describe('the confirmation', () => {
  it('asks everyone at once, and needs a majority', () => {
    const node = settled({ size: 5 });
    node.get('n3', accepted(b(1, 1), 1));
    const out = node.read(7);
    expect(sends(out, 'heartbeat').map(({ to, message }) => [to, message.readRound])).toEqual(
      ['n2', 'n3', 'n4', 'n5'].map((id) => [id, 1]),
    );
    expect(ready(node.get('n2', reply(1)))).toEqual([]);
    expect(ready(node.get('n2', reply(1)))).toEqual([]); // the same one twice
    expect(ready(node.get('n4', reply(1)))).toEqual([[7, 1]]);
  });

  it('of four, two beside the leader', () => {
    const node = settled({ size: 4 });
    node.read(7);
    expect(ready(node.get('n2', reply(1)))).toEqual([]);
    expect(ready(node.get('n3', reply(1)))).toHaveLength(1);
  });

  it('an answer to an older round, another ballot, or a round never begun confirms nothing', () => {
    const node = settled();
    node.read(7);
    for (const round of [0, 2, 9]) expect(ready(node.get('n2', reply(round)))).toEqual([]);
    expect(ready(node.get('n2', reply(1, b(7, 1))))).toEqual([]);
    expect(ready(node.get('n2', reply(1)))).toEqual([[7, 1]]);
  });

  it('is repeated with the next heartbeat when it was lost', () => {
    const node = settled();
    node.read(7);
    expect(messages(node.pass(timing.heartbeat), 'heartbeat')[0]?.readRound).toBe(1);
  });

  it('an acceptor that has promised more refuses, and the read ends', () => {
    const node = settled();
    node.read(7);
    const out = node.get('n2', { kind: 'nack', ballot: b(1, 1), promised: b(2, 3), commit: 0 });
    expect(resolves(out)).toEqual(['7 none leaderChanged']);
    expect(ready(node.get('n3', reply(1)))).toEqual([]);
  });

  it('an acceptor answers a ballot that is not below its promise, and no other', () => {
    const node = new Node('n2');
    node.get('n3', prepare(b(2, 3)));
    const refused = node.get('n1', { kind: 'heartbeat', ballot: b(1, 1), commit: 0, readRound: 1 });
    expect(messages(refused, 'heartbeatReply')).toEqual([]);
    expect(messages(refused, 'nack')).toHaveLength(1);
    const answered = node.get('n1', { kind: 'heartbeat', ballot: b(3, 1), commit: 0, readRound: 1 });
    expect(messages(answered, 'heartbeatReply')[0]).toMatchObject({ ballot: b(3, 1), readRound: 1 });
    expect(node.state.promised).toBe(b(3, 1));
  });

  it('a cluster of one confirms at once', () => {
    const node = new Node('n1', { size: 1 });
    node.sync();
    node.sync();
    expect(ready(node.read(7))).toEqual([[7, 1]]);
  });
});

describe('passed on', () => {
  it('a follower forwards with a number, and learns the commit index from the answer', () => {
    const node = new Node('n2');
    node.get('n1', accept(b(1, 1), [value(1, b(1, 1), 'x')]));
    const [question] = messages(node.read(7), 'forwardRead', 'n1');
    const number = question?.number ?? 0;
    const out = node.get('n1', { kind: 'readAnswer', term: b(1, 1), number, index: 1, commit: 1 });
    expect(ready(out)).toEqual([[7, 1]]);
    expect(node.w).toBe(1);
    expect(ready(node.get('n1', { kind: 'readAnswer', term: b(1, 1), number, index: 1, commit: 1 }))).toEqual([]);
  });

  it('a leader answers with the index of its round', () => {
    const node = settled();
    expect(
      messages(node.get('n3', { kind: 'forwardRead', term: b(1, 1), number: 55, byLease: false }), 'heartbeat'),
    ).toHaveLength(2);
    const out = node.get('n2', reply(1));
    expect(messages(out, 'readAnswer', 'n3')).toEqual([
      { kind: 'readAnswer', term: b(1, 1), number: 55, index: 1, commit: 1 },
    ]);
  });

  it('who does not lead refuses and says who does; who stops leading refuses what waits', () => {
    const node = new Node('n2');
    node.get('n1', { kind: 'heartbeat', ballot: b(1, 1), commit: 0, readRound: 0 });
    expect(
      messages(node.get('n3', { kind: 'forwardRead', term: b(1, 1), number: 5, byLease: false }), 'forwardRefused'),
    ).toEqual([{ kind: 'forwardRefused', term: b(1, 1), number: 5, reason: 'notLeader', leader: 'n1' }]);
    const leader = settled();
    leader.get('n3', { kind: 'forwardRead', term: b(1, 1), number: 6, byLease: false });
    const out = leader.get('n2', prepare(b(2, 2)));
    expect(messages(out, 'forwardRefused', 'n3')).toEqual([
      { kind: 'forwardRefused', term: b(2, 2), number: 6, reason: 'notLeader', leader: null },
    ]);
  });

  it.each([
    [
      'refused',
      (node: Node, number: number) =>
        node.get('n1', { kind: 'forwardRefused', term: b(1, 1), number, reason: 'notLeader', leader: null }),
      'notLeader',
    ],
    [
      'another leader',
      (node: Node) => node.get('n3', { kind: 'heartbeat', ballot: b(2, 3), commit: 0, readRound: 0 }),
      'leaderChanged',
    ],
    ['a candidate', (node: Node) => node.get('n3', prepare(b(2, 3))), 'leaderChanged'],
    ['cancelled', (node: Node) => node.step({ kind: 'cancel', now: node.now, requests: [7] }), 'cancelled'],
    ['its deadline', (node: Node) => node.tick(500), 'deadline'],
    ['stopped', (node: Node) => node.step({ kind: 'stop', now: node.now }), 'stopped'],
    [
      'a failed storage',
      (node: Node) => node.step({ kind: 'storageFailed', now: node.now, reason: 'EIO' }),
      'storageFailed',
    ],
  ] as const)('ends without effect: %s', (_, end, reason) => {
    const node = new Node('n2');
    node.get('n1', { kind: 'heartbeat', ballot: b(1, 1), commit: 0, readRound: 0 });
    const [question] = messages(node.read(7, 500), 'forwardRead');
    expect(resolves(end(node, question?.number ?? 0))).toEqual([`7 none ${reason}`]);
  });
});

it.each([
  ['nobody leads', (node: Node) => node.read(7), 'noLeader', () => new Node('n1')],
  ['too late', (node: Node) => node.read(7, 0), 'deadline', () => settled()],
] as const)('ends at once: %s', (_, ask, reason, make) => {
  expect(resolves(ask(make()))).toEqual([`7 none ${reason}`]);
});

it('a leader’s own read ends when it stops leading, is cancelled, or has waited too long', () => {
  const cut = settled();
  cut.read(7);
  expect(resolves(cut.pass(2 * timing.electionMax))).toEqual(['7 none leaderChanged']);
  const late = settled();
  late.read(7, 100);
  expect(resolves(late.pass(100))).toEqual(['7 none deadline']);
  const cancelled = settled();
  cancelled.read(7);
  expect(resolves(cancelled.step({ kind: 'cancel', now: 0, requests: [7] }))).toEqual(['7 none cancelled']);
  expect(messages(cancelled.get('n2', promise(b(1, 1))), 'nack')).toEqual([]);
});
