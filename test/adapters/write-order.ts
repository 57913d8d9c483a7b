/** Which write may go before another one on a full disk, as a function that throws a violation. */

import { mayPass, WriteGroup } from '../../src/adapters/file-storage/group.js';
import type { StorageOp } from '../../src/replica/storage.js';
import { demand } from '../violation.js';

export function groupOf(ops: readonly StorageOp[]): WriteGroup {
  const group = new WriteGroup();
  group.add(ops);
  return group;
}

function put(index: number): StorageOp {
  return { kind: 'put', entries: [{ index, term: 1, data: new Uint8Array(1) }] };
}

const set: StorageOp = { kind: 'set', key: 'list', value: new Uint8Array(2) };

/** What a call that sets the list and trims through 4 may pass. */
const CASES: readonly (readonly [string, StorageOp, boolean])[] = [
  ['an entry above what is trimmed', put(5), true],
  ['an entry that is trimmed', put(4), false],
  ['another value', { kind: 'set', key: 'hard', value: new Uint8Array(1) }, true],
  ['the same value', { kind: 'set', key: 'list', value: new Uint8Array(1) }, false],
  ['what is cut off', { kind: 'truncate', from: 2 }, true],
];

export function orderOfTwo(): void {
  const trims = groupOf([set, { kind: 'trim', through: 4 }]);
  for (const [what, earlier, may] of CASES) {
    const rule = 'storage/trimmed-goes-when-full: ';
    demand(mayPass(trims, groupOf([earlier])) === may, `${rule}what trims passes ${what}: ${may}`);
    demand(!mayPass(groupOf([set]), groupOf([earlier])), `${rule}what only sets a value does not pass ${what}`);
  }
}
