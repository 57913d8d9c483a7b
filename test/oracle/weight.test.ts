/** The oracle's links carry what they can, control passes bulk, and its machines let input in between slices. */

import { describe, expect, it } from 'vitest';
import { OracleAgenda } from './agenda.js';
import { OracleLoop, SLICE } from './loop.js';
import { OracleWire } from './wire.js';

const KIB = 1024;
const RATE = 64; // bytes a millisecond: a full frame takes 1,024 ms

/** What left a wire, and when. */
function departures(
  ...puts: readonly (readonly [at: number, lane: 'control' | 'bulk', bytes: number])[]
): readonly string[] {
  const agenda = new OracleAgenda();
  const wire = new OracleWire(agenda);
  const left: string[] = [];
  puts.forEach(([at, lane, bytes], number) =>
    agenda.schedule(at, () => wire.put(lane, bytes, RATE, () => left.push(`${number} at ${agenda.now}`))),
  );
  agenda.runUntil(1e9, () => false);
  return left;
}

describe('a link', () => {
  it('carries one message after the other', () => {
    expect(departures([0, 'control', 640], [0, 'control', 64], [500, 'control', 128])).toEqual([
      '0 at 10',
      '1 at 11',
      '2 at 502',
    ]);
  });

  it('lets control wait for one frame of bulk at most', () => {
    const big = ['bulk', 256 * KIB] as const;
    expect(departures([0, ...big], [1, 'control', 64], [2, 'control', 64])).toEqual([
      '1 at 1025',
      '2 at 1026',
      '0 at 4098',
    ]);
  });

  it('drops what its lane has no room for, and takes one message of any size', () => {
    const full = ['control', 4096 * KIB] as const;
    expect(departures([0, ...full], [0, 'control', 1], [0, 'bulk', 64])).toEqual(['0 at 65536', '2 at 65537']);
  });

  it('keeps the order of a lane when it is told to', () => {
    const agenda = new OracleAgenda();
    const wire = new OracleWire(agenda);
    const arrived: number[] = [];
    for (const [number, delay] of [50, 10].entries()) wire.travel('control', delay, true, () => arrived.push(number));
    for (const [number, delay] of [50, 10].entries()) wire.travel('bulk', delay, false, () => arrived.push(2 + number));
    agenda.runUntil(100, () => false);
    expect(arrived).toEqual([3, 0, 1, 2]);
  });

  it('loses with its sender what no socket holds', () => {
    const agenda = new OracleAgenda();
    const wire = new OracleWire(agenda);
    const left: number[] = [];
    for (let number = 0; number < 5; number++) wire.put('bulk', 60 * KIB, RATE, () => left.push(number));
    wire.crash();
    agenda.runUntil(1e9, () => false);
    expect(left).toEqual([0, 1]);
  });
});

describe('a loop', () => {
  it('lets input in at the end of each slice of its machine, in order', () => {
    const agenda = new OracleAgenda();
    const loop = new OracleLoop(agenda);
    const handled: string[] = [];
    const come = (at: number, name: string): void =>
      agenda.schedule(at, () => loop.enter(() => handled.push(`${name} at ${agenda.now}`)));
    come(0, 'a');
    agenda.schedule(0, () => expect(loop.work(2 * SLICE + 5)).toBe(2 * SLICE + 5));
    come(1, 'b');
    come(2, 'c');
    come(SLICE + 1, 'd');
    come(2 * SLICE + 1, 'e');
    come(100, 'f');
    agenda.runUntil(1000, () => false);
    expect(handled).toEqual(['a at 0', 'b at 15', 'c at 15', 'd at 30', 'e at 35', 'f at 100']);
  });
});
