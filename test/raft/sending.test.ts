/** What a Raft leader sends while answers are slow, lost or of many sizes: nothing twice without a reason. */

import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/core/protocol.js';
import { defaultTiming } from '../../src/core/tuning.js';
import type { AppendEntries, RaftCommit, RaftMessage } from '../../src/raft/messages.js';
import { progressAt, Node } from './support.js';

const { heartbeat, electionMin } = defaultTiming;
const PATIENCE = electionMin / 2;

function appendsTo(node: Node, peer: string): AppendEntries[] {
  return node.sends
    .filter(({ to, message }) => to === peer && message.kind === 'appendEntries')
    .map(({ message }) => message as AppendEntries);
}

function entriesTo(node: Node, peer: string): number[] {
  return appendsTo(node, peer).flatMap(({ entries }) => entries.map(({ index }) => index));
}

function noticesTo(node: Node, peer: string): number[] {
  return node.sends
    .filter(({ to, message }) => to === peer && message.kind === 'commit')
    .map(({ message }) => (message as RaftCommit).commit);
}

/** Leads three, and its no-op is committed and acknowledged by both. */
function leader(): Node {
  const node = new Node('a');
  node.lead('b');
  node.sync();
  accept(node, 'b', 1);
  accept(node, 'c', 1);
  return node;
}

function accept(node: Node, peer: string, match: number): void {
  const { viewId } = progressAt(node, peer);
  node.receive(peer, { kind: 'appendAccepted', wall: 0, term: node.state.term, viewId, match });
}

function refuse(node: Node, peer: string, prevIndex: number, hintIndex = 1): void {
  const { viewId } = progressAt(node, peer);
  const { term } = node.state;
  node.receive(peer, { kind: 'appendRejected', term, viewId, prevIndex, hintIndex, hintTerm: term });
}

let request = 0;
function propose(node: Node, bytes = 10): void {
  const id = { session: 1, sequence: ++request, firstIncomplete: 1 };
  const proposals = [{ request, kind: 'command', id, data: new Uint8Array(bytes), retry: false } as const];
  node.step({ kind: 'propose', proposals, deadline: Infinity });
}

function forward(node: Node, from: string, number: number): void {
  const id = { session: 2, sequence: number, firstIncomplete: 1 };
  const proposals = [{ kind: 'command', id, data: new Uint8Array(3), retry: false } as const];
  node.receive(from, { kind: 'forwardProposals', term: node.state.term, number, proposals });
}

describe('a window', () => {
  it('is kept while an acknowledgement takes longer than a heartbeat', () => {
    const node = leader();
    propose(node);
    expect(entriesTo(node, 'b')).toEqual([2]);
    for (let beats = 1; beats * heartbeat < PATIENCE; beats++) {
      node.now = beats * heartbeat;
      node.step({ kind: 'tick' });
      expect(appendsTo(node, 'b')).toMatchObject([{ entries: [], prevIndex: 1 }]);
    }
    accept(node, 'b', 2);
    propose(node);
    expect(entriesTo(node, 'b')).toEqual([3]); // streaming as before
  });

  it('is kept for as long as something is acknowledged now and then', () => {
    const node = leader();
    for (let at = 0; at < 10; at++) propose(node);
    node.sync();
    for (let match = 2; match <= 11; match++) {
      node.now += PATIENCE - 1;
      node.step({ kind: 'tick' });
      expect(entriesTo(node, 'b')).toEqual([]);
      accept(node, 'b', match);
      expect(entriesTo(node, 'b')).toEqual([]);
      accept(node, 'c', match);
    }
  });

  it('is asked about by its lane when nothing was acknowledged for half of the least election timeout', () => {
    const node = leader();
    propose(node, 60_000);
    node.now = PATIENCE;
    node.step({ kind: 'tick' });
    const asked = node.sends.filter(({ to }) => to === 'b').map(({ message, lane }) => ({ lane, ...message }));
    expect(asked).toMatchObject([
      { lane: 'control', entries: [], prevIndex: 1 },
      { lane: 'bulk', entries: [], prevIndex: 2 },
    ]);
    // Asked once for each patience; nothing is sent again, however long that is, and what is new follows.
    propose(node);
    expect(entriesTo(node, 'b')).toEqual([3]);
    node.sync();
    node.now += heartbeat;
    node.step({ kind: 'tick' });
    expect(appendsTo(node, 'b')).toMatchObject([{ entries: [], prevIndex: 1 }]);
    node.now += PATIENCE;
    node.step({ kind: 'tick' });
    expect(appendsTo(node, 'b').map(({ prevIndex }) => prevIndex)).toEqual([1, 3]);
    expect(entriesTo(node, 'b')).toEqual([]);
    refuse(node, 'b', 3);
    expect(entriesTo(node, 'b')).toEqual([2]);
    accept(node, 'b', 2);
    expect(entriesTo(node, 'b')).toEqual([3]);
  });

  it('that was refused is sent again once, though what was under way behind it is refused, too', () => {
    const node = leader();
    for (let count = 0; count < 3; count++) propose(node, 60_000);
    refuse(node, 'b', 2);
    expect(entriesTo(node, 'b')).toEqual([2]);
    refuse(node, 'b', 3);
    expect(appendsTo(node, 'b')).toEqual([]);
    accept(node, 'b', 1); // a heartbeat, which passes the probe
    expect(appendsTo(node, 'b')).toEqual([]);
    refuse(node, 'b', 4);
    expect(appendsTo(node, 'b')).toEqual([]);
    accept(node, 'b', 2);
    expect(entriesTo(node, 'b')).toEqual([3, 4]);
  });

  it('to a peer whose connection was lost is given up at once', () => {
    const node = leader();
    propose(node);
    node.step({ kind: 'disconnected', peer: 'b', lane: 'bulk' });
    expect(progressAt(node, 'b')).toMatchObject({ probing: true, inflight: [], next: 2 });
    expect(progressAt(node, 'c')).toMatchObject({ probing: false });
  });

  it('keeps the lane of what is under way, and chooses anew when nothing is', () => {
    const node = leader();
    const lanes = (): string[] =>
      node.sends
        .filter(({ to, message }) => to === 'b' && (message as { entries?: readonly Entry[] }).entries?.length)
        .map(({ lane }) => lane);
    propose(node, 60_000);
    expect(lanes()).toEqual(['bulk']);
    propose(node);
    expect(lanes()).toEqual(['bulk']); // it must not overtake
    accept(node, 'b', 2);
    propose(node);
    expect(lanes()).toEqual(['bulk']);
    accept(node, 'b', 4);
    propose(node);
    expect(lanes()).toEqual(['control']);
    propose(node, 60_000);
    expect(lanes()).toEqual([]); // the heartbeats would wait for it
    accept(node, 'b', 5);
    expect(lanes()).toEqual(['bulk']);
  });
});

/** A follower and its leader, with two lanes between them, of which the bulk lane is the slower one. */
function sentBytes(sizes: readonly number[]): { sent: number; proposed: number; rejected: number } {
  const node = leader();
  const follower = new Node('b');
  const bulk: RaftMessage[] = [];
  const control: RaftMessage[] = [];
  let sent = 0;
  let rejected = 0;
  const collect = (): void => {
    for (const { to, message, lane } of node.sends) {
      if (to !== 'b') continue;
      if (message.kind === 'appendEntries') for (const { data } of message.entries) sent += data.length;
      (lane === 'bulk' ? bulk : control).push(message);
    }
  };
  const arrive = (message: RaftMessage | undefined): void => {
    if (message === undefined) return;
    follower.receive('a', message);
    follower.sync();
    const match = follower.state.log.last;
    if (follower.state.role.kind === 'follower') {
      const { viewId } = progressAt(node, 'b');
      if (message.kind !== 'appendEntries') return;
      if (message.prevIndex > match) rejected++;
      else node.receive('b', { kind: 'appendAccepted', wall: 0, term: node.state.term, viewId, match });
      collect();
    }
  };
  follower.receive('a', { ...firstAppend(node) });
  follower.sync();
  for (const size of sizes) {
    propose(node, size);
    collect();
    // The control lane is empty before the bulk lane moves.
    while (control.length > 0) arrive(control.shift());
  }
  while (bulk.length + control.length > 0) {
    arrive(bulk.shift());
    while (control.length > 0) arrive(control.shift());
  }
  expect(follower.state.log.last).toBe(node.state.log.last);
  return { sent, proposed: sizes.reduce((sum, size) => sum + size, 0), rejected };
}

/** The append that carried the no-op. */
function firstAppend(node: Node): AppendEntries {
  const entries = node.state.log.chunks.flatMap((chunk) => chunk.entries).slice(0, 1);
  const { viewId } = progressAt(node, 'b');
  return {
    kind: 'appendEntries',
    term: node.state.term,
    viewId,
    prevIndex: 0,
    prevTerm: 0,
    entries,
    commit: 0,
    readRound: 0,
  };
}

it('large entries among small ones are sent once, though their lane is slower', () => {
  const sizes = Array.from({ length: 60 }, (_, at) => (at % 7 === 3 ? 60_000 : 100));
  const { sent, proposed, rejected } = sentBytes(sizes);
  expect([sent, rejected]).toEqual([proposed, 0]);
});

describe('a commit notice', () => {
  it('tells at once a peer to which nothing is under way', () => {
    const node = leader();
    propose(node);
    node.sync();
    accept(node, 'b', 2);
    expect([noticesTo(node, 'b'), noticesTo(node, 'c')]).toEqual([[2], []]);
    accept(node, 'c', 2);
    expect([noticesTo(node, 'b'), noticesTo(node, 'c')]).toEqual([[], [2]]);
    expect(node.sends).toMatchObject([{ lane: 'control', message: { term: node.state.term } }]);
  });

  it('never goes beyond what the peer has acknowledged, and not to one that hears of it by an append', () => {
    const node = leader();
    propose(node);
    propose(node);
    node.sync();
    accept(node, 'b', 2);
    expect(noticesTo(node, 'b')).toEqual([]); // 3 is under way to it, and its answer brings the next message
    accept(node, 'c', 3);
    expect([noticesTo(node, 'b'), noticesTo(node, 'c')]).toEqual([[], [3]]);
    propose(node);
    expect(appendsTo(node, 'b')).toMatchObject([{ commit: 3, prevIndex: 3 }]);
    accept(node, 'b', 3);
    expect(noticesTo(node, 'b')).toEqual([]); // the append told it
  });

  it('goes to one that forwarded even while others are under way to it, once for an index', () => {
    const node = leader();
    forward(node, 'b', 1);
    expect(node.sends.filter(({ message }) => message.kind === 'forwardAccepted')).toMatchObject([
      { to: 'b', after: 0, message: { places: [{ first: 2, count: 1 }] } },
    ]);
    propose(node);
    node.sync();
    accept(node, 'c', 2);
    expect(noticesTo(node, 'b')).toEqual([]); // it has not acknowledged it
    accept(node, 'b', 2);
    expect(noticesTo(node, 'b')).toEqual([2]);
    accept(node, 'b', 2);
    expect(noticesTo(node, 'b')).toEqual([]);
  });

  it('that is lost is made good by the heartbeat', () => {
    const node = leader();
    propose(node);
    node.sync();
    accept(node, 'b', 2);
    expect(noticesTo(node, 'b')).toEqual([2]);
    node.now = heartbeat;
    node.step({ kind: 'tick' });
    expect(appendsTo(node, 'b')).toMatchObject([{ commit: 2, prevIndex: 2 }]);
  });

  it('of another than its leader says nothing to a follower', () => {
    const follower = new Node('b');
    follower.receive('a', firstAppend(leader()));
    const before = follower.state;
    follower.receive('c', { kind: 'commit', term: before.term, commit: 1 });
    expect(follower.state).toBe(before);
  });

  it('of a leader is believed up to what matched it', () => {
    const follower = new Node('b');
    follower.receive('a', firstAppend(leader()));
    follower.receive('a', { kind: 'commit', term: follower.state.term, commit: 9 });
    expect(follower.state.commit).toBe(1);
    expect(follower.sends).toEqual([]); // nobody acknowledges one
  });
});
