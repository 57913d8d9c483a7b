/** Raft's words in traces: every kind of message, every role. */

import { describe, expect, it } from 'vitest';
import { raftModel, type RaftMessage, type RaftState } from '../../../src/raft/index.js';
import { entry, logOf, Node } from '../support.js';

const NO_DATA = new Uint8Array(0);
const noop = { index: 1, term: 1, kind: 'noop', time: 0, id: null, data: NO_DATA } as const;
const append = {
  kind: 'appendEntries',
  term: 3,
  viewId: 1,
  prevIndex: 9,
  prevTerm: 1,
  commit: 8,
  readRound: 0,
} as const;
const several = [entry(10, 2), entry(11, 2), entry(12, 3)];
const forward = { kind: 'forwardProposals', term: 3, number: 5 } as const;
const proposal = {
  kind: 'command',
  id: { session: 1, sequence: 1, firstIncomplete: 1 },
  data: NO_DATA,
  retry: false,
} as const;
const refused = { kind: 'forwardRefused', term: 3, number: 5 } as const;
const answer = { kind: 'readAnswer', term: 3, number: 5, commit: 4 } as const;

describe('a trace says of a message', () => {
  it.each<readonly [string, RaftMessage]>([
    ['RequestVote t3 last=9@1', { kind: 'requestVote', term: 3, lastIndex: 9, lastTerm: 1, handover: false }],
    ['RequestVote t3 last=0', { kind: 'requestVote', term: 3, lastIndex: 0, lastTerm: 0, handover: false }],
    ['RequestVote t3 last=0 handover', { kind: 'requestVote', term: 3, lastIndex: 0, lastTerm: 0, handover: true }],
    ['Handover #5 t3', { kind: 'handover', term: 3, number: 5 }],
    ['Handover #5 t3 refused', { kind: 'handoverRefused', term: 3, number: 5 }],
    ['RequestVote t3 granted', { kind: 'requestVoteReply', wall: 0, term: 3, granted: true }],
    ['RequestVote t3 refused', { kind: 'requestVoteReply', wall: 0, term: 3, granted: false }],
    ['AppendEntries t3 prev=9@1 [10@2] commit=8', { ...append, entries: [entry(10, 2)] }],
    ['AppendEntries t3 prev=9@1 [10-11@2 12@3] commit=8', { ...append, entries: several }],
    ['AppendEntries t3 prev=0 [1@1:noop] commit=8', { ...append, prevIndex: 0, prevTerm: 0, entries: [noop] }],
    ['AppendEntries t3 prev=9@1 commit=8 round=2', { ...append, entries: [], readRound: 2 }],
    ['AppendEntries t3 accepted match=7', { kind: 'appendAccepted', wall: 0, term: 3, viewId: 1, match: 7 }],
    [
      'AppendEntries t3 rejected prev=9 hint=5@2',
      { kind: 'appendRejected', term: 3, viewId: 1, prevIndex: 9, hintIndex: 5, hintTerm: 2 },
    ],
    ['Round t3 confirmed round=2', { kind: 'roundConfirmed', term: 3, viewId: 1, readRound: 2 }],
    ['Forward #5 t3 commands=1', { ...forward, proposals: [proposal] }],
    ['Forward #5 t3 commands=2', { ...forward, proposals: [proposal, proposal] }],
    ['ForwardRefused #5 busy', { ...refused, reason: 'busy', leader: null }],
    ['ForwardRefused #5 notLeader leader=n2', { ...refused, reason: 'notLeader', leader: 'n2' }],
    ['ForwardRead #5 t3', { kind: 'forwardRead', term: 3, number: 5, byLease: false }],
    ['ReadAnswer #5 t3 index=4 commit=4', { ...answer, index: 4 }],
  ])('%s', (words, message) => {
    expect(raftModel.describeMessage(message)).toBe(words);
  });
});

describe('a trace says of a state', () => {
  const follower = new Node('a', 3, { term: 3, vote: 'b', commit: 0 }, logOf(1, 1, 3)).state;
  const of = (state: RaftState): string => raftModel.describeState(state);

  it('its role, term and log', () => {
    expect(of(new Node('a').state)).toBe('follower t0 log=empty commit=0');
    expect(of(follower)).toBe('follower t3 voted b log=1-2@1 3@3 commit=0');
    expect(of({ ...follower, commit: 2, role: { ...follower.role, leader: 'c' } as never })).toBe(
      'follower t3 of c log=1-2@1 3@3 commit=2',
    );
    const node = new Node('a', 3, { term: 3, vote: 'b', commit: 0 }, logOf(1, 1, 3));
    node.step({ kind: 'campaign' });
    node.sync();
    expect(of(node.state)).toBe('candidate t4 votes=1 log=1-2@1 3@3 commit=0');
    node.receive('b', { kind: 'requestVoteReply', wall: 0, term: 4, granted: true });
    expect(of(node.state)).toBe('leader t4 log=1-2@1 3@3 4@4 commit=0');
  });

  it('that it takes no part any more, and why', () => {
    expect(of({ ...follower, stopped: true })).toBe('stopped');
    expect(of({ ...follower, stopped: true, fault: 'EIO' })).toBe('halted: EIO');
  });
});
