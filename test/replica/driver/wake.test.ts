/** What a machine sees of log time depends on the log alone, not on how its entries were delivered and reported. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../src/core/protocol.js';
import { MachineRunner } from '../../../src/replica/host/machine-runner.js';
import { jsonCodec, type ApplyContext } from '../../../src/replica/state-machine.js';
import { calledInOrder, gapsCountLittle, logOf, type Made } from './wake-cases.js';

const codec = jsonCodec();
const NO_DATA = new Uint8Array(0);

const made: fc.Arbitrary<Made> = fc.record({
  kind: fc.constantFrom('command' as const, 'command' as const, 'again' as const, 'noop' as const),
  time: fc.integer({ min: 0, max: 40 }),
  delay: fc.integer({ min: 0, max: 12 }),
});

describe('log time at a machine', () => {
  it('and its wakes are the same, however the log was delivered and reported', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(fc.array(made, { maxLength: 40 }), sizes, fc.integer({ min: 1, max: 5 }), (script, by, part) => {
        calledInOrder(logOf(script), by, part);
      }),
      { numRuns: 300 },
    );
  });

  it('counts at most one minute of a gap for what expires', gapsCountLittle);
});

describe('wakeAt', () => {
  const run = (apply: (context: ApplyContext) => void, wake?: (context: ApplyContext) => void): string => {
    const machine = { apply: (_: unknown, context: ApplyContext) => apply(context), snapshot: () => 0, restore() {} };
    const runner = new MachineRunner(wake === undefined ? machine : { ...machine, wake }, codec, codec, 'halt');
    const [first, second] = [1, 2].map((index): Entry => {
      return { index, term: 1, kind: 'command', time: 10 * index, id: null, data: NO_DATA };
    });
    const results = runner.run([first as Entry, second as Entry]);
    return 'code' in results ? `${results.code} ${results.reason}` : `${results.length} ${String(runner.wakeAt)}`;
  };

  it('is refused without a method wake, outside a call, and for no whole number', () => {
    expect(run(({ wakeAt }) => wakeAt(5))).toMatch(/^ERR_APPLY_FAILED .*the machine has no method wake/);
    for (const wrong of [-1, 0.5, NaN, Infinity, '5'] as number[])
      expect(
        run(
          ({ wakeAt }) => wakeAt(wrong),
          () => undefined,
        ),
      ).toMatch(/^ERR_APPLY_FAILED .*whole number/);
    let kept: ApplyContext['wakeAt'] = () => undefined;
    expect(
      run(
        ({ wakeAt }) => void (kept = wakeAt),
        () => undefined,
      ),
    ).toBe('2 Infinity');
    expect(() => kept(5)).toThrow('within apply or wake only');
  });

  it('halts the replica when wake throws, or gives a promise', () => {
    const wakes = ({ index, wakeAt }: ApplyContext): void => void (index === 1 && wakeAt(15));
    const boom = (): void => {
      throw new Error('boom');
    };
    expect(run(wakes, boom)).toMatch(/^ERR_APPLY_FAILED wake threw at index 2: .*boom/);
    expect(run(wakes, (() => Promise.reject(new Error('boom'))) as () => void)).toMatch(/^ERR_APPLY_ASYNC wake/);
  });
});
