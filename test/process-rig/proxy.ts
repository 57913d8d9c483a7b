/**
 * A TCP proxy in user space with a policy for each directed link. Every member is dialled at the address of its proxy,
 * which listens on a port of the system's choice and learns from the handshake's first message who dials. What a member
 * sends to a peer travels on connections that it dials itself, so the link a→b is all connections from a to b: the
 * policy acts on what a writes, and `mute` on the little that b answers.
 */

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { decodeHello, HANDSHAKE_BYTES, HandshakeReader } from '../../src/adapters/tcp-transport/handshake.js';
import { Pump } from './pump.js';
import type { Random } from './random.js';

/** What happens to a link. All that is absent does not happen. */
export interface Policy {
  /** `cut`: connections are reset, new ones too. `hole`: accepted, and every byte swallowed. `freeze`: bytes wait. */
  readonly way?: 'cut' | 'hole' | 'freeze';
  /** What the acceptor answers is swallowed. */
  readonly mute?: boolean;
  /** Milliseconds, and up to how many more. */
  readonly delay?: number;
  readonly jitter?: number;
  /** Bytes a second. */
  readonly rate?: number;
  /** One byte in so many has a bit flipped. */
  readonly corrupt?: number;
  /** After so many bytes a connection is reset, wherever that is in a frame. */
  readonly truncate?: number;
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

/** How much of each happened. */
export interface ProxyCounts {
  connections: number;
  resets: number;
  bytes: number;
  swallowed: number;
  flips: number;
  truncations: number;
}

class Connection {
  readonly link: string;
  readonly random: Random;
  readonly counts: ProxyCounts;
  private readonly down: Socket;
  private readonly up: Socket | null;
  private readonly forward: Pump | null;
  private readonly back: Pump | null;
  private readonly ended: (connection: Connection) => void;
  policy: Policy;
  /** Bytes are missing in the stream: it cannot heal, only end. */
  isHoled = false;

  constructor(
    link: string,
    policy: Policy,
    down: Socket,
    first: Uint8Array,
    target: Target,
    random: Random,
    counts: ProxyCounts,
    ended: (connection: Connection) => void,
  ) {
    this.link = link;
    this.policy = policy;
    this.random = random;
    this.counts = counts;
    this.down = down;
    this.ended = ended;
    down.on('close', (hadError) => this.closed(this.up, hadError));
    if (policy.way === 'hole') {
      // Half open: whoever dials finds nobody behind it.
      this.up = this.forward = this.back = null;
      this.isHoled = true;
      counts.swallowed += first.length;
      down.on('data', (chunk: Buffer) => void (counts.swallowed += chunk.length));
      return;
    }
    this.up = connect({ ...target, noDelay: true });
    this.up.on('error', () => undefined).on('close', (hadError) => this.closed(down, hadError));
    this.forward = new Pump(down, this.up, this, 'forward');
    this.back = new Pump(this.up, down, this, 'back');
    this.forward.take(first);
  }

  change(policy: Policy): void {
    this.policy = policy;
    if (policy.way === 'cut' || (this.isHoled && policy.way !== 'hole' && policy.mute !== true)) return this.reset();
    this.forward?.look();
    this.back?.look();
  }

  /** One side has gone: the other goes the same way. */
  private closed(other: Socket | null, hadError: boolean): void {
    if (hadError || other === null) return this.reset();
    if (!other.destroyed) other.destroySoon();
    else this.ended(this);
  }

  reset(): void {
    this.forward?.end();
    this.back?.end();
    if (!this.down.destroyed) {
      this.counts.resets++;
      this.down.resetAndDestroy();
    }
    if (this.up !== null && !this.up.destroyed) this.up.resetAndDestroy();
    this.ended(this);
  }
}

export type { Connection };

/** "QUOR" and a length. */
const HEAD_BYTES = 6;

/** Who says hello; `undefined` until it has said enough, `null` when it says something else. */
function dialerOf(bytes: Buffer): string | null | undefined {
  try {
    const reader = new HandshakeReader();
    // What follows the hello is for the one behind the proxy to judge.
    const length = bytes.length < HEAD_BYTES ? bytes.length : HEAD_BYTES + bytes.readUInt16LE(HEAD_BYTES - 2);
    const body = reader.push(bytes.subarray(0, Math.min(length, HANDSHAKE_BYTES)));
    if (body === null) return undefined;
    const hello = decodeHello(body);
    return hello.kind === 'hello' ? hello.id : null;
  } catch {
    return null;
  }
}

/** All proxies of a cluster. */
export class Proxies {
  readonly counts: ProxyCounts = { connections: 0, resets: 0, bytes: 0, swallowed: 0, flips: 0, truncations: 0 };
  private readonly servers: Server[] = [];
  private readonly policies = new Map<string, Policy>();
  private readonly connections = new Set<Connection>();
  private readonly sockets = new Set<Socket>();
  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  /** Opens the door of one member. @returns the address that its peers dial */
  async open(member: string, target: Target): Promise<string> {
    const server = createServer({ noDelay: true }, (socket) => this.accept(socket, member, target));
    this.servers.push(server);
    server.listen(0, target.host);
    await once(server, 'listening');
    return `${target.host}:${(server.address() as AddressInfo).port}`;
  }

  private accept(socket: Socket, to: string, target: Target): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => this.sockets.delete(socket));
    let first = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      first = Buffer.concat([first, chunk]);
      const from = dialerOf(first);
      if (from === undefined) return;
      socket.removeAllListeners('data');
      if (from === null)
        socket.destroy(); // no member speaks so
      else this.identified(socket, `${from}->${to}`, first, target);
    });
  }

  private identified(socket: Socket, link: string, first: Uint8Array, target: Target): void {
    const policy = this.policyOf(link);
    this.counts.connections++;
    if (policy.way === 'cut') {
      this.counts.resets++;
      return void socket.resetAndDestroy();
    }
    const ended = (connection: Connection): void => void this.connections.delete(connection);
    this.connections.add(new Connection(link, policy, socket, first, target, this.random.fork(), this.counts, ended));
  }

  policyOf(link: string): Policy {
    return this.policies.get(link) ?? {};
  }

  /** Adds to what happens to a link, for its connections that are and that will be. */
  set(link: string, policy: Policy): void {
    this.become(link, { ...this.policyOf(link), ...policy });
  }

  heal(link: string): void {
    this.become(link, {});
  }

  healAll(): void {
    for (const link of [...this.policies.keys()]) this.heal(link);
  }

  private become(link: string, policy: Policy): void {
    this.policies.set(link, policy);
    for (const connection of [...this.connections]) if (connection.link === link) connection.change(policy);
  }

  async close(): Promise<void> {
    for (const connection of [...this.connections]) connection.reset();
    for (const socket of this.sockets) socket.destroy();
    await Promise.all(this.servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}
