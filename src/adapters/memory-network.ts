/**
 * Transports for replicas of one process, without a network: for tests, and for a first look. It runs on every
 * platform.
 *
 * Invariants: a message is a copy, delivered in a later turn, and never after its receiver has left or the two were
 * disconnected (it may arrive after its sender has left); two members reach each other both ways or not at all, and on
 * both lanes; the bytes that wait from one sender for one receiver are bounded; ids are unique.
 */

import { invalidArgument } from '../replica/errors.js';
import { checkNetworkOptions, decided, failed, isLater, peersOf, positive } from './memory-checks.js';
import { systemSoon } from './memory-soon.js';
import type {
  Transport,
  TransportEvent,
  TransportHandler,
  TransportIdentity,
  TransportLane,
  TransportPeer,
  UnsentBytes,
} from '../replica/transport.js';

/** A message on its way. */
export interface MemoryMessage {
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
  readonly lane: TransportLane;
}

/** Options of `memoryNetwork`, all optional. */
export interface MemoryNetworkOptions {
  /**
   * Decides for each message, as it is sent, whether it is delivered, dropped or delivered twice; without it all are
   * delivered. It must not keep or change the bytes, and decides at once.
   */
  readonly deliver?: ((message: MemoryMessage) => 'deliver' | 'drop' | 'duplicate') | undefined;
  /** Runs a callback in a later turn of the event loop; default `setImmediate`, or `setTimeout` where there is none. */
  readonly soon?: ((callback: () => void) => void) | undefined;
  /** The largest message in bytes; default 8 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** How many bytes may wait from one member for another; default 16 MiB. An empty queue takes any message. */
  readonly queueBytes?: number | undefined;
}

export interface MemoryNetwork {
  /** A new transport for one replica, which gets its id by `start`. Addresses are not used. */
  transport(): Transport;
  /** Cuts two members off from each other in both directions, and drops the messages under way between them. */
  disconnect(a: string, b: string): void;
  /** Undoes `disconnect`. */
  connect(a: string, b: string): void;
}

const MIB = 1024 * 1024;
/** Bytes that a waiting message counts for beside its own, so that empty messages are bounded, too. */
const COST = 128;

/** The connection from one member to another; a new object each time that they are connected. */
interface MemoryLine {
  readonly to: MemoryMember;
  waiting: number;
}

/** A started transport. */
interface MemoryMember {
  readonly identity: TransportIdentity;
  readonly handler: TransportHandler;
  /** False between `start` and `answer`, when it has its id and nothing more. */
  answers: boolean;
  /** By id, with the incarnation that it must have; `null` for any. */
  peers: ReadonlyMap<string, number | null>;
  /** Its connections, by the id of the other member. */
  readonly lines: Map<string, MemoryLine>;
  /** The last reported reason of a refusal between this member and another, by the other's id. */
  readonly refusals: Map<string, string>;
}

class MemoryNetworkCore implements MemoryNetwork {
  readonly maxMessageBytes: number;
  private readonly queueBytes: number;
  private readonly fate: MemoryNetworkOptions['deliver'];
  private readonly soon: (callback: () => void) => void;
  private readonly members = new Map<string, MemoryMember>();
  /** Pairs that are cut, as `pairOf` writes them. */
  private readonly cut = new Set<string>();
  private due: (() => void)[] = [];
  private isScheduled = false;

  constructor({ deliver, soon, maxMessageBytes, queueBytes }: MemoryNetworkOptions) {
    this.fate = deliver;
    this.soon = soon ?? systemSoon;
    this.maxMessageBytes = positive(maxMessageBytes ?? 8 * MIB, 'maxMessageBytes');
    this.queueBytes = positive(queueBytes ?? 16 * MIB, 'queueBytes');
  }

  transport(): Transport {
    return new MemoryTransport(this);
  }

  disconnect(a: string, b: string): void {
    this.cut.add(pairOf(a, b));
    this.refresh('disconnected');
  }

  connect(a: string, b: string): void {
    this.cut.delete(pairOf(a, b));
    this.refresh('connected');
  }

  join(member: MemoryMember): void {
    const { id } = member.identity;
    if (this.members.has(id)) throw failed(`${id} is in this network already`);
    this.members.set(id, member);
  }

  answer(member: MemoryMember): void {
    member.answers = true;
    this.refresh('started');
  }

  leave(member: MemoryMember): void {
    this.members.delete(member.identity.id);
    this.refresh('stopped');
  }

  setPeers(member: MemoryMember, peers: MemoryMember['peers']): void {
    member.peers = peers;
    this.refresh('the peers changed');
  }

  send(from: MemoryMember, to: string, bytes: Uint8Array, lane: TransportLane): boolean {
    const line = from.lines.get(to);
    if (line === undefined || bytes.length > this.maxMessageBytes) return false;
    const cost = bytes.length + COST;
    if (line.waiting > 0 && line.waiting + cost > this.queueBytes) return false;
    const fate = decided(this.fate?.({ from: from.identity.id, to, bytes, lane }));
    const copies = fate === 'drop' ? 0 : fate === 'duplicate' ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) this.carry(from, line, Uint8Array.from(bytes), cost);
    return true;
  }

  private carry(from: MemoryMember, line: MemoryLine, bytes: Uint8Array, cost: number): void {
    line.waiting += cost;
    this.later(() => {
      line.waiting -= cost;
      const isUp = from.lines.get(line.to.identity.id) === line;
      if (isUp) line.to.handler.onMessage(from.identity.id, bytes);
    });
  }

  /**
   * Runs callbacks in a later turn, in order. When `soon` throws, what is due waits for the next call.
   */
  private later(act: () => void): void {
    this.due.push(act);
    if (this.isScheduled) return;
    this.isScheduled = true;
    try {
      const scheduled: unknown = this.soon(() => this.runDue());
      isLater(scheduled); // it may be an async function
    } catch (error) {
      this.isScheduled = false;
      throw error;
    }
  }

  /** An exception of one is uncaught and does not stop the others. */
  private runDue(): void {
    const { due } = this;
    this.due = [];
    this.isScheduled = false;
    for (const next of due) {
      try {
        next();
      } catch (error) {
        systemSoon(() => {
          throw error;
        });
      }
    }
  }

  /** Opens and ends connections after a change of members, and tells both ends. */
  private refresh(reason: string): void {
    for (const from of this.members.values()) {
      for (const [id, { to }] of from.lines) if (!this.reaches(from, to)) this.part(from, id, reason);
    }
    for (const from of this.members.values()) {
      for (const id of from.peers.keys()) {
        const to = this.members.get(id);
        if (
          to === undefined ||
          to === from ||
          !from.answers ||
          !to.answers ||
          this.cut.has(pairOf(from.identity.id, id))
        )
          continue;
        this.meet(from, to);
      }
    }
  }

  private reaches(from: MemoryMember, to: MemoryMember): boolean {
    const [a, b] = [from.identity.id, to.identity.id];
    const areUp = this.isUp(from) && this.isUp(to) && from.answers && to.answers;
    const isWelcome = refusalOf(from, to) === null && refusalOf(to, from) === null;
    return areUp && isWelcome && !this.cut.has(pairOf(a, b));
  }

  private part(from: MemoryMember, peer: string, reason: string): void {
    from.lines.delete(peer);
    this.tell(from, { kind: 'disconnected', peer, reason });
    this.later(() => {
      for (const lane of ['control', 'bulk'] as const) {
        if (this.isUp(from) && from.peers.has(peer)) from.handler.onDisconnected(peer, lane);
      }
    });
    // Whether the peer can be reached again at once is asked after the change that ended the connection.
    this.later(() => {
      if (this.isUp(from) && from.peers.has(peer) && !from.lines.has(peer)) from.handler.onUnreachable(peer);
    });
  }

  /** `from` dials `to`. */
  private meet(from: MemoryMember, to: MemoryMember): void {
    const [a, b] = [from.identity.id, to.identity.id];
    const refusal = refusalOf(from, to);
    if (refusal === null) {
      from.refusals.delete(b);
      if (from.lines.has(b) || !this.reaches(from, to)) return;
      from.lines.set(b, { to, waiting: 0 });
      this.tell(from, { kind: 'connected', peer: b, reason: `incarnation ${to.identity.incarnation}` });
    } else if (from.refusals.get(b) !== refusal) {
      from.refusals.set(b, refusal);
      const reason = `${b} refused us: this replica ${refusal}`;
      this.tell(from, { kind: 'refused', peer: b, reason });
      this.tell(to, { kind: 'refused', peer: a, reason: `${a} ${refusal}` });
      const why = isOther(from, to) ? 'incarnation' : 'other';
      this.later(() => this.isUp(from) && from.handler.onRefused(b, why, reason));
    }
  }

  private tell(member: MemoryMember, event: TransportEvent): void {
    this.later(() => {
      if (this.isUp(member)) member.handler.onEvent(event);
    });
  }

  private isUp(member: MemoryMember): boolean {
    return this.members.get(member.identity.id) === member;
  }
}

class MemoryTransport implements Transport {
  readonly maxMessageBytes: number;
  private readonly network: MemoryNetworkCore;
  private member: MemoryMember | null = null;
  private phase: 'new' | 'started' | 'answering' | 'stopped' = 'new';

  constructor(network: MemoryNetworkCore) {
    this.network = network;
    this.maxMessageBytes = network.maxMessageBytes;
  }

  async start(
    identity: TransportIdentity,
    self: TransportPeer,
    peers: readonly TransportPeer[],
    handler: TransportHandler,
  ): Promise<void> {
    if (this.phase !== 'new') throw failed('a transport can be started only once');
    if (self.id !== identity.id) throw invalidArgument('id: expected the same as in self');
    const member: MemoryMember = {
      identity: { ...identity },
      handler,
      answers: false,
      peers: peersOf(peers),
      lines: new Map(),
      refusals: new Map(),
    };
    this.network.join(member);
    this.member = member;
    this.phase = 'started';
  }

  answer(): void {
    if (this.phase !== 'started' || this.member === null) return;
    this.phase = 'answering';
    this.network.answer(this.member);
  }

  connected(): readonly string[] {
    return [...(this.member?.lines.keys() ?? [])];
  }

  unsent(): readonly UnsentBytes[] {
    return [...(this.member?.lines ?? [])].map(([peer, { waiting }]) => ({ peer, bytes: waiting }));
  }

  /** Addresses are not used. @throws ERR_INVALID_ARGUMENT if it is none */
  checkAddress(address: string): void {
    if (typeof address !== 'string') throw invalidArgument(`address: expected a string, got ${typeof address}`);
  }

  send(to: string, bytes: Uint8Array, lane: TransportLane): boolean {
    return this.member !== null && this.network.send(this.member, to, bytes, lane);
  }

  setPeers(peers: readonly TransportPeer[]): void {
    const named = peersOf(peers);
    if (this.member !== null) this.network.setPeers(this.member, named);
  }

  async stop(): Promise<void> {
    this.phase = 'stopped';
    const member = this.member;
    this.member = null;
    if (member !== null) this.network.leave(member);
  }
}

/** The reason for which `to` refuses `from`; null if it accepts. */
function refusalOf(from: MemoryMember, to: MemoryMember): string | null {
  if (from.identity.cluster !== to.identity.cluster) return 'belongs to another cluster';
  if (!to.peers.has(from.identity.id)) return `is not a member: ${from.identity.id}`;
  const expected = to.peers.get(from.identity.id);
  return isOther(from, to) ? `has incarnation ${from.identity.incarnation}, expected ${expected}` : null;
}

/** Whether `to` knows the id of `from` by another incarnation. */
function isOther({ identity }: MemoryMember, { peers }: MemoryMember): boolean {
  const expected = peers.get(identity.id) ?? null;
  return expected !== null && expected !== identity.incarnation;
}

function pairOf(a: string, b: string): string {
  return JSON.stringify([a, b].sort());
}

/**
 * A network inside this process. Each `network.transport()` is the transport of one replica.
 *
 * @throws ConsensusError ERR_INVALID_ARGUMENT when an option breaks its rule
 */
export function memoryNetwork(options: MemoryNetworkOptions = {}): MemoryNetwork {
  checkNetworkOptions(options);
  return new MemoryNetworkCore(options);
}
