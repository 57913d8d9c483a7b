/** Liveness where the timing assumption holds, at its bound and at a quarter of it: time and weight, and no faults. */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from 'quorate/multipaxos';
import { raftProtocol } from 'quorate/raft';
import { amount } from '../amount.js';
import type { Core } from './core.js';
import { lifeOf, type Liveness } from './liveness.js';
import { PACED_TIMING } from './pace.js';

const CORES: Readonly<Record<string, Core>> = { raft: raftProtocol as Core, multipaxos: multipaxosProtocol as Core };
const SHARES = { 'at the bound': 1, 'at a quarter of it': 0.25 } as const;
const both = Object.keys(CORES).flatMap((name) => Object.keys(SHARES).map((where) => [name, where] as const));

function livesOf(name: string, where: string, seeds: number, idle: boolean, first = 1): readonly Liveness[] {
  const share = SHARES[where as keyof typeof SHARES];
  return Array.from({ length: seeds }, (_, at) => lifeOf(CORES[name] as Core, at + first, share, idle));
}

function problemsOf(lives: readonly Liveness[], first = 1): readonly string[] {
  return lives.flatMap(({ problems }, at) => problems.map((problem) => `seed ${at + first}: ${problem}`));
}

describe('without faults', () => {
  it.each(both)('%s %s finds its first leader soon, and nobody campaigns after that', (name, where) => {
    const lives = livesOf(name, where, amount(60, 150), true);
    const leaders = lives.map(({ firstLeader }) => firstLeader).sort((a, b) => a - b);
    expect(problemsOf(lives)).toEqual([]);
    expect(leaders.at(-1)).toBeLessThanOrEqual(5 * PACED_TIMING.electionMax);
    expect(leaders[leaders.length >> 1]).toBeLessThanOrEqual(2 * PACED_TIMING.electionMax);
  });

  const whole = [
    ['raft', 'at the bound', 25, 1],
    ['raft', 'at a quarter of it', 25, 1],
    ['multipaxos', 'at the bound', 17, 18],
    ['multipaxos', 'at a quarter of it', 25, 1],
  ] as const;
  it.each(whole)('%s %s does all that is asked, and catches up who was down', (name, where, seeds, first) => {
    const lives = livesOf(name, where, amount(seeds >> 1, seeds), false, first);
    expect(problemsOf(lives, first)).toEqual([]);
    const trimmed = lives.filter(({ snapshots }) => snapshots.trimmed > 0);
    const byOne = trimmed.filter(({ snapshots }) => snapshots.installed > 0); // came back by a snapshot
    expect(byOne.length).toBeGreaterThan(trimmed.length / 2);
  });

  const known = [
    ['raft', 'more is asked for than small windows carry', [2100265, 2100506, 2100746]],
    ['multipaxos', 'much is voted for above what a follower missed', [2100380, 2101236]],
  ] as const;
  it.each(known)('%s at the bound does all that is asked where %s', (name, _, seeds) => {
    const life = (seed: number): Liveness => lifeOf(CORES[name] as Core, seed, 1, false, false); // without snapshots
    expect(seeds.flatMap((seed) => problemsOf([life(seed)], seed))).toEqual([]);
  });
});
