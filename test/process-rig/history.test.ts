/** The rig's judge: it finds nothing in histories that are right, and what is wrong in those that are not. */

import { describe, expect, it } from 'vitest';
import { problemsOf, type Input, type Operation } from './history.js';
import { execute, type Contents } from './machine.js';
import { Random } from './random.js';

interface Story {
  readonly operations: Operation[];
  readonly contents: Contents;
}

/** A history that some linearizable machine made: every operation takes effect at a moment between call and return. */
function story(seed: number): Story {
  const random = new Random(seed);
  const values = new Map<string, string>();
  const ledger: string[] = [];
  const operations: Operation[] = [];
  for (let moment = 1; moment <= 40; moment++) {
    const input = draw(random, moment);
    const fate = random.below(10);
    const isWrite = 'op' in input;
    const operation: Operation = {
      client: moment,
      member: 'a',
      input,
      output: null,
      call: moment - random.real() * 3,
      return: moment + random.real() * 3,
      outcome: 'ok',
      index: null,
      logIndex: null,
      least: 0,
    };
    operations.push(operation);
    if (fate === 0) operation.outcome = 'fail';
    else if (fate === 1) Object.assign(operation, { outcome: 'unknown', return: null });
    if (isWrite && (fate > 1 || (fate === 1 && random.chance(0.5)))) {
      const output = execute(values, input);
      ledger.push(input.op);
      if (fate > 1) Object.assign(operation, { output, index: ledger.length, logIndex: ledger.length * 2 + 1 });
    } else if (!isWrite && fate > 1) {
      Object.assign(operation, { output: values.get(input.key) ?? null, index: ledger.length });
    }
    if (!isWrite && operation.outcome === 'unknown') operation.outcome = 'fail';
  }
  return { operations, contents: { values: [...values], ledger } };
}

function draw(random: Random, moment: number): Input {
  const key = `k${random.below(2)}`;
  const op = `c${moment}`;
  const kind = random.pick(['read', 'read', 'set', 'append', 'cas', 'stale'] as const);
  if (kind === 'read' || kind === 'stale') return { kind, key };
  if (kind === 'cas') return { op, kind, key, expected: random.chance(0.5) ? null : `c${moment - 1}`, value: op };
  return { op, kind, key, value: op };
}

function judge({ operations, contents }: Story, others: readonly Contents[] = []): string[] {
  return problemsOf(operations, new Map([contents, ...others].map((each, at) => [`m${at}`, each])));
}

const SEEDS = Array.from({ length: 80 }, (_, seed) => seed);

/** What `spoil` makes of each story in which it finds something to spoil: how many, and how many were let pass. */
function judged(spoil: (story: Story, random: Random) => Story | null): { spoilt: number; passed: number[] } {
  let spoilt = 0;
  const passed = SEEDS.filter((seed) => {
    const bad = spoil(story(seed), new Random(seed));
    if (bad === null) return false;
    spoilt++;
    return judge(bad).length === 0;
  });
  return { spoilt, passed };
}

const isWrite = ({ input, outcome }: Operation): boolean => 'op' in input && outcome === 'ok';
const isRead = ({ input, outcome }: Operation): boolean => input.kind === 'read' && outcome === 'ok';

/** One of the operations changed, if there is one to change. */
function changed(
  { operations, contents }: Story,
  which: (operation: Operation) => boolean,
  change: Partial<Operation>,
): Story | null {
  const one = operations.filter(which).at(-1);
  if (one === undefined) return null;
  return { operations: operations.map((each) => (each === one ? { ...each, ...change } : each)), contents };
}

describe('the judge of the process rig', () => {
  it('finds nothing in what a linearizable machine did', () => {
    for (const seed of SEEDS) expect(judge(story(seed)), `seed ${seed}`).toEqual([]);
  });

  it.each<[string, (story: Story, random: Random) => Story | null]>([
    [
      'an acknowledged write that is lost',
      ({ operations, contents }) => {
        const lost = operations.filter(isWrite).at(-1);
        if (lost === undefined || !('op' in lost.input)) return null;
        const { op } = lost.input;
        return { operations, contents: { ...contents, ledger: contents.ledger.filter((each) => each !== op) } };
      },
    ],
    [
      'a command that took effect twice',
      ({ operations, contents }) =>
        contents.ledger.length === 0
          ? null
          : { operations, contents: { ...contents, ledger: [...contents.ledger, contents.ledger[0] as string] } },
    ],
    [
      'a command that nobody asked for',
      ({ operations, contents }) => ({
        operations,
        contents: { ...contents, ledger: [...contents.ledger, 'c99'] },
      }),
    ],
    [
      'effect after a promise of none',
      (good) => changed(good, isWrite, { outcome: 'fail', index: null, output: null }),
    ],
    ['a wrong output of a read', (good) => changed(good, isRead, { output: 'c77' })],
    ['a wrong output of a write', (good) => changed(good, isWrite, { output: 'c77' })],
    [
      'a write before one that had returned',
      (good) => changed(good, (each) => isWrite(each) && each.index === 1, { call: 90, return: 91 }),
    ],
    [
      'a stale read that did not wait',
      (good) => changed(good, ({ input, index }) => input.kind === 'stale' && index === 3, { least: 4 }),
    ],
    [
      'indexes of the log that fall',
      (good) => changed(good, (each) => isWrite(each) && (each.index ?? 0) > 1, { logIndex: 1 }),
    ],
  ])('finds %s', (_, spoil) => {
    const { spoilt, passed } = judged(spoil);
    expect(spoilt).toBeGreaterThan(10);
    // An only write has no place to be wrong at.
    expect(passed.length).toBeLessThan(spoilt / 10);
  });

  it('finds a stale read: one that is called after the return of a write, and does not see it', () => {
    const { spoilt, passed } = judged((good) => {
      const { length } = good.contents.ledger;
      return changed(good, (each) => isRead(each) && (each.index as number) < length - 5, { call: 90, return: 91 });
    });
    expect(spoilt).toBeGreaterThan(20);
    expect(passed).toEqual([]);
  });

  it('finds members that differ', () => {
    const good = story(1);
    const other = { ...good.contents, ledger: good.contents.ledger.slice(1) };
    expect(judge(good, [good.contents])).toEqual([]);
    expect(judge(good, [other])).toEqual(['m0 and m1 differ at the end']);
  });
});
