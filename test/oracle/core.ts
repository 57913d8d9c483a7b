/** The contract as the oracle uses it, with peer messages and states that it does not look into; both cores fit. */

import type { raftProtocol } from 'quorate/raft';

type Raft = typeof raftProtocol;
type Opaque<T> = T extends { readonly message: unknown } ? Omit<T, 'message'> & { readonly message: unknown } : T;
type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

export type CoreOptions = Parameters<Raft['init']>[0];
export type Recovered = Parameters<Raft['init']>[1];
export type Inbound = Opaque<Parameters<Raft['step']>[1]>;
/** What happens to a replica, before its host says when. */
export type Happening = Untimed<Inbound>;
export type Outbound = Opaque<ReturnType<Raft['step']>[1][number]>;
export type Send = Extract<Outbound, { kind: 'send' }>;
export type Persist = Extract<Outbound, { kind: 'persist' }>;
export type PersistOp = Persist['ops'][number];
export type SnapshotName = Extract<Outbound, { kind: 'restore' }>['snapshot'];
export type LogBase = Recovered['base'];
export type Load = Extract<Outbound, { kind: 'load' }>;
export type Outcome = Extract<Outbound, { kind: 'resolve' }>['outcome'];
export type Entry = Recovered['tail'][number];
export type Proposal = Extract<Inbound, { kind: 'propose' }>['proposals'][number];

export interface Core {
  readonly name: string;
  init(options: CoreOptions, recovered: Recovered): readonly [unknown, readonly Outbound[]];
  step(state: unknown, message: Inbound): readonly [unknown, readonly Outbound[]];
  deadline(state: unknown): number;
  readonly codec: { sizeOf(message: unknown): number };
  readonly durable: Pick<Raft['durable'], 'tailFrom'>;
}
