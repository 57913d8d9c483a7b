/** TCP: the laws of every transport, here between real sockets on loopback. */

import { transportLaws, freeAddresses, Members } from './transport-laws.js';
import { tcpTransport } from '../../src/adapters/tcp-transport/index.js';

transportLaws(async () => new Members(() => tcpTransport(), await freeAddresses(['a', 'b', 'c'])));
