/**
 * The cost of an event while thousands of calls wait, counted in nodes of books visited and not in time; and what leaves
 * for the leader when. The core is a stub that gives the outbound messages of the test.
 */

import { beforeEach, describe, expect, it } from 'vitest';
import { itemsOf, withNewest, type BookItem } from '../../../src/core/book.js';
import { configurationOf, defaultConstants } from '../../../src/core/members.js';
import { openWindow } from '../../../src/replica/driver/leader-window.js';
import type { Entry, Inbound, Outbound, Outcome, Proposal, Protocol } from '../../../src/core/protocol.js';
import { choose } from '../../../src/core/tuning.js';
import { raftProtocol } from '../../../src/raft/index.js';
import { watched } from '../../books.js';
import { driverOf, type Driver } from '../../../src/replica/driver/driver.js';
import { noSnapshots } from '../../../src/replica/driver/snapshots.js';
import type { DriverEffect, DriverEvent, DriverState, Failure } from '../../../src/replica/driver/state.js';

type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

const MANY = 4000;
/** What finding one of them takes, in every book there is. */
const FEW = 200;
const MIB = 1024 * 1024;

/** A replica over a core that does nothing but what it is told. */
class Scripted {
  now = 0;
  state: DriverState;
  effects: readonly DriverEffect[] = [];
  readonly proposed: Proposal[] = [];
  /** The same in the groups in which they were proposed. */
  readonly groups: (readonly Proposal[])[] = [];
  readonly reads: number[] = [];
  readonly cancelled: number[] = [];
  private says: Outbound<unknown>[] = [];
  private readonly driver: Driver;
  private steps = 0;
  private calls = 0;

  constructor(leader: 'a' | 'b' | null, maxWaitingBytes = 64 * MIB) {
    const { timing, limits } = choose(raftProtocol as Protocol<unknown, unknown>);
    const heard = { kind: 'event', event: { kind: 'role', role: 'follower', term: 1, leader, fence: null } } as const;
    this.driver = driverOf({
      ...(raftProtocol as Protocol<unknown, unknown>),
      init: () => [0, [heard]],
      step: (_, inbound) => this.step(inbound),
      checkStep: () => undefined,
      checkState: () => undefined,
      deadline: () => Infinity,
    });
    const configuration = configurationOf({ a: 'a', b: 'b' }, defaultConstants);
    const identity = { id: 'b', incarnation: 2, boot: 1, cluster: 'test', configuration, configurationHash: 'hash' };
    const bounds = {
      maxWaiting: 64 * MANY,
      maxWaitingBytes,
      snapshotPolicy: null,
      storesSnapshots: false,
      snapshots: noSnapshots,
    };
    const rest = { timing, limits, preVote: true, seed: 1, start: 1, now: 0, established: true, peers: [], ...bounds };
    const recovered = { hard: null, base: { index: 0, term: 0 }, last: 0, runs: [], tail: [], snapshot: null };
    [this.state] = this.driver.init({ ...identity, ...rest }, recovered);
  }

  /** One whose session is open. */
  static open(leader: 'a' | 'b', maxWaitingBytes?: number): Scripted {
    const replica = new Scripted(leader, maxWaitingBytes);
    replica.commit(1, replica.take());
    return replica;
  }

  private step(inbound: Inbound<unknown>): readonly [unknown, readonly Outbound<unknown>[]] {
    if (inbound.kind === 'propose') {
      this.proposed.push(...inbound.proposals);
      this.groups.push(inbound.proposals);
    }
    if (inbound.kind === 'read') this.reads.push(inbound.request);
    if (inbound.kind === 'cancel') this.cancelled.push(...inbound.requests);
    const says = inbound.kind === 'campaign' ? this.says : [];
    return [++this.steps, says];
  }

  /** What was proposed since. */
  take(): Proposal[] {
    this.groups.length = 0;
    return this.proposed.splice(0);
  }

  happens(event: Untimed<DriverEvent>): void {
    [this.state, this.effects] = this.driver.step(this.state, { ...event, now: this.now } as DriverEvent);
  }

  /** The core says this. */
  core(...says: Outbound<unknown>[]): void {
    this.says = says;
    this.happens({ kind: 'campaign' });
  }

  /** The core delivers these proposals from this index on. */
  commit(from: number, proposals: readonly Proposal[]): void {
    const entryOf = ({ kind, id, data }: Proposal, at: number): Entry => ({
      index: from + at,
      term: 1,
      kind,
      time: 0,
      id,
      data,
    });
    this.core({ kind: 'commit', entries: proposals.map(entryOf) });
  }

  /** The leader has these, and the core says so of each group. */
  taken(...groups: (readonly Proposal[])[]): void {
    this.core(...groups.map((group) => ({ kind: 'forwardTaken', requests: group.map(requestOf) }) as const));
  }

  ends(proposals: readonly Proposal[], reason: string, kind: 'none' | 'unknown' = 'unknown'): void {
    const outcome = { kind, reason, leader: null } as Outcome;
    this.core({ kind: 'resolve', requests: proposals.map(requestOf), outcome });
  }

  propose(deadlines: (at: number) => number = () => Infinity, count = MANY, bytes = 1): void {
    const data = new Uint8Array(bytes);
    const commands = Array.from({ length: count }, (_, at) => ({ call: ++this.calls, deadline: deadlines(at), data }));
    this.happens({ kind: 'propose', commands });
  }

  /** The nodes of books that this event looked at. */
  visited(event: () => void): number {
    const seen = new Set<object>();
    const { proposals, reads } = this.state;
    const { queued, retrying, underway, window } = proposals;
    this.state = {
      ...this.state,
      proposals: {
        ...proposals,
        queued: watched(queued, seen),
        retrying: watched(retrying, seen),
        underway: watched(underway, seen),
        window: { ...window, groups: watched(window.groups, seen) },
      },
      reads: { ...reads, queued: watched(reads.queued, seen), waiting: watched(reads.waiting, seen) },
    };
    event();
    return seen.size;
  }

  ended(): number {
    let count = 0;
    for (const effect of this.effects) {
      if (effect.kind === 'answer') count += 1;
      if (effect.kind === 'serve' || effect.kind === 'fail') count += effect.calls.length;
    }
    return count;
  }

  /** How the last event ended a call without a result. */
  failure(call: number): Failure | undefined {
    for (const effect of this.effects) if (effect.kind === 'fail' && effect.calls.includes(call)) return effect.failure;
    return undefined;
  }
}

function requestOf({ request }: Proposal): number {
  return request;
}

function bytesOf(proposals: readonly Proposal[]): number {
  return proposals.reduce((sum, { data }) => sum + data.length + 48, 0);
}

describe('with thousands under way', () => {
  let replica: Scripted;
  let commands: Proposal[];
  beforeEach(() => {
    replica = Scripted.open('b');
    replica.propose();
    commands = replica.take();
    expect(itemsOf(replica.state.proposals.underway)).toHaveLength(MANY);
  });

  it.each([0, MANY / 2, MANY - 1])('the answer to one looks at few others: number %i', (at) => {
    replica.commit(2, [commands[at] as Proposal]);
    const applied = { kind: 'applied', results: [{ rejected: false, value: 1 }] } as const;
    expect(replica.visited(() => replica.happens(applied))).toBeLessThan(FEW);
    expect(replica.ended()).toBe(1);
    expect(itemsOf(replica.state.proposals.underway)).toHaveLength(MANY - 1);
  });

  it('an end of one by its caller looks at few others', () => {
    expect(replica.visited(() => replica.happens({ kind: 'cancel', calls: [1234] }))).toBeLessThan(FEW);
    expect(replica.effects).toMatchObject([{ kind: 'fail', calls: [1234], failure: { outcome: 'unknown' } }]);
    expect(itemsOf(replica.state.proposals.underway).some(({ key }) => key === 1234)).toBe(false);
  });

  it('what ends none of them looks at none', () => {
    expect(replica.visited(() => replica.happens({ kind: 'tick' }))).toBe(0);
    expect(replica.visited(() => replica.happens({ kind: 'disconnected', peer: 'a', lane: 'control' }))).toBe(0);
  });

  it('many attempts that end in one step are all retried, under the same ids', () => {
    const outcome = { kind: 'unknown', reason: 'leaderChanged', leader: null } as const;
    replica.core(...commands.map(({ request }) => ({ kind: 'resolve', requests: [request], outcome }) as const));
    expect(itemsOf(replica.state.proposals.retrying)).toHaveLength(MANY);
    replica.now += 20;
    replica.happens({ kind: 'tick' });
    expect(replica.take().map(({ id, retry }) => [id.sequence, retry])).toEqual(
      commands.map(({ id }) => [id.sequence, true]),
    );
  });
});

describe('with thousands waiting for a leader', () => {
  it.each([
    ['one by one', (at: number) => 1000 + at],
    ['that have no end, but for the first', (at: number) => (at === 0 ? 1000 : Infinity)],
  ])('a deadline looks at few others: %s', (_, deadlines) => {
    const replica = new Scripted(null);
    replica.propose(deadlines);
    replica.now = 1000;
    expect(replica.visited(() => replica.happens({ kind: 'tick' }))).toBeLessThan(FEW);
    expect(replica.effects).toMatchObject([{ kind: 'fail', calls: [1], failure: { code: 'ERR_NO_LEADER' } }]);
  });

  it('what waits although a leader is known ends as late, not for want of a leader', () => {
    const replica = new Scripted('a'); // its session is not open yet
    replica.propose(() => 1000, 2);
    replica.now = 1000;
    replica.happens({ kind: 'tick' });
    const failure = { code: 'ERR_TIMEOUT', outcome: 'none' };
    expect(replica.effects).toMatchObject([1, 2].map((call) => ({ kind: 'fail', calls: [call], failure })));
  });

  it('each ends when its time is over, in whatever order that is', () => {
    const replica = new Scripted(null);
    replica.propose((at) => 1000 + ((at * 7) % 10), 20);
    for (let now = 1000; now < 1010; now++) {
      replica.now = now;
      replica.happens({ kind: 'tick' });
      expect(replica.ended(), String(now)).toBe(2);
    }
    expect(replica.state.proposals).toMatchObject({ queued: null, count: 0, bytes: 0 });
  });

  it('nothing ends before a tick says so: what came before it is handled first', () => {
    const replica = new Scripted(null);
    replica.propose(() => 1000, 2);
    replica.now = 5000;
    replica.happens({ kind: 'disconnected', peer: 'a', lane: 'control' });
    expect(replica.ended()).toBe(0);
    replica.core({ kind: 'event', event: { kind: 'role', role: 'follower', term: 1, leader: 'a', fence: null } });
    expect(replica.ended()).toBe(0);
    replica.happens({ kind: 'tick' });
    expect(replica.ended()).toBe(2);
  });

  it('an end of a command or a read by its caller looks at few others', () => {
    const replica = new Scripted(null);
    replica.propose();
    const calls = Array.from({ length: MANY }, (_, at) => ({ call: MANY + at + 1, deadline: Infinity }));
    replica.happens({ kind: 'read', calls, minIndex: null });
    expect(replica.visited(() => replica.happens({ kind: 'cancel', calls: [MANY + 7, 7] }))).toBeLessThan(FEW);
    expect(replica.ended()).toBe(2);
  });
});

describe('with thousands of reads', () => {
  it.each([MANY, 4 * MANY])('what is applied looks at those that it serves, of %i that wait for an index', (many) => {
    const replica = new Scripted('a');
    for (let at = 0; at < many; at++) {
      replica.happens({ kind: 'read', calls: [{ call: at + 1, deadline: Infinity }], minIndex: at + 1 });
    }
    expect(replica.state.reads.count).toBe(many);
    expect(replica.visited(() => replica.commit(1, replica.take()))).toBeLessThan(FEW);
    expect(replica.effects).toContainEqual({ kind: 'serve', calls: [1], index: 1 });
    expect(replica.ended()).toBe(1);
    expect(replica.state.reads.count).toBe(many - 1);
  });

  it('an index for one looks at few others', () => {
    const replica = new Scripted('a');
    for (let at = 0; at < MANY; at++) {
      replica.happens({ kind: 'read', calls: [{ call: at + 1, deadline: Infinity }], minIndex: null });
    }
    const request = replica.reads[MANY / 2] as number;
    expect(replica.visited(() => replica.core({ kind: 'readReady', request, index: 0 }))).toBeLessThan(FEW);
    expect(replica.effects).toContainEqual({ kind: 'serve', calls: [MANY / 2 + 1], index: 0 });
  });

  it('the bound counts calls, not batches', () => {
    const replica = new Scripted('a');
    const { maxWaiting } = replica.state.options;
    const calls = Array.from({ length: maxWaiting + 3 }, (_, at) => ({ call: at + 1, deadline: Infinity }));
    replica.happens({ kind: 'read', calls: calls.slice(0, maxWaiting - 1), minIndex: null });
    replica.happens({ kind: 'read', calls: calls.slice(maxWaiting - 1), minIndex: 9 });
    const busy = { kind: 'fail', failure: { code: 'ERR_BUSY', outcome: 'none' } };
    expect(replica.effects).toMatchObject([{ ...busy, calls: [maxWaiting + 1, maxWaiting + 2, maxWaiting + 3] }]);
    expect(replica.state.reads.count).toBe(maxWaiting);
  });
});

describe('the window to the leader', () => {
  it('is so many bytes, in messages of bounded size, and opens as the leader answers', () => {
    const replica = Scripted.open('a');
    const { limits } = replica.state.options;
    replica.propose(() => Infinity, MANY, 1000);
    expect(replica.groups.every((group) => bytesOf(group) <= limits.messageBytes)).toBe(true);
    const open = [...replica.groups];
    const sent = bytesOf(replica.take());
    expect(sent).toBeGreaterThanOrEqual(MIB);
    expect(sent).toBeLessThan(MIB + limits.messageBytes);
    expect(replica.state.proposals.window).toMatchObject({ unansweredBytes: sent, unansweredGroups: open.length });
    replica.happens({ kind: 'tick' });
    expect(replica.take()).toEqual([]);
    replica.taken(open[0] as Proposal[]);
    expect(bytesOf(replica.take())).toBe(bytesOf(open[0] as Proposal[]));
  });

  it('is so many messages when they are small', () => {
    const replica = Scripted.open('a');
    const { inflightMessages } = replica.state.options.limits;
    for (let at = 0; at < 3 * inflightMessages; at++) replica.propose(() => Infinity, 1);
    const groups = [...replica.groups];
    expect(replica.take()).toHaveLength(inflightMessages);
    replica.taken(...groups.slice(0, 3));
    // What waited leaves together.
    expect(replica.groups.map((group) => group.length)).toEqual([2 * inflightMessages]);
  });

  it('is not for a leader itself', () => {
    const replica = Scripted.open('b');
    replica.propose(() => Infinity, MANY, 1000);
    expect(replica.groups.map((group) => group.length)).toEqual([MANY]);
    expect(replica.state.proposals.window).toMatchObject({ unansweredBytes: 0, unansweredGroups: 0 });
  });

  it('carries one that is larger than all of it', () => {
    const replica = Scripted.open('a');
    replica.propose(() => Infinity, 2, 3 * MIB);
    expect(replica.take()).toHaveLength(1);
  });

  it('what waits behind it never left, and ends as such', () => {
    const replica = Scripted.open('a');
    replica.propose((at) => (at === MANY - 1 ? 1000 : Infinity), MANY, 1000);
    replica.happens({ kind: 'cancel', calls: [1, MANY - 1] });
    expect(replica.failure(1)).toMatchObject({ code: 'ERR_OUTCOME_UNKNOWN', outcome: 'unknown' });
    expect(replica.failure(MANY - 1)).toMatchObject({ code: 'ERR_TIMEOUT', outcome: 'none' });
    replica.now = 1000;
    replica.happens({ kind: 'tick' });
    expect(replica.failure(MANY)).toMatchObject({ code: 'ERR_TIMEOUT', outcome: 'none' });
  });

  it('what the transport refused never left, unless an earlier attempt did', () => {
    const replica = Scripted.open('a');
    replica.propose(() => Infinity, 2);
    const [first, second] = replica.take() as [Proposal, Proposal];
    replica.ends([first, second], 'unsent', 'none');
    replica.happens({ kind: 'cancel', calls: [1] });
    expect(replica.failure(1)).toMatchObject({ outcome: 'none' });
    replica.now = 20;
    replica.happens({ kind: 'tick' });
    const [again] = replica.take() as [Proposal];
    expect(again).toMatchObject({ id: { sequence: second.id.sequence }, retry: false });
    replica.ends([again], 'disconnected');
    const [retry] = replica.take() as [Proposal];
    expect(retry).toMatchObject({ id: { sequence: second.id.sequence }, retry: true });
    replica.ends([retry], 'unsent', 'none');
    replica.happens({ kind: 'cancel', calls: [2] });
    expect(replica.failure(2)).toMatchObject({ outcome: 'unknown' });
  });

  it('after refusals nothing leaves for twice as long each time, and then a window’s worth', () => {
    const replica = Scripted.open('a');
    const { limits, timing } = replica.state.options;
    replica.propose(() => Infinity, MANY, 1000);
    const pauses: number[] = [];
    for (let round = 0; round < 8; round++) {
      replica.ends(replica.take(), 'busy');
      expect(replica.take()).toEqual([]);
      const since = replica.now;
      while (replica.proposed.length === 0) {
        replica.now += 1;
        replica.happens({ kind: 'tick' });
      }
      pauses.push(replica.now - since);
      expect(bytesOf(replica.proposed)).toBeLessThan(MIB + limits.messageBytes);
    }
    const most = timing.electionMin / 2;
    expect(pauses).toEqual([20, 40, 80, 160, 320, 500, 500, 500].map((pause) => Math.min(pause, most)));
    // The leader takes something: the next pause is short again.
    replica.taken(replica.groups[0] as Proposal[]);
    replica.ends(replica.take(), 'busy');
    replica.now += 20;
    replica.happens({ kind: 'tick' });
    expect(replica.take()).not.toEqual([]);
  });

  it.each(['a', 'b'] as const)('while the storage of leader %s is full it takes reads, and no commands', (leader) => {
    const replica = Scripted.open(leader);
    replica.propose(() => Infinity, 1);
    replica.ends(replica.take(), 'storageFull', 'none');
    const asked = replica.reads.length;
    replica.happens({ kind: 'read', calls: [{ call: 2, deadline: Infinity }], minIndex: null });
    expect(replica.reads.length).toBe(asked + 1);
    expect(replica.take()).toEqual([]);
    replica.now = 20;
    replica.happens({ kind: 'tick' });
    expect(replica.take()).toHaveLength(1);
  });

  it('reads that are served while the leader is full do not make its commands come more often', () => {
    const replica = Scripted.open('a');
    replica.propose(() => Infinity, 1);
    const pauses: number[] = [];
    for (let round = 0; round < 4; round++) {
      replica.ends(replica.take(), 'storageFull', 'none');
      replica.happens({ kind: 'read', calls: [{ call: 2 + round, deadline: Infinity }], minIndex: null });
      replica.core({ kind: 'readReady', request: replica.reads.at(-1) as number, index: 0 });
      const since = replica.now;
      while (replica.proposed.length === 0) {
        replica.now += 1;
        replica.happens({ kind: 'tick' });
      }
      pauses.push(replica.now - since);
    }
    expect(pauses).toEqual([20, 40, 80, 160]);
    replica.taken(replica.take());
    expect(replica.state.calls.fullPause).toBe(20);
  });

  it('refusals of many messages in one pause are one refusal', () => {
    const replica = Scripted.open('a');
    replica.propose(() => Infinity, MANY, 1000);
    const groups = [...replica.groups];
    replica.take();
    for (const group of groups) replica.ends(group, 'busy');
    expect(replica.state.calls).toMatchObject({ pausedUntil: 20, pause: 40 });
  });

  it('ends of some of its messages in any order leave it as it is', () => {
    const replica = Scripted.open('a');
    replica.propose(() => Infinity, MANY, 1000);
    const groups = [...replica.groups];
    replica.take();
    const all = [...groups].reverse().flat();
    replica.happens({ kind: 'cancel', calls: Array.from({ length: MANY }, (_, at) => at + 1) });
    replica.taken(...groups.slice(0, 5));
    replica.ends(all, 'cancelled');
    expect(replica.state.proposals).toMatchObject({ window: openWindow, count: 0 });
    expect(replica.state.proposals.bytes).toBe(0);
  });
});

describe('commands that wait', () => {
  it('are bounded by their bytes', () => {
    const replica = Scripted.open('a', 10_480);
    replica.propose(() => Infinity, 12, 1000);
    const busy = { kind: 'fail', failure: { code: 'ERR_BUSY', outcome: 'none' } };
    expect(replica.effects).toContainEqual(
      expect.objectContaining({ ...busy, calls: [11, 12], failure: expect.objectContaining(busy.failure) }),
    );
    expect(replica.state.proposals).toMatchObject({ count: 10, bytes: 10_480 });
    replica.happens({ kind: 'cancel', calls: [3] });
    replica.propose(() => Infinity, 2, 1000);
    expect(replica.failure(14)).toMatchObject(busy.failure);
    expect(replica.failure(13)).toBeUndefined();
  });

  /** How many nodes the aborts of one in 300 of so many forwards look at; a fourth of the aborts is looked at. */
  function costOfAborts(count: number): number {
    const replica = Scripted.open('a');
    for (let at = 0; at < count; at++) replica.propose(() => Infinity, 1);
    let visited = 0;
    for (let call = 7; call <= count; call += 301) {
      const abort = (): void => replica.happens({ kind: 'cancel', calls: [call] });
      if (call % 4 === 3) visited += replica.visited(abort);
      else abort();
      expect(replica.ended()).toBe(1);
    }
    return visited;
  }

  it('are aborted one by one at a cost that grows with their number', () => {
    const [few, many] = [costOfAborts(4000), costOfAborts(16_000)];
    expect(many / few).toBeLessThan(5);
  });

  it('large ones leave one by one without a look at all that wait behind', () => {
    const cost = (count: number): number => {
      const replica = Scripted.open('a');
      replica.propose(() => Infinity, count, 40_000);
      let visited = 0;
      while (replica.groups.length > 0) {
        const groups = [...replica.groups];
        replica.take();
        for (const group of groups) {
          visited += replica.visited(() => replica.taken(group));
          replica.ends([], 'busy');
        }
      }
      return visited;
    };
    expect(cost(1600) / cost(400)).toBeLessThan(5);
  });
});

it('a book of calls is the one that its calls make', () => {
  const replica = Scripted.open('a');
  replica.propose(() => Infinity, 100, 1000);
  replica.happens({ kind: 'cancel', calls: [4, 99, 50] });
  for (const book of [replica.state.proposals.underway, replica.state.proposals.queued]) {
    expect(withNewest(null, itemsOf<BookItem>(book))).toEqual(book);
  }
});
