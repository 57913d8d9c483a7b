/**
 * A machine of one size, however much is written to it: slots of 256 bytes, in pages that lie in ArrayBuffers. A
 * snapshot takes the list of pages as it is; from then on whoever changes a page replaces it by a copy first, once. So
 * what that list names is never changed any more.
 *
 * A command is a key of eight bytes, the highest first, and a value of at most a slot: it goes to the slot of the key.
 */

import { createHash } from 'node:crypto';
import type { StreamingStateMachine, ValueCodec } from 'quorate';

/** The codec of commands that are bytes. */
export const asItIs: ValueCodec<Uint8Array> = { encode: (value) => value, decode: (value) => value };

const KEY = 8;
const SLOT = 256;
const PAGE = 16 * 1024;
const SLOTS = PAGE / SLOT;

interface Page {
  /** The number of the snapshots that there were when it was made or copied. */
  readonly round: number;
  readonly bytes: Uint8Array;
}

export class Table implements StreamingStateMachine<Uint8Array, number> {
  /** How many commands were applied. */
  size = 0;
  last: Uint8Array = new Uint8Array(KEY);
  private readonly pages: Page[];
  private round = 0;

  /** @param bytes of all slots */
  constructor(bytes: number) {
    const count = Math.max(1, Math.ceil(bytes / PAGE));
    this.pages = Array.from({ length: count }, () => ({ round: 0, bytes: new Uint8Array(PAGE) }));
  }

  apply(command: Uint8Array): number {
    const key = new DataView(command.buffer, command.byteOffset).getUint32(4);
    const slot = key % (this.pages.length * SLOTS);
    this.own(Math.floor(slot / SLOTS)).set(command.subarray(KEY, KEY + SLOT), (slot % SLOTS) * SLOT);
    this.last = command;
    return ++this.size;
  }

  private own(at: number): Uint8Array {
    const page = this.pages[at] as Page;
    if (page.round === this.round) return page.bytes;
    const bytes = page.bytes.slice();
    this.pages[at] = { round: this.round, bytes };
    return bytes;
  }

  /** How many commands, and then the pages. */
  snapshot(): Iterable<Uint8Array> {
    this.round++;
    const head = new Uint8Array(KEY);
    new DataView(head.buffer).setBigUint64(0, BigInt(this.size));
    return [head, ...this.pages.map(({ bytes }) => bytes)];
  }

  async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const head = new Uint8Array(KEY);
    let at = 0;
    for await (const chunk of chunks) {
      for (let from = 0; from < chunk.length; ) {
        const place = at - KEY;
        const target = place < 0 ? head : this.own(Math.floor(place / PAGE));
        const within = place < 0 ? at : place % PAGE;
        const part = chunk.subarray(from, from + target.length - within);
        target.set(part, within);
        at += part.length;
        from += part.length;
      }
    }
    this.size = Number(new DataView(head.buffer).getBigUint64(0));
  }

  /** The same at every member that has applied the same. */
  digest(): string {
    const hash = createHash('sha256');
    for (const { bytes } of this.pages) hash.update(bytes);
    return hash.digest('hex');
  }
}
