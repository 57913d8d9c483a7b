/** What a user relies on, in one body for both protocols. */

import { describe, expect, it } from 'vitest';
import { decode } from '../support/checks.js';
import { Cluster, type ClusterOptions } from '../support/cluster.js';
import type { Host } from '../support/host.js';
import { protocols } from '../support/protocols.js';
import { level, losePower } from '../support/schedule.js';
import { timing } from '../support/values.js';

const { electionMax } = timing;

describe.each(protocols)('%s', (_, protocol) => {
  function clusterOf(size: number, options: Partial<ClusterOptions> = {}): Cluster {
    return new Cluster({ protocol, size, ...options });
  }

  /** The cluster at rest with a leader, and that leader. */
  function led(cluster: Cluster): Host {
    expect(cluster.calm(10 * electionMax, () => cluster.leader() !== null)).toBe(true);
    cluster.calm(4 * timing.heartbeat, () => false);
    expect(level(cluster)).toBe(true);
    return cluster.leader() as Host;
  }

  /** Proposed at a host, and committed everywhere. */
  function commits(cluster: Cluster, host: Host, count: number): void {
    const requests = cluster.propose(host, count, 5 * electionMax);
    expect(requests).toHaveLength(count);
    const done = (): boolean => requests.every((one) => cluster.observer.acknowledged.has(one));
    expect(cluster.calm(5 * electionMax, done)).toBe(true);
  }

  function others(cluster: Cluster, host: Host): readonly Host[] {
    return cluster.hosts.filter((each) => each !== host);
  }

  it('a single member elects itself, once its own vote is durable, and commits', () => {
    const cluster = clusterOf(1);
    const [host] = cluster.hosts as [Host];
    for (let turn = 0; turn < 5; turn++) cluster.nextTick();
    expect(cluster.status(host).role).not.toBe('leader');
    expect(led(cluster)).toBe(host);
    commits(cluster, host, 3);
    cluster.read(host, 1000);
    expect(cluster.counters.reads).toBe(1);
    losePower(cluster);
    commits(cluster, host, 1);
  });

  it('asked to campaign, a single member leads without waiting for its timeout', () => {
    const cluster = clusterOf(1);
    const [host] = cluster.hosts as [Host];
    cluster.step(host, { kind: 'campaign', now: 0 });
    for (let turn = 0; turn < 4; turn++) cluster.pump();
    expect([cluster.status(host).role, cluster.time]).toEqual(['leader', 0]);
  });

  it('three elect one and commit what any of them is asked', () => {
    const cluster = clusterOf(3);
    led(cluster);
    for (const host of cluster.hosts) commits(cluster, host, 2);
    for (const host of cluster.hosts) cluster.read(host, electionMax);
    expect(cluster.calm(electionMax, () => cluster.counters.reads === 3)).toBe(true);
  });

  it('without a leader a proposal ends at once, without effect', () => {
    const cluster = clusterOf(3);
    const [host] = cluster.hosts as [Host];
    cluster.propose(host, 2, 1000);
    expect(host.asked.size).toBe(0);
    expect(cluster.counters.unknown).toBe(0);
  });

  it('a crashed leader is replaced, and comes back as a follower that catches up', () => {
    const cluster = clusterOf(3);
    const leader = led(cluster);
    commits(cluster, leader, 2);
    cluster.crash(leader, 0);
    const replaced = (): boolean => others(cluster, leader).some((host) => cluster.status(host).role === 'leader');
    expect(cluster.calm(5 * electionMax, replaced)).toBe(true);
    const next = others(cluster, leader).find((host) => cluster.status(host).role === 'leader') as Host;
    commits(cluster, next, 3);
    cluster.restart(leader);
    expect(led(cluster)).toBe(next);
  });

  it('all crash at once and nothing acknowledged is lost', () => {
    const cluster = clusterOf(5);
    commits(cluster, led(cluster), 12);
    const acknowledged = cluster.observer.committed.length;
    losePower(cluster);
    commits(cluster, led(cluster), 1);
    expect(cluster.observer.committed.length).toBeGreaterThan(acknowledged);
  });

  it('a follower that was away for long catches up through `load`', () => {
    const cluster = clusterOf(3);
    const leader = led(cluster);
    const [away] = others(cluster, leader) as [Host];
    cluster.crash(away, 0);
    for (let turn = 0; turn < 12; turn++) commits(cluster, leader, 4);
    const { catchUps } = cluster.counters;
    cluster.restart(away);
    expect(led(cluster)).toBe(leader);
    if (leader.role === 'leader') expect(cluster.counters.loads).toBeGreaterThan(catchUps);
    expect(away.handed).toBe(cluster.observer.committed.length);
  });

  it('a forward that arrives twice is appended twice, and harms nothing (the request table is the host’s)', () => {
    const cluster = clusterOf(3);
    const leader = led(cluster);
    const [follower] = others(cluster, leader) as [Host];
    const before = cluster.observer.committed.length;
    cluster.propose(follower, 1, electionMax);
    const forward = cluster.flights.length - 1;
    expect(cluster.flights[forward]).toMatchObject({ from: cluster.hosts.indexOf(follower) });
    cluster.deliver(forward, true);
    expect(cluster.calm(electionMax, () => level(cluster) && follower.asked.size === 0)).toBe(true);
    const added = cluster.observer.committed.slice(before).map((entry) => entry.value);
    expect(added).toHaveLength(2);
    expect(added[0]).toBe(added[1]);
  });

  it('a retry that is still in the leader’s log is not appended again', () => {
    const cluster = clusterOf(3);
    const leader = led(cluster);
    const before = cluster.observer.committed.length;
    cluster.propose(leader, 1, electionMax);
    cluster.propose(leader, 1, electionMax, 0);
    expect(cluster.calm(electionMax, () => level(cluster) && leader.asked.size === 0)).toBe(true);
    expect(cluster.observer.committed.length).toBe(before + 1);
  });

  it('over its limit of uncommitted bytes a leader is busy, and then not any more', () => {
    const cluster = clusterOf(3);
    const leader = led(cluster);
    for (let turn = 0; turn < 40; turn++) cluster.propose(leader, 4, electionMax);
    expect(cluster.counters.busy).toBeGreaterThan(0);
    expect(cluster.calm(electionMax, () => leader.asked.size === 0)).toBe(true);
    commits(cluster, leader, 1);
  });

  it.each([
    ['stop', { kind: 'stop', now: 0 }, null],
    ['a storage that failed', { kind: 'storageFailed', now: 0, reason: 'EIO' }, 'EIO'],
  ] as const)('%s silences a replica; the others go on', (_name, message, fault) => {
    const cluster = clusterOf(3);
    const leader = led(cluster);
    cluster.propose(leader, 2, electionMax);
    cluster.read(leader, electionMax);
    cluster.step(leader, { ...message, now: cluster.now(leader) });
    expect(leader.asked.size).toBe(0);
    if (fault === null) expect(cluster.status(leader).fault).toBeNull();
    else expect(cluster.status(leader).fault).toContain(fault);
    const rest = others(cluster, leader);
    const replaced = (): boolean => rest.some((host) => cluster.status(host).role === 'leader');
    expect(cluster.calm(5 * electionMax, replaced)).toBe(true);
    commits(cluster, rest.find((host) => cluster.status(host).role === 'leader') as Host, 1);
  });

  it('cancelled requests end at once', () => {
    const cluster = clusterOf(3);
    const leader = led(cluster);
    const proposals = cluster.propose(leader, 3, Infinity);
    cluster.cancel(leader, [...proposals, cluster.read(leader, Infinity), 12_345]);
    expect(leader.asked.size).toBe(0);
  });

  it('a request with a deadline ends by then when nobody answers', () => {
    const cluster = clusterOf(3);
    const leader = led(cluster);
    for (const host of others(cluster, leader)) cluster.crash(host, 0);
    cluster.propose(leader, 1, 300);
    cluster.read(leader, 300);
    expect(cluster.calm(400, () => leader.asked.size === 0)).toBe(true);
  });

  it('what changes nothing gives the same state (law/values): repeated, stale or unknown input', () => {
    const cluster = clusterOf(3);
    commits(cluster, led(cluster), 3);
    led(cluster);
    for (const host of cluster.hosts) {
      const now = cluster.now(host) + 1;
      const stranger = { kind: 'receive', now, from: 'stranger', message: messageOf(cluster) } as const;
      const nothing = [
        { kind: 'tick', now },
        { kind: 'persisted', now, persistSeq: host.durable },
        { kind: 'persisted', now, persistSeq: 0 },
        { kind: 'applied', now, index: host.handed },
        { kind: 'applied', now, index: 1 },
        { kind: 'loaded', now, id: 77, entries: [] },
        { kind: 'cancel', now, requests: [4711] },
        { kind: 'propose', now, proposals: [], deadline: Infinity },
        { kind: 'unreachable', now, peer: 'stranger' },
        stranger,
      ] as const;
      for (const inbound of nothing) {
        const [state, outbound] = protocol.step(host.state, inbound);
        expect([inbound.kind, state === host.state, outbound]).toEqual([inbound.kind, true, []]);
      }
      expect(() => protocol.step(host.state, { kind: 'persisted', now, persistSeq: 1e9 })).toThrow(RangeError);
      expect(() => protocol.step(host.state, { kind: 'applied', now, index: 1e9 })).toThrow(RangeError);
    }
  });

  /** Some message of the leader's. */
  function messageOf(cluster: Cluster): unknown {
    while (cluster.flights.length === 0) cluster.nextTick();
    return decode(protocol, (cluster.flights[0] as Cluster['flights'][0]).bytes);
  }

  it('an idle cluster keeps its leader and its term', () => {
    const cluster = clusterOf(5);
    const leader = led(cluster);
    const { term } = cluster.status(leader);
    cluster.calm(20 * electionMax, () => false);
    expect(cluster.leader()).toBe(leader);
    expect(cluster.status(leader).term).toBe(term);
  });

  describe('law/time-is-data: a stall of 1.3 × the largest election timeout, twenty times, elects nobody', () => {
    const stall = 1.3 * electionMax;

    function stalls(which: (cluster: Cluster, leader: Host) => readonly Host[], tickFirst: boolean): void {
      const cluster = clusterOf(3, { seed: 99 });
      const leader = led(cluster);
      const { term } = cluster.status(leader);
      for (let turn = 0; turn < 20; turn++) {
        const stalled = which(cluster, leader);
        for (const host of stalled) host.paused = true;
        const end = cluster.time + stall;
        cluster.calm(stall, () => cluster.time >= end);
        cluster.time = Math.max(cluster.time, end);
        for (const host of stalled) {
          host.paused = false;
          if (tickFirst) cluster.tick(host);
        }
        cluster.calm(2 * electionMax, () => false);
        expect([turn, cluster.leader()?.id, cluster.status(leader).term]).toEqual([turn, leader.id, term]);
      }
      expect(cluster.counters.elections).toBe(1);
    }

    it('of a follower that lets queued input in first', () => {
      stalls((cluster, leader) => others(cluster, leader).slice(0, 1), false);
    });
    it('of a follower whose tick comes first', () => {
      stalls((cluster, leader) => others(cluster, leader).slice(0, 1), true);
    });
    it('of all at once, as when the machine slept', () => stalls((cluster) => cluster.hosts, true));
  });
});
