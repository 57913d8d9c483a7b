/**
 * What follows when the machine was restored from a snapshot of a peer: whoever waits here for a command is answered by
 * the session table in the snapshot (snapshots/waiting-calls-by-the-table). Of a command that is not in it the session
 * tells: while the session is there, the command is proposed again, and takes effect once; without it nobody knows any
 * more whether it took effect before.
 */

import { PlainEntry, PlainEntryId } from '../../core/entries.js';
import type { Entry, Index, LogBase } from '../../core/protocol.js';
import type { DriverDraft } from './draft.js';
import { decodeDriverPart } from './driver-part.js';
import type { Session, StoredResult } from './session-table.js';

const NO_DATA = new Uint8Array(0);

/** The commands of the own session that are in the snapshot have their results there. */
function answerFrom(draft: DriverDraft, { id: session, firstIncomplete, results, indexes }: Session): void {
  const entries: Entry[] = [];
  const known: StoredResult[] = [];
  for (let at = 0; at < results.length; at++) {
    const result = results[at];
    if (result === null || result === undefined) continue;
    const id = new PlainEntryId(session, firstIncomplete + at, firstIncomplete);
    entries.push(new PlainEntry(indexes[at] as Index, 0, 'command', 0, id, NO_DATA));
    known.push(result);
  }
  draft.proposals.applied(entries, known);
}

/** @param part what the driver has in the snapshot. @throws Malformed */
export function restoredFrom(draft: DriverDraft, at: LogBase, part: Uint8Array): void {
  const restored = decodeDriverPart(part);
  draft.applying.replace(at, restored);
  const { id, incarnation, boot, start } = draft.options;
  const own = restored.sessionTable.sessions.find(
    (each) => each.replica === id && each.incarnation === incarnation && each.boot === boot && each.start === start,
  );
  const { state } = draft.session;
  // Another copy of the opening entry may have opened another session since: of the one before nothing is known.
  if (state.kind === 'open' && state.id !== own?.id) {
    draft.proposals.lost();
    draft.session.lost();
  }
  if (own === undefined) return;
  draft.session.applied(own, own.id);
  answerFrom(draft, own);
}
