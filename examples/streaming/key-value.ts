/**
 * A key-value machine whose snapshots stream: what a snapshot reads is of one point in time, while commands go on to
 * change the machine, and neither waits for the other.
 *
 * Copy on write, by bucket: the keys lie in buckets, small maps. A snapshot takes the list of buckets as it is, which
 * costs one short copy however large the machine is; from then on whoever changes a bucket replaces it by a copy first,
 * once. So what the list of a snapshot names is never changed any more.
 */

/** Puts a value, or deletes a key, for `null`. */
export interface Put {
  readonly key: string;
  readonly value: string | null;
}

/** A few entries; `round` is the number of the snapshots that there were when it was made or copied. */
interface Bucket {
  readonly round: number;
  readonly entries: Map<string, string>;
}

/** A bucket is copied as a whole, so there are many: with a million keys each has about 250. */
const BUCKETS = 4096;
/** A chunk ends behind the entry with which it reaches so many characters. */
const CHUNK = 64 * 1024;

/** FNV-1a. Where a key lies is nobody's business but this machine's: the results are the same wherever it is. */
function bucketOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % BUCKETS;
}

function emptyBuckets(): Bucket[] {
  return Array.from({ length: BUCKETS }, () => ({ round: 0, entries: new Map<string, string>() }));
}

/** One line for each entry, many lines in a chunk. JSON writes no line break and no half of a character pair. */
function* chunksOf(buckets: readonly Bucket[]): Generator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder();
  let text = '';
  for (const { entries } of buckets) {
    for (const entry of entries) {
      text += `${JSON.stringify(entry)}\n`;
      if (text.length < CHUNK) continue;
      yield encoder.encode(text);
      text = '';
    }
  }
  if (text !== '') yield encoder.encode(text);
}

export class KeyValue {
  private buckets = emptyBuckets();
  private round = 0;

  /** Gives the value that was there before. */
  apply({ key, value }: Put): string | null {
    const entries = this.ownEntries(bucketOf(key));
    const before = entries.get(key) ?? null;
    if (value === null) entries.delete(key);
    else entries.set(key, value);
    return before;
  }

  /** The entries of a bucket, which no snapshot reads. */
  private ownEntries(at: number): Map<string, string> {
    const bucket = this.buckets[at] as Bucket;
    if (bucket.round === this.round) return bucket.entries;
    const entries = new Map(bucket.entries);
    this.buckets[at] = { round: this.round, entries };
    return entries;
  }

  /** No generator itself: what it reads is taken in the turn of the call, not when the first chunk is asked for. */
  snapshot(): Iterable<Uint8Array> {
    this.round++;
    return chunksOf(this.buckets.slice());
  }

  /** The chunks may be cut anywhere, in the middle of a character, too. */
  async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    const buckets = emptyBuckets();
    let rest = '';
    for await (const chunk of chunks) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() as string;
      for (const line of lines) {
        const [key, value] = JSON.parse(line) as [string, string];
        (buckets[bucketOf(key)] as Bucket).entries.set(key, value);
      }
    }
    rest += decoder.decode();
    if (rest !== '') throw new Error(`the snapshot ends in the middle of an entry, behind ${rest.length} characters`);
    this.buckets = buckets;
    this.round = 0;
  }

  get(key: string): string | undefined {
    return this.buckets[bucketOf(key)]?.entries.get(key);
  }

  get size(): number {
    return this.buckets.reduce((size, { entries }) => size + entries.size, 0);
  }

  /** All entries as they are now, for reads that end before the next command. */
  *entries(): Generator<[string, string], void, undefined> {
    for (const { entries } of this.buckets) yield* entries;
  }
}
