/**
 * Raft's messages as bytes: a version, a kind, the term, then the fields. The only door for what peers say: whatever
 * it lets in is well formed. Entries' data is copied once a message, so that received frames are not retained.
 */

import { Malformed, VARINT_MAX_BYTES, type Reader, type Writer } from '../core/bytes.js';
import { ENTRY_BODY_OVERHEAD, kindNumber, kindOf, readEntryBody, readEntryId, writeEntryBody } from '../core/durable.js';
import { isReplicaId } from '../core/members.js';
import type { Codec, Entry, ReplicaId } from '../core/protocol.js';
import type { AppendEntries, ForwardProposals, RaftMessage } from './messages.js';

const VERSION = 1;
const KINDS = [
  'requestVote',
  'requestVoteReply',
  'appendEntries',
  'appendAccepted',
  'appendRejected',
  'roundConfirmed',
  'forwardProposals',
  'proposalsRefused',
  'forwardRead',
  'readAnswer',
] as const satisfies readonly RaftMessage['kind'][];

const FIELDS = 2 + 8 * VARINT_MAX_BYTES;
const MAX_ID = 64;

function sizeOf(message: RaftMessage): number {
  let size = FIELDS;
  if (message.kind === 'appendEntries') {
    for (const entry of message.entries) size += ENTRY_BODY_OVERHEAD + VARINT_MAX_BYTES + entry.data.length;
  } else if (message.kind === 'forwardProposals') {
    for (const proposal of message.proposals) size += ENTRY_BODY_OVERHEAD + 2 + proposal.data.length;
  } else if (message.kind === 'proposalsRefused') size += MAX_ID;
  return size;
}

function write(writer: Writer, message: RaftMessage): void {
  writer.u8(VERSION);
  writer.u8(KINDS.indexOf(message.kind));
  writer.varint(message.term);
  switch (message.kind) {
    case 'requestVote':
      writer.varint(message.lastIndex);
      return writer.varint(message.lastTerm);
    case 'requestVoteReply':
      return writer.u8(message.granted ? 1 : 0);
    case 'appendEntries':
      return writeAppend(writer, message);
    case 'appendAccepted':
      writer.varint(message.session);
      return writer.varint(message.match);
    case 'appendRejected':
      writer.varint(message.session);
      writer.varint(message.prevIndex);
      writer.varint(message.hintIndex);
      return writer.varint(message.hintTerm);
    case 'roundConfirmed':
      writer.varint(message.session);
      return writer.varint(message.round);
    case 'forwardProposals':
      return writeForward(writer, message);
    case 'proposalsRefused':
      writer.varint(message.number);
      writer.u8(message.reason === 'busy' ? 1 : 0);
      return writer.ascii(message.leader ?? '');
    case 'forwardRead':
      return writer.varint(message.number);
    case 'readAnswer':
      writer.varint(message.number);
      return writer.varint(message.index);
  }
}

function writeAppend(writer: Writer, message: AppendEntries): void {
  writer.varint(message.session);
  writer.varint(message.prevIndex);
  writer.varint(message.prevTerm);
  writer.varint(message.commit);
  writer.varint(message.round);
  writer.varint(message.entries.length);
  let term = message.prevTerm;
  for (const entry of message.entries) {
    writer.varint(entry.term - term);
    term = entry.term;
    writeEntryBody(writer, entry);
  }
}

function writeForward(writer: Writer, message: ForwardProposals): void {
  writer.varint(message.number);
  writer.varint(message.proposals.length);
  for (const { kind, id, data, retry } of message.proposals) {
    writer.u8(kindNumber(kind));
    writer.u8(retry ? 1 : 0);
    writer.varint(id.origin);
    writer.varint(id.counter);
    writer.varint(id.lowest);
    writer.bytes(data);
  }
}

function readFlag(reader: Reader): boolean {
  const flag = reader.u8();
  if (flag > 1) throw new Malformed('a flag is neither 0 nor 1');
  return flag === 1;
}

function readAppend(reader: Reader, term: number): AppendEntries {
  const session = reader.varint();
  const prevIndex = reader.varint();
  const prevTerm = reader.varint();
  const commit = reader.varint();
  const round = reader.varint();
  if ((prevIndex === 0) !== (prevTerm === 0)) throw new Malformed('an append begins nowhere');
  const count = reader.count(3);
  if (prevIndex + count > Number.MAX_SAFE_INTEGER) throw new Malformed('an append goes too far');
  const copy = count === 0 ? reader : reader.copied();
  const entries: Entry[] = [];
  let entryTerm = prevTerm;
  for (let i = 0; i < count; i++) {
    entryTerm += copy.varint();
    if (entryTerm > term || entryTerm === 0) throw new Malformed('an entry is of a term that cannot be');
    entries.push(readEntryBody(copy, prevIndex + 1 + i, entryTerm));
  }
  copy.end();
  return { kind: 'appendEntries', term, session, prevIndex, prevTerm, entries, commit, round };
}

function readForward(reader: Reader, term: number): ForwardProposals {
  const number = reader.varint();
  const copy = reader.copied();
  const proposals: ForwardProposals['proposals'][number][] = [];
  for (let left = copy.count(6); left > 0; left--) {
    const kind = kindOf(copy.u8());
    if (kind === 'noop') throw new Malformed('nobody proposes a noop');
    const retry = readFlag(copy);
    const id = readEntryId(copy);
    proposals.push({ kind, id, data: copy.bytes(), retry });
  }
  copy.end();
  return { kind: 'forwardProposals', term, number, proposals };
}

function readLeader(reader: Reader): ReplicaId | null {
  const leader = reader.ascii(MAX_ID);
  if (leader === '') return null;
  if (!isReplicaId(leader)) throw new Malformed('a leader is no replica');
  return leader;
}

function readFields(reader: Reader, kind: (typeof KINDS)[number], term: number): RaftMessage {
  switch (kind) {
    case 'requestVote':
      return { kind, term, lastIndex: reader.varint(), lastTerm: reader.varint() };
    case 'requestVoteReply':
      return { kind, term, granted: readFlag(reader) };
    case 'appendEntries':
      return readAppend(reader, term);
    case 'appendAccepted':
      return { kind, term, session: reader.varint(), match: reader.varint() };
    case 'appendRejected': {
      const session = reader.varint();
      const prevIndex = reader.varint();
      return { kind, term, session, prevIndex, hintIndex: reader.varint(), hintTerm: reader.varint() };
    }
    case 'roundConfirmed':
      return { kind, term, session: reader.varint(), round: reader.varint() };
    case 'forwardProposals':
      return readForward(reader, term);
    case 'proposalsRefused': {
      const number = reader.varint();
      const reason = readFlag(reader) ? 'busy' : 'notLeader';
      return { kind, term, number, reason, leader: readLeader(reader) };
    }
    case 'forwardRead':
      return { kind, term, number: reader.varint() };
    case 'readAnswer':
      return { kind, term, number: reader.varint(), index: reader.varint() };
  }
}

function read(reader: Reader): RaftMessage {
  if (reader.u8() !== VERSION) throw new Malformed('a message is of an unknown version');
  const kind = KINDS[reader.u8()];
  if (kind === undefined) throw new Malformed('a message is of an unknown kind');
  const term = reader.varint();
  if (term === 0) throw new Malformed('a message is of no term');
  const message = readFields(reader, kind, term);
  if (kind !== 'appendEntries' && kind !== 'forwardProposals') reader.end();
  return message;
}

export const raftCodec: Codec<RaftMessage> = { sizeOf, write, read };
