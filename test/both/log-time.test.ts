/** Log time in both protocols: stamps by what a majority of the clocks has reached, and no-ops that wake a machine. */

import { describe, it } from 'vitest';
import { simulate } from 'quorate/testing';
import { multipaxosModel, multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftModel, raftProtocol } from '../../src/raft/index.js';
import type { StateMachine } from '../../src/replica/state-machine.js';
import * as cases from './log-time.js';

const HOUR = 3_600_000;

/** It counts its wakes, and says so in its results: they must be the same on every replica. */
function sleeper(): StateMachine<unknown, string, string> {
  let [commands, wakes, asked] = [0, 0, 0];
  const count = (): string => `${commands} ${wakes} ${asked}`;
  return {
    apply(_, { time, wakeAt }) {
      commands += 1;
      if (commands % 3 === 0) wakeAt((asked = time + 40 * (commands % 4)));
      return count();
    },
    wake({ time, wakeAt }) {
      wakes += 1;
      if (wakes % 2 === 0 && time > 0) wakeAt((asked = time + 30));
    },
    snapshot: count,
    restore(snapshot) {
      [commands, wakes, asked] = snapshot.split(' ').map(Number) as [number, number, number];
    },
  };
}

for (const model of [raftModel, multipaxosModel]) {
  it(`wakes the machines of ${model.protocol.name} alike, in simulated schedules`, () => {
    simulate({ model, machine: { create: sleeper }, commands: () => 1, seed: 1, schedules: 15 });
  }, 120_000);
}

for (const protocol of [raftProtocol, multipaxosProtocol]) {
  describe(`log time of ${protocol.name}`, () => {
    it.each([1, 2, 3, 4, 5])('lies between the clocks that are right, in a cluster of %i', (size) => {
      for (let seed = 1; seed <= 12; seed++) {
        cases.minorityMovesNothing(protocol, size, seed);
      }
    });

    it.each([HOUR, -HOUR, 24 * HOUR, -500])('goes on when all clocks step by %i ms', (by) => {
      cases.allStep(protocol, by);
    });

    it('is known once a majority of the clocks is heard', () => cases.unheardCountsAsNotReached(protocol));
    it('far from the clock of the leader is told', () => cases.saysThatItIsOff(protocol));
    it('is reached by a no-op when a machine is to be woken', () => cases.wokenInTime(protocol));
    it('is reached by a no-op at most once a heartbeat', () => cases.wokenOnceAHeartbeat(protocol));
  });
}

it('is kept by a value that is proposed again', cases.proposedAgain);
