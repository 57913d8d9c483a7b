/**
 * The sessions of clients, for the question: has this command of a client taken effect already, whichever process of
 * the client proposed it, on whichever replica, and with what result (thesis 6.3; RIFL)? Like the session table it is
 * computed from the applied entries alone.
 *
 * A session is named by its client. Whoever asks for the name again attaches the session, which fences those who had
 * it before (sessions/epoch-fences). A sequence is the client's own: with the data of its first command it is answered
 * with the first result (sessions/retry-gets-the-first-result), with other data it is refused
 * (sessions/sequence-is-one-command), until the client is done with it. A session goes when its client has given no
 * sign for `clientSessionTime` of log time, of which no gap counts for more than `mostGap`
 * (sessions/expires-by-log-time).
 * None is evicted before: without room a new one is refused, and so are proposals (sessions/rooms-are-bounded).
 *
 * Bytes are weighed only where the index is a multiple of `CHECK_EVERY`, as in the session table. While there are too
 * many no new command is taken, so all results are known, and what goes makes room at once.
 */

import {
  earliestDeadline,
  itemsDue,
  itemsKeyed,
  itemsOf,
  splitAfter,
  withItem,
  withItems,
  withoutItem,
  type Book,
  type BookItem,
} from '../../core/book.js';
import type { Constants } from '../../core/members.js';
import type { Index, Milliseconds } from '../../core/protocol.js';
import type { ClientCommand, ClientEpoch, ClientPropose } from './client-commands.js';
import { hashOf } from './hash.js';
import type { SessionRefusal, StoredResult } from './session-table.js';

/** A command that took effect, or is being applied. `key` is its sequence, `at` where it took effect. */
export interface ClientResult extends BookItem {
  /** Of its data. */
  readonly digest: string;
  /** `null` while it is being applied. */
  readonly result: StoredResult | null;
}

/**
 * `key` is the index of the entry that opened it, its id; `at` that of its newest attach, its epoch; `deadline` when it
 * goes, in expiry time (`ApplyingState`).
 */
export interface StoredClientSession extends BookItem {
  readonly name: string;
  readonly firstIncomplete: number;
  /** From `firstIncomplete` on. */
  readonly results: Book<ClientResult>;
  /** What it counts for in the bounds of the table. */
  readonly bytes: number;
}

export interface ClientTable {
  readonly sessions: Book<StoredClientSession>;
  /** How many there are, and the bytes of all. */
  readonly count: number;
  readonly bytes: number;
  /** By how many bytes there were too many when they were weighed last, less what has gone since; 0: there is room. */
  readonly excess: number;
}

export const noClients: ClientTable = { sessions: null, count: 0, bytes: 0, excess: 0 };

/** What becomes of a command: the machine applies it, it waits for an earlier copy, or it is answered. */
export type ClientVerdict =
  | { readonly kind: 'new' | 'pending' }
  | { readonly kind: 'answer'; readonly result: StoredResult; readonly index: Index };

/** The longest of the gaps that count, in milliseconds. */
const MINUTE = 60_000;

/** Handles renew their session so often within its time. */
export const RENEWALS = 3;

/**
 * Of a gap of log time between two entries no more counts for what expires: neither an outage nor a jump of the clocks
 * does. A session that was renewed in time lives through any gap, and is renewed before a second one counts
 * (time/gaps-count-little).
 */
export function mostGap({ clientSessionTime }: Constants): Milliseconds {
  return Math.min(MINUTE, Math.floor(clientSessionTime / RENEWALS));
}

/** Bytes that a session and a result count for beside the name and the value. */
const SESSION_BYTES = 128;
const RESULT_BYTES = 64;

const DONE: StoredResult = { rejected: false, value: undefined };

export function refused(refusal: SessionRefusal): StoredResult {
  return { rejected: false, value: undefined, refusal };
}

function bytesOf(result: StoredResult | null): number {
  return RESULT_BYTES + (result?.value instanceof Uint8Array ? result.value.length : 0);
}

function bytesOfResults(results: Book<ClientResult>): number {
  return itemsOf(results).reduce((sum, { result }) => sum + bytesOf(result), 0);
}

/** With the bytes that it counts for. */
export function weighed(session: Omit<StoredClientSession, 'bytes'>): StoredClientSession {
  const { key, deadline, at, name, firstIncomplete, results } = session;
  const bytes = SESSION_BYTES + name.length + bytesOfResults(results);
  return { key, deadline, at, name, firstIncomplete, results, bytes };
}

/** A table of these sessions. */
export function clientTableOf(sessions: readonly StoredClientSession[], excess: number): ClientTable {
  const bytes = sessions.reduce((sum, each) => sum + each.bytes, 0);
  return { sessions: withItems(null, sessions), count: sessions.length, bytes, excess };
}

function itemOf<T extends BookItem>(book: Book<T>, key: number): T | undefined {
  return itemsKeyed(book, [key])[0];
}

/** A private copy of the table for a run of entries; `finish` gives the new value. */
export class ClientTableDraft {
  declare private current: ClientTable;
  declare private readonly constants: Constants;

  constructor(table: ClientTable, constants: Constants) {
    this.current = table;
    this.constants = constants;
  }

  finish(): ClientTable {
    return this.current;
  }

  private sessionOf(id: Index): StoredClientSession | undefined {
    return itemOf(this.current.sessions, id);
  }

  /** A session is new, or takes the place of what it was before. What has gone makes room. */
  private store(session: StoredClientSession, before?: StoredClientSession): void {
    const { sessions, count, bytes, excess } = this.current;
    const grown = session.bytes - (before?.bytes ?? 0);
    this.current = {
      sessions: withItem(sessions, session),
      count: before === undefined ? count + 1 : count,
      bytes: bytes + grown,
      excess: Math.max(0, excess + Math.min(0, grown)),
    };
  }

  private remove({ key, bytes: freed }: StoredClientSession): void {
    const { sessions, count, bytes, excess } = this.current;
    this.current = {
      sessions: withoutItem(sessions, key),
      count: count - 1,
      bytes: bytes - freed,
      excess: Math.max(0, excess - freed),
    };
  }

  /** All sequences below `firstIncomplete` are done with. */
  private raise(session: StoredClientSession, firstIncomplete: number): StoredClientSession {
    if (firstIncomplete <= session.firstIncomplete) return session;
    const [gone, results] = splitAfter(session.results, firstIncomplete - 1);
    const raised = { ...session, firstIncomplete, results, bytes: session.bytes - bytesOfResults(gone) };
    this.store(raised, session);
    return raised;
  }

  /** Notes a result in place of the one before. */
  private note(session: StoredClientSession, result: ClientResult, before: ClientResult | undefined): void {
    const grown = bytesOf(result.result) - (before === undefined ? 0 : bytesOf(before.result));
    const results = withItem(session.results, result);
    this.store({ ...session, results, bytes: session.bytes + grown }, session);
  }

  /** Drops the sessions whose time is over. @param now expiry time */
  expire(now: Milliseconds): void {
    const { sessions } = this.current;
    if (now < earliestDeadline(sessions)) return;
    for (const session of itemsDue(sessions, now)) this.remove(session);
  }

  /** Weighs the results; where the index is a multiple of `CHECK_EVERY`. */
  weigh(): void {
    const excess = Math.max(0, this.current.bytes - this.constants.clientSessionBytes);
    if (excess !== this.current.excess) this.current = { ...this.current, excess };
  }

  /** The session of this epoch, with a new time; or why there is none. */
  private living({ session, epoch }: ClientEpoch, now: Milliseconds): StoredClientSession | SessionRefusal {
    const found = this.sessionOf(session);
    if (found === undefined) return 'expired';
    if (found.at !== epoch) return 'fenced';
    const deadline = now + this.constants.clientSessionTime;
    if (found.deadline === deadline) return found;
    const renewed = { ...found, deadline };
    this.store(renewed, found);
    return renewed;
  }

  private open(name: string, id: Index, index: Index, now: Milliseconds): StoredResult {
    const { sessions, count, excess } = this.current;
    const known = itemsOf(sessions).find((each) => each.name === name);
    const deadline = now + this.constants.clientSessionTime;
    if (known === undefined) {
      if (id !== 0) return refused('expired');
      if (excess > 0 || count >= this.constants.clientSessions) return refused('busy');
      this.store(weighed({ key: index, deadline, at: index, name, firstIncomplete: 1, results: null }));
      return { rejected: false, value: index };
    }
    if (id !== 0 && id !== known.key) return refused('expired');
    this.store({ ...known, at: index, deadline }, known);
    return { rejected: false, value: known.key };
  }

  /** Applies a command that is not for the machine, at this index and expiry time. */
  apply(command: Exclude<ClientCommand, ClientPropose>, index: Index, now: Milliseconds): StoredResult {
    if (command.kind === 'open') return this.open(command.name, command.id, index, now);
    const session = this.living(command, now);
    if (typeof session === 'string') return refused(session);
    if (command.kind === 'renew') this.raise(session, command.firstIncomplete);
    else this.remove(session);
    return DONE;
  }

  /** Whether an earlier copy of the command is being applied: its result is not known yet. */
  isPending({ session, sequence }: ClientPropose): boolean {
    const found = this.sessionOf(session);
    return found !== undefined && itemOf(found.results, sequence)?.result === null;
  }

  /** Judges a command for the machine. A `new` one is noted as pending; `record` must follow. */
  admit(command: ClientPropose, index: Index, now: Milliseconds): ClientVerdict {
    const answer = (result: StoredResult, at = index): ClientVerdict => ({ kind: 'answer', result, index: at });
    const found = this.living(command, now);
    if (typeof found === 'string') return answer(refused(found));
    const { sequence, firstIncomplete } = command;
    const session = this.raise(found, Math.min(firstIncomplete, sequence));
    if (sequence < session.firstIncomplete) return answer(refused('completed'));
    const known = itemOf(session.results, sequence);
    const digest = hashOf(command.data);
    if (known !== undefined) {
      if (known.digest !== digest) return answer(refused('reused'));
      return known.result === null ? { kind: 'pending' } : answer(known.result, known.at);
    }
    const isBeyond = sequence >= session.firstIncomplete + this.constants.sessionWindow;
    if (isBeyond || this.current.excess > 0) return answer(refused('busy'));
    this.note(session, { key: sequence, deadline: Infinity, at: index, digest, result: null }, undefined);
    return { kind: 'new' };
  }

  /** Keeps the result of a `new` command, unless its client is done with it, or the session has gone. */
  record(id: Index, sequence: number, result: StoredResult): void {
    const session = this.sessionOf(id);
    const known = session === undefined ? undefined : itemOf(session.results, sequence);
    if (session !== undefined && known !== undefined) this.note(session, { ...known, result }, known);
  }
}
