/**
 * Nothing is sent again without a reason (replication/window-kept, limits/late-is-not-lost, requests/patience): large
 * commands on links on which they take many election timeouts. Bytes are counted, time is virtual.
 */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from 'quorate/multipaxos';
import { raftProtocol } from 'quorate/raft';
import type { Core } from './core.js';
import { trafficOf } from './traffic.js';

describe.each([raftProtocol as Core, multipaxosProtocol as Core])('$name', (core) => {
  const problems = (first: number, seeds: number, loss: number, isDown: boolean) =>
    Array.from({ length: seeds }, (_, at) => trafficOf(core, first + at, loss, isDown)).filter(
      ({ problem }) => problem !== '',
    );

  it('sends each command to each member once', () => {
    expect(problems(1, 14, 0, false)).toEqual([]);
  });

  it('sends what a follower missed, beside what was under way to it when it went down', () => {
    expect(problems(1, 8, 0, true)).toEqual([]);
  });

  it('repairs what is lost', () => {
    expect(problems(1, 6, 0.05, false)).toEqual([]);
  });
});
