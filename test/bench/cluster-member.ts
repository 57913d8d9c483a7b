/** One member of the durable cluster: a replica on files and TCP, and a port for the load. */

import { createServer } from 'node:net';
import { createReplica, multipaxos, raft, type ReadOptions, type SnapshotPolicy } from 'quorate';
import { fileStorage, tcpTransport } from 'quorate/node';
import { measure, type Load } from './cluster-load.js';
import {
  Batched,
  CLOSE,
  DIGEST,
  FAILED,
  GET,
  LOAD,
  OK,
  PUT,
  STATUS,
  STRAIN,
  frame,
  onFrames,
  type Frame,
} from './cluster-wire.js';
import { Keys } from './keys.js';
import { Strain } from './strain.js';
import { asItIs, Table } from './table.js';

export interface MemberSettings {
  readonly id: string;
  readonly members: Record<string, string>;
  readonly directory: string;
  readonly protocol: string;
  readonly clientPort: number;
  /** @see Constants.leaseReads */
  readonly leaseReads: number;
  /** Bytes of a machine of that size; 0: one that keeps every key. */
  readonly tableBytes: number;
  readonly snapshots: Partial<SnapshotPolicy> | false;
}

/** A command is a key of eight bytes, the highest first, and a value. */
const KEY = 8;
const HALF = 2 ** 32;

function putU32(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) bytes[at + i] = value >>> (24 - 8 * i);
}

process.on('disconnect', () => process.exit(0));
const settings = JSON.parse(process.argv[2] ?? '{}') as MemberSettings;
/** From the first time that somebody asks for it: looking at it costs, too. */
let strain: Strain | null = null;
/** Bytes of the snapshot that was pulled last, and milliseconds from the first question until it was installed. */
let pulled = { bytes: 0, took: 0 };
const replica = await createReplica({
  id: settings.id,
  members: settings.members,
  protocol: settings.protocol === 'raft' ? raft() : multipaxos(),
  transport: tcpTransport(),
  storage: fileStorage(settings.directory),
  machine: settings.tableBytes === 0 ? new Keys() : new Table(settings.tableBytes),
  codec: asItIs,
  snapshots: settings.snapshots,
  constants: { leaseReads: settings.leaseReads },
  onEvent: (event) => {
    if (event.kind === 'snapshot' && event.event === 'installed') pulled = { bytes: event.bytes, took: event.took };
  },
});

const NOTHING = new Uint8Array(0);
const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

type Consistency = NonNullable<ReadOptions['consistency']>;

/** Clients within this very process: how an embedded library is used. */
async function inside(body: Buffer): Promise<Uint8Array> {
  const asked = JSON.parse(body.toString()) as Load & { payload: number; first: number; read?: Consistency };
  const { payload, first, read, ...load } = asked;
  if (read !== undefined) {
    const size = (machine: Keys | Table): number => machine.size;
    const measured = await measure(load, async () => void (await replica.read(size, { consistency: read })));
    return json(measured);
  }
  const measured = await measure(load, async (number) => {
    const command = new Uint8Array(KEY + payload);
    putU32(command, 0, Math.floor((first + number) / HALF));
    putU32(command, 4, first + number);
    await replica.propose(command);
  });
  return json(measured);
}

async function answer({ kind, body }: Frame): Promise<Uint8Array> {
  switch (kind) {
    case PUT:
      await replica.propose(new Uint8Array(body));
      return NOTHING;
    case GET:
      return replica.read((machine) => machine.last.subarray(KEY));
    case LOAD:
      return inside(body);
    case CLOSE:
      await replica.close();
      return NOTHING;
    case STATUS: {
      const { leading, applied, commit, first, snapshots } = replica.status();
      const size = await replica.read((machine) => machine.size, { consistency: 'stale' });
      const rss = process.memoryUsage.rss();
      return json({ leading, applied, commit, size, rss, first, snapshot: snapshots[0]?.index ?? 0, pulled });
    }
    case STRAIN:
      strain ??= new Strain();
      return json(strain.take());
    case DIGEST:
      return json(
        await replica.read((machine) => (machine instanceof Table ? machine.digest() : ''), { consistency: 'stale' }),
      );
    default:
      throw new Error('no such request');
  }
}

// A service takes clients once its replica can serve them.
await replica.ready();
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
