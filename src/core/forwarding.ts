/**
 * Passing proposals and reads on to the leader: the same four messages in both protocols, and their bytes. A forward of
 * proposals is answered only when refused; success shows in the log.
 */

import { Malformed, type Reader, type Writer } from './bytes.js';
import { ENTRY_BODY_OVERHEAD, kindNumber, kindOf, readEntryId } from './record-codec.js';
import { isReplicaId, type ReplicaId } from './members.js';
import type { Index, Proposal, Term } from './protocol.js';

/** A proposal without what only its own host knows. */
export type ForwardedProposal = Omit<Proposal, 'request'>;

/** A follower to its leader: proposals of its own host. */
export interface ForwardProposals {
  readonly kind: 'forwardProposals';
  readonly term: Term;
  /** Names this forward; starts with the sender's boot. */
  readonly number: number;
  readonly proposals: readonly ForwardedProposal[];
}

/** Whoever was asked to the sender of a forward: nothing was appended. */
export interface ProposalsRefused {
  readonly kind: 'proposalsRefused';
  readonly term: Term;
  readonly number: number;
  readonly reason: 'notLeader' | 'busy';
  /** Who leads instead, `null` when unknown. */
  readonly leader: ReplicaId | null;
}

/** A follower to its leader: from which index on may a read of mine be served? */
export interface ForwardRead {
  readonly kind: 'forwardRead';
  readonly term: Term;
  readonly number: number;
}

/** A leader to who forwarded a read, once a round confirmed it; or whoever was asked, to say that it cannot. */
export interface ReadAnswer {
  readonly kind: 'readAnswer';
  readonly term: Term;
  readonly number: number;
  /** What the read must see; `null` when refused. */
  readonly index: Index | null;
  /** The leader's commit index. */
  readonly commit: Index;
}

export type Forwarding = ForwardProposals | ProposalsRefused | ForwardRead | ReadAnswer;

/** In the order of their numbers on the wire, after the protocol's own kinds. */
export const FORWARDING_KINDS = ['forwardProposals', 'proposalsRefused', 'forwardRead', 'readAnswer'] as const;

const MAX_ID = 64;

/** At most so many bytes, beside the fields of every message. */
export function sizeOfForwarding(message: Forwarding): number {
  if (message.kind !== 'forwardProposals') return MAX_ID;
  let size = 0;
  for (const proposal of message.proposals) size += ENTRY_BODY_OVERHEAD + 2 + proposal.data.length;
  return size;
}

/** Everything but kind and term. */
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
    case 'proposalsRefused':
      writer.u8(message.reason === 'busy' ? 1 : 0);
      return writer.ascii(message.leader ?? '');
    case 'forwardRead':
      return;
    case 'readAnswer':
      writer.varint(message.index === null ? 0 : message.index + 1);
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
  for (let left = copy.count(6); left > 0; left--) {
    const kind = kindOf(copy.u8());
    if (kind === 'noop') throw new Malformed('nobody proposes a noop');
    const retry = readFlag(copy);
    const id = readEntryId(copy);
    proposals.push({ kind, id, data: copy.bytes(), retry });
  }
  copy.end();
  return proposals;
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
    case 'proposalsRefused': {
      const reason = readFlag(reader) ? 'busy' : 'notLeader';
      return { kind, term, number, reason, leader: readLeader(reader) };
    }
    case 'forwardRead':
      return { kind, term, number };
    case 'readAnswer': {
      const index = reader.varint();
      return { kind, term, number, index: index === 0 ? null : index - 1, commit: reader.varint() };
    }
  }
}
