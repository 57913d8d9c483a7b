/**
 * From committed entries to results. Entries wait in a backlog; a run of them is judged by the request table and
 * what is new goes to the machine, one run at a time. A run never crosses a multiple of `CHECK_EVERY`, where the
 * table looks at results: so what is applied follows from the log alone, however the entries were grouped.
 */

import { assert } from '../../core/assert.js';
import type { Entry, EntryId } from '../../core/protocol.js';
import { answered, sessionLost } from './calls.js';
import type { DriverDraft } from './draft.js';
import { ConsensusError } from '../errors.js';
import { CHECK_EVERY, SessionTableDraft, decodeSessionOpening, type StoredResult } from './session-table.js';

/** The core handed these over. */
export function onCommit(draft: DriverDraft, entries: readonly Entry[]): void {
  draft.next.backlog = [...draft.next.backlog, entries];
}

/** The next run: up to the next multiple of `CHECK_EVERY`. */
function takeRun(draft: DriverDraft): readonly Entry[] {
  const [first, ...rest] = draft.next.backlog;
  assert(first !== undefined && first.length > 0, 'log/delivered-in-order: the backlog holds something');
  const from = (first[0] as Entry).index;
  assert(from === draft.next.applied + 1, 'log/delivered-in-order: entries are applied in order, without a gap');
  const room = CHECK_EVERY - (from % CHECK_EVERY);
  draft.next.backlog = room < first.length ? [first.slice(room), ...rest] : rest;
  return room < first.length ? first.slice(0, room) : first;
}

function applyOpenSession(draft: DriverDraft, table: SessionTableDraft, entry: Entry): void {
  const opening = decodeSessionOpening(entry.data);
  if (opening === null) return;
  const number = table.openSession(opening, entry.index);
  const { id, incarnation, boot } = draft.next.options;
  const own = opening.id === id && opening.incarnation === incarnation && opening.boot === boot;
  if (!own) return;
  if (number === 0) {
    // Opening again would be refused again; and what the later start promised and voted is not on this disk.
    const message = 'a later start of this replica is known to the cluster: its storage was set back, or copied';
    throw new ConsensusError(message, { code: 'ERR_LOST_IDENTITY' });
  }
  // A copy of our `openSession` that comes after our origin was dropped in this very run: `onApplied` finds out first.
  if (draft.next.session !== 0) return;
  draft.next.session = number;
  draft.next.openingRequest = 0;
}

/** Judges a run. Gives the commands that are new. */
function judge(draft: DriverDraft, run: readonly Entry[]): readonly Entry[] {
  const table = new SessionTableDraft(draft.next.table, draft.next.options.configuration.constants);
  const commands: Entry[] = [];
  table.check((run[0] as Entry).index);
  for (const entry of run) {
    if (entry.kind === 'openSession') applyOpenSession(draft, table, entry);
    else if (entry.kind === 'command' && table.admit(entry) === 'new') commands.push(entry);
  }
  draft.next.table = table.finish();
  return commands;
}

/** Gives the machine what is due, unless it is busy. */
export function applyNext(draft: DriverDraft): void {
  while (draft.next.applying === null && draft.next.backlog.length > 0) {
    const run = takeRun(draft);
    const through = (run[run.length - 1] as Entry).index;
    const commands = judge(draft, run);
    draft.next.applying = { through, commands };
    if (commands.length > 0) return draft.effect({ kind: 'apply', entries: commands });
    onApplied(draft, []);
  }
}

/** The machine is done with its run: one result a command. */
export function onApplied(draft: DriverDraft, results: readonly StoredResult[]): void {
  const { applying, options } = draft.next;
  assert(
    applying !== null && applying.commands.length === results.length,
    'machine/one-result-per-command: one result comes back for each command',
  );
  const table = new SessionTableDraft(draft.next.table, options.configuration.constants);
  for (let i = 0; i < results.length; i++) {
    table.record((applying.commands[i] as Entry).id as EntryId, results[i] as StoredResult);
  }
  draft.next.table = table.finish();
  answered(draft, applying.commands, results);
  const { session } = draft.next;
  if (session !== 0 && !table.has(session)) sessionLost(draft);
  draft.next.applied = applying.through;
  draft.next.applying = null;
  draft.toCore({ kind: 'applied', now: draft.now, index: applying.through });
}
