/**
 * The cost of an event while thousands of calls wait, counted in calls visited and not in time. The core is a stub that
 * gives the outbound messages of the test.
 */

import { beforeEach, describe, expect, it } from 'vitest';
import { configurationOf, defaultConstants } from '../../../src/core/members.js';
import type { Entry, Inbound, Outbound, Proposal, Protocol } from '../../../src/core/protocol.js';
import { choose } from '../../../src/core/tuning.js';
import { raftProtocol } from '../../../src/raft/index.js';
import { driverOf, type Driver } from '../../../src/replica/driver/driver.js';
import type { DriverEffect, DriverEvent, DriverState } from '../../../src/replica/driver/state.js';

type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

const MANY = 4000;
/** What finding one of them by bisection takes, in every list there is. */
const FEW = 100;

/** A replica over a core that does nothing but what it is told. */
class Scripted {
  now = 0;
  state: DriverState;
  effects: readonly DriverEffect[] = [];
  readonly proposed: Proposal[] = [];
  readonly reads: number[] = [];
  private says: Outbound<unknown>[] = [];
  private readonly driver: Driver;
  private steps = 0;

  constructor(leader: 'a' | null) {
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
    const rest = { timing, limits, seed: 1, now: 0, established: true, peers: [], maxWaiting: 2 * MANY };
    const recovered = { hard: null, first: 1, last: 0, runs: [], tail: [] };
    [this.state] = this.driver.init({ ...identity, ...rest }, recovered);
  }

  private step(inbound: Inbound<unknown>): readonly [unknown, readonly Outbound<unknown>[]] {
    if (inbound.kind === 'propose') this.proposed.push(...inbound.proposals);
    if (inbound.kind === 'read') this.reads.push(inbound.request);
    const says = inbound.kind === 'campaign' ? this.says : [];
    return [++this.steps, says];
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
      id,
      data,
    });
    this.core({ kind: 'commit', entries: proposals.map(entryOf) });
  }

  propose(deadlines: (at: number) => number = () => Infinity, count = MANY): void {
    const data = new Uint8Array(1);
    const commands = Array.from({ length: count }, (_, at) => ({ call: at + 1, deadline: deadlines(at), data }));
    this.happens({ kind: 'propose', commands });
  }

  /** The calls that this event looked at, those that it ended among them. */
  visited(event: () => void): number {
    const seen = new Set<number>();
    const counted = <T extends object>(items: readonly T[]): T[] =>
      items.map((item, at) => new Proxy(item, { get: (it, key) => (seen.add(at), Reflect.get(it, key) as unknown) }));
    const { proposals, reads } = this.state;
    const { queued, retrying, underway } = proposals;
    this.state = {
      ...this.state,
      proposals: { queued: counted(queued), retrying: counted(retrying), underway: counted(underway) },
      reads: { queued: counted(reads.queued), asked: counted(reads.asked), waiting: counted(reads.waiting) },
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
}

describe('with thousands under way', () => {
  let replica: Scripted;
  let commands: Proposal[];
  beforeEach(() => {
    replica = new Scripted('a');
    replica.commit(1, replica.proposed.splice(0));
    replica.propose();
    commands = replica.proposed.splice(0);
    expect(replica.state.proposals.underway).toHaveLength(MANY);
  });

  it.each([0, MANY / 2, MANY - 1])('the answer to one looks at few others: number %i', (at) => {
    replica.commit(2, [commands[at] as Proposal]);
    const applied = { kind: 'applied', results: [{ rejected: false, value: 1 }] } as const;
    expect(replica.visited(() => replica.happens(applied))).toBeLessThan(FEW);
    expect(replica.ended()).toBe(1);
    expect(replica.state.proposals.underway).toHaveLength(MANY - 1);
  });

  it('an end of one by its caller looks at few others', () => {
    expect(replica.visited(() => replica.happens({ kind: 'cancel', calls: [1234] }))).toBeLessThan(FEW);
    expect(replica.effects).toMatchObject([{ kind: 'fail', calls: [1234], failure: { outcome: 'unknown' } }]);
    expect(replica.state.proposals.underway.some(({ call }) => call === 1234)).toBe(false);
  });

  it('what ends none of them looks at none', () => {
    expect(replica.visited(() => replica.happens({ kind: 'tick' }))).toBe(0);
    expect(replica.visited(() => replica.happens({ kind: 'unreachable', peer: 'a' }))).toBe(0);
  });

  it('many attempts that end in one step cost one look at each', () => {
    let looks = 0;
    const underway = replica.state.proposals.underway.map(
      (command) =>
        new Proxy(command, {
          get: (it, key) => (key === 'request' && looks++, Reflect.get(it, key) as unknown),
        }),
    );
    replica.state = { ...replica.state, proposals: { ...replica.state.proposals, underway } };
    const outcome = { kind: 'unknown', reason: 'leaderChanged', leader: null } as const;
    replica.core(...commands.map(({ request }) => ({ kind: 'resolve', requests: [request], outcome }) as const));
    expect(replica.state.proposals.retrying).toHaveLength(MANY);
    expect(looks).toBe(MANY);
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
    expect(replica.state.proposals.queued).toEqual([]);
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

describe('with thousands of batches of reads', () => {
  it('what is applied looks at those that it serves', () => {
    const replica = new Scripted('a');
    for (let at = 0; at < MANY; at++) {
      replica.happens({ kind: 'read', calls: [{ call: at + 1, deadline: Infinity }], minIndex: at + 1 });
    }
    expect(replica.visited(() => replica.commit(1, replica.proposed.splice(0)))).toBeLessThan(FEW);
    expect(replica.effects).toContainEqual({ kind: 'serve', calls: [1], index: 1 });
    expect(replica.ended()).toBe(1);
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
});
