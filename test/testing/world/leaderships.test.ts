/** The rules about leadership that replicas report, each broken by hand. */

import { expect, test } from 'vitest';
import {
  noLeaderships,
  withLeadership,
  withoutLeadership,
  withWin,
  type RecordedLeadership,
  type RecordedLeaderships,
} from '../../../src/testing/world/leaderships.js';

const led: RecordedLeadership = { replica: 'n1', term: 2, fence: 5 };

/** n1 has won term 2 when everything up to 4 was acknowledged, and says that it leads with fence 5. */
function begun(): RecordedLeaderships {
  return withLeadership(withWin(noLeaderships, 'n1', { term: 2, seen: 4 }), led, 5);
}

function next(leadership: RecordedLeadership, seen = 5): () => RecordedLeaderships {
  return () =>
    withLeadership(withWin(begun(), leadership.replica, { term: leadership.term, seen }), leadership, leadership.fence);
}

test('a leadership stands until it is withdrawn, and may come again', () => {
  const leaderships = begun();
  expect(leaderships.standing.get('n1')).toBe(led);
  const gone = withoutLeadership(leaderships, 'n1');
  expect(gone.standing.size).toBe(0);
  expect(withoutLeadership(gone, 'n1')).toBe(gone);
  expect(withLeadership(gone, { ...led }, 9).standing.get('n1')).toEqual(led);
  expect(leaderships.standing.size).toBe(1);
});

test('leadership/after-own-entry: a replica that says it leads has applied its own entry', () => {
  const won = withWin(noLeaderships, 'n1', { term: 2, seen: 0 });
  expect(() => withLeadership(won, led, 4)).toThrow(/has applied its own entry: n1 leads with fence 5, applied 4/);
  expect(() => withLeadership(won, { ...led, fence: 0 }, 4)).toThrow(/has applied its own entry/);
});

test('a fence lies behind what was acknowledged before the election was won, which was', () => {
  expect(() => withLeadership(withWin(noLeaderships, 'n1', { term: 2, seen: 5 }), led, 5)).toThrow(
    /^leadership\/fence-above-acknowledged: /,
  );
  expect(() => withLeadership(withWin(noLeaderships, 'n1', { term: 1, seen: 0 }), led, 5)).toThrow(
    /^leadership\/fence-above-acknowledged: /,
  );
  expect(() => withLeadership(noLeaderships, led, 5)).toThrow(/^leadership\/fence-above-acknowledged: /);
});

test('fences rise with terms, and a term has one leader with one fence', () => {
  expect(next({ replica: 'n2', term: 3, fence: 6 })().highest?.term).toBe(3);
  expect(next({ replica: 'n2', term: 3, fence: 5 }, 0)).toThrow(/fences rise with terms: n2 leads with fence 5/);
  expect(next({ replica: 'n2', term: 2, fence: 5 }, 0)).toThrow(/fences rise/);
  expect(next({ replica: 'n1', term: 2, fence: 6 })).toThrow(/fences rise/);
});

test('a leadership that is told late, of an earlier term, is held to the same', () => {
  expect(next({ replica: 'n2', term: 1, fence: 4 }, 0)().highest).toBe(led);
  expect(next({ replica: 'n2', term: 1, fence: 5 }, 0)).toThrow(/fences rise with terms: n2 leads with fence 5/);
});
