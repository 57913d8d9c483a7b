/**
 * Both cores are quiet under the oracle, and it speaks up for each thing that it is there to find: a rule of a protocol
 * taken out, by patches of the source or by what a core sends, and answers that are wrong.
 */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from 'quorate/multipaxos';
import { raftProtocol } from 'quorate/raft';
import { amount } from '../amount.js';
import { load } from '../mutants/load.mjs';
import type { Core } from './core.js';
import { findViolation } from './run.js';
import { changed, search, type Change } from './search.js';
import { STORMS } from './storms.js';

/** A round that nobody has to confirm. */
const ROUND = {
  file: 'core/reads.ts',
  from: 'majorityReached([begun.readRound, ...rules.confirmed(draft)])',
  to: 'begun.readRound',
};

/** What cannot be done from outside: texts in `src`, each found once in its file, and what takes their place. */
const PATCHES = {
  'any reported value is proposed, not the one of the highest ballot': {
    entry: 'multipaxos',
    storm: 'forgetful',
    edits: [{ file: 'multipaxos/phase1.ts', from: ' || known.term < vote.term', to: '' }],
  },
  'Multi-Paxos serves a read without asking a majority': {
    entry: 'multipaxos',
    storm: 'divided',
    edits: [ROUND],
  },
  'Raft commits entries of an earlier term by counting': {
    entry: 'raft',
    storm: 'contested',
    edits: [{ file: 'raft/replication.ts', from: ' || termAt(log, index) !== term) return;', to: ') return;' }],
  },
  'Raft serves a read without asking a majority': {
    entry: 'raft',
    storm: 'divided',
    edits: [ROUND],
  },
} as const;

/** Runs with a command of 800 KiB behind the storm, on links that take more than a second for it, twice. */
const SLOW = [
  ['raft', 600_281],
  ['multipaxos', 603_959],
] as const;

/** Messages that must not leave before what they say is durable. */
const GATED = [
  ['raft', 'requestVoteReply'],
  ['raft', 'appendAccepted'],
  ['multipaxos', 'promise'],
  ['multipaxos', 'accepted'],
] as const;

const CORES: Readonly<Record<string, Core>> = { raft: raftProtocol, multipaxos: multipaxosProtocol };

/** What a core that answers wrongly makes of one thing that a sound one wants done. */
const ANSWERS: Readonly<Record<string, Change>> = {
  'says none of what may take effect': (each) =>
    each.kind === 'resolve' && each.outcome.kind === 'unknown'
      ? [{ ...each, outcome: { ...each.outcome, kind: 'none' } }]
      : [each],
  'says committed of what may be lost': (each) =>
    each.kind === 'resolve' && each.outcome.kind === 'unknown' ? [{ ...each, outcome: { kind: 'committed' } }] : [each],
  'answers twice': (each) => (each.kind === 'resolve' ? [each, each] : [each]),
  'lets a deadline pass': (each) =>
    each.kind === 'resolve' && each.outcome.kind !== 'committed' && each.outcome.reason === 'deadline' ? [] : [each],
  'hands over entries twice': (each) => (each.kind === 'commit' ? [each, each] : [each]),
  'sends no answer to a heartbeat or an append': (each) =>
    each.kind === 'send' && /appendAccepted|heartbeatReply|accepted/.test(kindOf(each.message)) ? [] : [each],
};

function kindOf(message: unknown): string {
  return (message as { readonly kind: string }).kind;
}

describe('the oracle', () => {
  const quiet = Object.keys(CORES).flatMap((name) => STORMS.map((storm) => [name, storm] as const));
  it.each(quiet)('finds nothing wrong with %s in %s storms', (name, storm) => {
    const found: string[] = [];
    for (let seed = 1; seed <= amount(20, 70); seed++) {
      const violation = findViolation(CORES[name] as Core, seed, storm);
      if (violation !== null) found.push(`seed ${seed}: ${violation}`);
    }
    expect(found).toEqual([]);
  });

  it.each(quiet)('finds nothing wrong with %s in %s storms with time and weight', (name, storm) => {
    const found: string[] = [];
    for (let seed = 1; seed <= amount(8, 25); seed++) {
      const violation = findViolation(CORES[name] as Core, seed, storm, true);
      if (violation !== null) found.push(`seed ${seed}: ${violation}`);
    }
    expect(found).toEqual([]);
  });

  it.each(SLOW)('lets callers of %s wait for what takes longer than a storm has patience: seed %i', (name, seed) => {
    expect(findViolation(CORES[name] as Core, seed, 'divided', true)).toBeNull();
  });

  it.each(GATED)('tells when %s sends %s before it is durable', (name, kind) => {
    const ungated = changed(CORES[name] as Core, (each) =>
      each.kind === 'send' && kindOf(each.message) === kind ? [{ ...each, after: 0 }] : [each],
    );
    expect(search(ungated, 'forgetful')).not.toBeNull();
  });

  it.each(Object.entries(PATCHES))('tells when %s', (_, { entry, storm, edits }) => {
    const patched = load(
      `src/${entry}/index.ts`,
      edits.map((edit) => ({ ...edit, file: `src/${edit.file}` })),
    );
    const core = (patched as Readonly<Record<string, Core>>)[`${entry}Protocol`] as Core;
    expect(search(core, storm)).not.toBeNull();
  });

  const wrong = Object.keys(CORES).flatMap((name) => Object.keys(ANSWERS).map((how) => [name, how] as const));
  it.each(wrong)('tells when %s %s', (name, how) => {
    const core = changed(CORES[name] as Core, ANSWERS[how] as Change);
    expect(search(core, 'mixed')).not.toBeNull();
  });
});
