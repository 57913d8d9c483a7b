/**
 * The programs that simulated processes run: a state, and a function with the driver's events and effects. There are
 * two: the shipped driver over a core, and a bare core with the simplest host (`core-program.ts`).
 */

import type { Configuration, ReplicaId } from '../../core/members.js';
import type { Digest } from '../../core/model.js';
import type { Lane, Limits, Milliseconds, Protocol, Timing } from '../../core/protocol.js';
import { coreOf, faultOf } from '../../replica/driver/draft.js';
import type { DriverEffect, DriverEvent, DriverOptions, DriverState, PeerRecord } from '../../replica/driver/state.js';
import { driverOf } from '../../replica/driver/driver.js';
import { hashOfConfiguration, defaultCluster } from '../../replica/driver/hash.js';
import { openEnvelope } from '../../replica/driver/envelope.js';
import { ESTABLISHED_KEY, PEERS_KEY, decodePeers, encodePeers } from '../../replica/driver/stored-identity.js';
import { SNAPSHOTS_KEY, decodeSnapshots } from '../../replica/driver/snapshot-list.js';
import { nameOf, noSnapshots, type FoundSnapshots } from '../../replica/driver/snapshots.js';
import { recovered, type WorldDisk } from './disk.js';
import { newestOn } from './snapshots.js';

/** A message on the network: bytes of the driver, or a bare core's message itself. Opaque to the world. */
export type Payload = Uint8Array | object;

export type ProcessEvent =
  | Exclude<DriverEvent, { kind: 'message' }>
  | { readonly now: Milliseconds; readonly kind: 'message'; readonly from: ReplicaId; readonly bytes: Payload }
  /** For a bare core, whose host takes a snapshot when it is told to. */
  | { readonly now: Milliseconds; readonly kind: 'takeSnapshot' };

export type ProcessEffect =
  | Exclude<DriverEffect, { kind: 'send' }>
  | {
      readonly kind: 'send';
      readonly to: ReplicaId;
      readonly bytes: Payload;
      readonly lane: Lane;
      readonly forward?: number;
    };

export type ProcessStep = readonly [state: unknown, effects: readonly ProcessEffect[]];

/** The arguments of a process's start. */
export interface Start {
  readonly id: ReplicaId;
  /** The disk; its `boot` includes this start. */
  readonly disk: WorldDisk;
  readonly seed: number;
  readonly now: Milliseconds;
  /** By how much its wall clock is ahead of `now`; `null` when it has none. */
  readonly ahead: Milliseconds | null;
}

/** Whether a process takes part: `running` does, or will; the others answer nobody, though the process exists. */
export type Health = 'running' | 'stopped' | 'halted' | 'lostIdentity';

export interface Program {
  readonly kind: 'driver' | 'core';
  start(start: Start): ProcessStep;
  step(state: unknown, event: ProcessEvent): ProcessStep;
  /** The time by which a `tick` is due, on the replica's own clock. */
  deadline(state: unknown): Milliseconds;
  /** The core's state, `null` before it runs. */
  core(state: unknown): unknown;
  health(state: unknown): Health;
  /** Whether it was told that it is about to close. */
  isLeaving(state: unknown): boolean;
  /** The reason of its halt; `null` if it has not halted. */
  fault(state: unknown): string | null;
  /** The core's message in a payload; `null` for a message of the driver's own. */
  message(payload: Payload): unknown;
  /** The name of a message of the driver's own. */
  describe(payload: Payload): string;
  /** Digests all of the state that influences the program's later steps. */
  digest(state: unknown, now: Milliseconds, digest: Digest, message: (message: unknown, to: ReplicaId) => void): void;
}

/** The settings that all replicas of a cluster share. */
export interface ProgramOptions {
  readonly configuration: Configuration;
  readonly timing: Timing;
  readonly limits: Limits;
  readonly preVote: boolean;
  /** How many requests may wait at one replica. */
  readonly maxWaiting: number;
  /** After how many entries a driver takes a snapshot; 0: never. */
  readonly snapshots: number;
}

/** The stored values of an established replica, so that a simulation may begin after the first start. */
export function establishedValues(peers: readonly PeerRecord[]): readonly (readonly [string, Uint8Array])[] {
  return [
    [ESTABLISHED_KEY, new Uint8Array([1])],
    [PEERS_KEY, encodePeers(peers)],
  ];
}

function messageIn(protocol: Protocol<unknown, unknown>, payload: Payload): unknown {
  const opened = openEnvelope(payload as Uint8Array);
  return opened.kind === 'core' ? protocol.codec.read(opened.reader) : null;
}

/** What a host finds and verifies. */
function snapshotsOn(disk: WorldDisk): FoundSnapshots {
  const bytes = disk.values.get(SNAPSHOTS_KEY);
  if (bytes === undefined) return noSnapshots;
  return { ...decodeSnapshots(bytes), part: newestOn(disk)?.part ?? null };
}

/** As a host has it by default. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** The driver that is shipped, over this protocol. */
export function driverProgram(protocol: Protocol<unknown, unknown>, options: ProgramOptions): Program {
  const driver = driverOf(protocol);
  const { configuration, timing, limits, preVote, maxWaiting, snapshots } = options;
  const snapshotPolicy = snapshots === 0 ? null : { entries: snapshots, bytes: Infinity };
  const cluster = defaultCluster(configuration);
  const configurationHash = hashOfConfiguration(configuration);
  return {
    kind: 'driver',
    start({ id, disk, seed, now, ahead }) {
      const peers = disk.values.get(PEERS_KEY);
      const given: DriverOptions = {
        id,
        incarnation: disk.incarnation,
        boot: disk.boot,
        cluster,
        configuration,
        configurationHash,
        timing,
        limits,
        preVote,
        seed,
        start: seed >>> 0,
        now,
        ...(ahead === null ? {} : { ahead }),
        established: disk.values.has(ESTABLISHED_KEY),
        peers: peers === undefined ? [] : decodePeers(peers),
        maxWaiting,
        maxWaitingBytes: MAX_WAITING_BYTES,
        snapshotPolicy,
        storesSnapshots: snapshots > 0,
        snapshots: snapshotsOn(disk),
      };
      const snapshot = newestOn(disk);
      const name = snapshot === null ? null : nameOf(snapshot);
      return driver.init(given, recovered(disk, protocol.durable, limits, name, given.snapshots.base));
    },
    step: (state, event) => driver.step(state as DriverState, event as DriverEvent),
    deadline: (state) => driver.deadline(state as DriverState),
    core: (state) => coreOf((state as DriverState).phase),
    health(state) {
      const { kind } = (state as DriverState).phase;
      return kind === 'establishing' ? 'running' : kind;
    },
    isLeaving: (state) => (state as DriverState).transfers.leaving !== null,
    fault: (state) => faultOf((state as DriverState).phase)?.reason ?? null,
    message: (payload) => messageIn(protocol, payload),
    describe(payload) {
      const opened = openEnvelope(payload as Uint8Array);
      return opened.kind === 'core' ? 'core' : opened.message.kind;
    },
    digest() {
      throw new RangeError('a driver has no canonical form: exhaustive search runs on the bare core');
    },
  };
}
