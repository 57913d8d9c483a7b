/** Multi-Paxos stays live where messages take time and have weight. Work and virtual time are counted. */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { SlowCluster, type SlowOptions } from '../slow-links.js';
import { timing } from '../values.js';

const KIB = 1024;
const { electionMax } = timing;

function cluster(options: Omit<SlowOptions, 'protocol'>): SlowCluster {
  return new SlowCluster({ protocol: multipaxosProtocol, ...options });
}

function commitOf(slow: SlowCluster, id: string): number {
  return slow.status(id).commit;
}

/** A leader stands and all have committed its no-op. */
function settle(slow: SlowCluster): string {
  const settled = slow.run(10 * electionMax, () => {
    return slow.leader() !== null && slow.hosts.every(({ id }) => commitOf(slow, id) > 0);
  });
  expect(settled).toBe(true);
  return slow.leader() as string;
}

/**
 * A leader is killed when one follower has this many votes of a size above its commit index. The other one has none,
 * and alone can be elected, since nobody hears the campaigns of the first.
 */
function killedWithVotes(slow: SlowCluster, votes: number, bytes: number): void {
  const leader = settle(slow);
  const [informed, candidate] = slow.hosts.filter(({ id }) => id !== leader).map(({ id }) => id) as [string, string];
  slow.loses = (from, to, { kind }) => {
    if (kind === 'prepare' || kind === 'preVote') return from === informed;
    return (kind === 'accept' && to === candidate) || (kind === 'accepted' && from === informed);
  };
  const last = slow.status(leader).last + votes;
  slow.propose(leader, votes, bytes);
  expect(slow.run(60_000, () => slow.status(informed).last >= last)).toBe(true);
  slow.kill(leader);
}

describe('Phase 1 ends on any link (paxos/pages-cover-all, liveness/phase1-is-borne)', () => {
  it.each([
    ['a round trip of 100 ms, 90 votes of 40 KiB, 8 MB/s', 100, 90, 40, 8000],
    ['a round trip of 40 ms, 64 votes of 32 KiB', 40, 64, 32, Infinity],
    ['a round trip of 320 ms, 90 votes of 40 KiB, 8 MB/s', 320, 90, 40, 8000],
    ['a round trip of 20 ms, 90 votes of 40 KiB, 0.4 MB/s', 20, 90, 40, 400],
  ])('%s', (_, roundTrip, votes, kib, bytesPerMs) => {
    const slow = cluster({ roundTrip, bytesPerMs, limits: { inflightMessages: 256 } });
    killedWithVotes(slow, votes, kib * KIB);
    const since = slow.now;
    // What the dead leader had sent is still heard for as long as its links take to carry it.
    const heard = bytesPerMs === Infinity ? 0 : (votes * kib * KIB) / bytesPerMs;
    expect(slow.run(6 * electionMax + heard, () => slow.leader() !== null)).toBe(true);
    expect(slow.campaigns(since)).toBe(1);
    // Each vote is sent once.
    expect(slow.sent.get('promise')?.bytes).toBeLessThan(1.1 * votes * kib * KIB);
  });
});

describe('catch-up learns from every answer (paxos/learned-from-any-answer)', () => {
  it.each([
    ['301 slots at a round trip of 320 ms', 320, 6, 100, 2000],
    ['20 MB at a round trip of 20 ms', 20, 25, 16 * KIB, 2000],
    ['12 MB at a round trip of 300 ms', 300, 15, 16 * KIB, 5000],
  ])('%s', (_, roundTrip, perTurn, bytes, bound) => {
    const slow = cluster({ roundTrip });
    const leader = settle(slow);
    const lagging = slow.hosts.find(({ id }) => id !== leader)?.id as string;
    slow.loses = (_from, to, { kind }) => to === lagging && kind !== 'heartbeat';
    for (let turn = 0; turn < 50; turn++) {
      slow.propose(leader, perTurn, bytes);
      slow.run(2 * roundTrip);
    }
    slow.run(electionMax);
    expect([commitOf(slow, leader), commitOf(slow, lagging)]).toEqual([50 * perTurn + 1, 1]);
    slow.loses = () => false;
    expect(slow.run(bound, () => commitOf(slow, lagging) === commitOf(slow, leader))).toBe(true);
    expect(slow.leader()).toBe(leader);
  });
});

describe('a gap is filled at once (limits/window-is-kept)', () => {
  it.each([2, 100])('40 Accepts of 40 KiB are lost, at a round trip of %i ms', (roundTrip) => {
    const slow = cluster({ roundTrip });
    const leader = settle(slow);
    const other = slow.hosts.find(({ id }) => id !== leader)?.id as string;
    slow.loses = (_, to, { kind }) => (kind === 'accept' || kind === 'catchUpReply') && to === other;
    for (let count = 0; count < 40; count++) slow.propose(leader, 1, 40 * KIB);
    slow.loses = (_, to, { kind }) => kind === 'catchUpReply' && to === other;
    slow.propose(leader, 1, 100);
    const { last } = slow.status(leader);
    expect(slow.run(2 * electionMax, () => slow.status(other).last === last && commitOf(slow, leader) === last)).toBe(
      true,
    );
  });
});
