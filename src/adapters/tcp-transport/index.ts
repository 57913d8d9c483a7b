/** Replicas that reach each other by TCP: `tcpTransport()`. */

import type { Transport } from '../../replica/transport.js';
import type { TcpTransportOptions } from './options.js';
import { settingsOf } from './options.js';
import { TcpTransport } from './transport.js';

export type { TcpTransportOptions };

/**
 * A transport for one replica, which listens on its member's own address and dials all others. Nobody is
 * authenticated and nothing is encrypted: every machine that reaches the port is trusted to be who it says.
 *
 * @throws ERR_INVALID_ARGUMENT when an option breaks its rule
 */
export function tcpTransport(options: TcpTransportOptions = {}): Transport {
  return new TcpTransport(settingsOf(options));
}
