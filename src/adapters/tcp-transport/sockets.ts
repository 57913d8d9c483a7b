/**
 * Opens sockets: by dialling and by listening. No other file creates one.
 */

import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { SocketAddress } from './address.js';
import type { Place } from './place.js';

export type { Server, Socket };

const KEEP_ALIVE_AFTER = 10_000;

/** Dials an IP address. */
export function dialSocket({ host, port }: SocketAddress): Socket {
  return connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_AFTER });
}

/** Listens on the first of the place's addresses that this machine has. Rejects with the system's error. */
export async function listenAt(place: Place, accept: (socket: Socket) => void): Promise<Server> {
  let failure: unknown;
  for (const host of place.isFixed ? place.known : await place.lookUp()) {
    try {
      return await listenOn({ host, port: place.port }, accept);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRNOTAVAIL') throw error;
      failure = error;
    }
  }
  throw failure;
}

/** Resolves when listening; rejects with the system's error. */
function listenOn({ host, port }: SocketAddress, accept: (socket: Socket) => void): Promise<Server> {
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
