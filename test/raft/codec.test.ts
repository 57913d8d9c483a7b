/** Raft's bytes on the wire: pinned by a golden file, and strict. */

import { describe, expect, it } from 'vitest';
import { Malformed, Reader, Writer } from '../../src/core/bytes.js';
import { raftCodec } from '../../src/raft/codec.js';
import type { RaftMessage } from '../../src/raft/messages.js';
import { expectGolden, goldenJson } from '../golden.js';
import { entry } from './support.js';

const GOLDEN = new URL('./golden/messages.json', import.meta.url);

const id = { session: 3, sequence: 300, firstIncomplete: 299 };
const noop = { index: 9, term: 7, kind: 'noop', time: 0, id: null, data: new Uint8Array(0) } as const;
const messages: readonly RaftMessage[] = [
  { kind: 'requestVote', term: 7, lastIndex: 300, lastTerm: 6, handover: false },
  { kind: 'requestVoteReply', wall: 0, term: 7, granted: true },
  {
    kind: 'appendEntries',
    term: 7,
    viewId: 2 ** 33,
    prevIndex: 7,
    prevTerm: 5,
    entries: [entry(8, 6), noop],
    commit: 7,
    readRound: 2,
  },
  { kind: 'appendAccepted', wall: 0, term: 7, viewId: 2 ** 33, match: 9 },
  { kind: 'appendRejected', term: 7, viewId: 1, prevIndex: 9, hintIndex: 8, hintTerm: 4 },
  { kind: 'roundConfirmed', term: 7, viewId: 1, readRound: 2 },
  {
    kind: 'forwardProposals',
    term: 7,
    number: 2 ** 32 + 1,
    proposals: [{ kind: 'command', id, data: new Uint8Array([1, 2]), retry: true }],
  },
  { kind: 'forwardRefused', term: 7, number: 5, reason: 'busy', leader: 'b' },
  { kind: 'forwardRead', term: 7, number: 6, byLease: true },
  { kind: 'askGrant', term: 7, number: 2 ** 32 + 4 },
  { kind: 'grant', term: 7, number: 2 ** 32 + 4, length: 900 },
  { kind: 'logBegins', term: 7, number: 0, first: 900 },
  { kind: 'preVote', term: 7, number: 2 ** 32 + 5, lastIndex: 300, lastTerm: 6, handover: true },
  { kind: 'preVoteReply', term: 7, number: 2 ** 32 + 5, current: 6, granted: false },
  { kind: 'handover', term: 7, number: 2 ** 32 + 9 },
  { kind: 'handoverRefused', term: 7, number: 2 ** 32 + 9 },
  { kind: 'askTakeOver', term: 7, number: 2 ** 32 + 6 },
  { kind: 'canTakeOver', term: 7, number: 2 ** 32 + 6 },
  { kind: 'readAnswer', term: 7, number: 6, index: 8, commit: 9 },
  {
    kind: 'forwardAccepted',
    term: 7,
    number: 2 ** 32 + 1,
    places: [
      { first: 300, count: 4 },
      { first: 0, count: 1 },
    ],
  },
  { kind: 'commit', term: 7, commit: 300 },
];

function bytesOf(message: RaftMessage): Uint8Array {
  const writer = new Writer(raftCodec.sizeOf(message));
  raftCodec.write(writer, message);
  expect(writer.size, 'sizeOf is an upper bound').toBeLessThanOrEqual(raftCodec.sizeOf(message));
  return writer.finish();
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const read = (bytes: Uint8Array): RaftMessage => raftCodec.read(new Reader(bytes));

describe('codec', () => {
  it('the bytes of every kind are those of the golden file', () => {
    const actual = Object.fromEntries(messages.map((message) => [message.kind, hex(bytesOf(message))]));
    expectGolden(GOLDEN, goldenJson(actual));
  });

  it.each(messages)('$kind comes back as it was', (message) => {
    expect(read(bytesOf(message))).toEqual(message);
  });

  it.each(messages)('$kind is refused when cut anywhere, or with anything after it', (message) => {
    const bytes = bytesOf(message);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => read(bytes.slice(0, length)), String(length)).toThrow(Malformed);
    }
    expect(() => read(new Uint8Array([...bytes, 0]))).toThrow(Malformed);
  });

  it('refuses another version, an unknown kind, no term, and entries of terms that cannot be', () => {
    const [vote] = messages as [RaftMessage];
    const bytes = bytesOf(vote);
    expect(() => read(new Uint8Array([2, ...bytes.slice(1)]))).toThrow(/version/);
    expect(() => read(new Uint8Array([1, 99, ...bytes.slice(2)]))).toThrow(/kind/);
    expect(() => read(bytesOf({ ...vote, term: 0 }))).toThrow(/term/);
    const append = messages[2] as Extract<RaftMessage, { kind: 'appendEntries' }>;
    expect(() => read(bytesOf({ ...append, entries: [entry(8, 8)] }))).toThrow(/term/);
    expect(() => read(bytesOf({ ...append, prevIndex: 0 }))).toThrow(/nowhere/);
  });

  it('refuses an accepted forward without places, or with places that cannot be', () => {
    const accepted = messages.find(({ kind }) => kind === 'forwardAccepted') as RaftMessage;
    expect(() => read(bytesOf({ ...accepted, places: [] } as RaftMessage))).toThrow(/places/);
    for (const place of [
      { first: 5, count: 0 },
      { first: Number.MAX_SAFE_INTEGER, count: 1 },
    ]) {
      expect(() => read(bytesOf({ ...accepted, places: [place] } as RaftMessage)), String(place)).toThrow(/nowhere/);
    }
  });

  it('what it gives does not hold on to the frame it came in', () => {
    const append = messages[2] as Extract<RaftMessage, { kind: 'appendEntries' }>;
    const frame = new Uint8Array(100_000);
    const bytes = bytesOf(append);
    frame.set(bytes, 50_000);
    const back = read(frame.subarray(50_000, 50_000 + bytes.length)) as typeof append;
    expect(back.entries[0]?.data.buffer.byteLength).toBeLessThanOrEqual(bytes.length);
  });
});
