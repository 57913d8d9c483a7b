/** Who waits for a command here when the machine was restored from a snapshot of a peer. */

import { describe, expect, test } from 'vitest';
import type { DriverDraft } from '../../../src/replica/driver/draft.js';
import { emptyPart, encodeDriverPart } from '../../../src/replica/driver/driver-part.js';
import { restoredFrom } from '../../../src/replica/driver/restored.js';
import { closedSession, type OwnSession } from '../../../src/replica/driver/session.js';
import { resultBytes, type Session } from '../../../src/replica/driver/session-table.js';

const START = { incarnation: 7, boot: 3, start: 99 };
const RESULT = { rejected: false, value: 5 };

function sessionOf(id: number): Session {
  const results = [RESULT, null];
  const bytes = resultBytes(RESULT);
  return { replica: 'a', ...START, id, firstIncomplete: 1, results, indexes: [12, 0], bytes, lastIndex: 12 };
}

/** What happens at a replica whose own session is this, when the snapshot has these. */
function toldBy(own: OwnSession, sessions: readonly Session[]): readonly string[] {
  const told: string[] = [];
  const draft = {
    options: { id: 'a', ...START },
    applying: { replace: ({ index }: { readonly index: number }) => told.push(`at ${index}`) },
    session: {
      state: own,
      applied: (_: unknown, id: number) => told.push(`session ${id}`),
      lost: () => told.push('session lost'),
    },
    proposals: {
      lost: () => told.push('proposals lost'),
      applied: (entries: readonly { readonly index: number }[]) =>
        told.push(`results of ${entries.map(({ index }) => index).join(' ')}`),
    },
  };
  const part = encodeDriverPart({ ...emptyPart, sessionTable: { sessions } });
  restoredFrom(draft as unknown as DriverDraft, { index: 400, term: 1 }, part);
  return told;
}

describe('a restored machine', () => {
  test('answers from the session that is in the snapshot', () => {
    const own: OwnSession = { kind: 'open', id: 10, nextSequence: 3 };
    expect(toldBy(own, [sessionOf(10)])).toEqual(['at 400', 'session 10', 'results of 12']);
    expect(toldBy(closedSession, [sessionOf(10)])).toEqual(['at 400', 'session 10', 'results of 12']);
  });

  test('knows nothing of a session that is not in it, and had commands perhaps', () => {
    const own: OwnSession = { kind: 'open', id: 10, nextSequence: 3 };
    expect(toldBy(own, [])).toEqual(['at 400', 'proposals lost', 'session lost']);
    expect(toldBy(closedSession, [])).toEqual(['at 400']);
  });

  test('nor of one in whose place another copy of the opening has opened a second one (requests/at-most-once)', () => {
    const own: OwnSession = { kind: 'open', id: 10, nextSequence: 3 };
    const told = toldBy(own, [sessionOf(300)]);
    expect(told).toEqual(['at 400', 'proposals lost', 'session lost', 'session 300', 'results of 12']);
  });
});
