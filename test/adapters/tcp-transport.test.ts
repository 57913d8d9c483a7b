/** TCP: the laws of every transport, here between real sockets on loopback. */

import { getDefaultHighWaterMark, setDefaultHighWaterMark } from 'node:stream';
import { afterAll, beforeAll, describe } from 'vitest';
import { transportLaws, freeAddresses, Members } from './transport-laws.js';
import { tcpTransport } from '../../src/adapters/tcp-transport/index.js';

transportLaws(async () => new Members(() => tcpTransport(), await freeAddresses(['a', 'b', 'c'])));

describe('with sockets that take more at a time, as in newer versions of Node', () => {
  const usual = getDefaultHighWaterMark(false);
  beforeAll(() => setDefaultHighWaterMark(false, 1024 * 1024));
  afterAll(() => setDefaultHighWaterMark(false, usual));

  transportLaws(async () => new Members(() => tcpTransport(), await freeAddresses(['a', 'b', 'c'])));
});
