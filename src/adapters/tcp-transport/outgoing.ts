/**
 * The connection by which this replica sends to one peer on one lane: it dials, does the handshake, writes the queued
 * messages, and after a loss dials again after a growing, jittered wait.
 *
 * Invariants: at most one socket at a time; frames are written in state `open` only; messages that waited when a
 * connection was lost are dropped, as a datagram may be; the socket's stream holds less than 128 KiB, the rest waits in
 * the bounded queue (transport/bounded-queue); nothing is reported after `close`.
 */

import { Malformed } from '../../core/bytes.js';
import type { TransportIdentity, TransportLane } from '../../replica/transport.js';
import type { SocketAddress } from './address.js';
import type { Welcome } from './handshake.js';
import { decodeAnswer, encodeHello, HandshakeReader, mismatchOf } from './handshake.js';
import type { Settings } from './options.js';
import { OutgoingQueue, PIECE_BYTES } from './outgoing-queue.js';
import type { Socket } from './sockets.js';
import { dialSocket } from './sockets.js';

/** The callbacks of the transport for its outgoing connections. */
export interface OutgoingOwner {
  readonly identity: TransportIdentity;
  readonly settings: Settings;
  opened(connection: Outgoing, welcome: Welcome): void;
  /** An open connection ended. */
  lost(connection: Outgoing, reason: string): void;
  /** A handshake failed; reported once until the reason changes. */
  failed(connection: Outgoing, kind: 'refused' | 'malformed', reason: string): void;
  /** Asks for a `flush` at the end of this turn of the event loop. */
  flushSoon(connection: Outgoing): void;
}

/** How many times per `stallTimeout` the owner calls `check`. */
export const CHECKS_PER_STALL = 4;
/** The most doublings of the shortest wait; with them it exceeds any longest wait. */
const MOST_ATTEMPTS = 24;

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
  private lastFailure = '';
  /** A buffer to build pieces in, unused while the socket has accepted all that was written. */
  private spare: Uint8Array | null = null;
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
    this.queue = new OutgoingQueue(lane === 'control' ? controlQueueBytes : bulkQueueBytes);
  }

  get isOpen(): boolean {
    return this.state === 'open';
  }

  /**
   * Queues a message; false if it was dropped. On the bulk lane the first message dials and waits with those after it.
   */
  send(message: Uint8Array): boolean {
    if (this.state === 'idle') this.dial();
    const isComing = this.state === 'dialing' && this.lane === 'bulk';
    if (this.state !== 'open' && !isComing) return false;
    const wasEmpty = this.queue.isEmpty;
    if (!this.queue.push(message)) return false;
    if (wasEmpty && this.state === 'open') this.owner.flushSoon(this);
    return true;
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
    socket.on('drain', () => this.flush());
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
      if (said.kind === 'refused') return this.fail('refused', `refused us: this replica ${said.reason}`);
      const mismatch = mismatchOf(said, this.owner.identity, this.peer);
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
    this.written = this.takenBefore = this.checksWithoutProgress = 0;
    this.owner.opened(this, welcome);
    this.flush();
  }

  /** A handshake failed. The next wait is the longest one, since the reason seldom goes away by itself. */
  private fail(kind: 'refused' | 'malformed', reason: string): void {
    this.attempts = MOST_ATTEMPTS;
    this.down(reason);
    if (reason === this.lastFailure) return;
    this.lastFailure = reason;
    this.owner.failed(this, kind, reason);
  }

  /** Drops the socket and the queued messages, and dials again later. */
  private down(reason: string): void {
    const wasOpen = this.state === 'open';
    const { longestDelay, shortestDelay } = this.owner.settings;
    // A connection that keeps breaking soon after it opened is dialled less and less often.
    if (wasOpen && performance.now() - this.openedAt > longestDelay) this.attempts = 0;
    this.abandon();
    this.state = 'waiting';
    const delay = Math.min(longestDelay, shortestDelay * 2 ** this.attempts) * (0.5 + Math.random() / 2);
    this.attempts = Math.min(this.attempts + 1, MOST_ATTEMPTS);
    this.timer = setTimeout(() => {
      if (this.lane === 'control') this.dial();
      else this.state = 'idle';
    }, delay);
    if (wasOpen) this.owner.lost(this, reason);
  }

  private abandon(): void {
    clearTimeout(this.timer);
    this.queue.clear();
    this.spare = null;
    this.socket?.removeAllListeners();
    this.socket?.on('error', ignore);
    this.socket?.destroy();
    this.socket = null;
  }

  /**
   * Writes queued messages as far as the socket accepts them; all that fits into one piece takes one system call.
   */
  flush(): void {
    const socket = this.socket;
    if (this.state !== 'open' || socket === null || socket.writableNeedDrain) return;
    let inUse = false;
    const scratch = (): Uint8Array => {
      const free = inUse ? null : this.spare;
      inUse = true;
      return free ?? (this.spare = new Uint8Array(PIECE_BYTES));
    };
    if (socket.writableLength > 0) this.spare = null;
    let piece = this.queue.next(scratch);
    if (piece === null) return;
    const isAll = this.queue.isEmpty;
    if (!isAll) socket.cork();
    for (; piece !== null; piece = socket.writableNeedDrain ? null : this.queue.next(scratch)) {
      this.written += piece.length;
      socket.write(piece);
    }
    if (!isAll) socket.uncork();
  }

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
    const wasOpen = this.state === 'open';
    if (this.state === 'closed') return;
    this.abandon();
    this.state = 'idle';
    this.attempts = 0;
    if (wasOpen) this.owner.lost(this, reason);
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
