/** Answers to pre-votes, one step at a time, at a Raft core. */

import { expect, it } from 'vitest';
import type { PreVote, PreVoteReply } from '../../src/core/election-messages.js';
import { Malformed, Reader, Writer } from '../../src/core/bytes.js';
import { raftProtocol } from '../../src/raft/index.js';
import { MAX_TERM, type RaftMessage } from '../../src/raft/messages.js';
import { Node } from '../raft/support.js';
import { roundForLeaderGivesWay } from './pre-vote-cases.js';

function asking(size = 3): Node {
  const node = new Node('a', size, null, [], true);
  node.step({ kind: 'campaign' });
  return node;
}

function asked(node: Node): PreVote {
  const [first] = node.sends;
  if (first?.message.kind !== 'preVote') throw new Error('it asks nobody');
  return first.message;
}

function reply({ term, number }: PreVote, change: Partial<PreVoteReply> = {}): PreVoteReply {
  return { kind: 'preVoteReply', term, number, current: 0, granted: true, ...change };
}

it('asks everybody in the term to come, and enters none', () => {
  const node = asking();
  expect(node.sends.map(({ to, after }) => [to, after])).toEqual([
    ['b', 0],
    ['c', 0],
  ]);
  expect(asked(node)).toMatchObject({ term: 1, lastIndex: 0, lastTerm: 0 });
  expect([node.state.term, node.state.vote, node.persist]).toEqual([0, null, undefined]);
});

it('campaigns with a majority, and counts nobody twice', () => {
  const node = asking(5);
  const answer = reply(asked(node));
  node.receive('b', answer);
  node.receive('b', answer);
  expect(node.state.role.kind).toBe('follower');
  node.receive('c', answer);
  expect([node.state.role.kind, node.state.term]).toEqual(['candidate', 1]);
});

it('answers to an earlier round count for nothing (liveness/pre-vote-of-this-round)', () => {
  const node = asking();
  const early = reply(asked(node));
  node.step({ kind: 'campaign' });
  const before = node.state;
  node.receive('b', early);
  node.receive('b', { ...early, current: 9, granted: false });
  expect(node.state).toBe(before);
});

it('a late answer is ignored whatever term it tells (raft/stale-term-is-ignored)', () => {
  const node = asking();
  const late = reply(asked(node), { current: 9, granted: false });
  node.receive('c', { kind: 'requestVote', term: 5, lastIndex: 0, lastTerm: 0, handover: false });
  const before = node.state;
  node.receive('b', late);
  expect(node.state).toBe(before);
});

it('a refusal teaches the term, and the replica asks again (liveness/refusal-teaches)', () => {
  const node = asking();
  node.receive('b', reply(asked(node), { current: 7, granted: false }));
  expect(node.state.term).toBe(7);
  expect(asked(node).term).toBe(8);
});

it('a leader that is heard in between ends the round', () => {
  const node = asking();
  const answer = reply(asked(node));
  const append = { term: 1, viewId: 1, prevIndex: 0, prevTerm: 0, entries: [], commit: 0, readRound: 0 };
  node.receive('b', { kind: 'appendEntries', ...append });
  expect(node.state.preVoting).toBe(null);
  node.receive('c', answer);
  expect(node.state.role).toMatchObject({ kind: 'follower', leader: 'b' });
});

it('who hears a leader refuses, and says its term; the question changes nothing', () => {
  const node = new Node('a', 3, null, [], true);
  const append = { term: 4, viewId: 1, prevIndex: 0, prevTerm: 0, entries: [], commit: 0, readRound: 0 };
  node.receive('b', { kind: 'appendEntries', ...append });
  const before = node.state;
  const question: PreVote = { kind: 'preVote', term: 9, number: 3, lastIndex: 5, lastTerm: 4, handover: false };
  node.receive('c', question);
  expect(node.sends.map(({ message }) => message)).toEqual([reply(question, { current: 4, granted: false })]);
  expect(node.state).toBe(before);
});

it('a round for the leader gives way to whoever asks when that leader is heard no longer', roundForLeaderGivesWay);

it('an answer that names another term than was asked for counts for nothing', () => {
  const node = new Node('a', 3, { term: 3, vote: null, commit: 0 }, [], true);
  node.step({ kind: 'campaign' });
  const question = asked(node);
  const before = node.state;
  node.receive('b', reply(question, { term: 1 }));
  node.receive('b', reply(question, { term: 1, current: 9, granted: false }));
  expect(node.state).toBe(before);
});

it('in the highest term nobody campaigns, and a message beyond it is malformed', () => {
  const node = new Node('a', 3, { term: MAX_TERM, vote: null, commit: 0 }, [], true);
  node.step({ kind: 'campaign' });
  const question = asked(node);
  expect(question.term).toBe(MAX_TERM);
  node.receive('b', reply(question, { current: MAX_TERM }));
  expect([node.state.role.kind, node.state.term]).toEqual(['follower', MAX_TERM]);
  const bytes = (message: RaftMessage): Uint8Array => {
    const writer = new Writer(64);
    raftProtocol.codec.write(writer, message);
    return writer.finish();
  };
  for (const beyond of [{ ...question, term: MAX_TERM + 1 }, reply(question, { current: MAX_TERM + 1 })]) {
    expect(() => raftProtocol.codec.read(new Reader(bytes(beyond)))).toThrow(Malformed);
  }
});
