/** What the tests and the mutants of log time at a machine have in common: a driver over a core that only commits. */

import { configurationOf, defaultConstants } from '../../../src/core/members.js';
import type { Entry, Outbound, Protocol } from '../../../src/core/protocol.js';
import { choose } from '../../../src/core/tuning.js';
import { raftProtocol } from '../../../src/raft/index.js';
import { noSnapshots } from '../../../src/replica/driver/snapshots.js';
import { driverOf, type Driver } from '../../../src/replica/driver/driver.js';
import { encodeSessionOpening } from '../../../src/replica/driver/session-table.js';
import type { DriverEffect, DriverEvent, DriverState } from '../../../src/replica/driver/state.js';
import { MachineRunner } from '../../../src/replica/host/machine-runner.js';
import { jsonCodec, type ApplyContext } from '../../../src/replica/state-machine.js';
import { demand } from '../../violation.js';

type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

const protocol = raftProtocol as Protocol<unknown, unknown>;
const codec = jsonCodec();
const NO_DATA = new Uint8Array(0);

/** What a machine was called with: `apply 3 at 20`, `wake 4 at 25`. A command asks to be woken so much later. */
class Sleeper {
  readonly calls: string[] = [];

  apply(delay: number, { index, time, wakeAt }: ApplyContext): number {
    this.calls.push(`apply ${index} at ${time}`);
    if (delay > 0) wakeAt(time + delay - 1);
    return index;
  }

  wake({ index, time, wakeAt }: ApplyContext): void {
    this.calls.push(`wake ${index} at ${time}`);
    if (index % 3 === 0) wakeAt(time + (index % 2) * 4);
  }

  snapshot(): null {
    return null;
  }

  restore(): void {}
}

/** A driver over a core that commits what it is given, and a machine that reports in parts of this size. */
class Applying {
  readonly machine = new Sleeper();
  /** What the core was told. */
  readonly wakes: number[] = [];
  state: DriverState;
  private readonly runner = new MachineRunner(this.machine, codec, codec, 'halt');
  private readonly driver: Driver;
  private readonly part: number;
  private says: readonly Outbound<unknown>[] = [];
  private steps = 0;

  constructor(part: number) {
    this.part = part;
    const { timing, limits } = choose(protocol);
    this.driver = driverOf({
      ...protocol,
      init: () => [0, []],
      step: (_, inbound) => {
        if (inbound.kind === 'wakeAt') this.wakes.push(inbound.time);
        return [++this.steps, inbound.kind === 'campaign' ? this.says : []];
      },
      checkStep: () => undefined,
      checkState: () => undefined,
      deadline: () => Infinity,
    });
    const configuration = configurationOf({ a: 'a', b: 'b' }, defaultConstants);
    const identity = { id: 'b', incarnation: 2, boot: 1, cluster: 'test', configuration, configurationHash: 'hash' };
    const rest = { timing, limits, preVote: true, seed: 1, start: 1, now: 0, established: true, peers: [] };
    const options = {
      ...identity,
      ...rest,
      maxWaiting: 1000,
      maxWaitingBytes: 2 ** 20,
      snapshotPolicy: null,
      storesSnapshots: false,
      snapshots: noSnapshots,
    };
    [this.state] = this.driver.init(options, {
      hard: null,
      base: { index: 0, term: 0 },
      last: 0,
      runs: [],
      tail: [],
      snapshot: null,
    });
  }

  private happens(event: Untimed<DriverEvent>): void {
    const [state, effects] = this.driver.step(this.state, { ...event, now: 0 } as DriverEvent);
    this.state = state;
    for (const effect of effects) this.perform(effect);
  }

  private perform(effect: DriverEffect): void {
    const { runner } = this;
    if (effect.kind === 'wake') {
      if (runner.wake(effect.index, effect.time) !== null) throw new Error('wake failed');
      this.happens({ kind: 'woken', wakeAt: runner.wakeAt as number });
    }
    if (effect.kind === 'fail') throw new Error(effect.failure.message);
    if (effect.kind !== 'apply') return;
    runner.wakeAt = effect.wakeAt;
    for (let at = 0; at < effect.entries.length; at += this.part) {
      const results = runner.run(effect.entries.slice(at, at + this.part));
      if ('code' in results) throw new Error(results.reason);
      this.happens({ kind: 'applied', results, wakeAt: runner.wakeAt as number });
    }
  }

  commit(entries: readonly Entry[]): void {
    this.says = [{ kind: 'commit', entries }];
    this.happens({ kind: 'campaign' });
  }
}

export interface Made {
  readonly kind: 'command' | 'again' | 'noop';
  readonly time: number;
  readonly delay: number;
}

/** The log: a session, then commands (some twice), and no-ops, with stamps that rise and fall. */
export function logOf(made: readonly Made[]): Entry[] {
  const data = encodeSessionOpening({ replica: 'a', incarnation: 1, boot: 1, start: 1 });
  const entries: Entry[] = [{ index: 1, term: 1, kind: 'openSession', time: 0, id: null, data }];
  let sequence = 0;
  made.forEach(({ kind, time, delay }, at) => {
    const index = at + 2;
    if (kind === 'command' || sequence === 0) sequence += kind === 'noop' ? 0 : 1;
    if (kind === 'noop') return entries.push({ index, term: 1, kind, time, id: null, data: NO_DATA });
    const id = { session: 1, sequence, firstIncomplete: 1 };
    return entries.push({ index, term: 1, kind: 'command', time, id, data: codec.encode(delay) });
  });
  return entries;
}

/** What a machine is to see, one entry after the other. */
function expectedOf(entries: readonly Entry[]): readonly string[] {
  const machine = new Sleeper();
  const applied = new Set<number>();
  let time = 0;
  let wakeAt = Infinity;
  for (const entry of entries) {
    const { index, kind, id, data } = entry;
    time = Math.max(time, entry.time);
    const context = { index, time, wakeAt: (at: number) => (wakeAt = Math.min(wakeAt, at)) };
    if (wakeAt <= time) {
      wakeAt = Infinity;
      machine.wake(context);
    }
    if (kind !== 'command' || id === null || applied.has(id.sequence)) continue;
    applied.add(id.sequence);
    machine.apply(codec.decode(data) as number, context);
  }
  return machine.calls;
}

/** A replica to which this log was delivered in these sizes, and reported in parts. */
function delivered(entries: readonly Entry[], sizes: readonly number[], part: number): Applying {
  const replica = new Applying(part);
  for (let at = 0, turn = 0; at < entries.length; turn++) {
    const size = sizes[turn % sizes.length] as number;
    replica.commit(entries.slice(at, at + size));
    at += size;
  }
  return replica;
}

/** What the machine was called with. */
export function callsOf(entries: readonly Entry[], sizes: readonly number[], part: number): readonly string[] {
  return delivered(entries, sizes, part).machine.calls;
}

/** Commits this log in deliveries of these sizes, reported in parts: the machine is called as by each entry in turn. */
export function calledInOrder(entries: readonly Entry[], sizes: readonly number[], part: number): void {
  const replica = delivered(entries, sizes, part);
  const [calls, expected] = [replica.machine.calls.join(', '), expectedOf(entries).join(', ')];
  demand(calls === expected, 'time/woken-at-first-entry: the machine is called in order', () => ({ calls, expected }));
  const { time, applied, wakeAt, toldWake } = replica.state.applying;
  demand(applied === entries.length, 'log/delivered-in-order: everything is applied');
  demand(time === Math.max(...entries.map((entry) => entry.time)), 'time/never-falls: it is the highest stamp');
  const due = wakeAt === Infinity ? Infinity : Math.max(wakeAt, time + 1);
  const told = replica.wakes.at(-1) ?? Infinity;
  demand(toldWake === due && told === due, 'time/wake-by-noop: the core is told of a time that no entry has reached');
}

/** Of a gap at most one minute counts for what expires. */
export function gapsCountLittle(): void {
  const replica = new Applying(1);
  const stamps = [1_700_000_000_000, 1_700_000_001_000, 1_700_090_000_000];
  replica.commit(stamps.map((time, at) => ({ index: at + 1, term: 1, kind: 'noop', time, id: null, data: NO_DATA })));
  const { expiryTime, time } = replica.state.applying;
  demand(time === stamps[2] && expiryTime === 121_000, 'time/gaps-count-little: a gap counts a minute at most');
}
