/**
 * The options of a TCP transport and their defaults. Every value is checked before anything is opened.
 */

import { invalidArgument } from '../../replica/errors.js';
import { record } from '../option-checks.js';
import type { SocketAddress } from './address.js';
import { parseAddress } from './address.js';
import { derivedTimes, SHORTEST_SILENCE, USUAL_ELECTION_MAX } from './timing.js';

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
   * How long each step of opening a connection may take, be it dialled (to connect; the answer) or accepted (the
   * hello); default half of `stallTimeout`.
   */
  readonly handshakeTimeout?: number;
  /**
   * How long a connection may show no sign of life (no answer of the peer, no byte that leaves a full socket) before it
   * is dropped and dialled anew; default the longest election timeout of the replica, 2000 unless set.
   */
  readonly stallTimeout?: number;
  /**
   * The shortest and the longest wait between two dials: to a peer that refuses; half of the longest to one that is not
   * there. Default 50 and half of `stallTimeout`.
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

const NAMES = ['listen', 'maxMessageBytes', 'queueBytes', 'handshakeTimeout', 'stallTimeout', 'reconnectDelay'];

/** The times that a user gave; what is absent is derived once the replica's timing is known. */
interface GivenTimes {
  readonly handshakeTimeout: number | undefined;
  readonly stallTimeout: number | undefined;
  readonly shortestDelay: number;
  readonly longestDelay: number | undefined;
}

/** Checked options; the settings follow from them and the longest election timeout of the replica. */
export interface CheckedTcpOptions {
  settings(electionMax?: number): Settings;
}

function optional(value: unknown, name: string, least: number, most: number): number | undefined {
  return value === undefined ? undefined : integer(value, name, least, most);
}

function timesOf(given: Readonly<Record<string, unknown>>): GivenTimes {
  const delay = record(given['reconnectDelay'] ?? {}, 'tcpTransport: reconnectDelay', ['min', 'max']);
  const shortestDelay = integer(delay['min'] ?? 50, 'reconnectDelay.min', 1, HOUR);
  return {
    handshakeTimeout: optional(given['handshakeTimeout'], 'handshakeTimeout', 1, HOUR),
    stallTimeout: optional(given['stallTimeout'], 'stallTimeout', 10, HOUR),
    shortestDelay,
    longestDelay: optional(delay['max'], 'reconnectDelay.max', shortestDelay, HOUR),
  };
}

/** @throws ERR_INVALID_ARGUMENT that names the option and what was expected */
export function checkTcpOptions(options: TcpTransportOptions): CheckedTcpOptions {
  const given = record(options, 'tcpTransport: options', NAMES);
  const queue = record(given['queueBytes'] ?? {}, 'tcpTransport: queueBytes', ['control', 'bulk']);
  const times = timesOf(given);
  const listen = given['listen'];
  const untimed = {
    listen: listen === undefined ? null : parseAddress(listen, 'tcpTransport: listen'),
    maxMessageBytes: integer(given['maxMessageBytes'] ?? 8 * MIB, 'maxMessageBytes', KIB, 64 * MIB),
    controlQueueBytes: integer(queue['control'] ?? 4 * MIB, 'queueBytes.control', KIB, KIB * MIB),
    bulkQueueBytes: integer(queue['bulk'] ?? 16 * MIB, 'queueBytes.bulk', KIB, KIB * MIB),
  };
  const settings = (electionMax = USUAL_ELECTION_MAX): Settings => {
    const { shortestDelay } = times;
    const stallTimeout = times.stallTimeout ?? Math.max(electionMax, SHORTEST_SILENCE);
    const derived = derivedTimes(stallTimeout);
    const handshakeTimeout = times.handshakeTimeout ?? derived.step;
    const longestDelay = times.longestDelay ?? Math.max(derived.longestDelay, shortestDelay);
    return { ...untimed, handshakeTimeout, stallTimeout, shortestDelay, longestDelay };
  };
  return { settings };
}
