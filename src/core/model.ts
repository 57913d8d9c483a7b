/**
 * The model of a protocol: what a rig that does not know the protocol needs to simulate it, to search its states
 * exhaustively and to print its traces. It serves evidence only; what production needs is in `Protocol`.
 */

import type { ElectionMessage } from './election-messages.js';
import type { ForwardAccepted, ForwardedProposal, Forwarding } from './forwarding.js';
import type { Entry, HardState, Inbound, Index, Milliseconds, Protocol, Step } from './protocol.js';
import type { ReplicaId } from './members.js';

/** A protocol with its safety, digests and traces. `Ghost`: what the safety remembers, plain data. */
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
   * Whether a message under way can never change anything again: in no state that the receiver can reach does it do
   * more than make it answer, and no such answer changes the sender. Searches drop outdated messages. A message that is
   * wrongly called outdated hides states from the search; one that is wrongly kept only costs states.
   */
  isOutdated?(message: Message, from: State, to: State): boolean;
  /** Whether no code branches on the order of replicas' names, so that a permutation of them changes nothing. */
  readonly symmetric: boolean;
  /** A message in a trace: its name and fields, without sender and receiver. */
  describeMessage(message: Message): string;
  /** A replica's role, term and log in a trace, in a few words. */
  describeState(state: State): string;
  /** The situations that a search must have met at least once before its result means anything. */
  readonly coveragePoints: readonly string[];
  /** Notes which of `coveragePoints` a step meets. */
  cover(fact: StepFact<State, Message>, hit: (point: string) => void): void;
}

/** A model of any protocol, whose states and messages are opaque. */
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
  /** A message leaves a replica: what it claims must be durable by now. */
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

/** A cluster as an observer sees it who sees everything. */
export interface ClusterView<State> {
  /** In the order of the configuration. */
  readonly replicas: readonly ReplicaView<State>[];
  /** What was ever delivered to a state machine anywhere, from index 1 on without a gap. */
  readonly committed: CommittedView;
}

export interface ReplicaView<State> {
  readonly id: ReplicaId;
  /** `null` while it is down, or takes no part yet. */
  readonly state: State | null;
  readonly disk: DiskView;
}

/** What is durable: what a replica would recover if it lost power now. */
export interface DiskView {
  readonly hard: HardState | null;
  readonly last: Index;
  entry(index: Index): Entry | undefined;
}

export interface CommittedView {
  readonly last: Index;
  /** As it was first delivered: in Multi-Paxos another learner may hold it under another ballot. */
  entry(index: Index): Entry | undefined;
}

/** Takes in values one after the other; equal sequences give equal digests. */
export interface Digest {
  /** Any number or truth value. */
  value(value: number | boolean): void;
  text(text: string): void;
  bytes(bytes: Uint8Array): void;
  /** The name of a replica, or none. Apart from texts, since symmetry permutes replicas. */
  id(id: ReplicaId | null): void;
  /**
   * A number that only says which one of its kind is meant, counted by `owner`: a session, a round, a request, a
   * persist. Replaced by its rank among those of that kind still referred to anywhere. Give 0 for "none" as `value`.
   */
  reference(kind: string, owner: ReplicaId, number: number): void;
  /** Items whose order means nothing. Needed under symmetry, since lists are in the order of names. */
  unordered?<T>(items: readonly T[], each: (item: T) => void): void;
}

/** Feeds items whose order means nothing into a digest; in the given order if the digest does not sort them. */
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
  digest.value(entry.time);
  if (entry.id !== null) {
    digest.value(entry.id.session);
    digest.value(entry.id.sequence);
    digest.value(entry.id.firstIncomplete);
  }
  digest.bytes(entry.data);
}

/** Entries in a trace, as runs of one term and kind. */
export function describeEntries(entries: readonly Entry[]): string {
  const parts: string[] = [];
  for (let at = 0; at < entries.length; ) {
    const first = entries[at] as Entry;
    let end = at + 1;
    while (end < entries.length && follows(entries[end] as Entry, entries[end - 1] as Entry)) end++;
    const last = entries[end - 1] as Entry;
    const range = end - at === 1 ? first.index : `${first.index}-${last.index}`;
    parts.push(`${range}@${first.term}${first.kind === 'command' ? '' : `:${first.kind}`}${describeTime(first.time)}`);
    at = end;
  }
  return `[${parts.join(' ')}]`;
}

/** A stamp in a trace: `~5000`, after what it belongs to. */
export function describeTime(time: Milliseconds): string {
  return time === 0 ? '' : `~${time}`;
}

/** What the wall clock of the sender shows. */
export function describeWall(wall: Milliseconds): string {
  return wall === 0 ? '' : ` wall=${wall}`;
}

function follows(entry: Entry, before: Entry): boolean {
  const { index, term, kind, time } = entry;
  return index === before.index + 1 && term === before.term && kind === before.kind && time === before.time;
}

/** Notes that a run met a coverage point. */
export type Hit = (point: string) => void;

/** A number of a forward or load in a trace: its rank within the start of the replica that gave it. */
export function describeNumber(number: number): string {
  return `#${number % 2 ** 32}`;
}

function describeProposals(proposals: readonly ForwardedProposal[]): string {
  const retries = proposals.filter(({ retry }) => retry).length;
  const opens = proposals.every(({ kind }) => kind === 'openSession');
  return `${opens ? 'openSession' : 'commands'}=${proposals.length}${retries === 0 ? '' : ` retries=${retries}`}`;
}

function describePlaces(places: ForwardAccepted['places']): string {
  const runs = places.map(({ first, count }) => {
    if (first === 0) return `${count} refused`;
    return count === 1 ? `${first}` : `${first}-${first + count - 1}`;
  });
  return `[${runs.join(' ')}]`;
}

/** A message of a pre-vote or a transfer in a trace. @param term the term as the protocol writes it */
export function describeElection(message: ElectionMessage, term: string): string {
  const number = describeNumber(message.number);
  switch (message.kind) {
    case 'preVote': {
      const { lastIndex, lastTerm } = message;
      const last = `last=${lastIndex}${lastTerm === 0 ? '' : `@${lastTerm}`}`;
      return `PreVote ${number} ${term} ${last}${message.handover ? ' handover' : ''}`;
    }
    case 'preVoteReply':
      return `PreVote ${number} ${term} ${message.granted ? 'granted' : 'refused'}`;
    case 'handover':
      return `Handover ${number} ${term}`;
    case 'handoverRefused':
      return `Handover ${number} ${term} refused`;
    case 'askGrant':
      return `Grant ${number} ${term}`;
    case 'grant':
      return `Grant ${number} ${term} granted ${message.length}`;
    case 'askTakeOver':
      return `TakeOver ${number} ${term}`;
    case 'canTakeOver':
      return `TakeOver ${number} ${term} granted`;
    case 'logBegins':
      return `LogBegins ${number} ${term} first=${message.first}`;
  }
}

/** A forwarding message in a trace. @param term the term as the protocol writes it */
export function describeForwarding(message: Forwarding, term: string): string {
  const number = describeNumber(message.number);
  switch (message.kind) {
    case 'forwardProposals':
      return `Forward ${number} ${term} ${describeProposals(message.proposals)}`;
    case 'forwardAccepted':
      return `ForwardAccepted ${number} ${term} places=${describePlaces(message.places)}`;
    case 'forwardRead':
      return `ForwardRead ${number} ${term}${message.byLease ? ' lease' : ''}`;
    case 'forwardRefused':
      return `ForwardRefused ${number} ${message.reason}${message.leader === null ? '' : ` leader=${message.leader}`}`;
    case 'readAnswer':
      return `ReadAnswer ${number} ${term} index=${message.index} commit=${message.commit}`;
  }
}
