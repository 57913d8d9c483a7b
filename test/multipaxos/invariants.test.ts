/** What one replica can see of the rules: states and steps that are in order but for one thing, and what they break. */

import { describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../src/core/assert.js';
import { append } from '../../src/core/log.js';
import { NO_END } from '../../src/multipaxos/ranges.js';
import type { Inbound } from '../../src/core/protocol.js';
import { multipaxosProtocol, type PaxosMessage, type PaxosState } from '../../src/multipaxos/index.js';
import { withVotes } from '../../src/multipaxos/window.js';
import { accept, accepted, b, elected, Node, promise, value } from './support.js';

const { checkState, checkStep } = multipaxosProtocol;

function follower(): PaxosState {
  const node = new Node('n1');
  node.get('n2', accept(b(2, 2), [value(1, b(2, 2), 'x')]));
  return node.state;
}

function candidate(): Node {
  const node = new Node('n1');
  node.campaign();
  node.sync();
  return node;
}

type Leader = Extract<PaxosState['role'], { kind: 'leader' }>;

/** A leader that has proposed slots 1 and 2, with parts of its record replaced. */
function leader(fields: Partial<Leader> = {}): PaxosState {
  const node = elected();
  node.propose(['x']);
  return { ...node.state, role: { ...(node.state.role as Leader), ...fields } };
}

function firstPeer(fields: Partial<Leader['peers'][0]>): PaxosState {
  const { peers } = leader().role as Leader;
  return leader({ peers: peers.map((peer, at) => (at === 0 ? { ...peer, ...fields } : peer)) });
}

function got(message: PaxosMessage, from = 'n2'): Inbound<PaxosMessage> {
  return { kind: 'receive', now: 0, from, message };
}

const tick = { kind: 'tick', now: 0 } as const;
const { log, window, ...rest } = follower();

const states: readonly (readonly [rule: string, what: string, state: PaxosState])[] = [
  ['paxos/vote-at-promise', 'a vote above the promise', { ...follower(), promised: b(1, 1) }],
  [
    'paxos/votes-above-commit',
    'a vote at or below the commit index',
    { ...rest, window, log: append(log, [value(1, b(2, 2), 'x')]) },
  ],
  [
    'log/delivery-in-bounds',
    'more delivered than chosen',
    { ...follower(), delivery: { ...rest.delivery, delivered: 1 } },
  ],
  [
    'durability/persists-in-order',
    'a promise durable that was never issued',
    { ...follower(), durableSeq: rest.persistSeq + 1 },
  ],
  ['paxos/own-acceptor', 'a leader of a ballot that it has not promised', leader({ ballot: b(1, 2) })],
  ['paxos/own-acceptor', 'a leader that has not voted for what it proposed', leader({ next: 4 })],
  [
    'paxos/ballot-used-once',
    'a leader whose ballot is not durable',
    { ...leader(), hardSeq: leader().persistSeq, durableSeq: 0 },
  ],
  [
    'paxos/propose-above-reported-commit',
    'a leader that proposes below committedAtElection',
    leader({ committedAtElection: 9 }),
  ],
  [
    'paxos/highest-ballot-value',
    'something to repropose that is proposed already',
    leader({ toRepropose: [value(1, b(1, 1), 'y')] }),
  ],
  ['paxos/acks-by-slot', 'somebody who accepted what was not proposed', firstPeer({ match: 3 })],
  ['paxos/acks-by-slot', 'ranges that touch', firstPeer({ beyond: [{ from: 1, to: 1 }] })],
  ['limits/in-flight-adds-up', 'bytes under way that do not add up', firstPeer({ inflightBytes: 1 })],
  [
    'limits/in-flight-adds-up',
    'one Accept under way twice',
    firstPeer({
      inflight: [
        { from: 1, to: 1, bytes: 3, lane: 'control', sentAt: 0, again: false, overtaken: false },
        { from: 1, to: 1, bytes: 3, lane: 'control', sentAt: 0, again: true, overtaken: false },
      ],
      sentTo: 1,
      inflightBytes: 6,
    }),
  ],
  ['reads/rounds-in-order', 'a round answered that was not begun', firstPeer({ readRound: 1 })],
];

describe('a state that contradicts itself', () => {
  it.each(states)('%s: %s', (rule, _what, state) => {
    expect(() => checkState(state)).toThrow(InvariantViolation);
    expect(() => checkState(state)).toThrow(new RegExp(`^${rule}: `));
  });

  it('stands beside others that do not', () => {
    for (const state of [follower(), candidate().state, leader()]) expect(() => checkState(state)).not.toThrow();
  });
});

/** A candidate of three that has one promise, which reports a commit index of 3. */
function promisedMuch(): Node {
  const node = candidate();
  node.get('n2', promise(node.state.promised, { commit: 3 }));
  return node;
}

const chosen = (state: PaxosState, word: string, ballot: number): PaxosState => ({
  ...state,
  log: append(state.log, [value(state.log.last + 1, ballot, word)]),
  window: { runs: [], bytes: 0 },
});

type Case = readonly [
  rule: string,
  what: string,
  before: PaxosState,
  after: PaxosState,
  inbound: Inbound<PaxosMessage>,
];

const steps: readonly Case[] = [
  ['paxos/promise-never-falls', 'a promise is lowered', follower(), { ...follower(), promised: 0 }, tick],
  [
    'paxos/promise-never-falls',
    'a Nack raises a promise',
    follower(),
    { ...follower(), promised: b(9, 1) },
    got({ kind: 'nack', ballot: 1, promised: b(9, 1), commit: 0 }),
  ],
  ['log/commit-never-falls', 'the commit index falls', chosen(follower(), 'x', b(2, 2)), follower(), tick],
  [
    'paxos/learned-is-chosen',
    'a Nack makes something chosen',
    follower(),
    chosen(follower(), 'x', b(2, 2)),
    got({ kind: 'nack', ballot: 1, promised: b(9, 1), commit: 1 }),
  ],
  ['paxos/votes-stay', 'a vote disappears', follower(), { ...follower(), window: { runs: [], bytes: 0 } }, tick],
  [
    'paxos/one-value-per-ballot',
    'a vote changes',
    follower(),
    { ...follower(), window: withVotes(window, [value(1, b(2, 2), 'y')]) },
    tick,
  ],
  [
    'paxos/vote-at-promise',
    'a vote is made below the promise',
    follower(),
    { ...follower(), window: withVotes(window, [value(2, b(1, 1), 'y')]) },
    got(accept(b(2, 2), [])),
  ],
  [
    'paxos/vote-by-accept',
    'a Heartbeat makes a vote',
    follower(),
    { ...follower(), window: withVotes(window, [value(2, b(2, 2), 'y')]) },
    got({ kind: 'heartbeat', ballot: b(2, 2), commit: 0, readRound: 0 }),
  ],
  [
    'paxos/alpha-window',
    'a vote is made too far ahead',
    follower(),
    { ...follower(), window: withVotes(window, [value(99, b(2, 2), 'y')]) },
    got(accept(b(2, 2), [])),
  ],
  [
    'paxos/commit-by-own-ballot',
    'a vote in another ballot than the leader’s is taken for chosen',
    follower(),
    { ...chosen(follower(), 'x', b(2, 2)), leaderCommitBallot: b(3, 3), leaderCommit: 1 },
    got({ kind: 'commit', ballot: b(3, 3), commit: 1 }),
  ],
  [
    'paxos/yield-to-chosen',
    'a leader leads on after another value than its own was chosen',
    leader(),
    chosen(leader(), 'y', b(3, 3)),
    got({ kind: 'catchUpReply', number: 1, commit: 1, rest: 0, entries: [] }),
  ],
  [
    'paxos/phase1-majority',
    'a follower leads at once',
    new Node('n1').state,
    { ...leader(), window: { runs: [], bytes: 0 } },
    tick,
  ],
  [
    'paxos/phase1-majority',
    'a candidate leads without a majority',
    candidate().state,
    { ...leader(), window: candidate().state.window },
    got(promise(b(7, 1))),
  ],
  [
    'paxos/propose-above-reported-commit',
    'a candidate leads below a commit index that was reported to it',
    promisedCandidate(),
    { ...leader(), window: candidate().state.window },
    tick,
  ],
  [
    'paxos/one-leadership-per-ballot',
    'a leader moves committedAtElection',
    leader(),
    leader({ committedAtElection: 1 }),
    tick,
  ],
  ['paxos/acks-by-slot', 'an acknowledgement is taken back', firstPeer({ match: 1 }), leader(), tick],
  [
    'paxos/answers-to-this-ballot',
    'an answer to another leadership counts',
    leader(),
    firstPeer({ match: 1 }),
    got(accepted(b(9, 1), 1)),
  ],
];

/** Its promise stands, though two of three would make it lead: as if the majority were not counted yet. */
function promisedCandidate(): PaxosState {
  const { state } = candidate();
  if (state.role.kind !== 'candidate') throw new Error('it campaigns');
  const promises = state.role.promises.map((each, at) => (at === 0 ? { ...each, upTo: NO_END, commit: 3 } : each));
  return { ...state, role: { ...state.role, promises } };
}

describe('a step that breaks a rule', () => {
  it.each(steps)('%s: %s', (rule, _what, before, after, inbound) => {
    expect(() => checkStep(before, after, inbound)).toThrow(InvariantViolation);
    expect(() => checkStep(before, after, inbound)).toThrow(new RegExp(`^${rule}: `));
  });

  it('leads above what a promise reports as chosen when all is right', () => {
    expect(promisedMuch().state.role).toMatchObject({ kind: 'leader', committedAtElection: 3, noopIndex: 4 });
  });
});
