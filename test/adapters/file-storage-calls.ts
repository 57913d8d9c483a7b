/**
 * The n-th call of the processes that get killed: a function of n, so that the one who checks knows it too.
 */
import type { StorageOp } from '../../src/replica/storage.js';

const bytesOf = (content: string): Uint8Array => new Uint8Array(Buffer.from(content));

export function callOf(nth: number): StorageOp[] {
  const from = 1 + ((nth * 7) % 90);
  const size = nth % 11 === 0 ? 3000 : nth % 60;
  const entries = Array.from({ length: nth % 4 }, (_, at) => ({
    index: from + at,
    term: 1 + Math.floor(nth / 50),
    data: bytesOf(`${nth}/${at}`.padEnd(size, '.')),
  }));
  const ops: StorageOp[] = [
    { kind: 'put', entries },
    { kind: 'set', key: 'calls', value: bytesOf(String(nth)) },
  ];
  if (nth % 17 === 0) return [{ kind: 'trim', through: from }, ...ops];
  return nth % 13 === 0 ? [{ kind: 'truncate', from }, ...ops] : ops;
}
