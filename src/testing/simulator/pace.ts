/**
 * The pace of a run: how long messages, disks and machines take, how many callers come at once, and how large commands
 * are. Drawn from the seed, it stays within the timing assumption, so that the phases in which all is healed run at the
 * same pace; what faults add to it may go beyond.
 */

import type { Limits, Milliseconds, Timing } from '../../core/protocol.js';
import { shown } from '../../core/shown.js';
import { defaultLimits, defaultTiming, type Tuning } from '../../core/tuning.js';
import { invalidArgument } from '../../replica/errors.js';
import { checkNames, checkObject, checkShape, expecting, whole, type Check } from '../check-input.js';
import type { Dice } from '../random.js';
import { MAX_PADDING } from '../world/machine.js';
import { exchangeBound, exchangeTime, FRAME_BYTES, SLICE } from '../world/timing-assumption.js';

/** From the shortest to the longest, in milliseconds; constant where they are equal. */
export interface Span {
  readonly min: Milliseconds;
  readonly max: Milliseconds;
}

export interface Pace {
  /** One way of a message, once it has left; half of a round trip. */
  readonly delay: Span;
  /** What each direction of a link carries, in bytes a millisecond; `Infinity`: everything at once. */
  readonly bandwidth: number;
  /** A sync of the storage, and an answer to a load. */
  readonly write: Span;
  readonly load: Span;
  /** What the machine takes for one command, in milliseconds; it works in slices of 15 ms, and the process waits. */
  readonly cost: Milliseconds;
  /** The most callers that come at once. */
  readonly burst: number;
  /** The most bytes that a command is padded with; 0: none. */
  readonly padding: number;
}

/** The longest round trip that is drawn, in milliseconds. */
const LONGEST_ROUND_TRIP = 400;

/** Milliseconds: below it there is no room for the parts of a drawn pace. */
const LEAST_ELECTION = 400;

const KIB = 1024;
const PADDINGS = [0, 0, 4 * KIB, 64 * KIB, 1024 * KIB - 64];

/** A share of the budget goes to each part that is there; the round trip and then writes get what is left. */
function parts(dice: Dice, budget: Milliseconds): Pace {
  const cost = dice.pick([0, 0, 0.05, 1]);
  const slice = cost === 0 ? 0 : SLICE;
  let left = budget - 2 * slice - 1;
  const take = (chance: number, most: number): Milliseconds => {
    const time = dice.chance(chance) ? Math.floor(left * dice.within(0.05, most)) : 0;
    left -= time;
    return time;
  };
  const sending = take(0.6, 0.5);
  const load = Math.max(1, take(0.5, 0.4));
  const write = Math.max(1, take(0.6, 0.9));
  const roundTrip = Math.max(2, Math.min(LONGEST_ROUND_TRIP, Math.floor(left) - 2));
  const spanOf = (max: Milliseconds): Span => ({ min: dice.chance(0.5) ? max : 1, max });
  return {
    delay: spanOf(Math.max(1, roundTrip >> 1)),
    bandwidth: sending === 0 ? Infinity : Math.ceil((2 * FRAME_BYTES) / sending),
    write: spanOf(Math.max(1, Math.floor(write + Math.max(0, left - 2 - roundTrip)))),
    load: spanOf(load),
    cost,
    burst: dice.pick([1, 1, 30, 200]),
    padding: dice.pick(PADDINGS),
  };
}

/** The slowest exchange at that pace. */
export function slowestExchange({ delay, bandwidth, write, load, cost }: Pace): Milliseconds {
  const slice = cost === 0 ? 0 : SLICE;
  return exchangeTime({ roundTrip: 2 * delay.max, bandwidth, write: write.max, load: load.max, slice });
}

/** A pace at the bound of the timing assumption, or at a quarter of it. */
export function drawPace(dice: Dice, timing: Timing): Pace {
  return parts(dice, dice.pick([1, 0.25]) * exchangeBound(timing));
}

/** Timing and limits of a paced run: as they are shipped, the limits sometimes smaller. */
export function pacedTuning(dice: Dice): { readonly timing: Timing; readonly limits: Partial<Limits> } {
  const limits = {
    tailEntries: dice.pick([16, defaultLimits.tailEntries]),
    tailBytes: dice.pick([64 * KIB, defaultLimits.tailBytes]),
    messageBytes: dice.pick([4 * KIB, defaultLimits.messageBytes]),
    inflightMessages: dice.pick([4, defaultLimits.inflightMessages]),
    inflightBytes: dice.pick([128 * KIB, defaultLimits.inflightBytes]),
    uncommittedBytes: dice.pick([1024 * KIB, defaultLimits.uncommittedBytes]),
    applyBytes: dice.pick([64 * KIB, defaultLimits.applyBytes]),
    loadBytes: dice.pick([16 * KIB, defaultLimits.loadBytes]),
  };
  return { timing: defaultTiming, limits };
}

const span: Check = (value) => {
  const { min, max } = (value ?? {}) as Partial<Span>;
  const fits = Number.isSafeInteger(min) && Number.isSafeInteger(max) && Number(min) >= 0 && Number(max) >= Number(min);
  return fits ? null : '{ min, max } in whole milliseconds from 0, min at most max';
};

const PACE: Readonly<Record<keyof Pace, Check>> = {
  delay: span,
  bandwidth: expecting('a number of bytes a millisecond above 0', (value) => typeof value === 'number' && value > 0),
  write: span,
  load: span,
  cost: expecting('a finite number of milliseconds from 0', (value) => Number.isFinite(value) && Number(value) >= 0),
  burst: whole(1),
  padding: expecting(`a whole number of bytes from 0 to ${MAX_PADDING}`, (value) => {
    return whole(0)(value, []) === null && Number(value) <= MAX_PADDING;
  }),
};

/**
 * A pace must stay within the timing assumption, since liveness is demanded at it.
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` naming the field and what was expected
 */
export function checkPace(pace: Pace | string | undefined, tuning: Tuning | undefined): void {
  if (pace === undefined) return;
  const { electionMin = defaultTiming.electionMin } = tuning?.timing ?? {};
  if (typeof pace === 'string') {
    if (pace !== 'drawn') throw invalidArgument(`pace: expected "drawn" or an object, got ${shown(pace)}`);
    if (electionMin >= LEAST_ELECTION) return;
    throw invalidArgument(`tuning.timing.electionMin: expected at least ${LEAST_ELECTION} for a pace that is drawn`);
  }
  checkObject('pace', pace);
  checkNames('pace.', pace as object, Object.keys(PACE));
  checkShape('pace.', pace as object, PACE);
  const [time, bound] = [slowestExchange(pace), exchangeBound({ electionMin })];
  if (time < bound) return;
  throw invalidArgument(`pace: expected an exchange of less than ${bound} ms, half of electionMin, got ${time} ms`);
}
