/**
 * What the books of requests cost, in milliseconds at n and at 4 n: each figure is one piece of work on many requests
 * that wait. Tests count the same work in nodes; here is the time. `ratio` is the time at 4 n by that at n: 4 where
 * each request costs the same however many wait, 16 where each costs as much as all.
 */

import type { Proposal } from '../../src/core/protocol.js';
import type { DriverEvent } from '../../src/replica/driver/state.js';
import { systems, Trio, type AnyProtocol, type Node } from './core-trio.js';
import { DriverTrio, type DriverNode } from './driver-trio.js';
import { line, note, rounded } from './output.js';
import { eachAlone } from './processes.js';

/** How many requests, and the work on them: what it returns is timed. */
type Work = (protocol: AnyProtocol, count: number) => () => void;

const LATER = 30_000;

function commands(count: number, first: number): DriverEvent {
  const data = new Uint8Array(16);
  const of = Array.from({ length: count }, (_, at) => ({ call: first + at, deadline: LATER, data }));
  return { kind: 'propose', now: 0, commands: of };
}

/** A replica that nobody answers: what its driver wants done is left undone. */
function alone(protocol: AnyProtocol, place: number): readonly [DriverTrio, DriverNode] {
  const trio = new DriverTrio(protocol);
  return [trio, trio.nodes[place] as DriverNode];
}

/** One in 300 of the forwards of a follower is aborted, one after the other. */
const abortForwards: Work = (protocol, count) => {
  const [trio, node] = alone(protocol, 1);
  let [state] = trio.driver.step(node.state, { ...commands(count, 1_000_000), now: trio.now });
  return () => {
    for (let at = 0; at < count; at += 300) {
      [state] = trio.driver.step(state, { kind: 'cancel', now: trio.now, calls: [1_000_000 + at] });
    }
  };
};

/** Stale reads that wait for an index to come. */
const staleReads: Work = (protocol, count) => {
  const [trio, node] = alone(protocol, 1);
  return () => {
    let { state } = node;
    for (let at = 0; at < count; at++) {
      const calls = [{ call: 1_000_000 + at, deadline: trio.now + LATER }];
      [state] = trio.driver.step(state, { kind: 'read', now: trio.now, calls, minIndex: 1_000_000 });
    }
  };
};

/** Single forwards of followers at a leader that no disk answers. */
const singleForwards: Work = (protocol, count) => {
  const trio = new Trio(protocol);
  const [leader] = trio.nodes as readonly [Node, ...Node[]];
  const { term } = protocol.status(leader.state);
  return () => {
    let { state } = leader;
    for (let number = 1; number <= count; number++) {
      const id = { session: 1, sequence: number, firstIncomplete: 1 };
      const proposals: Omit<Proposal, 'request'>[] = [{ kind: 'command', id, data: new Uint8Array(16), retry: false }];
      const message = { kind: 'forwardProposals', term, number, proposals };
      [state] = protocol.step(state, { kind: 'receive', now: trio.now, from: 'b', message });
    }
  };
};

/** Single reads in a leader's core whose round nobody confirms. */
const singleReads: Work = (protocol, count) => {
  const trio = new Trio(protocol);
  const [leader] = trio.nodes as readonly [Node, ...Node[]];
  return () => {
    let { state } = leader;
    for (let request = 1; request <= count; request++) {
      [state] = protocol.step(state, { kind: 'read', now: trio.now, request, deadline: Infinity });
    }
  };
};

/** Single writes of callers while the write under way does not end. */
const hungDisk: Work = (protocol, count) => {
  const [trio, node] = alone(protocol, 0);
  return () => {
    let { state } = node;
    for (let at = 0; at < count; at++) {
      [state] = trio.driver.step(state, { ...commands(1, 1_000_000 + at), now: trio.now });
    }
  };
};

/** By name, with the greater of the two numbers. */
const WORK: Readonly<Record<string, readonly [count: number, work: Work]>> = {
  'one in 300 forwards aborted': [16_000, abortForwards],
  'stale reads of a future index': [16_000, staleReads],
  'single forwards at a leader': [4_000, singleForwards],
  'single reads in a core': [20_000, singleReads],
  'single writes behind a hung disk': [40_000, hungDisk],
};

function best(protocol: AnyProtocol, count: number, work: Work, rounds: number): number {
  let least = Infinity;
  for (let round = 0; round < rounds; round++) {
    const run = work(protocol, count);
    const begin = performance.now();
    run();
    least = Math.min(least, performance.now() - begin);
  }
  return least;
}

/** @param only the one system to be measured in this process; without it each gets a process of its own */
export function books(quick: boolean, only?: string): void {
  if (only === undefined) return eachAlone('books', quick);
  for (const [system, protocol] of systems.filter(([name]) => name === only)) {
    for (const [of, [most, work]] of Object.entries(WORK)) {
      const rounds = quick ? 2 : 5;
      const few = best(protocol, most / 4, work, rounds + 1);
      const many = best(protocol, most, work, rounds);
      const figure = { n: most, ms: rounded(many), ms_at_quarter: rounded(few), ratio: rounded(many / few) };
      line({ system, mode: 'books', of, ...figure });
      note(`${system}, ${most} ${of}: ${figure.ms} ms; a quarter of them: ${figure.ms_at_quarter} ms`);
    }
  }
}
