/**
 * Forwarding proposals and reads to the leader: the five messages, the same in both protocols, and their encoding. They
 * are handled in `proposals.ts` and `reads.ts`.
 */

import { Malformed, VARINT_MAX_BYTES, type Reader, type Writer } from './bytes.js';
import { ENTRY_BODY_OVERHEAD, kindNumber, kindOf, readEntryId } from './record-codec.js';
import { isReplicaId, type ReplicaId } from './members.js';
import type { Index, Proposal, Term } from './protocol.js';

/** A proposal without its request number, which only its own host knows. */
export type ForwardedProposal = Omit<Proposal, 'request'>;

/** A follower to its leader: proposals of its own host. Answered at once: accepted or refused. */
export interface ForwardProposals {
  readonly kind: 'forwardProposals';
  /** The sender's term, or the ballot that it has promised: a leader in another one refuses. */
  readonly term: Term;
  /** The number of this forward, in the range of the sender's boot. */
  readonly number: number;
  /** At least one. */
  readonly proposals: readonly ForwardedProposal[];
}

/** A follower to its leader: from which index on may a read of mine be served? */
export interface ForwardRead {
  readonly kind: 'forwardRead';
  readonly term: Term;
  readonly number: number;
  /** A lease read: the leader answers at once if it holds the grants of a majority. */
  readonly byLease: boolean;
}

/** Where consecutive proposals of a forward stand: at `first` and the indexes after it; 0 for those without room. */
export interface PlaceRun {
  readonly first: Index;
  /** At least 1. */
  readonly count: number;
}

/** A leader to the sender of a ForwardProposals, at once: it has them in its log, or at least some of them. */
export interface ForwardAccepted {
  readonly kind: 'forwardAccepted';
  readonly term: Term;
  /** The number of the forward. */
  readonly number: number;
  /** The places of all its proposals, in their order. */
  readonly places: readonly PlaceRun[];
}

/** Why a forward is refused, in the order of their numbers on the wire. */
const REFUSALS = ['notLeader', 'busy', 'storageFull'] as const;

/** The receiver of a forward to its sender: the forward is refused as a whole. */
export interface ForwardRefused {
  readonly kind: 'forwardRefused';
  readonly term: Term;
  /** The number of the forward. */
  readonly number: number;
  readonly reason: (typeof REFUSALS)[number];
  /** Who leads instead, `null` when unknown. */
  readonly leader: ReplicaId | null;
}

/** A leader to the sender of a ForwardRead, once a round that began after it is confirmed (Ongaro's thesis 6.4). */
export interface ReadAnswer {
  readonly kind: 'readAnswer';
  /** The leader's term, or the ballot in which it leads. */
  readonly term: Term;
  readonly number: number;
  /** The index that the read must see applied. */
  readonly index: Index;
  /** The leader's commit index. */
  readonly commit: Index;
}

export type Forwarding = ForwardProposals | ForwardAccepted | ForwardRead | ForwardRefused | ReadAnswer;

/** In the order of their numbers on the wire, after the protocol's own kinds. */
export const FORWARDING_KINDS = [
  'forwardProposals',
  'forwardRefused',
  'forwardRead',
  'readAnswer',
  'forwardAccepted',
] as const;

const MAX_ID = 64;
/** A kind, a flag, three numbers and a length. */
const LEAST_PROPOSAL = 6;

/** An upper bound of the bytes that `writeForwarding` gives. */
export function sizeOfForwarding(message: Forwarding): number {
  if (message.kind === 'forwardAccepted') return MAX_ID + 2 * VARINT_MAX_BYTES * message.places.length;
  if (message.kind !== 'forwardProposals') return MAX_ID;
  let size = 0;
  for (const proposal of message.proposals) size += ENTRY_BODY_OVERHEAD + 2 + proposal.data.length;
  return size;
}

/** Writes everything but kind and term. */
export function writeForwarding(writer: Writer, message: Forwarding): void {
  writer.varint(message.number);
  switch (message.kind) {
    case 'forwardProposals':
      writer.varint(message.proposals.length);
      for (const { kind, id, data, retry } of message.proposals) {
        writer.u8(kindNumber(kind));
        writer.u8(retry ? 1 : 0);
        writer.varint(id.session);
        writer.varint(id.sequence);
        writer.varint(id.firstIncomplete);
        writer.bytes(data);
      }
      return;
    case 'forwardRefused':
      writer.u8(REFUSALS.indexOf(message.reason));
      return writer.ascii(message.leader ?? '');
    case 'forwardAccepted':
      writer.varint(message.places.length);
      for (const { first, count } of message.places) {
        writer.varint(first);
        writer.varint(count);
      }
      return;
    case 'forwardRead':
      return writer.u8(message.byLease ? 1 : 0);
    case 'readAnswer':
      writer.varint(message.index);
      return writer.varint(message.commit);
  }
}

/** @throws Malformed unless it is 0 or 1 */
export function readFlag(reader: Reader): boolean {
  const flag = reader.u8();
  if (flag > 1) throw new Malformed('a flag is neither 0 nor 1');
  return flag === 1;
}

function readProposals(reader: Reader): readonly ForwardedProposal[] {
  const copy = reader.copied();
  const proposals: ForwardedProposal[] = [];
  let left = copy.count(LEAST_PROPOSAL);
  if (left === 0) throw new Malformed('a forward proposes something');
  for (; left > 0; left--) {
    const kind = kindOf(copy.u8());
    if (kind === 'noop') throw new Malformed('nobody proposes a noop');
    const retry = readFlag(copy);
    const id = readEntryId(copy);
    proposals.push({ kind, id, data: copy.bytes(), retry });
  }
  copy.end();
  return proposals;
}

function readPlaces(reader: Reader): readonly PlaceRun[] {
  const places: PlaceRun[] = [];
  let left = reader.count(2);
  if (left === 0) throw new Malformed('an accepted forward has places');
  for (; left > 0; left--) {
    const first = reader.varint();
    const count = reader.varint();
    if (count === 0 || first + count > Number.MAX_SAFE_INTEGER) throw new Malformed('a place is nowhere');
    places.push({ first, count });
  }
  return places;
}

function readLeader(reader: Reader): ReplicaId | null {
  const leader = reader.ascii(MAX_ID);
  if (leader === '') return null;
  if (!isReplicaId(leader)) throw new Malformed('a leader is no replica');
  return leader;
}

/** What `writeForwarding` wrote. @throws Malformed */
export function readForwarding(reader: Reader, kind: Forwarding['kind'], term: Term): Forwarding {
  const number = reader.varint();
  switch (kind) {
    case 'forwardProposals':
      return { kind, term, number, proposals: readProposals(reader) };
    case 'forwardRefused': {
      const reason = REFUSALS[reader.u8()];
      if (reason === undefined) throw new Malformed('a forward is refused for an unknown reason');
      return { kind, term, number, reason, leader: readLeader(reader) };
    }
    case 'forwardAccepted':
      return { kind, term, number, places: readPlaces(reader) };
    case 'forwardRead':
      return { kind, term, number, byLease: readFlag(reader) };
    case 'readAnswer':
      return { kind, term, number, index: reader.varint(), commit: reader.varint() };
  }
}
