/**
 * Applies committed entries. They wait in a backlog, from which one run at a time is taken: the session table tells
 * which of its commands are new, and those go to the state machine.
 *
 * Invariants: entries are applied in order and without a gap; a run never crosses a multiple of `CHECK_EVERY`, where
 * the session table checks the bytes of results, so the table depends on the log alone and not on how entries were
 * grouped into runs.
 *
 * Log time is the running maximum of the stamps (time/never-falls). The machine sees it with each command, and may
 * ask to be woken: at the first entry whose time reaches that, whatever the entry is, and before its command is applied
 * (time/woken-at-first-entry). So a run ends with the first entry behind a command that is no new command: only
 * when the commands before it are applied it is known whether the machine is to be woken there.
 */

import { assert } from '../../core/assert.js';
import type { Mutable } from '../../core/draft.js';
import { bytesOf } from '../../core/entries.js';
import { noBase } from '../../core/log.js';
import type { Entry, EntryId, Index, LogBase, Milliseconds, Term } from '../../core/protocol.js';
import { decodeClientCommand, type ClientCommand } from './client-commands.js';
import { ClientTableDraft, mostGap, refused, type ClientTable } from './client-sessions.js';
import { PartDraft } from './part-draft.js';
import {
  CHECK_EVERY,
  SessionTableDraft,
  decodeSessionOpening,
  type SessionTable,
  type StoredResult,
} from './session-table.js';
import { decodeDriverPart, emptyPart, type DriverPart } from './driver-part.js';
import type { FoundSnapshots } from './snapshots.js';

/** A command for the machine; of a client's session with its place there. */
export interface MachineCommand extends Entry {
  readonly client?: { readonly session: Index; readonly sequence: number };
}

/** An entry of a client's session that is answered without the machine; its index is where the command took effect. */
export interface AnsweredEntry {
  readonly entry: Entry;
  readonly result: StoredResult;
}

/** An entry without a new command: the machine may have to be woken there. */
export interface WakePoint {
  readonly index: Index;
  readonly time: Milliseconds;
}

/** The run of committed entries that the machine is applying. */
export interface ApplyingRun {
  /** The index of its last entry. */
  readonly through: Index;
  /** The term of that entry; how many entries the run has, and their bytes. */
  readonly term: Term;
  readonly entries: number;
  readonly bytes: number;
  /** The new commands among its entries that the machine has not yet reported. */
  readonly commands: readonly MachineCommand[];
  /** To be answered when it has ended. */
  readonly answered: readonly AnsweredEntry[];
  /** Its last entry, if that is no new command. */
  readonly point: WakePoint | null;
}

/** @see ApplyingDraft */
export interface ApplyingState {
  readonly sessionTable: SessionTable;
  readonly clients: ClientTable;
  /** Committed entries that wait for their run, in order. */
  readonly backlog: readonly (readonly Entry[])[];
  readonly running: ApplyingRun | null;
  readonly applied: Index;
  /** Of the entry at the end of the last run, or of the snapshot that was restored; 0 before any. */
  readonly term: Term;
  /** Log time, at the end of the run that is being applied: the highest stamp so far; 0 before any. */
  readonly time: Milliseconds;
  /** What sessions expire by: the sum of the gaps of log time, of each at most `mostGap`. */
  readonly expiryTime: Milliseconds;
  /** When the machine asked to be woken; `Infinity` for never. */
  readonly wakeAt: Milliseconds;
  /** When the core was told to wake it. */
  readonly toldWake: Milliseconds;
}

/** At the start: what the snapshot holds counts as applied, its sessions too (snapshots/hold-the-sessions). */
export function appliedAtStart({ named, part }: FoundSnapshots): ApplyingState {
  const { sessionTable, clients, time, expiryTime, wakeAt } = part === null ? emptyPart : decodeDriverPart(part);
  const { index: applied, term } = named[0] ?? noBase;
  const waits = { backlog: [], running: null, toldWake: Infinity };
  return { sessionTable, clients, applied, term, time, expiryTime, wakeAt, ...waits };
}

type JudgedEntry =
  | { readonly kind: 'command'; readonly command: MachineCommand }
  | { readonly kind: 'answered'; readonly answer: AnsweredEntry };

/** What a new entry is to the machine. @param client what it says, if it is one of a client's session */
function judged(clients: ClientTableDraft, entry: Entry, client: ClientCommand | null, now: Milliseconds): JudgedEntry {
  if (entry.kind === 'command') return { kind: 'command', command: entry };
  const { index } = entry;
  const answer = (result: StoredResult, at: Index): JudgedEntry => {
    return { kind: 'answered', answer: { entry: at === index ? entry : { ...entry, index: at }, result } };
  };
  if (client === null) return answer(refused('expired'), index);
  if (client.kind !== 'propose') return answer(clients.apply(client, index, now), index);
  const verdict = clients.admit(client, index, now);
  if (verdict.kind === 'answer') return answer(verdict.result, verdict.index);
  const { session, sequence, data } = client;
  return { kind: 'command', command: { ...entry, kind: 'command', data, client: { session, sequence } } };
}

export class ApplyingDraft extends PartDraft<ApplyingState> {
  protected override copy(state: ApplyingState): Mutable<ApplyingState> {
    return {
      sessionTable: state.sessionTable,
      clients: state.clients,
      backlog: state.backlog,
      running: state.running,
      applied: state.applied,
      term: state.term,
      time: state.time,
      expiryTime: state.expiryTime,
      wakeAt: state.wakeAt,
      toldWake: state.toldWake,
    };
  }

  /** The core delivers committed entries. */
  deliver(entries: readonly Entry[]): void {
    const next = this.edit();
    next.backlog = [...next.backlog, entries];
  }

  /** Takes the next run: up to the next multiple of `CHECK_EVERY`. */
  private takeRun(): readonly Entry[] {
    const { backlog, applied } = this.state;
    const [first] = backlog;
    assert(first !== undefined && first.length > 0, 'log/delivered-in-order: the backlog holds something');
    const from = (first[0] as Entry).index;
    assert(from === applied + 1, 'log/delivered-in-order: entries are applied in order, without a gap');
    const room = CHECK_EVERY - (from % CHECK_EVERY);
    const rest = backlog.slice(1);
    this.edit().backlog = room < first.length ? [first.slice(room), ...rest] : rest;
    return room < first.length ? first.slice(0, room) : first;
  }

  private draftTable(): SessionTableDraft {
    return new SessionTableDraft(this.state.sessionTable, this.draft.options.configuration.constants);
  }

  private draftClients(): ClientTableDraft {
    return new ClientTableDraft(this.state.clients, this.draft.options.configuration.constants);
  }

  private applyOpenSession(table: SessionTableDraft, entry: Entry): void {
    const opening = decodeSessionOpening(entry.data);
    if (opening !== null) this.draft.session.applied(opening, table.openSession(opening, entry.index));
  }

  /**
   * Judges the entries of a run by the session table, as far as it goes. The commands of the result carry log time as
   * their time.
   */
  private judge(run: readonly Entry[]): ApplyingRun {
    const table = this.draftTable();
    const clients = this.draftClients();
    const commands: MachineCommand[] = [];
    const answered: AnsweredEntry[] = [];
    const { wakeAt } = this.state;
    let { time, expiryTime } = this.state;
    const most = mostGap(this.draft.options.configuration.constants);
    let point: WakePoint | null = null;
    let at = 0;
    const { index: first } = run[0] as Entry;
    table.check(first);
    if (first % CHECK_EVERY === 0) clients.weigh();
    while (at < run.length && point === null) {
      const entry = run[at] as Entry;
      const client = entry.kind === 'session' ? decodeClientCommand(entry.data) : null;
      // Its answer is the result of a copy that is being applied.
      if (client?.kind === 'propose' && clients.isPending(client)) break;
      at++;
      if (entry.time > time) {
        expiryTime += Math.min(entry.time - time, most);
        time = entry.time;
        clients.expire(expiryTime);
      }
      if (entry.kind === 'openSession') this.applyOpenSession(table, entry);
      else if (entry.kind !== 'noop' && table.admit(entry) === 'new') {
        const verdict = judged(clients, entry, client, expiryTime);
        if (verdict.kind === 'command') {
          const { command } = verdict;
          commands.push(command.time === time ? command : { ...command, time });
          continue;
        }
        table.record(entry.id as EntryId, verdict.answer.result, verdict.answer.entry.index);
        answered.push(verdict.answer);
      }
      if (commands.length > 0 || wakeAt <= time) point = { index: entry.index, time };
    }
    const next = this.edit();
    next.sessionTable = table.finish();
    next.clients = clients.finish();
    next.time = time;
    next.expiryTime = expiryTime;
    if (at < run.length) next.backlog = [run.slice(at), ...next.backlog];
    const { index: through, term } = run[at - 1] as Entry;
    const bytes = bytesOf(at < run.length ? run.slice(0, at) : run);
    return { through, term, entries: at, bytes, commands, answered, point };
  }

  /** A snapshot takes the place of what waits: it is delivered again as a part of that. */
  forget(): void {
    if (this.state.backlog.length > 0) this.edit().backlog = [];
  }

  /** The machine was restored from a snapshot at `index`, in which the driver has this. */
  replace({ index, term }: LogBase, { sessionTable, clients, time, expiryTime, wakeAt }: DriverPart): void {
    const next = this.edit();
    next.sessionTable = sessionTable;
    next.clients = clients;
    next.time = time;
    next.expiryTime = expiryTime;
    next.wakeAt = wakeAt;
    next.term = term;
    this.applied(index);
    this.tellWake();
  }

  /** Gives the machine the next run, unless it is busy. */
  applyNext(): void {
    while (this.state.running === null && this.state.backlog.length > 0 && !this.draft.snapshots.isRestoring) {
      const run = this.judge(this.takeRun());
      this.edit().running = run;
      if (run.commands.length === 0) this.endCommands(run);
      else return this.draft.effect({ kind: 'apply', entries: run.commands, wakeAt: this.state.wakeAt });
    }
  }

  /** The commands of a run are applied: the machine is woken at its last entry, if that is due, or the run ends. */
  private endCommands(run: ApplyingRun): void {
    const { point } = run;
    const { wakeAt } = this.state;
    if (point === null || wakeAt > point.time) return this.endRun(run);
    this.edit().running = { ...run, commands: [] };
    this.draft.effect({ kind: 'wake', index: point.index, time: point.time });
  }

  /** The machine was woken. @param wakeAt when it asked to be woken next */
  woken(wakeAt: Milliseconds): void {
    const { running } = this.state;
    assert(running !== null && running.commands.length === 0, 'time/woken-at-first-entry: the machine was to be woken');
    this.edit().wakeAt = wakeAt;
    this.endRun(running);
  }

  /**
   * The machine has applied the first commands of its run, with one result for each. The machine may report a run in
   * several parts, so that others come in between.
   * @param wakeAt when it asked to be woken next
   */
  report(results: readonly StoredResult[], wakeAt: Milliseconds): void {
    const { draft } = this;
    const { running } = this.state;
    assert(
      running !== null && results.length > 0 && results.length <= running.commands.length,
      'machine/one-result-per-command: one result comes back for each command',
    );
    const { commands } = running;
    const table = this.draftTable();
    const clients = this.draftClients();
    for (let i = 0; i < results.length; i++) {
      const { id, client } = commands[i] as MachineCommand;
      table.record(id as EntryId, results[i] as StoredResult);
      if (client !== undefined) clients.record(client.session, client.sequence, results[i] as StoredResult);
    }
    const edited = this.edit();
    edited.sessionTable = table.finish();
    edited.clients = clients.finish();
    edited.wakeAt = wakeAt;
    const next = commands[results.length];
    draft.proposals.applied(next === undefined ? commands : commands.slice(0, results.length), results);
    if (next === undefined) return this.endCommands(running);
    this.edit().running = { ...running, commands: commands.slice(results.length) };
    this.applied(next.index - 1);
  }

  /**
   * All of the run is applied. Only now a session that its entries dropped counts as lost: until the end of the run,
   * commands of that session may still take effect.
   */
  private endRun({ through, term, entries, bytes, answered }: ApplyingRun): void {
    const { draft } = this;
    for (const { entry, result } of answered) draft.proposals.applied([entry], [result]);
    const { sessionTable } = this.state;
    const session = draft.session.state;
    if (session.kind === 'open' && !sessionTable.sessions.some(({ id }) => id === session.id)) {
      draft.proposals.startOver();
      draft.session.lost();
    }
    const next = this.edit();
    next.running = null;
    next.term = term;
    this.applied(through);
    this.tellWake();
    draft.snapshots.applied(through, term, entries, bytes);
  }

  /**
   * Tells the core when the machine is to be woken, if that changed. What it asked for may have been reached by the
   * entry at which it asked: then the next one wakes it.
   */
  private tellWake(): void {
    const { wakeAt, time, toldWake } = this.state;
    const due = wakeAt === Infinity ? Infinity : Math.max(wakeAt, time + 1);
    if (due === toldWake) return;
    this.edit().toldWake = due;
    this.draft.toCore({ kind: 'wakeAt', now: this.draft.now, time: due });
  }

  /** The machine has applied every entry up to `index`. */
  private applied(index: Index): void {
    this.edit().applied = index;
    this.draft.toCore({ kind: 'applied', now: this.draft.now, index });
  }
}
