/** Snapshots that stream in the host simulation: they fail where they are told to, and stop with their process. */

import { expect, it } from 'vitest';
import { Schedule, SimulatedProcess } from '../../../src/testing/host-simulation/clock.js';
import { CommandLedger, StreamingHostMachine } from '../../../src/testing/host-simulation/machine.js';
import { Trace } from '../../../src/testing/host-simulation/trace.js';
import { Dice } from '../../../src/testing/random.js';

/** Fails at this byte. */
class FailingAt extends Dice {
  private readonly byte: number;
  private isTold = false;

  constructor(byte: number) {
    super(byte);
    this.byte = byte;
  }

  override chance(): boolean {
    return true;
  }

  override between(min: number, max: number): number {
    if (this.isTold) return super.between(min, max);
    this.isTold = true;
    return Math.min(this.byte, max);
  }
}

async function bytesBeforeFailure(byte: number): Promise<{ given: number; failed: boolean }> {
  const trace = new Trace(1);
  const habits = { dice: new FailingAt(byte), trace, pause: () => Promise.resolve() };
  const machine = new StreamingHostMachine('a', new CommandLedger(trace), () => undefined, habits);
  let given = 0;
  try {
    for await (const chunk of machine.snapshot()) given += chunk.length;
  } catch {
    return { given, failed: true };
  }
  return { given, failed: false };
}

it('a stream that is to fail at a byte gives those before it, and fails', async () => {
  const { given: length } = await bytesBeforeFailure(Infinity);
  expect(length).toBeGreaterThan(20);
  for (let byte = 0; byte <= length; byte++) {
    expect(await bytesBeforeFailure(byte)).toEqual({ given: byte, failed: true });
  }
});

it('what a process waits for comes when it runs again, and never to one that was killed', async () => {
  const schedule = new Schedule(new Trace(1));
  const told: string[] = [];
  const [stalled, killed] = ['stalled', 'killed'].map((name) => new SimulatedProcess(schedule, name, 0, 1)) as [
    SimulatedProcess,
    SimulatedProcess,
  ];
  for (const process of [stalled, killed]) {
    void process.pause(10).then(() => told.push(`${process.name} at ${schedule.now}`));
  }
  stalled.stall(false);
  killed.kill();
  await schedule.pass(100);
  expect(told).toEqual([]);
  stalled.resume('input', new Dice(1));
  await schedule.pass(100);
  expect(told).toEqual(['stalled at 100']);
});
