/**
 * The checks can fail: protocols and hosts with one thing wrong are caught within a few seeds. (The mutants of
 * the protocols' own rules come with the mutation gate; these are the ones that can be made from outside.)
 */

import { describe, expect, it } from 'vitest';
import type { Inbound, Outbound, Step } from '../../src/core/protocol.js';
import { Cluster, type ClusterOptions } from '../support/cluster.js';
import type { AnyProtocol, Host } from '../support/host.js';
import { protocols } from '../support/protocols.js';
import { decisionsOf, trial } from '../support/schedule.js';
import { timing } from '../support/values.js';

/** The rule that a schedule of one of the first seeds breaks. */
function caught(protocol: AnyProtocol, unsafe: Partial<ClusterOptions> = {}, seeds = 80, size = 3): string {
  for (let seed = 1; seed <= seeds; seed++) {
    const error = trial({ protocol, size, seed, length: 400, unsafe }, decisionsOf(seed, 400));
    if (error !== null) return error.message;
  }
  return 'survived';
}

/** A cluster of three of which only two hear each other. */
function pairOf(cluster: Cluster, a: number, b: number): void {
  for (let from = 0; from < 3; from++) {
    for (let to = 0; to < 3; to++) {
      if ((from === a && to === b) || (from === b && to === a)) cluster.cut.delete(from * 8 + to);
      else cluster.cut.add(from * 8 + to);
    }
  }
}

/** Campaigns until it leads, with the votes or promises of whom it reaches, and no message left under way. */
function lead(cluster: Cluster, at: number): void {
  const host = cluster.hosts[at] as Host;
  cluster.step(host, { kind: 'campaign', now: cluster.now(host) });
  for (let turn = 0; turn < 8 && host.role !== 'leader'; turn++) cluster.pump();
  cluster.flights = [];
}

function reboot(cluster: Cluster, at: number): void {
  const host = cluster.hosts[at] as Host;
  cluster.crash(host, host.unsynced.length);
  cluster.restart(host);
}

function outcomeOf(script: () => void): string {
  try {
    script();
    return 'survived';
  } catch (error) {
    return (error as Error).message;
  }
}

/** Raft's trouble: the second votes for the first, restarts, and votes for the third in the same term. */
function twoVotes(protocol: AnyProtocol): string {
  return outcomeOf(() => {
    const cluster = new Cluster({ protocol, size: 3 });
    pairOf(cluster, 0, 1);
    lead(cluster, 0);
    reboot(cluster, 1);
    pairOf(cluster, 1, 2);
    lead(cluster, 2);
  });
}

/** Paxos' trouble: the second promises the third, restarts, and accepts from the first, and then from the third. */
function brokenPromise(protocol: AnyProtocol): string {
  return outcomeOf(() => {
    const cluster = new Cluster({ protocol, size: 3 });
    pairOf(cluster, 0, 1);
    lead(cluster, 0);
    pairOf(cluster, 1, 2);
    lead(cluster, 2);
    reboot(cluster, 1);
    for (const [at, pair] of [[0, [0, 1]], [2, [1, 2]]] as const) {
      pairOf(cluster, pair[0], pair[1]);
      cluster.propose(cluster.hosts[at] as Host, 1, 500);
      cluster.calm(2 * timing.heartbeat, () => false);
    }
  });
}

type Change = (
  outbound: readonly Outbound<unknown>[],
  inbound: Inbound<unknown>,
  state: unknown,
) => readonly Outbound<unknown>[];

/** The protocol with what its steps want done changed. */
function changed(protocol: AnyProtocol, change: Change): AnyProtocol {
  const step = (state: unknown, inbound: Inbound<unknown>): Step<unknown, unknown> => {
    const [next, outbound] = protocol.step(state, inbound);
    return [next, change(outbound, inbound, next)];
  };
  return { ...protocol, init: protocol.init.bind(protocol), step };
}

describe.each(protocols)('%s', (_, protocol) => {
  it('a host that says durable before it is', () => {
    expect(caught(protocol, { unsafeDurability: true, naive: false })).toMatch(/^(R\d|H5)/);
  });

  it('messages that do not wait for what they rest on (R15, R17)', () => {
    expect(caught(protocol, { ignoreAfter: true, naive: false })).toMatch(/^(R\d|H5)/);
  });

  it('a restart that forgets the vote, or the promise', () => {
    const forgetful: AnyProtocol = {
      ...protocol,
      init: (options, recovered) => {
        const last = recovered.runs[recovered.runs.length - 1]?.term ?? 0;
        const hard = recovered.hard && { ...recovered.hard, vote: null };
        const forgotten = hard && protocol.name.includes('paxos') ? { ...hard, term: Math.min(hard.term, last) } : hard;
        return protocol.init(options, { ...recovered, hard: forgotten });
      },
    };
    expect([twoVotes(protocol), brokenPromise(protocol)]).toEqual(['survived', 'survived']);
    expect([twoVotes(forgetful), brokenPromise(forgetful)].join()).toMatch(/R\d/);
  });

  it('an entry that is handed over before it is committed', () => {
    const hasty = changed(protocol, (outbound, _inbound, state) => {
      const { handed } = protocol.status(state);
      for (const each of outbound) {
        if (each.kind === 'commit') return outbound;
        if (each.kind !== 'persist') continue;
        for (const op of each.ops) {
          const entries = op.kind === 'put' ? op.entries.filter((entry) => entry.index === handed + 1) : [];
          if (entries.length > 0) return [...outbound, { kind: 'commit', entries }];
        }
      }
      return outbound;
    });
    expect(caught(hasty)).toMatch(/^R6/);
  });

  it('reads that ask nobody', () => {
    const stale: AnyProtocol = {
      ...protocol,
      init: protocol.init.bind(protocol),
      step: (state, inbound) => {
        if (inbound.kind !== 'read') return protocol.step(state, inbound);
        const { commit, fault, leader } = protocol.status(state);
        if (fault !== null || leader === null) return protocol.step(state, inbound);
        return [state, [{ kind: 'readReady', request: inbound.request, index: commit }]];
      },
    };
    expect(caught(stale)).toMatch(/^H1/);
  });

  it('an answer given twice, and one never given', () => {
    const twice = changed(protocol, (outbound) => [...outbound, ...outbound.filter((each) => each.kind === 'resolve')]);
    expect(caught(twice)).toMatch(/^law 5: a request ends exactly once/);
    const never = changed(protocol, (outbound) => outbound.filter((each) => each.kind !== 'resolve'));
    expect(caught(never)).toMatch(/^law 5|^L5/);
  });

  it('an `unknown` that is called `none`', () => {
    const bold = changed(protocol, (outbound) => {
      return outbound.map((each) => {
        if (each.kind !== 'resolve' || each.outcome.kind !== 'unknown') return each;
        return { ...each, outcome: { ...each.outcome, kind: 'none' } };
      });
    });
    expect(caught(bold)).toMatch(/^law 5: none means/);
  });

  it('a step with a memory of its own (law 1)', () => {
    let steps = 0;
    const impure = changed(protocol, (outbound) => (++steps % 50 === 0 ? outbound.slice(1) : outbound));
    expect(caught(impure)).toMatch(/^law 1/);
  });

  it('commits skipped or repeated', () => {
    const repeated = changed(protocol, (outbound) => {
      return outbound.map((each) => {
        if (each.kind !== 'commit') return each;
        return { ...each, entries: [...each.entries, each.entries[each.entries.length - 1] as (typeof each.entries)[0]] };
      });
    });
    expect(caught(repeated)).toMatch(/^handed over in order/);
  });

  it('while the protocol as it is survives the same seeds', () => {
    expect(caught(protocol, {}, 10)).toBe('survived');
  });
});
