/** The mutation gate (reliability-anchors 4.5): every rule whose loss would be a bug is missed when it is taken out. */

import { describe, expect, it } from 'vitest';
import { gate, misfit, type Fate } from './gate.js';
import { edit, type Mutant } from './mutant.js';
import { mutants } from './mutants.js';

const MINUTES = 60_000;

function problems(fates: readonly Fate[]): readonly string[] {
  return fates.filter(({ problem }) => problem !== '').map(({ mutant, problem }) => `${mutant.name}: ${problem}`);
}

describe('the list', () => {
  it('names every mutant once, says what it does, and has a witness or an argument, not both', () => {
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
    for (const { name, about, killedBy, equivalent } of mutants) {
      expect(about, name).toMatch(/^[A-Z].*\.$/);
      expect([killedBy === undefined, equivalent === undefined], name).toContain(true);
    }
  });

  it('covers the mutants of the reference and the rules in force', () => {
    const covered = new Set(mutants.flatMap(({ name }) => name.split(', ').map((each) => each.replace(/[a-z]$/, ''))));
    const numbers = (letter: string, from: number, to: number): string[] => {
      return Array.from({ length: to - from + 1 }, (_, at) => `${letter}${from + at}`);
    };
    const raft = [...numbers('m', 1, 16), ...numbers('m', 21, 26)];
    // Not yet in force: R10 (changes of members), R14 (snapshots).
    const rules = numbers('R', 1, 17).filter((rule) => rule !== 'R10' && rule !== 'R14');
    expect([...raft, ...numbers('p', 1, 15), ...rules].filter((name) => !covered.has(name))).toEqual([]);
  });
});

describe('the gate', () => {
  it(
    'every mutant dies by its witness, which finds nothing on the source as it stands',
    async () => {
      expect(problems(await gate(mutants))).toEqual([]);
    },
    5 * MINUTES,
  );

  it(
    'sees a survivor, a patch that does not fit, one that fits twice, and a witness that proves nothing',
    async () => {
      const killedBy = { kind: 'scenario', file: 'raft/fig8-prev-term-commit' } as const;
      const about = 'Shows that the gate can fail.';
      const mutant = (name: string, from: string, to: string, rest: Partial<Mutant> = { killedBy }): Mutant => {
        return { name, about, breaks: '', edits: [edit('raft/election.ts', from, to)], ...rest };
      };
      const none = { equivalent: 'It changes a comment.' };
      const planted = [
        mutant('survivor', '§5.4.1: whether a log', '§5.4.1: if a log'),
        mutant('gone', 'this text stands nowhere', ''),
        mutant('twice', 'draft.state', 'draft'),
        mutant('broken', 'export function campaign(', 'export function campaign('),
        mutant('accident', 'draft.becomeCandidate();', 'draft.becomeKing();'),
        mutant('unargued', '§5.4.1: whether a log', '§5.4.1: if a log', {}),
        mutant('argued', '§5.4.1: whether a log', '§5.4.1: if a log', none),
      ];
      expect(problems(await gate(planted)).map((line) => line.slice(0, 40))).toEqual([
        'survivor: it survives its witness',
        'gone: its patch of src/raft/election.ts ',
        'twice: its patch of src/raft/election.ts',
        'broken: its patch of src/raft/election.t',
        'accident: its witness ends by an acciden',
        'unargued: it has neither a witness nor a',
      ]);
      expect(misfit(planted[2] as Mutant)).toMatch(/fits \d\d? times/);
    },
    5 * MINUTES,
  );
});
