/**
 * What a protocol hands in so that a rig that does not know it can simulate it, check it exhaustively and tell its
 * story. All of it is about evidence: what runs in production too stands in `Protocol`.
 */

import type { ForwardedProposal, Forwarding } from './forwarding.js';
import type { Entry, HardState, Inbound, Index, Milliseconds, Protocol, Step } from './protocol.js';
import type { ReplicaId } from './members.js';

/** A protocol with its safety and its words. `Ghost`: what the safety remembers, plain data. */
export interface Model<State, Message, Ghost> {
  readonly protocol: Protocol<State, Message>;
  readonly safety: Safety<State, Message, Ghost>;
  /**
   * Feeds a state into a digest. Two states that behave alike from here on should give the same, or a search never
   * ends; two that behave differently must not, or it misses what it looks for. `now` is the replica's own clock:
   * deadlines are given relative to it.
   */
  digestState(state: State, now: Milliseconds, digest: Digest): void;
  digestMessage(message: Message, from: ReplicaId, to: ReplicaId, digest: Digest): void;
  /**
   * Whether a message under way can never change anything again: it does nothing to the receiver, in whatever states
   * that may come to, but to make it answer; and nothing of the kind can do anything to the sender. Searches drop what
   * is outdated. It must be exact, or a search misses what it looks for; what is alive longer only costs states.
   */
  isOutdated?(message: Message, from: State, to: State): boolean;
  /** Whether no code branches on the order of replicas' names, so that renaming them changes nothing. */
  readonly symmetric: boolean;
  /** A message in a trace: its name and what it says, without sender and receiver. */
  describeMessage(message: Message): string;
  /** A replica's role, term and log in a trace, in a few words. */
  describeState(state: State): string;
  /** What must have happened somewhere for a search to mean anything. */
  readonly coveragePoints: readonly string[];
  /** Notes which of `coveragePoints` a step meets. */
  cover(fact: StepFact<State, Message>, hit: (point: string) => void): void;
}

/** A protocol's model where nothing about the protocol is known. */
export type AnyModel = Model<unknown, unknown, unknown>;

/**
 * The safety of a whole cluster, as a fold over what happens in it. The ghost is an immutable value: a search keeps
 * many at once. Every function gives the ghost after, the same reference if nothing changed, or throws
 * `InvariantViolation` naming the rule.
 */
export interface Safety<State, Message, Ghost> {
  readonly initial: Ghost;
  /** A core took a step, or started. */
  step(ghost: Ghost, fact: StepFact<State, Message>, cluster: ClusterView<State>): Ghost;
  /** A message leaves a replica: whatever it claims must be durable by now. */
  send(ghost: Ghost, fact: SendFact<Message>, cluster: ClusterView<State>): Ghost;
  /** What a replica wrote has become durable. */
  durable(ghost: Ghost, replica: ReplicaId, cluster: ClusterView<State>): Ghost;
  digest(ghost: Ghost, digest: Digest): void;
}

export interface StepFact<State, Message> {
  readonly replica: ReplicaId;
  /** `null` at a start. */
  readonly before: State | null;
  readonly after: State;
  /** `null` at a start. */
  readonly inbound: Inbound<Message> | null;
  readonly outbound: Step<State, Message>[1];
}

export interface SendFact<Message> {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly message: Message;
}

/** A cluster as its safety sees it, from outside and above. */
export interface ClusterView<State> {
  /** In the order of the configuration. */
  readonly replicas: readonly ReplicaView<State>[];
  /** What was ever handed to a state machine anywhere, from index 1 on without a gap. */
  readonly committed: CommittedView;
}

export interface ReplicaView<State> {
  readonly id: ReplicaId;
  /** `null` while it is down, or takes no part yet. */
  readonly state: State | null;
  readonly disk: DiskView;
}

/** What a replica would find if it lost power now. */
export interface DiskView {
  readonly hard: HardState | null;
  readonly last: Index;
  entry(index: Index): Entry | undefined;
}

export interface CommittedView {
  readonly last: Index;
  /** As it was first handed over: in Multi-Paxos the ballot may be that of one learner only. */
  entry(index: Index): Entry | undefined;
}

/** Takes in values in an order of the caller's making; equal sequences give equal digests. */
export interface Digest {
  /** Any number or truth value. */
  value(value: number | boolean): void;
  text(text: string): void;
  bytes(bytes: Uint8Array): void;
  /** The name of a replica, or none: kept apart since symmetry renames them. */
  id(id: ReplicaId | null): void;
  /**
   * A number that only says which one of its kind is meant, counted by `owner`: a session, a round, a request, a
   * persist. Replaced by its rank among those of that kind still referred to anywhere. Give 0 for "none" as `value`.
   */
  reference(kind: string, owner: ReplicaId, number: number): void;
  /** Items in whatever order: needed where replicas may be renamed, since lists stand in the order of names. */
  unordered?<T>(items: readonly T[], each: (item: T) => void): void;
}

/** Feeds items into a digest whose order means nothing; as they stand where it does not tell orders apart anyway. */
export function digestUnordered<T>(digest: Digest, items: readonly T[], each: (item: T) => void): void {
  if (digest.unordered !== undefined) return digest.unordered(items, each);
  digest.value(items.length);
  for (let i = 0; i < items.length; i++) each(items[i] as T);
}

/** Feeds an entry into a digest. */
export function digestEntry(entry: Entry, digest: Digest): void {
  digest.value(entry.index);
  digest.value(entry.term);
  digest.text(entry.kind);
  if (entry.id !== null) {
    digest.value(entry.id.session);
    digest.value(entry.id.sequence);
    digest.value(entry.id.firstIncomplete);
  }
  digest.bytes(entry.data);
}

/** An entry in a trace: `10@2`, with what it is unless it is a command. */
export function describeEntry({ index, term, kind }: Entry): string {
  return kind === 'command' ? `${index}@${term}` : `${index}@${term}:${kind}`;
}

/** Entries in a trace: runs of one term and kind are drawn together. */
export function describeEntries(entries: readonly Entry[]): string {
  const parts: string[] = [];
  for (let at = 0; at < entries.length; ) {
    const first = entries[at] as Entry;
    let end = at + 1;
    while (end < entries.length && follows(entries[end] as Entry, entries[end - 1] as Entry)) end++;
    const last = entries[end - 1] as Entry;
    const range = end - at === 1 ? first.index : `${first.index}-${last.index}`;
    parts.push(`${range}@${first.term}${first.kind === 'command' ? '' : `:${first.kind}`}`);
    at = end;
  }
  return `[${parts.join(' ')}]`;
}

function follows(entry: Entry, before: Entry): boolean {
  return entry.index === before.index + 1 && entry.term === before.term && entry.kind === before.kind;
}

/** Notes that a run met a coverage point. */
export type Hit = (point: string) => void;

/** Numbers of a start lie far from those of others: what counts is which one of its start it is. */
export function describeNumber(number: number): string {
  return `#${number % 2 ** 32}`;
}

function describeProposals(proposals: readonly ForwardedProposal[]): string {
  const retries = proposals.filter(({ retry }) => retry).length;
  const opens = proposals.every(({ kind }) => kind === 'openSession');
  return `${opens ? 'openSession' : 'commands'}=${proposals.length}${retries === 0 ? '' : ` retries=${retries}`}`;
}

/** What is passed on, in a trace; `term` in the protocol's own words. */
export function describeForwarding(message: Forwarding, term: string): string {
  const number = describeNumber(message.number);
  switch (message.kind) {
    case 'forwardProposals':
      return `Forward ${number} ${term} ${describeProposals(message.proposals)}`;
    case 'forwardRead':
      return `ForwardRead ${number} ${term}`;
    case 'forwardRefused':
      return `ForwardRefused ${number} ${message.reason}${message.leader === null ? '' : ` leader=${message.leader}`}`;
    case 'readAnswer':
      return `ReadAnswer ${number} ${term} index=${message.index} commit=${message.commit}`;
  }
}
