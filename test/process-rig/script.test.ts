/** The language of the process rig: what it means, what it refuses, and that random scripts speak it. */

import { describe, expect, it } from 'vitest';
import type { DiskKind } from './messages.js';
import { Random } from './random.js';
import { pausingScript, randomScript } from './random-script.js';
import { LINK_VERBS, MEMBER_VERBS, parseScript, ScriptError, type Step } from './script.js';

const link = { both: false, jitter: 0 };

describe('a script', () => {
  it.each<[string, Step]>([
    ['kill a', { kind: 'member', verb: 'kill', who: 'a', amount: 0 }],
    ['stop leader 1.5s', { kind: 'member', verb: 'stop', who: 'leader', amount: 1500 }],
    ['slow any 20ms # and a comment', { kind: 'member', verb: 'slow', who: 'any', amount: 20 }],
    ['cut a->b', { kind: 'link', verb: 'cut', from: 'a', to: 'b', amount: 0, ...link }],
    ['hole leader<->*', { kind: 'link', verb: 'hole', from: 'leader', to: '*', amount: 0, ...link, both: true }],
    ['delay a->b 200ms 50ms', { kind: 'link', verb: 'delay', from: 'a', to: 'b', amount: 200, ...link, jitter: 50 }],
    ['corrupt *->c 1/5000', { kind: 'link', verb: 'corrupt', from: '*', to: 'c', amount: 5000, ...link }],
    ['heal', { kind: 'link', verb: 'heal', from: '*', to: '*', amount: 0, ...link }],
    ['  run   0.25s', { kind: 'run', milliseconds: 250 }],
    ['acks 50', { kind: 'acks', count: 50 }],
  ])('%s', (line, step) => expect(parseScript(line)).toEqual([step]));

  it.each([
    ['explode a', /no step "explode"/],
    ['kill', /expected a member, got ""/],
    ['kill alice', /expected a member, got "alice"/],
    ['kill a b', /kill takes no "b"/],
    ['stop a soon', /a time like 200ms or 2s, got "soon"/],
    ['slow a', /slow takes a time/],
    ['cut a', /expected a link like a->b, got "a"/],
    ['cut a->b 5', /cut takes no "5"/],
    ['throttle a->b', /throttle takes an amount/],
    ['throttle a->b 0', /a whole number from 1/],
    ['throttle a->b 5 6ms', /throttle takes no "6ms"/],
    ['corrupt a->b 0.1', /a share like 1\/2000/],
    ['run', /run takes one number/],
    ['acks -1', /a whole number/],
    ['delay a->b 1ms 2ms 3ms', /delay takes no "3ms"/],
  ])('refuses %s, with line and reason', (line, reason) => {
    const error = refusal(`# what comes before\nrun 1ms\n\n${line}`);
    expect(error).toBeInstanceOf(ScriptError);
    expect(error).toMatchObject({ line: 4 });
    expect((error as Error).message).toMatch(reason);
  });
});

function refusal(text: string): unknown {
  try {
    return parseScript(text);
  } catch (error) {
    return error;
  }
}

describe('random scripts', () => {
  const kinds: readonly DiskKind[] = ['real', 'facade', 'volatile'];

  it('parse, and are the same from the same seed', () => {
    for (let seed = 0; seed < 500; seed++) {
      const draw = (): string => randomScript(new Random(seed), 1 + (seed % 5), 12, kinds[seed % 3] as DiskKind);
      expect(parseScript(draw()).length).toBeGreaterThanOrEqual(12);
      expect(draw()).toBe(draw());
    }
  });

  it('that pause leaders parse too', () => {
    for (let seed = 0; seed < 200; seed++) {
      const steps = parseScript(pausingScript(new Random(seed), 3, 20));
      expect(steps.filter((step) => 'verb' in step && step.verb === 'stop').length).toBeGreaterThan(2);
    }
  });

  it('know every fault, and leave each one out of about half of the schedules', () => {
    const schedules = 400;
    const seen = new Map<string, number>();
    for (let seed = 0; seed < schedules; seed++) {
      const steps = parseScript(randomScript(new Random(seed), 3, 60, 'volatile'));
      const verbs = new Set(steps.flatMap((step) => ('verb' in step ? [step.verb] : [])));
      for (const verb of verbs) seen.set(verb, (seen.get(verb) ?? 0) + 1);
    }
    const repairs = ['start', 'cont', 'free', 'heal', 'halts'];
    for (const verb of [...MEMBER_VERBS, ...LINK_VERBS].filter((name) => !repairs.includes(name))) {
      expect(seen.get(verb), verb).toBeGreaterThan(schedules / 4);
      // Killing and starting again is also how things are repaired; two faults kill.
      if (verb !== 'kill' && verb !== 'restart') expect(seen.get(verb), verb).toBeLessThan((schedules * 3) / 4);
    }
  });
});
