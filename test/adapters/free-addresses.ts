/** Places for members of a test. */

import { createServer, type AddressInfo } from 'node:net';

/** Addresses on loopback that nobody listens on. */
export async function freeAddresses(ids: readonly string[], host = '127.0.0.1'): Promise<Map<string, string>> {
  const servers = await Promise.all(
    ids.map((id) => {
      const server = createServer();
      return new Promise<{ id: string; server: typeof server }>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, host, () => resolve({ id, server }));
      });
    }),
  );
  const shown = host.includes(':') ? `[${host}]` : host;
  const result = new Map<string, string>();
  for (const { id, server } of servers) {
    result.set(id, `${shown}:${(server.address() as AddressInfo).port}`);
    await new Promise((resolve) => server.close(resolve));
  }
  return result;
}
