/** Where members are: the place at which each listens, and the one at which its peers dial it. */

import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import type { Proxies } from './proxy.js';

export interface Place {
  readonly listen: string;
  readonly dialled: string;
  /** What the member's process is started by, if it is not simply started: a program and its arguments. */
  readonly launcher: readonly string[];
}

/** Every member behind a proxy of its own. */
export async function placesBehind(proxies: Proxies, ids: readonly string[]): Promise<Map<string, Place>> {
  const host = loopback();
  // Held until the proxies have ports of their own: they would be given these.
  const held = await hold(host, ids.length);
  const ports = held.map((server) => (server.address() as AddressInfo).port);
  const places = new Map<string, Place>();
  for (const [at, id] of ids.entries()) {
    const port = ports[at] as number;
    const dialled = await proxies.open(id, { host, port });
    places.set(id, { listen: `${host}:${port}`, dialled, launcher: [] });
  }
  await Promise.all(held.map((server) => once(server.close(), 'close')));
  return places;
}

/**
 * On Linux all of 127/8 is the machine itself: on an address of our own nobody else takes the port of a member that is
 * down, as an outgoing connection of anybody might on 127.0.0.1.
 */
function loopback(): string {
  if (process.platform !== 'linux') return '127.0.0.1';
  return `127.${randomInt(1, 255)}.${randomInt(0, 256)}.${randomInt(1, 255)}`;
}

async function hold(host: string, count: number): Promise<Server[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, host));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  return servers;
}
