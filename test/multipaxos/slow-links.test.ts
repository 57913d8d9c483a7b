/** Multi-Paxos stays live where messages take time and have weight. Work and virtual time are counted. */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import type { Accept } from '../../src/multipaxos/messages.js';
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

function bytesOf(slow: SlowCluster, kind: string): number {
  return slow.sent.get(kind)?.bytes ?? 0;
}

describe('catch-up learns from every answer (paxos/learned-from-any-answer, limits/catch-up-window)', () => {
  it.each([
    ['301 slots at a round trip of 320 ms', 320, 6, 100, 1000],
    ['20 MB at a round trip of 20 ms', 20, 25, 16 * KIB, 1000],
    ['12 MB at a round trip of 300 ms', 300, 15, 16 * KIB, 4000],
    ['1 MB in 20 commands at a round trip of 400 ms', 400, 1, 20 * KIB, 2500],
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
    const before = bytesOf(slow, 'catchUpReply');
    expect(slow.run(bound, () => commitOf(slow, lagging) === commitOf(slow, leader))).toBe(true);
    expect(slow.leader()).toBe(leader);
    slow.run(electionMax);
    expect(bytesOf(slow, 'catchUpReply') - before).toBeLessThan(1.1 * 50 * perTurn * (bytes + 100));
  });

  it('while nothing comes next to nothing is sent, for however long that is', () => {
    const slow = cluster({ roundTrip: 20 });
    const leader = settle(slow);
    const lagging = slow.hosts.find(({ id }) => id !== leader)?.id as string;
    slow.loses = (_from, to, { kind }) => to === lagging && kind !== 'heartbeat';
    slow.propose(leader, 64, 256 * KIB);
    slow.run(30_000);
    expect(commitOf(slow, lagging)).toBe(1);
    // One answer in vain; after that, it is only asked whether anything comes.
    expect(bytesOf(slow, 'catchUpReply')).toBeLessThan(600 * KIB);
    expect(bytesOf(slow, 'catchUp')).toBeLessThan(100 * KIB);
  });
});

describe('a gap is filled at once (limits/lost-by-evidence)', () => {
  const trips = [2, 40, 100, 400];

  it.each(trips)('40 Accepts of 40 KiB are lost, and all are needed, at a round trip of %i ms', (roundTrip) => {
    const slow = cluster({ roundTrip });
    const leader = settle(slow);
    const [other, third] = slow.hosts.filter(({ id }) => id !== leader).map(({ id }) => id) as [string, string];
    slow.cut(third);
    slow.loses = (_, to, { kind }) => kind === 'accept' && to === other;
    for (let count = 0; count < 40; count++) slow.propose(leader, 1, 40 * KIB);
    slow.loses = () => false;
    const sentBefore = bytesOf(slow, 'accept');
    slow.propose(leader, 1, 100);
    const { last } = slow.status(leader);
    // The evidence, a quarter more in case of reordering, and the round trip of what is sent again.
    const bound = Math.ceil(2.25 * roundTrip) + 10;
    expect(slow.run(bound, () => commitOf(slow, leader) === last)).toBe(true);
    expect(bytesOf(slow, 'accept') - sentBefore).toBeLessThan(1.1 * 40 * 41 * KIB);
  });

  it.each(trips)('40 Accepts of 40 KiB are lost, and others hold them, at a round trip of %i ms', (roundTrip) => {
    const slow = cluster({ roundTrip });
    const leader = settle(slow);
    const other = slow.hosts.find(({ id }) => id !== leader)?.id as string;
    slow.loses = (_, to, { kind }) => kind === 'accept' && to === other;
    for (let count = 0; count < 40; count++) slow.propose(leader, 1, 40 * KIB);
    slow.loses = () => false;
    slow.propose(leader, 1, 100);
    const { last } = slow.status(leader);
    // It hears of the commit by a heartbeat, and asks for 4 pages, 12, and all the rest.
    const bound = 6 * roundTrip + timing.heartbeat;
    expect(slow.run(bound, () => commitOf(slow, other) === last)).toBe(true);
    expect(bytesOf(slow, 'catchUpReply')).toBeLessThan(1.1 * 40 * 41 * KIB);
  });

  it.each([
    ['none lost', 0],
    ['one in ten lost', 10],
  ])('what is overtaken is not sent again and again: %s', (_, share) => {
    const slow = cluster({ roundTrip: 20 });
    const leader = settle(slow);
    const [other, third] = slow.hosts.filter(({ id }) => id !== leader).map(({ id }) => id) as [string, string];
    slow.cut(third);
    let seed = 7;
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    slow.delays = () => next(150);
    let slots = 0;
    slow.loses = (_from, to, message) => {
      if (message.kind !== 'accept' || to !== other) return false;
      slots += (message as Accept).entries.length;
      return share > 0 && next(share) === 0;
    };
    const { last } = slow.status(leader);
    for (let count = 0; count < 500; count++) {
      slow.propose(leader, 1, 4 * KIB);
      slow.run(5);
    }
    expect(slow.run(3000, () => commitOf(slow, leader) === last + 500)).toBe(true);
    expect(slots).toBeLessThan(1.2 * 500 * (1 + (share === 0 ? 0 : 1 / share)));
  });

  it('a large command that takes its time by bulk is not taken for lost, nor sent again', () => {
    const slow = cluster({ roundTrip: 20, bytesPerMs: 400 });
    const leader = settle(slow);
    slow.propose(leader, 1, 1024 * KIB);
    for (let count = 0; count < 40; count++) {
      slow.propose(leader, 1, 100);
      slow.run(50);
    }
    const { last } = slow.status(leader);
    expect(slow.run(4000, () => slow.hosts.every(({ id }) => commitOf(slow, id) === last))).toBe(true);
    expect(bytesOf(slow, 'accept')).toBeLessThan(2.1 * 1024 * KIB);
    expect(bytesOf(slow, 'catchUpReply')).toBe(0);
  });
});

describe('a leader below the commit index that its election reported (liveness/stranded-gives-way)', () => {
  /** The leader is killed when one follower has all that is chosen; the other one has nothing, and alone can be elected. */
  function elected(slow: SlowCluster, count: number, bytes: number): readonly [string, string] {
    const leader = settle(slow);
    const [holder, candidate] = slow.hosts.filter(({ id }) => id !== leader).map(({ id }) => id) as [string, string];
    const teaches = new Set(['accept', 'catchUpReply']);
    slow.loses = (_from, to, { kind }) => to === candidate && teaches.has(kind);
    slow.propose(leader, count, bytes);
    expect(slow.run(60_000, () => commitOf(slow, holder) === count + 1)).toBe(true);
    slow.kill(leader);
    slow.loses = (from, to, { kind }) =>
      from === holder && (kind === 'prepare' || (to === candidate && teaches.has(kind)));
    expect(slow.run(6 * electionMax, () => slow.leader() === candidate)).toBe(true);
    expect(commitOf(slow, candidate)).toBe(1);
    slow.loses = (from, _to, { kind }) => kind === 'prepare' && from === holder;
    return [holder, candidate];
  }

  it('learns from a holder on a slow link, however long that takes, and leads on', () => {
    const slow = cluster({ roundTrip: 300, bytesPerMs: 300 });
    const [, leader] = elected(slow, 60, 128 * KIB);
    const since = slow.now;
    expect(slow.run(60_000, () => commitOf(slow, leader) >= 61)).toBe(true);
    slow.propose(leader, 1, 100);
    expect(slow.run(5000, () => commitOf(slow, leader) > 62)).toBe(true);
    expect(slow.campaigns(since)).toBe(0);
    expect(bytesOf(slow, 'catchUpReply')).toBeLessThan(1.1 * 60 * 129 * KIB);
  });

  it('that hears nothing from the holder gives way, and tries again now and then', () => {
    const slow = cluster({ roundTrip: 20 });
    const [holder, leader] = elected(slow, 60, 1000);
    const { loses } = slow;
    slow.loses = (from, to, m) => loses(from, to, m) || (m.kind === 'catchUpReply' && from === holder);
    slow.run(electionMax);
    const since = slow.now;
    slow.run(60_000);
    const won = slow.host(leader).events.filter(({ at, role }) => at >= since && role === 'leader').length;
    expect(won).toBeGreaterThan(1);
    expect(won).toBeLessThanOrEqual(8);
    // As soon as the holder can campaign it leads, since whoever gave way waits for others.
    slow.loses = (from, _to, { kind }) => kind === 'catchUpReply' && from === holder;
    expect(slow.run(6 * electionMax, () => slow.leader() === holder)).toBe(true);
    slow.loses = () => false;
    expect(slow.run(electionMax, () => commitOf(slow, leader) === commitOf(slow, holder))).toBe(true);
  });
});
