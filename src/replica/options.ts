/** The options of `createReplica` and their validation, which names every mistake before anything is opened. */

import {
  configurationOf,
  defaultConstants,
  isReplicaId,
  type Configuration,
  type Constants,
  type GivenMember,
} from '../core/members.js';
import type { Timing } from '../core/protocol.js';
import { shown } from '../core/shown.js';
import { given, homeOf, type Given, type ProtocolChoice } from '../core/tuning.js';
import { systemClock, type Clock } from './clock.js';
import type { SnapshotPolicy } from './driver/snapshots.js';
import type { ReplicaEvent } from './driver/state.js';
import { invalidArgument, textOf } from './errors.js';
import { checkedClock, checkedRandom, checkedTransport, type CheckedTransport } from './host/plug-ins.js';
import { copying, jsonCodec, type StateMachine, type StreamingStateMachine, type ValueCodec } from './state-machine.js';
import type { Storage } from './storage.js';
import type { Transport } from './transport.js';

/** A state machine of any command, result and snapshot type. */
export type AnyMachine = StateMachine<any, any, any> | StreamingStateMachine<any, any>;
/** The type of the commands that a machine takes. */
export type CommandOf<M extends AnyMachine> = Parameters<M['apply']>[0];
/** The type of the results that a machine gives. */
export type ResultOf<M extends AnyMachine> = ReturnType<M['apply']>;

/** Options of `createReplica`. */
export interface ReplicaOptions<M extends AnyMachine> {
  /** This replica's name, a key of `members`: 1 to 64 of `A-Z a-z 0-9 . _ -`. */
  readonly id: string;
  /**
   * Addresses by name, of all members and this one too, in the transport's form (TCP: `host:port`), or an object of
   * `address` and `priority` (a whole number from 0 to 65,535; 100 by default): a higher one is preferred as leader.
   * They must be the same on all members at their first start.
   */
  readonly members: Readonly<Record<string, GivenMember>>;
  /** `raft()` or `multipaxos()`; the same on all members. */
  readonly protocol: ProtocolChoice;
  /** Carries messages between members, like `tcpTransport()`. The replica starts and stops it. */
  readonly transport: Transport;
  /** Keeps what must survive a crash, like `fileStorage(directory)`. The replica opens and closes it. */
  readonly storage: Storage;
  /** The application's state machine; this replica alone calls its methods. */
  readonly machine: M;
  /** Name of the cluster: 1 to 128 printable ASCII characters; by default a hash of the initial members. */
  readonly cluster?: string | undefined;
  /**
   * `true` confirms the first start of a cluster of one, which has no peer that could tell a first start from a lost
   * disk. Remove it after that start. `false` by default.
   */
  readonly bootstrap?: boolean | undefined;
  /** Milliseconds after which a request without a signal ends, 1 to 2^31 - 1; 30,000 by default. */
  readonly requestTimeout?: number | undefined;
  /** How many requests may wait on this replica, 1 to 2^24; more fail with ERR_BUSY. 16,384 by default. */
  readonly maxWaiting?: number | undefined;
  /** How many bytes of commands may wait here, with 48 for each beside its data; 64 MiB by default. */
  readonly maxWaitingBytes?: number | undefined;
  /**
   * How many bytes of applied commands and their results are kept for `Replica.changes`, with 28 for each beside its
   * data: 0, which keeps none, to 2^32 - 1; 16 MiB by default.
   */
  readonly changesBytes?: number | undefined;
  /** Encodes commands for the log; JSON by default. */
  readonly codec?: ValueCodec<CommandOf<M>> | undefined;
  /**
   * Encodes results and reasons of rejection for the session table; JSON by default. Numbers, booleans, `null` and
   * `undefined` are kept as they are, without it.
   */
  readonly resultCodec?: ValueCodec<ResultOf<M>> | undefined;
  /** Encodes snapshots of a machine that does not stream them; JSON by default. */
  readonly snapshotCodec?: ValueCodec<any> | undefined;
  /**
   * When a snapshot is taken: when so many entries, or bytes of them, were applied since the last one. 1 to 2^40;
   * 100,000 entries and 64 MiB by default. `false`: never.
   */
  readonly snapshots?: Given<SnapshotPolicy> | false | undefined;
  /** Constants of a new cluster; after the first start the stored ones are in force. */
  readonly constants?: Given<Constants> | undefined;
  /** Gets every event from the start on, in order; must not throw. See also `Replica.on`. */
  readonly onEvent?: ((event: ReplicaEvent) => void) | undefined;
  /** Monotonic time and timers; the platform's by default. Tests replace it. */
  readonly clock?: Clock | undefined;
  /** Any 32-bit integer, from which election timeouts are drawn; random by default. Tests set it. */
  readonly seed?: number | undefined;
  /**
   * Returns 32 random bits as an integer ≥ 0; the platform's generator by default. Tests replace it. It must not repeat
   * itself from start to start: its bits tell a start from one of an older copy of the storage.
   */
  readonly random?: (() => number) | undefined;
}

/**
 * The same options around a machine that is written as an object literal with fields of its own: its type is inferred
 * from the literal, and is the type of `this` in its methods.
 */
export type InlineOptions<M> = Omit<ReplicaOptions<M extends AnyMachine ? M : AnyMachine>, 'machine'> & {
  readonly machine: M & ThisType<M> & (M extends AnyMachine ? unknown : AnyMachine);
};

/** The options, checked and complete. */
export interface CheckedOptions<M extends AnyMachine> {
  readonly id: string;
  readonly configuration: Configuration;
  readonly protocol: ProtocolChoice;
  readonly transport: CheckedTransport;
  readonly storage: Storage;
  readonly machine: M;
  readonly cluster: string | undefined;
  readonly bootstrap: boolean;
  readonly requestTimeout: number;
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  readonly changesBytes: number;
  readonly codec: ValueCodec<unknown>;
  readonly resultCodec: ValueCodec<unknown>;
  readonly snapshotCodec: ValueCodec<unknown>;
  /** `null`: none are taken. */
  readonly snapshots: SnapshotPolicy | null;
  readonly onEvent: ((event: ReplicaEvent) => void) | undefined;
  readonly clock: Clock;
  readonly seed: number | undefined;
  readonly random: () => number;
}

interface RandomPlatform {
  crypto: { getRandomValues(array: Uint32Array): Uint32Array };
}

function randomWord(): number {
  return (globalThis as unknown as RandomPlatform).crypto.getRandomValues(new Uint32Array(1))[0] as number;
}

const KNOWN = new Set([
  'id',
  'members',
  'protocol',
  'transport',
  'storage',
  'machine',
  'cluster',
  'bootstrap',
  'requestTimeout',
  'maxWaiting',
  'maxWaitingBytes',
  'changesBytes',
  'codec',
  'resultCodec',
  'snapshotCodec',
  'snapshots',
  'constants',
  'onEvent',
  'clock',
  'seed',
  'random',
]);

function checkMethods(name: string, value: unknown, methods: readonly string[], hint: string): void {
  const holder = value as Record<string, unknown> | null | undefined;
  const missing = methods.find((method) => typeof holder?.[method] !== 'function');
  if (missing !== undefined) throw invalidArgument(`${name}: expected ${hint} (it has no ${missing}())`);
}

function checkNumber(name: string, value: unknown, min: number, max: number): void {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
    throw invalidArgument(`${name}: expected a whole number from ${min} to ${max}, got ${shown(value)}`);
  }
}

function checkParts(options: ReplicaOptions<AnyMachine>): void {
  const choice = options.protocol as ProtocolChoice | undefined;
  if (typeof choice?.protocol?.step !== 'function') throw invalidArgument('protocol: expected raft() or multipaxos()');
  const transport = ['checkAddress', 'start', 'answer', 'send', 'setPeers', 'stop', 'connected'];
  checkMethods('transport', options.transport, transport, 'a transport like tcpTransport()');
  checkMethods('storage', options.storage, ['open', 'write', 'read', 'close'], 'a storage like fileStorage(directory)');
  const isStreaming =
    typeof (options.machine as Partial<StreamingStateMachine> | undefined)?.restoreFrom === 'function';
  const restoring = isStreaming ? 'restoreFrom' : 'restore';
  checkMethods('machine', options.machine, ['apply', 'snapshot', restoring], 'a state machine');
  if (options.machine.validate !== undefined) checkMethods('machine', options.machine, ['validate'], 'a function');
  if (options.clock !== undefined) checkMethods('clock', options.clock, ['now', 'after', 'soon'], 'a clock');
  if (options.codec !== undefined) checkMethods('codec', options.codec, ['encode', 'decode'], 'a value codec');
  if (options.resultCodec !== undefined) {
    checkMethods('resultCodec', options.resultCodec, ['encode', 'decode'], 'a value codec');
  }
  if (options.snapshotCodec !== undefined) {
    checkMethods('snapshotCodec', options.snapshotCodec, ['encode', 'decode'], 'a value codec');
  }
  if (options.storage.snapshots !== undefined) {
    checkMethods('storage.snapshots', options.storage.snapshots, ['list', 'write', 'read', 'remove'], 'snapshots');
  }
}

function checkScalars(options: ReplicaOptions<AnyMachine>): void {
  const { cluster, bootstrap, requestTimeout, maxWaiting, maxWaitingBytes, changesBytes } = options;
  const { seed, random, onEvent } = options;
  if (cluster !== undefined && (typeof cluster !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(cluster))) {
    throw invalidArgument(`cluster: expected 1 to 128 printable ASCII characters, got ${shown(cluster)}`);
  }
  if (bootstrap !== undefined && typeof bootstrap !== 'boolean') {
    throw invalidArgument(`bootstrap: expected true or false, got ${shown(bootstrap)}`);
  }
  if (requestTimeout !== undefined) checkNumber('requestTimeout', requestTimeout, 1, 2 ** 31 - 1);
  if (maxWaiting !== undefined) checkNumber('maxWaiting', maxWaiting, 1, 2 ** 24);
  if (maxWaitingBytes !== undefined) checkNumber('maxWaitingBytes', maxWaitingBytes, 1, 2 ** 40);
  if (changesBytes !== undefined) checkNumber('changesBytes', changesBytes, 0, 2 ** 32 - 1);
  if (seed !== undefined) checkNumber('seed', seed, -(2 ** 31), 2 ** 32 - 1);
  if (random !== undefined && typeof random !== 'function') throw invalidArgument('random: expected a function');
  if (onEvent !== undefined && typeof onEvent !== 'function') throw invalidArgument('onEvent: expected a function');
}

function checkMembers(options: ReplicaOptions<AnyMachine>): Configuration {
  const { id, members, constants } = options;
  if (!isReplicaId(id)) throw invalidArgument(`id: expected 1 to 64 of A-Z a-z 0-9 . _ -, got ${shown(id)}`);
  if (typeof members !== 'object' || members === null || Array.isArray(members)) {
    throw invalidArgument(`members: expected an object of addresses by id, got ${shown(members)}`);
  }
  if (!Object.hasOwn(members, id)) throw invalidArgument(`members: expected ${id} itself among them`);
  const addresses = Object.values(members).map((member) => (member as { address?: unknown } | null)?.address ?? member);
  const twice = addresses.find((address, at) => addresses.indexOf(address) !== at);
  if (twice !== undefined) throw invalidArgument(`members: the address ${shown(twice)} stands there twice`);
  if (constants !== undefined && (typeof constants !== 'object' || constants === null || Array.isArray(constants))) {
    throw invalidArgument(`constants: expected an object, got ${shown(constants)}`);
  }
  for (const name of Object.keys(constants ?? {})) {
    if (!(name in defaultConstants)) throw invalidArgument(`constants.${name}: no such constant`);
  }
  try {
    return configurationOf(members, { ...defaultConstants, ...given(constants) });
  } catch (error) {
    throw invalidArgument(textOf(error));
  }
}

const defaultSnapshotPolicy: SnapshotPolicy = { entries: 100_000, bytes: 64 * 1024 * 1024 };

function snapshotPolicyOf({ snapshots, storage }: ReplicaOptions<AnyMachine>): SnapshotPolicy | null {
  if (snapshots === false) return null;
  if (snapshots !== undefined && (typeof snapshots !== 'object' || snapshots === null)) {
    throw invalidArgument(`snapshots: expected an object or false, got ${shown(snapshots)}`);
  }
  for (const [name, value] of Object.entries(snapshots ?? {})) {
    if (!Object.hasOwn(defaultSnapshotPolicy, name)) throw invalidArgument(`snapshots.${name}: no such setting`);
    if (value !== undefined) checkNumber(`snapshots.${name}`, value, 1, 2 ** 40);
  }
  return storage.snapshots === undefined ? null : { ...defaultSnapshotPolicy, ...given(snapshots) };
}

/** Refuses a mistyped address before anything is opened, that of another member too. */
function checkAddresses(transport: CheckedTransport, { members }: Configuration): void {
  for (const { id, address } of members) {
    try {
      transport.checkAddress(address);
    } catch (error) {
      throw invalidArgument(`members.${id}: ${textOf(error)}`);
    }
  }
}

/** A grant outlasts heartbeats, and holds up an election no longer than the silence of a leader does. */
function checkLeaseReads({ constants }: Configuration, { heartbeat, electionMin }: Timing): void {
  const { leaseReads } = constants;
  if (leaseReads === 0 || (leaseReads >= 2 * heartbeat && leaseReads <= electionMin)) return;
  const range = `from twice timing.heartbeat (${heartbeat}) to timing.electionMin (${electionMin})`;
  throw invalidArgument(`constants.leaseReads: expected 0, or milliseconds ${range}, got ${leaseReads}`);
}

/** Where an option that was looked for here is to be found. */
function hintFor(name: string): string {
  const setting = ['timing', 'limits', 'preVote'].includes(name) ? name : homeOf(name);
  if (setting !== null) return `; it is a setting of the protocol, like raft({ ${setting}: … })`;
  if (Object.hasOwn(defaultConstants, name)) return `; it is constants.${name}`;
  const near = [...KNOWN].find((known) => known.toLowerCase() === name.toLowerCase());
  return near === undefined ? '' : `; it is ${near}`;
}

/** @throws ConsensusError with code ERR_INVALID_ARGUMENT that names the option and what was expected */
export function checkOptions<M extends AnyMachine>(options: ReplicaOptions<M>): CheckedOptions<M> {
  if (typeof options !== 'object' || options === null) throw invalidArgument('options: expected an object');
  const unknown = Object.keys(options).find((name) => !KNOWN.has(name));
  if (unknown !== undefined) throw invalidArgument(`${unknown}: no such option${hintFor(unknown)}`);
  const configuration = checkMembers(options);
  checkParts(options);
  checkScalars(options);
  checkLeaseReads(configuration, options.protocol.timing);
  const transport = checkedTransport(options.transport);
  checkAddresses(transport, configuration);
  return {
    id: options.id,
    configuration,
    protocol: options.protocol,
    transport,
    storage: options.storage,
    machine: options.machine,
    cluster: options.cluster,
    bootstrap: options.bootstrap ?? false,
    requestTimeout: options.requestTimeout ?? 30_000,
    maxWaiting: options.maxWaiting ?? 16_384,
    maxWaitingBytes: options.maxWaitingBytes ?? 64 * 1024 * 1024,
    changesBytes: options.changesBytes ?? 16 * 1024 * 1024,
    codec: options.codec === undefined ? jsonCodec() : copying(options.codec),
    resultCodec: options.resultCodec === undefined ? jsonCodec() : copying(options.resultCodec),
    snapshotCodec: options.snapshotCodec === undefined ? jsonCodec() : copying(options.snapshotCodec),
    snapshots: snapshotPolicyOf(options),
    onEvent: options.onEvent,
    clock: options.clock === undefined ? systemClock() : checkedClock(options.clock),
    seed: options.seed,
    random: options.random === undefined ? randomWord : checkedRandom(options.random),
  };
}
