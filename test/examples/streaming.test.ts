/** The example of a machine that streams: a snapshot is of one point in time, whatever comes while it is read. */

import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { KeyValue, type Put } from '../../examples/streaming/key-value.js';

/** The program reads its command line, and runs when it is imported: a query makes another module of it. */
async function output(protocol: 'raft' | 'multipaxos'): Promise<string> {
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  const { argv } = process;
  process.argv = [...argv.slice(0, 2), protocol];
  try {
    vi.resetModules();
    await import('../../examples/streaming/main.js');
  } finally {
    process.argv = argv;
    log.mockRestore();
  }
  return lines.join('\n');
}

describe.each(['raft', 'multipaxos'] as const)('the program with %s', (protocol) => {
  it('takes snapshots while it goes on, restores one, and pulls one', async () => {
    const told = await output(protocol);
    expect(told.match(/^[abc]: the snapshot at \d+ \(.+\) equals the state there;$/gm)?.length).toBeGreaterThanOrEqual(
      6,
    );
    expect(told).toMatch(/^ +[1-9]\d* commands were applied while it streamed$/m);
    expect(told).toMatch(/^a: restored the snapshot at [1-9]\d*, and applied \d+ commands to reach \d+$/m);
    expect(told).toMatch(/^b: pulled the snapshot at [1-9]\d*, and applied \d+ commands behind it$/m);
    expect(told).toMatch(/^all three hold the \d+ keys that \d+ commands left$/m);
  });
});

const put = fc.record<Put>({
  // Few keys, so that they are overwritten and deleted, and what UTF-8 and JSON have to be careful with.
  key: fc.oneof(fc.constantFrom('a', 'b', 'ü', '\n', '"', '😀', '\ud83d', '__proto__'), fc.string({ maxLength: 3 })),
  value: fc.option(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('x'.repeat(40_000), 'ü'.repeat(40_000)))),
});

/** What the machine does between two commands. */
type Step =
  | { readonly kind: 'put'; readonly put: Put }
  | { readonly kind: 'snapshot' }
  /** Pull one chunk of the snapshot that was begun so many before the last one. */
  | { readonly kind: 'pull'; readonly back: number };

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: put.map((each): Step => ({ kind: 'put', put: each })) },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: 'snapshot' }) },
    { weight: 2, arbitrary: fc.nat({ max: 2 }).map((back): Step => ({ kind: 'pull', back })) },
  ),
  { minLength: 1, maxLength: 80 },
);

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks));
}

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

function contents(machine: KeyValue): ReadonlyMap<string, string> {
  return new Map(machine.entries());
}

describe('the machine', () => {
  it('is what a map is, and each snapshot the state of its call, however it is read and cut', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 7 }), async (all, size) => {
        const machine = new KeyValue();
        const model = new Map<string, string>();
        const begun: { state: Map<string, string>; iterator: Iterator<Uint8Array>; chunks: Uint8Array[] }[] = [];
        const pull = ({ iterator, chunks }: (typeof begun)[number]): boolean => {
          const next = iterator.next();
          if (next.done !== true) chunks.push(next.value);
          return next.done !== true;
        };
        for (const step of all) {
          if (step.kind === 'put') {
            const { key, value } = step.put;
            expect(machine.apply(step.put)).toBe(model.get(key) ?? null);
            if (value === null) model.delete(key);
            else model.set(key, value);
          } else if (step.kind === 'snapshot') {
            begun.push({ state: new Map(model), iterator: machine.snapshot()[Symbol.iterator](), chunks: [] });
          } else {
            const snapshot = begun[begun.length - 1 - step.back];
            if (snapshot !== undefined) pull(snapshot);
          }
        }
        expect(contents(machine)).toEqual(model);
        for (const snapshot of begun) {
          while (pull(snapshot));
          const restored = new KeyValue();
          restored.apply({ key: 'from before', value: 'goes' });
          const bytes = joined(snapshot.chunks);
          await restored.restoreFrom(cut(bytes, bytes.length > 1000 ? 1000 * size : size));
          expect(contents(restored)).toEqual(snapshot.state);
          // It goes on from there without a change to what others read.
          restored.apply({ key: 'a', value: 'later' });
          expect(restored.get('a')).toBe('later');
        }
      }),
      { numRuns: 60 },
    );
  });

  it('streams in chunks, and keeps what it holds when a snapshot is not whole', async () => {
    const machine = new KeyValue();
    for (let at = 0; at < 200; at++) machine.apply({ key: `key ${at}`, value: 'x'.repeat(1000) });
    const chunks = [...machine.snapshot()];
    expect(chunks.length).toBeGreaterThan(2);
    const other = new KeyValue();
    other.apply({ key: 'mine', value: 'kept' });
    await expect(other.restoreFrom(cut(joined(chunks).subarray(0, -1), 4096))).rejects.toThrow('middle of an entry');
    expect(contents(other)).toEqual(new Map([['mine', 'kept']]));
  });
});
