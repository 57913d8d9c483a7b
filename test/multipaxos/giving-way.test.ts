/** A leader that gives way at the end of a step in which it has proposed: its vote is a leader's all the same. */

import { expect, it } from 'vitest';
import { b, messages, Node, value } from './support.js';

it('paxos/vote-by-accept: a leader that leaves may propose what was forwarded, and give way, in one step', () => {
  const node = new Node('n1');
  node.step({ kind: 'campaign', now: 0 });
  node.sync();
  const page = { from: 1, commit: 0, next: 0, rest: 0, votes: [], wall: 0 } as const;
  node.get('n2', { kind: 'promise', ballot: node.state.promised, ...page });
  node.step({ kind: 'leave', now: 0 });
  node.step({ kind: 'transfer', now: 0, request: 7, to: null, deadline: 5000 });
  expect(node.role).toBe('leader');
  node.now = 5000; // its disk has stalled since then, and nobody has answered
  const { id, data } = value(1, 1, 'late');
  const proposals = [{ kind: 'command', id: id as NonNullable<typeof id>, data, retry: false }] as const;
  const out = node.get('n2', { kind: 'forwardProposals', term: b(1, 1), number: 9, proposals });
  expect(messages(out, 'accept', 'n2').length + messages(out, 'forwardRefused').length).toBe(1);
  expect(node.role).toBe('follower');
});
