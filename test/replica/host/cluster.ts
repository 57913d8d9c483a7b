/** Three replicas over the simulated clock, network and disks: everything is real but time. */

import { expect } from 'vitest';
import { createReplica, raft, type Clock, type Replica, type ReplicaEvent, type StateMachine } from 'quorate';
import { Schedule, SimulatedProcess } from '../../../src/testing/host-simulation/clock.js';
import { SimulatedNetwork } from '../../../src/testing/host-simulation/network.js';
import { SimulatedDisk } from '../../../src/testing/host-simulation/storage.js';
import { Trace } from '../../../src/testing/host-simulation/trace.js';
import { Dice } from '../../../src/testing/random.js';

export const IDS: readonly string[] = ['a', 'b', 'c'];
export const MINUTE = 60_000;

const MEMBERS = { a: 'a', b: 'b', c: 'c' };
const NEVER = { loss: 0, duplication: 0, holds: 0, held: 0, reports: false, scribbles: false };

/** In milliseconds. */
interface Span {
  readonly min: number;
  readonly max: number;
}

const QUICK: Span = { min: 0.1, max: 1 };

/** The process of one replica, and what it runs. */
export interface ClusterMember {
  readonly id: string;
  readonly process: SimulatedProcess;
  readonly disk: SimulatedDisk;
  readonly events: ReplicaEvent[];
}

interface ClusterOptions {
  /** What a message takes, one way, and what a write does. */
  readonly way?: Span;
  readonly disk?: Span;
  /** The clock and the machine of a replica, if they are not the process's own and one that counts. */
  readonly equip?: (
    process: SimulatedProcess,
    schedule: Schedule,
    dice: Dice,
  ) => { readonly clock: Clock; readonly machine: StateMachine<unknown, unknown> };
}

function counter(): StateMachine<unknown, unknown> {
  let count = 0;
  return { apply: () => ++count, snapshot: () => count, restore: () => undefined };
}

export class SimulatedCluster {
  readonly schedule: Schedule;
  readonly network: SimulatedNetwork;
  readonly dice = new Dice(1);
  readonly members: readonly ClusterMember[];
  /** In the order in which they started. */
  readonly replicas: Replica[] = [];

  constructor(protocol: typeof raft, { way = QUICK, disk = QUICK, equip }: ClusterOptions = {}) {
    const trace = new Trace(1);
    const { dice } = this;
    this.schedule = new Schedule(trace);
    const links = { ...NEVER, ...way, healed: way, bandwidth: Infinity, queue: 100_000, maxMessageBytes: 2 ** 23 };
    this.network = new SimulatedNetwork(this.schedule, trace, dice.fork('network'), links);
    this.members = IDS.map((id) => {
      const process = new SimulatedProcess(this.schedule, id, 0, 1);
      const habits = { ...disk, load: disk, lies: false };
      const own = new SimulatedDisk(id, this.schedule, trace, dice.fork(`${id} disk`), habits);
      const events: ReplicaEvent[] = [];
      void createReplica({
        id,
        members: MEMBERS,
        protocol: protocol(),
        transport: this.network.transport(process),
        storage: own.storage(process),
        ...(equip?.(process, this.schedule, dice.fork(id)) ?? { clock: process.clock, machine: counter() }),
        random: () => dice.between(0, 2 ** 32 - 1),
        onEvent: (event) => events.push(event),
      }).then((replica) => this.replicas.push(replica));
      return { id, process, disk: own, events };
    });
  }

  /** Runs until all have started and one leads, and three seconds more. */
  async led(): Promise<Replica> {
    const leader = (): Replica | undefined => this.replicas.find((replica) => replica.status().leading);
    const isLed = (): boolean => this.replicas.length === IDS.length && leader() !== undefined;
    expect(await this.schedule.run(isLed, MINUTE)).toBe(true);
    await this.schedule.pass(3000);
    return leader() as Replica;
  }

  member(of: string | Replica): ClusterMember {
    const id = typeof of === 'string' ? of : of.status().id;
    return this.members.find((member) => member.id === id) as ClusterMember;
  }

  /** Nothing reaches it, and it reaches nobody. */
  isolate(id: string): void {
    for (const other of IDS) {
      this.network.cut(id, other);
      this.network.cut(other, id);
    }
  }

  async close(): Promise<void> {
    let closed = false;
    void Promise.all(this.replicas.map((replica) => replica.close())).then(() => (closed = true));
    expect(await this.schedule.run(() => closed, MINUTE)).toBe(true);
  }
}
