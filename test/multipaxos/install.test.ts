/** Snapshots in Multi-Paxos: the chosen prefix begins above 1, and a snapshot of a peer takes its place. */

import { describe, expect, it } from 'vitest';
import type { SnapshotName } from '../../src/core/protocol.js';
import { b, messages, Node, resolves, value, type NodeOptions } from './support.js';

const snapshotAt = (index: number, term = b(1, 1)): SnapshotName => ({ index, term, checksum: 7, time: 500 });
const install = (node: Node, snapshot: SnapshotName) => node.step({ kind: 'install', now: node.now, snapshot });

/** A follower of n1 with votes for the slots 1 to `to`, of which so many are known to be chosen. */
function follower(to: number, commit: number, options: NodeOptions = {}): Node {
  const node = new Node('n2', options);
  const entries = Array.from({ length: to }, (_, at) => value(at + 1, b(1, 1), `w${at + 1}`));
  node.get('n1', { kind: 'accept', ballot: b(1, 1), commit: 0, entries });
  node.sync();
  for (let chosen = 1; chosen <= commit; chosen++) {
    node.get('n1', { kind: 'heartbeat', ballot: b(1, 1), commit: chosen, readRound: 0 });
    node.applied();
    node.sync();
  }
  return node;
}

describe('a chosen prefix that is trimmed', () => {
  it('is not served below what is left, and whoever asks is told so', () => {
    const node = follower(6, 6);
    node.step({ kind: 'snapshotTaken', now: 0, snapshot: snapshotAt(5), through: 4 });
    node.sync();
    expect(node.state.log.first).toBe(5);
    const asked = { kind: 'catchUp', to: 6, bytes: 1000 } as const;
    const refused = node.get('n3', { ...asked, number: 8, from: 4 });
    expect(messages(refused, 'logBegins')).toEqual([{ kind: 'logBegins', term: b(1, 1), number: 8, first: 5 }]);
    expect(messages(refused, 'catchUpReply')).toEqual([]);
    expect(messages(node.get('n3', { ...asked, number: 9, from: 5 }), 'catchUpReply')[0]?.entries).toHaveLength(2);
  });

  it.each([2, 0])('is not loaded any more for a question that was begun before, %d entries into the answer', (read) => {
    const node = follower(6, 6, { limits: { tailEntries: 1 } });
    const asked = node.get('n3', { kind: 'catchUp', number: 8, from: 1, to: 6, bytes: 1000 });
    const [load] = asked.filter((each) => each.kind === 'load');
    expect(load).toMatchObject({ from: 1 });
    node.step({ kind: 'snapshotTaken', now: 0, snapshot: snapshotAt(5), through: 4 });
    const entries = Array.from({ length: read }, (_, at) => value(at + 1, b(1, 1), `w${at + 1}`));
    const out = node.step({ kind: 'loaded', now: 0, id: load?.id ?? 0, entries });
    expect(messages(out, 'catchUpReply').flatMap((page) => page.entries)).toHaveLength(read);
    expect(messages(out, 'catchUpReply').filter((page) => page.entries.length === 0)).toEqual([]);
    expect(messages(out, 'logBegins')).toEqual([{ kind: 'logBegins', term: b(1, 1), number: 8, first: 5 }]);
    expect(out.filter(({ kind }) => kind === 'load')).toEqual([]);
  });

  it('makes who needs it pull, once nobody else has the entries either', () => {
    const node = new Node('n2');
    const heard = node.get('n1', { kind: 'heartbeat', ballot: b(1, 1), commit: 9, readRound: 0 });
    const [first] = messages(heard, 'catchUp', 'n1');
    const told = { kind: 'logBegins', term: b(1, 1), first: 7 } as const;
    expect(node.get('n1', { ...told, number: 99 })).toEqual([]);
    const next = node.get('n1', { ...told, number: first?.number ?? 0 });
    const [second] = messages(next, 'catchUp', 'n3');
    expect(next.some(({ kind }) => kind === 'pull')).toBe(false);
    const all = node.get('n3', { ...told, first: 5, number: second?.number ?? 0 });
    expect(all.filter(({ kind }) => kind === 'pull')).toEqual([{ kind: 'pull', least: 4 }]);
    expect(node.state.catchingUp?.retryAt).toBe(Infinity);
  });

  it('leaves what it needs to whoever has the entries', () => {
    const node = new Node('n2');
    const heard = node.get('n1', { kind: 'heartbeat', ballot: b(1, 1), commit: 2, readRound: 0 });
    const number = messages(heard, 'catchUp', 'n1')[0]?.number ?? 0;
    const next = node.get('n1', { kind: 'logBegins', term: b(1, 1), first: 2, number });
    const asked = messages(next, 'catchUp', 'n3')[0]?.number ?? 0;
    const rest = node.get('n3', { kind: 'catchUpReply', number: asked, commit: 2, rest: 1, entries: [] });
    const entries = [value(1, b(1, 1), 'a'), value(2, b(1, 1), 'b')];
    const last = messages(rest, 'catchUp', 'n3')[0]?.number ?? 0;
    const out = node.get('n3', { kind: 'catchUpReply', number: last, commit: 2, rest: 0, entries });
    expect(out.some(({ kind }) => kind === 'pull')).toBe(false);
    expect(node.w).toBe(2);
  });
});

describe('a snapshot of a peer', () => {
  it('keeps the promise and the votes above it (paxos/votes-stay), on disk, too', () => {
    const node = follower(6, 2);
    const out = install(node, snapshotAt(4));
    expect(out.filter(({ kind }) => kind === 'restore')).toMatchObject([{ snapshot: { index: 4 } }]);
    expect(node.state.promised).toBe(b(1, 1));
    expect(node.state.window.runs.flatMap(({ entries }) => entries.map(({ index }) => index))).toEqual([5, 6]);
    expect([node.w, node.state.log.first, node.state.delivery.delivered]).toEqual([4, 5, 4]);
    const { persists } = node;
    expect(persists[persists.length - 1]?.ops).toMatchObject([
      { kind: 'install', snapshot: { index: 4 }, keepsAbove: true },
      { kind: 'hard', hard: { term: b(1, 1), commit: 4 } },
    ]);
  });

  it('is refused at or below the commit index', () => {
    const node = follower(6, 4);
    const { state } = node;
    expect(install(node, snapshotAt(4))).toEqual([]);
    expect(node.state).toBe(state);
  });

  it('ends the leadership of one that has proposed in its slots (paxos/yield-to-chosen)', () => {
    const node = new Node('n1', { size: 3 });
    node.step({ kind: 'campaign', now: 0 });
    node.sync();
    const page = { from: 1, commit: 2, next: 0, rest: 0, votes: [], wall: 0 } as const;
    node.get('n2', { kind: 'promise', ballot: node.state.promised, ...page });
    expect(node.role).toBe('leader');
    install(node, snapshotAt(2));
    expect([node.role, node.w]).toEqual(['leader', 2]);
    node.propose(['x']);
    const out = install(node, snapshotAt(5, b(7, 3)));
    expect([node.role, node.w]).toEqual(['follower', 5]);
    expect(resolves(out).map((each) => each.split(' ').slice(1).join(' '))).toEqual(['unknown leaderChanged']);
  });
});
