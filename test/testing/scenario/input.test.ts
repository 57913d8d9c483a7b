/** Scenarios that cannot be read are refused, by their line. */

import { describe, expect, test } from 'vitest';
import { raftModel as model } from 'quorate/raft';
import { parseScenario, runScenario, ScenarioSyntaxError } from 'quorate/testing';
import { errorOf } from '../refusals.js';

describe('a scenario', () => {
  test.each([
    ['', 1, /the header does not say which protocol/],
    ['protocol: raft\nsede: 5', 2, /unknown field "sede"; did you mean seed\?/],
    ['protocol: raft\n\nexplode n1', 3, /unknown command "explode"/],
    ['protocol: raft\ncrash n7', 2, /unknown replica "n7"/],
    ['protocol: raft\nleap n1 -5', 2, /leap: expected 0 milliseconds or more, got -5/],
    ['protocol: raft\npropose n1 {a}', 2, /a command is JSON or one word/],
  ])('%j is refused by its line', (text, line, reason) => {
    const error = errorOf(() => parseScenario(text)) as ScenarioSyntaxError;
    expect(error).toBeInstanceOf(ScenarioSyntaxError);
    expect(error.line).toBe(line);
    expect(error.reason).toMatch(reason);
  });

  test('asks for a world that can be', () => {
    expect(() => runScenario('protocol: zab\n', model)).toThrow(/^line 1: unknown protocol "zab"; there are raft/);
    expect(() => runScenario('protocol: raft\ntiming: heartbeat=500', model)).toThrow(/^line 1: timing.electionMin/);
  });
});
