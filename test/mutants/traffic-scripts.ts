/** Killers of the mutants of what is sent again: seeds of `test/oracle/traffic.ts` in which it shows. */

import { refusedAreTaken } from '../replica/host/refused.js';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import type { Core } from '../oracle/core.js';
import { trafficOf } from '../oracle/traffic.js';
import { demand } from '../violation.js';

/** These runs have no problem. */
function sound(core: unknown, rule: string, ...runs: readonly (readonly [seed: number, isDown: boolean])[]): void {
  for (const [seed, isDown] of runs) {
    const { problem } = trafficOf(core as Core, seed, 0, isDown);
    demand(problem === '', `${rule}: ${problem}`);
  }
}

export const trafficScripts = {
  'raft: refused are taken': async () => refusedAreTaken('raft'),
  'multipaxos: refused are taken': async () => refusedAreTaken('multipaxos'),
  'traffic: raft': async () => sound(raftProtocol, 'replication/window-kept', [4, false], [1, true]),
  'traffic: forwards': async () => sound(raftProtocol, 'requests/patience', [20, false]),
  'traffic: multipaxos': async () => sound(multipaxosProtocol, 'limits/late-is-not-lost', [2, true]),
} as const;
