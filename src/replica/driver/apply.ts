/**
 * Applies committed entries. They wait in a backlog, from which one run at a time is taken: the session table tells
 * which of its commands are new, and those go to the state machine.
 *
 * Invariants: entries are applied in order and without a gap; a run never crosses a multiple of `CHECK_EVERY`, where
 * the session table checks the bytes of results, so the table depends on the log alone and not on how entries were
 * grouped into runs.
 */

import { assert } from '../../core/assert.js';
import type { Mutable } from '../../core/draft.js';
import { bytesOf } from '../../core/entries.js';
import type { Entry, EntryId, Index, Term } from '../../core/protocol.js';
import { PartDraft } from './part-draft.js';
import {
  CHECK_EVERY,
  SessionTableDraft,
  decodeSessionOpening,
  emptyTable,
  type SessionTable,
  type StoredResult,
} from './session-table.js';
import { decodeSessionTable } from './session-table-codec.js';
import type { FoundSnapshots } from './snapshots.js';

/** The run of committed entries that the machine is applying. */
export interface ApplyingRun {
  /** The index of its last entry. */
  readonly through: Index;
  /** The term of that entry; how many entries the run has, and their bytes. */
  readonly term: Term;
  readonly entries: number;
  readonly bytes: number;
  /** The new commands among its entries that the machine has not yet reported. */
  readonly commands: readonly Entry[];
}

/** @see ApplyingDraft */
export interface ApplyingState {
  readonly sessionTable: SessionTable;
  /** Committed entries that wait for their run, in order. */
  readonly backlog: readonly (readonly Entry[])[];
  readonly running: ApplyingRun | null;
  readonly applied: Index;
}

/** At the start: what the snapshot holds counts as applied, its sessions too (snapshots/hold-the-sessions). */
export function appliedAtStart({ named, sessionTable }: FoundSnapshots): ApplyingState {
  return {
    sessionTable: sessionTable === null ? emptyTable : decodeSessionTable(sessionTable),
    backlog: [],
    running: null,
    applied: named[0]?.index ?? 0,
  };
}

export class ApplyingDraft extends PartDraft<ApplyingState> {
  protected override copy(state: ApplyingState): Mutable<ApplyingState> {
    return {
      sessionTable: state.sessionTable,
      backlog: state.backlog,
      running: state.running,
      applied: state.applied,
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

  private applyOpenSession(table: SessionTableDraft, entry: Entry): void {
    const opening = decodeSessionOpening(entry.data);
    if (opening !== null) this.draft.session.applied(opening, table.openSession(opening, entry.index));
  }

  /** Returns the new commands of a run, by the session table. */
  private judge(run: readonly Entry[]): readonly Entry[] {
    const table = this.draftTable();
    const commands: Entry[] = [];
    table.check((run[0] as Entry).index);
    for (const entry of run) {
      if (entry.kind === 'openSession') this.applyOpenSession(table, entry);
      else if (entry.kind === 'command' && table.admit(entry) === 'new') commands.push(entry);
    }
    this.edit().sessionTable = table.finish();
    return commands;
  }

  /** Gives the machine the next run, unless it is busy. */
  applyNext(): void {
    while (this.state.running === null && this.state.backlog.length > 0 && !this.draft.snapshots.isRestoring) {
      const run = this.takeRun();
      const { index: through, term } = run[run.length - 1] as Entry;
      const commands = this.judge(run);
      const running = { through, term, entries: run.length, bytes: bytesOf(run), commands };
      this.edit().running = running;
      if (commands.length > 0) return this.draft.effect({ kind: 'apply', entries: commands });
      this.endRun(running);
    }
  }

  /**
   * The machine has applied the first commands of its run, with one result for each. The machine may report a run in
   * several parts, so that others come in between.
   */
  report(results: readonly StoredResult[]): void {
    const { draft } = this;
    const { running } = this.state;
    assert(
      running !== null && results.length > 0 && results.length <= running.commands.length,
      'machine/one-result-per-command: one result comes back for each command',
    );
    const { commands } = running;
    const table = this.draftTable();
    for (let i = 0; i < results.length; i++) {
      table.record((commands[i] as Entry).id as EntryId, results[i] as StoredResult);
    }
    this.edit().sessionTable = table.finish();
    const next = commands[results.length];
    draft.proposals.applied(next === undefined ? commands : commands.slice(0, results.length), results);
    if (next === undefined) return this.endRun(running);
    this.edit().running = { ...running, commands: commands.slice(results.length) };
    this.applied(next.index - 1);
  }

  /**
   * All of the run is applied. Only now a session that its entries dropped counts as lost: until the end of the run,
   * commands of that session may still take effect.
   */
  private endRun({ through, term, entries, bytes }: ApplyingRun): void {
    const { draft } = this;
    const { sessionTable } = this.state;
    const session = draft.session.state;
    if (session.kind === 'open' && !sessionTable.sessions.some(({ id }) => id === session.id)) {
      draft.proposals.startOver();
      draft.session.lost();
    }
    this.edit().running = null;
    this.applied(through);
    draft.snapshots.applied(through, term, entries, bytes);
  }

  /** The machine has applied every entry up to `index`. */
  private applied(index: Index): void {
    this.edit().applied = index;
    this.draft.toCore({ kind: 'applied', now: this.draft.now, index });
  }
}
