/**
 * The plan of one simulated run, drawn from its seed: the size of the cluster, its limits, its callers, the behaviour
 * of network and disks, and the classes of faults. Each class is absent from half of the seeds, since one fault can
 * hide another (swarm testing, Groce et al. 2012).
 */

import type { Timing } from '../../core/protocol.js';
import type { Limits, Milliseconds } from '../../core/protocol.js';
import type { Action } from '../world/actions.js';
import { defaultTiming } from '../../core/tuning.js';
import { Dice } from '../random.js';
import type { WorldOptions } from '../world/options.js';
import { drawPace, pacedTuning, type Pace, type Span } from './pace.js';

/** The classes of faults; docs/testing.md describes each. */
export const FAULT_KINDS = [
  'loss',
  'duplicate',
  'delay',
  'reorder',
  'capsule',
  'oneWay',
  'partition',
  'isolate',
  'swizzle',
  'crash',
  'crashAtPersist',
  'powerLoss',
  'pause',
  'leap',
  'rate',
  'slowDisk',
  'failStorage',
  'wipe',
  'stop',
  'campaign',
  'unreachable',
  'cancel',
  'disconnect',
  'refuse',
  'deadPort',
  'transfer',
  'leave',
  'fullDisk',
  'wall',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** The rate of each fault: the mean time between two, in milliseconds, or a probability for each message or write. */
export type FaultMix = Readonly<Partial<Record<FaultKind, number>>>;

export interface Plan {
  readonly seed: number;
  readonly world: WorldOptions;
  /** The actions before the random part. */
  readonly prefix: readonly Action[];
  /** Whether the prefix is a shortened storm: actions that are no longer possible are left out, and none are added. */
  readonly loose: boolean;
  /** The number of actions in the first phase. */
  readonly length: number;
  /** The latency of a message, from `min` to `max`; `fifo`: no message overtakes another on its link. */
  readonly network: { readonly min: Milliseconds; readonly max: Milliseconds; readonly fifo: boolean };
  /** What a write and a load take. */
  readonly disk: Span;
  readonly load: Span;
  /** Time and weight; `null`: nothing takes longer than the fields above say, and commands are small. */
  readonly pace: Pace | null;
  /** The time that the machine takes to apply. */
  readonly apply: Milliseconds;
  /** The mean time between two calls; the share of reads among calls, and of stale reads among reads. */
  readonly clients: {
    readonly every: Milliseconds;
    readonly reads: number;
    readonly stale: number;
    readonly timeout: Milliseconds;
    /** The most calls that wait at once in the whole cluster. */
    readonly most: number;
  };
  readonly faults: FaultMix;
  /** Whether faults are aimed at the leader. */
  readonly targeted: boolean;
}

/** A scripted beginning of a schedule, which random actions would hardly reach; the schedule continues at random. */
export interface Prefix {
  /** The options of its world without model and machine. The seed is needed, since it decides the timeouts. */
  readonly world: Omit<WorldOptions, 'model' | 'machine'>;
  readonly actions: readonly Action[];
}

/** The parts of a plan that the caller of `simulate` may fix. */
export interface PlanOptions {
  readonly world: WorldOptions;
  readonly seed: number;
  /** The mean number of actions in the first phase. */
  readonly length: number;
  /** Faults that never happen. */
  readonly without: readonly FaultKind[];
  /** Whether faults happen at all. */
  readonly calm: boolean;
  readonly prefixes: readonly Prefix[];
  readonly pace?: Pace | 'drawn' | undefined;
}

/** The share of seeds that begin with a prefix, if there are prefixes. */
const PREFIXED = 0.1;

/** The range of each fault's mean time, or of its probability, when it is present. */
const TYPICAL: Readonly<Record<FaultKind, readonly [min: number, max: number]>> = {
  loss: [0.01, 0.3],
  duplicate: [0.01, 0.2],
  delay: [0.02, 0.2],
  reorder: [1, 1],
  capsule: [0.005, 0.05],
  oneWay: [300, 3000],
  partition: [400, 3000],
  isolate: [300, 2000],
  swizzle: [1000, 4000],
  crash: [200, 3000],
  crashAtPersist: [0.005, 0.05],
  powerLoss: [1500, 6000],
  pause: [300, 3000],
  leap: [300, 3000],
  rate: [500, 3000],
  slowDisk: [0.02, 0.2],
  failStorage: [1000, 6000],
  wipe: [2000, 8000],
  stop: [1000, 6000],
  campaign: [100, 2000],
  unreachable: [100, 2000],
  cancel: [50, 1000],
  disconnect: [100, 1500],
  refuse: [200, 2000],
  deadPort: [0.3, 1],
  transfer: [100, 1500],
  leave: [500, 4000],
  fullDisk: [300, 3000],
  wall: [200, 3000],
};

function faultsOf(dice: Dice, options: PlanOptions): FaultMix {
  const mix: Partial<Record<FaultKind, number>> = {};
  for (const kind of FAULT_KINDS) {
    const [min, max] = TYPICAL[kind];
    const there = dice.chance(0.5);
    const strength = min + dice.unit() * (max - min);
    if (there && !options.calm && !options.without.includes(kind)) mix[kind] = strength;
  }
  return mix;
}

/** Limits so small that runs reach every one of them. */
function limitsOf(dice: Dice): Partial<Limits> {
  if (dice.chance(0.3)) return {};
  return {
    tailEntries: dice.between(1, 12),
    tailBytes: dice.between(20, 600),
    messageBytes: dice.between(20, 400),
    inflightMessages: dice.between(1, 6),
    inflightBytes: dice.between(20, 800),
    uncommittedBytes: dice.between(300, 3000),
    applyBytes: dice.between(20, 600),
    loadBytes: dice.between(20, 400),
  };
}

function worldOf(dice: Dice, options: PlanOptions): WorldOptions {
  const { world, seed } = options;
  const replicas = dice.pick([1, 2, 3, 3, 3, 3, 4, 5, 5, 6, 7]);
  const limits = limitsOf(dice);
  const constants = {
    alpha: dice.chance(0.5) ? dice.between(1, 8) : 8192,
    sessionWindow: dice.chance(0.5) ? dice.between(1, 8) : 4096,
    sessions: dice.chance(0.5) ? 14 + dice.between(0, 10) : 256,
  };
  const wide = dice.chance(0.2);
  const timing = wide ? { heartbeat: 50, electionMin: 150, electionMax: 900 } : {};
  const established = dice.chance(0.6);
  const strict = dice.chance(0.03);
  const byReference = !dice.chance(0.25);
  const snapshots = dice.fork('snapshots').pick([0, 2, 5, 20, 100]);
  const drawn: WorldOptions = { ...world, replicas, established, strict, byReference, seed, snapshots };
  const tuning = {
    ...world.tuning,
    timing: { ...timing, ...world.tuning?.timing },
    limits: { ...limits, ...world.tuning?.limits },
  };
  const kept = world.replicas === undefined ? {} : { replicas: world.replicas };
  return { ...drawn, ...kept, tuning, constants: { ...constants, ...world.constants } };
}

/** The same with time and weight: timing and limits are as shipped, and more goes on before the storm is over. */
function pacedPlan(plan: Plan, options: PlanOptions): Plan {
  if (options.pace === undefined) return plan;
  const dice = new Dice(options.seed).fork('pace');
  const { tuning = {} } = options.world;
  const own = pacedTuning(dice);
  const timing = { ...own.timing, ...(tuning.timing as Partial<Timing>) };
  const pace = options.pace === 'drawn' ? drawPace(dice, timing) : options.pace;
  const { delay, write: disk, load } = pace;
  return {
    ...plan,
    // Messages have their true size only as bytes.
    world: {
      ...plan.world,
      tuning: { ...tuning, timing, limits: { ...own.limits, ...tuning.limits } },
      byReference: false,
    },
    length: 2 * plan.length,
    network: { ...delay, fifo: plan.network.fifo },
    disk,
    load,
    pace,
    apply: 0,
    clients: { ...plan.clients, every: 4 * plan.clients.every, timeout: dice.pick([Infinity, 30_000, 5000]) },
  };
}

/** Draws the plan of a seed. A scripted beginning has its own timing, and no pace. */
export function planOf(options: PlanOptions): Plan {
  const dice = new Dice(options.seed).fork('plan');
  const prefix = options.prefixes.length > 0 && dice.chance(PREFIXED) ? dice.pick(options.prefixes) : null;
  const plain = plainPlan(dice, options, prefix);
  return prefix === null ? withLeases(pacedPlan(plain, options)) : plain;
}

/** Runs whose clocks keep pace with each other have lease reads: nothing else keeps a lease true. */
function withLeases(plan: Plan): Plan {
  const { world, faults } = plan;
  if (faults.leap !== undefined || faults.rate !== undefined) return plan;
  const { electionMin } = { ...defaultTiming, ...(world.tuning?.timing as Partial<Timing>) };
  const leaseReads = Math.floor(0.9 * electionMin);
  return { ...plan, world: { ...world, constants: { leaseReads, ...world.constants } } };
}

function plainPlan(dice: Dice, options: PlanOptions, prefix: Prefix | null): Plan {
  const drawn = worldOf(dice.fork('world'), options);
  const world = prefix === null ? drawn : { ...options.world, seed: options.seed, ...prefix.world };
  const faults = faultsOf(dice.fork('faults'), options);
  const fast = dice.chance(0.5);
  const length = Math.ceil(options.length * (0.25 + 1.5 * dice.unit()));
  const network = { min: 1, max: fast ? 5 : dice.between(5, 60), fifo: faults.reorder === undefined };
  const disk = { min: 1, max: dice.chance(0.5) ? 2 : dice.between(2, 30) };
  return {
    seed: options.seed,
    world,
    prefix: prefix?.actions ?? [],
    loose: false,
    length,
    network,
    disk,
    load: disk,
    pace: null,
    apply: dice.chance(0.5) ? 0 : dice.between(1, 30),
    clients: {
      every: dice.between(5, 60),
      reads: dice.pick([0, 0.2, 0.5]),
      stale: dice.pick([0, 0.2]),
      timeout: dice.pick([Infinity, 2000, 600]),
      most: dice.pick([4, 16, 64]),
    },
    faults,
    targeted: dice.chance(0.4),
  };
}
