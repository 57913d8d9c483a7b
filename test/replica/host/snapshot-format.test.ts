/** The bytes of a snapshot's file: what is written is what is read, in few blocks, and every byte counts. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joined } from '../../../src/core/bytes.js';
import { crc32c } from '../../../src/core/crc32c.js';
import { MOST_PAYLOAD, SnapshotFramer, SnapshotScan } from '../../../src/replica/host/snapshot-format.js';

const BLOCK = 256 * 1024;
/** The length and the checksum before a payload, and at the end. */
const FRAME = 8;

function written(payloads: readonly Uint8Array[]) {
  const framer = new SnapshotFramer();
  const blocks = payloads.flatMap((payload) => [...framer.take(payload)]);
  blocks.push(...framer.end());
  return { blocks, bytes: joined(blocks), checksum: framer.checksum, size: framer.size };
}

async function read(bytes: Uint8Array): Promise<{ payload: Uint8Array; checksum: number }> {
  const scan = new SnapshotScan('file', async (offset, most) => bytes.slice(offset, offset + most));
  const pieces: Uint8Array[] = [];
  for (let piece = await scan.next(); piece !== null; piece = await scan.next()) pieces.push(piece.slice());
  return { payload: joined(pieces), checksum: scan.checksum };
}

/** A payload of this length, of bytes that differ. */
function payloadOf(length: number): Uint8Array {
  const payload = new Uint8Array(length);
  for (let at = 0; at < length; at += 97) payload[at] = at + length;
  return payload;
}

const lengths = fc.array(fc.oneof(fc.nat(100), fc.nat(2 * BLOCK), fc.constantFrom(0, BLOCK, MOST_PAYLOAD, 3e6)), {
  maxLength: 6,
});

describe("a snapshot's file", () => {
  it('is read as it was written, in blocks that are large', async () => {
    await fc.assert(
      fc.asyncProperty(lengths, async (all) => {
        const payloads = all.map(payloadOf);
        const { blocks, bytes, checksum, size } = written(payloads);
        expect(bytes.length).toBe(size);
        expect(crc32c(bytes, 0, size - FRAME)).toBe(checksum);
        const found = await read(bytes);
        expect(found.checksum).toBe(checksum);
        expect(Buffer.compare(found.payload, joined(payloads))).toBe(0);
        // Of two blocks that follow each other one is more than half full, but for a large payload that needs its own.
        expect(blocks.length).toBeLessThanOrEqual(2 * Math.ceil(size / BLOCK) + 1);
        expect(Math.max(...blocks.map(({ length }) => length))).toBeLessThanOrEqual(FRAME + MOST_PAYLOAD);
      }),
      { numRuns: 60 },
    );
  });

  it('of ten thousand small payloads takes a few writes', () => {
    const { blocks, size } = written(Array.from({ length: 10_000 }, () => payloadOf(100)));
    expect(blocks).toHaveLength(Math.ceil(size / BLOCK));
  });

  it('does not verify with any byte changed', async () => {
    const { bytes } = written([payloadOf(50), payloadOf(0), payloadOf(120)]);
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = (changed[at] as number) ^ 4;
      await expect(read(changed)).rejects.toMatchObject({ code: 'ERR_STORAGE_CORRUPT' });
    }
    await expect(read(bytes.subarray(0, -1))).rejects.toMatchObject({ code: 'ERR_STORAGE_CORRUPT' });
  });
});
