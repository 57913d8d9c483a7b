/**
 * Who campaigns disturbs nobody that follows a leader (liveness/pre-vote-changes-nothing, liveness/sticky-leader), and
 * a crash is noticed (liveness/crash-is-noticed): in both protocols, with messages and disks that take time.
 */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import { timing } from '../values.js';
import { led, othersOf, rivals, succession, undisturbed, WRONGS } from './disturb.js';

const WORLDS = [
  { size: 3, roundTrip: 2, write: 1 },
  { size: 3, roundTrip: 300, write: 150 },
  { size: 5, roundTrip: 40, write: 10 },
] as const;

describe.each([
  ['raft', raftProtocol],
  ['multipaxos', multipaxosProtocol],
] as const)('%s', (_, protocol) => {
  describe.each(WORLDS)('$size members, round trip $roundTrip ms, sync $write ms', (world) => {
    it.each(Object.entries(WRONGS))('%s: leader and term stay', (__, wrong) => {
      undisturbed(protocol, world, wrong);
    });

    it('a leader that nobody can answer gives way', () => {
      const { cluster, leader } = led(protocol, world);
      for (const id of othersOf(cluster, leader)) cluster.cuts.add(`${id}>${leader}`);
      const replaced = (): boolean => ![null, leader].includes(cluster.leader());
      expect(cluster.run(4 * timing.electionMax, replaced)).toBe(true);
    });

    it('a killed leader whose port refuses is replaced within a few round trips', () => {
      const took = Array.from({ length: 20 }, (__, at) => succession(protocol, world, at + 1)).sort((a, b) => a - b);
      // Two that ask at once may still split the votes, once in a while.
      expect(took[15]).toBeLessThanOrEqual(1);
    });
  });

  it('of two that ask at once one campaigns (liveness/rival-gives-way)', () => {
    expect(rivals(protocol)).toBe(1);
  });
});
