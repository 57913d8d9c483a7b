/** A leader's books of one peer (paxos/acks-by-slot), where only a rare order of answers shows a difference. */

import { describe, expect, it } from 'vitest';
import {
  newProgress,
  probe,
  withAccepted,
  withChosen,
  withInflight,
  type PaxosProgress,
} from '../../src/multipaxos/progress.js';

/** Does not answer, and one Accept of slots 4 to 6 was sent to find out whether it does again. */
function probed(): PaxosProgress {
  return withInflight(probe(newProgress('b', 0, 0), 4), 6, 200);
}

describe('a peer that was probed', () => {
  it.each([
    ['it has accepted', (p: PaxosProgress) => withAccepted(p, 1, 3)],
    ['it knows to be chosen', (p: PaxosProgress) => withChosen(p, 3)],
  ])('has nothing on its way once it answers with what %s, and is sent what follows', (_, answer) => {
    const after = answer(probed());
    expect(after).toMatchObject({ match: 3, next: 4, probing: false, inflight: [], inflightBytes: 0 });
  });

  it('has on its way what was sent since it answered', () => {
    const after = withAccepted(withInflight(withAccepted(probed(), 1, 3), 8, 50), 4, 5);
    expect(after).toMatchObject({ match: 5, next: 9, inflight: [{ last: 8, bytes: 50 }], inflightBytes: 50 });
  });
});
