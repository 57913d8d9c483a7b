/** The host simulation: many seeds pass, and every check fails on a broken host. */

import { afterAll, describe, expect, it, vi } from 'vitest';
import { multipaxos, raft, type ProtocolChoice, type Tuning } from 'quorate';
import type { Outbound } from '../../../src/core/protocol.js';
import { amount } from '../../amount.js';
import { StreamingHostMachine } from '../../../src/testing/host-simulation/machine.js';
import { HostSimulationFailure } from '../../../src/testing/host-simulation/trace.js';
import { simulateHost, type HostSimulationOptions } from '../../../src/testing/host-simulation/host-simulation.js';

const PROTOCOLS = [['raft', raft] as const, ['multipaxos', multipaxos] as const];
const SEEDS = amount(26, 78);
/** Seeds of one test, so that the test runner gets a turn now and then. */
const BATCH = 26;

/** What must have happened somewhere, or the seeds prove nothing. */
const PROBES = [
  'write',
  'linearizable read',
  'lease read',
  'stale read',
  'stale read with an index',
  'read from disk',
  'snapshot written',
  'snapshot restored',
  'snapshot fails',
  'snapshot streamed',
  'restored from a stream',
  'stream fails',
  'compacted',
  'compact: ERR_INVALID_ARGUMENT',
  'compact: ERR_SNAPSHOT_FAILED',
  'read fails',
  'open fails',
  'EIO',
  'ENOSPC',
  'write waits for space',
  'crash keeps an unsynced write',
  'crash loses an unsynced write',
  'crash with requests waiting',
  'close with requests waiting',
  'second open',
  'transport cannot start',
  'message lost',
  'message held back',
  'backpressure',
  'disconnected',
  'unreachable',
  'message lost with its connection',
  'refused, nobody is there',
  'lost identity',
  'leadership ends',
  'changes trimmed',
  'changes to the end',
  'stalled leader',
  'isolated leader',
  'what trims passes a write that waits',
  'long pause of a leader',
  'too large',
  'session attached',
  'session answers a retry',
  'session fenced',
  'machine woken',
  'general checker',
  'fault: cuts',
  'fault: power loss',
  'fault: stall',
  'fault: suspend',
  'fault: clock rates',
  'fault: slow disk',
  'fault: campaign',
  'ERR_BUSY',
  'ERR_CLOSED',
  'ERR_NO_LEADER',
  'ERR_TIMEOUT',
  'ERR_OUTCOME_UNKNOWN',
  'ERR_STORAGE_FAILED',
  'ERR_STORAGE_FULL',
  'ERR_LOST_IDENTITY',
];

/** What must have happened with time and weight. */
const WEIGHT = ['message waits for the link', 'control before bulk', 'large command', 'slice of applying'];

describe.each(PROTOCOLS)('seeds of %s', (_, protocol) => {
  const met = new Map<string, number>();

  it.each(Array.from({ length: SEEDS / BATCH }, (_, at) => at * BATCH))('from %i on hold every rule', async (from) => {
    for (let seed = from; seed < from + BATCH; seed++) {
      const report = await simulateHost({ seed, protocol });
      expect(report.commands).toBeGreaterThan(0);
      for (const [point, times] of report.coverage) met.set(point, (met.get(point) ?? 0) + times);
    }
  });

  it.each([
    ['stall', 'long pause of a leader'],
    ['cuts', 'isolated leader'],
    ['shortage', 'what trims passes a write that waits'],
  ] as const)('and those with the fault %s alone, until they meet a %s, hold every rule', async (fault, point) => {
    for (let seed = 0; !met.has(point) && seed < 150; seed++) {
      const { coverage } = await simulateHost({ seed, protocol, faults: [fault], size: 3 });
      for (const [point, times] of coverage) met.set(point, (met.get(point) ?? 0) + times);
    }
  });

  afterAll(() => {
    const probes = protocol === multipaxos ? [...PROBES, 'quorum read'] : PROBES;
    expect(probes.filter((point) => !met.has(point))).toEqual([]);
  });

  it('are the same run each time', async () => {
    const digests = new Set<string>();
    for (let seed = 1000; seed < 1004; seed++) {
      const { digest, events } = await simulateHost({ seed, protocol });
      expect(await simulateHost({ seed, protocol })).toMatchObject({ digest, events });
      digests.add(digest);
    }
    expect(digests.size).toBe(4);
  });
});

describe('seeds with time and weight', () => {
  it.each(PROTOCOLS)(
    'of %s hold every rule',
    async (_, protocol) => {
      const met = new Set<string>();
      for (let seed = 0; seed < 8; seed++) {
        const { coverage, commands } = await simulateHost({ seed, protocol, pace: true });
        for (const point of coverage.keys()) met.add(point);
        expect(commands).toBeGreaterThan(0);
      }
      expect(WEIGHT.filter((point) => !met.has(point))).toEqual([]);
    },
    120_000,
  );

  it('are the same run each time, and another one than without', async () => {
    const { digest } = await simulateHost({ seed: 2, protocol: raft, pace: true });
    expect((await simulateHost({ seed: 2, protocol: raft, pace: true })).digest).toBe(digest);
    expect((await simulateHost({ seed: 2, protocol: raft })).digest).not.toBe(digest);
  });
});

/** The first seed that fails, which one of the first hundred must. */
async function firstFailure(options: Omit<HostSimulationOptions, 'seed'>): Promise<HostSimulationFailure> {
  for (let seed = 0; seed < 100; seed++) {
    try {
      await simulateHost({ ...options, seed });
    } catch (error) {
      if (error instanceof HostSimulationFailure) return error;
      throw error;
    }
  }
  throw new Error('no seed failed');
}

type Rewrite = (message: Outbound<unknown>) => Outbound<unknown>;

/** A protocol whose words are changed on their way to the host. */
function rewritten(protocol: (tuning: Tuning) => ProtocolChoice, rewrite: Rewrite): (tuning: Tuning) => ProtocolChoice {
  return (tuning) => {
    const choice = protocol(tuning);
    const { init, step } = choice.protocol;
    return {
      ...choice,
      protocol: {
        ...choice.protocol,
        init: (options, recovered) => {
          const [state, outbound] = init(options, recovered);
          return [state, outbound.map(rewrite)];
        },
        step: (before, message) => {
          const [state, outbound] = step(before, message);
          return [state, outbound.map(rewrite)];
        },
      },
    };
  };
}

describe.each(PROTOCOLS)('what is broken over %s is found', (_, protocol) => {
  it('disks that say "durable" too early lose acknowledged writes', async () => {
    const { rule } = await firstFailure({ protocol, faults: ['power loss', 'crash'], lyingDisks: true });
    expect(rule).toMatch(/^(log|requests|history|reads|liveness|identity|leadership)\/|^host\/expected-events$/);
  });

  it('reads that are served without asking are stale', async () => {
    const early = rewritten(protocol, (message) => (message.kind === 'readReady' ? { ...message, index: 0 } : message));
    const failure = await firstFailure({ protocol: early, faults: ['delay', 'cuts'], size: 3 });
    expect(failure.rule).toBe('reads/no-stale-read');
  });

  it('requests that are said to have had no effect, and had one', async () => {
    const lying = rewritten(protocol, (message) => {
      if (message.kind !== 'resolve' || message.outcome.kind !== 'unknown') return message;
      return { ...message, outcome: { ...message.outcome, kind: 'none' } };
    });
    const failure = await firstFailure({ protocol: lying, faults: ['cuts', 'delay', 'abort'], size: 3 });
    expect(failure.rule).toMatch(/^requests\/(none-is-kept|at-most-once)$/);
  });

  it('entries that are delivered in another order', async () => {
    let times = 0;
    const swapped = rewritten(protocol, (message) => {
      if (message.kind !== 'commit' || message.entries.length < 2 || ++times % 3 !== 0) return message;
      const [first, second, ...rest] = message.entries;
      if (first?.kind !== 'command' || second?.kind !== 'command') return message;
      return { ...message, entries: [{ ...second, index: first.index }, { ...first, index: second.index }, ...rest] };
    });
    const failure = await firstFailure({ protocol: swapped, faults: ['burst'], size: 3 });
    expect(failure.rule).toMatch(/^(log\/one-value-per-index|requests\/at-most-once|history\/|reads\/no-stale-read)/);
  });

  it('a stream of what commands have changed meanwhile', async () => {
    const { snapshot } = StreamingHostMachine.prototype;
    const late = vi.spyOn(StreamingHostMachine.prototype, 'snapshot').mockImplementation(async function* (
      this: StreamingHostMachine,
    ) {
      yield new Uint8Array(0);
      for (let turn = 0; turn < 5; turn++) await this.habits.pause(10);
      yield* snapshot.call(this);
    });
    try {
      const failure = await firstFailure({ protocol, faults: ['crash', 'burst'], size: 3 });
      expect(failure.rule).toMatch(
        /^(machine\/snapshot-is-the-state|requests\/at-most-once|log\/one-value-per-index|time\/woken-at-first-entry)$/,
      );
    } finally {
      late.mockRestore();
    }
  });

  it('a failure names rule, seed and step, and shows what came before', async () => {
    const early = rewritten(protocol, (message) => (message.kind === 'readReady' ? { ...message, index: 0 } : message));
    const failure = await firstFailure({ protocol: early, faults: ['delay', 'cuts'], size: 3 });
    expect(failure.message).toContain(`(seed ${failure.seed}, step ${failure.step})`);
    expect(failure.message.startsWith(`${failure.rule}: `)).toBe(true);
    expect(failure.trace.length).toBeGreaterThan(10);
    await expect(
      simulateHost({ seed: failure.seed, protocol: early, faults: ['delay', 'cuts'], size: 3 }),
    ).rejects.toMatchObject({ message: failure.message });
  });
});

describe('what is no fault', () => {
  it.each(PROTOCOLS)('is reordering, repeating and losing, over %s', async (_, protocol) => {
    const faults = ['delay', 'held messages', 'duplication', 'loss', 'scribbling transport'] as const;
    for (let seed = 0; seed < 4; seed++) {
      const { faults: had } = await simulateHost({ seed, protocol, faults, size: 3 });
      expect(had).toEqual(faults);
    }
  });
});

describe('options', () => {
  it.each([
    [{ seed: 0.5 }, 'seed: expected a whole number from -4503599627370496 to 4503599627370496, got 0.5'],
    [{ seed: 2 ** 53 }, 'seed: expected a whole number'],
    [{ seed: 1, size: 8 }, 'size: expected a whole number from 1 to 7, got 8'],
    [{ seed: 1, pace: 'slow' as never }, 'pace: expected true or false, got "slow"'],
    [{ seed: 1, steps: -1 }, 'steps: expected a whole number from 0 to 100000, got -1'],
    [{ seed: 1, faults: ['gremlins'] as never }, 'faults: no such class of faults: "gremlins"'],
  ])('%o is refused', async (options, message) => {
    const refusal = simulateHost({ ...options, protocol: raft });
    await expect(refusal).rejects.toThrow(RangeError);
    await expect(refusal).rejects.toThrow(message);
  });
});
