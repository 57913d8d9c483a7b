/** The mutation gate: for every mutant, a source with one rule removed, the rig must find a broken rule. */

import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { rulesIn } from '../tidy/citations.js';
import { gate, misfit, type Fate } from './gate.js';
import { edit, type Mutant } from './mutant.js';
import { mutants } from './mutants.js';

const MINUTES = 60_000;

/** What the proofs of other rules rest on, and what the books of a leader are held to: mutants of those die by them. */
const INDUCTIVE = [
  'raft/candidate-votes-for-itself',
  'raft/vote-for-the-asker',
  'raft/members-only',
  'raft/vote-by-log-alone',
  'raft/candidate-term-is-new',
  'raft/leader-append-only',
  'raft/committed-stays',
  'raft/later-logs-are-complete',
  'raft/only-leader-commits',
  'raft/match-below-next',
  'raft/match-never-falls',
  'raft/probe-one-at-a-time',
  'paxos/ballots-are-ordered',
  'paxos/vote-by-accept',
  'paxos/votes-by-slot',
  'paxos/one-leadership-per-ballot',
];

function problems(fates: readonly Fate[]): readonly string[] {
  return fates.filter(({ problem }) => problem !== '').map(({ mutant, problem }) => `${mutant.name}: ${problem}`);
}

describe('the list', () => {
  it('names every mutant once, says what it does, and has a killer or an argument, not both', () => {
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
    for (const { name, about, killedBy, equivalent } of mutants) {
      expect(about, name).toMatch(/^[A-Z].*\.$/);
      expect([killedBy === undefined, equivalent === undefined], name).toContain(true);
    }
  });

  it('breaks every rule of the protocols but those that only say early what another one says', () => {
    const rules = rulesIn(readFileSync(new URL('../../docs/rules.md', import.meta.url), 'utf8')).map(
      ({ name }) => name,
    );
    const broken = new Set(mutants.flatMap(({ breaks }) => breaks));
    expect([...broken].filter((rule) => !rules.includes(rule))).toEqual([]);
    const unbroken = rules.filter((rule) => /^(?:raft|paxos|reads)\//.test(rule) && !broken.has(rule));
    expect(unbroken).toEqual(INDUCTIVE);
  });
});

/** They show that the gate can fail, one for each way in which it does, and one for which it must not. */
function plantedMutants(): readonly Mutant[] {
  const killedBy = { kind: 'scenario', file: 'raft/fig8-prev-term-commit' } as const;
  const about = 'Shows that the gate can fail.';
  const mutant = (name: string, from: string, to: string, rest: Partial<Mutant> = { killedBy }): Mutant => {
    return { name, about, breaks: [], edits: [edit('raft/election.ts', from, to)], ...rest };
  };
  const none = { equivalent: 'It changes a comment.' };
  return [
    mutant('survivor', 'at least as up to date', 'no less up to date'),
    mutant('gone', 'this text stands nowhere', ''),
    mutant('twice', 'draft.state', 'draft'),
    mutant('broken', 'export function campaign(', 'export function campaign('),
    mutant('accident', 'draft.becomeCandidate();', 'draft.becomeKing();'),
    mutant('unargued', 'at least as up to date', 'no less up to date', {}),
    mutant('argued', 'at least as up to date', 'no less up to date', none),
  ];
}

describe('the gate', () => {
  const planted = plantedMutants();
  let fates: readonly Fate[] = [];

  // All at once: what starts a process of the gate costs more than most mutants.
  beforeAll(async () => {
    fates = await gate([...mutants, ...planted]);
  }, 5 * MINUTES);

  it('every mutant dies by its killer, which finds nothing on the source as it stands', () => {
    expect(fates).toHaveLength(mutants.length + planted.length);
    expect(problems(fates.slice(0, mutants.length))).toEqual([]);
  });

  it('sees a survivor, a patch that does not fit, one that fits twice, and a killer that proves nothing', () => {
    expect(problems(fates.slice(mutants.length)).map((line) => line.slice(0, 40))).toEqual([
      'survivor: it survives its killer',
      'gone: its patch of src/raft/election.ts ',
      'twice: its patch of src/raft/election.ts',
      'broken: its patch of src/raft/election.t',
      'accident: its killer ends by an accident',
      'unargued: it has neither a killer nor an',
    ]);
    expect(misfit(planted[2] as Mutant)).toMatch(/fits \d\d? times/);
  });
});
