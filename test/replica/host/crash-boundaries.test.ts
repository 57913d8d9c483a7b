/**
 * Crashes at every boundary of one small script, with each protocol, on the shipped file storage: a member takes
 * snapshots and trims its log; it is away until the others have trimmed what it lacks; it pulls a snapshot and installs
 * it. Before each call of its disk all three lose their power, and the member what was not synced, in several ways. What
 * is left starts, the member with the newest snapshot that it has ever told of or a newer one, and all three hold what
 * was acknowledged.
 */

import { describe, expect, it } from 'vitest';
import { createReplica, memoryNetwork, multipaxos, raft, type Replica, type ReplicaEvent } from 'quorate';
import { fileStorage } from 'quorate/node';
import { FaultyDisk, randomFrom, SimDisk, type Loss } from '../../adapters/file-storage-disks.js';
import { swept } from '../../amount.js';
import { timing } from './alone.js';

const LOSSES: readonly Loss[] = ['all', 'kept', 'some'];
const EVERY = 8;
/** Large enough for a pull of several chunks. */
const WORD = 'w'.repeat(1500);
const wordAt = (at: number): string => `${WORD}${at}`;

class Words {
  words: string[] = [];
  apply(word: string): number {
    return this.words.push(word);
  }
  snapshot(): string[] {
    return this.words;
  }
  restore(words: string[]): void {
    this.words = words;
  }
}

/** What a crash of the whole cluster leaves. */
interface Image {
  readonly disks: Readonly<Record<string, SimDisk>>;
  /** The newest snapshot that the member has told of. */
  readonly named: number;
  /** How many commands were begun and how many acknowledged. */
  readonly begun: number;
  readonly acknowledged: number;
  readonly what: string;
}

function newestIn(events: readonly ReplicaEvent[]): number {
  const named = events.flatMap((event) =>
    event.kind === 'snapshot' && ['taken', 'installed'].includes(event.event) ? [event.index] : [],
  );
  return Math.max(0, ...named);
}

describe.each([['raft', raft] as const, ['multipaxos', multipaxos] as const])('%s', (_, protocol) => {
  type Network = ReturnType<typeof memoryNetwork>;

  function started(network: Network, id: string, disk: SimDisk | FaultyDisk, events: ReplicaEvent[] = []) {
    return createReplica({
      id,
      members: { a: 'a', b: 'b', c: 'c' },
      protocol: protocol({ timing }),
      transport: network.transport(),
      storage: fileStorage('data', { fs: disk, segmentBytes: 8192 }),
      machine: new Words(),
      snapshots: { entries: EVERY },
      onEvent: (event) => events.push(event),
    });
  }

  const wordsOf = (replica: Replica<Words>) => replica.read((machine) => [...machine.words]);

  /** Runs the script. @returns an image before each call of the member's disk, but for its first start */
  async function imagesOfScript(): Promise<readonly Image[]> {
    const network = memoryNetwork();
    const disks = { a: SimDisk.thatFlies(), b: SimDisk.thatFlies(), c: SimDisk.thatFlies() };
    const others = Promise.all([started(network, 'a', disks.a), started(network, 'b', disks.b)]);
    const images: Image[] = [];
    const random = randomFrom(1);
    const events: ReplicaEvent[] = [];
    let [begun, acknowledged] = [0, 0];
    const propose = async (replica: Replica<Words>, count: number): Promise<void> => {
      for (const end = begun + count; begun < end; ) {
        await replica.propose(wordAt(begun++));
        acknowledged = begun;
      }
    };
    const life = async (live: (replica: Replica<Words>) => Promise<void>): Promise<void> => {
      const watched = new FaultyDisk(disks.c, (call, count) => {
        const told = { named: newestIn(events), begun, acknowledged };
        for (const loss of LOSSES) {
          const left = { a: disks.a.crash('kept', random), b: disks.b.crash('kept', random) };
          const what = `${loss} before ${call} ${count}`;
          images.push({ disks: { ...left, c: disks.c.crash(loss, random) }, ...told, what });
        }
        return undefined;
      });
      const replica = await started(network, 'c', watched, events);
      await live(replica);
      await replica.close();
    };
    await (await started(network, 'c', disks.c)).close(); // from here on the others know it
    await life((replica) => propose(replica, 3 * EVERY));
    const [a, b] = await others;
    const firstLife = images.length;
    await propose(a, 5 * EVERY);
    await life(async (replica) => {
      await wordsOf(replica);
      await propose(a, 2 * EVERY);
      await wordsOf(replica);
    });
    await a.close();
    await b.close();
    expect(events.some((event) => event.kind === 'snapshot' && event.event === 'installed')).toBe(true);
    expect(Math.min(firstLife, images.length - firstLife)).toBeGreaterThan(100);
    return images;
  }

  /** What is wrong with an image; `null` for a sound one. */
  async function verdict({ disks, named, begun, acknowledged }: Image): Promise<string | null> {
    const network = memoryNetwork();
    const replicas: Replica<Words>[] = [];
    try {
      const events: ReplicaEvent[] = [];
      const ids = Object.keys(disks);
      const starts = await Promise.allSettled(
        ids.map(async (id) => {
          const disk = disks[id] as SimDisk;
          disk.flies = true;
          replicas.push(await started(network, id, disk, id === 'c' ? events : []));
        }),
      );
      for (const start of starts) if (start.status === 'rejected') throw start.reason;
      for (const replica of replicas) {
        const words = await wordsOf(replica);
        if (words.some((word, at) => word !== wordAt(at))) return 'the words are others';
        if (words.length < acknowledged || words.length > begun) {
          return `${words.length} words, of which ${acknowledged} were acknowledged and ${begun} begun`;
        }
      }
      const restored = events.find((event) => event.kind === 'snapshot' && event.event === 'restored');
      const index = restored?.kind === 'snapshot' ? restored.index : 0;
      if (index < named) return `starts with the snapshot at ${index}, and had one at ${named}`;
      return null;
    } catch (error) {
      return String(error);
    } finally {
      await Promise.all(replicas.map((replica) => replica.close()));
    }
  }

  it('every crash leaves the old or the new', { timeout: 1_800_000 }, async () => {
    const images = await imagesOfScript();
    const problems: string[] = [];
    for (const [at, image] of images.entries()) {
      if (!swept(at, 97)) continue;
      const problem = await verdict(image);
      if (problem !== null) problems.push(`${image.what}: ${problem}`);
    }
    expect(problems).toEqual([]);
  });
});
