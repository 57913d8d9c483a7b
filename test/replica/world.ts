/**
 * Drivers in a small world of values: disks that forget what was not synced, a network that loses and repeats, a
 * machine that counts how often each command took effect. Runs the shipped driver over a shipped protocol.
 */

import { configurationOf, defaultConstants, type Constants } from '../../src/core/members.js';
import type { Entry, Protocol, Recovered } from '../../src/core/protocol.js';
import { choose } from '../../src/core/tuning.js';
import { hashOfConfiguration, defaultCluster } from '../../src/replica/driver/hash.js';
import { HARD_KEY } from '../../src/replica/driver/draft.js';
import type {
  DriverEffect,
  DriverEvent,
  DriverOptions,
  DriverState,
  Failure,
  ReplicaEvent,
} from '../../src/replica/driver/state.js';
import { driverOf, type Driver } from '../../src/replica/driver/driver.js';
import { ESTABLISHED_KEY, PEERS_KEY, decodePeers } from '../../src/replica/driver/identity.js';
import type { StoredResult } from '../../src/replica/driver/session-table.js';
import type { StorageOp, StoredEntry } from '../../src/replica/storage.js';

type AnyProtocol = Protocol<unknown, unknown>;
type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

export interface Disk {
  readonly incarnation: number;
  boot: number;
  values: Map<string, Uint8Array>;
  entries: Map<number, StoredEntry>;
}

function newDisk(incarnation: number): Disk {
  return { incarnation, boot: 0, values: new Map(), entries: new Map() };
}

function write(disk: Disk, ops: readonly StorageOp[]): void {
  for (const op of ops) {
    if (op.kind === 'set') disk.values.set(op.key, op.value);
    else if (op.kind === 'put') for (const entry of op.entries) disk.entries.set(entry.index, entry);
    else for (const index of [...disk.entries.keys()]) if (index >= op.from) disk.entries.delete(index);
  }
}

export interface Ended {
  readonly result?: StoredResult;
  readonly index?: number;
  readonly failure?: Failure;
  readonly served?: number;
}

/** One replica's process, from start to crash. */
export interface Process {
  readonly id: string;
  state: DriverState;
  pendingWrite: readonly StorageOp[] | null;
  /** Commands in the order in which they took effect here. */
  readonly applied: string[];
  readonly events: ReplicaEvent[];
  readonly ended: Map<number, Ended>;
  readonly queue: DriverEvent[];
}

interface Flight {
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
}

export class World {
  now = 0;
  readonly disks = new Map<string, Disk>();
  readonly running = new Map<string, Process>();
  flights: Flight[] = [];
  /** Results of so many bytes, in place of a number. */
  resultBytes = 0;
  readonly driver: Driver;
  private readonly protocol: AnyProtocol;
  private readonly ids: readonly string[];
  private readonly constants: Constants;
  private seed = 1;
  private calls = 0;
  private incarnations = 100;

  constructor(protocol: AnyProtocol, size: number, constants: Partial<Constants> = {}) {
    this.protocol = protocol;
    this.driver = driverOf(protocol);
    this.ids = Array.from({ length: size }, (_, at) => String.fromCharCode(97 + at));
    this.constants = { ...defaultConstants, ...constants };
    for (const id of this.ids) this.disks.set(id, newDisk(++this.incarnations));
  }

  wipe(id: string): void {
    this.disks.set(id, newDisk(++this.incarnations));
  }

  private recovered(disk: Disk): Recovered {
    const { durable } = this.protocol;
    const { limits } = choose(this.protocol);
    const hardBytes = disk.values.get(HARD_KEY);
    const hard = hardBytes === undefined ? null : durable.decodeHard(hardBytes);
    const stored = [...disk.entries.values()].sort((a, b) => a.index - b.index);
    const last = stored[stored.length - 1]?.index ?? 0;
    const runs: { from: number; term: number }[] = [];
    for (const { index, term } of stored) if (runs[runs.length - 1]?.term !== term) runs.push({ from: index, term });
    const first = 1;
    const from = durable.tailFrom(hard, first, last, limits);
    const tail = stored.filter(({ index }) => index >= from).map((e) => durable.decodeEntry(e.index, e.term, e.data));
    return { hard, first, last, runs, tail };
  }

  start(id: string, overrides: Partial<DriverOptions> = {}): Process {
    const disk = this.disks.get(id) as Disk;
    disk.boot += 1;
    const configuration = configurationOf(Object.fromEntries(this.ids.map((each) => [each, each])), this.constants);
    const { timing, limits } = choose(this.protocol);
    const peers = disk.values.get(PEERS_KEY);
    const options: DriverOptions = {
      id,
      incarnation: disk.incarnation,
      boot: disk.boot,
      cluster: defaultCluster(configuration),
      configuration,
      configurationHash: hashOfConfiguration(configuration),
      timing,
      limits,
      seed: ++this.seed * 7919,
      now: this.now,
      established: disk.values.has(ESTABLISHED_KEY),
      peers: peers === undefined ? [] : decodePeers(peers),
      maxWaiting: 1000,
      ...overrides,
    };
    const [state, effects] = this.driver.init(options, this.recovered(disk));
    const process: Process = {
      id,
      state,
      pendingWrite: null,
      applied: [],
      events: [],
      ended: new Map(),
      queue: [],
    };
    this.running.set(id, process);
    this.perform(process, effects);
    return process;
  }

  startAll(): void {
    for (const id of this.ids) this.start(id);
  }

  /** What was not synced is gone. */
  crash(id: string): void {
    this.running.delete(id);
  }

  step(process: Process, event: Untimed<DriverEvent>): void {
    process.queue.push({ ...event, now: this.now } as DriverEvent);
    if (process.queue.length > 1) return;
    for (let next = process.queue[0]; next !== undefined; next = process.queue[0]) {
      const [state, effects] = this.driver.step(process.state, next);
      process.state = state;
      this.perform(process, effects);
      process.queue.shift();
    }
  }

  private later(process: Process, event: Untimed<DriverEvent>): void {
    process.queue.push({ ...event, now: this.now } as DriverEvent);
    if (process.queue.length === 1) {
      process.queue.length = 0;
      this.step(process, event);
    }
  }

  private perform(process: Process, effects: readonly DriverEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          this.flights.push({ from: process.id, to: effect.to, bytes: effect.bytes });
          break;
        case 'write':
          if (process.pendingWrite !== null) throw new Error('a second write under way');
          process.pendingWrite = effect.ops;
          break;
        case 'load': {
          const disk = this.disks.get(process.id) as Disk;
          const entries: StoredEntry[] = [];
          for (let at = effect.from; at <= effect.to; at++) {
            const entry = disk.entries.get(at);
            if (entry !== undefined) entries.push(entry);
          }
          this.later(process, { kind: 'loaded', id: effect.id, entries });
          break;
        }
        case 'apply':
          this.later(process, { kind: 'applied', results: effect.entries.map((entry) => this.apply(process, entry)) });
          break;
        case 'answer':
          this.end(process, effect.call, { result: effect.result, index: effect.index });
          break;
        case 'serve':
          for (const call of effect.calls) this.end(process, call, { served: effect.index });
          break;
        case 'fail':
          for (const call of effect.calls) this.end(process, call, { failure: effect.failure });
          break;
        case 'event':
          process.events.push(effect.event);
          break;
        case 'peers':
          break;
      }
    }
  }

  private apply(process: Process, entry: Entry): StoredResult {
    process.applied.push(new TextDecoder().decode(entry.data));
    return {
      rejected: false,
      value: this.resultBytes === 0 ? process.applied.length : new Uint8Array(this.resultBytes),
    };
  }

  private end(process: Process, call: number, ended: Ended): void {
    if (process.ended.has(call)) throw new Error(`call ${call} ended twice`);
    process.ended.set(call, ended);
  }

  /** The write under way becomes durable. */
  sync(process: Process): void {
    if (process.pendingWrite === null) return;
    write(this.disks.get(process.id) as Disk, process.pendingWrite);
    process.pendingWrite = null;
    this.step(process, { kind: 'written' });
  }

  deliver(at: number, keep = false): void {
    const flight = this.flights[at];
    if (flight === undefined) return;
    if (!keep) this.flights.splice(at, 1);
    const process = this.running.get(flight.to);
    if (process !== undefined) this.step(process, { kind: 'message', from: flight.from, bytes: flight.bytes });
  }

  propose(process: Process, command: string, deadline = Infinity): number {
    const call = ++this.calls;
    this.step(process, { kind: 'propose', commands: [{ call, deadline, data: new TextEncoder().encode(command) }] });
    return call;
  }

  read(process: Process, deadline = Infinity): number {
    const call = ++this.calls;
    this.step(process, { kind: 'read', calls: [{ call, deadline }], minIndex: null });
    return call;
  }

  /** Everything that can happen without time passing, then time, until `done` or `limit` milliseconds have passed. */
  run(limit: number, done: () => boolean): boolean {
    const end = this.now + limit;
    for (;;) {
      while (this.flights.length > 0 || [...this.running.values()].some((each) => each.pendingWrite !== null)) {
        for (const process of this.running.values()) this.sync(process);
        this.deliver(0);
        if (done()) return true;
      }
      if (done()) return true;
      const due = Math.min(...[...this.running.values()].map((each) => this.driver.deadline(each.state)));
      if (due > end) return false;
      this.now = Math.max(this.now, due);
      for (const process of [...this.running.values()]) {
        if (this.driver.deadline(process.state) <= this.now) this.step(process, { kind: 'tick' });
      }
    }
  }

  leader(): Process | undefined {
    return [...this.running.values()].find((process) => process.state.leading);
  }
}
