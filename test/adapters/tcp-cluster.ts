/** Three replicas in one process, over TCP and links whose paths may die without a word. */

import {
  createReplica,
  memoryStorage,
  multipaxos,
  raft,
  type Replica,
  type ReplicaEvent,
  type StateMachine,
} from 'quorate';
import { tcpTransport } from 'quorate/node';
import type { Timing } from '../../src/core/protocol.js';
import type { Hearing, Silenceable } from '../outage.js';
import { freeAddresses } from './free-addresses.js';
import { Link } from './tcp-sockets.js';

export type ProtocolOfCluster = 'raft' | 'multipaxos';

const IDS = ['a', 'b', 'c'] as const;

function counter(): StateMachine<number, number> {
  let sum = 0;
  return { apply: (add) => (sum += add), snapshot: () => sum, restore: (to) => void (sum = to as number) };
}

export interface LinkedReplica {
  readonly id: string;
  readonly replica: Replica<StateMachine<number, number>>;
  readonly events: ReplicaEvent[];
}

export class LinkedCluster implements Silenceable {
  readonly ids = IDS;
  readonly links = new Map<string, Link>();
  readonly replicas: LinkedReplica[] = [];

  static async start(protocol: ProtocolOfCluster, timing: Partial<Timing> = {}): Promise<LinkedCluster> {
    const cluster = new LinkedCluster();
    const { links, replicas } = cluster;
    const places = await freeAddresses(IDS);
    for (const id of IDS) links.set(id, await Link.to(places.get(id) as string));
    const members = Object.fromEntries([...links].map(([id, { address }]) => [id, address]));
    for (const id of IDS) {
      const events: ReplicaEvent[] = [];
      const replica = await createReplica({
        id,
        members,
        protocol: protocol === 'raft' ? raft({ timing }) : multipaxos({ timing }),
        transport: tcpTransport({ listen: places.get(id) as string }),
        storage: memoryStorage(),
        machine: counter(),
        onEvent: (event) => events.push(event),
      });
      replicas.push({ id, replica, events });
    }
    await Promise.all(replicas.map(({ replica }) => replica.ready()));
    return cluster;
  }

  /** The paths from and to these members die: each connection that there is, or that is opened meanwhile, for good. */
  silence(ids: readonly string[]): void {
    for (const [to, link] of this.links) {
      for (const from of IDS) if (ids.includes(to) || ids.includes(from)) link.deadFor.add(from);
    }
  }

  heal(): void {
    for (const link of this.links.values()) link.deadFor.clear();
  }

  hearings(): Map<string, Hearing> {
    return new Map(this.replicas.map(({ id, replica }) => [id, replica.status()]));
  }

  commits(at: string | null): Promise<unknown> {
    const asked = this.replicas.filter(({ id }) => at === null || id === at);
    return Promise.any(asked.map(({ replica }) => replica.propose(1)));
  }

  leader(): LinkedReplica | undefined {
    return this.replicas.find(({ replica }) => replica.status().leading);
  }

  /** Resolves as soon as it holds. Rejects after `most` milliseconds. */
  async until(what: string, holds: () => boolean, most = 25_000): Promise<void> {
    const end = performance.now() + most;
    while (!holds()) {
      if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async close(): Promise<void> {
    // Nobody need hand over.
    await Promise.all(this.replicas.map(({ replica }) => replica.close({ timeout: 0 }).catch(() => undefined)));
    for (const link of this.links.values()) link.close();
  }
}
