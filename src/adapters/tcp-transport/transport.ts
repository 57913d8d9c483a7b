/**
 * The TCP transport: it owns the connections to and from all peers.
 *
 * Each replica dials the connections by which it sends, and only receives on those that it accepts: `control`
 * always, `bulk` from the first message on. One shared connection per pair would need a tie-break for crossing dials
 * and a way for the other side to ask for a dial; measured on loopback it saved nothing beyond noise (the number of
 * reads and writes is the same). All frames for one connection in one turn of the event loop leave in one write at the
 * end of the turn (by setImmediate: a flush per incoming chunk, by microtask, was a tenth slower under load and no
 * faster idle), those of control before those of bulk.
 *
 * Invariants: at most one connection per incarnation of a peer, lane and direction, the newest; `onDisconnected` is
 * called once for each that ends while its peer is one, and `onUnreachable` at most once for each outgoing control
 * connection that ends, if the first dial after that failed; no handler is called before `answer` or after `stop`.
 */

import { ConsensusError } from '../../replica/errors.js';
import type {
  Transport,
  TransportEvent,
  TransportHandler,
  TransportIdentity,
  TransportLane,
  TransportPeer,
  UnsentBytes,
} from '../../replica/transport.js';
import { parseAddress } from './address.js';
import { checkIdentity, checkPeers } from './checks.js';
import type { ExpectedPeer, RefusalCause, Welcome } from './handshake.js';
import type { IncomingOwner } from './incoming.js';
import { Incoming } from './incoming.js';
import type { Settings } from './options.js';
import type { OutgoingOwner } from './outgoing.js';
import { CHECKS_PER_STALL, Outgoing } from './outgoing.js';
import type { TcpPeer } from './peer.js';
import type { Server, Socket } from './sockets.js';
import { listenOn } from './sockets.js';

/** The most incoming sockets that may be in their handshake at a time. */
export const MOST_STRANGERS = 64;
/** The most refusals of incoming connections that are reported between two checks, so that a flood fills no log. */
const MOST_REPORTS = 64;

/** In the order in which they are served. */
const LANES: readonly TransportLane[] = ['control', 'bulk'];

/** The most incarnations of one peer whose connections are open at a time, while none is known to be the right one. */
const MOST_INCARNATIONS = 2;

export class TcpTransport implements Transport, OutgoingOwner, IncomingOwner {
  readonly maxMessageBytes: number;
  readonly settings: Settings;
  identity: TransportIdentity = { cluster: '', id: '', incarnation: 0 };
  private phase: 'new' | 'starting' | 'bound' | 'running' | 'stopped' = 'new';
  private handler: TransportHandler | null = null;
  private listening: Promise<Server> | null = null;
  private stopping: Promise<void> | null = null;
  private readonly peers = new Map<string, TcpPeer>();
  /** The peers to dial once this replica answers, and those who dialled it before. */
  private atStart: readonly TransportPeer[] = [];
  private early: Socket[] = [];
  private readonly incoming = new Set<Incoming>();
  private strangers = 0;
  private reports = 0;
  private checks: NodeJS.Timeout | undefined;
  private readonly toFlush: Record<TransportLane, Outgoing[]> = { control: [], bulk: [] };
  private isFlushDue = false;
  private flushing: NodeJS.Immediate | undefined;

  constructor(settings: Settings) {
    this.settings = settings;
    this.maxMessageBytes = settings.maxMessageBytes;
  }

  async start(
    identity: TransportIdentity,
    self: TransportPeer,
    peers: readonly TransportPeer[],
    handler: TransportHandler,
  ): Promise<void> {
    if (this.phase !== 'new') throw failed('a tcpTransport() can be started only once');
    checkIdentity(identity, self);
    checkPeers(peers);
    const own = parseAddress(self.address, `address of ${self.id}`);
    const address = this.settings.listen ?? own;
    this.phase = 'starting';
    this.identity = { cluster: identity.cluster, id: identity.id, incarnation: identity.incarnation };
    this.handler = handler;
    this.listening = listenOn(address, (socket) => this.accept(socket));
    try {
      await this.listening;
    } catch (cause) {
      await this.stop();
      throw failed(`cannot listen on ${address.host} port ${address.port}`, cause);
    }
    if (this.isStopped()) throw new ConsensusError('the transport was stopped', { code: 'ERR_CLOSED' });
    this.phase = 'bound';
    this.atStart = peers;
  }

  answer(): void {
    if (this.phase !== 'bound') return;
    this.phase = 'running';
    this.checks = setInterval(() => this.check(), this.settings.stallTimeout / CHECKS_PER_STALL);
    this.setPeers(this.atStart);
    const { early } = this;
    this.early = [];
    for (const socket of early) if (!socket.destroyed) this.accept(socket);
  }

  connected(): readonly string[] {
    return [...this.peers].filter(([, { control }]) => control.isOpen).map(([id]) => id);
  }

  unsent(): readonly UnsentBytes[] {
    return [...this.peers].map(([peer, { control, bulk }]) => ({ peer, bytes: control.bytes + bulk.bytes }));
  }

  checkAddress(address: string): void {
    parseAddress(address, 'address');
  }

  /** A method, since the compiler does not see that other calls change `phase` during an await. */
  private isStopped(): boolean {
    return this.phase === 'stopped';
  }

  send(to: string, bytes: Uint8Array, lane: TransportLane): boolean {
    const peer = this.peers.get(to);
    if (peer === undefined || !peer.control.isOpen || bytes.length > peer.limit) return false;
    return (lane === 'control' ? peer.control : peer.bulk).send(bytes);
  }

  /** @throws ERR_INVALID_ARGUMENT on a malformed or repeated peer, and then changes nothing */
  setPeers(peers: readonly TransportPeer[]): void {
    checkPeers(peers);
    if (this.phase === 'bound') this.atStart = peers;
    if (this.phase !== 'running') return;
    const wanted = new Map(peers.map((peer) => [peer.id, peer]));
    // A replica does not dial itself.
    wanted.delete(this.identity.id);
    const moved = new Map<string, readonly TransportLane[]>();
    for (const [id, peer] of this.peers) {
      const next = wanted.get(id);
      if (next?.address === peer.address) {
        this.expect(peer, next.incarnation ?? null);
        continue;
      }
      const lost = this.leave(id, peer, next !== undefined);
      if (next !== undefined) moved.set(id, lost);
    }
    for (const connection of this.incoming) {
      if (connection.peer === null) continue;
      const expected = wanted.get(connection.peer);
      const isOther = expected?.incarnation !== undefined && expected.incarnation !== connection.incarnation;
      if (expected === undefined || isOther) connection.close();
    }
    for (const [id, { address, incarnation = null }] of wanted) {
      if (this.peers.has(id)) continue;
      const at = parseAddress(address, `address of ${id}`);
      const control = new Outgoing(this, id, at, 'control');
      const bulk = new Outgoing(this, id, at, 'bulk');
      this.peers.set(id, { address, incarnation, reached: null, control, bulk, limit: 0 });
      if (moved.get(id)?.includes('control')) control.replace();
      else control.dialNow();
    }
    for (const [id, lanes] of moved) for (const lane of lanes) this.disconnected(id, lane);
  }

  /** From now on a peer must have this incarnation; a connection to another one ends. */
  private expect(peer: TcpPeer, incarnation: number | null): void {
    peer.incarnation = incarnation;
    if (incarnation === null || peer.reached === null || peer.reached === incarnation) return;
    peer.reached = null;
    peer.control.reset('is another incarnation than the one expected');
    peer.control.dialNow();
  }

  /** Closes the connections to a peer. Gives the lanes that were open. */
  private leave(id: string, { control, bulk }: TcpPeer, isMoving: boolean): readonly TransportLane[] {
    const lost = [control, bulk].filter(({ isInUse }) => isInUse).map(({ lane }) => lane);
    void control.close();
    void bulk.close();
    this.peers.delete(id);
    const reason = isMoving ? 'has another address' : 'is no peer any more';
    if (lost.includes('control')) this.report({ kind: 'disconnected', peer: id, reason });
    return lost;
  }

  stop(): Promise<void> {
    this.stopping ??= this.close();
    return this.stopping;
  }

  private async close(): Promise<void> {
    this.phase = 'stopped';
    clearInterval(this.checks);
    clearImmediate(this.flushing);
    for (const socket of this.early) socket.destroy();
    const closing = [...this.peers.values()].flatMap(({ control, bulk }) => [control.close(), bulk.close()]);
    this.peers.clear();
    for (const connection of this.incoming) connection.close();
    const server = await this.listening?.catch(() => undefined);
    if (server !== undefined) closing.push(new Promise((resolve) => server.close(() => resolve())));
    await Promise.all(closing);
    // Node reports a server as closed, and forgets a destroyed socket, before it closes the handle at the end of a
    // turn. The first of these two turns may be the current one.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  /**
   * How many bytes are held for a peer: messages that wait, with what they count for beside their bytes, and what has
   * come of messages that are not complete.
   */
  held(id: string): { readonly outgoing: number; readonly incoming: number } {
    const peer = this.peers.get(id);
    let incoming = 0;
    for (const connection of this.incoming) if (connection.peer === id) incoming += connection.held;
    return { outgoing: peer === undefined ? 0 : peer.control.bytes + peer.bulk.bytes, incoming };
  }

  private check(): void {
    this.reports = 0;
    for (const { control, bulk } of this.peers.values()) {
      control.check();
      bulk.check();
    }
  }

  // Callbacks of outgoing connections.

  flushSoon(connection: Outgoing): void {
    this.toFlush[connection.lane].push(connection);
    if (this.isFlushDue) return;
    this.isFlushDue = true;
    this.flushing = setImmediate(this.flushAll);
  }

  private readonly flushAll = (): void => {
    this.isFlushDue = false;
    for (const lane of LANES) {
      const connections = this.toFlush[lane];
      if (connections.length === 0) continue;
      this.toFlush[lane] = [];
      for (const connection of connections) connection.flush();
    }
  };

  opened({ peer: id, lane }: Outgoing, welcome: Welcome): void {
    const peer = this.peers.get(id);
    if (peer !== undefined) {
      peer.limit = Math.min(this.maxMessageBytes, welcome.maxMessageBytes);
      peer.reached = welcome.incarnation;
    }
    this.report({ kind: 'connected', peer: id, reason: `${lane} lane, incarnation ${welcome.incarnation}` });
  }

  lost({ peer: id, lane }: Outgoing, reason: string | null): void {
    if (reason !== null) this.report({ kind: 'disconnected', peer: id, reason: `${lane} lane: ${reason}` });
    this.disconnected(id, lane);
    if (lane === 'control') this.peers.get(id)?.bulk.reset('the control lane is lost');
  }

  unreachable({ peer }: Outgoing): void {
    this.call((handler) => handler.onUnreachable(peer));
  }

  failed({ peer }: Outgoing, kind: 'refused' | 'malformed', reason: string): void {
    const address = this.peers.get(peer)?.address;
    this.report({ kind, peer, reason: `${peer} at ${address} ${reason}` });
  }

  refusedBy({ peer }: Outgoing, why: RefusalCause, reason: string): void {
    this.call((handler) => handler.onRefused(peer, why, `${peer} ${reason}`));
  }

  // Callbacks of incoming connections.

  private accept(socket: Socket): void {
    socket.on('error', () => {});
    if (this.phase === 'stopped') return void socket.destroy();
    // Before `answer` it waits: what it says stays in the socket until then.
    const isEarly = this.phase !== 'running';
    if (isEarly) return void (this.early.length < MOST_STRANGERS ? this.early.push(socket) : socket.destroy());
    if (this.strangers >= MOST_STRANGERS) {
      socket.destroy();
      return this.turnedAway('refused', null, `more than ${MOST_STRANGERS} connections in their handshake`);
    }
    this.strangers++;
    this.incoming.add(new Incoming(this, socket));
  }

  peerNamed(id: string): ExpectedPeer | undefined {
    return this.peers.get(id);
  }

  accepted(connection: Incoming): void {
    this.strangers--;
    const { peer, lane, incarnation } = connection;
    // Another incarnation takes no connection away: if it were known which one is right, this one would be refused.
    let strays = 0;
    for (const other of this.incoming) {
      if (other === connection || other.peer !== peer || other.lane !== lane) continue;
      if (other.incarnation === incarnation || ++strays >= MOST_INCARNATIONS) other.close();
    }
    // The peer that dials us is up, so we dial it without waiting.
    if (peer !== null) this.peers.get(peer)?.control.dialNow();
  }

  deliver(from: string, message: Uint8Array): void {
    this.call((handler) => handler.onMessage(from, message));
  }

  turnedAway(kind: 'refused' | 'malformed', peer: string | null, reason: string): void {
    if (++this.reports <= MOST_REPORTS) this.report({ kind, peer, reason });
  }

  closed(connection: Incoming): void {
    this.incoming.delete(connection);
    const { peer, lane } = connection;
    if (peer === null) this.strangers--;
    else if (this.peers.has(peer)) this.disconnected(peer, lane);
  }

  // Reports to the replica.

  private disconnected(peer: string, lane: TransportLane): void {
    this.call((handler) => handler.onDisconnected(peer, lane));
  }

  private report(event: TransportEvent): void {
    this.call((handler) => handler.onEvent(event));
  }

  /** A handler must not throw. If it does, the error becomes an uncaught exception and the transport goes on. */
  private call(report: (handler: TransportHandler) => void): void {
    if (this.phase !== 'running' || this.handler === null) return;
    try {
      report(this.handler);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

function failed(message: string, cause?: unknown): ConsensusError {
  return new ConsensusError(message, { code: 'ERR_TRANSPORT_FAILED', cause });
}
