/** A stopped TCP transport keeps no process alive. Alone in its file, so that all handles are its own. */

import { expect, test } from 'vitest';
import { tcpTransport } from '../../src/adapters/tcp-transport/index.js';
import { fill, freeAddresses, Members, type Member } from './transport-laws.js';

test('stop leaves no handle open', async () => {
  const ours = /TCP|Connect|Write|Timeout|Immediate/;
  const handles = (): string[] => process.getActiveResourcesInfo().filter((name) => ours.test(name)).sort();
  const before = handles();
  const members = new Members(() => tcpTransport(), await freeAddresses(['a', 'b', 'c']));
  const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
  // One that nobody answers is being dialled, and traffic is under way on both lanes.
  a.transport.setPeers([members.peer('b'), { id: 'c', address: '192.0.2.1:7001' }]);
  for (const lane of ['control', 'bulk'] as const) fill(a, 'b', lane, new Uint8Array(1000), 500);
  await b.told.until(() => b.told.messages.length > 0);
  expect(handles().length).toBeGreaterThan(before.length);
  await members.stop();
  expect(handles()).toEqual(before);
});
