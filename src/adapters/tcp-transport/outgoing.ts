/**
 * The connection by which this replica sends to one peer on one lane: it dials, writes the queued messages, asks for a
 * sign of life when there is none, and after a loss dials again after a growing, jittered wait.
 *
 * A lost control connection is dialled again at once: a killed process refuses within a round trip, a mere reset is
 * mended. That one dial decides whether the peer is reported unreachable (transport/unreachable-after-redial).
 *
 * A sign of life is a byte that comes (the peer sends nothing but answers), or one that a full socket lets out, for
 * which the peer's system has acknowledged others. What a socket takes while it has room is none. Without one the
 * connection is reset, so that what its socket holds does not come after all (transport/dead-path).
 *
 * Invariants: at most one socket at a time; frames are written in state `open` only; messages that waited when a
 * connection was lost are dropped, as a datagram may be, and that is reported; the socket's stream holds at most
 * `MOST_UNSENT` (128 KiB), the rest waits in the bounded queue (transport/bounded-queue); while something waits, either
 * a flush is due or the socket has not taken all that was written; nothing is reported after `close`.
 */

import { Malformed } from '../../core/bytes.js';
import type { TransportIdentity, TransportLane } from '../../replica/transport.js';
import { Dial, letGo, type DialFailure } from './dial.js';
import { AnswerReader, PING_FRAME } from './frames.js';
import type { ExpectedPeer, RefusalCause, Welcome } from './handshake.js';
import type { Settings } from './options.js';
import { OutgoingQueue, SCRATCH_BYTES } from './outgoing-queue.js';
import type { Place } from './place.js';
import type { Socket } from './sockets.js';
import { DOWN_SHARE, MOST_SILENT, PROBE_CHECKS } from './timing.js';

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
  /** A handshake or the lookup of a name failed; reported once until the reason changes. */
  failed(connection: Outgoing, kind: 'refused' | 'malformed' | 'unresolved', reason: string): void;
  /** Asks for a `flush` at the end of this turn of the event loop. */
  flushSoon(connection: Outgoing): void;
}

/** The most doublings of the shortest wait; with them it exceeds any longest wait. */
const MOST_ATTEMPTS = 24;

/** How many writes a connection gets in one turn of the event loop. */
const ROUNDS = 2;
const NOTHING = new Uint8Array(0);

export class Outgoing {
  readonly peer: string;
  readonly lane: TransportLane;
  private readonly place: Place;
  private readonly owner: OutgoingOwner;
  private readonly queue: OutgoingQueue;
  /** `idle`: dials on demand, `waiting`: until the timer ends, `dialing`: up to the answer. */
  private state: 'idle' | 'waiting' | 'dialing' | 'open' | 'closed' = 'idle';
  private dialing: Dial | null = null;
  private socket: Socket | null = null;
  private timer: NodeJS.Timeout | undefined;
  private attempts = 0;
  private dialledAt = 0;
  private openedAt = 0;
  /** Whoever answered the last dial did not fit, or nobody knows its name. */
  private isUnfit = false;
  /** When a lost connection was last dialled again without a wait. */
  private redialledAt = -Infinity;
  /** The connection was lost, and no dial has ended since. */
  private isInDoubt = false;
  private lastFailure = '';
  private isFlushDue = false;
  /** A buffer to build frames in, unused while the socket has accepted all that was written. */
  private scratch: Uint8Array | null = null;
  /** Bytes written to this socket; at the last check, how many of them it had taken, and whether it was full. */
  private written = 0;
  private takenBefore = 0;
  private wasFull = false;
  /** Whether the peer was heard since the last check, and the checks since the last sign of life. */
  private isHeard = false;
  private silent = 0;

  constructor(owner: OutgoingOwner, peer: string, place: Place, lane: TransportLane) {
    this.owner = owner;
    this.peer = peer;
    this.place = place;
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

  /** Dials without further waiting. */
  dialNow(): void {
    if (this.state === 'idle' || this.state === 'waiting') this.dial();
  }

  /** The peer is known to be up: dials without further waiting, or has an open connection show that it lives. */
  probe(): void {
    if (this.state === 'open') {
      this.silent = Math.max(this.silent, MOST_SILENT - PROBE_CHECKS);
      this.ping();
    } else if (this.state !== 'dialing') this.dialNow();
    else if (this.dialing?.isHanging === true) {
      this.dialing.abandon();
      this.dial();
    }
  }

  private dial(): void {
    clearTimeout(this.timer);
    this.state = 'dialing';
    this.isUnfit = false;
    this.dialledAt = performance.now();
    const { peer, lane, place, owner } = this;
    const { identity, settings } = owner;
    this.dialing = new Dial({
      peer,
      lane,
      place,
      identity,
      settings,
      expected: () => owner.peerNamed(peer),
      opened: (socket, welcome) => this.open(socket, welcome),
      failed: (failure) => this.failed(failure),
    });
    this.dialing.begin();
  }

  private failed({ kind, reason, why }: DialFailure): void {
    if (kind === 'down') return this.down(reason);
    const isNew = reason !== this.lastFailure;
    this.lastFailure = reason;
    // The next wait is the longest one, since the reason seldom goes away by itself.
    this.isUnfit = true;
    this.attempts = MOST_ATTEMPTS;
    this.down(reason);
    if (!isNew) return;
    this.owner.failed(this, kind, reason);
    if (why !== null) this.owner.refusedBy(this, why, reason);
  }

  private open(socket: Socket, welcome: Welcome): void {
    const answers = new AnswerReader();
    this.dialing = null;
    this.socket = socket;
    socket.on('data', (chunk) => this.onData(answers, chunk));
    socket.on('error', (error) => this.down(error.message));
    socket.on('end', () => this.down('closed by the peer'));
    socket.on('close', () => this.down('closed'));
    this.state = 'open';
    this.openedAt = performance.now();
    this.lastFailure = '';
    this.isInDoubt = this.isHeard = this.wasFull = false;
    this.written = this.takenBefore = this.silent = 0;
    this.owner.opened(this, welcome);
    this.flush();
  }

  private onData(answers: AnswerReader, chunk: Uint8Array): void {
    this.isHeard = true;
    try {
      answers.push(chunk);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.failed({ kind: 'malformed', reason: error.message, why: null });
    }
  }

  /** Drops the socket and the queued messages, and dials again: a lost control connection at once, else later. */
  private down(reason: string, isDead = false): void {
    const wasOpen = this.state === 'open';
    const { isInUse } = this;
    const { longestDelay } = this.owner.settings;
    const now = performance.now();
    // A connection that keeps breaking soon after it opened is dialled less and less often.
    if (wasOpen && now - this.openedAt > longestDelay) this.attempts = 0;
    const isGivenUp = !wasOpen && this.isInDoubt;
    this.isInDoubt = wasOpen && this.lane === 'control';
    if (isDead) this.socket?.resetAndDestroy();
    this.abandon();
    if (this.isInDoubt && now - this.redialledAt > longestDelay) {
      this.redialledAt = now;
      this.dial();
    } else this.dialLater(wasOpen ? 0 : now - this.dialledAt);
    if (isInUse) this.owner.lost(this, wasOpen ? reason : null);
    if (isGivenUp) this.owner.unreachable(this);
  }

  /** @param spent how long the last dial took, which counts as waiting */
  private dialLater(spent: number): void {
    const { longestDelay, shortestDelay } = this.owner.settings;
    this.state = 'waiting';
    const longest = this.isUnfit ? longestDelay : longestDelay * DOWN_SHARE;
    const wait = Math.max(shortestDelay, Math.min(longest, shortestDelay * 2 ** this.attempts) - spent);
    const delay = wait * (0.5 + Math.random() / 2);
    this.attempts = Math.min(this.attempts + 1, MOST_ATTEMPTS);
    this.timer = setTimeout(() => {
      if (this.lane === 'control') this.dial();
      else this.state = 'idle';
    }, delay);
  }

  /** Drops the connection, or the attempt to open one. Gives its socket, whose handle may not be closed yet. */
  private abandon(): Socket | null {
    clearTimeout(this.timer);
    this.queue.clear();
    this.scratch = null;
    const { socket, dialing } = this;
    this.socket = this.dialing = null;
    if (socket === null) return dialing?.abandon() ?? null;
    letGo(socket);
    socket.destroy();
    return socket;
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

  /** Asks for an answer, unless bytes wait that will have one. What was written before ends with a whole frame. */
  private ping(): void {
    if (this.socket === null || this.socket.writableLength > 0) return;
    this.written += PING_FRAME.length;
    this.socket.write(PING_FRAME);
  }

  /** Called `CHECKS` times per `stallTimeout`: asks a silent peer for a sign of life, and ends what shows none. */
  check(): void {
    if (this.state !== 'open' || this.socket === null) return;
    const unsent = this.socket.writableLength;
    const taken = this.written - unsent;
    const isAlive = this.isHeard || (this.wasFull && taken !== this.takenBefore);
    this.isHeard = false;
    this.wasFull = unsent > 0;
    this.takenBefore = taken;
    this.silent = isAlive ? 0 : this.silent + 1;
    if (this.silent === 1) this.ping();
    if (this.silent < MOST_SILENT) return;
    this.attempts = 0;
    this.down(`no sign of life for ${this.owner.settings.stallTimeout} ms`, true);
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
    const socket = this.abandon();
    this.state = 'closed';
    if (socket === null) return Promise.resolve();
    return new Promise((resolve) => socket.once('close', () => resolve()));
  }
}
