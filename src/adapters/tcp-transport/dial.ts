/**
 * One attempt to open a connection to a peer: its name is looked up, its addresses are tried in turn until one
 * connects, and the handshake is done there. It ends once, with a connection or a failure, unless it is abandoned.
 *
 * Invariants: at most one socket at a time; each step has its own deadline (transport/handshake-deadline).
 */

import { Malformed } from '../../core/bytes.js';
import type { TransportIdentity, TransportLane } from '../../replica/transport.js';
import type { ExpectedPeer, RefusalCause, Welcome } from './handshake.js';
import { decodeAnswer, encodeHello, HandshakeReader, mismatchOf } from './handshake.js';
import type { Settings } from './options.js';
import type { Place } from './place.js';
import type { Socket } from './sockets.js';
import { dialSocket } from './sockets.js';
import { hangingAfter, lookupPatience } from './timing.js';

/** Why no connection opened. */
export interface DialFailure {
  /** `down`: nobody is there. `unresolved`: its name has no address. The others: whoever is there does not fit. */
  readonly kind: 'down' | 'unresolved' | 'refused' | 'malformed';
  readonly reason: string;
  /** What the peer has against this replica, if it said so. */
  readonly why: RefusalCause | null;
}

/** Whom to dial, and who dials. */
export interface DialRequest {
  readonly peer: string;
  readonly lane: TransportLane;
  readonly place: Place;
  readonly identity: TransportIdentity;
  readonly settings: Settings;
  /** The peer as it is expected to answer. */
  readonly expected: () => ExpectedPeer | undefined;
  /** The socket needs listeners at once: it has none, not for errors either. */
  readonly opened: (socket: Socket, welcome: Welcome) => void;
  readonly failed: (failure: DialFailure) => void;
}

const ignore = (): void => {};

/** Takes all listeners off a socket that is given up. */
export function letGo(socket: Socket): void {
  socket.removeAllListeners();
  socket.on('error', ignore);
}

/** What is listened to; the socket itself listens to its `end`, too. */
const OWN_EVENTS = ['connect', 'data', 'error', 'close'] as const;

export class Dial {
  private readonly request: DialRequest;
  /** The addresses that are left to try. */
  private left: readonly string[] = [];
  private address = '';
  private socket: Socket | null = null;
  private onSocketEnd: () => void = ignore;
  private timer: NodeJS.Timeout | undefined;
  private stepBegan = 0;
  private isOver = false;

  constructor(request: DialRequest) {
    this.request = request;
  }

  begin(): void {
    const { place, settings } = this.request;
    if (place.isFixed) return this.tryAll(place.known);
    const onError = (error: unknown): void => this.unresolved((error as Error).message);
    this.stepBegan = performance.now();
    // Without an address there is nothing better to do than to wait for one.
    if (place.known.length > 0) this.step(lookupPatience(settings.stallTimeout), () => this.tryAll(place.known));
    place.lookUp().then((found) => this.tryAll(found), onError);
  }

  /** Whether its step takes so long that it may be one that will never end. */
  get isHanging(): boolean {
    return performance.now() - this.stepBegan > hangingAfter(this.request.settings.stallTimeout);
  }

  private step(limit: number, late: () => void): void {
    clearTimeout(this.timer);
    this.stepBegan = performance.now();
    this.timer = setTimeout(late, limit);
  }

  private unresolved(reason: string): void {
    const { known } = this.request.place;
    if (known.length > 0) this.tryAll(known);
    else this.fail('unresolved', reason);
  }

  private tryAll(addresses: readonly string[]): void {
    // A lookup may end after it was waited for.
    if (this.isOver || this.socket !== null || this.left.length > 0) return;
    this.left = addresses;
    this.tryNext('');
  }

  /** @param reason why the address before was no good */
  private tryNext(reason: string): void {
    this.drop();
    const [address, ...rest] = this.left;
    if (address === undefined) return this.fail('down', reason);
    const { place, settings, identity, lane, peer } = this.request;
    this.left = rest;
    this.address = address;
    this.step(settings.handshakeTimeout, () => this.tryNext('not reachable in time'));
    const socket = dialSocket({ host: address, port: place.port });
    const answer = new HandshakeReader();
    this.socket = socket;
    let isConnected = false;
    const onEnd = (why: string): void => (isConnected ? this.fail('down', why) : this.tryNext(why));
    socket.on('connect', () => {
      isConnected = true;
      this.step(settings.handshakeTimeout, () => this.fail('refused', 'did not answer the handshake in time'));
      socket.write(encodeHello({ ...identity, lane, expected: peer }));
    });
    socket.on('data', (chunk) => this.onData(answer, chunk));
    socket.on('error', (error) => onEnd(error.message));
    this.onSocketEnd = () => onEnd('closed by the peer');
    socket.on('end', this.onSocketEnd);
    socket.on('close', () => onEnd('closed'));
  }

  private onData(answer: HandshakeReader, chunk: Uint8Array): void {
    const { identity, peer, expected, place } = this.request;
    try {
      const body = answer.push(chunk);
      if (body === null) return;
      const said = decodeAnswer(body);
      if (said.kind === 'refused') return this.fail('refused', `refused us: this replica ${said.reason}`, said.why);
      const mismatch = mismatchOf(said, identity, peer, expected());
      if (mismatch !== null) return this.fail('refused', mismatch);
      place.prefer(this.address);
      const socket = this.socket as Socket;
      this.socket = null;
      this.end();
      for (const event of OWN_EVENTS) socket.removeAllListeners(event);
      socket.off('end', this.onSocketEnd);
      this.request.opened(socket, said);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.fail('malformed', error.message);
    }
  }

  private fail(kind: DialFailure['kind'], reason: string, why: RefusalCause | null = null): void {
    if (this.isOver) return;
    this.request.place.avoid(this.address);
    this.abandon();
    this.request.failed({ kind, reason, why });
  }

  private drop(): Socket | null {
    const { socket } = this;
    this.socket = null;
    if (socket === null) return null;
    letGo(socket);
    socket.destroy();
    return socket;
  }

  private end(): void {
    this.isOver = true;
    clearTimeout(this.timer);
  }

  /** Gives up. The socket, if there is one, is destroyed, but its handle may not be closed yet. */
  abandon(): Socket | null {
    this.end();
    return this.drop();
  }
}
