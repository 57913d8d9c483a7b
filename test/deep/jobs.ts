/** The jobs of a deep suite's worker, and its answers. */

import type { SimulationReport } from 'quorate/testing';
import { deepScopes } from '../testing/checker/scopes.js';

export type ProtocolName = 'raft' | 'multipaxos';

export type Job =
  | {
      readonly kind: 'simulate';
      readonly protocol: ProtocolName;
      readonly seed: number;
      readonly schedules: number;
      /** A tenth of the schedules go on from a scenario. */
      readonly scripted: boolean;
      /** With time and weight. */
      readonly paced: boolean;
    }
  | { readonly kind: 'host'; readonly protocol: ProtocolName; readonly seed: number; readonly schedules: number }
  /** Lives of the oracle at the bound of the timing assumption. */
  | { readonly kind: 'lives'; readonly protocol: ProtocolName; readonly seed: number; readonly lives: number }
  /** Searches a scope for so many seconds at most. */
  | { readonly kind: 'check'; readonly scope: string; readonly seconds: number };

/** A rule that was broken, and how to see it again. */
export interface Found {
  readonly what: string;
  readonly rule: string;
  /** A scenario, if there is one. */
  readonly scenario: string | null;
}

export type Answer =
  | {
      readonly kind: 'simulate';
      readonly report: SimulationReport | null;
      readonly states: readonly number[];
      readonly found: Found | null;
    }
  | {
      readonly kind: 'host';
      readonly schedules: number;
      readonly events: number;
      readonly milliseconds: number;
      readonly coverage: Readonly<Record<string, number>>;
      readonly found: Found | null;
    }
  | { readonly kind: 'lives'; readonly lives: number; readonly found: Found | null }
  | {
      readonly kind: 'check';
      readonly scope: string;
      readonly generated: number;
      readonly distinct: number;
      readonly depth: number;
      readonly complete: boolean;
      readonly found: Found | null;
    };

/** The seed of a deep run is a whole number from 0 to this. */
export const LARGEST_SEED = 2 ** 31;

/** So many slices of the simulator go with one of the host, and one of lives. */
const HOST_EVERY = 6;
const SLICE = 100;
const HOST_SLICE = 10;
const LIVES = 20;

/**
 * All jobs of a deep run, without end.
 * @param seconds that each scope may take at most
 * @param pace whether every other schedule of the simulator that goes on from no scenario has time and weight
 */
export function* jobsOf(seed: number, seconds: number, pace: boolean): Generator<Job> {
  const scopes = Object.keys(deepScopes);
  const protocols: readonly ProtocolName[] = ['raft', 'multipaxos'];
  for (let slice = 0; ; slice++) {
    for (const protocol of protocols) {
      const first = seed * 1_000_000 + slice * SLICE;
      yield {
        kind: 'simulate',
        protocol,
        seed: first,
        schedules: SLICE,
        scripted: slice % 2 === 1,
        paced: pace && slice % 4 === 2,
      };
      if (slice % HOST_EVERY === 0) {
        yield { kind: 'host', protocol, seed: seed * 100_000 + slice * HOST_SLICE, schedules: HOST_SLICE };
      } else if (slice % HOST_EVERY === 1) {
        yield { kind: 'lives', protocol, seed: seed * 100_000 + slice * LIVES, lives: LIVES };
      }
    }
    const scope = slice % 4 === 0 ? scopes.shift() : undefined;
    if (scope !== undefined) yield { kind: 'check', scope, seconds };
  }
}
