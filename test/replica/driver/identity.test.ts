/**
 * First starts, lost disks and stray starts, in a model that does everything that disks and networks can do: every
 * order of steps for few members, and drawn schedules for 2 to 7.
 */

import { itemsOf } from '../../../src/core/book.js';
import { describe, expect, it } from 'vitest';
import { openEnvelope } from '../../../src/replica/driver/envelope.js';
import { idsOf } from '../../values.js';
import * as cases from './identity-cases.js';
import { settle, started } from './identity-cases.js';
import * as model from './identity-model.js';
import { phaseOf, type Model, type Start } from './identity-model.js';

const SIZES = [2, 3, 4, 5, 6, 7];
const SCHEDULES = 400;

describe.each(SIZES)('of %i members', (size) => {
  it('first starts at once complete', () => {
    cases.atOnce(size);
  });

  it('first starts one after the other complete, each as soon as enough are up', () => {
    cases.oneByOne(size);
  });

  it('complete though the first question of everybody is lost', () => {
    cases.lostQuestions(size);
  });

  it('a stray start under the id of one locks it not out (identity/strays-lock-nobody-out)', () => {
    cases.stray(size);
  });

  it('a start whose notes were taken locks nobody out by asking late (identity/strays-lock-nobody-out)', () => {
    cases.replaced(size);
  });

  it('a minority of lost disks brings nobody back under an old name (identity/lost-disk-has-no-vote)', () => {
    cases.minorityLost(size);
  });

  it('all complete though the first one loses its disk before the others do (identity/first-starts-complete)', () => {
    cases.lostBeforeOthers(size);
  });
});

it.each([5, 6, 7])(
  'of %i members the last one lets in n1 behind its record (identity/known-before-it-votes)',
  (size) => {
    cases.coreMessage(size);
  },
);

it('any schedule establishes no id twice, and in the end everybody who may', () => {
  let lost = 0;
  let strays = 0;
  for (let seed = 1; seed <= SCHEDULES; seed++) {
    try {
      const counted = cases.runSchedule(seed);
      lost += counted.lost;
      strays += counted.strays;
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  expect(lost).toBeGreaterThan(20);
  expect(strays).toBeGreaterThan(20);
});

describe('every order of steps', () => {
  /** What tells one model from another: all but times, and what is forgotten. */
  const keyOf = ({ starts, flights, established }: Model): string => {
    const own = starts.map(({ incarnation, values, writing, state }) => {
      const identity = state?.identity;
      const standing = identity?.standing;
      const round = standing?.kind === 'asking' ? standing.round : standing?.kind;
      const known = identity?.introducedTo.map(({ record, answer }) => [record, answer]);
      const { lane } = state ?? {};
      const held = itemsOf(lane?.held ?? null).map(({ bytes }) => [...bytes]);
      const stored = [...values].map(([key, value]) => [key, [...value]]);
      return [
        incarnation,
        stored,
        writing,
        state?.phase.kind,
        round,
        known,
        held,
        itemsOf(lane?.queued ?? null).length,
      ];
    });
    const bytes = flights.map((flight) => `${flight.from}${flight.to}${flight.bytes.join()}`).sort();
    return JSON.stringify([own, bytes, [...established]], (_, value) =>
      value instanceof Uint8Array ? [...value] : value,
    );
  };

  /**
   * Walks all orders in which messages arrive or not and writes end, where each of two starts under one id asks `asks`
   * times, and disks lose power `crashes` times, with and without the write under way.
   */
  function walk(size: number, asks: number, crashes: number): { states: number; ends: Set<string> } {
    const ids = idsOf(size);
    // The others are there already, and take part.
    let base = settle(started(size));
    base = model.wipe(base, 0);
    base = ids.slice(1).reduce((now, id, at) => forget(now, id, at), base);
    const first = model.fresh(model.fresh(base, 'n1', 50), 'n1', 51);
    const seen = new Set<string>();
    const ends = new Set<string>();
    const stack: { now: Model; left: readonly number[] }[] = [{ now: first, left: [asks - 1, asks - 1, crashes] }];
    while (stack.length > 0) {
      const { now, left } = stack.pop() as (typeof stack)[number];
      const key = `${keyOf(now)} ${left.join()}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const next: (typeof stack)[number][] = [];
      const less = (which: number): readonly number[] => left.map((each, at) => (at === which ? each - 1 : each));
      const rivals = [now.starts.length - 2, now.starts.length - 1];
      now.starts.forEach(({ writing }, at) => {
        if (writing !== null) next.push({ now: model.synced(now, at), left });
      });
      now.flights.forEach(({ to, bytes }, flight) => {
        const asker = openEnvelope(bytes).address.to;
        const at = now.starts.findIndex((each) => each.id === to && (asker === null || each.incarnation === asker));
        next.push({ now: model.deliver(now, flight, at), left });
      });
      rivals.forEach((at, which) => {
        const start = now.starts[at] as Start;
        if (phaseOf(start) !== 'establishing' || (left[which] as number) === 0 || model.dueOf(start) === Infinity)
          return;
        next.push({ now: model.tick(now, at), left: less(which) });
      });
      now.starts.forEach(({ writing }, at) => {
        if (left[2] === 0) return;
        next.push({ now: model.boot(model.crash(now, at, false), at), left: less(2) });
        if (writing !== null) next.push({ now: model.boot(model.crash(now, at, true), at), left: less(2) });
      });
      if (next.length === 0 || left[2] === 0) ends.add(rivals.map((at) => phaseOf(now.starts[at] as Start)).join(' '));
      stack.push(...next);
    }
    return { states: seen.size, ends };
  }

  /** A member that has never heard of n1. */
  function forget(now: Model, id: string, at: number): Model {
    const start = now.starts[at] as Start;
    expect(start.id).toBe(id);
    const values = new Map(start.values);
    values.delete('peers');
    const starts = now.starts.map((each, place) => (place === at ? { ...start, values } : each));
    return model.boot({ ...now, starts, established: new Map(), asked: new Map() }, at);
  }

  it.each([
    [2, 2, 0],
    [2, 1, 1],
    [3, 1, 0],
  ])('of two starts under one id among %i, asking %i times, lets in at most one; %i crashes', (size, asks, crashes) => {
    const { states, ends } = walk(size, asks, crashes);
    expect(states).toBeGreaterThan(100);
    expect([...ends].filter((end) => end === 'running running')).toEqual([]);
    expect(ends).toContain('running lostIdentity');
    expect(ends).toContain('lostIdentity running');
  });
});
