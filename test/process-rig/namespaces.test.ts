/**
 * Silent outages between processes, over the system's own TCP where the machine can make networks, and otherwise over
 * proxies that swallow, under clients that ask all the time.
 */

import { expect, it } from 'vitest';
import { amount } from '../amount.js';
import { allSilent, BOUNDS, oneSilent, type Hearing, type Silenceable } from '../outage.js';
import { builtPrograms } from './built.js';
import { Load } from './clients.js';
import { Cluster } from './cluster.js';
import { until } from './conditions.js';
import { problemsOf } from './history.js';
import type { ProtocolName } from './messages.js';
import { Random } from './random.js';

const PATIENCE = 60_000;

class Silenced implements Silenceable {
  private readonly cluster: Cluster;
  private readonly load: Load;

  constructor(cluster: Cluster, load: Load) {
    this.cluster = cluster;
    this.load = load;
  }

  get ids(): string[] {
    return this.cluster.members.map(({ id }) => id);
  }

  async hearings(): Promise<Map<string, Hearing>> {
    const hearings = new Map<string, Hearing>();
    for (const member of this.cluster.members) {
      const status = await this.cluster.status(member);
      if (status !== null) hearings.set(member.id, status);
    }
    return hearings;
  }

  silence(ids: readonly string[]): Promise<void> {
    return this.cluster.silence(ids);
  }

  heal(): Promise<void> {
    return this.cluster.healPaths();
  }

  commits(at: string | null): Promise<unknown> {
    const { operations } = this.load;
    const before = operations.length;
    return until(PATIENCE, 'a write that is proposed from now on', () =>
      operations
        .slice(before)
        .find(({ input, outcome, member }) => 'op' in input && outcome === 'ok' && (at === null || member === at)),
    );
  }
}

function open(protocol: ProtocolName): Promise<Cluster> {
  return Cluster.open(
    {
      programs: builtPrograms(),
      protocol,
      size: 3,
      disk: 'real',
      smallDisks: false,
      namespaces: true,
      readsLie: false,
      isSlow: true,
      segmentBytes: 64 * 1024,
      snapshotEvery: 500,
    },
    new Random(1),
  );
}

// Keys enough for what is under way in an outage: a client that gives up waiting goes on.
const LOAD = { clients: 3, keys: 60, pause: 20, patience: 300, reads: 30 };

it.concurrent.each(['raft', 'multipaxos'] as const)(
  '%s: commits again after a silent outage of all, and hears one that was silent again (transport/dead-path)',
  async (protocol) => {
    const cluster = await open(protocol);
    const load = new Load(cluster, LOAD, new Random(2));
    const silenced = new Silenced(cluster, load);
    try {
      await cluster.startAll();
      load.start();
      await silenced.commits(null);
      expect(await allSilent(silenced, amount(3, 20))).toBeLessThanOrEqual(BOUNDS.all);
      await silenced.commits(null);
      expect(await oneSilent(silenced, amount(4, 30))).toBeLessThanOrEqual(BOUNDS.one);
      await load.stop();
      await load.settled(PATIENCE);
      expect(problemsOf(load.operations, await cluster.finals())).toEqual([]);
      await cluster.closeAll();
      expect([...load.problems, ...cluster.problems]).toEqual([]);
    } finally {
      await load.stop().finally(() => cluster.cleanUp());
    }
  },
);
