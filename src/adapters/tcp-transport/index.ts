/** `tcpTransport()`, the transport between processes over TCP. */

import type { Transport } from '../../replica/transport.js';
import type { TcpTransportOptions } from './options.js';
import { checkTcpOptions } from './options.js';
import { TcpTransport } from './transport.js';

export type { TcpTransportOptions };

/**
 * A transport for one replica, which listens on its member's own address and dials all others. It authenticates nobody
 * and encrypts nothing: any machine that reaches the port can claim to be a member. `Transport` names the errors of
 * `start`.
 *
 * @throws ConsensusError ERR_INVALID_ARGUMENT when an option breaks its rule
 */
export function tcpTransport(options: TcpTransportOptions = {}): Transport {
  return new TcpTransport(checkTcpOptions(options));
}
