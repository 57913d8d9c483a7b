/**
 * The plan of one simulated run, drawn from its seed: how large the cluster is, how small its limits, who calls, how
 * the network and the disks behave, and which faults there are at all. Every seed has another mix, and every class of
 * fault is absent from half of them (swarm testing, Groce et al. 2012): what one fault hides, its absence shows.
 */

import type { Limits, Milliseconds } from '../../core/protocol.js';
import type { Action } from '../world/actions.js';
import { Dice } from '../random.js';
import type { WorldOptions } from '../world/options.js';

/** The classes of faults, in the words of a summary (docs/testing.md says what each does). */
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
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** How often each fault begins: the mean time between two, in milliseconds; or a probability where there is one. */
export type FaultMix = Readonly<Partial<Record<FaultKind, number>>>;

export interface Plan {
  readonly seed: number;
  readonly world: WorldOptions;
  /** What happens before anything is left to chance. */
  readonly prefix: readonly Action[];
  /** The prefix is a storm that was shortened: what does not fit in it any more is left out, and nothing is added. */
  readonly loose: boolean;
  /** How many things happen in the first phase. */
  readonly length: number;
  /** A message takes from `min` to `max`; `fifo`: none overtakes another. */
  readonly network: { readonly min: Milliseconds; readonly max: Milliseconds; readonly fifo: boolean };
  readonly disk: { readonly min: Milliseconds; readonly max: Milliseconds };
  /** How long the machine takes. */
  readonly apply: Milliseconds;
  /** Mean time between two calls; the share of reads among them, and of stale ones among those. */
  readonly clients: {
    readonly every: Milliseconds;
    readonly reads: number;
    readonly stale: number;
    readonly timeout: Milliseconds;
    /** How many may wait at once in the whole cluster. */
    readonly most: number;
  };
  readonly faults: FaultMix;
  /** Whether faults look for who leads. */
  readonly targeted: boolean;
}

/** A beginning that chance would hardly find: a run goes on from there as it likes. */
export interface Prefix {
  /** All of its world but model and machine: its replicas, limits … and its seed, or timeouts come at other times. */
  readonly world: Omit<WorldOptions, 'model' | 'machine'>;
  readonly actions: readonly Action[];
}

/** What a caller may fix of every plan. */
export interface PlanOptions {
  readonly world: WorldOptions;
  readonly seed: number;
  /** The mean of how many things happen in the first phase. */
  readonly length: number;
  /** Faults that never happen. */
  readonly without: readonly FaultKind[];
  /** Whether faults happen at all. */
  readonly calm: boolean;
  readonly prefixes: readonly Prefix[];
}

/** How many of the seeds begin with a prefix, if there are any. */
const PREFIXED = 0.1;

/** Mean times between two of a kind, or probabilities (the first five), when it is there. */
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

/** Limits so small that every one of them is met. */
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
  const drawn: WorldOptions = { ...world, replicas, established, strict, byReference, seed };
  const tuning = { timing: { ...timing, ...world.tuning?.timing }, limits: { ...limits, ...world.tuning?.limits } };
  const kept = world.replicas === undefined ? {} : { replicas: world.replicas };
  return { ...drawn, ...kept, tuning, constants: { ...constants, ...world.constants } };
}

/** What this seed stands for. */
export function planOf(options: PlanOptions): Plan {
  const dice = new Dice(options.seed).fork('plan');
  const prefix = options.prefixes.length > 0 && dice.chance(PREFIXED) ? dice.pick(options.prefixes) : null;
  const drawn = worldOf(dice.fork('world'), options);
  const world = prefix === null ? drawn : { ...options.world, seed: options.seed, ...prefix.world };
  const faults = faultsOf(dice.fork('faults'), options);
  const fast = dice.chance(0.5);
  return {
    seed: options.seed,
    world,
    prefix: prefix?.actions ?? [],
    loose: false,
    length: Math.ceil(options.length * (0.25 + 1.5 * dice.unit())),
    network: { min: 1, max: fast ? 5 : dice.between(5, 60), fifo: faults.reorder === undefined },
    disk: { min: 1, max: dice.chance(0.5) ? 2 : dice.between(2, 30) },
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
