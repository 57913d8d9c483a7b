/** The host simulation's links carry what they can, control passes bulk, and its processes let input in between work. */

import { describe, expect, it } from 'vitest';
import { Schedule, SimulatedProcess } from '../../../src/testing/host-simulation/clock.js';
import { SimulatedConnections } from '../../../src/testing/host-simulation/connections.js';
import { Trace } from '../../../src/testing/host-simulation/trace.js';

const KIB = 1024;
const RATE = 64; // bytes a millisecond: a full frame takes 1,024 ms
type Lane = 'control' | 'bulk';

function link() {
  const schedule = new Schedule(new Trace(1));
  const connections = new SimulatedConnections(schedule, RATE);
  const told: string[] = [];
  const put = (lane: Lane, bytes: number, name: string): boolean =>
    connections.put(lane, bytes, (isSent) => told.push(`${name} ${isSent ? 'sent' : 'lost'} at ${schedule.now}`));
  return { schedule, connections, told, put };
}

describe('a connection', () => {
  it('lets control wait for one frame of bulk at most', async () => {
    const { schedule, connections, told, put } = link();
    put('bulk', 256 * KIB, 'bulk');
    put('control', 64, 'first');
    await schedule.pass(1500);
    put('control', 64, 'second');
    await schedule.pass(1e6);
    expect(told).toEqual(['first sent at 1025', 'second sent at 2050', 'bulk sent at 4098']);
    expect(connections.passed).toBe(2);
  });

  it('refuses what its lane has no room for, and takes one message of any size', () => {
    const { told, put } = link();
    expect([put('control', 5000 * KIB, 'a'), put('control', 1, 'b'), put('bulk', 1, 'c')]).toEqual([true, false, true]);
    expect(told).toEqual([]);
  });

  it('takes with it what waits when it is lost, and what no socket holds when its sender ends', async () => {
    const { schedule, connections, told, put } = link();
    for (const name of ['a', 'b', 'c']) put('bulk', 60 * KIB, name);
    put('control', 64, 'd');
    connections.end();
    expect(told).toEqual(['c lost at 0']);
    connections.lose('control');
    expect(told).toEqual(['c lost at 0', 'd lost at 0']);
    await schedule.pass(1e6);
    expect(told.slice(2)).toEqual(['a sent at 960', 'b sent at 1920']);
  });
});

describe('a process at work', () => {
  it('has a clock that runs ahead, and handles what came meanwhile before what it put off', async () => {
    const schedule = new Schedule(new Trace(1));
    const process = new SimulatedProcess(schedule, 'p', 100, 1);
    const told: string[] = [];
    const tell = (name: string): void => void told.push(`${name} at ${schedule.now}, ${process.now} on its clock`);
    process.input(() => {
      process.work(12);
      tell('work');
      process.clock.soon(() => tell('put off'));
      process.clock.after(5, () => tell('timer'));
    });
    schedule.after(4, () => process.input(() => tell('input')));
    await schedule.pass(100);
    expect(told).toEqual([
      'work at 0, 112 on its clock',
      'input at 12, 112 on its clock',
      'put off at 12, 112 on its clock',
      'timer at 17, 117 on its clock',
    ]);
    expect([process.longest, process.lag, process.pending]).toEqual([12, 0, 0]);
  });

  it('keeps its clock from going back when it is stalled or gets another rate meanwhile', async () => {
    const schedule = new Schedule(new Trace(1));
    const process = new SimulatedProcess(schedule, 'p', 0, 2);
    process.work(10);
    expect(process.now).toBe(20);
    process.setRate(0.5);
    expect(process.now).toBe(20);
    await schedule.pass(5);
    expect([process.now, process.lag]).toEqual([20, 5]);
    await schedule.pass(7);
    expect([process.now, process.lag]).toEqual([21, 0]);
  });
});
