/** A stopped TCP transport keeps no process alive. Alone in its file, so that all sockets are its own. */

import { afterEach, expect, test, vi } from 'vitest';
import { tcpTransport } from '../../src/adapters/tcp-transport/index.js';
import { fill, freeAddresses, Members, type Member } from './transport-laws.js';

afterEach(() => vi.restoreAllMocks());

/** What is set and neither over nor cleared; the test runner's own timers are not among them. */
function trackTimers(): ReadonlySet<unknown> {
  const pending = new Set<unknown>();
  const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
  vi.spyOn(globalThis, 'setTimeout').mockImplementation(((callback: () => void, delay?: number) => {
    const timer = setTimeout(() => {
      pending.delete(timer);
      callback();
    }, delay);
    pending.add(timer);
    return timer;
  }) as typeof setTimeout);
  vi.spyOn(globalThis, 'setInterval').mockImplementation(((callback: () => void, delay?: number) => {
    const timer = setInterval(callback, delay);
    pending.add(timer);
    return timer;
  }) as typeof setInterval);
  const untracked = (clear: (timer: never) => void) => (timer: unknown) => {
    pending.delete(timer);
    clear(timer as never);
  };
  vi.spyOn(globalThis, 'clearTimeout').mockImplementation(untracked(clearTimeout));
  vi.spyOn(globalThis, 'clearInterval').mockImplementation(untracked(clearInterval));
  return pending;
}

const sockets = (): string[] =>
  process
    .getActiveResourcesInfo()
    .filter((name) => /TCP|Connect|Write|Shutdown/.test(name))
    .sort();

test('stop leaves no handle open', async () => {
  const before = sockets();
  const timers = trackTimers();
  const members = new Members(() => tcpTransport(), await freeAddresses(['a', 'b', 'c']));
  const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
  // One that nobody answers is being dialled, and traffic is under way on both lanes.
  a.transport.setPeers([members.peer('b'), { id: 'c', address: '192.0.2.1:7001' }]);
  for (const lane of ['control', 'bulk'] as const) fill(a, 'b', lane, new Uint8Array(1000), 500);
  await b.told.until(() => b.told.messages.length > 0);
  expect(sockets().length).toBeGreaterThan(before.length);
  expect(timers.size).toBeGreaterThan(0);
  await members.stop();
  expect(sockets()).toEqual(before);
  expect(timers.size).toBe(0);
});

test('nor does a transport alone, nor one that could not listen', async () => {
  const before = sockets();
  const timers = trackTimers();
  const members = new Members(() => tcpTransport(), await freeAddresses(['a', 'b']));
  await members.start('a');
  await expect(members.start('a')).rejects.toMatchObject({ code: 'ERR_TRANSPORT_FAILED' });
  // Before it is stopped, which nobody need do: only the first listens.
  const servers = (all: readonly string[]): number => all.filter((name) => name.includes('Server')).length;
  expect(servers(sockets())).toBe(servers(before) + 1);
  await members.stop();
  expect(sockets()).toEqual(before);
  expect(timers.size).toBe(0);
});
