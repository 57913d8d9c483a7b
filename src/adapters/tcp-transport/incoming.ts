/**
 * A connection that another replica has dialled: it brings a handshake and then frames; this side sends the answer to
 * the handshake and then nothing but answers (transport/dead-path): one at once to pings, and one at each look at which
 * other bytes have come that were not answered. So the dialer hears of bytes that come slowly, and a busy connection
 * needs no pings. An answer that the socket does not take is left out, so that who never reads costs no memory.
 *
 * Invariants: no frame is parsed before the handshake is accepted, so `from` is the id that the peer gave there; a
 * socket that has not finished the handshake by the deadline is closed, even if bytes keep coming
 * (transport/handshake-deadline); one that brings nothing for long is dropped; after `close` nothing is delivered, not
 * even the rest of a chunk, and what has come of a message is let go.
 */

import { Malformed } from '../../core/bytes.js';
import type { TransportIdentity, TransportLane } from '../../replica/transport.js';
import { ANSWER_FRAME, FrameParser } from './frames.js';
import type { ExpectedPeer, Hello, HandshakeRefused, UnknownVersion } from './handshake.js';
import { decodeHello, encodeRefused, encodeWelcome, HandshakeReader, refusalOf } from './handshake.js';
import type { Settings } from './options.js';
import type { Socket } from './sockets.js';
import { plainAddress, type Stranger } from './strangers.js';
import { MOST_UNHEARD } from './timing.js';

/** The callbacks of the transport for its incoming connections. */
export interface IncomingOwner {
  readonly identity: TransportIdentity;
  readonly settings: Settings;
  peerNamed(id: string): ExpectedPeer | undefined;
  /** The handshake is done: `peer` and `lane` are known. */
  accepted(connection: Incoming): void;
  deliver(from: string, message: Uint8Array): void;
  turnedAway(kind: 'refused' | 'malformed', peer: string | null, reason: string): void;
  closed(connection: Incoming): void;
}

export class Incoming implements Stranger {
  readonly from: string;
  /** Null until the handshake is accepted. */
  peer: string | null = null;
  lane: TransportLane = 'control';
  incarnation = 0;
  private readonly owner: IncomingOwner;
  private readonly socket: Socket;
  /** The address of the other end, for messages. */
  private readonly remote: string;
  private readonly handshake = new HandshakeReader();
  private deadline: NodeJS.Timeout | undefined;
  private parser: FrameParser | null = null;
  private isOver = false;
  /** Since the last look: whether bytes came, and whether an answer was given; and the looks since bytes came. */
  private isHeard = false;
  private isAnswered = false;
  private unheard = 0;
  private isPinged = false;

  constructor(owner: IncomingOwner, socket: Socket) {
    this.owner = owner;
    this.socket = socket;
    this.from = plainAddress(socket.remoteAddress);
    this.remote = `${socket.remoteAddress}:${socket.remotePort}`;
    socket.on('error', () => this.close());
    socket.on('close', () => {
      this.close();
      owner.closed(this);
    });
  }

  /** Reads and answers from now on. Before that, what comes stays in the socket. */
  begin(): void {
    if (this.isOver) return;
    this.deadline = setTimeout(() => this.tooSlow(), this.owner.settings.handshakeTimeout);
    this.socket.on('data', (chunk) => this.onData(chunk));
  }

  /** How many bytes of messages that are not complete it holds. */
  get held(): number {
    return this.parser?.held ?? 0;
  }

  private onData(chunk: Uint8Array): void {
    if (this.isOver) return;
    try {
      if (this.parser !== null) return this.take(this.parser, chunk);
      const body = this.handshake.push(chunk);
      if (body !== null) this.judge(decodeHello(body));
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.close();
      this.owner.turnedAway('malformed', this.peer, `${this.remote}: ${error.message}`);
    }
  }

  private take(parser: FrameParser, chunk: Uint8Array): void {
    this.isHeard = true;
    parser.push(chunk);
    if (!this.isPinged) return;
    this.isPinged = false;
    this.answer();
  }

  private answer(): void {
    this.isAnswered = true;
    if (!this.isOver && this.socket.writableLength === 0) this.socket.write(ANSWER_FRAME);
  }

  /** Called `CHECKS` times per `stallTimeout`. */
  check(): void {
    if (this.parser === null) return;
    if (this.isHeard && !this.isAnswered) this.answer();
    this.unheard = this.isHeard ? 0 : this.unheard + 1;
    this.isHeard = this.isAnswered = false;
    if (this.unheard < MOST_UNHEARD) return;
    this.socket.resetAndDestroy();
    this.close();
  }

  private judge(hello: Hello | UnknownVersion): void {
    const { identity, settings } = this.owner;
    const refusal = refusalOf(hello, identity, (id) => this.owner.peerNamed(id));
    if (refusal !== null) return this.refuse(hello, refusal);
    if (hello.kind !== 'hello') return;
    clearTimeout(this.deadline);
    this.peer = hello.id;
    this.lane = hello.lane;
    this.incarnation = hello.incarnation;
    const deliver = (message: Uint8Array): void => {
      if (!this.isOver) this.owner.deliver(hello.id, message);
    };
    const pinged = (): void => void (this.isPinged = true);
    this.parser = new FrameParser(settings.maxMessageBytes, deliver, pinged);
    const { maxMessageBytes } = settings;
    this.socket.write(encodeWelcome({ ...identity, dialer: hello.id, maxMessageBytes }));
    this.owner.accepted(this);
  }

  /** Sends the reason and waits until the other end closes, at most to the deadline. */
  private refuse(hello: Hello | UnknownVersion, { why, reason }: Omit<HandshakeRefused, 'kind'>): void {
    this.isOver = true;
    this.socket.end(encodeRefused(reason, why));
    const [peer, who] =
      hello.kind === 'hello'
        ? [hello.id, `${hello.id} of cluster ${JSON.stringify(hello.cluster)}`]
        : [null, 'the dialer'];
    this.owner.turnedAway('refused', peer, `${this.remote}: ${who} ${reason}`);
  }

  private tooSlow(): void {
    const wasRefused = this.isOver;
    this.close();
    if (wasRefused) return;
    this.owner.turnedAway('refused', null, `${this.remote}: did not finish the handshake in time`);
  }

  /** Closes it, since there is no room for all that are in their handshake. */
  giveWay(reason: string): void {
    const wasRefused = this.isOver;
    this.close();
    if (!wasRefused) this.owner.turnedAway('refused', null, `${this.remote}: gave way, since ${reason}`);
  }

  /** Closes the socket at once, without an answer. */
  close(): void {
    this.isOver = true;
    this.parser = null;
    clearTimeout(this.deadline);
    this.socket.destroy();
  }
}
