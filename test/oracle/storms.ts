/** What a run is drawn from its seed: how bad the world is, the cluster, its limits and constants. */

import type { CoreOptions } from './core.js';
import type { OracleDice } from './dice.js';
import { PACED_TIMING, type Pace } from './pace.js';
import type { Weather } from './weather.js';

export const TIMING = { heartbeat: 100, electionMin: 600, electionMax: 1200 };
/** The longest that a message takes. */
export const LONGEST_LAG = 400;

export const CALM: Weather = {
  loss: 0,
  duplicate: 0,
  lagFrom: 1,
  lag: 80,
  longLag: 80,
  lagging: 0,
  inOrder: false,
  bandwidth: Infinity,
  diskFrom: 1,
  disk: 50,
  loadFrom: 1,
  load: 40,
  cost: null,
  crash: 0,
  down: 1,
  late: 0,
};

export const STORMS = ['mixed', 'forgetful', 'contested', 'divided'] as const;
export type StormKind = (typeof STORMS)[number];

/** The faults of a run: beside the weather, how often something is done to the cluster. */
export interface Storm extends Weather {
  /** A link is cut, or all of one replica; all cuts are mended; a replica crashes. */
  readonly cut: number;
  readonly mend: number;
  readonly fall: number;
  /** Rivals for the lead; one that is cut off while another campaigns. */
  readonly contest: number;
  readonly coup: number;
  /** How often a contest makes a replica forget. */
  readonly forget: number;
}

/**
 * Four kinds of run. `mixed`: anything, and most faults absent from many runs, so that the others can go far.
 * `forgetful`: rivals for the lead, and replicas that crash as they write and are soon back. `contested`:
 * rivals alone, one after the other. `divided`: links that come
 * and go under ever new leaders.
 */
export function stormOf(kind: StormKind, dice: OracleDice): Storm {
  const mixed: Storm = {
    loss: dice.pick([0, 0.02, 0.15]),
    duplicate: dice.pick([0, 0.05, 0.3]),
    lagFrom: 1,
    lag: dice.pick([5, 20, 60]),
    longLag: dice.pick([100, LONGEST_LAG]),
    lagging: dice.pick([0, 0.05, 0.3]),
    inOrder: false,
    bandwidth: Infinity,
    diskFrom: 1,
    disk: dice.pick([2, 30, 200]),
    loadFrom: 1,
    load: dice.pick([5, 100]),
    cost: null,
    crash: dice.pick([0, 0.01, 0.05]),
    forget: dice.pick([0, 0.1]),
    down: dice.pick([20, 800]),
    late: dice.pick([0, 1000]),
    cut: dice.pick([0, 0.03, 0.1]),
    mend: dice.pick([0.02, 0.1]),
    fall: dice.pick([0, 0.01, 0.05]),
    contest: dice.pick([0, 0.02, 0.1]),
    coup: dice.pick([0, 0.03]),
  };
  const quiet = { loss: 0, lag: 60, longLag: LONGEST_LAG, crash: 0, down: 10, cut: 0, fall: 0, contest: 0, coup: 0 };
  const forgetful = { ...quiet, lag: 20, lagging: 0.3, disk: 15, contest: 0.1, forget: 1 };
  const contested = { ...quiet, lag: 20, lagging: 0.1, disk: 15, contest: 0.25, forget: 0 };
  const divided = { ...quiet, lagging: 0.05, disk: 10, mend: 0.02, coup: 0.2 };
  return { ...mixed, ...{ mixed, forgetful, contested, divided }[kind] };
}

const MIB = 1 << 20;

export type Settings = Pick<CoreOptions, 'configuration' | 'timing' | 'limits' | 'preVote'>;

export function settingsOf(dice: OracleDice, size: number): Settings {
  const alpha = dice.pick([1, 3, 64]);
  const numbers = Array.from({ length: size }, (_, at) => at + 1);
  const members = numbers.map((number) => ({ id: `n${number}`, number, address: `n${number}:1` }));
  const constants = {
    alpha,
    sessionWindow: 4096,
    sessions: 256,
    sessionBytes: 1 << 20,
    clientSessions: 16,
    clientSessionBytes: 1 << 20,
    clientSessionTime: 60_000,
    maxEntryBytes: 1 << 20,
    leaseReads: 0,
    onApplyError: 'halt' as const,
  };
  const limits = {
    tailEntries: dice.pick([1, 4, 64]),
    tailBytes: dice.pick([200, 4000]),
    messageBytes: alpha > 3 ? 4000 : dice.pick([60, 200, 4000]),
    inflightMessages: dice.pick([1, 3, 64]),
    inflightBytes: dice.pick([100, 4000]),
    uncommittedBytes: dice.pick([200, 1000, 100_000]),
    applyBytes: dice.pick([60, 300, 100_000]),
    loadBytes: dice.pick([60, 300, 100_000]),
  };
  return { configuration: { members, constants }, timing: TIMING, limits, preVote: dice.chance(0.5) };
}

/** With time and weight: limits as they are shipped, some of them smaller, since each command may be large. */
export function pacedSettingsOf(dice: OracleDice, size: number): Settings {
  const { configuration } = settingsOf(dice, size);
  const limits = {
    tailEntries: dice.pick([16, 1024]),
    tailBytes: dice.pick([65_536, 4 * MIB]),
    messageBytes: dice.pick([4096, 48 * 1024]),
    inflightMessages: dice.pick([4, 64]),
    inflightBytes: dice.pick([128 * 1024, 4 * MIB]),
    uncommittedBytes: dice.pick([MIB, 64 * MIB]),
    applyBytes: dice.pick([65_536, 4 * MIB]),
    loadBytes: dice.pick([16_384, MIB]),
  };
  const constants = { ...configuration.constants, alpha: dice.pick([64, 8192]), maxEntryBytes: MIB };
  return { configuration: { ...configuration, constants }, timing: PACED_TIMING, limits, preVote: true };
}

/** The storm with the times of that pace. */
export function paced(storm: Storm, { weather }: Pace): Storm {
  return { ...storm, ...weather, longLag: Math.max(weather.lag, storm.longLag) };
}
