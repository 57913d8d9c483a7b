/** A run of commands that the machine reports in parts leaves what it leaves when it is reported whole. */

import { itemsOf } from '../../../src/core/book.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { configurationOf, defaultConstants } from '../../../src/core/members.js';
import type { Entry, Inbound, Outbound, Protocol } from '../../../src/core/protocol.js';
import { choose } from '../../../src/core/tuning.js';
import { raftProtocol } from '../../../src/raft/index.js';
import { driverOf, type Driver } from '../../../src/replica/driver/driver.js';
import { noSnapshots } from '../../../src/replica/driver/snapshots.js';
import { encodeSessionOpening, type StoredResult } from '../../../src/replica/driver/session-table.js';
import type { DriverEffect, DriverEvent, DriverState } from '../../../src/replica/driver/state.js';

type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

const protocol = raftProtocol as Protocol<unknown, unknown>;
const NO_DATA = new Uint8Array(0);

/** A replica over a core that commits what the test gives it, and a machine that numbers its commands. */
class Applying {
  state: DriverState;
  readonly answers: string[] = [];
  /** What was proposed to the core, as sessions and sequences. */
  readonly proposed: string[] = [];
  /** The indexes that the core was told are applied. */
  readonly applied: number[] = [];
  readonly served: number[] = [];
  readonly order: number[] = [];
  private readonly driver: Driver;
  private readonly parts: () => number;
  private steps = 0;
  private says: readonly Outbound<unknown>[] = [];

  constructor(parts: () => number, sessions = defaultConstants.sessions) {
    this.parts = parts;
    const { timing, limits } = choose(protocol);
    const heard = {
      kind: 'event',
      event: { kind: 'role', role: 'follower', term: 1, leader: 'a', fence: null },
    } as const;
    this.driver = driverOf({
      ...protocol,
      init: () => [0, [heard]],
      step: (_, inbound) => this.step(inbound),
      checkStep: () => undefined,
      checkState: () => undefined,
      deadline: () => Infinity,
    });
    const configuration = configurationOf({ a: 'a', b: 'b' }, { ...defaultConstants, sessions });
    const identity = { id: 'b', incarnation: 2, boot: 1, cluster: 'test', configuration, configurationHash: 'hash' };
    const rest = {
      timing,
      limits,
      preVote: true,
      seed: 1,
      start: 1,
      now: 0,
      established: true,
      peers: [],
      maxWaiting: 1000,
      maxWaitingBytes: 2 ** 20,
      snapshotPolicy: null,
      storesSnapshots: false,
      snapshots: noSnapshots,
    };
    [this.state] = this.driver.init(
      { ...identity, ...rest },
      { hard: null, base: { index: 0, term: 0 }, last: 0, runs: [], tail: [], snapshot: null },
    );
  }

  private step(inbound: Inbound<unknown>): readonly [unknown, readonly Outbound<unknown>[]] {
    if (inbound.kind === 'applied') this.applied.push(inbound.index);
    if (inbound.kind === 'propose') {
      for (const { kind, id } of inbound.proposals)
        if (kind === 'command') this.proposed.push(`${id.session}/${id.sequence}`);
    }
    return [++this.steps, inbound.kind === 'campaign' ? this.says : []];
  }

  happens(event: Untimed<DriverEvent>): void {
    const [state, effects] = this.driver.step(this.state, { ...event, now: 0 } as DriverEvent);
    this.state = state;
    for (const effect of effects) this.perform(effect);
  }

  private perform(effect: DriverEffect): void {
    if (effect.kind === 'answer') this.answers.push(`${effect.call}=${String(effect.result.value)}@${effect.index}`);
    if (effect.kind === 'serve') this.served.push(effect.index);
    if (effect.kind === 'fail') throw new Error(effect.failure.message);
    if (effect.kind !== 'apply') return;
    for (let at = 0; at < effect.entries.length; ) {
      const size = Math.min(this.parts(), effect.entries.length - at);
      const part = effect.entries.slice(at, at + size);
      this.order.push(...part.map(({ index }) => index));
      const results = part.map(({ index }): StoredResult => ({ rejected: false, value: index }));
      at += size;
      this.happens({ kind: 'applied', results });
    }
  }

  commit(entries: readonly Entry[]): void {
    this.says = [{ kind: 'commit', entries }];
    this.happens({ kind: 'campaign' });
  }
}

const opening = (replica: string, index: number, incarnation = 2): Entry => ({
  index,
  term: 1,
  kind: 'openSession',
  time: 0,
  id: null,
  data: encodeSessionOpening({ replica, incarnation, boot: 1, start: 1 }),
});
const command = (session: number, sequence: number, index: number): Entry => ({
  index,
  term: 1,
  kind: 'command',
  time: 0,
  id: { session, sequence, firstIncomplete: 1 },
  data: NO_DATA,
});

describe('a run of commands', () => {
  it('leaves the same, reported whole or in parts', () => {
    const moves = fc.array(fc.record({ repeat: fc.boolean(), calls: fc.nat(3), noops: fc.nat(2) }), { maxLength: 12 });
    fc.assert(
      fc.property(moves, fc.infiniteStream(fc.integer({ min: 1, max: 5 })), (script, sizes) => {
        const play = (parts: () => number): Applying => {
          const replica = new Applying(parts);
          const entries: Entry[] = [opening('b', 1)];
          let sequence = 0;
          for (const { repeat, calls, noops } of script) {
            for (let i = 0; i < calls; i++) entries.push(command(1, ++sequence, entries.length + 1));
            for (let i = 0; i < noops; i++)
              entries.push({ ...command(1, 1, entries.length + 1), kind: 'noop', time: 0, id: null });
            if (repeat && sequence > 0) entries.push(command(1, sequence, entries.length + 1));
          }
          replica.commit(entries.slice(0, 1));
          const data = NO_DATA;
          const commands = Array.from({ length: sequence }, (_, at) => ({ call: at + 1, deadline: Infinity, data }));
          replica.happens({ kind: 'propose', commands });
          if (entries.length > 1) replica.commit(entries.slice(1));
          return replica;
        };
        const whole = play(() => Infinity);
        const inParts = play(() => sizes.next().value as number);
        expect(inParts.answers).toEqual(whole.answers);
        expect(inParts.order).toEqual(whole.order);
        expect(inParts.state.applying).toEqual(whole.state.applying);
        expect(inParts.applied.at(-1)).toBe(whole.applied.at(-1));
        expect([...inParts.applied].sort((a, b) => a - b)).toEqual(inParts.applied);
      }),
    );
  });

  it('a part serves the reads that it is enough for', () => {
    const replica = new Applying(() => 1);
    replica.commit([opening('b', 1)]);
    replica.happens({ kind: 'read', calls: [{ call: 1, deadline: Infinity }], minIndex: 3 });
    replica.commit([command(1, 1, 2), { ...command(1, 2, 3), kind: 'noop', time: 0, id: null }, command(1, 2, 4)]);
    expect(replica.applied).toEqual([1, 3, 4]);
    expect(replica.served).toEqual([3]);
  });

  it('a session that one of its entries drops ends with the run: its own commands before that still count', () => {
    const sessions = 14;
    const replica = new Applying(() => 1, sessions);
    replica.commit([opening('b', 1)]);
    const commands = [1, 2, 3].map((call) => ({ call, deadline: Infinity, data: NO_DATA }));
    replica.happens({ kind: 'propose', commands });
    expect(replica.proposed).toEqual(['1/1', '1/2', '1/3']);
    // Later sessions push the own one out, in the same run in which its first commands are applied.
    const others = Array.from({ length: sessions }, (_, at) => opening(`r${at}`, 4 + at));
    replica.commit([command(1, 1, 2), command(1, 2, 3), ...others, command(1, 3, 4 + sessions)]);
    expect(replica.answers).toEqual(['1=2@2', '2=3@3']);
    // Only what was not applied is proposed again, in another session.
    const { queued, underway, retrying } = replica.state.proposals;
    expect([itemsOf(queued).map(({ key }) => key), underway, retrying]).toEqual([[3], null, null]);
    expect(replica.proposed).toEqual(['1/1', '1/2', '1/3']);
  });

  it.each([0, 3])('halts the replica if %i results come back for two commands', (count) => {
    const replica = new Applying(() => 1);
    replica.commit([opening('b', 1)]);
    const [state] = (replica as unknown as { driver: Driver }).driver.step(replica.state, {
      kind: 'applied',
      now: 0,
      results: Array.from({ length: count }, () => ({ rejected: false, value: 1 })),
    });
    expect(state.phase).toMatchObject({ kind: 'halted', fault: { code: 'ERR_INVARIANT' } });
  });
});
