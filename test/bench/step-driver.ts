/**
 * What one event costs the driver, by kind, with the core's part of it beside. As in `step.ts`, pairs of state and
 * event are kept from a running cluster and taken again in blocks; the core's steps of these events are timed alone.
 * What is left is the driver's own: books, session table, envelopes and codec, and the checks of invariants.
 */

import type { Inbound } from '../../src/core/protocol.js';
import { driverOf } from '../../src/replica/driver/driver.js';
import type { DriverEffect, DriverEvent, DriverState } from '../../src/replica/driver/state.js';
import type { AnyProtocol } from './core-trio.js';
import { DriverTrio, type DriverNode } from './driver-trio.js';
import { line, note, quantile, rounded } from './output.js';

interface CoreStep {
  readonly state: unknown;
  readonly inbound: Inbound<unknown>;
}

interface Pair {
  readonly state: DriverState;
  readonly event: DriverEvent;
}

const BLOCK = 32;
const BLOCKS = 1500;
const CLIENTS = [1, 64, 256];

function put(effects: readonly DriverEffect[]): number {
  let entries = 0;
  for (const effect of effects) {
    if (effect.kind === 'write') for (const op of effect.ops) if (op.kind === 'put') entries += op.entries.length;
  }
  return entries;
}

function kindOf(leads: boolean, event: DriverEvent, effects: readonly DriverEffect[]): string {
  const role = leads ? 'leader' : 'follower';
  if (event.kind === 'propose') return `propose ${event.commands.length}`;
  if (event.kind === 'applied') return `applied ${event.results.length}, ${role}`;
  if (event.kind === 'written') return `written, ${role}`;
  if (event.kind !== 'message') return event.kind;
  if (leads) return effects.some(({ kind }) => kind === 'apply') ? 'acknowledgement that commits' : 'acknowledgement';
  const entries = put(effects);
  if (entries > 0) return `append ${entries}`;
  return effects.some(({ kind }) => kind === 'apply') ? 'commit notice' : 'other';
}

function collect(protocol: AnyProtocol, clients: number): ReadonlyMap<string, Pair[]> {
  const trio = new DriverTrio(protocol);
  for (let turn = 0; turn < 20_000; turn += clients) trio.work(trio.leader, clients, 16, once());
  const pairs = new Map<string, Pair[]>();
  trio.spy = (node: DriverNode, state, event, effects) => {
    const kind = kindOf(node === trio.leader, event, effects);
    const known = pairs.get(kind) ?? [];
    if (known.length < 4 * BLOCK) known.push({ state, event });
    pairs.set(kind, known);
  };
  for (let turn = 0; turn < 6 * BLOCK; turn++) trio.work(trio.leader, clients, 16, once());
  return pairs;
}

/** False once, then true. */
function once(): () => boolean {
  let asked = false;
  return () => {
    const before = asked;
    asked = true;
    return before;
  };
}

function time(pairs: number, run: (at: number) => void): number {
  const samples: number[] = [];
  for (let block = 0; block < BLOCKS; block++) {
    const from = (block * BLOCK) % Math.max(1, pairs - BLOCK + 1);
    const begin = process.hrtime.bigint();
    for (let at = from; at < from + BLOCK; at++) run(at);
    samples.push(Number(process.hrtime.bigint() - begin) / BLOCK);
  }
  return quantile(samples.slice(BLOCKS / 3), 0.5);
}

/** The steps that the core takes in each of these events. */
function coreSteps(protocol: AnyProtocol, pairs: readonly Pair[]): readonly (readonly CoreStep[])[] {
  let steps: CoreStep[] = [];
  const watched = driverOf({
    ...protocol,
    step(state, inbound) {
      steps.push({ state, inbound });
      return protocol.step(state, inbound);
    },
  });
  return pairs.map(({ state, event }) => {
    steps = [];
    watched.step(state, event);
    return steps;
  });
}

function measure(system: string, protocol: AnyProtocol, clients: number, kind: string, pairs: readonly Pair[]): void {
  const cores = coreSteps(protocol, pairs);
  const driver = driverOf(protocol);
  const core = time(pairs.length, (at) => {
    for (const { state, inbound } of cores[at] as readonly CoreStep[]) protocol.step(state, inbound);
  });
  const all = time(pairs.length, (at) => {
    const { state, event } = pairs[at] as Pair;
    driver.step(state, event);
  });
  const [median, within] = [rounded(all), rounded(core)];
  line({ system, mode: 'driver-step', clients, kind, median_ns: median, core_ns: within, own_ns: rounded(all - core) });
  note(`${system}, driver, ${kind}: ${median} ns, of which the core ${within} ns`);
}

function perSecond(protocol: AnyProtocol, clients: number, place: number, quick: boolean): number {
  const trio = new DriverTrio(protocol);
  const node = trio.nodes[place] as DriverNode;
  const during = (seconds: number): (() => boolean) => {
    const end = performance.now() + seconds * 1000;
    return () => performance.now() >= end;
  };
  trio.work(node, clients, 16, during(quick ? 0.3 : 0.8));
  const begin = performance.now();
  const count = trio.work(node, clients, 16, during(quick ? 0.7 : 2.2));
  return count / ((performance.now() - begin) / 1000);
}

/** Whole turns of three drivers, then one event at a time. */
export function stepDriver(system: string, protocol: AnyProtocol, quick: boolean): void {
  for (const clients of CLIENTS) {
    for (const [at, place] of [['leader', 0] as const, ['follower', 1] as const]) {
      const figure = rounded(perSecond(protocol, clients, place, quick), 4);
      line({ system, mode: 'driver', at, clients, payload: 16, committed_per_s: figure });
      note(`${system}, three drivers, ${clients} clients at the ${at}: ${figure}/s`);
    }
  }
  for (const clients of CLIENTS) {
    for (const [kind, pairs] of collect(protocol, clients)) {
      if (pairs.length >= BLOCK) measure(system, protocol, clients, kind, pairs);
    }
  }
}
