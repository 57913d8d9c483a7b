/** Killers of the mutants of log time and of clients' sessions. */

import fc from 'fast-check';
import { raft } from 'quorate';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import * as cases from '../both/log-time.js';
import { answersAsTheModel, copiesTakeEffectOnce, move } from '../replica/driver/client-cases.js';
import { failingAreRenewedSooner, livesWhile } from '../replica/host/renewals.js';
import { calledInOrder, gapsCountLittle, logOf, type Made } from '../replica/driver/wake-cases.js';

const PROTOCOLS = [raftProtocol, multipaxosProtocol] as const;

function clocks(): void {
  for (const protocol of PROTOCOLS) {
    for (let seed = 1; seed <= 4; seed++) cases.minorityMovesNothing(protocol, 3, seed);
  }
}

const command = (time: number, delay: number): Made => ({ kind: 'command', time, delay });
const noop = (time: number): Made => ({ kind: 'noop', time, delay: 0 });

/** A machine is woken at no-ops and before commands, alone and in company. */
function wakes(): void {
  const log = logOf([command(10, 3), noop(11), noop(12), command(9, 1), command(12, 5), command(16, 0), noop(17)]);
  for (const size of [1, 2, 9]) for (const part of [1, 3]) calledInOrder(log, [size], part);
}

function sessionTable(): void {
  const all = fc.sample(fc.array(move, { minLength: 20, maxLength: 60 }), { seed: 1, numRuns: 300 });
  for (const moves of all) answersAsTheModel(moves);
}

export const logTimeScripts = {
  'sessions: table': sessionTable,
  'sessions: renewals while full': () => livesWhile('full', raft),
  'sessions: renewals that fail': failingAreRenewedSooner,
  'sessions: renewals while busy': () => livesWhile('busy', raft),
  'sessions: copies': copiesTakeEffectOnce,
  'log time: clocks': clocks,
  'log time: unheard': () => PROTOCOLS.forEach(cases.unheardCountsAsNotReached),
  'log time: a step back': () => PROTOCOLS.forEach((protocol) => cases.allStep(protocol, -3_600_000)),
  'log time: a far clock': () => PROTOCOLS.forEach(cases.saysThatItIsOff),
  'log time: a wake': () => PROTOCOLS.forEach(cases.wokenInTime),
  'log time: many wakes': () => PROTOCOLS.forEach(cases.wokenOnceAHeartbeat),
  'log time: proposed again': cases.proposedAgain,
  'log time: a machine': wakes,
  'log time: gaps': gapsCountLittle,
} as const;
