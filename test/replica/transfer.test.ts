/** Transfer, step-down, closing, readiness, barriers and proofs of leadership of whole replicas, in one process. */

import { describe, expect, it } from 'vitest';
import {
  createReplica,
  memoryNetwork,
  memoryStorage,
  multipaxos,
  raft,
  type MemoryNetwork,
  type Replica,
  type Storage,
} from 'quorate';

class Counter {
  value = 0;
  apply(command: { add: number }): number {
    return (this.value += command.add);
  }
  snapshot(): number {
    return this.value;
  }
  restore(value: number): void {
    this.value = value;
  }
}

type Node = Replica<Counter>;
const timing = { heartbeat: 30, electionMin: 200, electionMax: 400 };
const MEMBERS = { a: 'a', b: 'b', c: 'c' };
const COMMANDS = 400;

interface Cluster {
  readonly nodes: Map<string, Node>;
  readonly storages: Map<string, Storage>;
  readonly network: MemoryNetwork;
  start(id: string): Promise<Node>;
}

async function cluster(protocol: typeof raft, work: (cluster: Cluster, leader: Node) => Promise<void>): Promise<void> {
  const network = memoryNetwork();
  const nodes = new Map<string, Node>();
  const storages = new Map(Object.keys(MEMBERS).map((id) => [id, memoryStorage() as Storage]));
  const start = async (id: string): Promise<Node> => {
    const storage = storages.get(id) as Storage;
    const given = { id, members: MEMBERS, transport: network.transport(), storage, machine: new Counter() };
    const node = await createReplica({ ...given, protocol: protocol({ timing }) });
    nodes.set(id, node);
    return node;
  };
  await Promise.all(Object.keys(MEMBERS).map(start));
  try {
    await Promise.all([...nodes.values()].map((node) => node.ready()));
    const { leader } = (nodes.get('a') as Node).status();
    await work({ nodes, storages, network, start }, nodes.get(leader as string) as Node);
  } finally {
    await Promise.all([...nodes.values()].map((node) => node.close({ timeout: 0 })));
  }
}

function othersOf({ nodes }: Cluster, leader: Node): Node[] {
  return [...nodes.values()].filter((node) => node !== leader);
}

const idOf = (node: Node): string => node.status().id;

describe.each([
  ['raft', raft],
  ['multipaxos', multipaxos],
] as const)('%s', (_, protocol) => {
  it('transfers to the member that is named, and no request fails meanwhile', () =>
    cluster(protocol, async (all, leader) => {
      const [target, other] = othersOf(all, leader) as [Node, Node];
      const results: Promise<number>[] = [];
      const propose = (): void => [leader, target, other].forEach((node) => results.push(node.propose({ add: 1 })));
      for (let at = 0; at < 50; at++) propose();
      const moved = leader.transfer({ to: idOf(target) });
      for (let at = 0; at < 50; at++) propose();
      expect(await moved).toBe(idOf(target));
      expect(target.status().role).toBe('leader');
      const given = await Promise.all(results);
      expect([...given].sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (__, at) => at + 1));
    }));

  it('steps down for the best candidate, and says who can be asked', () =>
    cluster(protocol, async (all, leader) => {
      await leader.stepDown();
      expect(leader.status().leader).not.toBe(idOf(leader));
      const [other] = othersOf(all, leader) as [Node];
      const follower = [leader, other].find((node) => node.status().role !== 'leader') as Node;
      await expect(follower.transfer()).rejects.toMatchObject({ code: 'ERR_NOT_LEADER', outcome: 'none' });
      // Nothing of it waits on, whoever asks how often.
      const { signal } = new AbortController();
      for (let at = 0; at < 10; at++)
        await expect(follower.verifyLeader({ signal })).rejects.toMatchObject({ code: 'ERR_NOT_LEADER' });
      expect(follower.status().waiting).toBe(0);
      expect(() => leader.transfer({ to: 'x' })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
      expect(() => leader.transfer({ timeout: 0 })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
      expect(() => leader.close({ timeout: -1 })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    }));

  it('a transfer to itself is done; one that cannot succeed says so, and the leader leads on', () =>
    cluster(protocol, async (all, leader) => {
      expect(await leader.transfer({ to: idOf(leader) })).toBe(idOf(leader));
      const [gone, left] = othersOf(all, leader) as [Node, Node];
      all.network.disconnect(idOf(leader), idOf(gone));
      const late = leader.transfer({ to: idOf(gone), timeout: 100 });
      await expect(late).rejects.toMatchObject({ code: /ERR_(TIMEOUT|OUTCOME_UNKNOWN)/ });
      const abort = new AbortController();
      const aborted = leader.transfer({ to: idOf(gone), signal: abort.signal, timeout: 60_000 });
      abort.abort();
      await expect(aborted).rejects.toMatchObject({ code: 'ERR_OUTCOME_UNKNOWN' });
      expect(await left.propose({ add: 1 })).toBe(1);
      await leader.verifyLeader();
    }));

  it('a rolling restart under load fails no request', () =>
    cluster(protocol, async (all) => {
      let acknowledged = 0;
      let stopped = false;
      const clients = ['a', 'b', 'c'].map(async (id) => {
        while (!stopped) {
          const node = all.nodes.get(id) as Node;
          try {
            await node.propose({ add: 1 });
            acknowledged++;
          } catch (error) {
            // The one that is closing takes nothing new, and its clients wait for it.
            if ((error as { code?: string }).code !== 'ERR_CLOSED') throw error;
            expect(error).toMatchObject({ outcome: 'none' });
            await new Promise((resolve) => setImmediate(resolve));
          }
        }
      });
      for (const id of ['a', 'b', 'c']) {
        const before = acknowledged;
        await (all.nodes.get(id) as Node).close();
        await (await all.start(id)).ready();
        while (acknowledged < before + COMMANDS) await new Promise((resolve) => setImmediate(resolve));
      }
      stopped = true;
      await Promise.all(clients);
      const node = all.nodes.get('a') as Node;
      expect(await node.read(({ value }) => value)).toBe(acknowledged);
    }));

  it('closing drains the own callers, takes nothing new, and ends at once with nobody to hand over to', () =>
    cluster(protocol, async (all, leader) => {
      const waiting = Array.from({ length: 20 }, () => leader.propose({ add: 1 }));
      const closed = leader.close();
      expect(() => leader.propose({ add: 1 })).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
      expect(() => leader.transfer()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
      expect(new Set(await Promise.all(waiting)).size).toBe(20);
      await closed;
      await Promise.all(othersOf(all, leader).map((node) => node.close()));
    }));

  it('ready, barrier and verifyLeader', () =>
    cluster(protocol, async (all, leader) => {
      const [other, third] = othersOf(all, leader) as [Node, Node];
      const value = await leader.propose({ add: 7 });
      await other.barrier();
      expect(await other.read((machine) => machine.value, { consistency: 'stale' })).toBe(value);
      await leader.verifyLeader();
      await leader.ready();
      // Without a quorum none of them resolves.
      all.network.disconnect(idOf(leader), idOf(other));
      all.network.disconnect(idOf(leader), idOf(third));
      const abort = new AbortController();
      const waits = [leader.ready(abort), leader.barrier(abort), leader.verifyLeader(abort)];
      waits.forEach((wait) => wait.catch(() => undefined));
      await expect(waits[2]).rejects.toMatchObject({ code: 'ERR_NOT_LEADER', outcome: 'none' });
      expect(leader.status().leading).toBe(false);
      while (leader.status().waiting > 2) await new Promise((resolve) => setImmediate(resolve));
      abort.abort();
      const ended = await Promise.allSettled(waits);
      expect(ended.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    }));

  it('a leader whose disk hangs says so, and another one leads', () =>
    cluster(protocol, async (all, leader) => {
      const stalled = new Promise((resolve) => leader.on('stalled', resolve));
      (all.storages.get(idOf(leader)) as Storage).write = () => new Promise(() => undefined);
      const [other] = othersOf(all, leader) as [Node];
      expect(await other.propose({ add: 1 })).toBe(1);
      expect(await stalled).toMatchObject({ kind: 'stalled' });
      while (other.status().leader === idOf(leader)) await new Promise((resolve) => setImmediate(resolve));
      await other.barrier();
    }));
});
