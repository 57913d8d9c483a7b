/** Law 3, through the whole host: a stalled event loop is not silence of the peers (js-anchors 5). */

import { describe, expect, it } from 'vitest';
import { createReplica, memoryNetwork, memoryStorage, multipaxos, raft, type Replica } from 'quorate';
import { FakeTime } from './fake-time.js';

const IDS = ['a', 'b', 'c'];
const machine = (): { apply(): number; snapshot(): number; restore(): void } => ({
  apply: () => 1,
  snapshot: () => 1,
  restore: () => undefined,
});

async function started(
  protocol: typeof raft,
): Promise<{ time: FakeTime; network: ReturnType<typeof memoryNetwork>; replicas: Replica[] }> {
  const time = new FakeTime();
  const network = memoryNetwork();
  const replicas: Replica[] = [];
  for (const id of IDS) {
    replicas.push(
      await createReplica({
        id,
        members: { a: 'a', b: 'b', c: 'c' },
        protocol: protocol(),
        transport: time.stallable(id, network.transport()),
        storage: memoryStorage(),
        machine: machine(),
        clock: time.clock(id),
        seed: id.charCodeAt(0),
      }),
    );
  }
  await time.until(() => replicas.some((replica) => replica.status().leading));
  await time.pass(3000);
  return { time, network, replicas };
}

describe.each([['raft', raft] as const, ['multipaxos', multipaxos] as const])('%s', (_, protocol) => {
  it('a leader that is cut off is replaced, so silence is noticed', async () => {
    const { time, network, replicas } = await started(protocol);
    const leader = replicas.find((replica) => replica.status().leading) as Replica;
    const others = replicas.filter((replica) => replica !== leader);
    for (const other of others) network.disconnect(leader.status().id, other.status().id);
    await time.until(() => others.some((replica) => replica.status().leading));
    await Promise.all(replicas.map((replica) => replica.close()));
  });

  it('a follower that stalls for 1.3 × the longest election timeout, twenty times, causes no election', async () => {
    const { time, replicas } = await started(protocol);
    const { term, leader } = replicas[0]?.status() as { term: number; leader: string };
    const stalled = IDS.find((id) => id !== leader) as string;
    for (let round = 0; round < 20; round++) {
      time.stall(stalled);
      await time.pass(1.3 * 2000);
      time.resume(stalled);
      await time.pass(700);
    }
    expect(replicas.map((replica) => replica.status().term)).toEqual([term, term, term]);
    expect(replicas.every((replica) => replica.status().leader === leader)).toBe(true);
    await Promise.all(replicas.map((replica) => replica.close()));
  });
});
