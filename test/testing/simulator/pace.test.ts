/** Time and weight in simulated schedules: links, machines, bursts and large commands, at a pace that is drawn or given. */

import { describe, expect, test } from 'vitest';
import { multipaxosModel } from 'quorate/multipaxos';
import { raftModel } from 'quorate/raft';
import { meetsTimingAssumption, runScenario, simulate, type Pace, type SimulateOptions } from 'quorate/testing';
import { amount } from '../../amount.js';
import { Agenda } from '../../../src/testing/world/agenda.js';
import { Loops } from '../../../src/testing/world/loops.js';
import { planOf } from '../../../src/testing/simulator/plan.js';
import { Wires } from '../../../src/testing/world/wires.js';
import { refused, type Wrong } from '../refusals.js';

const model = raftModel;
const QUICK: Pace = {
  delay: { min: 1, max: 20 },
  bandwidth: 4000,
  write: { min: 1, max: 10 },
  load: { min: 1, max: 10 },
  cost: 0.05,
  burst: 30,
  padding: 4096,
};

function planAt(seed: number, pace: SimulateOptions['pace']) {
  return planOf({ world: { model }, seed, length: 400, without: [], calm: false, prefixes: [], pace });
}

describe('a paced schedule', () => {
  test.each([raftModel, multipaxosModel])(
    'holds every rule at a pace that is drawn',
    (each) => {
      const { pace, commands } = simulate({
        model: each,
        seed: amount(14, 1),
        schedules: amount(12, 25),
        pace: 'drawn',
      });
      expect(commands).toBeGreaterThan(300);
      expect(pace.bursts).toBeGreaterThan(0);
      expect(pace.largest).toBeGreaterThan(64 * 1024);
      expect(pace.passed).toBeGreaterThan(0);
      expect(pace.held).toBeGreaterThan(0);
    },
    120_000,
  );

  test('of both protocols holds every rule at a given pace', () => {
    for (const each of [raftModel, multipaxosModel]) {
      expect(simulate({ model: each, seed: 1, schedules: amount(5, 10), pace: QUICK }).pace.held).toBeGreaterThan(0);
    }
  }, 120_000);

  test('is the same each time', () => {
    const reports = [1, 2].map(() => simulate({ model, seed: 40, schedules: 1, pace: 'drawn' }));
    expect(reports[0]).toEqual(reports[1]);
  });

  test('keeps the faults and the cluster of its seed', () => {
    const [plain, paced] = [planAt(7, undefined), planAt(7, 'drawn')];
    expect(plain.pace).toBeNull();
    expect([paced.faults, paced.world.replicas]).toEqual([plain.faults, plain.world.replicas]);
  });
});

describe('a pace that is drawn', () => {
  const paces = Array.from({ length: 300 }, (_, seed) => planAt(seed, 'drawn').pace as Pace);

  test('meets the timing assumption of its timing, and has round trips of up to 400 ms', () => {
    for (const { delay, bandwidth, write, load, cost } of paces) {
      const slice = cost === 0 ? 0 : 15;
      const exchange = { roundTrip: 2 * delay.max, bandwidth, write: write.max, load: load.max, slice };
      expect(meetsTimingAssumption(exchange, { electionMin: 1000 })).toBe(true);
      expect(delay.max).toBeLessThanOrEqual(200);
    }
    expect(Math.max(...paces.map(({ delay }) => delay.max))).toBeGreaterThan(190);
  });

  test('has each part in some schedules, and constant and drawn times', () => {
    const some = (holds: (pace: Pace) => boolean): boolean => paces.some(holds) && !paces.every(holds);
    expect(some(({ bandwidth }) => bandwidth < Infinity)).toBe(true);
    expect(some(({ delay }) => delay.min === delay.max)).toBe(true);
    expect(some(({ write }) => write.min === write.max)).toBe(true);
    expect(some(({ cost }) => cost > 0)).toBe(true);
    expect(some(({ burst }) => burst > 1)).toBe(true);
    expect(some(({ padding }) => padding > 500_000)).toBe(true);
  });
});

test.each([
  [{ pace: 'fast' }, /^pace: expected "drawn" or an object, got "fast"$/],
  [{ pace: 3 }, /^pace: expected an object, got 3$/],
  [{ pace: { ...QUICK, speed: 1 } }, /^pace\.speed: no such option; there are delay, bandwidth, /],
  [{ pace: { ...QUICK, delay: { min: 5, max: 1 } } }, /^pace\.delay: expected { min, max } in whole milliseconds/],
  [{ pace: { ...QUICK, bandwidth: 0 } }, /^pace\.bandwidth: expected a number of bytes a millisecond above 0, got 0$/],
  [{ pace: { ...QUICK, cost: -1 } }, /^pace\.cost: expected a finite number of milliseconds from 0, got -1$/],
  [{ pace: { ...QUICK, burst: 0.5 } }, /^pace\.burst: expected a whole number from 1, got 0.5$/],
  [{ pace: { ...QUICK, padding: -1 } }, /^pace\.padding: expected a whole number of bytes from 0/],
  [{ pace: { ...QUICK, write: { min: 1, max: 900 } } }, /^pace: expected an exchange of less than 500 ms/],
  [
    { pace: 'drawn', tuning: { timing: { heartbeat: 50, electionMin: 150 } } },
    /^tuning\.timing\.electionMin: expected/,
  ],
])('%o is refused', (wrong, reason) => refused(() => simulate({ model, ...wrong } as Wrong), reason));

describe('a link', () => {
  test('lets control pass bulk at the end of a frame, and loses with its sender what no socket holds', () => {
    const agenda = new Agenda<() => void>();
    const wires = new Wires(1, agenda, 64); // a full frame takes 1,024 ms
    const told: string[] = [];
    let now = 0;
    const put = (lane: 'control' | 'bulk', bytes: number, name: string): void =>
      wires.put(now, 0, lane, bytes, {
        sent: () => told.push(`${name} sent at ${now}`),
        lost: () => told.push(`${name} lost at ${now}`),
      });
    const pass = (until: number): void => {
      while (agenda.nextAt <= until) {
        now = agenda.nextAt;
        agenda.take()();
      }
    };
    put('bulk', 128 * 1024, 'first');
    put('bulk', 64 * 1024, 'second');
    put('control', 64, 'third');
    pass(1024);
    wires.crash([0]);
    pass(1e6);
    expect(wires.passed).toBe(1);
    expect(told).toEqual(['third sent at 1025', 'first sent at 2049', 'second sent at 3073']);
    put('bulk', 100 * 1024, 'fourth');
    put('bulk', 100 * 1024, 'fifth');
    wires.crash([0]);
    put('control', 5000 * 1024, 'sixth');
    put('control', 1, 'seventh');
    expect(told.slice(3)).toEqual([`fifth lost at ${now}`, `seventh lost at ${now}`]);
  });

  test('says that a lane is full, and that half of it is free again', () => {
    const agenda = new Agenda<() => void>();
    const wires = new Wires(1, agenda, 1024);
    const told: string[] = [];
    wires.onFull = (_, lane, isFull) => told.push(`${lane} ${isFull ? 'full' : 'free'}`);
    const put = (bytes: number): void =>
      wires.put(0, 0, 'control', bytes, { sent: () => undefined, lost: () => told.push('lost') });
    for (const bytes of [3000, 1000, 500]) put(bytes * 1024);
    expect(told).toEqual(['control full', 'lost']);
    let frames = 0;
    for (; told.length < 3; frames++) agenda.take()();
    expect([told[2], frames * 64]).toEqual(['control free', 2000 - (2000 % 64)]);
    wires.lose(0, 'control');
    while (agenda.nextAt < Infinity) agenda.take()();
    expect(told).toHaveLength(3);
  });
});

describe('a loop', () => {
  test('lets input in at the end of each slice, in the order in which it came', () => {
    const agenda = new Agenda<() => void>();
    const loops = new Loops(1, agenda);
    const told: string[] = [];
    let now = 0;
    const come = (at: number, name: string): void =>
      agenda.add(at, () => loops.enter(now, 0, () => told.push(`${name} at ${now}`)));
    expect(loops.work(0, 0, 34.5)).toBe(35);
    for (const [at, name] of [
      [1, 'a'],
      [2, 'b'],
      [16, 'c'],
      [31, 'd'],
      [40, 'e'],
    ] as const) {
      come(at, name);
    }
    while (agenda.nextAt < Infinity) {
      now = agenda.nextAt;
      agenda.take()();
    }
    expect(told).toEqual(['a at 15', 'b at 15', 'c at 30', 'd at 35', 'e at 40']);
    expect(loops.held).toBe(4);
  });
});

test('padding has its place in a scenario, and the machine does not see it', () => {
  const script = (padding: string): string =>
    `protocol: raft\nreplicas: 1\nelect n1\npropose n1 {"a":1}${padding}\nquiesce\nexpect n1 applied {"a":1}\n`;
  const { failure, world, actions } = runScenario(script(' padding=70000'), raftModel);
  expect(failure).toBeNull();
  expect(actions.find(({ kind }) => kind === 'propose')).toMatchObject({ command: { a: 1 }, padding: 70_000 });
  const longest = world.record.effects.items.map(({ entry }) => entry.data.length);
  expect(Math.max(...longest)).toBeGreaterThan(70_000);
  for (const wrong of ['0', '-1', '1.5']) {
    expect(() => runScenario(script(` padding=${wrong}`), raftModel)).toThrow(
      /padding: expected a whole number of bytes/,
    );
  }
});
