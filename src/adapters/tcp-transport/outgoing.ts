/**
 * The connection by which this replica sends to one peer on one lane: it dials, does the handshake, writes the queued
 * messages, and after a loss dials again after a growing, jittered wait.
 *
 * A lost control connection is dialled again at once: a killed process refuses within a round trip, a mere reset is
 * mended. That one dial decides whether the peer is reported unreachable (transport/unreachable-after-redial).
 *
 * Invariants: at most one socket at a time; frames are written in state `open` only; messages that waited when a
 * connection was lost are dropped, as a datagram may be, and that is reported; the socket's stream holds at most
 * `MOST_UNSENT` (128 KiB), the rest waits in the bounded queue (transport/bounded-queue); while something waits, either
 * a flush is due or the socket has not taken all that was written; nothing is reported after `close`.
 */

import { Malformed } from '../../core/bytes.js';
import type { TransportIdentity, TransportLane } from '../../replica/transport.js';
import type { SocketAddress } from './address.js';
import type { ExpectedPeer, RefusalCause, Welcome } from './handshake.js';
import { decodeAnswer, encodeHello, HandshakeReader, mismatchOf } from './handshake.js';
import type { Settings } from './options.js';
import { OutgoingQueue, SCRATCH_BYTES } from './outgoing-queue.js';
import type { Socket } from './sockets.js';
import { dialSocket } from './sockets.js';

/** The callbacks of the transport for its outgoing connections. */
export interface OutgoingOwner {
  readonly identity: TransportIdentity;
  readonly settings: Settings;
  opened(connection: Outgoing, welcome: Welcome): void;
  /** An open connection ended; without a reason one that messages waited for did not open. */
  lost(connection: Outgoing, reason: string | null): void;
  /** The first dial after the loss of a control connection failed. */
  unreachable(connection: Outgoing): void;
  /** The peer as it is expected to answer. */
  peerNamed(id: string): ExpectedPeer | undefined;
  /** The peer refused this replica, beside `failed`. */
  refusedBy(connection: Outgoing, why: RefusalCause, reason: string): void;
  /** A handshake failed; reported once until the reason changes. */
  failed(connection: Outgoing, kind: 'refused' | 'malformed', reason: string): void;
  /** Asks for a `flush` at the end of this turn of the event loop. */
  flushSoon(connection: Outgoing): void;
}

/** How many times per `stallTimeout` the owner calls `check`. */
export const CHECKS_PER_STALL = 4;
/** The most doublings of the shortest wait; with them it exceeds any longest wait. */
const MOST_ATTEMPTS = 24;

/** How many writes a connection gets in one turn of the event loop. */
const ROUNDS = 2;
const NOTHING = new Uint8Array(0);
const ignore = (): void => {};

export class Outgoing {
  readonly peer: string;
  readonly lane: TransportLane;
  private readonly address: SocketAddress;
  private readonly owner: OutgoingOwner;
  private readonly queue: OutgoingQueue;
  /** `idle`: dials on demand, `waiting`: until the timer ends, `dialing`: up to the answer. */
  private state: 'idle' | 'waiting' | 'dialing' | 'open' | 'closed' = 'idle';
  private socket: Socket | null = null;
  private timer: NodeJS.Timeout | undefined;
  private attempts = 0;
  private openedAt = 0;
  /** When a lost connection was last dialled again without a wait. */
  private redialledAt = -Infinity;
  /** The connection was lost, and no dial has ended since. */
  private isInDoubt = false;
  private lastFailure = '';
  private isFlushDue = false;
  /** A buffer to build frames in, unused while the socket has accepted all that was written. */
  private scratch: Uint8Array | null = null;
  /** Bytes written to this socket, how many of them it had accepted at the last check, and the checks since. */
  private written = 0;
  private takenBefore = 0;
  private checksWithoutProgress = 0;

  constructor(owner: OutgoingOwner, peer: string, address: SocketAddress, lane: TransportLane) {
    this.owner = owner;
    this.peer = peer;
    this.address = address;
    this.lane = lane;
    const { controlQueueBytes, bulkQueueBytes } = owner.settings;
    this.queue = new OutgoingQueue(lane, lane === 'control' ? controlQueueBytes : bulkQueueBytes);
  }

  get isOpen(): boolean {
    return this.state === 'open';
  }

  /** It is open, or messages wait until it is. */
  get isInUse(): boolean {
    return this.state === 'open' || !this.queue.isEmpty;
  }

  /** How many bytes wait, those that the socket holds included. */
  get bytes(): number {
    return this.queue.bytes;
  }

  /**
   * Queues a message; false if it was dropped. On the bulk lane the first message dials and waits with those after it.
   */
  send(message: Uint8Array): boolean {
    if (this.state === 'idle') this.dial();
    const isComing = this.state === 'dialing' && this.lane === 'bulk';
    if (this.state !== 'open' && !isComing) return false;
    if (!this.queue.push(message)) return false;
    if (this.state === 'open') this.askForFlush();
    return true;
  }

  private askForFlush(): void {
    if (this.isFlushDue) return;
    this.isFlushDue = true;
    this.owner.flushSoon(this);
  }

  /** Dials in place of a connection that was lost. */
  replace(): void {
    this.isInDoubt = true;
    this.dial();
  }

  /** Dials without further waiting, since the peer is known to be up. */
  dialNow(): void {
    if (this.state === 'idle' || this.state === 'waiting') this.dial();
  }

  private dial(): void {
    clearTimeout(this.timer);
    this.state = 'dialing';
    const { handshakeTimeout } = this.owner.settings;
    this.timer = setTimeout(() => this.unanswered(), handshakeTimeout);
    const socket = dialSocket(this.address);
    const answer = new HandshakeReader();
    this.socket = socket;
    socket.on('connect', () => {
      const { identity } = this.owner;
      socket.write(encodeHello({ ...identity, lane: this.lane, expected: this.peer }));
    });
    socket.on('data', (chunk) => this.onData(answer, chunk));
    socket.on('error', (error) => this.down(error.message));
    socket.on('end', () => this.down('closed by the peer'));
    socket.on('close', () => this.down('closed'));
  }

  private unanswered(): void {
    // A machine to which no TCP connection opens is down, which is not reported as a failed handshake.
    if (this.socket?.connecting === false) this.fail('refused', 'did not answer the handshake in time');
    else this.down('not reachable in time');
  }

  private onData(answer: HandshakeReader, chunk: Uint8Array): void {
    try {
      if (this.state !== 'dialing') throw new Malformed('bytes came where only an end may come');
      const body = answer.push(chunk);
      if (body === null) return;
      const said = decodeAnswer(body);
      if (said.kind === 'refused') return this.refused(said.why, `refused us: this replica ${said.reason}`);
      const mismatch = mismatchOf(said, this.owner.identity, this.peer, this.owner.peerNamed(this.peer));
      if (mismatch !== null) return this.fail('refused', mismatch);
      this.open(said);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.fail('malformed', error.message);
    }
  }

  private open(welcome: Welcome): void {
    clearTimeout(this.timer);
    this.state = 'open';
    this.openedAt = performance.now();
    this.lastFailure = '';
    this.isInDoubt = false;
    this.written = this.takenBefore = this.checksWithoutProgress = 0;
    this.owner.opened(this, welcome);
    this.flush();
  }

  private refused(why: RefusalCause, reason: string): void {
    const isNew = reason !== this.lastFailure;
    this.fail('refused', reason);
    if (isNew) this.owner.refusedBy(this, why, reason);
  }

  /** A handshake failed. The next wait is the longest one, since the reason seldom goes away by itself. */
  private fail(kind: 'refused' | 'malformed', reason: string): void {
    this.attempts = MOST_ATTEMPTS;
    this.down(reason);
    if (reason === this.lastFailure) return;
    this.lastFailure = reason;
    this.owner.failed(this, kind, reason);
  }

  /** Drops the socket and the queued messages, and dials again: a lost control connection at once, else later. */
  private down(reason: string): void {
    const wasOpen = this.state === 'open';
    const { isInUse } = this;
    const { longestDelay } = this.owner.settings;
    const now = performance.now();
    // A connection that keeps breaking soon after it opened is dialled less and less often.
    if (wasOpen && now - this.openedAt > longestDelay) this.attempts = 0;
    const isGivenUp = !wasOpen && this.isInDoubt;
    this.isInDoubt = wasOpen && this.lane === 'control';
    this.abandon();
    if (this.isInDoubt && now - this.redialledAt > longestDelay) {
      this.redialledAt = now;
      this.dial();
    } else this.dialLater();
    if (isInUse) this.owner.lost(this, wasOpen ? reason : null);
    if (isGivenUp) this.owner.unreachable(this);
  }

  private dialLater(): void {
    const { longestDelay, shortestDelay } = this.owner.settings;
    this.state = 'waiting';
    const delay = Math.min(longestDelay, shortestDelay * 2 ** this.attempts) * (0.5 + Math.random() / 2);
    this.attempts = Math.min(this.attempts + 1, MOST_ATTEMPTS);
    this.timer = setTimeout(() => {
      if (this.lane === 'control') this.dial();
      else this.state = 'idle';
    }, delay);
  }

  private abandon(): void {
    clearTimeout(this.timer);
    this.queue.clear();
    this.scratch = null;
    this.socket?.removeAllListeners();
    this.socket?.on('error', ignore);
    this.socket?.destroy();
    this.socket = null;
  }

  /**
   * Writes the next queued messages if the socket has accepted all before. The rest waits for later turns, so that a
   * long queue holds up nobody.
   */
  flush(): void {
    this.isFlushDue = false;
    const socket = this.socket;
    if (this.state !== 'open' || socket === null || socket.writableLength > 0) return;
    for (let round = 0; round < ROUNDS && socket.writableLength === 0; round++) this.write(socket);
    // Nearly always the system takes all of it at once, so only what it did not take is worth a callback.
    if (socket.writableLength > 0) socket.write(NOTHING, this.onTaken);
    else this.onTaken();
  }

  /** Writes as much as a socket that has accepted all before may hold. */
  private write(socket: Socket): void {
    this.queue.left();
    if (this.queue.isEmpty) return;
    const pieces = this.queue.take((this.scratch ??= new Uint8Array(SCRATCH_BYTES)));
    if (pieces.length > 1) socket.cork();
    for (const piece of pieces) {
      this.written += piece.length;
      socket.write(piece);
    }
    if (pieces.length > 1) socket.uncork();
  }

  /** The socket accepted all that was written, or is gone. */
  private readonly onTaken = (): void => {
    if (this.state !== 'open' || this.socket === null || this.socket.writableLength > 0) return;
    this.queue.left();
    if (!this.queue.isEmpty) this.askForFlush();
  };

  /** Called `CHECKS_PER_STALL` times per `stallTimeout`; ends a connection that accepted no byte for that long. */
  check(): void {
    if (this.state !== 'open' || this.socket === null) return;
    const unsent = this.socket.writableLength;
    const taken = this.written - unsent;
    if (unsent === 0 || taken !== this.takenBefore) this.checksWithoutProgress = 0;
    else this.checksWithoutProgress++;
    this.takenBefore = taken;
    if (this.checksWithoutProgress >= CHECKS_PER_STALL) {
      this.down(`took no byte for ${this.owner.settings.stallTimeout} ms`);
    }
  }

  /** Ends a connection whose peer is known to be gone, and dials again on demand. */
  reset(reason: string): void {
    const { state, isInUse } = this;
    if (state === 'closed') return;
    this.abandon();
    this.state = 'idle';
    this.attempts = 0;
    if (isInUse) this.owner.lost(this, state === 'open' ? reason : null);
  }

  /** Closes the connection for good, after one more write of the queue. Resolves when the socket's handle is closed. */
  close(): Promise<void> {
    this.flush();
    const socket = this.socket;
    this.abandon();
    this.state = 'closed';
    if (socket === null) return Promise.resolve();
    return new Promise((resolve) => socket.once('close', () => resolve()));
  }
}
