/**
 * The TCP transport: it owns the connections to and from all peers.
 *
 * Each replica dials the connections by which it sends, and only receives on those that it accepts: `control` always,
 * `bulk` from the first message on. One shared connection per pair would need a tie-break for crossing dials and a way
 * for the other side to ask for a dial; measured on loopback it saved nothing beyond noise (the number of reads and
 * writes is the same). All frames for one connection in one turn of the event loop leave in one write at the end of the
 * turn (by setImmediate: a flush per incoming chunk, by microtask, was a tenth slower under load and no faster idle),
 * those of control before those of bulk. A host that asks for a turn of its own first, by setImmediate too, has in the
 * same write what it sends then.
 *
 * Invariants: at most one connection per incarnation of a peer, lane and direction, the newest; every connection shows
 * signs of life or ends (transport/dead-path); `onDisconnected` is called once for each that ends while its peer is
 * one, and `onUnreachable` at most once for each outgoing control connection that ends, if the first dial after that
 * failed; no handler is called before `answer` or after `stop`.
 */

import { ConsensusError, textOf } from '../../replica/errors.js';
import type {
  Transport,
  TransportEvent,
  TransportHandler,
  TransportIdentity,
  TransportLane,
  TransportPeer,
  TransportTiming,
  UnsentBytes,
} from '../../replica/transport.js';
import { IncomingConnections, type IncomingSideOwner } from './incoming-connections.js';
import { parseAddress } from './address.js';
import { checkIdentity, checkPeers } from './checks.js';
import type { ExpectedPeer, RefusalCause, Welcome } from './handshake.js';
import { Lookups } from './lookups.js';
import type { CheckedTcpOptions, Settings } from './options.js';
import type { OutgoingOwner } from './outgoing.js';
import { Outgoing } from './outgoing.js';
import type { TcpPeer } from './peer.js';
import { Place } from './place.js';
import type { Server, Socket } from './sockets.js';
import { listenAt } from './sockets.js';
import { CHECKS } from './timing.js';

/** The most refusals of incoming connections that are reported between two checks, so that a flood fills no log. */
const MOST_REPORTS = 64;

/** In the order in which they are served. */
const LANES: readonly TransportLane[] = ['control', 'bulk'];

export class TcpTransport implements Transport, OutgoingOwner, IncomingSideOwner {
  readonly maxMessageBytes: number;
  settings: Settings;
  identity: TransportIdentity = { cluster: '', id: '', incarnation: 0 };
  private phase: 'new' | 'starting' | 'bound' | 'running' | 'stopped' = 'new';
  private handler: TransportHandler | null = null;
  private listening: Promise<Server> | null = null;
  private stopping: Promise<void> | null = null;
  private readonly peers = new Map<string, TcpPeer>();
  /** The peers to dial once this replica answers. */
  private atStart: readonly TransportPeer[] = [];
  private readonly options: CheckedTcpOptions;
  private readonly lookups: Lookups;
  private readonly incoming = new IncomingConnections(this);
  private reports = 0;
  private checks: NodeJS.Timeout | undefined;
  private readonly toFlush: Record<TransportLane, Outgoing[]> = { control: [], bulk: [] };
  private isFlushDue = false;
  private flushing: NodeJS.Immediate | undefined;

  /** @param lookups other than those of the system only in tests */
  constructor(options: CheckedTcpOptions, lookups = new Lookups()) {
    this.options = options;
    this.settings = options.settings();
    this.maxMessageBytes = this.settings.maxMessageBytes;
    this.lookups = lookups;
  }

  async start(
    identity: TransportIdentity,
    self: TransportPeer,
    peers: readonly TransportPeer[],
    handler: TransportHandler,
    timing?: TransportTiming,
  ): Promise<void> {
    if (this.phase !== 'new') throw failed('a tcpTransport() can be started only once');
    checkIdentity(identity, self);
    checkPeers(peers);
    const option = `members.${self.id}`;
    const own = parseAddress(self.address, option);
    this.settings = this.options.settings(timing?.electionMax);
    const { listen } = this.settings;
    this.phase = 'starting';
    this.identity = { cluster: identity.cluster, id: identity.id, incarnation: identity.incarnation };
    this.handler = handler;
    this.listening = listenAt(new Place(listen ?? own, this.lookups), (socket) => this.accept(socket));
    try {
      await this.listening;
    } catch (cause) {
      const wasStopped = this.isStopped();
      await this.stop();
      if (wasStopped) throw stopped();
      const { host, port } = listen ?? own;
      const where = `${listen === null ? option : 'tcpTransport: listen'}: cannot listen on ${host} port ${port}`;
      throw failed(`${where}: ${textOf(cause)}`, cause);
    }
    if (this.isStopped()) throw stopped();
    this.phase = 'bound';
    this.atStart = peers;
  }

  answer(): void {
    if (this.phase !== 'bound') return;
    this.phase = 'running';
    this.checks = setInterval(() => this.check(), this.settings.stallTimeout / CHECKS);
    this.setPeers(this.atStart);
    this.incoming.begin();
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
    this.incoming.keepOnly(new Map([...wanted].map(([id, { incarnation }]) => [id, incarnation])));
    for (const [id, { address, incarnation = null }] of wanted) {
      if (this.peers.has(id)) continue;
      const place = new Place(parseAddress(address, `members.${id}`), this.lookups);
      const control = new Outgoing(this, id, place, 'control');
      const bulk = new Outgoing(this, id, place, 'bulk');
      this.peers.set(id, { address, place, from: '', incarnation, reached: null, control, bulk, limit: 0 });
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
    this.lookups.close();
    const closing = [...this.peers.values()].flatMap(({ control, bulk }) => [control.close(), bulk.close()]);
    this.peers.clear();
    this.incoming.close();
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
    const outgoing = peer === undefined ? 0 : peer.control.bytes + peer.bulk.bytes;
    return { outgoing, incoming: this.incoming.held(id) };
  }

  private check(): void {
    this.reports = 0;
    this.incoming.check();
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

  failed({ peer }: Outgoing, kind: 'refused' | 'malformed' | 'unresolved', reason: string): void {
    const address = this.peers.get(peer)?.address;
    this.report({ kind, peer, reason: `${peer} at ${address} ${reason}` });
  }

  refusedBy({ peer }: Outgoing, why: RefusalCause, reason: string): void {
    this.call((handler) => handler.onRefused(peer, why, `${peer} ${reason}`));
  }

  // Callbacks of incoming connections.

  private accept(socket: Socket): void {
    socket.on('error', () => {});
    if (this.phase === 'stopped') socket.destroy();
    else this.incoming.add(socket);
  }

  peerNamed(id: string): ExpectedPeer | undefined {
    return this.peers.get(id);
  }

  /** A peer that dials us is up, and the way to it may have been cut meanwhile. */
  dialledBy(id: string, address: string): void {
    const peer = this.peers.get(id);
    if (peer === undefined) return;
    peer.from = address;
    peer.control.probe();
  }

  isOfMember(address: string): boolean {
    for (const { place, from } of this.peers.values()) if (from === address || place.has(address)) return true;
    return false;
  }

  deliver(from: string, message: Uint8Array): void {
    this.call((handler) => handler.onMessage(from, message));
  }

  turnedAway(kind: 'refused' | 'malformed', peer: string | null, reason: string): void {
    if (++this.reports <= MOST_REPORTS) this.report({ kind, peer, reason });
  }

  ended(peer: string, lane: TransportLane): void {
    if (this.peers.has(peer)) this.disconnected(peer, lane);
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

function stopped(): ConsensusError {
  return new ConsensusError('the transport was stopped', { code: 'ERR_CLOSED' });
}

function failed(message: string, cause?: unknown): ConsensusError {
  return new ConsensusError(message, { code: 'ERR_TRANSPORT_FAILED', cause });
}
