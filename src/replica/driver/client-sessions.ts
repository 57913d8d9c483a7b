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

import type { Constants } from '../../core/members.js';
import type { Index, Milliseconds } from '../../core/protocol.js';
import type { ClientCommand, ClientEpoch, ClientPropose } from './client-commands.js';
import { hashOf } from './hash.js';
import type { SessionRefusal, StoredResult } from './session-table.js';

/** A command that took effect, or is being applied. */
export interface ClientResult {
  /** Of its data. */
  readonly digest: string;
  /** Where it took effect. */
  readonly index: Index;
  /** `null` while it is being applied. */
  readonly result: StoredResult | null;
}

export interface StoredClientSession {
  readonly name: string;
  /** The index of the entry that opened it. */
  readonly id: Index;
  /** The index of its newest attach. */
  readonly epoch: Index;
  readonly firstIncomplete: number;
  /** By sequence, from `firstIncomplete` on; `null`: it has not come. */
  readonly results: readonly (ClientResult | null)[];
  /** When it goes, in expiry time (`ApplyingState`). */
  readonly expiresAt: Milliseconds;
}

export interface ClientTable {
  readonly sessions: readonly StoredClientSession[];
  /** No session goes before. */
  readonly soonest: Milliseconds;
  /** By how many bytes there were too many when they were weighed last, less what has gone since; 0: there is room. */
  readonly excess: number;
}

export const noClients: ClientTable = { sessions: [], soonest: Infinity, excess: 0 };

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

function bytesOfResults(results: StoredClientSession['results']): number {
  let bytes = 0;
  for (const each of results) {
    const value = each?.result?.value;
    if (each !== null) bytes += RESULT_BYTES + (value instanceof Uint8Array ? value.length : 0);
  }
  return bytes;
}

function bytesOf(sessions: readonly StoredClientSession[]): number {
  return sessions.reduce((sum, { name, results }) => sum + SESSION_BYTES + name.length + bytesOfResults(results), 0);
}

function withResult(session: StoredClientSession, sequence: number, result: ClientResult): StoredClientSession {
  const results = session.results.slice();
  const at = sequence - session.firstIncomplete;
  while (results.length <= at) results.push(null);
  results[at] = result;
  return { ...session, results };
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

  private put(sessions: readonly StoredClientSession[]): void {
    const soonest = sessions.reduce((at, { expiresAt }) => Math.min(at, expiresAt), Infinity);
    this.current = { sessions, soonest, excess: this.current.excess };
  }

  /** What has gone makes room. */
  private free(bytes: () => number): void {
    const { excess } = this.current;
    if (excess > 0) this.current = { ...this.current, excess: Math.max(0, excess - bytes()) };
  }

  private remove(gone: readonly StoredClientSession[]): void {
    this.put(this.current.sessions.filter((each) => !gone.includes(each)));
    this.free(() => bytesOf(gone));
  }

  /** All sequences below `firstIncomplete` are done with. */
  private raise(session: StoredClientSession, firstIncomplete: number): StoredClientSession {
    const by = firstIncomplete - session.firstIncomplete;
    if (by <= 0) return session;
    const raised = { ...session, firstIncomplete, results: session.results.slice(by) };
    this.replace(session, raised);
    this.free(() => bytesOfResults(session.results.slice(0, by)));
    return raised;
  }

  private replace(session: StoredClientSession, by: StoredClientSession): void {
    this.put(this.current.sessions.map((each) => (each === session ? by : each)));
  }

  /** Drops the sessions whose time is over. @param now expiry time */
  expire(now: Milliseconds): void {
    const { sessions, soonest } = this.current;
    if (now >= soonest) this.remove(sessions.filter(({ expiresAt }) => expiresAt <= now));
  }

  /** Weighs the results; where the index is a multiple of `CHECK_EVERY`. */
  weigh(): void {
    const excess = Math.max(0, bytesOf(this.current.sessions) - this.constants.clientSessionBytes);
    if (excess !== this.current.excess) this.current = { ...this.current, excess };
  }

  /** The session of this epoch, with a new time; or why there is none. */
  private living({ session, epoch }: ClientEpoch, now: Milliseconds): StoredClientSession | SessionRefusal {
    const found = this.current.sessions.find(({ id }) => id === session);
    if (found === undefined) return 'expired';
    if (found.epoch !== epoch) return 'fenced';
    const expiresAt = now + this.constants.clientSessionTime;
    if (found.expiresAt === expiresAt) return found;
    const renewed = { ...found, expiresAt };
    this.replace(found, renewed);
    return renewed;
  }

  private open(name: string, id: Index, index: Index, now: Milliseconds): StoredResult {
    const { sessions, excess } = this.current;
    const known = sessions.find((each) => each.name === name);
    const expiresAt = now + this.constants.clientSessionTime;
    if (known === undefined) {
      if (id !== 0) return refused('expired');
      if (excess > 0 || sessions.length >= this.constants.clientSessions) return refused('busy');
      this.put([...sessions, { name, id: index, epoch: index, firstIncomplete: 1, results: [], expiresAt }]);
      return { rejected: false, value: index };
    }
    if (id !== 0 && id !== known.id) return refused('expired');
    this.replace(known, { ...known, epoch: index, expiresAt });
    return { rejected: false, value: known.id };
  }

  /** Applies a command that is not for the machine, at this index and expiry time. */
  apply(command: Exclude<ClientCommand, ClientPropose>, index: Index, now: Milliseconds): StoredResult {
    if (command.kind === 'open') return this.open(command.name, command.id, index, now);
    const session = this.living(command, now);
    if (typeof session === 'string') return refused(session);
    if (command.kind === 'renew') this.raise(session, command.firstIncomplete);
    else this.remove([session]);
    return DONE;
  }

  /** Whether an earlier copy of the command is being applied: its result is not known yet. */
  isPending({ session, sequence }: ClientPropose): boolean {
    const found = this.current.sessions.find(({ id }) => id === session);
    return found?.results[sequence - found.firstIncomplete]?.result === null;
  }

  /** Judges a command for the machine. A `new` one is noted as pending; `record` must follow. */
  admit(command: ClientPropose, index: Index, now: Milliseconds): ClientVerdict {
    const answer = (result: StoredResult, at = index): ClientVerdict => ({ kind: 'answer', result, index: at });
    const found = this.living(command, now);
    if (typeof found === 'string') return answer(refused(found));
    const { sequence, firstIncomplete } = command;
    const session = this.raise(found, Math.min(firstIncomplete, sequence));
    if (sequence < session.firstIncomplete) return answer(refused('completed'));
    const known = session.results[sequence - session.firstIncomplete] ?? null;
    const digest = hashOf(command.data);
    if (known !== null) {
      if (known.digest !== digest) return answer(refused('reused'));
      return known.result === null ? { kind: 'pending' } : answer(known.result, known.index);
    }
    const isBeyond = sequence >= session.firstIncomplete + this.constants.sessionWindow;
    if (isBeyond || this.current.excess > 0) return answer(refused('busy'));
    this.replace(session, withResult(session, sequence, { digest, index, result: null }));
    return { kind: 'new' };
  }

  /** Keeps the result of a `new` command, unless its client is done with it, or the session has gone. */
  record(id: Index, sequence: number, result: StoredResult): void {
    const session = this.current.sessions.find((each) => each.id === id);
    const known = session?.results[sequence - session.firstIncomplete] ?? null;
    if (session === undefined || known === null) return;
    this.replace(session, withResult(session, sequence, { ...known, result }));
  }
}
