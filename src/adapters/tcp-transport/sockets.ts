/**
 * Opens sockets: by dialling and by listening. No other file creates one.
 */

import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { SocketAddress } from './address.js';

export type { Server, Socket };

const KEEP_ALIVE_AFTER = 10_000;

/**
 * Dials. Keep-alive detects a dead machine on a connection that only receives. A host name is looked up at each dial,
 * as its address may have changed; that takes a thread of the pool, an IP address takes none.
 */
export function dialSocket({ host, port }: SocketAddress): Socket {
  return connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_AFTER });
}

/** Resolves when listening; rejects with the system's error. */
export function listenOn({ host, port }: SocketAddress, accept: (socket: Socket) => void): Promise<Server> {
  const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_AFTER };
  const server = createServer(options, accept);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', reject);
      // A failed accept, for lack of file descriptors, needs no action: the dialer tries again.
      server.on('error', () => {});
      resolve(server);
    });
  });
}
