/** Settings: defaults, and an error that names what is wrong. */

import { describe, expect, it } from 'vitest';
import type { Protocol } from '../../src/core/protocol.js';
import { choose, defaultLimits, defaultTiming, type Tuning } from '../../src/core/tuning.js';

const protocol = { name: 'any' } as Protocol<unknown, unknown>;

describe('tuning', () => {
  it('has defaults, and what is given replaces them', () => {
    expect(choose(protocol)).toEqual({ protocol, timing: defaultTiming, limits: defaultLimits, preVote: true });
    const chosen = choose(protocol, { timing: { heartbeat: 20, electionMin: 100 }, limits: { tailEntries: 9 } });
    expect(chosen.timing).toEqual({ heartbeat: 20, electionMin: 100, electionMax: defaultTiming.electionMax });
    expect(chosen.limits).toEqual({ ...defaultLimits, tailEntries: 9 });
  });

  it.each<[unknown, RegExp]>([
    [{ timings: {} }, /^timings: no such setting of any/],
    [{ timing: { heartbeats: 1 } }, /^timing\.heartbeats: no such setting/],
    [{ limits: { tail: 1 } }, /^limits\.tail: no such setting/],
    [{ timing: { heartbeat: 0 } }, /^timing\.heartbeat: expected a whole number from 1/],
    [{ timing: { heartbeat: 1.5 } }, /^timing\.heartbeat: .*got 1\.5/],
    [{ timing: { heartbeat: '20' } }, /^timing\.heartbeat: /],
    [{ timing: { electionMax: 2 ** 31 } }, /^timing\.electionMax: /],
    [{ timing: { electionMin: 3000 } }, /^timing\.electionMax: expected at least electionMin \(3000\)/],
    [{ timing: { electionMin: 299 } }, /^timing\.electionMin: expected at least twice the heartbeat \(150\)/],
    [{ limits: { tailBytes: -1 } }, /^limits\.tailBytes: /],
    [{ limits: { tailBytes: NaN } }, /^limits\.tailBytes: /],
    [{ preVote: 1 }, /^preVote: expected true or false, got 1$/],
  ])('refuses %j', (given, message) => {
    expect(() => choose(protocol, given as Tuning)).toThrow(RangeError);
    expect(() => choose(protocol, given as Tuning)).toThrow(message);
  });

  it.each([Object.create(null), Symbol('x'), { toString: () => ({}) }])(
    'names the setting whose value has no text (%#)',
    (value) => {
      for (const [given, message] of [
        [{ timing: { heartbeat: value } }, /^timing\.heartbeat: expected a whole number/],
        [{ limits: { tailBytes: value } }, /^limits\.tailBytes: expected a whole number/],
        [{ preVote: value }, /^preVote: expected true or false/],
      ] as const) {
        expect(() => choose(protocol, given as Tuning)).toThrow(RangeError);
        expect(() => choose(protocol, given as Tuning)).toThrow(message);
      }
    },
  );

  it('the defaults pass their own rules', () => {
    expect(choose(protocol, { timing: defaultTiming, limits: defaultLimits })).toBeDefined();
  });
});
