/** The settings of a protocol: timeouts and bounds with their defaults, and the choice of a protocol for a replica. */

import type { Limits, Milliseconds, Protocol, Timing } from './protocol.js';
import { shown } from './shown.js';

export const defaultTiming: Timing = { heartbeat: 150, electionMin: 1000, electionMax: 2000 };

/**
 * The timing assumption (law/timing-assumption), on which liveness rests: an exchange with a peer, with what the disk
 * does for it, takes less than this.
 */
export function exchangeBound({ electionMin }: Pick<Timing, 'electionMin'>): Milliseconds {
  return electionMin / 2;
}

/** How long an answer is waited for at first: by the timing assumption a round trip with its disk takes no longer. */
export function leastPatience(timing: Timing): Milliseconds {
  return exchangeBound(timing);
}

/**
 * So many exchanges are given to a transfer: twice two until the target holds what was there at first and what came
 * meanwhile, one each for the Handover, the election and the word of the new leader, and one to spare.
 */
const TRANSFER_EXCHANGES = 8;

/** How long a transfer may take, unless its caller says otherwise. */
export function transferPatience(timing: Pick<Timing, 'electionMin'>): Milliseconds {
  return TRANSFER_EXCHANGES * exchangeBound(timing);
}

/** The timing assumption counts with frames of so many bytes: each takes less time than an exchange. */
const FRAME_BYTES = 64 * 1024;

/** How long an answer to a message of so many bytes is waited for: each frame of it may take as long as an exchange. */
export function patienceFor(timing: Timing, bytes: number): Milliseconds {
  return leastPatience(timing) * (1 + Math.floor(bytes / FRAME_BYTES));
}

const MIB = 1024 * 1024;

export const defaultLimits: Limits = {
  // At full rate 4,096 would live for longer than V8 leaves objects in its young generation; moving them on costs a
  // quarter of a driver's throughput.
  tailEntries: 1024,
  tailBytes: 4 * MIB,
  messageBytes: 48 * 1024,
  inflightMessages: 64,
  inflightBytes: 4 * MIB,
  uncommittedBytes: 64 * MIB,
  applyBytes: 4 * MIB,
  loadBytes: MIB,
};

/** Settings of which any may be left out, or be `undefined`. */
export type Given<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** The settings that a user may give; the others have their defaults. */
export interface Tuning {
  /** Milliseconds. */
  readonly timing?: Given<Timing> | undefined;
  readonly limits?: Given<Limits> | undefined;
  /** @see ProtocolOptions.preVote; `true` by default. */
  readonly preVote?: boolean | undefined;
}

/** A protocol with its settings: what `createReplica` takes. */
export interface ProtocolChoice {
  readonly protocol: Protocol<unknown, unknown>;
  readonly timing: Timing;
  readonly limits: Limits;
  readonly preVote: boolean;
}

/** The settings that are not `undefined`. */
export function given<T extends object>(settings: Given<T> | undefined): Partial<T> {
  const entries = Object.entries(settings ?? {}).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<T>;
}

/** The full name of a setting of protocols that is called so, like `timing.heartbeat`; `null` if there is none. */
export function homeOf(name: string): string | null {
  if (Object.hasOwn(defaultTiming, name)) return `timing.${name}`;
  return Object.hasOwn(defaultLimits, name) ? `limits.${name}` : null;
}

function merged<T extends object>(what: string, defaults: T, given: Given<T> | undefined, max: number): T {
  if (given !== undefined && (typeof given !== 'object' || given === null)) {
    throw new RangeError(`${what}: expected an object of settings, got ${shown(given)}`);
  }
  const result: T = { ...defaults };
  for (const name of Object.keys(given ?? {}) as (keyof T & string)[]) {
    if (!Object.hasOwn(defaults, name)) {
      const home = homeOf(name);
      throw new RangeError(`${what}.${name}: no such setting${home === null ? '' : `; it is ${home}`}`);
    }
    const value = given?.[name] as unknown;
    if (value === undefined) continue;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1 || value > max) {
      throw new RangeError(`${what}.${name}: expected a whole number from 1 to ${max}, got ${shown(value)}`);
    }
    result[name] = value as T[keyof T & string];
  }
  return result;
}

/**
 * A protocol with these settings.
 * @throws RangeError that names the setting and what was expected
 */
export function choose<S, M>(protocol: Protocol<S, M>, tuning: Tuning = {}): ProtocolChoice {
  if (typeof tuning !== 'object' || tuning === null) {
    throw new RangeError(`${protocol.name}: expected an object of settings, got ${shown(tuning)}`);
  }
  for (const name of Object.keys(tuning)) {
    if (name === 'timing' || name === 'limits' || name === 'preVote') continue;
    const hint = `it is ${homeOf(name) ?? 'timing, limits or preVote'}`;
    throw new RangeError(`${name}: no such setting of ${protocol.name}; ${hint}`);
  }
  const timing = merged('timing', defaultTiming, tuning.timing, 2 ** 31 - 1);
  if (timing.electionMax < timing.electionMin) {
    throw new RangeError(`timing.electionMax: expected at least electionMin (${timing.electionMin})`);
  }
  if (timing.electionMin < 2 * timing.heartbeat) {
    throw new RangeError(`timing.electionMin: expected at least twice the heartbeat (${timing.heartbeat})`);
  }
  const limits = merged('limits', defaultLimits, tuning.limits, 2 ** 40);
  const { preVote = true } = tuning;
  if (typeof preVote !== 'boolean') throw new RangeError(`preVote: expected true or false, got ${shown(preVote)}`);
  return { protocol: protocol as Protocol<unknown, unknown>, timing, limits, preVote };
}

/** A protocol whose state and messages are opaque. */
export type AnyProtocol = Protocol<unknown, unknown>;
