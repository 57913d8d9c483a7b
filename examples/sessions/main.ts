/**
 * A client that pays invoices, in a process that is killed with SIGKILL again and again, and starts again from its
 * notes (payments.ts). Two members of the cluster live in this process, the third one in the client's. After
 * `npm run build`:
 *
 *     node .build/sessions/main.js [raft|multipaxos]
 */

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createReplica, multipaxos, raft, type Replica } from 'quorate';
import { fileStorage, tcpTransport } from 'quorate/node';
import { payAll, Payments, type Payment } from './payments.js';

const INVOICES = 60;
/** The client's process is killed when it says so many payments since its start, so often. */
const KILLED_AFTER = 7;
const KILLS = 4;

const payments = Array.from({ length: INVOICES }, (_, at): Payment => ({ invoice: `#${at + 1}`, amount: at + 1 }));

/** What a member is told. */
interface Place {
  readonly protocol: string;
  readonly folder: string;
  readonly members: Readonly<Record<string, string>>;
}

function start(id: string, { protocol, folder, members }: Place): Promise<Replica<Payments>> {
  return createReplica({
    id,
    members,
    protocol: protocol === 'multipaxos' ? multipaxos() : raft(),
    transport: tcpTransport(),
    storage: fileStorage(join(folder, id)),
    machine: new Payments(),
  });
}

/** A port that nobody listens at now. */
async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `127.0.0.1:${port}`;
}

async function client(place: Place): Promise<void> {
  const replica = await start('c', place);
  await payAll(replica, join(place.folder, 'notes.json'), payments, (sequence) => process.send?.(sequence));
  await replica.close();
  process.disconnect();
}

/** The client's process, until it ends or is killed. Gives whether it has paid everything. */
async function lived(place: Place, kill: boolean): Promise<boolean> {
  const child: ChildProcess = fork(fileURLToPath(import.meta.url), ['client', JSON.stringify(place)]);
  let said = 0;
  child.on('message', () => {
    said += 1;
    if (kill && said === KILLED_AFTER) child.kill('SIGKILL');
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== null && code !== 0) throw new Error(`the client ended with ${code}`);
  return code === 0;
}

async function main(protocol: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'quorate-sessions-'));
  const [a, b, c] = [await freeAddress(), await freeAddress(), await freeAddress()];
  const place: Place = { protocol, folder, members: { a, b, c } };
  const replicas = await Promise.all(['a', 'b'].map((id) => start(id, place)));
  let kills = 0;
  while (!(await lived(place, kills < KILLS))) {
    kills += 1;
    console.log(`the client was killed ${kills} times, and starts again`);
  }
  const [replica] = replicas as [Replica<Payments>];
  const { total, times } = await replica.read((machine) => {
    return { total: machine.total, times: payments.map(({ invoice }) => machine.timesPaid(invoice)) };
  });
  console.log(`${times.filter((each) => each === 1).length} of ${INVOICES} invoices were paid once, ${total} in all`);
  await Promise.all(replicas.map((each) => each.close()));
  await rm(folder, { recursive: true });
  if (times.some((each) => each !== 1)) process.exitCode = 1;
}

const [, , what = 'raft', place] = process.argv;
if (what === 'client') await client(JSON.parse(place as string) as Place);
else await main(what);
