/** Each proposal ends exactly once, on every path (law/one-end-per-request). */

import { describe, expect, it } from 'vitest';
import type * as core from '../../src/core/protocol.js';
import type { Of, Outbound } from './support.js';
import {
  prepare,
  accept,
  accepted,
  b,
  deliveries,
  messages,
  Node,
  proposed,
  requestOf,
  resolves,
  sends,
  settled,
  timing,
  value,
} from './support.js';

function follower(options = {}): Node {
  const node = new Node('n2', options);
  node.get('n1', { kind: 'heartbeat', ballot: b(1, 1), commit: 0, readRound: 0 });
  return node;
}

function forwardOf(out: readonly Outbound[]): number {
  return messages(out, 'forwardProposals', 'n1')[0]?.number ?? 0;
}

/** The leader has all of a forward from this index on. */
function acceptedForward(number: number, first: number, count = 1): Of<'forwardAccepted'> {
  return { kind: 'forwardAccepted', term: b(1, 1), number, places: [{ first, count }] };
}

const a = requestOf('a');

describe('at a leader', () => {
  it('committed when its slot is chosen and delivered', () => {
    const node = settled();
    node.propose(['a']);
    node.sync();
    expect(resolves(node.get('n3', accepted(b(1, 1), 2)))).toEqual([`${a} committed`]);
    expect(node.state.attempts).toBeNull();
  });

  it('not before it is delivered: the application is slow', () => {
    const node = settled({ limits: { applyBytes: 49 } });
    node.applied();
    node.propose(['a', 'b', 'c']);
    node.sync();
    const out = node.get('n2', accepted(b(1, 1), 2, 4));
    expect(resolves(out)).toEqual([`${a} committed`]);
    expect(node.state.log.last).toBe(4);
    expect(resolves(node.applied())).toEqual([`${requestOf('b')} committed`]);
  });

  it('unknown as soon as it steps down, and not again when its slot is delivered', () => {
    const node = settled();
    node.propose(['a']);
    const out = node.get('n3', prepare(b(2, 3)));
    expect(resolves(out)).toEqual([`${a} unknown leaderChanged`]);
    node.get('n3', accept(b(2, 3), [value(2, b(2, 3), 'a')]));
    expect(deliveries(node.get('n3', { kind: 'commit', ballot: b(2, 3), commit: 2 }))).toEqual(['2:a']);
    expect(resolves(node.all)).toHaveLength(1);
  });

  it('busy beyond the bytes that may be under way', () => {
    const node = settled({ limits: { uncommittedBytes: 100 } });
    node.propose(['x'.repeat(60)]);
    expect(resolves(node.propose(['a']))).toEqual([`${a} none busy`]);
  });

  it('a retry is found where it stands, and not proposed again', () => {
    const node = settled();
    node.propose(['a']);
    const [first, second] = [value(1, 1, 'a'), value(1, 1, 'b')];
    const proposals = [first, second].map(({ id, data }, at) => {
      return { request: 200_000 + at, kind: 'command' as const, id: id as core.EntryId, data, retry: true };
    });
    const out = node.step({ kind: 'propose', now: 0, proposals, deadline: Infinity });
    expect(proposed(out, 'n2')).toEqual(['3:b']);
    node.sync();
    const done = node.get('n2', accepted(b(1, 1), 2, 3));
    expect(resolves(done)).toEqual([`${a} committed`, '200000 committed', '200001 committed']);
  });
});

describe('at a follower', () => {
  it('is forwarded in one message, and committed when it is delivered where the leader has it', () => {
    const node = follower();
    const out = node.propose(['a', 'b']);
    const [forward] = sends(out, 'forwardProposals', 'n1');
    expect(forward?.message.proposals.map(({ data }) => Buffer.from(data).toString())).toEqual(['a', 'b']);
    expect(forward).toMatchObject({ after: 0, forward: forwardOf(out), message: { term: b(1, 1) } });
    const taken = node.get('n1', acceptedForward(forwardOf(out), 1, 2));
    const requests = [a, requestOf('b')];
    expect(taken).toEqual([{ kind: 'forwardTaken', requests }]);
    node.get('n1', accept(b(1, 1), [value(1, b(1, 1), 'a'), value(2, b(1, 1), 'b')]));
    const done = node.get('n1', { kind: 'commit', ballot: b(1, 1), commit: 2 });
    expect(resolves(done)).toEqual([`${a} committed`, `${requestOf('b')} committed`]);
  });

  it('committed by an answer that comes when it is delivered already', () => {
    const node = follower();
    const number = forwardOf(node.propose(['a', 'b']));
    node.get('n1', accept(b(1, 1), [value(1, b(1, 1), 'a'), value(2, b(1, 1), 'c')]));
    expect(resolves(node.get('n1', { kind: 'commit', ballot: b(1, 1), commit: 2 }))).toEqual([]);
    const out = node.get('n1', acceptedForward(number, 1, 2));
    expect(resolves(out)).toEqual([`${a} committed`, `${requestOf('b')} unknown superseded`]);
    expect(node.get('n1', acceptedForward(number, 1, 2))).toEqual([]); // a duplicate
  });

  it('in parts: what was refused ends, and the rest waits at its place', () => {
    const node = follower();
    const number = forwardOf(node.propose(['a', 'b']));
    const places = [
      { first: 4, count: 1 },
      { first: 0, count: 1 },
    ];
    const out = node.get('n1', { kind: 'forwardAccepted', term: b(1, 1), number, places });
    expect(resolves(out)).toEqual([`${requestOf('b')} unknown busy`]);
    expect(resolves(node.get('n3', { kind: 'heartbeat', ballot: b(2, 3), commit: 0, readRound: 0 }))).toEqual([
      `${a} unknown leaderChanged`,
    ]);
  });

  it('an answer for another number of proposals answers something else', () => {
    const node = follower();
    const number = forwardOf(node.propose(['a']));
    expect(node.get('n1', acceptedForward(number, 1, 2))).toEqual([]);
    expect(node.state.attempts).not.toBeNull();
  });

  it.each([
    [
      'refused',
      (node: Node, number: number) =>
        node.get('n1', { kind: 'forwardRefused', term: b(1, 1), number, reason: 'busy', leader: 'n1' }),
      'busy',
    ],
    [
      'another leadership refused',
      (node: Node, number: number) =>
        node.get('n1', { kind: 'forwardRefused', term: b(3, 3), number, reason: 'notLeader', leader: 'n3' }),
      'notLeader',
    ],
    [
      'disconnected',
      (node: Node) => node.step({ kind: 'disconnected', now: 0, peer: 'n1', lane: 'control' }),
      'disconnected',
    ],
    ['its answer overdue', (node: Node) => node.tick(timing.electionMin / 2), 'unanswered'],
    [
      'another leader',
      (node: Node) => node.get('n3', { kind: 'heartbeat', ballot: b(2, 3), commit: 0, readRound: 0 }),
      'leaderChanged',
    ],
    [
      'the same leader anew',
      (node: Node) => node.get('n1', { kind: 'heartbeat', ballot: b(2, 1), commit: 0, readRound: 0 }),
      'leaderChanged',
    ],
    ['campaigning itself', (node: Node) => node.campaign(), 'leaderChanged'],
    ['cancelled', (node: Node) => node.step({ kind: 'cancel', now: node.now, requests: [a] }), 'cancelled'],
    ['its deadline', (node: Node) => node.tick(50), 'deadline'],
    ['stopped', (node: Node) => node.step({ kind: 'stop', now: node.now }), 'stopped'],
    [
      'a failed storage',
      (node: Node) => node.step({ kind: 'storageFailed', now: node.now, reason: 'EIO' }),
      'storageFailed',
    ],
  ] as const)('unknown, once it has left: %s', (_, end, reason) => {
    const node = follower();
    const number = forwardOf(node.propose(['a'], reason === 'deadline' ? 50 : 5000));
    expect(resolves(end(node, number))).toEqual([`${a} unknown ${reason}`]);
    expect(node.state.attempts).toBeNull();
    if (!node.state.stopped)
      node.get('n1', { kind: 'forwardRefused', term: b(1, 1), number, reason: 'busy', leader: null });
    expect(resolves(node.all)).toHaveLength(1);
  });

  it('none, when the transport refused it: it never left', () => {
    const node = follower();
    const number = forwardOf(node.propose(['a']));
    const out = node.step({ kind: 'unsent', now: 0, number });
    expect(resolves(out)).toEqual([`${a} none unsent`]);
    expect(node.step({ kind: 'unsent', now: 0, number })).toEqual([]);
  });

  it.each([
    ['nobody leads', () => new Node('n2').propose(['a']), 'noLeader'],
    [
      'a candidate',
      () => {
        const node = new Node('n2');
        node.campaign();
        return node.propose(['a']);
      },
      'noLeader',
    ],
    ['too late', () => follower().propose(['a'], 0), 'deadline'],
  ] as const)('none, when it never left: %s', (_, ask, reason) => {
    expect(resolves(ask())).toEqual([`${a} none ${reason}`]);
  });
});

describe('passed on to a leader', () => {
  const { id, data } = value(1, 1, 'a');
  const proposals = [{ kind: 'command' as const, id: id as core.EntryId, data, retry: false }];

  it('is answered at once with its place, and the forwarder is told when it holds what is chosen', () => {
    const node = settled();
    node.get('n3', accepted(b(1, 1), 1));
    const out = node.get('n3', { kind: 'forwardProposals', term: b(1, 1), number: 5, proposals });
    expect(proposed(out, 'n3')).toEqual(['2:a']);
    expect(sends(out, 'forwardAccepted')).toMatchObject([
      { to: 'n3', after: 0, message: { number: 5, places: [{ first: 2, count: 1 }] } },
    ]);
    node.sync();
    const chosen = node.get('n2', accepted(b(1, 1), 2));
    expect(messages(chosen, 'commit', 'n3')).toEqual([]); // it has not accepted it yet
    expect(messages(chosen, 'commit', 'n2').map(({ commit }) => commit)).toEqual([2]);
    const done = node.get('n3', accepted(b(1, 1), 2));
    expect(sends(done, 'commit').map(({ to, message }) => [to, message.commit])).toEqual([['n3', 2]]);
    expect(messages(node.get('n3', accepted(b(1, 1), 2)), 'commit')).toEqual([]); // once
  });

  it('not by a message of its own, when an Accept says it', () => {
    const node = settled({ alpha: 2 });
    node.get('n3', accepted(b(1, 1), 1));
    node.get('n3', { kind: 'forwardProposals', term: b(1, 1), number: 5, proposals });
    node.propose(['b']);
    node.sync();
    node.step({ kind: 'unreachable', now: 0, peer: 'n3' });
    const out = node.get('n3', accepted(b(1, 1), 2, 2, 1)); // chosen, and 3 is sent anew to n3 with it
    expect(messages(out, 'accept', 'n3')[0]?.commit).toBe(2);
    expect(messages(out, 'commit', 'n3')).toEqual([]);
  });

  it('is refused by its number where nobody leads, or there is no room', () => {
    const node = new Node('n2');
    expect(
      messages(node.get('n3', { kind: 'forwardProposals', term: b(1, 1), number: 5, proposals }), 'forwardRefused'),
    ).toEqual([{ kind: 'forwardRefused', term: 0, number: 5, reason: 'notLeader', leader: null }]);
    const full = settled({ alpha: 1 });
    full.propose(['x']);
    expect(
      messages(full.get('n3', { kind: 'forwardProposals', term: b(1, 1), number: 6, proposals }), 'forwardRefused'),
    ).toEqual([{ kind: 'forwardRefused', term: b(1, 1), number: 6, reason: 'busy', leader: 'n1' }]);
  });

  it('is refused where another ballot leads: it was made for another leadership', () => {
    const node = settled();
    const out = node.get('n3', { kind: 'forwardProposals', term: b(1, 2), number: 5, proposals });
    expect(messages(out, 'forwardRefused')).toEqual([
      { kind: 'forwardRefused', term: b(1, 1), number: 5, reason: 'notLeader', leader: 'n1' },
    ]);
    expect(proposed(out, 'n3')).toEqual([]);
  });

  it('a retry that stands already is not proposed again; one that does not is', () => {
    const node = settled();
    node.propose(['a']);
    const retry = proposals.map((each) => ({ ...each, retry: true }));
    const found = node.get('n3', { kind: 'forwardProposals', term: b(1, 1), number: 5, proposals: retry });
    expect(proposed(found, 'n3')).toEqual([]);
    expect(messages(found, 'forwardAccepted')).toMatchObject([{ number: 5, places: [{ first: 2, count: 1 }] }]);
    expect(proposed(node.get('n3', { kind: 'forwardProposals', term: b(1, 1), number: 6, proposals }), 'n3')).toEqual([
      '3:a',
    ]);
  });
});

it('after a stop nothing is said, and no timer is left', () => {
  for (const kind of ['stop', 'storageFailed'] as const) {
    const node = settled();
    node.propose(['a']);
    node.read(7);
    node.step({ kind, now: 0, reason: 'EIO' } as core.Inbound<never>);
    expect(resolves(node.all).length).toBe(2);
    const { state } = node;
    node.get('n2', prepare(b(5, 2)));
    node.step({ kind: 'tick', now: 10 * timing.electionMax });
    expect(node.state).toBe(state);
    expect(state.fault).toBe(kind === 'stop' ? null : 'EIO');
  }
});
