/**
 * The laws that every storage obeys, whatever it is made of (the duties in src/replica/storage.ts): random
 * histories against a model that is a plain map, and the cases worth a name.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Opened, Storage, StorageOp, StoredEntry, StoredRun } from '../../src/replica/storage.js';

/** Something that keeps what storages write. */
export interface Medium {
  /** A storage on the medium, not open yet; the one before is closed. */
  next(): Storage;
  dispose(): Promise<void>;
}

/** What a storage is a faithful copy of. */
export class Model {
  readonly values = new Map<string, string>();
  readonly entries = new Map<number, { term: number; data: string }>();

  apply(ops: readonly StorageOp[]): void {
    for (const op of ops) {
      if (op.kind === 'set') this.values.set(op.key, text(op.value));
      else if (op.kind === 'put') {
        for (const { index, term, data } of op.entries) this.entries.set(index, { term, data: text(data) });
      } else {
        const isGone = (index: number): boolean => (op.kind === 'trim' ? index <= op.through : index >= op.from);
        for (const index of [...this.entries.keys()]) if (isGone(index)) this.entries.delete(index);
      }
    }
  }

  /** The entries of a range, ascending. */
  range(from: number, to: number): { index: number; term: number; data: string }[] {
    const inside = [...this.entries].filter(([index]) => index >= from && index <= to).sort(([a], [b]) => a - b);
    return inside.map(([index, entry]) => ({ index, ...entry }));
  }

  /** What `open` says, but for the boot. */
  opened(): { values: [string, string][]; first: number; last: number; runs: StoredRun[] } {
    const all = this.range(0, Infinity);
    const runs: StoredRun[] = [];
    for (const { index, term } of all) if (runs.at(-1)?.term !== term) runs.push({ from: index, term });
    return { values: [...this.values].sort(), first: all[0]?.index ?? 0, last: all.at(-1)?.index ?? 0, runs };
  }
}

export function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

export function bytesOf(content: string): Uint8Array {
  return new Uint8Array(Buffer.from(content, 'latin1'));
}

export function put(...entries: (readonly [index: number, term: number, data: string])[]): StorageOp {
  return { kind: 'put', entries: entries.map(([index, term, data]) => ({ index, term, data: bytesOf(data) })) };
}

export function set(key: string, value: string): StorageOp {
  return { kind: 'set', key, value: bytesOf(value) };
}

export function plain(entries: readonly StoredEntry[]): { index: number; term: number; data: string }[] {
  return entries.map(({ index, term, data }) => ({ index, term, data: text(data) }));
}

/** The storage holds what the model holds, no more and no less. */
export async function expectSame(storage: Storage, opened: Opened, model: Model): Promise<void> {
  const { values, first, last, runs } = opened;
  const found = { values: [...values].map(([key, value]) => [key, text(value)]).sort(), first, last, runs };
  expect(found).toEqual(model.opened());
  expect(plain(await storage.read(1, Number.MAX_SAFE_INTEGER, Infinity))).toEqual(model.range(1, Infinity));
}

type Action =
  | { kind: 'write'; calls: StorageOp[][] }
  | { kind: 'read'; from: number; length: number; maxBytes: number }
  | { kind: 'restart' };

const datum = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  { weight: 1, arbitrary: fc.nat(3000).map((size) => new Uint8Array(size).fill(size % 251)) },
);
const entry = fc.record({ index: fc.integer({ min: 1, max: 40 }), term: fc.integer({ min: 1, max: 3 }), data: datum });
const stretch = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 3 }), fc.array(datum, { maxLength: 12 }))
  .map(([from, term, data]) => data.map((bytes, at) => ({ index: from + at, term, data: bytes })));
const operation: fc.Arbitrary<StorageOp> = fc.oneof(
  { weight: 3, arbitrary: stretch.map((entries) => ({ kind: 'put' as const, entries })) },
  { weight: 2, arbitrary: fc.array(entry, { maxLength: 6 }).map((entries) => ({ kind: 'put' as const, entries })) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 45 }).map((from) => ({ kind: 'truncate' as const, from })) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 30 }).map((through) => ({ kind: 'trim' as const, through })) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      key: fc.constantFrom('', 'hard', 'ключ'),
      value: datum,
    }),
  },
);
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .array(fc.array(operation, { maxLength: 4 }), { minLength: 1, maxLength: 4 })
      .map((calls) => ({ kind: 'write' as const, calls })),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      from: fc.integer({ min: 0, max: 45 }),
      length: fc.integer({ min: -1, max: 50 }),
      maxBytes: fc.oneof(fc.nat(60), fc.nat(5000), fc.constant(Infinity)),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
);

/**
 * A read gives a prefix of what there is: at least one entry, else within `maxBytes`, and not without need
 * short.
 */
function expectRead(found: readonly StoredEntry[], there: ReturnType<Model['range']>, maxBytes: number): void {
  expect(plain(found)).toEqual(there.slice(0, found.length));
  const bytes = found.reduce((sum, { data }) => sum + data.length, 0);
  if (found.length > 1) expect(bytes).toBeLessThanOrEqual(maxBytes);
  const next = there[found.length];
  if (next === undefined) return;
  expect(found.length).toBeGreaterThan(0);
  if (bytes < maxBytes) expect(bytes + next.data.length).toBeGreaterThan(maxBytes);
}

async function runHistory(medium: Medium, actions: readonly Action[]): Promise<void> {
  const model = new Model();
  let boot = 1;
  let storage = medium.next();
  await storage.open();
  for (const step of actions) {
    if (step.kind === 'write') {
      const order: number[] = [];
      await Promise.all(
        step.calls.map(async (ops, at) => {
          model.apply(ops);
          await storage.write(ops);
          order.push(at);
        }),
      );
      expect(order).toEqual(step.calls.map((_, at) => at));
    } else if (step.kind === 'read') {
      const to = step.from + step.length;
      expectRead(await storage.read(step.from, to, step.maxBytes), model.range(step.from, to), step.maxBytes);
    } else {
      await storage.close();
      storage = medium.next();
      const opened = await storage.open();
      expect(opened.boot).toBe(++boot);
      await expectSame(storage, opened, model);
    }
  }
  await storage.close();
  storage = medium.next();
  await expectSame(storage, await storage.open(), model);
  await storage.close();
}

/** Runs the laws; `make` gives an empty medium each time. */
export function storageLaws(make: () => Promise<Medium>, runs = 60): void {
  const onMedium = async (body: (medium: Medium) => Promise<void>): Promise<void> => {
    const medium = await make();
    try {
      await body(medium);
    } finally {
      await medium.dispose();
    }
  };

  test(
    'is a faithful copy of a map: puts, gaps, overwrites, truncates, trims, values, restarts, bounded reads',
    () =>
      fc.assert(
        fc.asyncProperty(fc.array(action, { maxLength: 25 }), (actions) =>
          onMedium((medium) => runHistory(medium, actions)),
        ),
        { numRuns: runs },
      ),
    60_000,
  );

  test('an empty one says so, and each opening is counted', () =>
    onMedium(async (medium) => {
      for (const boot of [1, 2, 3]) {
        const storage = medium.next();
        expect(await storage.open()).toEqual({ boot, values: new Map(), first: 0, last: 0, runs: [] });
        expect(await storage.read(1, 100, 1000)).toEqual([]);
        await storage.close();
      }
    }));

  test('a call that is refused leaves nothing behind, and names the rule', () =>
    onMedium(async (medium) => {
      const storage = medium.next();
      await storage.open();
      await storage.write([put([1, 1, 'a'])]);
      const good = put([1, 2, 'b']);
      const bad: unknown[] = [
        { kind: 'put', entries: [{ index: 0, term: 1, data: bytesOf('') }] },
        { kind: 'put', entries: [{ index: 2, term: 0.5, data: bytesOf('') }] },
        { kind: 'put', entries: [{ index: 2, term: 1, data: 'text' }] },
        { kind: 'put', entries: [null] },
        { kind: 'put' },
        { kind: 'truncate', from: 0 },
        { kind: 'truncate', from: Number.NaN },
        { kind: 'trim', through: 0 },
        { kind: 'trim', through: Number.MAX_SAFE_INTEGER },
        { kind: 'set', key: 1, value: bytesOf('') },
        { kind: 'set', key: 'k', value: [] },
        { kind: 'set', key: '\ud800', value: bytesOf('') },
        { kind: 'drop' },
        null,
      ];
      for (const op of bad) {
        await expect(storage.write([good, op as StorageOp]), JSON.stringify(op)).rejects.toMatchObject({
          code: 'ERR_INVALID_ARGUMENT',
          message: expect.stringMatching(/^write: /) as string,
        });
      }
      await expect(storage.write({} as StorageOp[])).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      for (const [from, to, maxBytes] of [
        [0.5, 1, 1],
        [1, Number.NaN, 1],
        [1, 1, -1],
        [1, 1, Number.NaN],
      ] as const) {
        await expect(storage.read(from, to, maxBytes)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      }
      expect(plain(await storage.read(1, 9, 9))).toEqual([{ index: 1, term: 1, data: 'a' }]);
      await storage.close();
    }));

  test('before open and after close nothing is taken', () =>
    onMedium(async (medium) => {
      const storage = medium.next();
      await expect(storage.write([])).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      await expect(storage.read(1, 1, 1)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      await storage.open();
      await storage.close();
      await storage.close();
      await expect(storage.write([])).rejects.toMatchObject({ code: 'ERR_CLOSED' });
      await expect(storage.read(1, 1, 1)).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    }));

  test('close waits for the writes under way', () =>
    onMedium(async (medium) => {
      const storage = medium.next();
      await storage.open();
      let written = 0;
      for (let index = 1; index <= 5; index++) void storage.write([put([index, 1, 'x'])]).then(() => written++);
      await storage.close();
      expect(written).toBe(5);
      const again = medium.next();
      expect(await again.open()).toMatchObject({ first: 1, last: 5 });
      await again.close();
    }));

  test('a second open of what is open is refused, and harms nobody', () =>
    onMedium(async (medium) => {
      const storage = medium.next();
      await storage.open();
      await expect(storage.open()).rejects.toMatchObject({ code: 'ERR_STORAGE_LOCKED', outcome: 'none' });
      await expect(medium.next().open()).rejects.toMatchObject({ code: 'ERR_STORAGE_LOCKED' });
      await storage.write([put([1, 1, 'still here'])]);
      await storage.close();
    }));

  test('bytes are copied: a caller may reuse its own, and what it gets is its own', () =>
    onMedium(async (medium) => {
      const storage = medium.next();
      await storage.open();
      const data = bytesOf('before');
      const entries = [{ index: 1, term: 1, data }];
      await storage.write([
        { kind: 'put', entries },
        { kind: 'set', key: 'k', value: data },
      ]);
      data.fill(0);
      const [first] = await storage.read(1, 1, 100);
      expect(text(first?.data ?? data)).toBe('before');
      first?.data.fill(0);
      expect(plain(await storage.read(1, 1, 100))).toEqual([{ index: 1, term: 1, data: 'before' }]);
      await storage.close();
      const again = medium.next();
      const { values } = await again.open();
      expect(text(values.get('k') ?? data)).toBe('before');
      await again.close();
    }));
}
