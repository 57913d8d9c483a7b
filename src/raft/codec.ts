/**
 * The encoding of Raft's messages: a version, a kind, the term, then the fields. The reader refuses what is not well
 * formed. It copies the data of a message's entries once, so that they do not retain received frames.
 */

import { Malformed, VARINT_MAX_BYTES, type Reader, type Writer } from '../core/bytes.js';
import { ENTRY_BODY_OVERHEAD, readEntryBody, writeEntryBody } from '../core/record-codec.js';
import {
  ELECTION_KINDS,
  isElectionMessage,
  readElectionMessage,
  writeElectionMessage,
  type ElectionMessage,
} from '../core/election-messages.js';
import {
  FORWARDING_KINDS,
  readFlag,
  readForwarding,
  sizeOfForwarding,
  writeForwarding,
  type Forwarding,
} from '../core/forwarding.js';
import type { Codec, Entry } from '../core/protocol.js';
import { MAX_TERM, type AppendEntries, type RaftMessage } from './messages.js';

const VERSION = 1;
const KINDS = [
  'requestVote',
  'requestVoteReply',
  'appendEntries',
  'appendAccepted',
  'appendRejected',
  'roundConfirmed',
  ...FORWARDING_KINDS,
  'commit',
  ...ELECTION_KINDS,
] as const satisfies readonly RaftMessage['kind'][];

const FIELDS = 2 + 8 * VARINT_MAX_BYTES;

function isForwarding(message: RaftMessage): message is Forwarding {
  return (FORWARDING_KINDS as readonly string[]).includes(message.kind);
}

function sizeOf(message: RaftMessage): number {
  let size = FIELDS;
  if (message.kind === 'appendEntries') {
    for (const entry of message.entries) size += ENTRY_BODY_OVERHEAD + VARINT_MAX_BYTES + entry.data.length;
  } else if (isForwarding(message)) size += sizeOfForwarding(message);
  return size;
}

function write(writer: Writer, message: RaftMessage): void {
  writer.u8(VERSION);
  writer.u8(KINDS.indexOf(message.kind));
  writer.varint(message.term);
  switch (message.kind) {
    case 'requestVote':
      writer.varint(message.lastIndex);
      writer.varint(message.lastTerm);
      return writer.u8(message.handover ? 1 : 0);
    case 'requestVoteReply':
      writer.u8(message.granted ? 1 : 0);
      return writer.varint(message.wall);
    case 'appendEntries':
      return writeAppend(writer, message);
    case 'appendAccepted':
      writer.varint(message.viewId);
      writer.varint(message.match);
      return writer.varint(message.wall);
    case 'appendRejected':
      writer.varint(message.viewId);
      writer.varint(message.prevIndex);
      writer.varint(message.hintIndex);
      return writer.varint(message.hintTerm);
    case 'roundConfirmed':
      writer.varint(message.viewId);
      return writer.varint(message.readRound);
    case 'commit':
      return writer.varint(message.commit);
    default:
      return isElectionMessage(message) ? writeElectionMessage(writer, message) : writeForwarding(writer, message);
  }
}

function writeAppend(writer: Writer, message: AppendEntries): void {
  writer.varint(message.viewId);
  writer.varint(message.prevIndex);
  writer.varint(message.prevTerm);
  writer.varint(message.commit);
  writer.varint(message.readRound);
  writer.varint(message.entries.length);
  let term = message.prevTerm;
  let time = 0;
  for (const entry of message.entries) {
    writer.varint(entry.term - term);
    term = entry.term;
    writeEntryBody(writer, entry, time);
    time = entry.time;
  }
}

function readAppend(reader: Reader, term: number): AppendEntries {
  const viewId = reader.varint();
  const prevIndex = reader.varint();
  const prevTerm = reader.varint();
  const commit = reader.varint();
  const readRound = reader.varint();
  if ((prevIndex === 0) !== (prevTerm === 0)) throw new Malformed('an append begins nowhere');
  const count = reader.count(4);
  if (prevIndex + count > Number.MAX_SAFE_INTEGER) throw new Malformed('an append goes too far');
  const copy = count === 0 ? reader : reader.copied();
  const entries: Entry[] = [];
  let entryTerm = prevTerm;
  let time = 0;
  for (let i = 0; i < count; i++) {
    entryTerm += copy.varint();
    if (entryTerm > term || entryTerm === 0) throw new Malformed('an entry is of a term that cannot be');
    const entry = readEntryBody(copy, prevIndex + 1 + i, entryTerm, time);
    time = entry.time;
    entries.push(entry);
  }
  copy.end();
  return { kind: 'appendEntries', term, viewId, prevIndex, prevTerm, entries, commit, readRound };
}

function readElection(reader: Reader, kind: ElectionMessage['kind'], term: number): ElectionMessage {
  const message = readElectionMessage(reader, kind, term);
  if (message.kind === 'preVoteReply' && message.current > MAX_TERM) throw new Malformed('a voter is in no term');
  return message;
}

function readFields(reader: Reader, kind: (typeof KINDS)[number], term: number): RaftMessage {
  switch (kind) {
    case 'requestVote':
      return { kind, term, lastIndex: reader.varint(), lastTerm: reader.varint(), handover: readFlag(reader) };
    case 'requestVoteReply':
      return { kind, term, granted: readFlag(reader), wall: reader.varint() };
    case 'appendEntries':
      return readAppend(reader, term);
    case 'appendAccepted':
      return { kind, term, viewId: reader.varint(), match: reader.varint(), wall: reader.varint() };
    case 'appendRejected': {
      const viewId = reader.varint();
      const prevIndex = reader.varint();
      return { kind, term, viewId, prevIndex, hintIndex: reader.varint(), hintTerm: reader.varint() };
    }
    case 'roundConfirmed':
      return { kind, term, viewId: reader.varint(), readRound: reader.varint() };
    case 'commit':
      return { kind, term, commit: reader.varint() };
    case 'preVote':
    case 'preVoteReply':
    case 'handover':
    case 'handoverRefused':
    case 'askGrant':
    case 'grant':
    case 'logBegins':
    case 'askTakeOver':
    case 'canTakeOver':
      return readElection(reader, kind, term);
    default:
      return readForwarding(reader, kind, term);
  }
}

function read(reader: Reader): RaftMessage {
  if (reader.u8() !== VERSION) throw new Malformed('a message is of an unknown version');
  const kind = KINDS[reader.u8()];
  if (kind === undefined) throw new Malformed('a message is of an unknown kind');
  const term = reader.varint();
  if (term === 0 || term > MAX_TERM) throw new Malformed('a message is of no term');
  const message = readFields(reader, kind, term);
  reader.end();
  return message;
}

export const raftCodec: Codec<RaftMessage> = { sizeOf, write, read };
