/** Three replicas over the simulated clock, network and disks: everything is real but time. */

import {
  createReplica,
  raft,
  type Clock,
  type Constants,
  type Replica,
  type ReplicaEvent,
  type StateMachine,
} from 'quorate';
import { Schedule, SimulatedProcess } from '../../../src/testing/host-simulation/clock.js';
import { SimulatedNetwork } from '../../../src/testing/host-simulation/network.js';
import { SimulatedDisk } from '../../../src/testing/host-simulation/storage.js';
import type { SimulatedTransport } from '../../../src/testing/host-simulation/transport.js';
import { Trace } from '../../../src/testing/host-simulation/trace.js';
import { Dice } from '../../../src/testing/random.js';
import { demand } from '../../violation.js';

export const IDS: readonly string[] = ['a', 'b', 'c'];
export const MINUTE = 60_000;

const MEMBERS = { a: 'a', b: 'b', c: 'c' };
const NEVER = { loss: 0, duplication: 0, holds: 0, held: 0, scribbles: false };

/** In milliseconds. */
interface Span {
  readonly min: number;
  readonly max: number;
}

const QUICK: Span = { min: 0.1, max: 1 };

/** The process of one replica, and what it runs. */
export interface ClusterMember {
  readonly id: string;
  process: SimulatedProcess;
  readonly disk: SimulatedDisk;
  readonly events: ReplicaEvent[];
  /** That of its last start. */
  transport: SimulatedTransport | null;
}

interface ClusterOptions {
  /** What a message takes, one way, and what a write does. */
  readonly way?: Span;
  readonly disk?: Span;
  /** What each direction of a link carries, in bytes a millisecond; without bound by default. */
  readonly bandwidth?: number;
  readonly constants?: Partial<Constants>;
  /** Whether transports tell that a connection has ended, or a process refuses one. */
  readonly reports?: boolean;
  /** A snapshot after so many entries; by default as `createReplica` has it. */
  readonly entries?: number;
  /** Hears what each member sends. */
  readonly onSend?: (from: string, to: string, bytes: Uint8Array) => void;
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

function listenTo(transport: SimulatedTransport, heard: (to: string, bytes: Uint8Array) => void): void {
  const send = transport.send.bind(transport);
  transport.send = (to, bytes, lane) => {
    heard(to, bytes);
    return send(to, bytes, lane);
  };
}

export class SimulatedCluster {
  readonly schedule: Schedule;
  readonly network: SimulatedNetwork;
  readonly dice = new Dice(1);
  readonly members: readonly ClusterMember[];
  /** In the order in which they started. */
  readonly replicas: Replica[] = [];
  private readonly create: (member: ClusterMember) => Promise<Replica>;

  constructor(
    protocol: typeof raft,
    {
      way = QUICK,
      disk = QUICK,
      bandwidth = Infinity,
      equip,
      constants = {},
      entries,
      onSend,
      reports = false,
    }: ClusterOptions = {},
  ) {
    const trace = new Trace(1);
    const { dice } = this;
    this.schedule = new Schedule(trace);
    const links = { ...NEVER, reports, ...way, healed: way, bandwidth, queue: 100_000, maxMessageBytes: 2 ** 23 };
    this.network = new SimulatedNetwork(this.schedule, trace, dice.fork('network'), links);
    this.members = IDS.map((id) => {
      const process = new SimulatedProcess(this.schedule, id, 0, 1);
      const habits = { ...disk, load: disk, lies: false };
      const own = new SimulatedDisk(id, this.schedule, trace, dice.fork(`${id} disk`), habits);
      return { id, process, disk: own, events: [], transport: null };
    });
    this.create = (member) => {
      const { id, process, disk: own, events } = member;
      const transport = this.network.transport(process);
      member.transport = transport;
      if (onSend !== undefined) listenTo(transport, (to, bytes) => onSend(id, to, bytes));
      return createReplica({
        id,
        members: MEMBERS,
        protocol: protocol(),
        transport,
        storage: own.storage(process),
        ...(equip?.(process, this.schedule, dice.fork(id)) ?? { clock: process.clock, machine: counter() }),
        random: () => dice.between(0, 2 ** 32 - 1),
        constants,
        ...(entries === undefined ? {} : { snapshots: { entries } }),
        onEvent: (event) => events.push(event),
      });
    };
    for (const member of this.members) void this.create(member).then((replica) => this.replicas.push(replica));
  }

  /** Waits for it while time passes. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let ended = false;
    const end = (): void => void (ended = true);
    promise.then(end, end);
    demand(await this.schedule.run(() => ended, 10 * MINUTE), 'what is waited for ends within ten minutes');
    return promise;
  }

  /** Ends the process of a replica, as a kill would; what is under way on its disk is lost. */
  crash(id: string): void {
    const member = this.member(id);
    member.process.kill();
    member.disk.crash(false);
    this.network.leave(member.transport as SimulatedTransport, id);
  }

  /** A replica that was closed, or whose process ended, starts again, in a process of its own. */
  async restart(id: string): Promise<Replica> {
    const member = this.member(id);
    member.process = new SimulatedProcess(this.schedule, id, 0, 1);
    const replica = await this.until(this.create(member));
    const at = this.replicas.findIndex((each) => each.status().id === id);
    this.replicas.splice(at, 1, replica);
    return replica;
  }

  /** Runs until all have started and one leads, and three seconds more. */
  async led(): Promise<Replica> {
    const leader = (): Replica | undefined => this.replicas.find((replica) => replica.status().leading);
    const isLed = (): boolean => this.replicas.length === IDS.length && leader() !== undefined;
    demand(await this.schedule.run(isLed, MINUTE), 'all start, and one leads, within a minute');
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
    demand(await this.schedule.run(() => closed, MINUTE), 'all close within a minute');
  }
}
