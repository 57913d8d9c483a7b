/**
 * The thinnest thing a user would build between a program and a member: one TCP connection, frames of a length, a
 * number and a kind. What it costs is part of what the durable cluster's figures measure.
 */

import { connect, type Socket } from 'node:net';

/** `[u32 length of what follows][u32 number][u8 kind][body]`; an answer repeats the number, its kind is a status. */
const HEADER = 9;

export const PUT = 1;
export const GET = 2;
export const STATUS = 3;
export const LOAD = 4;
export const CLOSE = 5;
/** What the process took since it was asked last. */
export const STRAIN = 6;
export const DIGEST = 7;

export const OK = 0;
export const FAILED = 1;

export interface Frame {
  readonly number: number;
  readonly kind: number;
  readonly body: Buffer;
}

export function frame(number: number, kind: number, body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER + body.length);
  bytes.writeUInt32LE(5 + body.length, 0);
  bytes.writeUInt32LE(number, 4);
  bytes[8] = kind;
  bytes.set(body, HEADER);
  return bytes;
}

/** Calls back for every frame that arrives on the socket. */
export function onFrames(socket: Socket, take: (frame: Frame) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 4) {
      const end = at + 4 + bytes.readUInt32LE(at);
      if (end > bytes.length) break;
      take({
        number: bytes.readUInt32LE(at + 4),
        kind: bytes[at + 8] as number,
        body: bytes.subarray(at + HEADER, end),
      });
      at = end;
    }
    rest = bytes.subarray(at);
  });
}

/** Frames written within one turn leave as one. */
export class Batched {
  private readonly socket: Socket;
  private pending: Buffer[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
  }

  write(bytes: Buffer): void {
    this.pending.push(bytes);
    if (this.pending.length === 1) setImmediate(() => this.flush());
  }

  private flush(): void {
    const all = this.pending;
    this.pending = [];
    this.socket.write(all.length === 1 ? (all[0] as Buffer) : Buffer.concat(all));
  }
}

/** A connection to a member's program. Every request is answered, or rejected when the connection ends. */
export class Link {
  private readonly socket: Socket;
  private readonly out: Batched;
  private last = 0;
  private readonly waiting = new Map<number, { resolve(frame: Frame): void; reject(error: Error): void }>();

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.out = new Batched(this.socket);
    onFrames(this.socket, (answer) => {
      const waiter = this.waiting.get(answer.number);
      this.waiting.delete(answer.number);
      waiter?.resolve(answer);
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      for (const waiter of this.waiting.values()) waiter.reject(new Error('the connection ended'));
      this.waiting.clear();
    });
  }

  ask(kind: number, body: Uint8Array): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) return reject(new Error('the connection ended'));
      const number = (this.last = (this.last + 1) >>> 0);
      this.waiting.set(number, { resolve, reject });
      this.out.write(frame(number, kind, body));
    });
  }

  close(): void {
    this.socket.destroy();
  }
}
