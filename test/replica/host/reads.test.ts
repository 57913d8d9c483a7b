/** Stale reads with a bound on their age: served when the state here is as fresh as they ask for, and not before. */

import { describe, expect, it } from 'vitest';
import { multipaxos, raft, type Replica } from 'quorate';
import { MINUTE, SimulatedCluster } from './cluster.js';

const WAY = { min: 1, max: 20 };

/** A read of this age, and how it ended. */
function ask(replica: Replica, maxAge: number): { served: boolean; error: string | null } {
  const end: { served: boolean; error: string | null } = { served: false, error: null };
  replica
    .read(() => undefined, { consistency: 'stale', maxAge })
    .then(
      () => (end.served = true),
      (error: { code: string }) => (end.error = error.code),
    );
  return end;
}

describe.each([['raft', raft] as const, ['multipaxos', multipaxos] as const])('%s', (_, protocol) => {
  it('reads of every consistency that are asked in one turn are served, with a leader and before there is one', async () => {
    const cluster = new SimulatedCluster(protocol, { way: WAY });
    let served = 0;
    const refused: unknown[] = [];
    const ask = (): void => {
      for (const replica of cluster.replicas) {
        for (const consistency of ['linearizable', 'lease', 'linearizable', 'stale', 'lease', 'lease'] as const) {
          replica.read(() => served++, { consistency }).catch((error: unknown) => refused.push(error));
        }
      }
    };
    expect(await cluster.schedule.run(() => cluster.replicas.length === 3, MINUTE)).toBe(true);
    expect(cluster.replicas.some((replica) => replica.status().leader !== null)).toBe(false);
    ask();
    expect(await cluster.schedule.run(() => served === 18, MINUTE)).toBe(true);
    ask();
    expect(await cluster.schedule.run(() => served === 36, MINUTE)).toBe(true);
    expect(refused).toEqual([]);
    await cluster.close();
  });
});

describe.each([['raft', raft] as const, ['multipaxos', multipaxos] as const])('%s', (_, protocol) => {
  it('every member serves them while it hears the leader, the leader too', async () => {
    const cluster = new SimulatedCluster(protocol, { way: WAY });
    await cluster.led();
    for (const maxAge of [0, 10, 100, 200]) {
      const ends = cluster.replicas.map((replica) => ask(replica, maxAge));
      expect(await cluster.schedule.run(() => ends.every(({ served }) => served), 200)).toBe(true);
    }
    await cluster.close();
  });

  it('who is cut off serves what is fresh enough, then waits, and goes on when it is back', async () => {
    const cluster = new SimulatedCluster(protocol, { way: WAY });
    const leader = await cluster.led();
    const { schedule, replicas } = cluster;
    for (const replica of [leader, replicas.find((each) => each !== leader) as Replica]) {
      const { id } = replica.status();
      cluster.isolate(id);
      await schedule.pass(100);
      const early = ask(replica, 500);
      await schedule.pass(1);
      expect(early.served).toBe(true);
      await schedule.pass(500);
      const late = ask(replica, 500);
      await schedule.pass(5000);
      expect(late).toEqual({ served: false, error: null });
      expect(ask(replica, Infinity)).toMatchObject({ error: null });
      cluster.network.heal();
      expect(await schedule.run(() => late.served, 5000)).toBe(true);
      await schedule.pass(3000);
    }
    await cluster.close();
  });

  it.each([true, false])('and lease reads, with wall clocks that can be read: %s', async (canRead) => {
    const cluster = new SimulatedCluster(protocol, { way: WAY, constants: { leaseReads: 900 } });
    const leader = await cluster.led();
    const { schedule, replicas, members } = cluster;
    if (!canRead) for (const { process } of members) process.wrong = () => NaN;
    await schedule.pass(1000);
    for (const replica of [leader, replicas.find((each) => each !== leader) as Replica]) {
      cluster.isolate(replica.status().id);
      await schedule.pass(WAY.max);
      let isServed = false;
      if (replica === leader) void replica.read(() => 1, { consistency: 'lease' }).then(() => (isServed = true));
      else void replica.read(() => 1, { consistency: 'stale', maxAge: 500 }).then(() => (isServed = true));
      await schedule.pass(1);
      expect(isServed).toBe(canRead);
      cluster.network.heal();
      expect(await schedule.run(() => isServed, 5000)).toBe(true);
    }
    expect(members.flatMap(({ events }) => events.filter(({ kind }) => kind === 'fault'))).toEqual([]);
    await cluster.close();
  });

  it('time out without a leader', async () => {
    const cluster = new SimulatedCluster(protocol, { way: WAY });
    const leader = await cluster.led();
    cluster.isolate(leader.status().id);
    await cluster.schedule.pass(1000);
    const end = ask(leader, 500);
    expect(await cluster.schedule.run(() => end.error !== null, MINUTE)).toBe(true);
    expect(end).toEqual({ served: false, error: 'ERR_TIMEOUT' });
    await cluster.close();
  });

  it('see all that was acknowledged before so long ago', async () => {
    const cluster = new SimulatedCluster(protocol, { way: WAY });
    const leader = await cluster.led();
    const { schedule, dice, replicas } = cluster;
    const acknowledged: { readonly index: number; readonly at: number }[] = [];
    const refused: unknown[] = [];
    let served = 0;
    for (let round = 0; round < 400; round++) {
      void leader.propose(round, { meta: true }).then(
        ({ index }) => acknowledged.push({ index, at: schedule.now }),
        (error) => refused.push(error),
      );
      const replica = dice.pick(replicas);
      const maxAge = dice.between(0, 300);
      void replica
        .read(() => replica.status().applied, { consistency: 'stale', maxAge })
        .then((applied) => {
          const old = acknowledged.filter(({ at }) => at <= schedule.now - maxAge - WAY.max);
          expect(applied).toBeGreaterThanOrEqual(old.at(-1)?.index ?? 0);
          served++;
        })
        .catch((error: unknown) => refused.push(error));
      await schedule.pass(dice.between(0, 20));
    }
    await schedule.run(() => served + acknowledged.length + refused.length === 800, 1000);
    expect([served, acknowledged.length, refused]).toEqual([400, 400, []]);
    await cluster.close();
  });
});
