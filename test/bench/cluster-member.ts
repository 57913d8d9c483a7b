/** One member of the durable cluster: a replica on files and TCP, and a port for the load. */

import { createServer } from 'node:net';
import { createReplica, multipaxos, raft, type ValueCodec } from 'quorate';
import { fileStorage, tcpTransport } from 'quorate/node';
import { measure, type Load } from './cluster-load.js';
import { Batched, FAILED, GET, LOAD, OK, PUT, STATUS, frame, onFrames, type Frame } from './cluster-wire.js';

export interface MemberSettings {
  readonly id: string;
  readonly members: Record<string, string>;
  readonly directory: string;
  readonly protocol: string;
  readonly clientPort: number;
}

/** A command is a key of eight bytes, and a value. */
const KEY = 8;

class Keys {
  readonly values = new Map<bigint, Uint8Array>();
  last: Uint8Array = new Uint8Array(0);

  apply(command: Uint8Array): number {
    const key = new DataView(command.buffer, command.byteOffset).getBigUint64(0);
    this.last = command.subarray(KEY);
    this.values.set(key, this.last);
    return this.values.size;
  }

  snapshot(): [string, number[]][] {
    return [...this.values].map(([key, value]) => [String(key), [...value]]);
  }

  restore(entries: [string, number[]][]): void {
    this.values.clear();
    for (const [key, value] of entries) this.values.set(BigInt(key), new Uint8Array(value));
  }
}

const bytes: ValueCodec<Uint8Array> = { encode: (value) => value, decode: (value) => value };

process.on('disconnect', () => process.exit(0));
const settings = JSON.parse(process.argv[2] ?? '{}') as MemberSettings;
const replica = await createReplica({
  id: settings.id,
  members: settings.members,
  protocol: settings.protocol === 'raft' ? raft() : multipaxos(),
  transport: tcpTransport(),
  storage: fileStorage(settings.directory),
  machine: new Keys(),
  codec: bytes,
});

const NOTHING = new Uint8Array(0);

/** Clients within this very process: how an embedded library is used. */
async function inside(body: Buffer): Promise<Uint8Array> {
  const { payload, first, ...load } = JSON.parse(body.toString()) as Load & { payload: number; first: number };
  const measured = await measure(load, async (number) => {
    const command = new Uint8Array(KEY + payload);
    new DataView(command.buffer).setBigUint64(0, BigInt(first + number));
    await replica.propose(command);
  });
  return Buffer.from(JSON.stringify(measured));
}

async function answer({ kind, body }: Frame): Promise<Uint8Array> {
  switch (kind) {
    case PUT:
      await replica.propose(new Uint8Array(body));
      return NOTHING;
    case GET:
      return replica.read((keys) => keys.last);
    case LOAD:
      return inside(body);
    case STATUS: {
      const { leading, applied, commit } = replica.status();
      const size = await replica.read((keys) => keys.values.size, { consistency: 'stale' });
      return Buffer.from(JSON.stringify({ leading, applied, commit, size, rss: process.memoryUsage().rss }));
    }
    default:
      throw new Error('no such request');
  }
}

createServer({ noDelay: true }, (socket) => {
  const out = new Batched(socket);
  socket.on('error', () => undefined);
  onFrames(socket, (request) => {
    answer(request).then(
      (body) => out.write(frame(request.number, OK, body)),
      () => out.write(frame(request.number, FAILED, NOTHING)),
    );
  });
}).listen(settings.clientPort, '127.0.0.1', () => process.send?.('up'));
