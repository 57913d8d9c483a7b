/** Applying yields: slow commands keep no input out for longer than a slice (law/time-is-data). */

import { describe, expect, it } from 'vitest';
import { multipaxos, raft, type Clock, type Replica, type ReplicaEvent } from 'quorate';
import type { Schedule, SimulatedProcess } from '../../../src/testing/host-simulation/clock.js';
import type { Dice } from '../../../src/testing/random.js';
import { IDS, MINUTE, SimulatedCluster } from './cluster.js';

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
      wall: () => clock.wall(),
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

async function started(protocol: typeof raft, cost: number) {
  const processes: SlowProcess[] = [];
  const cluster = new SimulatedCluster(protocol, {
    equip(process, schedule, dice) {
      const slow = new SlowProcess(schedule, process, dice);
      processes.push(slow);
      const apply = (): number => (slow.take(cost), slow.applied);
      return { clock: slow.clock, machine: { apply, snapshot: () => 0, restore: () => undefined } };
    },
  });
  const leader = await cluster.led();
  const { schedule, replicas, members } = cluster;
  const events = (): readonly ReplicaEvent[] => members.flatMap((member) => member.events);
  return { schedule, replicas, processes, events, leader };
}

describe.each([['raft', raft] as const, ['multipaxos', multipaxos] as const])('%s', (_, protocol) => {
  it.each(['leader', 'follower'])(
    '4,000 commands of 0.5 ms at a %s depose nobody, and keep input out for a slice',
    async (at) => {
      const { schedule, replicas, processes, events, leader } = await started(protocol, 0.5);
      const asked = at === 'leader' ? leader : (replicas.find((replica) => replica !== leader) as Replica);
      const { term } = leader.status();
      let done = 0;
      const refused: unknown[] = [];
      for (let i = 0; i < 4000; i++) {
        void asked.propose(i).then(
          () => (done += 1),
          (error) => refused.push(error),
        );
      }
      const before = events().length;
      expect(await schedule.run(() => done + refused.length === 4000, MINUTE)).toBe(true);
      expect(refused).toEqual([]);
      await schedule.pass(3000);
      expect(processes.map(({ applied }) => applied)).toEqual([4000, 4000, 4000]);
      for (const { longest } of processes) expect(longest).toBeLessThanOrEqual(20);
      expect(events().length).toBe(before);
      expect(replicas.map((replica) => replica.status().term)).toEqual([term, term, term]);
    },
  );

  it('a replica that closes in the middle of a burst applies no more', async () => {
    const { schedule, processes, leader } = await started(protocol, 5);
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
    void leader.close({ timeout: 0 }).then(() => (closed = true));
    expect(await schedule.run(() => closed && outcomes.length === 100, MINUTE)).toBe(true);
    await schedule.pass(1000);
    expect(own.applied).toBe(applied);
    expect(outcomes.filter((each) => each === 'done').length).toBeLessThanOrEqual(applied);
    expect(outcomes.at(-1)).toBe('ERR_CLOSED unknown');
  });
});
