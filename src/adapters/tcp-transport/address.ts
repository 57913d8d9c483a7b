/** Addresses as `host:port`, with the host of IPv6 in brackets: `[::1]:7001`. */

import { isIPv6 } from 'node:net';
import { invalidArgument } from '../../replica/errors.js';

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

const PATTERN = /^(?:\[([^\]]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/;
const LARGEST_PORT = 65535;

/**
 * @param name what the address is of, for the message
 * @throws ERR_INVALID_ARGUMENT. Port 0 is refused, too, since peers could not know the port that the system chose.
 */
export function parseAddress(text: unknown, name: string): SocketAddress {
  const [, six, host = six, digits] = (typeof text === 'string' ? PATTERN.exec(text) : null) ?? [];
  const port = Number(digits);
  const isHost = host !== undefined && (six === undefined || isIPv6(six));
  if (!isHost || !(port >= 1 && port <= LARGEST_PORT)) {
    const given = typeof text === 'string' ? JSON.stringify(text) : typeof text;
    const expected = `host:port with a port from 1 to ${LARGEST_PORT}, like 10.0.0.1:7001 or [::1]:7001`;
    throw invalidArgument(`${name}: expected ${expected}, got ${given}`);
  }
  return { host, port };
}
