/** law/time-is-data, through the whole host: a stalled event loop is not silence of the peers. */

import { describe, expect, it } from 'vitest';
import { multipaxos, raft } from 'quorate';
import { IDS, MINUTE, SimulatedCluster } from './cluster.js';

describe.each([['raft', raft] as const, ['multipaxos', multipaxos] as const])('%s', (_, protocol) => {
  it('a leader that is cut off is replaced, so silence is noticed', async () => {
    const cluster = new SimulatedCluster(protocol);
    const leader = await cluster.led();
    const { schedule, replicas } = cluster;
    const others = replicas.filter((replica) => replica !== leader);
    cluster.isolate(leader.status().id);
    expect(await schedule.run(() => others.some((replica) => replica.status().leading), MINUTE)).toBe(true);
    await cluster.close();
  });

  it.each(['timers', 'input', 'any'] as const)(
    'a follower that stalls for 1.3 × the longest election timeout, twenty times, causes no election, %s first',
    async (order) => {
      const cluster = new SimulatedCluster(protocol);
      await cluster.led();
      const { schedule, dice, replicas } = cluster;
      const { term, leader } = replicas[0]?.status() as { term: number; leader: string };
      const { process: stalled } = cluster.member(IDS.find((id) => id !== leader) as string);
      for (let round = 0; round < 20; round++) {
        stalled.stall(false);
        await schedule.pass(1.3 * 2000);
        stalled.resume(order, dice);
        await schedule.pass(700);
      }
      expect(replicas.map((replica) => replica.status().term)).toEqual([term, term, term]);
      expect(replicas.every((replica) => replica.status().leader === leader)).toBe(true);
      await cluster.close();
    },
  );

  it.each(['timers', 'input', 'any'] as const)(
    'a leader that stalls for longer than an election timeout no longer claims to lead, %s first',
    async (order) => {
      const cluster = new SimulatedCluster(protocol);
      const leader = await cluster.led();
      const { schedule, dice } = cluster;
      const { value: before } = await leader.leadership().next();
      expect(before).toMatchObject({ leading: true });
      cluster.isolate(leader.status().id); // so that nobody tells it: it has to find out by itself
      const { process } = cluster.member(leader);
      process.stall(false);
      await schedule.pass(1300);
      process.resume(order, dice);
      expect(before?.signal.aborted).toBe(false);
      await schedule.pass(0.1);
      expect(before?.signal.aborted).toBe(true);
      await cluster.close();
    },
  );
});
