/** `checkSnapshots` finds nothing in machines that keep their duties, and each duty that is broken. */

import { describe, expect, it } from 'vitest';
import { CommandRejected, ConsensusError } from 'quorate';
import { checkSnapshots, type SnapshotCheckOptions } from 'quorate/testing';
import { KeyValue, type Put } from '../../../examples/streaming/key-value.js';
import { keyValue, keyValueCommands } from '../history/key-value.js';

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

const puts: SnapshotCheckOptions<Put>['commands'] = (random, number) => ({
  key: random.pick(KEYS),
  value: random.chance(0.2) ? null : String(number),
});

function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}

async function linesOf(chunks: AsyncIterable<Uint8Array>): Promise<unknown[]> {
  let text = '';
  for await (const chunk of chunks) text += new TextDecoder().decode(chunk);
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);
}

/** Streams its map as it is when each chunk is asked for. */
class Live {
  map = new Map<string, string>();
  applied = 0;
  apply({ key, value }: Put): number {
    if (key === 'h') throw new CommandRejected('h stays as it is');
    if (value === null) this.map.delete(key);
    else this.map.set(key, value);
    return ++this.applied;
  }
  *snapshot(): Generator<Uint8Array> {
    yield bytesOf(this.applied);
    for (const entry of this.map) yield bytesOf(entry);
  }
  async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const [applied, ...entries] = await linesOf(chunks);
    this.applied = applied as number;
    this.map = new Map(entries as [string, string][]);
  }
}

/** Streams its list as it is, which grows as fast as it is read. */
class Endless {
  words: string[] = [];
  apply({ key }: Put): number {
    return this.words.push(key);
  }
  *snapshot(): Generator<Uint8Array> {
    for (const word of this.words) yield bytesOf(word);
  }
  async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.words = (await linesOf(chunks)) as string[];
  }
}

/** Takes what it streams in the turn of the call. */
class Copied extends Live {
  override *snapshot(): Generator<Uint8Array> {
    const entries = [...this.map];
    yield bytesOf(this.applied);
    for (const entry of entries) yield bytesOf(entry);
  }
}

/** Keeps with each value at which index it was put. */
class Dated extends Copied {
  override apply(put: Put, context?: { readonly index: number }): number {
    const { key, value } = put;
    return super.apply({ key, value: value === null ? null : `${value} at ${context?.index}` });
  }
}

class Forgetful extends Copied {
  override async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    await super.restoreFrom(chunks);
    this.applied = 0;
  }
}

class Additive extends Copied {
  override async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const before = this.map;
    await super.restoreFrom(chunks);
    this.map = new Map([...before, ...this.map]);
  }
}

class Hasty extends Copied {
  override async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const _ of chunks) return;
  }
}

/** A stream of the same for ever, whose `return` throws. */
function unleavable(value: unknown): Iterable<unknown> {
  const leave = (): never => {
    throw new Error('return threw');
  };
  return { [Symbol.iterator]: () => ({ next: () => ({ value }), return: leave }) };
}

describe('machines that keep their duties', () => {
  it('stream, or give one value', async () => {
    const streaming = await checkSnapshots({ create: () => new KeyValue(), commands: puts });
    expect(streaming).toMatchObject({ runs: 100 });
    expect(streaming.meanwhile).toBeGreaterThan(100);
    const copied = await checkSnapshots({ create: () => new Copied(), commands: puts, seed: 7, runs: 50 });
    expect(copied.chunks).toBeGreaterThan(200);
    expect(await checkSnapshots({ create: () => new Dated(), commands: puts })).toMatchObject({ runs: 100 });
    const report = await checkSnapshots({ create: () => keyValue().create(), commands: keyValueCommands as never });
    expect(report.chunks).toBe(0);
  });
});

describe('what is wrong is found, and told with its seed', () => {
  const STATE = /^machine\/snapshot-is-the-state: .*\(seed \d+\)$/;
  it.each([
    ['a stream of what commands change', () => new Live(), STATE],
    ['a stream that grows as fast as it is read', () => new Endless(), STATE],
    ['a restore that forgets', () => new Forgetful(), STATE],
    ['a restore that keeps what was there', () => new Additive(), STATE],
    ['a restore that does not read all', () => new Hasty(), /restoreFrom reads all chunks \(seed 1\)$/],
    [
      'chunks that are no bytes',
      () => Object.assign(new Copied(), { snapshot: () => ['text'] as never }),
      /a chunk of a snapshot is a Uint8Array \(seed 1\)$/,
    ],
    [
      'chunks that are no bytes, of a stream that cannot be left',
      () => Object.assign(new Copied(), { snapshot: () => unleavable('text') as never }),
      /^machine\/snapshot-is-the-state: a chunk of a snapshot is a Uint8Array \(seed 1\)$/,
    ],
    [
      'a value in place of a stream',
      () => Object.assign(new Copied(), { snapshot: () => 7 as never }),
      /an iterable of chunks/,
    ],
    [
      'a machine that throws',
      () => Object.assign(new Copied(), { restoreFrom: () => Promise.reject(new Error('broken')) }),
      /^machine\/never-fails: broken \(seed 1\)$/,
    ],
  ])('%s', async (_, create, message) => {
    await expect(checkSnapshots({ create, commands: puts })).rejects.toThrow(message);
  });

  it('a machine that throws an error of this library is its own failure', async () => {
    const refusal = new ConsensusError('no', { code: 'ERR_INVALID_ARGUMENT' });
    const create = (): Copied => Object.assign(new Copied(), { restoreFrom: () => Promise.reject(refusal) });
    await expect(checkSnapshots({ create, commands: puts })).rejects.toThrow(/^machine\/never-fails: no \(seed 1\)$/);
  });

  it('what the commands throw passes through, and the snapshot that is read is given back', async () => {
    const broken = new RangeError('no more commands');
    let [open, brokenWhileOpen] = [0, 0];
    class Counted extends Copied {
      override *snapshot(): Generator<Uint8Array> {
        open += 1;
        try {
          yield* super.snapshot();
        } finally {
          open -= 1;
        }
      }
    }
    for (let most = 0, isOver = false; !isOver; most++) {
      let made = 0;
      const commands = (): Put => {
        if (made++ < most) return { key: KEYS[made % KEYS.length] as string, value: 'b' };
        brokenWhileOpen += open;
        throw broken;
      };
      const checked = checkSnapshots({ create: () => new Counted(), commands, runs: 1 });
      isOver = await checked.then(
        () => true,
        (error: unknown) => error !== broken,
      );
      expect(open).toBe(0);
    }
    expect(brokenWhileOpen).toBeGreaterThan(3);
  });

  it('what the commands throw passes through a stream that cannot be left', async () => {
    const broken = new RangeError('no more commands');
    let isAsked = false;
    const snapshot = (): never => {
      isAsked = true;
      return unleavable(bytesOf(1)) as never;
    };
    const commands = (): Put => {
      if (isAsked) throw broken;
      return { key: 'a', value: 'b' };
    };
    const checked = checkSnapshots({ create: () => Object.assign(new Copied(), { snapshot }), commands });
    await expect(checked).rejects.toBe(broken);
  });

  it.each([
    [{ create: () => new Copied() }, /^commands: expected a function/],
    [{ create: () => new Copied(), commands: puts, runs: 0 }, /^runs: expected a whole number from 1/],
    [{ create: () => new Copied(), commands: puts, codec: {} }, /^codec: expected a value codec/],
    [{ create: () => new Copied(), commands: puts, snapshotCodec: 7 }, /^snapshotCodec: expected a value codec/],
    [{ create: () => new Copied(), commands: puts, rounds: 1 }, /^rounds: no such option/],
    [{ create: () => ({ apply: () => 1, snapshot: () => 1 }), commands: puts }, /without restore or restoreFrom$/],
    [{ create: () => ({ apply: () => 1 }), commands: puts }, /without snapshot$/],
  ])('misuse: %#', async (options, message) => {
    const code = 'ERR_INVALID_ARGUMENT';
    await expect(checkSnapshots(options as never)).rejects.toMatchObject({ code, message });
  });
});
