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
 * Invariants: at most one connection per peer, lane and direction, the newest; `onDisconnected` is called once for each
 * that ends while its peer is one, and `onUnreachable` at most once for each outgoing control connection that ends, if
 * the first dial after that failed; no handler is called before `start` or after `stop`.
 */

import { isReplicaId } from '../../core/members.js';
import { ConsensusError, invalidArgument } from '../../replica/errors.js';
import type {
  Transport,
  TransportEvent,
  TransportHandler,
  TransportIdentity,
  TransportLane,
  TransportPeer,
} from '../../replica/transport.js';
import { parseAddress } from './address.js';
import type { Welcome } from './handshake.js';
import { MAX_CLUSTER } from './handshake.js';
import type { IncomingOwner } from './incoming.js';
import { Incoming } from './incoming.js';
import type { Settings } from './options.js';
import type { OutgoingOwner } from './outgoing.js';
import { CHECKS_PER_STALL, Outgoing } from './outgoing.js';
import type { Server, Socket } from './sockets.js';
import { listenOn } from './sockets.js';

/** The most incoming sockets that may be in their handshake at a time. */
export const MOST_STRANGERS = 64;
/** The most refusals of incoming connections that are reported between two checks, so that a flood fills no log. */
const MOST_REPORTS = 64;

/** In the order in which they are served. */
const LANES: readonly TransportLane[] = ['control', 'bulk'];

interface TcpPeer {
  readonly address: string;
  readonly control: Outgoing;
  readonly bulk: Outgoing;
  /** The largest message that the peer takes. */
  limit: number;
}

export class TcpTransport implements Transport, OutgoingOwner, IncomingOwner {
  readonly maxMessageBytes: number;
  readonly settings: Settings;
  identity: TransportIdentity = { cluster: '', id: '', incarnation: 0 };
  private phase: 'new' | 'starting' | 'running' | 'stopped' = 'new';
  private handler: TransportHandler | null = null;
  private listening: Promise<Server> | null = null;
  private stopping: Promise<void> | null = null;
  private readonly peers = new Map<string, TcpPeer>();
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
    this.phase = 'running';
    this.checks = setInterval(() => this.check(), this.settings.stallTimeout / CHECKS_PER_STALL);
    this.setPeers(peers);
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
    if (this.phase !== 'running') return;
    const wanted = new Map(peers.map((peer) => [peer.id, peer.address]));
    // A replica does not dial itself.
    wanted.delete(this.identity.id);
    const moved = new Map<string, readonly TransportLane[]>();
    for (const [id, peer] of this.peers) {
      if (wanted.get(id) === peer.address) continue;
      const lost = this.leave(id, peer, wanted.has(id));
      if (wanted.has(id)) moved.set(id, lost);
    }
    for (const connection of this.incoming) {
      if (connection.peer !== null && !wanted.has(connection.peer)) connection.close();
    }
    for (const [id, address] of wanted) {
      if (this.peers.has(id)) continue;
      const at = parseAddress(address, `address of ${id}`);
      const control = new Outgoing(this, id, at, 'control');
      const bulk = new Outgoing(this, id, at, 'bulk');
      this.peers.set(id, { address, control, bulk, limit: 0 });
      if (moved.get(id)?.includes('control')) control.replace();
      else control.dialNow();
    }
    for (const [id, lanes] of moved) for (const lane of lanes) this.disconnected(id, lane);
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
    if (peer !== undefined) peer.limit = Math.min(this.maxMessageBytes, welcome.maxMessageBytes);
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

  // Callbacks of incoming connections.

  private accept(socket: Socket): void {
    socket.on('error', () => {});
    if (this.phase === 'stopped') return void socket.destroy();
    if (this.strangers >= MOST_STRANGERS) {
      socket.destroy();
      return this.turnedAway('refused', null, `more than ${MOST_STRANGERS} connections in their handshake`);
    }
    this.strangers++;
    this.incoming.add(new Incoming(this, socket));
  }

  isPeer(id: string): boolean {
    return this.peers.has(id);
  }

  accepted(connection: Incoming): void {
    this.strangers--;
    const { peer, lane } = connection;
    for (const other of this.incoming) {
      if (other !== connection && other.peer === peer && other.lane === lane) other.close();
    }
    // The peer that dials us is up, so we dial it without waiting.
    if (peer !== null) this.peers.get(peer)?.control.dialNow();
  }

  deliver(from: string, message: Uint8Array): void {
    try {
      this.handler?.onMessage(from, message);
    } catch (error) {
      rethrowLater(error);
    }
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

  private call(report: (handler: TransportHandler) => void): void {
    if (this.phase !== 'running' || this.handler === null) return;
    try {
      report(this.handler);
    } catch (error) {
      rethrowLater(error);
    }
  }
}

/** A handler must not throw. If it does, the error becomes an uncaught exception and the transport goes on. */
function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

function failed(message: string, cause?: unknown): ConsensusError {
  return new ConsensusError(message, { code: 'ERR_TRANSPORT_FAILED', cause });
}

function checkIdentity({ cluster, id, incarnation }: TransportIdentity, self: TransportPeer): void {
  const length = typeof cluster === 'string' ? new TextEncoder().encode(cluster).length : 0;
  if (length < 1 || length > MAX_CLUSTER) {
    throw invalidArgument(`cluster: expected a name of 1 to ${MAX_CLUSTER} bytes in UTF-8`);
  }
  if (!isReplicaId(id)) throw invalidArgument(`id: expected that of a replica, got ${JSON.stringify(id)}`);
  if (self.id !== id) throw invalidArgument(`self.id: expected ${id}, got ${JSON.stringify(self.id)}`);
  if (!Number.isSafeInteger(incarnation) || incarnation < 0) {
    throw invalidArgument(`incarnation: expected a safe integer ≥ 0, got ${incarnation}`);
  }
}

function checkPeers(peers: readonly TransportPeer[]): void {
  const seen = new Set<string>();
  for (const { id, address } of peers) {
    if (!isReplicaId(id)) throw invalidArgument(`peers: expected ids of replicas, got ${JSON.stringify(id)}`);
    if (seen.has(id)) throw invalidArgument(`peers: ${id} is there twice`);
    seen.add(id);
    parseAddress(address, `address of ${id}`);
  }
}
