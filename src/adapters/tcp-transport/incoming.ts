/**
 * A connection that another replica has dialled: it brings a handshake and then frames; this side sends the answer to
 * the handshake and nothing else.
 *
 * Invariants: no frame is parsed before the handshake is accepted, so `from` is the id that the peer gave there; a
 * socket that has not finished the handshake by the deadline is closed, even if bytes keep coming
 * (transport/handshake-deadline); after `close` nothing is delivered, not even the rest of a chunk, and what has come
 * of a message is let go.
 */

import { Malformed } from '../../core/bytes.js';
import type { TransportIdentity, TransportLane } from '../../replica/transport.js';
import { FrameParser } from './frames.js';
import type { ExpectedPeer, Hello, HandshakeRefused, UnknownVersion } from './handshake.js';
import { decodeHello, encodeRefused, encodeWelcome, HandshakeReader, refusalOf } from './handshake.js';
import type { Settings } from './options.js';
import type { Socket } from './sockets.js';

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

export class Incoming {
  /** Null until the handshake is accepted. */
  peer: string | null = null;
  lane: TransportLane = 'control';
  incarnation = 0;
  private readonly owner: IncomingOwner;
  private readonly socket: Socket;
  /** The address of the other end, for messages. */
  private readonly remote: string;
  private readonly handshake = new HandshakeReader();
  private readonly deadline: NodeJS.Timeout;
  private parser: FrameParser | null = null;
  private isOver = false;

  constructor(owner: IncomingOwner, socket: Socket) {
    this.owner = owner;
    this.socket = socket;
    this.remote = `${socket.remoteAddress}:${socket.remotePort}`;
    this.deadline = setTimeout(() => this.tooSlow(), owner.settings.handshakeTimeout);
    socket.on('data', (chunk) => this.onData(chunk));
    socket.on('error', () => this.close());
    socket.on('close', () => {
      this.close();
      owner.closed(this);
    });
  }

  /** How many bytes of messages that are not complete it holds. */
  get held(): number {
    return this.parser?.held ?? 0;
  }

  private onData(chunk: Uint8Array): void {
    if (this.isOver) return;
    try {
      if (this.parser !== null) return this.parser.push(chunk);
      const body = this.handshake.push(chunk);
      if (body !== null) this.judge(decodeHello(body));
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.close();
      this.owner.turnedAway('malformed', this.peer, `${this.remote}: ${error.message}`);
    }
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
    this.parser = new FrameParser(settings.maxMessageBytes, deliver);
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

  /** Closes the socket at once, without an answer. */
  close(): void {
    this.isOver = true;
    this.parser = null;
    clearTimeout(this.deadline);
    this.socket.destroy();
  }
}
