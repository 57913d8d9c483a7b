/** The Raft paper, sentence by sentence, on replicas driven by hand. */

import { describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../src/core/assert.js';
import { termAt } from '../../src/core/log.js';
import type { AppendEntries } from '../../src/raft/messages.js';
import { apply, createWorld, type World } from 'quorate/testing';
import { raftModel, raftProtocol, type RaftState } from '../../src/raft/index.js';
import { storageOps } from '../../src/replica/driver/persist-lane.js';
import { written } from '../../src/testing/world/disk.js';
import { coreOf, pass } from '../play.js';
import { noop } from '../values.js';
import { Node, entry, logOf } from './support.js';

const { durable } = raftProtocol;

const hard = (
  term: number,
  vote: string | null = null,
  commit = 0,
): { term: number; vote: string | null; commit: number } => ({
  term,
  vote,
  commit,
});

function append(change: Partial<AppendEntries>): AppendEntries {
  return {
    kind: 'appendEntries',
    term: 1,
    viewId: 9,
    prevIndex: 0,
    prevTerm: 0,
    entries: [],
    commit: 0,
    readRound: 0,
    ...change,
  };
}

describe('RequestVote', () => {
  const ask = { kind: 'requestVote', term: 2, lastIndex: 0, lastTerm: 0, handover: false } as const;

  it('§5.2 a candidate increments its term, votes for itself and asks everybody, once that is durable', () => {
    const node = new Node('a', 3, hard(4));
    node.step({ kind: 'campaign' });
    expect(node.state).toMatchObject({ term: 5, vote: 'a', role: { kind: 'candidate', votes: [] } });
    expect(node.sends.map(({ to, after, message }) => [to, after, message.kind])).toEqual([
      ['b', node.state.persistSeq, 'requestVote'],
      ['c', node.state.persistSeq, 'requestVote'],
    ]);
    expect(node.persist?.ops).toContainEqual({ kind: 'hard', hard: hard(5, 'a') });
  });

  it('durability/own-vote-after-sync: the own vote counts only once it is durable, in a cluster of one too', () => {
    const alone = new Node('a', 1);
    expect(alone.state.role.kind).toBe('candidate');
    alone.sync();
    expect(alone.state.role.kind).toBe('leader');
    expect(alone.state.commit).toBe(0);
    alone.sync();
    expect(alone.state.commit).toBe(1);
  });

  it('§5.2 one vote a term, first come first served; the grant waits for the disk', () => {
    const node = new Node('a');
    node.receive('b', ask);
    expect(node.sends[0]).toMatchObject({ to: 'b', after: node.state.persistSeq, message: { granted: true, term: 2 } });
    node.receive('c', ask);
    expect(node.sends[0]).toMatchObject({ to: 'c', after: 0, message: { granted: false } });
    node.receive('b', ask);
    expect(node.sends[0]).toMatchObject({ to: 'b', after: node.state.hardSeq, message: { granted: true } });
  });

  it('the vote survives a restart', () => {
    const node = new Node('a', 3, hard(2, 'b'));
    node.receive('c', ask);
    expect(node.sends[0]).toMatchObject({ message: { granted: false } });
  });

  it.each([
    ['a later last term wins over length', [1, 1, 1], { lastIndex: 1, lastTerm: 2 }, true],
    ['of equal last terms the longer wins', [1, 2], { lastIndex: 1, lastTerm: 2 }, false],
    ['equal logs are as good', [1, 2], { lastIndex: 2, lastTerm: 2 }, true],
    ['an earlier last term loses, however long', [2], { lastIndex: 9, lastTerm: 1 }, false],
  ] as const)('§5.4.1 %s', (_, terms, last, granted) => {
    const node = new Node('a', 3, hard(2), logOf(...terms));
    node.receive('b', { kind: 'requestVote', term: 3, ...last, handover: false });
    expect(node.sends[0]).toMatchObject({ message: { granted } });
  });

  it('votes of an older term and repeated ones count for nothing', () => {
    const node = new Node('a', 5);
    node.step({ kind: 'campaign' });
    node.sync();
    const { term } = node.state;
    node.receive('b', { kind: 'requestVoteReply', wall: 0, term, granted: true });
    node.receive('b', { kind: 'requestVoteReply', wall: 0, term, granted: true });
    node.receive('c', { kind: 'requestVoteReply', wall: 0, term: term - 1, granted: true });
    expect(node.state.role.kind).toBe('candidate');
    node.receive('c', { kind: 'requestVoteReply', wall: 0, term, granted: true });
    expect(node.state.role.kind).toBe('leader');
  });

  it('§5.1 a higher term makes a follower of anybody, and a stale one is answered with the newer', () => {
    const node = new Node('a');
    node.lead('b');
    node.receive('c', { kind: 'requestVote', term: 9, lastIndex: 0, lastTerm: 0, handover: false });
    expect(node.state).toMatchObject({ term: 9, role: { kind: 'follower' } });
    node.receive('b', append({ term: 1 }));
    expect(node.sends[0]).toMatchObject({ to: 'b', message: { kind: 'appendRejected', term: 9, viewId: 0 } });
  });
});

describe('AppendEntries', () => {
  it('rule 2: refuses where the previous entry does not match, with a hint of index and term', () => {
    const node = new Node('a', 3, hard(4), logOf(1, 1, 4));
    node.receive('b', append({ term: 5, prevIndex: 3, prevTerm: 3, entries: [entry(4, 5)] }));
    expect(node.sends[0]).toMatchObject({
      message: { kind: 'appendRejected', prevIndex: 3, hintIndex: 2, hintTerm: 1 },
    });
    expect(node.terms).toEqual([1, 1, 4]);
  });

  it('rules 3 and 4: what conflicts goes with all that follows, what is new comes', () => {
    const node = new Node('a', 3, hard(3), logOf(1, 2, 2, 3));
    node.receive('b', append({ term: 4, prevIndex: 1, prevTerm: 1, entries: [entry(2, 2), entry(3, 4)] }));
    expect(node.terms).toEqual([1, 2, 4]);
    expect(node.persist?.ops.map((op) => op.kind)).toEqual(['truncate', 'put', 'hard']);
  });

  it('raft/cut-at-conflict-only: a late append that matches never shortens the log', () => {
    const node = new Node('a', 3, hard(1), logOf(1, 1, 1));
    node.receive('b', append({ prevIndex: 0, entries: [entry(1, 1)] }));
    expect(node.terms).toEqual([1, 1, 1]);
  });

  it('rule 5: neither commit index nor acknowledgement exceed what the message matched', () => {
    const node = new Node('a', 3, hard(1), logOf(1, 1, 1));
    node.receive('b', append({ prevIndex: 1, prevTerm: 1, commit: 3 }));
    expect(node.state.commit).toBe(1);
    expect(node.sends[0]).toMatchObject({ message: { kind: 'appendAccepted', wall: 0, match: 1 } });
  });

  it('the acknowledgement waits for every entry it covers, also when it repeats one', () => {
    const node = new Node('a');
    const message = append({ entries: [entry(1, 1)] });
    node.receive('b', message);
    const { persistSeq } = node.state;
    expect(node.sends[0]).toMatchObject({ after: persistSeq, message: { match: 1 } });
    node.receive('b', message);
    expect(node.sends[0]).toMatchObject({ after: persistSeq, message: { match: 1 } });
    node.sync();
    node.receive('b', message);
    expect(node.sends[0]).toMatchObject({ after: 0 });
  });

  it('durability/unsynced-runs: a late `persisted` never vouches for an entry that was overwritten', () => {
    const node = new Node('a');
    node.receive('b', append({ term: 1, entries: [entry(1, 1), entry(2, 1)] }));
    const early = node.state.persistSeq;
    node.receive('c', append({ term: 2, prevIndex: 1, prevTerm: 1, entries: [entry(2, 2)] }));
    node.step({ kind: 'persisted', persistSeq: early });
    node.receive('c', append({ term: 2, prevIndex: 2, prevTerm: 2 }));
    expect(node.sends[0]).toMatchObject({ after: node.state.persistSeq, message: { match: 2 } });
  });

  it('two leaders of one term, and a conflict at or below commit, halt the replica', () => {
    const node = new Node('a');
    node.receive('b', append({ entries: [entry(1, 1)], commit: 1 }));
    expect(() => node.receive('c', append({}))).toThrow(InvariantViolation);
    expect(() => node.receive('b', append({ term: 2, entries: [entry(1, 2)] }))).toThrow(InvariantViolation);
  });
});

describe('the leader', () => {
  it('Figure 7: brings every follower’s log to its own', () => {
    const leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const logs = [
      leader,
      [1, 1, 1, 4, 4, 5, 5, 6, 6],
      [1, 1, 1, 4],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
      [1, 1, 1, 4, 4, 4, 4],
      [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    const before = createWorld({ model: raftModel, program: 'core', replicas: logs.length });
    // Behind the back of the world: it restarts from what the paper draws.
    const slots = before.slots.map((slot, at) => {
      const entries = (logs[at] as number[]).map((term, place) => noop(place + 1, term));
      const ops = [{ kind: 'put', entries } as const, { kind: 'hard', hard: hard(7) } as const];
      return { ...slot, disk: written(slot.disk, storageOps(ops, durable)) };
    });
    let world: World = { ...before, slots };
    for (const { id: replica } of slots) world = apply(world, { kind: 'crash', at: 0, replica, keep: false });
    for (const { id: replica } of slots) world = apply(world, { kind: 'restart', at: 0, replica });
    world = pass(apply(world, { kind: 'campaign', at: 0, replica: 'n1' }), 100);
    for (const { id } of slots) {
      const { log, commit } = coreOf(world, id) as RaftState;
      const terms = log.chunks.flatMap((chunk) => chunk.entries.map(({ term }) => term));
      expect([id, terms, commit]).toEqual([id, [...leader, 8], 11]);
    }
  });

  it('§5.4.2, Figure 8: never commits an entry of an earlier term by counting', () => {
    const node = new Node('a', 5, hard(3), logOf(1, 2));
    node.lead('b', 'c');
    const { session: viewId } = node;
    const { term } = node.state;
    node.sync();
    for (const id of ['b', 'c']) node.receive(id, { kind: 'appendAccepted', wall: 0, term, viewId, match: 2 });
    expect(node.state.commit).toBe(0);
    for (const id of ['b', 'c']) node.receive(id, { kind: 'appendAccepted', wall: 0, term, viewId, match: 3 });
    expect(node.state.commit).toBe(3);
    expect(termAt(node.state.log, 3)).toBe(term);
  });

  it('raft/answers-name-the-view: acknowledgements of another session or term count for nothing', () => {
    const node = new Node('a');
    node.lead('b');
    node.sync();
    const { term } = node.state;
    node.receive('b', { kind: 'appendAccepted', wall: 0, term, viewId: 1, match: 1 });
    node.receive('b', { kind: 'appendAccepted', wall: 0, term: term - 1, viewId: 1, match: 1 });
    expect(node.state.commit).toBe(0);
  });

  it('counts itself only up to what is durable here; its appends do not wait for that', () => {
    const node = new Node('a');
    node.lead('b');
    expect(node.sends.every((send) => send.after === 0)).toBe(true);
    node.receive('b', { kind: 'appendAccepted', wall: 0, term: node.state.term, viewId: node.session, match: 1 });
    expect(node.state.commit).toBe(0);
    node.sync();
    expect(node.state.commit).toBe(1);
  });

  it('leadership/ends-without-quorum: steps down and is silent when no majority has answered for the longest election timeout', () => {
    const node = new Node('a');
    node.lead('b');
    node.sync();
    for (node.now = 150; node.now <= 2000 && node.state.role.kind === 'leader'; node.now += 150)
      node.step({ kind: 'tick' });
    node.now = 2001;
    node.step({ kind: 'tick' });
    expect(node.state.role.kind).toBe('follower');
    expect(node.sends).toEqual([]);
  });

  it('reads/own-term-first: no read before an entry of its own term is committed, and then by one round for all that wait', () => {
    const node = new Node('a', 3, hard(1), logOf(1));
    node.lead('b');
    node.sync();
    node.step({ kind: 'read', request: 1, deadline: Infinity });
    node.step({ kind: 'read', request: 2, deadline: Infinity });
    expect(node.out).toEqual([]);
    const { term } = node.state;
    const { session: viewId } = node;
    node.receive('b', { kind: 'appendAccepted', wall: 0, term, viewId, match: 2 });
    expect(node.sends.filter((send) => (send.message as AppendEntries).readRound === 1)).toHaveLength(2);
    node.receive('c', { kind: 'roundConfirmed', term, viewId, readRound: 0 });
    expect(node.out.filter((each) => each.kind === 'readReady')).toEqual([]);
    node.receive('b', { kind: 'roundConfirmed', term, viewId, readRound: 1 });
    expect(node.out.filter((each) => each.kind === 'readReady')).toEqual([
      { kind: 'readReady', request: 1, index: 2 },
      { kind: 'readReady', request: 2, index: 2 },
    ]);
  });

  it('reads/no-late-joiner: a round confirms only what was waiting when it began', () => {
    const node = new Node('a');
    node.lead('b');
    node.sync();
    const { term } = node.state;
    const { session: viewId } = node;
    node.receive('b', { kind: 'appendAccepted', wall: 0, term, viewId, match: 1 });
    node.step({ kind: 'read', request: 1, deadline: Infinity });
    node.step({ kind: 'read', request: 2, deadline: Infinity });
    node.receive('b', { kind: 'roundConfirmed', term, viewId, readRound: 1 });
    expect(node.out.filter((each) => each.kind === 'readReady')).toEqual([{ kind: 'readReady', request: 1, index: 1 }]);
    node.receive('b', { kind: 'roundConfirmed', term, viewId, readRound: 2 });
    expect(node.out.filter((each) => each.kind === 'readReady')).toEqual([{ kind: 'readReady', request: 2, index: 1 }]);
  });
});
