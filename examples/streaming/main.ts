/**
 * Three replicas in one process, of a machine whose snapshots stream (key-value.ts). Clients write while a snapshot is
 * taken; what it holds is compared with the state at its index. Then one replica restarts from a snapshot, and another
 * one that was away pulls one. After `npm run build`:
 *
 *     node .build/streaming/main.js [raft|multipaxos]
 */

import {
  createReplica,
  memoryNetwork,
  memoryStorage,
  multipaxos,
  raft,
  type ApplyContext,
  type Replica,
  type ReplicaEvent,
} from 'quorate';
import { KeyValue, type Put } from './key-value.js';

const KEYS = 1000;
/** Entries between two snapshots. */
const EVERY = 600;
const WRITERS = 16;
const IDS = ['a', 'b', 'c'] as const;
type Id = (typeof IDS)[number];

/** What a snapshot gave, and when. */
interface Copy {
  /** Of the last command before it. */
  readonly index: number;
  readonly chunks: readonly Uint8Array[];
  /** Commands that were applied from its call to its last chunk. */
  readonly meanwhile: number;
}

/** The machine, and what this program wants to see of it. */
class Observed extends KeyValue {
  commands = 0;
  readonly copies: Copy[] = [];
  private index = 0;

  override apply(put: Put, context?: ApplyContext): string | null {
    this.commands++;
    this.index = context?.index ?? 0;
    return super.apply(put);
  }

  override snapshot(): Iterable<Uint8Array> {
    return this.observed(super.snapshot(), this.index, this.commands);
  }

  private *observed(given: Iterable<Uint8Array>, index: number, before: number): Generator<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for (const chunk of given) {
      chunks.push(chunk.slice());
      yield chunk;
    }
    this.copies.push({ index, chunks, meanwhile: this.commands - before });
  }
}

/** A member, whose replica may come and go. */
class Member {
  readonly id: Id;
  replica: Replica<Observed> | null = null;
  machine = new Observed();
  readonly told: Extract<ReplicaEvent, { readonly kind: 'snapshot' }>[] = [];
  private readonly storage = memoryStorage();

  constructor(id: Id) {
    this.id = id;
  }

  async start(): Promise<Replica<Observed>> {
    this.machine = new Observed();
    this.told.length = 0;
    this.replica = await createReplica({
      id: this.id,
      members: Object.fromEntries(IDS.map((id) => [id, id])),
      protocol: process.argv[2] === 'multipaxos' ? multipaxos() : raft(),
      transport: network.transport(),
      storage: this.storage,
      machine: this.machine,
      snapshots: { entries: EVERY },
    });
    this.replica.on('snapshot', (event) => void this.told.push(event));
    return this.replica;
  }

  async stop(): Promise<void> {
    await this.replica?.close();
    this.replica = null;
  }
}

const network = memoryNetwork();
const members = IDS.map((id) => new Member(id));
/** Every command by its index in the log. */
const written = new Map<number, Put>();
let puts = 0;

/** The next command: mostly it puts about four kilobytes, now and then it deletes. */
function nextPut(): Put {
  const number = puts++;
  const key = `key ${(number * 7919) % KEYS}`;
  return { key, value: number % 10 === 9 ? null : `${number} ${'x'.repeat(4000)}` };
}

/** Writes through the members that run, until there is what was asked for. */
async function writeUntil(isThere: () => boolean): Promise<void> {
  const writer = async (at: number): Promise<void> => {
    while (!isThere()) {
      const running = members.flatMap(({ replica }) => replica ?? []);
      const replica = running[at % running.length] as Replica<Observed>;
      const batch = Array.from({ length: 8 }, nextPut);
      const ended = await Promise.all(replica.proposeAll(batch, { meta: true }));
      ended.forEach(({ index }, place) => written.set(index, batch[place] as Put));
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, at) => writer(at)));
}

/** What the machine must hold after the command at this index. */
function stateAt(index: number): Map<string, string> {
  const state = new Map<string, string>();
  for (const at of [...written.keys()].sort((a, b) => a - b)) {
    if (at > index) break;
    const { key, value } = written.get(at) as Put;
    if (value === null) state.delete(key);
    else state.set(key, value);
  }
  return state;
}

function demandEqual(what: string, machine: KeyValue, state: ReadonlyMap<string, string>): void {
  const isEqual = machine.size === state.size && [...state].every(([key, value]) => machine.get(key) === value);
  if (!isEqual) throw new Error(`${what} is another state than that of its index`);
}

/** Checks each snapshot of a member against the log. */
async function checkCopies({ id, machine }: Member): Promise<void> {
  for (const copy of machine.copies) {
    const restored = new KeyValue();
    await restored.restoreFrom(
      (async function* () {
        yield* copy.chunks;
      })(),
    );
    demandEqual(`the snapshot of ${id} at ${copy.index}`, restored, stateAt(copy.index));
    const bytes = copy.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const size = `${restored.size} keys, ${copy.chunks.length} chunks, ${(bytes / 1e6).toFixed(1)} MB`;
    console.log(`${id}: the snapshot at ${copy.index} (${size}) equals the state there;`);
    console.log(`   ${copy.meanwhile} commands were applied while it streamed`);
  }
}

/** How often a member told this of a snapshot. */
function count({ told }: Member, event: (typeof told)[number]['event']): number {
  return told.filter((each) => each.event === event).length;
}

await Promise.all(members.map((member) => member.start()));
const [a, b] = members as [Member, Member, Member];

console.log('Snapshots are taken while clients write:');
const isAppliedMeanwhile = ({ machine }: Member): boolean => machine.copies.some(({ meanwhile }) => meanwhile > 0);
await writeUntil(() => members.every((each) => count(each, 'taken') >= 2) && members.some(isAppliedMeanwhile));
for (const member of members) await checkCopies(member);

console.log('\nA replica restarts:');
await a.stop();
const again = await a.start();
await again.barrier();
const { applied } = again.status();
demandEqual('the machine of a', a.machine, stateAt(applied));
const restored = a.told.find(({ event }) => event === 'restored')?.index ?? 0;
console.log(`a: restored the snapshot at ${restored}, and applied ${a.machine.commands} commands to reach ${applied}`);
if (restored === 0 || a.machine.commands > applied - restored) throw new Error('a did not restore a snapshot');

console.log('\nA replica was away for longer than the others keep their log:');
const { last } = b.replica?.status() ?? { last: 0 };
await b.stop();
const others = members.filter((member) => member !== b);
await writeUntil(() => others.every(({ replica }) => (replica?.status().first ?? 0) > last + 1));
const back = await b.start();
await back.barrier();
demandEqual('the machine of b', b.machine, stateAt(back.status().applied));
const pulled = b.told.find(({ event }) => event === 'installed');
if (pulled === undefined) throw new Error('b did not pull a snapshot');
console.log(`b: pulled the snapshot at ${pulled.index}, and applied ${b.machine.commands} commands behind it`);

await Promise.all(members.map(({ replica }) => replica?.barrier()));
for (const { id, machine } of members) demandEqual(`the machine of ${id}`, machine, stateAt(Infinity));
console.log(`\nall three hold the ${a.machine.size} keys that ${written.size} commands left`);
await Promise.all(members.map((member) => member.stop()));
