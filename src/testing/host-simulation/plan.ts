/**
 * The plan of one host simulation, drawn from its seed: a cluster, its limits, the behaviour of network and disks, and
 * the classes of faults. Each class is absent from half of the seeds, since one fault can hide another.
 */

import { defaultConstants, type Constants } from '../../core/members.js';
import type { Limits, Timing } from '../../core/protocol.js';
import { shown } from '../../core/shown.js';
import { defaultLimits, defaultTiming } from '../../core/tuning.js';
import type { Dice } from '../random.js';
import { FRAME } from './connections.js';

/** Every class of faults, and of what clients do beside plain writes and reads. */
export const HOST_FAULTS = [
  'loss',
  'duplication',
  'delay',
  'held messages',
  'cuts',
  'backpressure',
  'reports',
  'scribbling transport',
  'crash',
  'power loss',
  'close',
  'stall',
  'suspend',
  'clock rates',
  'slow disk',
  'EIO',
  'ENOSPC',
  'shortage',
  'failing read',
  'failing open',
  'wiped disk',
  'second open',
  'failing start',
  'campaign',
  'abort',
  'burst',
  'odd commands',
] as const;

export type HostFault = (typeof HOST_FAULTS)[number];

/** How a network behaves; times in milliseconds. */
export interface NetworkHabits {
  /** Probabilities, of each message. */
  readonly loss: number;
  readonly duplication: number;
  readonly holds: number;
  /** The shortest and the longest way, and the longest of a message that is held back. */
  readonly min: number;
  readonly max: number;
  readonly held: number;
  /** The ways once all is healed: as short as can be, or with a pace as long as before. */
  readonly healed: { readonly min: number; readonly max: number };
  /** What each direction of a link carries, in bytes a millisecond. */
  readonly bandwidth: number;
  /** How many messages may be under way from one member to another. */
  readonly queue: number;
  /** Whether a sender hears that its connection is lost. */
  readonly reports: boolean;
  /** Whether the transport writes over what it was given: it may, the bytes are its own. */
  readonly scribbles: boolean;
  readonly maxMessageBytes: number;
}

/** How a disk behaves: what a write and a read take in milliseconds, and whether it says "durable" too early. */
export interface DiskHabits {
  readonly min: number;
  readonly max: number;
  readonly load: { readonly min: number; readonly max: number };
  readonly lies: boolean;
}

export interface HostPlan {
  readonly members: readonly string[];
  readonly faults: ReadonlySet<HostFault>;
  readonly timing: Timing;
  readonly limits: Limits;
  readonly constants: Constants;
  readonly requestTimeout: number;
  readonly maxWaiting: number;
  readonly changesBytes: number;
  /** After how many entries a snapshot is taken; 0: never. */
  readonly snapshotEntries: number;
  /** Whether machines stream their snapshots. */
  readonly streams: boolean;
  /** How long it is between two calls of `compact` on each member, at most, in milliseconds; 0: there are none. */
  readonly compactEvery: number;
  /** Of each member. */
  readonly clients: number;
  readonly keys: number;
  /** The longest pause of a client between two requests. */
  readonly think: number;
  /** The most writes that a client makes at once. */
  readonly burst: number;
  /** The most bytes that a command is padded with, beyond a few. */
  readonly padding: number;
  /** What a machine takes for a command, in milliseconds of its process. */
  readonly cost: number;
  readonly network: NetworkHabits;
  readonly disk: DiskHabits;
}

/** What a caller may fix; everything else is drawn. */
export interface HostPlanOptions {
  readonly size: number | undefined;
  readonly faults: readonly HostFault[] | undefined;
  readonly lies: boolean;
  /** Time and weight. */
  readonly pace: boolean;
}

const KIB = 1024;
/** Bytes; with what is around it a command stays below the largest entry, which is 1 MiB. */
const PADDINGS = [0, 64 * KIB, 1023 * KIB];
/** Milliseconds: a slice of applying ends at most so long after it began, and then with the command under way. */
export const SLICE = 15;

function drawTiming(dice: Dice): Timing {
  const heartbeat = 20 + dice.between(0, 39);
  const electionMin = heartbeat * (4 + dice.between(0, 3));
  return { heartbeat, electionMin, electionMax: Math.ceil(electionMin * dice.within(1.3, 2)) };
}

function drawLimits(dice: Dice): Limits {
  return {
    ...defaultLimits,
    tailEntries: dice.pick([1, 4, 16, defaultLimits.tailEntries]),
    messageBytes: dice.pick([100, 1000, defaultLimits.messageBytes]),
    inflightMessages: dice.pick([1, 2, 8, defaultLimits.inflightMessages]),
    inflightBytes: dice.pick([200, defaultLimits.inflightBytes]),
    uncommittedBytes: dice.pick([400, 4000, defaultLimits.uncommittedBytes]),
    applyBytes: dice.pick([100, defaultLimits.applyBytes]),
    loadBytes: dice.pick([100, 1000, defaultLimits.loadBytes]),
  };
}

/** A third of the clusters has lease reads; drawn without dice of its own. */
function leaseReadsFor({ heartbeat, electionMin }: Timing): number {
  return heartbeat % 3 === 0 ? Math.floor(0.9 * electionMin) : 0;
}

function drawConstants(dice: Dice, timing: Timing): Constants {
  return {
    ...defaultConstants,
    alpha: dice.pick([1, 2, 16, defaultConstants.alpha]),
    sessionWindow: dice.pick([1, 4, defaultConstants.sessionWindow]),
    sessions: dice.pick([14, defaultConstants.sessions]),
    sessionBytes: dice.pick([1024, defaultConstants.sessionBytes]),
    maxEntryBytes: dice.pick([256, 4096]),
    leaseReads: leaseReadsFor(timing),
    onApplyError: 'reject',
  };
}

function drawNetwork(dice: Dice, timing: Timing, has: (fault: HostFault) => boolean, largest: number): NetworkHabits {
  return {
    loss: has('loss') ? dice.within(0.01, 0.3) : 0,
    duplication: has('duplication') ? dice.within(0.01, 0.4) : 0,
    holds: has('held messages') ? dice.within(0.005, 0.03) : 0,
    min: 0.5,
    healed: { min: 0.5, max: 5.5 },
    bandwidth: Infinity,
    max: has('delay') ? dice.within(5, timing.electionMin / 2) : 4,
    held: 6 * timing.electionMax,
    queue: has('backpressure') ? 2 + dice.between(0, 9) : 10_000,
    reports: has('reports'),
    scribbles: has('scribbling transport'),
    maxMessageBytes: largest,
  };
}

/**
 * The same plan with timing and limits as they are shipped, and with times that together reach the timing assumption
 * (docs/testing.md), or a quarter of it; healing does not make them shorter.
 */
function paced(plan: HostPlan, dice: Dice): HostPlan {
  const timing = defaultTiming;
  const leaseReads = plan.constants.leaseReads === 0 ? 0 : 0.9 * timing.electionMin;
  const cost = dice.pick([0, 0, 0.05, 1, 3]);
  const slice = cost === 0 ? 0 : SLICE + cost;
  let left = (dice.pick([1, 0.25]) * timing.electionMin) / 2 - 2 * slice - 2;
  const take = (chance: number, most: number): number => {
    const time = dice.chance(chance) ? left * dice.within(0.05, most) : 0;
    left -= time;
    return time;
  };
  const frames = take(0.6, 0.5);
  const spanOf = (max: number): { min: number; max: number } => ({ min: dice.chance(0.5) ? max : 0.1, max });
  const write = spanOf(0.1 + take(0.6, 0.8));
  const load = spanOf(0.1 + take(0.5, 0.5));
  const way = Math.max(0.5, Math.min(200, left / 2));
  const min = dice.chance(0.5) ? way : 0.5;
  const max = plan.faults.has('delay') ? Math.max(way, plan.network.max) : way;
  const bandwidth = frames === 0 ? Infinity : (2 * FRAME) / frames;
  return {
    ...plan,
    timing,
    limits: defaultLimits,
    constants: { ...plan.constants, maxEntryBytes: defaultConstants.maxEntryBytes, leaseReads },
    requestTimeout: dice.pick([2, 5, 20]) * timing.electionMax,
    cost,
    burst: dice.pick([20, 20, 60, 200]),
    padding: dice.pick(PADDINGS),
    network: { ...plan.network, min, max, healed: { min, max: way }, bandwidth, held: 6 * timing.electionMax },
    disk: { ...plan.disk, ...write, load },
  };
}

/** @throws RangeError that names the option and what was expected */
export function drawPlan(dice: Dice, options: HostPlanOptions): HostPlan {
  const plan = plainPlan(dice, options);
  if (!options.pace) return plan;
  const drawn = paced(plan, dice.fork('pace'));
  const largest = Math.max(drawn.constants.maxEntryBytes, drawn.limits.messageBytes) + 1024;
  return { ...drawn, network: { ...drawn.network, maxMessageBytes: largest } };
}

function plainPlan(dice: Dice, options: HostPlanOptions): HostPlan {
  const { size, faults, lies } = options;
  if (size !== undefined && (!Number.isSafeInteger(size) || size < 1 || size > 7)) {
    throw new RangeError(`size: expected a whole number from 1 to 7, got ${shown(size)}`);
  }
  if (faults !== undefined && !Array.isArray(faults)) {
    throw new RangeError(`faults: expected a list, got ${shown(faults)}`);
  }
  const strange = faults?.find((fault) => !HOST_FAULTS.includes(fault));
  if (strange !== undefined) throw new RangeError(`faults: no such class of faults: ${shown(strange)}`);
  // Shortages have dice of their own: what the seeds draw beside them does not depend on them.
  const drawn = HOST_FAULTS.filter((fault) => (fault === 'shortage' ? dice.fork(fault) : dice).chance(0.5));
  const all = new Set(faults ?? drawn);
  const has = (fault: HostFault): boolean => all.has(fault);
  const timing = drawTiming(dice);
  const constants = drawConstants(dice, timing);
  const limits = drawLimits(dice);
  const largest = Math.max(constants.maxEntryBytes, limits.messageBytes) + 1024;
  const members = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const disk = { min: 0.1, max: has('slow disk') ? dice.within(2, 40) : 2 };
  return {
    members: members.slice(0, size ?? dice.pick([1, 2, 3, 3, 3, 4, 5])),
    faults: all,
    timing,
    limits,
    constants,
    requestTimeout: dice.pick([2, 5, 20]) * timing.electionMax,
    maxWaiting: has('burst') ? dice.pick([3, 10, 16_384]) : 16_384,
    changesBytes: dice.fork('changes').pick([0, 300, 2000, 16 * KIB * KIB]),
    snapshotEntries: dice.fork('snapshots').pick([0, 5, 20, 100]),
    streams: dice.fork('streams').chance(0.5),
    compactEvery: dice.fork('compactions').pick([0, 0, 200, 1000]),
    clients: 1 + dice.between(0, 1),
    keys: 1 + dice.between(0, 2),
    think: dice.pick([20, 100, 300]),
    burst: 20,
    padding: 0,
    cost: 0,
    network: drawNetwork(dice, timing, has, largest),
    disk: { ...disk, load: disk, lies },
  };
}
