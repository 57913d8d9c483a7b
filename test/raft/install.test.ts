/** Snapshots in Raft: a log that begins above 1, a snapshot of a peer in place of entries, and who needs one. */

import { describe, expect, it } from 'vitest';
import type { Install, Persist, SnapshotName } from '../../src/core/protocol.js';
import type { RaftMessage } from '../../src/raft/index.js';
import type { AppendEntries } from '../../src/raft/messages.js';
import { termAt } from '../../src/core/log.js';
import { Node, entry, logOf, progressAt } from './support.js';

const snapshotAt = (index: number, term: number): SnapshotName => ({ index, term, checksum: 7, time: 500 });

function install(node: Node, snapshot: SnapshotName): void {
  node.step({ kind: 'install', snapshot } satisfies Omit<Install, 'now'>);
}

function append(term: number, prevIndex: number, prevTerm: number, terms: number[], commit: number): AppendEntries {
  const entries = terms.map((each, at) => entry(prevIndex + at + 1, each));
  return { kind: 'appendEntries', term, viewId: 9, prevIndex, prevTerm, entries, commit, readRound: 0 };
}

/** A follower whose log has these terms, of which so many are committed, delivered and applied. */
function follower(terms: number[], commit: number): Node {
  const term = terms[terms.length - 1] ?? 1;
  const node = new Node('a', 3, { term, vote: null, commit }, logOf(...terms));
  if (commit > 0) node.step({ kind: 'applied', index: commit });
  return node;
}

function taken(node: Node, index: number, through: number): Persist | undefined {
  node.step({ kind: 'snapshotTaken', snapshot: snapshotAt(index, termAt(node.state.log, index) as number), through });
  return node.persist;
}

/** A leader whose log begins at 6; of its followers only b is level. */
function trimmedLeader() {
  const node = follower([1, 1, 1, 1, 1, 1], 6);
  node.lead('b');
  const { term } = node.state;
  const accepted = { kind: 'appendAccepted', term, viewId: node.session, match: 7, wall: 0 } as const;
  node.sync();
  node.receive('b', accepted);
  node.step({ kind: 'applied', index: 7 });
  taken(node, 6, 5);
  return { node, accepted };
}

const acceptedOf = (node: Node): readonly (RaftMessage & { after: number })[] =>
  node.sends.map(({ message, after }) => ({ ...(message as RaftMessage), after }));

describe('a log that is trimmed', () => {
  it('begins behind what a named snapshot holds, and knows the term there', () => {
    const node = follower([1, 1, 2, 2, 2], 5);
    expect(taken(node, 4, 3)?.ops).toMatchObject([
      { kind: 'trim', snapshot: { index: 4 }, base: { index: 3, term: 2 } },
      { kind: 'hard' },
    ]);
    const { log } = node.state;
    expect([log.first, log.last, termAt(log, 2), termAt(log, 3), termAt(log, 4)]).toEqual([4, 5, undefined, 2, 2]);
    expect(() => taken(node, 5, 6)).toThrow(RangeError);
  });

  it('is not trimmed of what is not durable', () => {
    const node = follower([1, 1], 2);
    node.receive('b', append(1, 2, 1, [1, 1], 4));
    node.step({ kind: 'applied', index: 4 });
    taken(node, 4, 4);
    expect(node.state.log.first).toBe(3);
  });

  it('agrees with its leader on what is gone, and adopts what follows (raft/trimmed-matches)', () => {
    const node = follower([1, 1, 1, 1], 4);
    taken(node, 3, 3);
    node.receive('b', append(2, 1, 1, [1, 1], 2));
    expect(acceptedOf(node)).toMatchObject([{ kind: 'appendAccepted', match: 3 }]);
    node.receive('b', append(2, 2, 1, [1, 1, 2], 4));
    expect(acceptedOf(node)).toMatchObject([{ kind: 'appendAccepted', match: 5 }]);
    expect(termAt(node.state.log, 5)).toBe(2);
  });

  it('cannot be sent to a follower that needs what is gone: it is told so, and probed behind it', () => {
    const { node, accepted } = trimmedLeader();
    const { term } = node.state;
    expect([progressAt(node, 'b').next, progressAt(node, 'c').next]).toEqual([8, 7]);
    const refused = { kind: 'appendRejected', term, viewId: node.session, hintTerm: 1 } as const;
    node.receive('c', { ...refused, prevIndex: 6, hintIndex: 2 });
    expect(node.sends.map(({ to, message }) => [to, message.kind])).toEqual([['c', 'logBegins']]);
    expect(node.sends[0]?.message).toMatchObject({ term, first: 6 });
    expect(progressAt(node, 'c')).toMatchObject({ next: 6, probing: true, match: 0 });
    const { role } = node.state;
    node.now = role.kind === 'leader' ? role.heartbeatAt : 0;
    node.step({ kind: 'tick' });
    const probe = node.sends.find(({ to, message }) => to === 'c' && message.kind === 'appendEntries');
    expect(probe?.message).toMatchObject({ prevIndex: 5, prevTerm: 1, entries: [] });
    node.receive('c', { ...accepted, match: 5 });
    expect(node.sends[0]?.message).toMatchObject({ kind: 'appendEntries', prevIndex: 5 });
  });

  it('is probed where it begins, when the connection with a follower is lost that has not come so far', () => {
    const { node, accepted } = trimmedLeader();
    node.receive('c', { ...accepted, match: 3 }); // to an append of before
    node.step({ kind: 'disconnected', peer: 'c', lane: 'control' });
    expect(progressAt(node, 'c')).toMatchObject({ match: 3, next: 6, probing: true });
  });

  it('makes a follower pull that is told by its leader, of this term, and lacks what is gone', () => {
    const node = follower([1, 1], 1);
    const told = { kind: 'logBegins', number: 0, first: 9 } as const;
    const pulls = () => node.out.filter(({ kind }) => kind === 'pull');
    node.receive('b', { ...told, term: 1 });
    expect(pulls()).toEqual([]);
    node.receive('b', append(1, 2, 1, [], 1));
    node.receive('b', { ...told, term: 1 });
    expect(pulls()).toEqual([{ kind: 'pull', least: 8 }]);
    node.receive('c', { ...told, term: 1 });
    expect(pulls()).toEqual([]);
    node.receive('b', { ...told, term: 1, first: 2 });
    expect(pulls()).toEqual([]);
  });
});

describe('a snapshot of a peer', () => {
  it('takes the place of a log that ends below it', () => {
    const node = follower([1, 1], 2);
    install(node, snapshotAt(9, 3));
    expect(node.persist?.ops).toMatchObject([
      { kind: 'install', snapshot: { index: 9, term: 3 }, keepsAbove: false },
      { kind: 'hard', hard: { term: 3, vote: null, commit: 9 } },
    ]);
    expect(node.out.filter(({ kind }) => kind === 'restore')).toMatchObject([{ snapshot: { index: 9 } }]);
    const { log, commit, delivery, stamp } = node.state;
    expect([log.first, log.last, log.baseTerm, commit, delivery.delivered, delivery.applied, stamp]).toEqual([
      10, 9, 3, 9, 9, 2, 500,
    ]);
  });

  it('keeps what follows it in the log, if the log agrees there, and only then (raft/suffix-if-it-matches)', () => {
    const agrees = follower([1, 1, 1, 2, 2], 1);
    install(agrees, snapshotAt(4, 2));
    expect([agrees.state.log.first, agrees.state.log.last]).toEqual([5, 5]);
    expect(agrees.persist?.ops[0]).toMatchObject({ keepsAbove: true });
    const differs = follower([1, 1, 1, 1, 1], 1);
    install(differs, snapshotAt(4, 2));
    expect([differs.state.log.first, differs.state.log.last]).toEqual([5, 4]);
  });

  it('is refused at or below the commit index, and by a leader, who has all of it', () => {
    const node = follower([1, 1, 1], 3);
    const { state } = node;
    install(node, snapshotAt(3, 1));
    expect([node.state, node.out]).toEqual([state, []]);
    node.lead('b');
    const leading = node.state;
    install(node, snapshotAt(4, 2));
    expect([node.state, node.out]).toEqual([leading, []]);
  });

  it('raises the term to its own, without a vote', () => {
    const node = new Node('a', 3, { term: 2, vote: 'b', commit: 0 }, []);
    install(node, snapshotAt(4, 2));
    expect([node.state.term, node.state.vote]).toEqual([2, 'b']);
    install(node, snapshotAt(6, 5));
    expect([node.state.term, node.state.vote]).toEqual([5, null]);
  });

  it('is what the first acknowledgement waits for, also of a duplicate (durability/unsynced-runs)', () => {
    const node = follower([1, 1], 1);
    node.receive('b', append(1, 2, 1, [1], 1));
    const before = node.state.persistSeq;
    install(node, snapshotAt(6, 1));
    const seq = node.state.persistSeq;
    node.receive('b', append(1, 2, 1, [1], 6));
    expect(acceptedOf(node)).toMatchObject([{ match: 3, after: seq }]);
    // What was on its way before vouches for nothing that the snapshot holds.
    node.step({ kind: 'persisted', persistSeq: before });
    node.receive('b', append(1, 2, 1, [1, 1, 1, 1], 6));
    expect(acceptedOf(node)).toMatchObject([{ match: 6, after: seq }]);
    node.sync();
    node.receive('b', append(1, 6, 1, [], 6));
    expect(acceptedOf(node)).toMatchObject([{ match: 6, after: 0 }]);
  });

  it('ends attempts whose entries are never seen: they are tried again', () => {
    const node = follower([1, 1], 1);
    node.receive('b', append(1, 2, 1, [], 1));
    const id = { session: 1, sequence: 4, firstIncomplete: 4 };
    const proposal = { request: 3, kind: 'command', id, data: new Uint8Array(1), retry: false } as const;
    node.step({ kind: 'propose', proposals: [proposal], deadline: Infinity });
    install(node, snapshotAt(6, 1));
    expect(node.out.filter(({ kind }) => kind === 'resolve')).toEqual([
      { kind: 'resolve', requests: [3], outcome: { kind: 'unknown', reason: 'restored', leader: null } },
    ]);
  });
});
