/** The network inside a process: the laws of every transport, and what a test can make it do. */

import { describe, expect, test } from 'vitest';
import type { MemoryMessage } from '../../src/adapters/memory-network.js';
import { memoryNetwork } from '../../src/adapters/memory-network.js';
import type { Member } from './transport-laws.js';
import { Members, Recorder, transportLaws } from './transport-laws.js';

const addresses = new Map(['a', 'b', 'c'].map((id) => [id, id]));

function membersOf(network: ReturnType<typeof memoryNetwork>): Members {
  return new Members(() => network.transport(), addresses);
}

transportLaws(async () => membersOf(memoryNetwork()));

describe('a memory network', () => {
  test('can be cut between two members, both ways, and loses what is on its way', async () => {
    const network = memoryNetwork();
    const [a, b, c] = (await membersOf(network).startAll('a', 'b', 'c')) as [Member, Member, Member];
    expect(a.transport.send('b', Uint8Array.of(1), 'control')).toBe(true);
    network.disconnect('b', 'a');
    expect(a.transport.send('b', Uint8Array.of(2), 'control')).toBe(false);
    expect(b.transport.send('a', Uint8Array.of(2), 'control')).toBe(false);
    await a.told.until(() => a.told.unreachable.length > 0);
    await b.told.until(() => b.told.unreachable.length > 0);
    expect([a.told.unreachable, b.told.unreachable, c.told.unreachable]).toEqual([['b'], ['a'], []]);
    expect(a.transport.send('c', Uint8Array.of(3), 'control')).toBe(true);
    network.connect('a', 'b');
    expect(a.transport.send('b', Uint8Array.of(4), 'control')).toBe(true);
    await b.told.until(() => b.told.messages.length > 0);
    expect(b.told.messages).toEqual([{ from: 'a', bytes: Uint8Array.of(4) }]);
  });

  test('drops and duplicates what its hook says, and shows it every message', async () => {
    const seen: MemoryMessage[] = [];
    const fates = ['drop', 'duplicate', 'deliver'] as const;
    const network = memoryNetwork({
      deliver: (message) => fates[seen.push(message) - 1] ?? 'deliver',
    });
    const [a, b] = (await membersOf(network).startAll('a', 'b')) as [Member, Member];
    for (const value of [1, 2, 3]) expect(a.transport.send('b', Uint8Array.of(value), 'bulk')).toBe(true);
    await b.told.until(() => b.told.messages.length === 3);
    expect(b.told.messages.map(({ bytes }) => bytes[0])).toEqual([2, 2, 3]);
    expect(seen[0]).toEqual({ from: 'a', to: 'b', bytes: Uint8Array.of(1), lane: 'bulk' });
  });

  test('copies: what the sender does to its bytes later changes nothing', async () => {
    const [a, b] = (await membersOf(memoryNetwork()).startAll('a', 'b')) as [Member, Member];
    const bytes = Uint8Array.of(1, 2, 3);
    a.transport.send('b', bytes, 'control');
    bytes.fill(0);
    await b.told.until(() => b.told.messages.length === 1);
    expect(b.told.messages[0]?.bytes).toEqual(Uint8Array.of(1, 2, 3));
  });

  test('runs on turns that a test hands out', async () => {
    const turns: (() => void)[] = [];
    const network = memoryNetwork({ soon: (callback) => turns.push(callback) });
    const members = membersOf(network);
    const a = await members.start('a', { peers: ['b'] });
    const b = await members.start('b', { peers: ['a'] });
    a.transport.send('b', Uint8Array.of(1), 'control');
    expect(b.told.calls).toBe(0);
    while (turns.length > 0) turns.shift()?.();
    expect(b.told.messages).toHaveLength(1);
  });

  test('goes on when `soon` has thrown once', async () => {
    const turns: (() => void)[] = [];
    let isBroken = false;
    const network = memoryNetwork({
      soon(callback) {
        if (isBroken) throw new Error('no turn');
        turns.push(callback);
      },
    });
    const members = membersOf(network);
    const a = await members.start('a', { peers: ['b'] });
    const b = await members.start('b', { peers: ['a'] });
    while (turns.length > 0) turns.shift()?.();
    isBroken = true;
    expect(() => a.transport.send('b', Uint8Array.of(1), 'control')).toThrow('no turn');
    isBroken = false;
    a.transport.send('b', Uint8Array.of(2), 'control');
    while (turns.length > 0) turns.shift()?.();
    expect(b.told.messages.map(({ bytes }) => bytes[0])).toEqual([1, 2]);
  });

  test.each([
    [{ maxMessageBytes: 0 }, /maxMessageBytes/],
    [{ queueBytes: 1.5 }, /queueBytes/],
  ])('checks its options: %o', (options, name) => {
    expect(() => memoryNetwork(options)).toThrow(name);
  });

  test.each([
    [{ deliver: 5 }, /^memoryNetwork: deliver: expected a function, got 5$/],
    [{ soon: 'now' }, /^memoryNetwork: soon: expected a function, got "now"$/],
    [{ delivers: () => 'drop' }, /^memoryNetwork: options: unknown delivers; expected deliver, soon, /],
    [{ queueBytes: Object.create(null) as unknown }, /^memoryNetwork: queueBytes: expected a positive integer/],
    [null, /^memoryNetwork: options: expected an object$/],
    [[], /^memoryNetwork: options: expected an object$/],
  ])('refuses the options %o', (options, message) => {
    const refused = expect.objectContaining({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringMatching(message) as string,
    });
    expect(() => memoryNetwork(options as never)).toThrow(refused);
  });

  test('refuses an identity that is not its own', async () => {
    const transport = memoryNetwork().transport();
    const identity = { cluster: 'x', id: 'a', incarnation: 1 };
    const misuse = transport.start(identity, { id: 'b', address: '' }, [], new Recorder());
    await expect(misuse).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });
});
