/** The timing assumption counts each part of an exchange once, and frames both ways. */

import { expect, test } from 'vitest';
import { exchangeBound, exchangeTime, FRAME_BYTES, meetsTimingAssumption } from 'quorate/testing';

const timing = { electionMin: 1000 };
const nothing = { roundTrip: 0, bandwidth: Infinity, write: 0, load: 0, slice: 0 };

test('an exchange takes what its parts take', () => {
  expect(exchangeTime(nothing)).toBe(0);
  expect(exchangeTime({ roundTrip: 100, bandwidth: FRAME_BYTES / 10, write: 30, load: 4, slice: 15 })).toBe(184);
});

test('it must take less than half of the shortest election timeout', () => {
  expect(exchangeBound(timing)).toBe(500);
  expect(meetsTimingAssumption({ ...nothing, roundTrip: 400, write: 99 }, timing)).toBe(true);
  expect(meetsTimingAssumption({ ...nothing, roundTrip: 400, write: 100 }, timing)).toBe(false);
  expect(meetsTimingAssumption({ ...nothing, bandwidth: FRAME_BYTES / 250 }, timing)).toBe(false);
});
