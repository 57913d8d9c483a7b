/** The sessions of clients against a simple model: every retry gets the first result, and nothing else does. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeClientCommand,
  encodeClientCommand,
  type ClientCommand,
} from '../../../src/replica/driver/client-commands.js';
import { withItem, withItems } from '../../../src/core/book.js';
import {
  ClientTableDraft,
  clientTableOf,
  noClients,
  weighed,
  type StoredClientSession,
} from '../../../src/replica/driver/client-sessions.js';
import { watched } from '../../books.js';
import { answersAsTheModel, constants, copiesTakeEffectOnce, move, say } from './client-cases.js';

describe('the sessions of clients', () => {
  it('answer as a simple model does, with attach, epoch, window and expiry', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
        answersAsTheModel(moves);
      }),
      { numRuns: 500 },
    );
  });

  it('apply copies in one delivery once', copiesTakeEffectOnce);

  it('refuse what is new while they hold too many bytes, and evict nobody', () => {
    const draft = new ClientTableDraft(noClients, { ...constants, clientSessionBytes: 1024 });
    expect(say(draft.apply({ kind: 'open', name: 'a', id: 0 }, 1, 0))).toBe('1');
    const propose = (sequence: number, firstIncomplete = 1): string => {
      const command = {
        kind: 'propose',
        session: 1,
        epoch: 1,
        sequence,
        firstIncomplete,
        data: new Uint8Array(1),
      } as const;
      const verdict = draft.admit(command, 10 + sequence, 0);
      if (verdict.kind === 'new') draft.record(1, sequence, { rejected: false, value: new Uint8Array(1000) });
      return verdict.kind === 'answer' ? (verdict.result.refusal ?? 'known') : verdict.kind;
    };
    expect(propose(1)).toBe('new');
    draft.weigh();
    expect(propose(2)).toBe('busy');
    expect(propose(1)).toBe('known');
    expect(say(draft.apply({ kind: 'open', name: 'b', id: 0 }, 20, 0))).toBe('busy');
    expect(propose(2, 2)).toBe('new');
    draft.weigh();
    expect(propose(3, 2)).toBe('busy');
    draft.apply({ kind: 'renew', session: 1, epoch: 1, firstIncomplete: 3 }, 30, 0);
    expect(propose(3)).toBe('new');
  });

  it.each(['close', 'expire'] as const)('have room at once for what a session had that is gone by %s', (way) => {
    const draft = new ClientTableDraft(noClients, { ...constants, clientSessionBytes: 1024 });
    draft.apply({ kind: 'open', name: 'a', id: 0 }, 1, 0);
    draft.apply({ kind: 'open', name: 'b', id: 0 }, 2, 10);
    const propose = (session: number, now: number): string => {
      const data = new Uint8Array(1);
      const command = { kind: 'propose', session, epoch: session, sequence: 1, firstIncomplete: 1, data } as const;
      const verdict = draft.admit(command, 10, now);
      if (verdict.kind === 'new') draft.record(session, 1, { rejected: false, value: new Uint8Array(1000) });
      return verdict.kind === 'answer' ? (verdict.result.refusal ?? 'known') : verdict.kind;
    };
    expect(propose(1, 0)).toBe('new');
    draft.weigh();
    expect(propose(2, 10)).toBe('busy');
    if (way === 'close') draft.apply({ kind: 'close', session: 1, epoch: 1 }, 20, 10);
    else draft.expire(constants.clientSessionTime);
    expect(propose(2, 10)).toBe('new');
  });

  it('look at few others, however many sessions and results there are', () => {
    const many = 4000;
    const result = { deadline: Infinity, digest: 'x', result: { rejected: false, value: 1 } };
    const results = withItems(
      null,
      Array.from({ length: many }, (_, at) => ({ ...result, key: at + 1, at: at + 1 })),
    );
    const session = { deadline: 9e9, firstIncomplete: 1, results };
    const sessions = Array.from({ length: many }, (_, at) => {
      const key = many + at;
      return weighed({ ...session, key, at: key, name: `${at}`, results: at === 7 ? results : null });
    });
    const table = clientTableOf(sessions, 0);
    const seen = new Set<object>();
    const busy = sessions[7] as StoredClientSession;
    const watching = withItem(table.sessions, { ...busy, results: watched(results, seen) });
    const wide = { ...constants, clientSessions: 2 * many, sessionWindow: 2 * many, clientSessionBytes: 2 ** 40 };
    const draft = new ClientTableDraft({ ...table, sessions: watched(watching, seen) }, wide);
    const [data, epoch] = [new Uint8Array(1), busy.at];
    const command = { kind: 'propose', session: epoch, epoch, sequence: many + 1, firstIncomplete: 3, data } as const;
    draft.expire(1);
    draft.weigh();
    expect(draft.admit(command, 3 * many, 1)).toEqual({ kind: 'new' });
    draft.record(epoch, many + 1, { rejected: false, value: 2 });
    expect(draft.finish()).toMatchObject({ count: many, bytes: table.bytes - 64 });
    expect(seen.size).toBeLessThan(many / 20);
  });

  it('are asked by commands that are read as they were written', () => {
    const number = fc.maxSafeNat();
    const epoch = { session: number, epoch: number };
    const command: fc.Arbitrary<ClientCommand> = fc.oneof(
      fc.record({ kind: fc.constant('open' as const), name: fc.stringMatching(/^[\x21-\x7e]{1,128}$/), id: number }),
      fc.record({ kind: fc.constant('renew' as const), ...epoch, firstIncomplete: number }),
      fc.record({ kind: fc.constant('close' as const), ...epoch }),
      fc.record({
        kind: fc.constant('propose' as const),
        ...epoch,
        sequence: number,
        firstIncomplete: number,
        data: fc.uint8Array({ maxLength: 99 }),
      }),
    );
    fc.assert(
      fc.property(command, (each) => {
        expect(decodeClientCommand(encodeClientCommand(each))).toEqual(each);
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void decodeClientCommand(bytes)));
    expect(decodeClientCommand(Uint8Array.of(9))).toBeNull();
  });
});
