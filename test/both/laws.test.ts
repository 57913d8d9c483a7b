/**
 * The laws of the contract, held at every step of random runs of both protocols, on the bare core and under the driver;
 * and the rig's checks on trial: protocols with one thing wrong that can be made from outside are caught within a few
 * schedules. (What is wrong inside is the mutation gate's, test/mutants.)
 */

import { describe, expect, it } from 'vitest';
import type { AnyModel } from '../../src/core/model.js';
import type { Entry, Inbound, Outbound, Step } from '../../src/core/protocol.js';
import { multipaxosModel } from '../../src/multipaxos/index.js';
import { raftModel } from '../../src/raft/index.js';
import { simulate, SimulationFailure, type SimulateOptions } from '../../src/testing/index.js';
import { amount } from '../amount.js';
import { lawful } from './lawful.js';

type AnyProtocol = AnyModel['protocol'];

const MODELS = [raftModel, multipaxosModel] as unknown as readonly AnyModel[];
const programs = ['core', 'driver'] as const;

/** The protocol with a part replaced. What single states and steps show is not looked at: others have to see it. */
function broken(model: AnyModel, edit: (sound: AnyProtocol) => Partial<AnyProtocol>): AnyModel {
  return { ...model, protocol: { ...model.protocol, checkState() {}, checkStep() {}, ...edit(model.protocol) } };
}

type Change = (
  outbound: readonly Outbound<unknown>[],
  inbound: Inbound<unknown>,
  state: unknown,
) => readonly Outbound<unknown>[];

/** The protocol with what its steps want done changed. */
function changed(model: AnyModel, change: Change): AnyModel {
  return broken(model, ({ step }) => ({
    step(state, inbound): Step<unknown, unknown> {
      const [next, outbound] = step(state, inbound);
      return [next, change(outbound, inbound, next)];
    },
  }));
}

/** The rule that one of the first schedules breaks. */
function caught(model: AnyModel, options: Partial<SimulateOptions> = {}): string {
  try {
    simulate({ model, schedules: 80, shrinkBudget: 0, ...options });
    return 'survived';
  } catch (error) {
    if (error instanceof SimulationFailure) return error.rule;
    throw error;
  }
}

describe.each(MODELS)('$protocol.name', { timeout: 120_000 }, (model) => {
  it.each(programs)('keeps every law at every step, as a %s', (program) => {
    expect(caught(lawful(model), { program, schedules: amount(8, 25) })).toBe('survived');
  });

  it('a host that says durable before it is', () => {
    const liar = broken(model, ({ step }) => ({
      step(state, inbound) {
        let [next, outbound] = step(state, inbound);
        for (const each of outbound) {
          if (each.kind !== 'persist') continue;
          const [after, more] = step(next, { kind: 'persisted', now: inbound.now, persistSeq: each.persistSeq });
          [next, outbound] = [after, [...outbound, ...more]];
        }
        return [next, outbound];
      },
    }));
    expect(caught(liar)).toMatch(/^(raft|paxos|log|durability|history|reads|liveness)\//);
  });

  it('messages that do not wait for what they rest on', () => {
    const hasty = changed(model, (outbound) =>
      outbound.map((each) => (each.kind === 'send' ? { ...each, after: 0 } : each)),
    );
    expect(caught(hasty)).toMatch(/^durability\/send-after-sync: /);
  });

  it('a restart that forgets the vote, or the promise', () => {
    const forgetful = broken(model, ({ init }) => ({
      init(options, recovered) {
        const last = recovered.runs[recovered.runs.length - 1]?.term ?? 0;
        const hard = recovered.hard && { ...recovered.hard, vote: null };
        const forgotten = hard && model === MODELS[1] ? { ...hard, term: Math.min(hard.term, last) } : hard;
        return init(options, { ...recovered, hard: forgotten });
      },
    }));
    expect(caught(forgetful)).toMatch(/^(raft|paxos)\//);
  });

  it('an entry that is handed over before it is committed', () => {
    const hasty = changed(model, (outbound, _inbound, state) => {
      const { delivered } = model.protocol.status(state);
      for (const each of outbound) {
        if (each.kind === 'commit') return outbound;
        if (each.kind !== 'persist') continue;
        for (const op of each.ops) {
          // Only commands: the host tells the core at once that the others are applied, and the core knows better.
          const isNext = ({ index, kind }: Entry): boolean => index === delivered + 1 && kind === 'command';
          const entries = op.kind === 'put' ? op.entries.filter(isNext) : [];
          if (entries.length > 0) return [...outbound, { kind: 'commit', entries }];
        }
      }
      return outbound;
    });
    // What is delivered too early may also be applied before the core knows of it: another law is the first to break then.
    const rules = [1, 2, 3, 4, 5, 6].map((seed) => caught(hasty, { seed }));
    expect(rules).not.toContain('survived');
    expect(rules.filter((rule) => rule.startsWith('log/committed-on-majority: '))).not.toEqual([]);
  });

  it('reads that ask nobody', () => {
    const stale = broken(model, ({ step, status }) => ({
      step(state, inbound) {
        if (inbound.kind !== 'read') return step(state, inbound);
        const { commit, fault, leader } = status(state);
        if (fault !== null || leader === null) return step(state, inbound);
        return [state, [{ kind: 'readReady', request: inbound.request, index: commit }]];
      },
    }));
    expect(caught(stale)).toMatch(/^(reads\/no-stale-read|history\/real-time-order): /);
  });

  it('an answer given twice, and one never given', () => {
    const twice = changed(model, (outbound) => [...outbound, ...outbound.filter((each) => each.kind === 'resolve')]);
    expect(caught(lawful(twice))).toMatch(/^law\/one-end-per-request: a request ends exactly once/);
    const never = changed(model, (outbound) => outbound.filter((each) => each.kind !== 'resolve'));
    expect(caught(lawful(never))).toMatch(/^law\/one-end-per-request: /);
    expect(caught(never)).toMatch(/^liveness\//);
  });

  it('an `unknown` that is called `none`', () => {
    const bold = changed(model, (outbound) => {
      return outbound.map((each) => {
        if (each.kind !== 'resolve' || each.outcome.kind !== 'unknown') return each;
        return { ...each, outcome: { ...each.outcome, kind: 'none' } };
      });
    });
    expect(caught(bold, { program: 'core' })).toMatch(/^requests\/none-is-kept: /);
  });

  it('a step with a memory of its own', () => {
    let steps = 0;
    const impure = changed(model, (outbound) => (++steps % 50 === 0 ? outbound.slice(1) : outbound));
    expect(caught(lawful(impure))).toMatch(/^law\/pure: /);
  });

  it('commits skipped or repeated', () => {
    const repeated = changed(model, (outbound) => {
      return outbound.map((each) => {
        return each.kind === 'commit' ? { ...each, entries: [...each.entries, ...each.entries.slice(-1)] } : each;
      });
    });
    expect(caught(repeated)).toMatch(/^log\/delivered-in-order: entries are delivered in order/);
  });
});
