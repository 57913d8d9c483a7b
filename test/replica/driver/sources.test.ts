/** Who serves a snapshot: what is kept for a puller, and until when. */

import { describe, expect, it } from 'vitest';
import { sourcesDeadline, type SourcesState } from '../../../src/replica/driver/snapshot-sources.js';

const snapshot = (index: number) => ({ file: `${index}-1`, index, term: 1, checksum: 1, time: 0, bytes: 10 });

describe('the tick of a source', () => {
  const state: SourcesState = {
    holds: [],
    pins: [
      { file: '3-1', until: 50 },
      { file: '7-1', until: 90 },
    ],
    unnamed: [],
    reads: [],
  };

  it('is due when a file that no list names is kept no longer, and for no other one', () => {
    expect(sourcesDeadline(state)).toBe(Infinity);
    expect(sourcesDeadline({ ...state, unnamed: [snapshot(7)] })).toBe(90);
    expect(sourcesDeadline({ ...state, unnamed: [snapshot(7), snapshot(3)] })).toBe(50);
  });
});
