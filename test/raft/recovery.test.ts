/** What Raft needs of its storage at a start. */

import { describe, expect, it } from 'vitest';
import { defaultLimits } from '../../src/core/tuning.js';
import { raftProtocol } from '../../src/raft/index.js';

describe('the recovered tail', () => {
  const { tailFrom } = raftProtocol.durable;
  const limits = { ...defaultLimits, tailEntries: 10 };

  it('holds everything that is not known to be committed, however much that is', () => {
    expect(tailFrom({ term: 5, vote: null, commit: 100 }, 1, 500, limits)).toBe(101);
    expect(tailFrom({ term: 5, vote: null, commit: 495 }, 1, 500, limits)).toBe(491);
    expect(tailFrom({ term: 5, vote: null, commit: 500 }, 7, 12, limits)).toBe(7);
    expect(tailFrom(null, 1, 500, limits)).toBe(1);
  });
});
