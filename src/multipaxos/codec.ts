/**
 * The encoding of Multi-Paxos' messages: a version, a kind, the fields, and entries last, as runs of consecutive slots
 * with one ballot. Each message has one encoding; the reader refuses every other one as `Malformed`, and allocates no
 * more than the input is long.
 */

import { Malformed, Reader, VARINT_MAX_BYTES, type Writer } from '../core/bytes.js';
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
  type ReadAnswer,
} from '../core/forwarding.js';
import { ENTRY_BODY_OVERHEAD } from '../core/record-codec.js';
import type { Codec, Entry } from '../core/protocol.js';
import {
  ballotIn,
  checkBallot,
  checkSlot,
  copied,
  LEAST_ENTRY,
  markIn,
  readRun,
  readRuns,
  readSpans,
  slotIn,
  writeBodies,
  writeRuns,
  writeSpans,
} from './codec-entries.js';
import type { Accept, CatchUpReply, PaxosMessage, Prepare, PromisePage } from './messages.js';

const VERSION = 1;
const MAX_ID = 64;
/** The kinds by number, from 1 on. */
const KINDS: readonly (PaxosMessage['kind'] | null)[] = [
  null,
  'prepare',
  'promise',
  'nack',
  'accept',
  'accepted',
  'heartbeat',
  'heartbeatReply',
  'commit',
  'catchUp',
  'catchUpReply',
  ...FORWARDING_KINDS,
  ...ELECTION_KINDS,
  'askSlots',
  'slots',
];
const NUMBERS = Object.freeze(
  Object.fromEntries(KINDS.flatMap((kind, at) => (kind === null ? [] : [[kind, at]]))),
) as Readonly<Record<PaxosMessage['kind'], number>>;
/** Version, kind, and up to five integers. */
const HEAD_BYTES = 2 + 5 * VARINT_MAX_BYTES + MAX_ID;

function entriesBytes(entries: readonly { readonly data: Uint8Array }[], each: number): number {
  let bytes = VARINT_MAX_BYTES;
  for (let i = 0; i < entries.length; i++) bytes += each + (entries[i] as { data: Uint8Array }).data.length;
  return bytes;
}

/** An upper bound of what `write` gives. */
function sizeOf(m: PaxosMessage): number {
  switch (m.kind) {
    case 'accept':
      return HEAD_BYTES + entriesBytes(m.entries, ENTRY_BODY_OVERHEAD);
    case 'prepare':
      return HEAD_BYTES + 3 * VARINT_MAX_BYTES * m.held.length;
    case 'promise':
      return HEAD_BYTES + entriesBytes(m.votes, ENTRY_BODY_OVERHEAD + 3 * VARINT_MAX_BYTES);
    case 'catchUpReply':
      return HEAD_BYTES + entriesBytes(m.entries, ENTRY_BODY_OVERHEAD + 3 * VARINT_MAX_BYTES);
    case 'forwardProposals':
      return HEAD_BYTES + sizeOfForwarding(m);
    default:
      return HEAD_BYTES;
  }
}

function write(writer: Writer, m: PaxosMessage): void {
  writer.u8(VERSION);
  writer.u8(NUMBERS[m.kind]);
  switch (m.kind) {
    case 'prepare':
      return writePrepare(writer, m);
    case 'promise':
      writer.varint(m.ballot);
      writer.varint(m.from);
      writer.varint(m.commit);
      writer.varint(m.next);
      writer.varint(m.rest);
      writer.varint(m.wall);
      return writeRuns(writer, m.votes);
    case 'nack':
      writer.varint(m.ballot);
      writer.varint(m.promised);
      return writer.varint(m.commit);
    case 'accept':
      return writeAccept(writer, m);
    case 'accepted':
      writer.varint(m.ballot);
      writer.varint(m.from);
      writer.varint(m.to);
      return writer.varint(m.commit);
    case 'heartbeat':
      writer.varint(m.ballot);
      writer.varint(m.commit);
      return writer.varint(m.readRound);
    case 'heartbeatReply':
      writer.varint(m.ballot);
      writer.varint(m.readRound);
      writer.varint(m.commit);
      writer.varint(m.durable);
      return writer.varint(m.wall);
    case 'commit':
      writer.varint(m.ballot);
      return writer.varint(m.commit);
    case 'catchUp':
      writer.varint(m.number);
      writer.varint(m.from);
      writer.varint(m.to);
      return writer.varint(m.bytes);
    case 'catchUpReply':
      writer.varint(m.number);
      writer.varint(m.commit);
      writer.varint(m.rest);
      return writeRuns(writer, m.entries);
    case 'askSlots':
      return writer.varint(m.number);
    case 'slots':
      writer.varint(m.number);
      return writer.varint(m.highest);
    default:
      writer.varint(m.term);
      return isElectionMessage(m) ? writeElectionMessage(writer, m) : writeForwarding(writer, m);
  }
}

function writePrepare(writer: Writer, { ballot, from, first, pages, handover, held }: Prepare): void {
  writer.varint(ballot);
  writer.varint(from);
  writer.u8(first ? 1 : 0);
  writer.varint(pages);
  writer.u8(handover ? 1 : 0);
  writeSpans(writer, held);
}

function writeAccept(writer: Writer, { ballot, commit, entries }: Accept): void {
  writer.varint(ballot);
  writer.varint(commit);
  writer.varint((entries[0] as Entry).index);
  writer.varint(entries.length);
  writeBodies(writer, entries, 0, entries.length);
}

// Reading.

function readAccept(input: Reader): Accept {
  const ballot = ballotIn(input);
  const commit = markIn(input);
  const from = slotIn(input);
  const reader = copied(input);
  const length = reader.count(LEAST_ENTRY);
  if (length === 0) throw new Malformed('an Accept proposes something');
  const entries: Entry[] = [];
  readRun(reader, entries, from, ballot, length);
  reader.end();
  return { kind: 'accept', ballot, commit, entries };
}

function readPrepare(reader: Reader): Prepare {
  const ballot = ballotIn(reader);
  const from = slotIn(reader);
  const first = readFlag(reader);
  const pages = reader.varint();
  const handover = readFlag(reader);
  return { kind: 'prepare', ballot, from, first, pages, handover, held: readSpans(reader) };
}

function readPromise(reader: Reader): PromisePage {
  const ballot = ballotIn(reader);
  const from = slotIn(reader);
  const commit = markIn(reader);
  const next = markIn(reader);
  const rest = markIn(reader);
  const wall = reader.varint();
  return { kind: 'promise', ballot, from, commit, next, rest, votes: readRuns(reader), wall };
}

function readCatchUp(reader: Reader): PaxosMessage {
  const number = reader.varint();
  const [from, to] = [slotIn(reader), slotIn(reader)];
  if (to < from) throw new Malformed('a range ends before it begins');
  return { kind: 'catchUp', number, from, to, bytes: reader.varint() };
}

function readCatchUpReply(reader: Reader): CatchUpReply {
  const number = reader.varint();
  const commit = markIn(reader);
  const rest = markIn(reader);
  const entries = readRuns(reader);
  for (let i = 1; i < entries.length; i++) {
    if ((entries[i] as Entry).index !== (entries[i - 1] as Entry).index + 1) throw new Malformed('a page has a gap');
  }
  const last = entries[entries.length - 1];
  if (last !== undefined && last.index > commit) throw new Malformed('a page goes beyond what is chosen');
  return { kind: 'catchUpReply', number, commit, rest, entries };
}

function readAccepted(reader: Reader): PaxosMessage {
  const ballot = ballotIn(reader);
  const from = markIn(reader);
  const to = markIn(reader);
  if (to < from || (from === 0 && to !== 0)) throw new Malformed('a range ends before it begins');
  return { kind: 'accepted', ballot, from, to, commit: markIn(reader) };
}

function readAnswer(reader: Reader): PaxosMessage {
  const message = readForwarding(reader, 'readAnswer', ballotIn(reader)) as ReadAnswer;
  checkSlot(message.index);
  checkSlot(message.commit);
  return message;
}

function readElection(reader: Reader, kind: ElectionMessage['kind']): PaxosMessage {
  const message = readElectionMessage(reader, kind, ballotIn(reader));
  if (message.kind === 'preVote') checkSlot(message.lastIndex);
  else if (message.kind === 'preVoteReply' && message.current !== 0) checkBallot(message.current);
  return message;
}

function readKind(reader: Reader, kind: PaxosMessage['kind']): PaxosMessage {
  switch (kind) {
    case 'prepare':
      return readPrepare(reader);
    case 'promise':
      return readPromise(reader);
    case 'nack':
      return { kind, ballot: ballotIn(reader), promised: ballotIn(reader), commit: markIn(reader) };
    case 'accept':
      return readAccept(reader);
    case 'accepted':
      return readAccepted(reader);
    case 'heartbeat':
      return { kind, ballot: ballotIn(reader), commit: markIn(reader), readRound: reader.varint() };
    case 'heartbeatReply': {
      const [ballot, readRound] = [ballotIn(reader), reader.varint()];
      return { kind, ballot, readRound, commit: markIn(reader), durable: markIn(reader), wall: reader.varint() };
    }
    case 'commit':
      return { kind, ballot: ballotIn(reader), commit: markIn(reader) };
    case 'catchUp':
      return readCatchUp(reader);
    case 'catchUpReply':
      return readCatchUpReply(reader);
    case 'askSlots':
      return { kind, number: reader.varint() };
    case 'slots':
      return { kind, number: reader.varint(), highest: markIn(reader) };
    case 'forwardRefused':
      return readForwarding(reader, kind, reader.varint()); // whoever refuses may have promised nothing yet
    case 'readAnswer':
      return readAnswer(reader);
    case 'preVote':
    case 'preVoteReply':
    case 'handover':
    case 'handoverRefused':
    case 'askGrant':
    case 'grant':
    case 'logBegins':
    case 'askTakeOver':
    case 'canTakeOver':
      return readElection(reader, kind);
    default:
      return readForwarding(reader, kind, ballotIn(reader));
  }
}

function read(reader: Reader): PaxosMessage {
  if (reader.u8() !== VERSION) throw new Malformed('a message is of an unknown version');
  const kind = KINDS[reader.u8()];
  if (kind === undefined || kind === null) throw new Malformed('a message is of an unknown kind');
  const message = readKind(reader, kind);
  reader.end();
  return message;
}

export const paxosCodec: Codec<PaxosMessage> = { sizeOf, write, read };
