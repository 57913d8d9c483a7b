/**
 * The options of a TCP transport and their defaults. Every value is checked before anything is opened.
 */

import { invalidArgument } from '../../replica/errors.js';
import type { SocketAddress } from './address.js';
import { parseAddress } from './address.js';

/** Options of `tcpTransport`, all optional. Times are in milliseconds, sizes in bytes. */
export interface TcpTransportOptions {
  /** `host:port` to listen on, where that differs from the address that peers dial (containers, NAT). */
  readonly listen?: string | undefined;
  /**
   * The largest message, 1 KiB to 64 MiB; default 8 MiB. A message above a peer's lower limit is not sent to it.
   */
  readonly maxMessageBytes?: number;
  /**
   * How many bytes may wait for one peer; beyond it `send` gives false. Default 4 MiB for `control` and 16 MiB for
   * `bulk`. An empty queue takes a message of any size; half of `control` is kept for messages below 64 KiB.
   */
  readonly queueBytes?: { readonly control?: number; readonly bulk?: number };
  /**
   * How long a connection may take from the dial, or from its acceptance, to the end of the handshake;
   * default 3000.
   */
  readonly handshakeTimeout?: number;
  /** How long a connection may accept no byte while bytes wait to be written, before it is closed; default 10000. */
  readonly stallTimeout?: number;
  /**
   * The shortest and the longest wait between two dials to a peer that does not answer; default 50 and 2000.
   */
  readonly reconnectDelay?: { readonly min?: number; readonly max?: number };
}

/** The options, complete and checked. */
export interface Settings {
  readonly listen: SocketAddress | null;
  readonly maxMessageBytes: number;
  readonly controlQueueBytes: number;
  readonly bulkQueueBytes: number;
  readonly handshakeTimeout: number;
  readonly stallTimeout: number;
  readonly shortestDelay: number;
  readonly longestDelay: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const HOUR = 3_600_000;

function integer(value: unknown, name: string, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    const given = typeof value === 'number' ? value : typeof value;
    const expected = `an integer from ${least} to ${most}`;
    throw invalidArgument(`tcpTransport: ${name}: expected ${expected}, got ${given}`);
  }
  return value;
}

/** The value as an object whose keys are all known: a misspelt option is a mistake, not a default. */
function record(value: unknown, name: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument(`tcpTransport: ${name}: expected an object`);
  }
  const stranger = Object.keys(value).find((key) => !known.includes(key));
  if (stranger !== undefined) {
    throw invalidArgument(`tcpTransport: ${name}: unknown ${stranger}; expected ${known.join(', ')}`);
  }
  return value as Record<string, unknown>;
}

const NAMES = ['listen', 'maxMessageBytes', 'queueBytes', 'handshakeTimeout', 'stallTimeout', 'reconnectDelay'];

/** @throws ERR_INVALID_ARGUMENT that names the option and what was expected */
export function settingsOf(options: TcpTransportOptions): Settings {
  const given = record(options, 'options', NAMES);
  const queue = record(given['queueBytes'] ?? {}, 'queueBytes', ['control', 'bulk']);
  const delay = record(given['reconnectDelay'] ?? {}, 'reconnectDelay', ['min', 'max']);
  const shortestDelay = integer(delay['min'] ?? 50, 'reconnectDelay.min', 1, HOUR);
  const listen = given['listen'];
  return {
    listen: listen === undefined ? null : parseAddress(listen, 'tcpTransport: listen'),
    maxMessageBytes: integer(given['maxMessageBytes'] ?? 8 * MIB, 'maxMessageBytes', KIB, 64 * MIB),
    controlQueueBytes: integer(queue['control'] ?? 4 * MIB, 'queueBytes.control', KIB, KIB * MIB),
    bulkQueueBytes: integer(queue['bulk'] ?? 16 * MIB, 'queueBytes.bulk', KIB, KIB * MIB),
    handshakeTimeout: integer(given['handshakeTimeout'] ?? 3000, 'handshakeTimeout', 1, HOUR),
    stallTimeout: integer(given['stallTimeout'] ?? 10_000, 'stallTimeout', 10, HOUR),
    shortestDelay,
    longestDelay: integer(delay['max'] ?? Math.max(2000, shortestDelay), 'reconnectDelay.max', shortestDelay, HOUR),
  };
}
