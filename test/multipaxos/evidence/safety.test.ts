/**
 * The safety of Multi-Paxos as an observer sees it: silent while all is right, in random clusters with faults; and for
 * each rule a story, told by hand, in which it is broken and says so. (The mutation gate breaks the protocol
 * itself; here the observer is tested.)
 */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../../src/core/assert.js';
import type { ClusterView, DiskView } from '../../../src/core/model.js';
import type * as core from '../../../src/core/protocol.js';
import { multipaxosModel, type PaxosGhost, type PaxosMessage, type PaxosState } from '../../../src/multipaxos/index.js';
import { idsOf } from '../../values.js';
import { prepare, b, Node, noop, value } from '../support.js';

const { safety } = multipaxosModel;

type Ballot = core.Term;

interface StoryDisk {
  hard: core.HardState | null;
  readonly entries: Map<core.Index, core.Entry>;
}

/** A cluster of which only the disks and what is said are there: told event by event. */
class Story {
  ghost: PaxosGhost = safety.initial;
  readonly deliveries: core.Entry[] = [];
  readonly #disks: StoryDisk[];
  readonly #view: ClusterView<PaxosState>;
  /** In which ballot each replica is in Phase 1. */
  readonly #ballots = new Map<number, Ballot>();

  constructor(size = 3) {
    this.#disks = idsOf(size).map(() => ({ hard: null, entries: new Map<core.Index, core.Entry>() }));
    const { deliveries: delivered } = this;
    const ballots = this.#ballots;
    const replicas = this.#disks.map((disk, at) => ({
      id: `n${at + 1}`,
      get state() {
        const ballot = ballots.get(at + 1);
        return ballot === undefined ? null : ({ role: { kind: 'candidate', ballot, held: [] } } as never);
      },
      disk: {
        get hard() {
          return disk.hard;
        },
        get last() {
          return Math.max(0, ...disk.entries.keys());
        },
        entry: (index) => disk.entries.get(index),
      } satisfies DiskView,
    }));
    const committed = {
      get last() {
        return delivered.length;
      },
      entry: (index: core.Index) => delivered[index - 1],
    };
    this.#view = { replicas, committed };
  }

  /** Makes a promise and votes durable, at once. */
  writes(at: number, promised: Ballot, votes: readonly core.Entry[] = [], chosen = 0): this {
    const disk = this.#disks[at - 1] as StoryDisk;
    disk.hard = { term: promised, vote: null, commit: chosen };
    for (const vote of votes) disk.entries.set(vote.index, vote);
    this.ghost = safety.durable(this.ghost, `n${at}`, this.#view);
    return this;
  }

  /** A replica is in Phase 1 of a ballot. */
  campaigns(at: number, ballot: Ballot): this {
    this.#ballots.set(at, ballot);
    return this;
  }

  /** A disk drops a vote, and says nothing of it. */
  loses(at: number, slot: core.Index): this {
    (this.#disks[at - 1] as StoryDisk).entries.delete(slot);
    return this;
  }

  says(at: number, message: PaxosMessage, to = (at % 3) + 1): this {
    this.ghost = safety.send(this.ghost, { from: `n${at}`, to: `n${to}`, message }, this.#view);
    return this;
  }

  /** Some replicas promise a ballot, and its owner prepares it first. */
  phase1(ballot: Ballot, owner: number, others: readonly number[]): this {
    this.writes(owner, ballot).says(owner, prepare(ballot));
    for (const other of others) this.writes(other, ballot);
    return this;
  }

  proposes(owner: number, entry: core.Entry, commit = 0): this {
    return this.says(owner, { kind: 'accept', ballot: entry.term, commit, entries: [entry] });
  }

  /** A whole ballot: two promise, and vote for one value. */
  chooses(ballot: Ballot, owner: number, other: number, entry: core.Entry): this {
    this.phase1(ballot, owner, [other]).proposes(owner, entry);
    return this.writes(owner, ballot, [entry]).writes(other, ballot, [entry]);
  }

  step(before: PaxosState | null, after: PaxosState, outbound: readonly core.Outbound<PaxosMessage>[] = []): this {
    const fact = { replica: after.options.id, before, after, inbound: null, outbound };
    this.ghost = safety.step(this.ghost, fact, this.#view);
    return this;
  }
}

const [b1, b2, b3] = [b(1, 1), b(2, 2), b(3, 3)];
const x = (ballot: Ballot, slot = 1): core.Entry => value(slot, ballot, 'x');
const y = (ballot: Ballot, slot = 1): core.Entry => value(slot, ballot, 'y');

/** Follower n1, fresh, and after it has promised, voted and learned the commit index. */
function told(word: core.Entry, commit: core.Index): Node {
  const node = new Node('n1');
  node.get('n2', { kind: 'accept', ballot: word.term, commit, entries: [word] });
  return node;
}

const page = { kind: 'promise', wall: 0, from: 1, commit: 0, next: 0, rest: 0, votes: [] } as const;
const beat = { kind: 'heartbeatReply', wall: 0, ballot: b1, readRound: 0, commit: 0, durable: 0 } as const;

/** What is broken, and by what. Everything before the last word of a story is in order. */
const stories: readonly (readonly [rule: string, what: string, tell: () => unknown])[] = [
  [
    'paxos/learned-is-chosen',
    'a slot is said to be chosen that only one has voted for',
    () =>
      new Story()
        .phase1(b1, 1, [2])
        .proposes(1, x(b1))
        .writes(1, b1, [x(b1)])
        .says(1, {
          kind: 'heartbeat',
          ballot: b1,
          commit: 1,
          readRound: 0,
        }),
  ],
  [
    'paxos/learned-is-chosen',
    'a Nack says too much',
    () => new Story().says(1, { kind: 'nack', ballot: b1, promised: b2, commit: 1 }),
  ],
  [
    'paxos/learned-is-chosen',
    'a replica takes a vote for chosen',
    () => new Story().step(new Node('n1').state, told(x(b2), 1).state),
  ],
  [
    'paxos/learned-is-chosen',
    'a replica learns another value',
    () => new Story().chooses(b2, 2, 3, y(b2)).step(new Node('n1').state, told(x(b2), 1).state),
  ],
  ['paxos/learned-is-chosen', 'a commit index is on disk above what is chosen', () => new Story().writes(1, b1, [], 1)],
  [
    'paxos/learned-is-chosen',
    'a disk holds another value below its commit index',
    () => new Story().chooses(b1, 1, 2, x(b1)).writes(3, b1, [y(b1)], 1),
  ],
  [
    'paxos/learned-is-chosen',
    'another value is taught',
    () =>
      new Story()
        .chooses(b1, 1, 2, x(b1))
        .says(1, { kind: 'catchUpReply', number: 1, commit: 1, rest: 0, entries: [y(b1)] }),
  ],
  [
    'paxos/yield-to-chosen',
    'a leader calls chosen what is not what it proposed there',
    () =>
      new Story()
        .phase1(b1, 1, [2])
        .proposes(1, x(b1)) // nobody votes for it
        .phase1(b2, 2, [3])
        .proposes(2, y(b2))
        .writes(2, b2, [y(b2)])
        .writes(3, b2, [y(b2)])
        .says(1, { kind: 'commit', ballot: b1, commit: 1 }),
  ],
  [
    'paxos/ballot-used-once',
    'a ballot is prepared by two',
    () => new Story().phase1(b1, 1, []).writes(2, b1).says(2, prepare(b1)),
  ],
  [
    'paxos/ballot-used-once',
    'a ballot is taken up again',
    () => {
      const node = new Node('n1');
      const before = node.state;
      node.campaign();
      return new Story().phase1(b1, 1, []).step(before, node.state);
    },
  ],
  [
    'paxos/ballot-used-once',
    'an Accept holds what another ballot proposed',
    () => new Story().phase1(b2, 2, [1]).says(2, { kind: 'accept', ballot: b2, commit: 0, entries: [x(b1)] }),
  ],
  ['paxos/promise-never-falls', 'a promise is lowered on disk', () => new Story().writes(1, b2).writes(1, b1)],
  [
    'paxos/promise-never-falls',
    'a promise is forgotten at a start',
    () => new Story().writes(1, b2).step(null, new Node('n1').state),
  ],
  [
    'paxos/votes-stay',
    'a vote is forgotten at a start',
    () => {
      const node = new Node('n1');
      node.get('n2', { kind: 'heartbeat', ballot: b2, commit: 0, readRound: 0 }); // the promise alone comes back
      return new Story()
        .phase1(b1, 1, [2])
        .proposes(1, x(b1))
        .writes(1, b1, [x(b1)])
        .step(null, node.state);
    },
  ],
  [
    'paxos/votes-stay',
    'a vote is gone from a disk',
    () =>
      new Story()
        .phase1(b1, 1, [2])
        .proposes(1, x(b1))
        .writes(1, b1, [x(b1)])
        .loses(1, 1)
        .writes(1, b2),
  ],
  [
    'paxos/vote-at-promise',
    'a vote is on disk above the promise',
    () =>
      new Story()
        .phase1(b2, 2, [3])
        .proposes(2, x(b2))
        .writes(1, b1, [x(b2)]),
  ],
  [
    'paxos/promise-binds',
    'a lower ballot is answered than is promised',
    () => {
      const { state } = told(x(b2), 0);
      const send = { kind: 'send', to: 'n3', message: beat, after: 0, lane: 'control' } as const;
      return new Story().step(state, state, [send]);
    },
  ],
  [
    'paxos/one-value-per-ballot',
    'two values are proposed in one ballot',
    () => new Story().phase1(b1, 1, [2]).proposes(1, x(b1)).proposes(1, y(b1)),
  ],
  [
    'paxos/one-value-per-ballot',
    'somebody votes for another value than was proposed',
    () =>
      new Story()
        .phase1(b1, 1, [2])
        .proposes(1, x(b1))
        .writes(2, b1, [y(b1)]),
  ],
  [
    'paxos/one-value-per-ballot',
    'somebody has accepted what nobody proposed',
    () => new Story().writes(2, b1).says(2, { kind: 'accepted', ballot: b1, from: 1, to: 1, commit: 0 }),
  ],
  [
    'paxos/phase1-majority',
    'a value is proposed before a majority has promised',
    () => new Story().phase1(b1, 1, []).proposes(1, x(b1)),
  ],
  [
    'paxos/highest-ballot-value',
    'a chosen value is not proposed again',
    () => new Story().chooses(b1, 1, 2, x(b1)).phase1(b2, 2, [3]).proposes(2, y(b2)),
  ],
  [
    'paxos/highest-ballot-value',
    'a value that may still be chosen is not proposed again',
    () =>
      new Story(5)
        .phase1(b1, 1, [2, 3])
        .proposes(1, x(b1))
        .writes(1, b1, [x(b1)])
        .writes(2, b1, [x(b1)])
        .phase1(b2, 2, [1, 4])
        .proposes(2, y(b2)),
  ],
  [
    'paxos/highest-ballot-value',
    'not the vote of the highest ballot is proposed again',
    () =>
      new Story()
        .phase1(b1, 1, [2])
        .proposes(1, x(b1))
        .writes(1, b1, [x(b1)])
        .phase1(b2, 2, [3])
        .proposes(2, y(b2))
        .writes(2, b2, [y(b2)])
        .writes(3, b2, [y(b2)])
        .phase1(b3, 3, [1, 2])
        .proposes(3, x(b3)),
  ],
  [
    'paxos/promise-reports-votes',
    'a promise leaves a vote out',
    () =>
      new Story()
        .phase1(b1, 1, [2])
        .proposes(1, x(b1))
        .writes(1, b1, [x(b1)])
        .writes(1, b2)
        .campaigns(2, b2)
        .says(1, {
          ...page,
          ballot: b2,
        }),
  ],
  [
    'paxos/promise-reports-votes',
    'a promise leaves out the votes above its page',
    () =>
      new Story()
        .phase1(b1, 1, [2])
        .proposes(1, x(b1))
        .proposes(1, y(b1, 2))
        .writes(1, b1, [x(b1), y(b1, 2)])
        .writes(1, b2)
        .campaigns(2, b2)
        .says(1, { ...page, ballot: b2, votes: [x(b1)] }),
  ],
  [
    'paxos/vote-at-promise',
    'a vote is durable below a promise that was',
    () =>
      new Story()
        .phase1(b1, 1, [2])
        .proposes(1, x(b1))
        .writes(2, b2)
        .writes(2, b2, [x(b1)]),
  ],
  [
    'paxos/vote-at-promise',
    'a vote replaces a later one',
    () =>
      new Story()
        .phase1(b1, 1, [2])
        .proposes(1, x(b1))
        .phase1(b2, 2, [3])
        .proposes(2, y(b2))
        .writes(2, b2, [y(b2)])
        .writes(2, b2, [x(b1)]),
  ],
  [
    'log/delivered-in-order',
    'a slot is left out when handing over',
    () => {
      const entries = [x(b2), y(b2, 2)];
      const story = new Story().phase1(b2, 2, [3]).proposes(2, x(b2)).proposes(2, y(b2, 2));
      for (const at of [2, 3]) story.writes(at, b2, entries);
      const before = told(x(b2), 0);
      const after = told(x(b2), 0);
      after.get('n2', { kind: 'accept', ballot: b2, commit: 2, entries: [y(b2, 2)] });
      return story.step(before.state, after.state, [{ kind: 'commit', entries: [y(b2, 2)] }]);
    },
  ],
  [
    'paxos/noop-only-in-free-slot',
    'a no-op takes the place of a value that may be chosen',
    () => new Story().chooses(b1, 1, 2, x(b1)).phase1(b2, 2, [3]).proposes(2, noop(1, b2)),
  ],
  [
    'durability/send-after-sync',
    'a Prepare leaves before its own promise is durable',
    () => new Story().says(1, prepare(b1)),
  ],
  [
    'durability/send-after-sync',
    'a promise leaves before it is durable',
    () => new Story().phase1(b1, 1, []).says(2, { ...page, ballot: b1 }),
  ],
  [
    'durability/send-after-sync',
    'a vote is reported before it is durable',
    () =>
      new Story()
        .phase1(b1, 1, [2])
        .proposes(1, x(b1))
        .writes(2, b2)
        .says(2, { ...page, ballot: b2, votes: [x(b1)] }),
  ],
  [
    'durability/send-after-sync',
    'a vote is acknowledged before it is durable',
    () =>
      new Story().phase1(b1, 1, [2]).proposes(1, x(b1)).says(2, {
        kind: 'accepted',
        ballot: b1,
        from: 1,
        to: 1,
        commit: 0,
      }),
  ],
  [
    'durability/send-after-sync',
    'a heartbeat leaves before the ballot is durable',
    () => new Story().says(1, { kind: 'heartbeat', ballot: b1, commit: 0, readRound: 0 }),
  ],
  [
    'durability/send-after-sync',
    'a chosen slot is called durable where it is not',
    () =>
      new Story()
        .chooses(b1, 1, 2, x(b1))
        .writes(3, b1)
        .says(3, { ...beat, commit: 1, durable: 1 }),
  ],
];

describe('a story in which a rule is broken', () => {
  it.each(stories)('%s: %s', (rule, _what, tell) => {
    let violation: unknown = null;
    try {
      tell();
    } catch (error) {
      violation = error;
    }
    expect(violation).toBeInstanceOf(InvariantViolation);
    expect((violation as InvariantViolation).message).toMatch(new RegExp(`^${rule}: `));
    expect((violation as InvariantViolation).evidence).toBeTypeOf('object');
  });

  it('is told of every rule', () => {
    const source = ['ghost', 'rules', 'safety', 'durability-claims'].map((name) =>
      readFileSync(new URL(`../../../src/multipaxos/evidence/${name}.ts`, import.meta.url), 'utf8'),
    );
    const thrown = new Set([...source.join('').matchAll(/'([a-z]+\/[a-z0-9-]+): /g)].map(([, rule]) => rule));
    // Two values are never chosen before one of them was proposed against paxos/highest-ballot-value, which says so.
    thrown.delete('paxos/one-value-per-slot');
    expect([...new Set(stories.map(([rule]) => rule))].sort()).toEqual([...thrown].sort());
  });
});

describe('a story in which all is right', () => {
  it.each([
    [
      'a chosen value is proposed again',
      () => new Story().chooses(b1, 1, 2, x(b1)).phase1(b2, 2, [3]).proposes(2, x(b2)),
    ],
    [
      'another value is proposed where those who promised have no vote',
      () =>
        new Story()
          .phase1(b1, 1, [2])
          .proposes(1, x(b1))
          .writes(1, b1, [x(b1)])
          .phase1(b2, 2, [3])
          .proposes(2, y(b2)),
    ],
    [
      'the vote of the highest ballot is proposed again',
      () =>
        new Story()
          .phase1(b1, 1, [2])
          .proposes(1, x(b1))
          .writes(1, b1, [x(b1)])
          .phase1(b2, 2, [3])
          .proposes(2, y(b2))
          .writes(2, b2, [y(b2)])
          .phase1(b3, 3, [1, 2])
          .proposes(3, y(b3)),
    ],
    [
      'an old leader proposes what it may, too late to be chosen',
      () => new Story().phase1(b1, 1, [2]).phase1(b2, 2, [3]).proposes(2, y(b2)).proposes(1, x(b1)),
    ],
    [
      'a vote is acknowledged that a later ballot has replaced on the same disk',
      () =>
        new Story()
          .phase1(b1, 1, [2])
          .proposes(1, x(b1))
          .phase1(b2, 2, [3])
          .proposes(2, y(b2))
          .writes(2, b2, [y(b2)])
          .says(2, { kind: 'accepted', ballot: b1, from: 1, to: 1, commit: 0 }),
    ],
  ])('%s', (_what, tell) => {
    expect(() => tell()).not.toThrow();
  });

  it('forgets what is durably chosen everywhere and was delivered, and still knows its value', () => {
    const story = new Story().chooses(b1, 1, 2, x(b1));
    story.deliveries.push(x(b1));
    for (const at of [1, 2, 3]) story.writes(at, b1, [x(b1)], 1);
    expect(story.ghost).toMatchObject({ base: 1, slots: [], chosenTo: 1 });
    const teach = (entry: core.Entry): Story =>
      story.says(1, { kind: 'catchUpReply', number: 1, commit: 1, rest: 0, entries: [entry] });
    expect(() => teach(x(b1))).not.toThrow();
    expect(() => teach(y(b1))).toThrow(/^paxos\/learned-is-chosen: /);
  });

  it('leaves the ghost as it is when nothing is new', () => {
    const story = new Story()
      .chooses(b1, 1, 2, x(b1))
      .says(1, { kind: 'heartbeat', ballot: b1, commit: 1, readRound: 0 });
    const { ghost } = story;
    story.writes(1, b1, [x(b1)]).proposes(1, x(b1), 1);
    story.says(1, { kind: 'heartbeat', ballot: b1, commit: 1, readRound: 4 });
    story.says(2, { kind: 'accepted', ballot: b1, from: 1, to: 1, commit: 0 });
    expect(story.ghost).toBe(ghost);
  });
});
