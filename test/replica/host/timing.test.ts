/** law/timing-assumption through the public API: what takes too long is told, by every replica and in either protocol. */

import { describe, expect, it } from 'vitest';
import { multipaxos, raft, type Replica, type ReplicaEvent } from 'quorate';
import { MINUTE, SimulatedCluster } from './cluster.js';

const BOUND = 500;
/** As long as a measurement speaks at most. */
const MEMORY = 2 * 8 * 2000;

type TimingEvent = Extract<ReplicaEvent, { kind: 'timing' }>;

const timings = (events: readonly ReplicaEvent[]): readonly TimingEvent[] =>
  events.filter((event): event is TimingEvent => event.kind === 'timing');

/** What a promise was rejected with; `null` if it was not. */
const caught = (promise?: Promise<unknown>): Promise<unknown> =>
  Promise.resolve(promise).then(
    () => null,
    (error: unknown) => error,
  );

async function started(cluster: SimulatedCluster): Promise<void> {
  expect(await cluster.schedule.run(() => cluster.replicas.length === 3, MINUTE)).toBe(true);
}

describe.each([['raft', raft] as const, ['multipaxos', multipaxos] as const])('%s', (_, protocol) => {
  it('a disk of 1.5 s a sync, with which nobody may ever lead: each says why, once, until it is quick again', async () => {
    const cluster = new SimulatedCluster(protocol, { disk: { min: 1500, max: 1500 } });
    await started(cluster);
    const heard: TimingEvent[] = [];
    for (const replica of cluster.replicas) replica.on('timing', (event) => heard.push(event));
    await cluster.schedule.pass(5 * MINUTE);
    for (const { events } of cluster.members) {
      expect(timings(events)).toMatchObject([{ holds: false, part: 'storage', bound: BOUND, peer: null }]);
    }
    for (const replica of cluster.replicas) {
      const { timing } = replica.status();
      expect(timing).toMatchObject({ holds: false, bound: BOUND });
      expect(Math.round(timing.storage)).toBe(1500);
      expect(Math.round(timing.total)).toBeGreaterThanOrEqual(1500);
    }
    expect(heard.length).toBeLessThanOrEqual(3); // those of the start may have come before
    for (const { disk } of cluster.members) disk.slowness = 0.001;
    await cluster.led();
    const writes: Promise<unknown>[] = [];
    for (let round = 0; round < 5; round++) {
      writes.push(caught(cluster.replicas[0]?.propose(round)));
      await cluster.schedule.pass(MEMORY / 4);
    }
    await cluster.schedule.pass(MEMORY);
    writes.push(caught(cluster.replicas[0]?.propose(6)));
    await cluster.schedule.pass(MEMORY);
    expect(await Promise.all(writes)).toEqual(Array(6).fill(null));
    for (const { events } of cluster.members) {
      expect(timings(events).map(({ holds }) => holds)).toEqual([false, true]);
    }
    expect(cluster.replicas.every((replica) => replica.status().timing.holds)).toBe(true);
    await cluster.close();
  });

  it('a link of 300 ms each way: the round trip is told with its peer, without what the disks take', async () => {
    const cluster = new SimulatedCluster(protocol, { way: { min: 300, max: 300 }, disk: { min: 150, max: 150 } });
    await started(cluster);
    await cluster.schedule.pass(MINUTE);
    for (const { events } of cluster.members) {
      expect(timings(events).map(({ holds, part, peer }) => [holds, part, typeof peer])).toEqual([
        [false, 'round-trip', 'string'],
      ]);
    }
    const known = cluster.replicas.flatMap((replica) =>
      replica.status().timing.roundTrips.filter(({ time }) => time > 0),
    );
    expect(known.length).toBeGreaterThanOrEqual(4); // the leader with both, each with the leader
    for (const { time } of known) expect(Math.abs(time - 601)).toBeLessThanOrEqual(1);
    await cluster.close();
  });

  it('a process that stands still for longer says so', async () => {
    const cluster = new SimulatedCluster(protocol);
    const leader = await cluster.led();
    const follower = cluster.replicas.find((replica) => replica !== leader) as Replica;
    const { process, events } = cluster.member(follower);
    process.stall(false);
    await cluster.schedule.pass(3 * 2000);
    process.resume('timers', cluster.dice);
    await cluster.schedule.pass(1000);
    expect(timings(events)).toMatchObject([{ holds: false }]);
    expect(follower.status().timing.host).toBeGreaterThan(2000);
    await cluster.close();
  });

  it('ordinary load on ordinary links and disks is measured, and nothing is told', async () => {
    const cluster = new SimulatedCluster(protocol, { way: { min: 10, max: 20 }, disk: { min: 5, max: 25 } });
    await cluster.led();
    let done = 0;
    const refused: unknown[] = [];
    for (let round = 0; round < 40; round++) {
      for (const replica of cluster.replicas) {
        for (let i = 0; i < 25; i++) {
          void replica.propose(i).then(
            () => done++,
            (error) => refused.push(error),
          );
        }
      }
      await cluster.schedule.pass(250);
    }
    expect(await cluster.schedule.run(() => done + refused.length === 3000, MINUTE)).toBe(true);
    expect(refused).toEqual([]);
    expect(cluster.members.flatMap(({ events }) => timings(events))).toEqual([]);
    for (const replica of cluster.replicas) {
      const { timing } = replica.status();
      expect(timing).toMatchObject({ holds: true, bound: BOUND });
      expect(timing.storage).toBeGreaterThanOrEqual(5);
      expect(timing.storage).toBeLessThanOrEqual(25);
      const times = timing.roundTrips.map(({ time }) => time).filter((time) => time > 0);
      expect(times.length).toBeGreaterThanOrEqual(1);
      for (const time of times) expect(time).toBeLessThanOrEqual(45);
    }
    await cluster.close();
  });
});
