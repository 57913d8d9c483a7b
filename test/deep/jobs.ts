/** The jobs of a deep suite's worker, and its answers. */

import type { SimulationReport } from 'quorate/testing';

export type ProtocolName = 'raft' | 'multipaxos';

export type Job =
  | {
      readonly kind: 'simulate';
      readonly protocol: ProtocolName;
      readonly seed: number;
      readonly schedules: number;
      /** A tenth of the schedules go on from a scenario. */
      readonly scripted: boolean;
    }
  | { readonly kind: 'host'; readonly protocol: ProtocolName; readonly seed: number; readonly schedules: number }
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
  | {
      readonly kind: 'check';
      readonly scope: string;
      readonly generated: number;
      readonly distinct: number;
      readonly depth: number;
      readonly complete: boolean;
      readonly found: Found | null;
    };
