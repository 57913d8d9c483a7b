/**
 * The configuration: the members of a cluster, and the constants that all of them share. It is stored with the data;
 * options give it to an empty storage only. Quorums are computed from it alone. All members are voters, and the set of
 * members does not change.
 */

import type { Reader, Writer } from './bytes.js';
import { Malformed } from './bytes.js';
import { shown } from './shown.js';

/** Name of a replica, unique in its cluster: 1 to 64 of `A-Z a-z 0-9 . _ -`. */
export type ReplicaId = string;

/** One member of the cluster; all are voters. */
export interface Member {
  readonly id: ReplicaId;
  /** Unique for all time in this cluster, 1-based: the lower part of a ballot (`ballotOf`). */
  readonly number: number;
  /** Where the transport reaches it; opaque here. */
  readonly address: string;
  /** Whom the cluster prefers as its leader, see `priorityOf`; left out where it is the default. */
  readonly priority?: number;
}

/** A member as options give it: its address alone, or with what else is said of it. */
export type GivenMember = string | { readonly address: string; readonly priority?: number | undefined };

/** The priority of a member that is given none: all are alike. */
export const DEFAULT_PRIORITY = 100;
const MAX_PRIORITY = 65_535;

/** A higher one is preferred as leader; a member of 0 leads only where nobody else does. */
export function priorityOf({ priority = DEFAULT_PRIORITY }: Member): number {
  return priority;
}

/** What every member must agree on to stay one state machine. */
export interface Constants {
  /** Multi-Paxos: how many slots above the chosen prefix may be under way. */
  readonly alpha: number;
  /** How many proposals of one session may be incomplete: sequence numbers stay below `firstIncomplete` + this. */
  readonly sessionWindow: number;
  /** How many sessions the session table holds. */
  readonly sessions: number;
  /** Bytes of results that one session may hold in the session table. */
  readonly sessionBytes: number;
  /** How many sessions of clients there may be (`Replica.session`). */
  readonly clientSessions: number;
  /** Bytes of names and results of all sessions of clients; beyond it their proposals are refused as busy. */
  readonly clientSessionBytes: number;
  /** For how long, in milliseconds of log time, a client's session stays without a sign of its client. */
  readonly clientSessionTime: number;
  /** The largest command, encoded. */
  readonly maxEntryBytes: number;
  /**
   * For how long, in milliseconds, a member grants its leader that it elects nobody else, so that the leader serves
   * lease reads; 0: never. Raises the time that passes without a leader after a crash to as much.
   */
  readonly leaseReads: number;
  /** Whether an exception of the state machine halts the replica, or becomes the result of the command. */
  readonly onApplyError: 'halt' | 'reject';
}

/** Who is a member, and what all members agree on. */
export interface Configuration {
  /** Ascending by number, which for the first configuration is the order of the ids. */
  readonly members: readonly Member[];
  readonly constants: Constants;
}

export const defaultConstants: Constants = {
  alpha: 8192,
  sessionWindow: 4096,
  sessions: 256,
  sessionBytes: 16 * 1024 * 1024,
  clientSessions: 1024,
  clientSessionBytes: 64 * 1024 * 1024,
  clientSessionTime: 3_600_000,
  maxEntryBytes: 1024 * 1024,
  leaseReads: 0,
  onApplyError: 'halt',
};

/** The most voters of one cluster. */
export const MAX_MEMBERS = 7;
const ID_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;
const MAX_ADDRESS = 512;

/** Whether this can be the id of a replica. */
export function isReplicaId(value: unknown): value is ReplicaId {
  return typeof value === 'string' && ID_PATTERN.test(value);
}

/**
 * The first configuration of a cluster, the same for every order of the same members.
 * @throws RangeError that names the broken rule
 */
export function configurationOf(
  given: Readonly<Record<ReplicaId, GivenMember>>,
  constants: Constants = defaultConstants,
): Configuration {
  const ids = Object.keys(given).sort();
  const members = ids.map((id, at) => memberGiven(id, at + 1, given[id] as GivenMember));
  const configuration = { members, constants };
  checkConfiguration(configuration);
  return configuration;
}

/** @throws RangeError for what says nothing of a member */
function memberGiven(id: ReplicaId, number: number, given: GivenMember): Member {
  if (typeof given !== 'object' || given === null) return { id, number, address: given };
  const strange = Object.keys(given).find((name) => name !== 'address' && name !== 'priority');
  if (strange !== undefined) throw new RangeError(`members.${id}.${strange}: nothing of a member is called so`);
  return withPriority({ id, number, address: given.address }, given.priority ?? DEFAULT_PRIORITY);
}

/** The default is left out, so that equal configurations look alike. */
function withPriority(member: Member, priority: number): Member {
  return priority === DEFAULT_PRIORITY ? member : { ...member, priority };
}

function checkPriority(member: Member): void {
  const priority = priorityOf(member);
  if (Number.isSafeInteger(priority) && priority >= 0 && priority <= MAX_PRIORITY) return;
  const expected = `expected a whole number from 0 to ${MAX_PRIORITY}`;
  throw new RangeError(`members.${member.id}.priority: ${expected}, got ${shown(priority)}`);
}

/** @throws RangeError that names the broken rule */
export function checkConfiguration({ members, constants }: Configuration): void {
  if (members.length < 1 || members.length > MAX_MEMBERS) {
    throw new RangeError(`members: expected 1 to ${MAX_MEMBERS}, got ${members.length}`);
  }
  const seen = new Set<string>();
  let number = 0;
  for (const member of members) {
    if (!isReplicaId(member.id)) {
      throw new RangeError(`members: an id is 1 to 64 of A-Z a-z 0-9 . _ -, got ${shown(member.id)}`);
    }
    if (seen.has(member.id)) throw new RangeError(`members: the id ${member.id} stands there twice`);
    seen.add(member.id);
    if (!isAddress(member.address)) {
      const rule = `must be 1 to ${MAX_ADDRESS} printable ASCII characters`;
      throw new RangeError(`members: the address of ${member.id} ${rule}`);
    }
    checkPriority(member);
    if (member.number <= number) throw new RangeError('members: numbers must rise');
    number = member.number;
  }
  checkConstants(constants);
}

function isAddress(value: unknown): boolean {
  return typeof value === 'string' && value.length <= MAX_ADDRESS && /^[\x21-\x7e]+$/.test(value);
}

const CONSTANT_RANGES = {
  alpha: [1, 65_536],
  sessionWindow: [1, 65_536],
  // Room for the sessions of every member's newest start and the one before, or they would evict each other for ever.
  sessions: [2 * MAX_MEMBERS, 65_536],
  sessionBytes: [1024, 2 ** 40],
  clientSessions: [1, 65_536],
  clientSessionBytes: [1024, 2 ** 40],
  clientSessionTime: [1000, 2 ** 40],
  maxEntryBytes: [1, 2 ** 30],
  leaseReads: [0, 60_000],
} as const;

function checkConstants(constants: Constants): void {
  for (const name of Object.keys(CONSTANT_RANGES) as (keyof typeof CONSTANT_RANGES)[]) {
    const [min, max] = CONSTANT_RANGES[name];
    const value = constants[name];
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      throw new RangeError(`${name}: expected a whole number from ${min} to ${max}, got ${shown(value)}`);
    }
  }
  if (constants.onApplyError !== 'halt' && constants.onApplyError !== 'reject') {
    throw new RangeError(`onApplyError: expected 'halt' or 'reject', got ${shown(constants.onApplyError)}`);
  }
}

/** The member of that id. */
export function memberOf(configuration: Configuration, id: ReplicaId): Member | undefined {
  return configuration.members.find((member) => member.id === id);
}

/** What the last byte of a configuration says: the bits that it may hold. */
const REJECTS = 1;
const HAS_PRIORITIES = 2;

export function writeConfiguration(writer: Writer, { members, constants }: Configuration): void {
  writer.varint(members.length);
  for (const member of members) {
    writer.ascii(member.id);
    writer.varint(member.number);
    writer.ascii(member.address);
  }
  writer.varint(constants.alpha);
  writer.varint(constants.sessionWindow);
  writer.varint(constants.sessions);
  writer.varint(constants.sessionBytes);
  writer.varint(constants.clientSessions);
  writer.varint(constants.clientSessionBytes);
  writer.varint(constants.clientSessionTime);
  writer.varint(constants.maxEntryBytes);
  writer.varint(constants.leaseReads);
  const hasPriorities = members.some((member) => priorityOf(member) !== DEFAULT_PRIORITY);
  writer.u8((constants.onApplyError === 'reject' ? REJECTS : 0) + (hasPriorities ? HAS_PRIORITIES : 0));
  if (hasPriorities) for (const member of members) writer.varint(priorityOf(member));
}

/** @throws Malformed */
export function readConfiguration(reader: Reader): Configuration {
  const members: Member[] = [];
  for (let left = reader.count(3); left > 0; left--) {
    members.push({ id: reader.ascii(64), number: reader.varint(), address: reader.ascii(MAX_ADDRESS) });
  }
  const numbers = {
    alpha: reader.varint(),
    sessionWindow: reader.varint(),
    sessions: reader.varint(),
    sessionBytes: reader.varint(),
    clientSessions: reader.varint(),
    clientSessionBytes: reader.varint(),
    clientSessionTime: reader.varint(),
    maxEntryBytes: reader.varint(),
    leaseReads: reader.varint(),
  };
  const flags = reader.u8();
  if (flags > REJECTS + HAS_PRIORITIES) throw new Malformed('a configuration says what is not known');
  const onApplyError = flags % HAS_PRIORITIES === REJECTS ? 'reject' : 'halt';
  const configuration: Configuration = {
    members: flags < HAS_PRIORITIES ? members : members.map((member) => withPriority(member, reader.varint())),
    constants: { ...numbers, onApplyError },
  };
  try {
    checkConfiguration(configuration);
  } catch (error) {
    throw new Malformed((error as Error).message);
  }
  return configuration;
}
