/** Applying yields: slow commands keep no input out for longer than a slice (law/time-is-data). */

import { describe, expect, it } from 'vitest';
import { createReplica, multipaxos, raft, type Replica, type ReplicaEvent } from 'quorate';
import type { Clock } from '../../../src/replica/clock.js';
import { Dice } from '../../../src/testing/random.js';
import { Schedule, SimulatedProcess } from '../../../src/testing/host-simulation/clock.js';
import { SimulatedNetwork } from '../../../src/testing/host-simulation/network.js';
import { SimulatedDisk } from '../../../src/testing/host-simulation/storage.js';
import { Trace } from '../../../src/testing/host-simulation/trace.js';

const IDS = ['a', 'b', 'c'];
const NEVER = {
  loss: 0,
  duplication: 0,
  holds: 0,
  held: 0,
  reports: false,
  scribbles: false,
  bandwidth: Infinity,
  healed: { min: 0.1, max: 1 },
};
const WELL = { ...NEVER, min: 0.1, max: 1, queue: 100_000, maxMessageBytes: 2 ** 23 };
const MINUTE = 60_000;

/**
 * A process whose commands take time: its clock runs ahead while it applies, and its event loop stands still until the
 * world has caught up.
 */
class SlowProcess {
  /** How long it has been busy in this turn. */
  busy = 0;
  longest = 0;
  applied = 0;
  readonly clock: Clock;
  private catchingUp = false;

  constructor(schedule: Schedule, process: SimulatedProcess, dice: Dice) {
    const { clock } = process;
    const settle = (): void => {
      if (this.busy === 0 || this.catchingUp) return;
      this.catchingUp = true;
      const { busy } = this;
      process.stall(false);
      schedule.after(busy, () => {
        this.longest = Math.max(this.longest, busy);
        this.busy = 0;
        this.catchingUp = false;
        process.resume('input', dice);
      });
    };
    this.clock = {
      now: () => clock.now() + this.busy,
      after: (delay, callback) => clock.after(delay, callback),
      soon: (callback) => clock.soon(callback),
    };
    this.take = (cost) => {
      this.busy += cost;
      this.applied += 1;
      queueMicrotask(settle);
    };
  }

  readonly take: (cost: number) => void;
}

async function cluster(protocol: typeof raft, cost: number) {
  const trace = new Trace(1);
  const schedule = new Schedule(trace);
  const dice = new Dice(1);
  const network = new SimulatedNetwork(schedule, trace, dice.fork('network'), WELL);
  const replicas: Replica[] = [];
  const processes: SlowProcess[] = [];
  const events: ReplicaEvent[] = [];
  for (const id of IDS) {
    const process = new SimulatedProcess(schedule, id, 0, 1);
    const slow = new SlowProcess(schedule, process, dice.fork(id));
    processes.push(slow);
    const disk = new SimulatedDisk(id, schedule, trace, dice.fork(`${id} disk`), { min: 0.1, max: 1, lies: false });
    const machine = {
      apply: () => (slow.take(cost), slow.applied),
      snapshot: () => 0,
      restore: () => undefined,
    };
    void createReplica({
      id,
      members: { a: 'a', b: 'b', c: 'c' },
      protocol: protocol(),
      transport: network.transport(process),
      storage: disk.storage(process),
      machine,
      clock: slow.clock,
      random: () => dice.between(0, 2 ** 32 - 1),
      onEvent: (event) => events.push(event),
    }).then((replica) => replicas.push(replica));
  }
  const led = (): Replica | undefined => replicas.find((replica) => replica.status().leading);
  expect(await schedule.run(() => replicas.length === 3 && led() !== undefined, MINUTE)).toBe(true);
  await schedule.pass(3000);
  return { schedule, replicas, processes, events, leader: led() as Replica };
}

describe.each([['raft', raft] as const, ['multipaxos', multipaxos] as const])('%s', (_, protocol) => {
  it.each(['leader', 'follower'])(
    '4,000 commands of 0.5 ms at a %s depose nobody, and keep input out for a slice',
    async (at) => {
      const { schedule, replicas, processes, events, leader } = await cluster(protocol, 0.5);
      const asked = at === 'leader' ? leader : (replicas.find((replica) => replica !== leader) as Replica);
      const { term } = leader.status();
      let done = 0;
      for (let i = 0; i < 4000; i++) void asked.propose(i).then(() => (done += 1));
      events.length = 0;
      expect(await schedule.run(() => done === 4000, MINUTE)).toBe(true);
      await schedule.pass(3000);
      expect(processes.map(({ applied }) => applied)).toEqual([4000, 4000, 4000]);
      for (const { longest } of processes) expect(longest).toBeLessThanOrEqual(20);
      expect(events).toEqual([]);
      expect(replicas.map((replica) => replica.status().term)).toEqual([term, term, term]);
    },
  );

  it('a replica that closes in the middle of a burst applies no more', async () => {
    const { schedule, processes, leader } = await cluster(protocol, 5);
    const outcomes: unknown[] = [];
    for (let i = 0; i < 100; i++) {
      void leader.propose(i).then(
        () => outcomes.push('done'),
        (error: { code: string; outcome: string }) => outcomes.push(`${error.code} ${error.outcome}`),
      );
    }
    const own = processes[IDS.indexOf(leader.status().id)] as SlowProcess;
    expect(await schedule.run(() => own.applied > 10, MINUTE)).toBe(true);
    const { applied } = own;
    let closed = false;
    void leader.close().then(() => (closed = true));
    expect(await schedule.run(() => closed && outcomes.length === 100, MINUTE)).toBe(true);
    await schedule.pass(1000);
    expect(own.applied).toBe(applied);
    expect(outcomes.filter((each) => each === 'done').length).toBeLessThanOrEqual(applied);
    expect(outcomes.at(-1)).toBe('ERR_CLOSED unknown');
  });
});
