/**
 * How the work grows with what waits: four times as many requests one by one cost about four times as much. Counted is
 * what the steps write anew, as fields and items of the states; never time.
 */

import { describe, expect, it } from 'vitest';
import type { World } from 'quorate/testing';
import type { AnyModel } from '../../src/core/model.js';
import type { Inbound, Outbound, Proposal } from '../../src/core/protocol.js';
import type { DriverEvent, DriverState } from '../../src/replica/driver/state.js';
import { driverOf } from '../../src/replica/driver/driver.js';
import { driverIn } from '../replica/bare-driver.js';
import { amount } from '../amount.js';
import { coreOf, models, play } from '../play.js';

/** Counts what is new in each state that it is shown. */
class Meter {
  written = 0;
  private seen = new Set<object>();
  /** With so many, those of older states are forgotten: a `WeakSet` would do it by itself, and take most of the time. */
  private most = 100_000;

  /** Takes in a state: everything in it that was in no earlier one counts. */
  show(value: unknown): void {
    this.written += taken(value, this.seen);
    if (this.seen.size < this.most) return;
    this.seen = new Set();
    taken(value, this.seen);
    this.most = 100_000 + 2 * this.seen.size;
  }
}

/** Puts all that a value consists of into a set; returns the fields and items of what was not there. */
function taken(value: unknown, seen: Set<object>): number {
  const left: unknown[] = [value];
  let written = 0;
  while (left.length > 0) {
    const each = left.pop();
    if (typeof each !== 'object' || each === null || each instanceof Uint8Array || seen.has(each)) continue;
    seen.add(each);
    if (Array.isArray(each)) {
      written += each.length;
      for (const part of each as unknown[]) if (typeof part === 'object') left.push(part);
      continue;
    }
    for (const key in each) {
      written += 1;
      const part = (each as Readonly<Record<string, unknown>>)[key];
      if (typeof part === 'object') left.push(part);
    }
  }
  return written;
}

/** Four times as much may cost a little more than that, by a logarithm. */
const MOST = 5;

function growth(small: number, cost: (count: number) => number): number {
  return cost(4 * small) / cost(small);
}

/** How many requests are many: a quarter of them is what they are compared with. */
const FEW = amount(1000, 2000);

const LIMITS = 'limits: uncommittedBytes=100000000 inflightBytes=100000000';

function settled(model: AnyModel, program: 'core' | 'driver', members = 3): World {
  const header = [`replicas: ${members}`, `program: ${program}`, LIMITS, 'constants: sessionWindow=65536'];
  return play(model, 'elect n1\nrun 1000 until leaders n1\nquiesce', { header }).world;
}

function commandOf(sequence: number, request: number): Proposal {
  const id = { session: 1, sequence, firstIncomplete: 1 };
  return { request, kind: 'command', id, data: new Uint8Array(8), retry: false };
}

/** What a core writes while it takes these one after the other. */
function stepped(model: AnyModel, start: unknown, inbounds: Iterable<Inbound<unknown>>): number {
  const meter = new Meter();
  let state = start;
  meter.show(state);
  meter.written = 0;
  for (const inbound of inbounds) {
    [state] = model.protocol.step(state, inbound);
    meter.show(state);
  }
  return meter.written;
}

/** What a driver writes while it takes these events. */
function driven(model: AnyModel, start: DriverState, events: Iterable<DriverEvent>): number {
  const driver = driverOf(model.protocol);
  const meter = new Meter();
  let state = start;
  meter.show(state);
  meter.written = 0;
  for (const event of events) {
    [state] = driver.step(state, event);
    meter.show(state);
  }
  return meter.written;
}

describe.each(models)('$protocol.name', (model) => {
  const { now } = coreOf(settled(model, 'core'), 'n1') as { now: number };

  function forwardsTo(start: unknown, count: number): Inbound<unknown>[] {
    const { term } = model.protocol.status(start);
    return Array.from({ length: count }, (_, at): Inbound<unknown> => {
      const { request: _request, ...bare } = commandOf(at + 1, 0);
      const message = { kind: 'forwardProposals', term, number: at + 1, proposals: [bare] };
      return { kind: 'receive', now, from: 'n2', message };
    });
  }

  it(`${4 * FEW} single forwards at a leader, of which none is committed yet`, () => {
    const core = coreOf(settled(model, 'core'), 'n1');
    expect(growth(FEW, (count) => stepped(model, core, forwardsTo(core, count)))).toBeLessThan(MOST);
  });

  it(`${4 * FEW} single forwards of a follower, and one abort in 300`, () => {
    const core = coreOf(settled(model, 'core'), 'n2');
    const inbounds = (count: number): Inbound<unknown>[] => {
      const list: Inbound<unknown>[] = [];
      for (let request = 1; request <= count; request++) {
        list.push({ kind: 'propose', now, proposals: [commandOf(request, request)], deadline: Infinity });
        if (request % 300 === 0) list.push({ kind: 'cancel', now, requests: [request / 2] });
      }
      return list;
    };
    expect(growth(FEW, (count) => stepped(model, core, inbounds(count)))).toBeLessThan(MOST);
  });

  it(`${8 * FEW} single reads at a leader whose first round is not confirmed, and at a follower`, () => {
    for (const id of ['n1', 'n2']) {
      const core = coreOf(settled(model, 'core'), id);
      const inbounds = (count: number): Inbound<unknown>[] =>
        Array.from({ length: count }, (_, at) => ({ kind: 'read', now, request: at + 1, deadline: Infinity }));
      expect(
        growth(2 * FEW, (count) => stepped(model, core, inbounds(count))),
        id,
      ).toBeLessThan(MOST);
    }
  });

  it('20,000 reads in one round ask each peer twice: for the first, and for all that came meanwhile', () => {
    let core = coreOf(settled(model, 'core'), 'n1');
    let asked: Outbound<unknown>[] = [];
    for (let request = 1; request <= 20_000; request++) {
      const [next, outbound] = model.protocol.step(core, { kind: 'read', now, request, deadline: Infinity });
      core = next;
      asked = [...asked, ...outbound];
    }
    expect(asked.map((each) => each.kind === 'send' && each.to)).toEqual(['n2', 'n3']);
    const [, outbound] = model.protocol.step(core, { kind: 'cancel', now, requests: [1] });
    // The first round has nobody left to wait for it: the next one begins at once.
    const after = outbound.filter((each) => each.kind === 'send');
    expect(after.map(({ to }) => to)).toEqual(['n2', 'n3']);
  });

  it(`${16 * FEW} single writes of a core whose disk hangs`, () => {
    const core = coreOf(settled(model, 'core'), 'n1');
    const inbounds = (count: number): Inbound<unknown>[] =>
      Array.from({ length: count }, (_, at): Inbound<unknown> => {
        return { kind: 'propose', now, proposals: [commandOf(at + 1, at + 1)], deadline: Infinity };
      });
    expect(growth(4 * FEW, (count) => stepped(model, core, inbounds(count)))).toBeLessThan(MOST);
  }, 120_000);

  it(`${8 * FEW} single writes of a replica whose disk hangs, as many as may wait`, () => {
    const { state } = withRoom(settled(model, 'driver'));
    const events = (count: number): DriverEvent[] =>
      Array.from({ length: count }, (_, at): DriverEvent => {
        return {
          kind: 'propose',
          now: state.now,
          commands: [{ call: at + 1000, deadline: Infinity, data: new Uint8Array(8) }],
        };
      });
    expect(growth(2 * FEW, (count) => driven(model, state, events(count)))).toBeLessThan(MOST);
  }, 120_000);

  it(`${8 * FEW} stale reads with an index that is far away`, () => {
    const { state } = withRoom(settled(model, 'driver'));
    const events = (count: number): DriverEvent[] =>
      Array.from({ length: count }, (_, at): DriverEvent => {
        return { kind: 'read', now: state.now, calls: [{ call: at + 1000, deadline: Infinity }], minIndex: 1e6 + at };
      });
    expect(growth(2 * FEW, (count) => driven(model, state, events(count)))).toBeLessThan(MOST);
  });
});

/** The leader of the world, as a replica that lets any number of calls wait. */
function withRoom(world: World): { state: DriverState } {
  const state = driverIn(world, 'n1');
  return { state: { ...state, options: { ...state.options, maxWaiting: 1e6, maxWaitingBytes: 1e9 } } };
}
