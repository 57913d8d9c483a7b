/** Small values for tests: entries, limits, configurations. */

import type { Entry, EntryKind, Limits, Proposal, Timing } from '../src/core/protocol.js';
import { configurationOf, defaultConstants, type Configuration, type Constants } from '../src/core/members.js';
import { defaultLimits } from '../src/core/tuning.js';
import { deepFreeze } from '../src/testing/world/laws.js';

export const timing: Timing = { heartbeat: 150, electionMin: 1000, electionMax: 2000 };

/** Limits so small that every threshold is crossed. */
export const smallLimits: Limits = {
  tailEntries: 4,
  tailBytes: 300,
  messageBytes: 200,
  inflightMessages: 2,
  inflightBytes: 400,
  uncommittedBytes: 1200,
  applyBytes: 250,
  loadBytes: 200,
};

/** Bounds that nothing meets. */
export const wideLimits: Limits = { ...defaultLimits, tailEntries: 1 << 20, tailBytes: 1 << 30, applyBytes: 1 << 30 };

/** Ids `n1`, `n2`, … */
export function idsOf(size: number): readonly string[] {
  return Array.from({ length: size }, (_, at) => `n${at + 1}`);
}

/** @param priorities of the members, in their order */
export function clusterOf(
  size: number,
  constants: Partial<Constants> = {},
  priorities: readonly number[] = [],
): Configuration {
  const members = idsOf(size).map((id, at) => [id, { address: `${id}:1`, priority: priorities[at] }] as const);
  return configurationOf(Object.fromEntries(members), { ...defaultConstants, ...constants });
}

export function command(index: number, term: number, bytes = 2, sequence = index): Entry {
  const data = new Uint8Array(bytes).fill(index & 0xff);
  return { index, term, kind: 'command' as EntryKind, time: 0, id: { session: 1, sequence, firstIncomplete: 1 }, data };
}

export function noop(index: number, term: number): Entry {
  return { index, term, kind: 'noop', time: 0, id: null, data: new Uint8Array(0) };
}

export function proposal(request: number, sequence: number, bytes = 4, session = 1): Proposal {
  const data = new Uint8Array(bytes).fill(sequence & 0xff);
  return { request, kind: 'command', id: { session, sequence, firstIncomplete: 1 }, data, retry: false };
}

/** The same value, which nobody can edit any more. */
export function frozen<T>(value: T): T {
  deepFreeze(value);
  return value;
}
