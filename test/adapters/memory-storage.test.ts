/** The memory storage: the shared laws; the object is the disk, so opening it again is a restart. */
import { describe, expect, test } from 'vitest';
import { memoryStorage } from '../../src/adapters/memory-storage.js';
import { put, set, storageLaws } from './storage-laws.js';

describe('memoryStorage', () => {
  storageLaws(() => {
    const storage = memoryStorage();
    return Promise.resolve({ next: () => storage, dispose: () => storage.close() });
  });

  test('a write is not resolved before the turn is over', async () => {
    const storage = memoryStorage();
    await storage.open();
    let resolved = false;
    const written = storage.write([put([1, 1, 'x'])]).then(() => {
      resolved = true;
    });
    expect(resolved).toBe(false);
    await written;
    expect(resolved).toBe(true);
  });

  test('two storages share nothing', async () => {
    const [one, other] = [memoryStorage(), memoryStorage()];
    await one.open();
    await one.write([set('k', 'v'), put([1, 1, 'x'])]);
    expect(await other.open()).toEqual({ boot: 1, values: new Map(), first: 0, last: 0, runs: [] });
  });
});
