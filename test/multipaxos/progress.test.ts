/**
 * A leader's books of one peer (paxos/acks-by-slot, limits/lost-by-evidence), where only a rare order of answers shows
 * a difference.
 */

import { describe, expect, it } from 'vitest';
import type { Lane } from '../../src/core/protocol.js';
import {
  newProgress,
  probe,
  unsentAbove,
  withAccepted,
  withChosen,
  withoutOverdue,
  withSent,
  type PaxosProgress,
} from '../../src/multipaxos/progress.js';

const MOST = 500;

function sent(p: PaxosProgress, from: number, to: number, now = 0, lane: Lane = 'control'): PaxosProgress {
  return withSent(p, { from, to }, 10, lane, now);
}

function accepted(p: PaxosProgress, from: number, to: number, now = 0): PaxosProgress {
  return withAccepted(p, from, to, now, MOST);
}

/** Slots 1 to `count`, each in an Accept of its own, at time 0. */
function streamed(count: number, lane: (slot: number) => Lane = () => 'control'): PaxosProgress {
  let peer = newProgress('b', 0, 0);
  for (let slot = 1; slot <= count; slot++) peer = sent(peer, slot, slot, 0, lane(slot));
  return peer;
}

function slots({ inflight }: PaxosProgress): readonly number[] {
  return inflight.map(({ from }) => from);
}

/** Does not answer, and one Accept of slots 4 to 6 was sent to find out whether it does again. */
function probed(): PaxosProgress {
  return sent(probe(newProgress('b', 0, 0), 3), 4, 6);
}

describe('a peer that was probed', () => {
  it.each([
    ['it has accepted', (p: PaxosProgress) => accepted(p, 1, 3)],
    ['it knows to be chosen', (p: PaxosProgress) => withChosen(p, 3, MOST)],
  ])('has nothing on its way once it answers with what %s, and is sent what follows', (_, answer) => {
    const after = answer(probed());
    expect(after).toMatchObject({ match: 3, next: 4, probing: false, inflight: [], inflightBytes: 0 });
  });

  it('has on its way what was sent since it answered', () => {
    const after = accepted(sent(accepted(probed(), 1, 3), 4, 8), 4, 5);
    expect(after).toMatchObject({ match: 5, next: 9, inflight: [{ to: 8, bytes: 10 }], inflightBytes: 10 });
  });
});

describe('what is unsent follows from what is accepted and what is under way', () => {
  it('all that was overtaken and is overdue, and nothing else', () => {
    let peer = accepted(streamed(6), 3, 3, 100);
    expect(slots(peer)).toEqual([1, 2, 4, 5, 6]);
    expect(peer.overdueAt).toBe(126);
    expect(withoutOverdue(peer, 125, MOST)).toBe(peer);
    peer = withoutOverdue(peer, 126, MOST);
    expect(slots(peer)).toEqual([4, 5, 6]);
    expect([peer.inflightBytes, peer.overdueAt]).toEqual([30, Infinity]);
    expect(unsentAbove(peer, 0, 9)).toEqual({ from: 1, to: 2 });
    expect(unsentAbove(sent(peer, 1, 2), 0, 9)).toEqual({ from: 7, to: 9 });
    expect(unsentAbove(sent(peer, 1, 2), 0, 6)).toMatchObject({ from: 7, to: 6 });
    expect(unsentAbove(peer, 1, 9)).toEqual({ from: 2, to: 2 });
  });

  it('one that is sent again is lost again only by one that was sent after that', () => {
    let peer = withoutOverdue(accepted(streamed(3), 2, 2, 100), 126, MOST);
    peer = accepted(sent(peer, 1, 1, 126), 3, 3, 130);
    expect(withoutOverdue(peer, 1000, MOST).inflight).toHaveLength(1);
    peer = accepted(sent(peer, 4, 4, 140), 4, 4, 240);
    expect(withoutOverdue(peer, 1000, MOST).inflight).toEqual([]);
  });

  it('what went by the other lane overtakes nothing', () => {
    const peer = accepted(
      streamed(4, (slot) => (slot < 3 ? 'bulk' : 'control')),
      3,
      3,
      100,
    );
    expect([slots(peer), peer.overdueAt]).toEqual([[1, 2, 4], Infinity]);
    expect(accepted(peer, 2, 2, 200).overdueAt).toBe(251);
  });

  it('the slowest answer of late counts, and the answer to what was sent again makes nothing faster', () => {
    let peer = accepted(streamed(3), 3, 3, 80);
    expect(peer.roundTrip).toBe(80);
    peer = accepted(sent(peer, 4, 4, 100), 4, 4, 140);
    expect(peer.roundTrip).toBe(79);
    peer = accepted(sent(withoutOverdue(peer, 200, MOST), 1, 1, 200), 1, 1, 201);
    expect(peer.roundTrip).toBe(79);
    peer = accepted(sent(peer, 5, 5, 0), 5, 5, 9000);
    expect(peer.roundTrip).toBe(MOST);
  });

  it('what is chosen is under way no longer, and proves nothing about what was sent before', () => {
    const peer = withChosen(accepted(streamed(5), 4, 4, 10), 2, MOST);
    expect([peer.match, slots(peer), peer.beyond]).toEqual([2, [3, 5], [{ from: 4, to: 4 }]]);
    expect(withoutOverdue(peer, 14, MOST)).toMatchObject({ next: 3, inflightBytes: 10, overdueAt: Infinity });
  });
});
