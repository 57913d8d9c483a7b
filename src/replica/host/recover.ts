/**
 * Recovery: reads an opened storage into the options of a driver and the state that the core recovers from. For an
 * empty one it draws a new identity, which is written once the transport has its address (take-place.ts). Data of
 * another replica, cluster or protocol is refused. Where an option differs from the stored configuration, the stored
 * value stays in force and an event says so.
 */

import { Malformed } from '../../core/bytes.js';
import type { Configuration } from '../../core/members.js';
import type { Entry, HardState, Recovered } from '../../core/protocol.js';
import { shown } from '../../core/shown.js';
import { hashOfConfiguration, defaultCluster } from '../driver/hash.js';
import { HARD_KEY } from '../driver/persist-lane.js';
import type { DriverOptions, ReplicaEvent } from '../driver/state.js';
import { ConsensusError, invalidArgument } from '../errors.js';
import {
  IDENTITY_KEY,
  ESTABLISHED_KEY,
  PEERS_KEY,
  decodeIdentity,
  decodePeers,
  encodeIdentity,
  type StoredIdentity,
} from '../driver/stored-identity.js';
import type { AnyMachine, CheckedOptions } from '../options.js';
import { SNAPSHOTS_KEY, decodeSnapshots } from '../driver/snapshot-list.js';
import { nameOf, noSnapshots, type FoundSnapshots } from '../driver/snapshots.js';
import type { Opened, StorageListener, StorageOp } from '../storage.js';
import { findPartial } from './partial-pulls.js';
import { findSnapshots, type SnapshotOwner } from './snapshot-verify.js';

/** What a driver starts with, the events of recovery, and what to write before anything else. */
export interface OpenedData {
  readonly options: DriverOptions;
  readonly recovered: Recovered;
  readonly events: readonly ReplicaEvent[];
  /** The new identity of an empty storage; none otherwise. */
  readonly format: readonly StorageOp[];
}

/** 48 random bits, never 0. */
function freshIncarnation(random: () => number): number {
  return (random() & 0xffff) * 2 ** 32 + (random() >>> 0) || 1;
}

/** Decodes bytes that the storage has verified; bytes that do not decode were written by another program. */
function decoded<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    throw new ConsensusError(`the stored ${what} cannot be read: ${error.message}`, {
      code: 'ERR_STORAGE_CORRUPT',
      cause: error,
    });
  }
}

function mismatch(what: string, stored: string, given: string): ConsensusError {
  return new ConsensusError(`the data belongs to ${what} ${stored}, not ${given}`, { code: 'ERR_STORAGE_MISMATCH' });
}

function newIdentity(checked: CheckedOptions<AnyMachine>): StoredIdentity {
  const { id, configuration, protocol } = checked;
  const alone = configuration.members.length === 1;
  if (alone && !checked.bootstrap) {
    throw invalidArgument(
      'bootstrap: expected true at the first start of a cluster of one, whose empty storage could as well be a lost ' +
        'disk; remove it after the first start',
    );
  }
  const incarnation = freshIncarnation(checked.random);
  const own = defaultCluster(configuration) + (alone ? `-${incarnation.toString(16)}` : '');
  const cluster = checked.cluster ?? own;
  return { id, incarnation, cluster, protocol: protocol.protocol.name, configuration };
}

function differences(given: CheckedOptions<AnyMachine>, stored: Configuration): ReplicaEvent[] {
  const events: ReplicaEvent[] = [];
  const compare = (option: string, a: unknown, b: unknown): void => {
    if (JSON.stringify(a) === JSON.stringify(b)) return;
    events.push({ kind: 'optionIgnored', option, reason: 'the stored configuration differs, and rules' });
  };
  // The own address is this replica's to say: it listens where it is told to.
  const others = ({ members }: Configuration): unknown =>
    members.map((member) => (member.id === given.id ? { ...member, address: '' } : member));
  compare('members', others(given.configuration), others(stored));
  compare('constants', given.configuration.constants, stored.constants);
  return events;
}

function checkIdentity(given: CheckedOptions<AnyMachine>, stored: StoredIdentity): void {
  if (stored.id !== given.id) throw mismatch('replica', stored.id, given.id);
  const protocol = given.protocol.protocol.name;
  if (stored.protocol !== protocol) throw mismatch('protocol', stored.protocol, protocol);
  if (given.cluster !== undefined && stored.cluster !== given.cluster) {
    throw mismatch('cluster', stored.cluster, given.cluster);
  }
}

async function recover(
  checked: CheckedOptions<AnyMachine>,
  opened: Opened,
  { named, base }: FoundSnapshots,
): Promise<Recovered> {
  const { durable } = checked.protocol.protocol;
  const { limits } = checked.protocol;
  const bytes = opened.values.get(HARD_KEY);
  const hard: HardState | null = bytes === undefined ? null : decoded('hard state', () => durable.decodeHard(bytes));
  // Whatever is committed was written before the hint that says so.
  const last = Math.max(opened.last, base.index);
  if (hard !== null && hard.commit > last) {
    const message = `entries up to ${hard.commit} were committed, and the log ends at ${last}: it was cut`;
    throw new ConsensusError(message, { code: 'ERR_STORAGE_CORRUPT' });
  }
  const tail: Entry[] = [];
  let from = durable.tailFrom(hard, base.index + 1, last, limits);
  while (from <= opened.last) {
    const page = await checked.storage.read(from, opened.last, limits.loadBytes);
    if (page.length === 0) break;
    for (const { index, term, data } of page) {
      tail.push(decoded(`entry ${index}`, () => durable.decodeEntry(index, term, data)));
    }
    from = (page[page.length - 1] as { index: number }).index + 1;
  }
  const [restored] = named;
  return { hard, base, last, runs: opened.runs, tail, snapshot: restored === undefined ? null : nameOf(restored) };
}

/** The snapshots that the storage holds, by the list that a durable write named. */
async function snapshotsIn(
  { storage }: CheckedOptions<AnyMachine>,
  { values }: Opened,
  owner: SnapshotOwner,
): ReturnType<typeof findSnapshots> {
  const bytes = values.get(SNAPSHOTS_KEY);
  if (bytes === undefined) return { found: noSnapshots, damaged: [] };
  const list = decoded('list of snapshots', () => decodeSnapshots(bytes));
  if (storage.snapshots !== undefined) return findSnapshots(storage.snapshots, list, owner);
  throw new ConsensusError('the data has snapshots, and the storage cannot read them', {
    code: 'ERR_STORAGE_MISMATCH',
  });
}

function snapshotLost(cause: ConsensusError): ReplicaEvent {
  return { kind: 'snapshot', event: 'failed', index: 0, bytes: 0, took: 0, reason: cause.message, cause };
}

/**
 * Opens the storage and recovers from it; writes nothing.
 * @throws ConsensusError ERR_STORAGE_MISMATCH, ERR_STORAGE_CORRUPT, ERR_STORAGE_FAILED (it opened with no boot),
 * ERR_INVALID_ARGUMENT (a cluster of one without `bootstrap`, or `random`), ERR_CLOCK_FAILED, or the error of the
 * storage
 */
export async function openData(checked: CheckedOptions<AnyMachine>, listener?: StorageListener): Promise<OpenedData> {
  const opened = await checked.storage.open(listener);
  if (!Number.isSafeInteger(opened.boot) || opened.boot < 1) {
    const message = `storage.open: expected a boot of at least 1, got ${shown(opened.boot)}`;
    throw new ConsensusError(message, { code: 'ERR_STORAGE_FAILED' });
  }
  const bytes = opened.values.get(IDENTITY_KEY);
  if (bytes === undefined && opened.last !== 0) throw mismatch('something else than a replica,', '', checked.id);
  const identity = bytes === undefined ? newIdentity(checked) : decoded('identity', () => decodeIdentity(bytes));
  checkIdentity(checked, identity);
  const { found, damaged } = await snapshotsIn(checked, opened, identity);
  const above = Math.max(found.base.index, found.named[0]?.index ?? 0);
  const partial = await findPartial(checked.storage.snapshots?.partial, above);
  const peers = opened.values.get(PEERS_KEY);
  const options: DriverOptions = {
    id: identity.id,
    incarnation: identity.incarnation,
    boot: opened.boot,
    cluster: identity.cluster,
    configuration: identity.configuration,
    configurationHash: hashOfConfiguration(identity.configuration),
    timing: checked.protocol.timing,
    limits: checked.protocol.limits,
    preVote: checked.protocol.preVote,
    seed: (checked.seed ?? checked.random()) | 0,
    start: checked.random() >>> 0,
    now: checked.clock.now(),
    established: opened.values.has(ESTABLISHED_KEY),
    peers: peers === undefined ? [] : decoded('peer records', () => decodePeers(peers)),
    maxWaiting: checked.maxWaiting,
    maxWaitingBytes: checked.maxWaitingBytes,
    snapshotPolicy: checked.snapshots,
    storesSnapshots: checked.storage.snapshots !== undefined,
    snapshots: partial === undefined ? found : { ...found, partial },
  };
  return {
    options,
    recovered: await recover(checked, opened, found),
    events: [...differences(checked, identity.configuration), ...damaged.map(snapshotLost)],
    format: bytes === undefined ? [{ kind: 'set', key: IDENTITY_KEY, value: encodeIdentity(identity) }] : [],
  };
}
