/**
 * What one step costs, by kind of message, against the length of the log. Steps are pure: pairs of state and message
 * are kept from a running cluster and taken again, in blocks, which are timed.
 */

import type { Inbound, Outbound } from '../../src/core/protocol.js';
import { systems, Trio, type AnyProtocol, type Node } from './core-trio.js';
import { line, note, quantile, rounded } from './output.js';
import { eachAlone } from './processes.js';
import { stepDriver } from './step-driver.js';

interface Pair {
  readonly state: unknown;
  readonly inbound: Inbound<unknown>;
}

/** Pairs of one kind that are stepped through in one block. */
const BLOCK = 32;
const BLOCKS = 1500;

function put(outbound: readonly Outbound<unknown>[]): number {
  let entries = 0;
  for (const each of outbound) {
    if (each.kind !== 'persist') continue;
    for (const op of each.ops) if (op.kind === 'put') entries += op.entries.length;
  }
  return entries;
}

/** What a step is counted as, in a cluster where nothing else is going on. */
function kindOf(
  leads: boolean,
  phase: string,
  inbound: Inbound<unknown>,
  outbound: readonly Outbound<unknown>[],
): string {
  if (inbound.kind === 'persisted' || inbound.kind === 'applied')
    return `${inbound.kind}, ${leads ? 'leader' : 'follower'}`;
  if (inbound.kind === 'propose') return `propose ${inbound.proposals.length}`;
  if (inbound.kind === 'tick') return leads ? 'tick that sends heartbeats' : 'tick without effect';
  if (inbound.kind !== 'receive') return inbound.kind;
  if (phase === 'idle') return leads ? 'heartbeat reply' : 'heartbeat';
  if (leads) return 'acknowledgement';
  const entries = put(outbound);
  return entries > 0 ? `append ${entries}` : 'other';
}

/** Pairs from a cluster that has committed `entries` before, as it goes on. */
function collect(protocol: AnyProtocol, entries: number): ReadonlyMap<string, Pair[]> {
  const trio = new Trio(protocol);
  trio.work(500, 16, 1, () => trio.made >= entries);
  const pairs = new Map<string, Pair[]>();
  let phase = 'busy';
  const [leader] = trio.nodes as readonly [Node, ...Node[]];
  trio.spy = (node, state, inbound, outbound) => {
    const kind = kindOf(node === leader, phase, inbound, outbound);
    const known = pairs.get(kind) ?? [];
    if (known.length < 4 * BLOCK) known.push({ state, inbound });
    pairs.set(kind, known);
  };
  for (const batch of [1, 64]) trio.work(batch, 16, 1, () => trio.made % (batch * 256) === 0);
  const goal = trio.made + 1000;
  trio.work(1, 16, 1, () => trio.made >= goal);
  trio.work(64, 16, 1, () => trio.made >= goal + 64 * 300);
  phase = 'idle';
  for (let turn = 0; turn < 200; turn++) {
    trio.heartbeat();
    for (const node of trio.nodes.slice(1)) trio.step(node, { kind: 'tick', now: trio.now });
  }
  return pairs;
}

function time(protocol: AnyProtocol, pairs: readonly Pair[]): readonly number[] {
  const samples: number[] = [];
  for (let block = 0; block < BLOCKS; block++) {
    const from = (block * BLOCK) % Math.max(1, pairs.length - BLOCK + 1);
    const begin = process.hrtime.bigint();
    for (let at = from; at < from + BLOCK; at++) {
      const { state, inbound } = pairs[at] as Pair;
      protocol.step(state, inbound);
    }
    samples.push(Number(process.hrtime.bigint() - begin) / BLOCK);
  }
  return samples.slice(BLOCKS / 3);
}

/** Bytes of heap that a step leaves behind, garbage included. */
function allocated(protocol: AnyProtocol, pairs: readonly Pair[]): number {
  const samples: number[] = [];
  for (let round = 0; round < 15; round++) {
    const before = process.memoryUsage().heapUsed;
    for (let at = 0; at < BLOCK * 16; at++) {
      const { state, inbound } = pairs[at % BLOCK] as Pair;
      protocol.step(state, inbound);
    }
    const grown = process.memoryUsage().heapUsed - before;
    if (grown >= 0) samples.push(grown / (BLOCK * 16));
  }
  return quantile(samples, 0.5);
}

const KINDS = [
  'append 1',
  'append 64',
  'acknowledgement',
  'propose 1',
  'propose 64',
  'heartbeat',
  'heartbeat reply',
  'tick without effect',
  'tick that sends heartbeats',
  'persisted, leader',
  'persisted, follower',
  'applied, leader',
  'applied, follower',
];

/** @param only the one system to be measured in this process; without it each gets a process of its own */
export function step(quick: boolean, only?: string): void {
  if (only === undefined) return eachAlone('step', quick);
  for (const [system, protocol] of systems.filter(([name]) => name === only)) {
    stepDriver(system, protocol, quick);
    for (const entries of quick ? [1_000, 100_000] : [1_000, 100_000, 1_000_000]) {
      const all = collect(protocol, entries);
      for (const kind of KINDS) {
        const pairs = all.get(kind) ?? [];
        if (pairs.length < BLOCK) {
          note(`${system}: only ${pairs.length} steps of kind ${kind}`);
          continue;
        }
        const samples = time(protocol, pairs).slice();
        const bytes = allocated(protocol, pairs);
        const median = rounded(quantile(samples, 0.5));
        const p99 = rounded(quantile(samples, 0.99));
        line({
          system,
          mode: 'step',
          kind,
          entries,
          median_ns: median,
          p99_ns: p99,
          bytes_per_step: Math.round(bytes),
        });
        note(`${system} ${entries} entries, ${kind}: ${median} ns, p99 ${p99} ns, ${Math.round(bytes)} B`);
      }
    }
  }
}
