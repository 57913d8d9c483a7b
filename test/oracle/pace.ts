/**
 * How long things take in a run with time and weight, drawn from its seed: a round trip, what links carry, disks, the
 * machine, how many callers come at once, and how large commands are. Together the times stay below a share of what
 * the timing assumption leaves, and reach it nearly: what is not drawn for one part goes to another.
 */

import { exchangeBound, FRAME_BYTES, meetsTimingAssumption, type ExchangeParts } from 'quorate/testing';
import type { OracleDice } from './dice.js';
import { SLICE } from './loop.js';
import type { Weather } from './weather.js';

export const PACED_TIMING = { heartbeat: 150, electionMin: 1000, electionMax: 2000 };

/** Milliseconds: the longest round trip that a run has. */
const LONGEST_ROUND_TRIP = 400;

export interface Pace {
  readonly weather: Pick<
    Weather,
    'lagFrom' | 'lag' | 'longLag' | 'bandwidth' | 'diskFrom' | 'disk' | 'loadFrom' | 'load' | 'cost'
  >;
  /** How many callers may come at once, and the bytes of the largest command. */
  readonly burst: number;
  readonly largest: number;
}

/** Whether time is spent on each part: any of them may be there, and the round trip always is. */
function partsOf(dice: OracleDice, budget: number): ExchangeParts & { readonly cost: number } {
  const cost = dice.pick([0, 0, 0.05, 1]);
  const slice = cost === 0 ? 0 : SLICE;
  let left = budget - 2 * slice - 1;
  const take = (chance: number, most: number): number => {
    const time = dice.chance(chance) ? Math.floor((left * dice.between(5, Math.floor(100 * most))) / 100) : 0;
    left -= time;
    return time;
  };
  const sending = take(0.6, 0.5);
  const load = Math.max(1, take(0.5, 0.4));
  const write = Math.max(1, take(0.6, 0.9));
  const roundTrip = Math.max(2, Math.min(LONGEST_ROUND_TRIP, left - 2));
  const bandwidth = sending === 0 ? Infinity : Math.ceil((2 * FRAME_BYTES) / sending);
  return { roundTrip, bandwidth, load, write: write + Math.max(0, left - 2 - roundTrip), slice, cost };
}

/** @param share of what the timing assumption leaves: 1 is at its bound */
export function paceOf(dice: OracleDice, share: number): Pace {
  const { cost, ...parts } = partsOf(dice, share * exchangeBound(PACED_TIMING));
  if (!meetsTimingAssumption(parts, PACED_TIMING)) throw new RangeError('the pace is beyond the timing assumption');
  const { roundTrip, bandwidth, write, load } = parts;
  const lag = Math.max(1, Math.floor(roundTrip / 2));
  // A fifth of a write may pass before it is reported.
  const disk = Math.max(1, Math.floor((write * 4) / 5));
  const from = (most: number): number => (dice.chance(0.5) ? most : 1);
  return {
    weather: {
      lagFrom: from(lag),
      lag,
      longLag: lag,
      bandwidth,
      diskFrom: from(disk),
      disk,
      loadFrom: from(load),
      load,
      cost,
    },
    burst: dice.pick([1, 1, 30, 200]),
    largest: dice.pick([90, 90, 4096, 65_536, 1 << 20]),
  };
}
