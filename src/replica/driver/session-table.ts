/**
 * The session table, for the question: has this proposal taken effect already, on whichever replica it was proposed,
 * and with what result (thesis 6.3; RIFL: completion records)? It is computed from the applied entries alone, so it is
 * the same on every replica at the same index. With it a proposal that stands in the log twice takes effect once.
 *
 * A session is one start of one replica; its id is the index of the entry by which it was opened. The table is bounded:
 * by the number of sessions, by the window of each, and by the bytes of results that each may hold. Bytes are checked
 * only where the index is a multiple of `CHECK_EVERY`, so that a replica may apply the entries between two such indexes
 * as one batch without knowing their results.
 */

import { Malformed, Reader, Writer } from '../../core/bytes.js';
import type { Mutable } from '../../core/draft.js';
import { isReplicaId, type Constants, type ReplicaId } from '../../core/members.js';
import type { Entry, EntryId, Index } from '../../core/protocol.js';

export const CHECK_EVERY = 256;

/** The result of a command. Primitives are kept as they are, other values encoded. */
export interface StoredResult {
  /** The machine threw `CommandRejected` (or, by `onApplyError`, anything): `value` is the reason. */
  readonly rejected: boolean;
  /** It threw something else than `CommandRejected`, so that it may have changed its state before. */
  readonly threw?: boolean;
  readonly value: undefined | null | boolean | number | Uint8Array;
  /** Of a command of a client's session: why it was refused. */
  readonly refusal?: SessionRefusal;
}

/**
 * `expired`: the session is not in the table. `fenced`: it was attached since. `busy`: there is no room. `reused`: the
 * sequence is another command's. `completed`: its client has said that it is done with the sequence.
 */
export type SessionRefusal = 'expired' | 'fenced' | 'busy' | 'reused' | 'completed';

/** The data of an `openSession` entry: which start of which replica opens a session. */
export interface SessionOpening {
  readonly replica: ReplicaId;
  readonly incarnation: number;
  readonly boot: number;
  /** Drawn at the start: two starts with one boot number are two, and the storage of the later one was set back. */
  readonly start: number;
}

/** One session of the table. */
export interface Session extends SessionOpening {
  /** The index of its `openSession` entry. */
  readonly id: Index;
  /** The session waits for no sequence below this. */
  readonly firstIncomplete: number;
  /** Results by sequence, from `firstIncomplete` on: `null` if not applied yet, `PENDING` while being applied. */
  readonly results: readonly (StoredResult | null)[];
  /** Where each of these took effect; 0 if it is not applied yet. */
  readonly indexes: readonly Index[];
  readonly bytes: number;
  /** The index of its newest entry. */
  readonly lastIndex: Index;
}

/** All sessions. */
export interface SessionTable {
  readonly sessions: readonly Session[];
}

export const emptyTable: SessionTable = { sessions: [] };

/** Stands for the result of a command that the machine is applying. */
const PENDING: StoredResult = { rejected: false, value: undefined };
/** Bytes that a result counts for beside its encoded value. */
const RESULT_BYTES = 16;

/**
 * Whether a command is applied. `new`: it is. `known`: it was applied before. `refused`: its session is not in the
 * table or its sequence is outside the session's window, so it never takes effect under this id.
 */
export type Verdict = 'new' | 'known' | 'refused';

export function encodeSessionOpening(opening: SessionOpening): Uint8Array {
  const writer = new Writer(96);
  writer.ascii(opening.replica);
  writer.varint(opening.incarnation);
  writer.varint(opening.boot);
  writer.varint(opening.start);
  return writer.finish();
}

/** Returns `null` for malformed data: such an entry opens no session, on any replica. */
export function decodeSessionOpening(data: Uint8Array): SessionOpening | null {
  try {
    const reader = new Reader(data);
    const replica = reader.ascii(64);
    const opening = { replica, incarnation: reader.varint(), boot: reader.varint(), start: reader.varint() };
    reader.end();
    return isReplicaId(opening.replica) ? opening : null;
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}

interface WorkingSession extends Omit<Mutable<Session>, 'results' | 'indexes'> {
  results: (StoredResult | null)[];
  indexes: Index[];
}

/** Written as a literal, like every copy of a state. */
function copyOf(session: Session): WorkingSession {
  const { replica, incarnation, boot, start, id, firstIncomplete, bytes, lastIndex } = session;
  const [results, indexes] = [session.results.slice(), session.indexes.slice()];
  return { replica, incarnation, boot, start, id, firstIncomplete, results, indexes, bytes, lastIndex };
}

/** Bytes that a result counts for in the bounds of the table. */
export function resultBytes(result: StoredResult | null): number {
  if (result === null) return 0;
  return result.value instanceof Uint8Array ? RESULT_BYTES + result.value.length : RESULT_BYTES;
}

/** A private copy of the table for a run of entries; `finish` gives the new value. */
export class SessionTableDraft {
  declare private readonly before: SessionTable;
  declare private readonly constants: Constants;
  declare private sessions: Session[] | null;
  declare private readonly working: Map<Index, WorkingSession>;
  /** The one edited last: the commands of a run mostly come from one. */
  declare private latest: WorkingSession | undefined;

  constructor(table: SessionTable, constants: Constants) {
    this.before = table;
    this.constants = constants;
    this.sessions = null;
    this.working = new Map();
    this.latest = undefined;
  }

  private get all(): readonly Session[] {
    return this.sessions ?? this.before.sessions;
  }

  private edit(id: Index): WorkingSession | undefined {
    if (this.latest?.id === id) return this.latest;
    const session = this.working.get(id) ?? this.copied(id);
    this.latest = session;
    return session;
  }

  private copied(id: Index): WorkingSession | undefined {
    const session = this.all.find((each) => each.id === id);
    if (session === undefined) return undefined;
    const copy = copyOf(session);
    this.sessions = this.all.map((each) => (each === session ? copy : each));
    this.working.set(id, copy);
    return copy;
  }

  private remove(ends: (session: Session) => boolean): void {
    if (!this.all.some(ends)) return;
    for (const session of this.all) if (ends(session)) this.working.delete(session.id);
    this.latest = undefined;
    this.sessions = this.all.filter((session) => !ends(session));
  }

  has(id: Index): boolean {
    return this.all.some((session) => session.id === id);
  }

  /**
   * Applies an `openSession` entry. Returns the session's id, which is an earlier index if this start has opened it
   * before; `null` if a later start of the same replica has opened one already, or another one of the same boot.
   */
  openSession(opening: SessionOpening, index: Index): Index | null {
    const { replica, incarnation, boot, start } = opening;
    const same = this.all.find((session) => session.replica === replica && session.incarnation === incarnation);
    if (same !== undefined && same.boot > boot) return null;
    if (same !== undefined && same.boot === boot) return same.start === start ? same.id : null;
    this.remove((session) => session.replica === replica);
    const fresh = {
      replica,
      incarnation,
      boot,
      start,
      id: index,
      firstIncomplete: 1,
      results: [],
      indexes: [],
      bytes: 0,
      lastIndex: index,
    };
    this.sessions = [...this.all, fresh];
    if (this.sessions.length > this.constants.sessions) this.dropOldest(index);
    return index;
  }

  private dropOldest(spared: Index): void {
    let oldest: Session | undefined;
    for (const session of this.all) {
      if (session.id !== spared && (oldest === undefined || session.lastIndex < oldest.lastIndex)) oldest = session;
    }
    this.remove((session) => session === oldest);
  }

  /** Called before the entry at `index`: at multiples of `CHECK_EVERY` drops sessions that hold too many bytes. */
  check(index: Index): void {
    if (index % CHECK_EVERY === 0) this.remove((session) => session.bytes > this.constants.sessionBytes);
  }

  /** Whether a command is applied. A `new` one is noted as pending; `record` must follow. */
  admit(entry: Entry): Verdict {
    const id = entry.id as EntryId;
    const session = this.edit(id.session);
    if (session === undefined || id.sequence < session.firstIncomplete || id.firstIncomplete > id.sequence)
      return 'refused';
    session.lastIndex = entry.index;
    if (id.firstIncomplete > session.firstIncomplete) this.raise(session, id.firstIncomplete);
    const at = id.sequence - session.firstIncomplete;
    if (at >= this.constants.sessionWindow) return 'refused';
    if ((session.results[at] ?? null) !== null) return 'known';
    while (session.results.length <= at) {
      session.results.push(null);
      session.indexes.push(0);
    }
    session.results[at] = PENDING;
    session.indexes[at] = entry.index;
    session.bytes += resultBytes(PENDING);
    return 'new';
  }

  private raise(session: WorkingSession, firstIncomplete: number): void {
    const gone = session.results.splice(0, firstIncomplete - session.firstIncomplete);
    session.indexes.splice(0, firstIncomplete - session.firstIncomplete);
    for (const result of gone) session.bytes -= resultBytes(result);
    session.firstIncomplete = firstIncomplete;
  }

  /**
   * Keeps the result of a `new` command, unless its session no longer waits for that sequence.
   * @param index where it took effect, if that is an earlier entry
   */
  record(id: EntryId, result: StoredResult, index?: Index): void {
    const session = this.edit(id.session);
    if (session === undefined || id.sequence < session.firstIncomplete) return;
    const at = id.sequence - session.firstIncomplete;
    session.bytes += resultBytes(result) - resultBytes(session.results[at] ?? null);
    session.results[at] = result;
    if (index !== undefined) session.indexes[at] = index;
  }

  finish(): SessionTable {
    return this.sessions === null ? this.before : { sessions: this.sessions };
  }
}
