/** law/time-is-data, through the whole host: a stalled event loop is not silence of the peers. */

import { describe, expect, it } from 'vitest';
import { createReplica, multipaxos, raft, type Replica } from 'quorate';
import { Dice } from '../../../src/testing/random.js';
import { Schedule, SimulatedProcess } from '../../../src/testing/host-simulation/clock.js';
import { SimulatedNetwork } from '../../../src/testing/host-simulation/network.js';
import { SimulatedDisk } from '../../../src/testing/host-simulation/storage.js';
import { Trace } from '../../../src/testing/host-simulation/trace.js';

const IDS = ['a', 'b', 'c'];
const NEVER = { loss: 0, duplication: 0, holds: 0, held: 0, reports: false, scribbles: false };
const WAY = { min: 0.1, max: 1 };
const WELL = { ...NEVER, ...WAY, healed: WAY, bandwidth: Infinity, queue: 1000, maxMessageBytes: 2 ** 23 };
const MINUTE = 60_000;
const machine = (): { apply(): number; snapshot(): number; restore(): void } => ({
  apply: () => 1,
  snapshot: () => 1,
  restore: () => undefined,
});

interface Cluster {
  readonly schedule: Schedule;
  readonly network: SimulatedNetwork;
  readonly dice: Dice;
  readonly processes: ReadonlyMap<string, SimulatedProcess>;
  readonly replicas: readonly Replica[];
  close(): Promise<void>;
}

async function started(protocol: typeof raft): Promise<Cluster> {
  const trace = new Trace(1);
  const schedule = new Schedule(trace);
  const dice = new Dice(1);
  const network = new SimulatedNetwork(schedule, trace, dice.fork('network'), WELL);
  const processes = new Map(IDS.map((id) => [id, new SimulatedProcess(schedule, id, 0, 1)]));
  const replicas: Replica[] = [];
  for (const [id, process] of processes) {
    const disk = new SimulatedDisk(id, schedule, trace, dice.fork(id), { min: 0.1, max: 1, lies: false });
    void createReplica({
      id,
      members: { a: 'a', b: 'b', c: 'c' },
      protocol: protocol(),
      transport: network.transport(process),
      storage: disk.storage(process),
      machine: machine(),
      clock: process.clock,
      random: () => dice.between(0, 2 ** 32 - 1),
    }).then((replica) => replicas.push(replica));
  }
  expect(await schedule.run(() => replicas.some((replica) => replica.status().leading), MINUTE)).toBe(true);
  await schedule.pass(3000);
  const close = async (): Promise<void> => {
    let closed = false;
    void Promise.all(replicas.map((replica) => replica.close())).then(() => (closed = true));
    expect(await schedule.run(() => closed, MINUTE)).toBe(true);
  };
  return { schedule, network, dice, processes, replicas, close };
}

function isolate(network: SimulatedNetwork, id: string): void {
  for (const other of IDS) {
    network.cut(id, other);
    network.cut(other, id);
  }
}

describe.each([['raft', raft] as const, ['multipaxos', multipaxos] as const])('%s', (_, protocol) => {
  it('a leader that is cut off is replaced, so silence is noticed', async () => {
    const { schedule, network, replicas, close } = await started(protocol);
    const leader = replicas.find((replica) => replica.status().leading) as Replica;
    const others = replicas.filter((replica) => replica !== leader);
    isolate(network, leader.status().id);
    expect(await schedule.run(() => others.some((replica) => replica.status().leading), MINUTE)).toBe(true);
    await close();
  });

  it.each(['timers', 'input', 'any'] as const)(
    'a follower that stalls for 1.3 × the longest election timeout, twenty times, causes no election, %s first',
    async (order) => {
      const { schedule, dice, processes, replicas, close } = await started(protocol);
      const { term, leader } = replicas[0]?.status() as { term: number; leader: string };
      const stalled = processes.get(IDS.find((id) => id !== leader) as string) as SimulatedProcess;
      for (let round = 0; round < 20; round++) {
        stalled.stall(false);
        await schedule.pass(1.3 * 2000);
        stalled.resume(order, dice);
        await schedule.pass(700);
      }
      expect(replicas.map((replica) => replica.status().term)).toEqual([term, term, term]);
      expect(replicas.every((replica) => replica.status().leader === leader)).toBe(true);
      await close();
    },
  );

  it.each(['timers', 'input', 'any'] as const)(
    'a leader that stalls for longer than an election timeout no longer claims to lead, %s first',
    async (order) => {
      const { schedule, network, dice, processes, replicas, close } = await started(protocol);
      const leader = replicas.find((replica) => replica.status().leading) as Replica;
      const { value: before } = await leader.leadership().next();
      expect(before).toMatchObject({ leading: true });
      isolate(network, leader.status().id); // so that nobody tells it: it has to find out by itself
      const process = processes.get(leader.status().id) as SimulatedProcess;
      process.stall(false);
      await schedule.pass(1300);
      process.resume(order, dice);
      expect(before?.signal.aborted).toBe(false);
      await schedule.pass(0.1);
      expect(before?.signal.aborted).toBe(true);
      await close();
    },
  );
});
