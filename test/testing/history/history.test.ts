/** The recorder takes what can have happened, and nothing else. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { historyFromEvents, recordHistory, type HistoryEvent } from '../../../src/testing/history/history.js';

describe('a recorder', () => {
  it('numbers the events, and knows each way to end', () => {
    const recorder = recordHistory<readonly string[], number>();
    recorder.invoke('a', ['read']);
    recorder.invoke('b', ['write']);
    recorder.ok('a', 7, { kind: 'read', index: 0 });
    recorder.unknown('b', { kind: 'entry', index: 3 });
    recorder.invoke('b', ['write']);
    recorder.fail('b');
    recorder.invoke('c', ['write']);
    const at = null;
    expect(recorder.history()).toEqual([
      { client: 'a', input: ['read'], call: 0, at: { kind: 'read', index: 0 }, outcome: 'ok', output: 7, return: 2 },
      { client: 'b', input: ['write'], call: 1, at: { kind: 'entry', index: 3 }, outcome: 'unknown', return: Infinity },
      { client: 'b', input: ['write'], call: 3, at, outcome: 'fail', return: 4 },
      { client: 'c', input: ['write'], call: 5, at, outcome: 'unknown', return: Infinity },
    ]);
  });

  it('takes the time from its clock, which may stand still', () => {
    const times = [3, 3, 4.5, 9];
    const recorder = recordHistory({ now: () => times.shift() as number });
    recorder.invoke('a', 1);
    recorder.ok('a', undefined);
    recorder.invoke('a', 2);
    recorder.fail('a');
    expect(recorder.history().map((operation) => [operation.call, operation.return])).toEqual([
      [3, 3],
      [4.5, 9],
    ]);
  });

  it('gives values: what comes later does not change a history that was given', () => {
    const recorder = recordHistory();
    recorder.invoke('a', 1);
    const before = recorder.history();
    recorder.ok('a', 2);
    expect(before).toMatchObject([{ outcome: 'unknown' }]);
    expect(recorder.history()).toMatchObject([{ outcome: 'ok' }]);
  });
});

describe('what cannot have happened', () => {
  const call = { kind: 'invoke', client: 'a', input: 1 } as const;
  const end = { kind: 'ok', client: 'a', output: 1 } as const;

  it.each<[string, readonly object[], string]>([
    ['a second call at once', [call, call], 'event 1: client a calls with an operation still open'],
    ['an end without a call', [end], 'event 0: client a has no operation open'],
    ['a second end', [call, end, end], 'event 2: client a has no operation open'],
    ["another's end", [call, { ...end, client: 'b' }], 'event 1: client b has no operation open'],
    ['a nameless client', [{ ...call, client: 3 }], 'event 0: a client is named by a string, got number'],
    [
      'time that runs back',
      [
        { ...call, time: 5 },
        { ...end, time: 4 },
      ],
      'event 1: time runs backwards, from 5 to 4',
    ],
    ['no time', [{ ...call, time: Number.NaN }], 'event 0: a time is a finite number, got NaN'],
    ['the end of time', [{ ...call, time: Infinity }], 'event 0: a time is a finite number, got Infinity'],
    ['a time lost', [{ ...call, time: 5 }, end], 'event 1: either all events carry a time or none does'],
    ['a time found', [call, { ...end, time: 5 }], 'event 1: either all events carry a time or none does'],
    [
      'a place below the first',
      [call, { ...end, at: { kind: 'entry', index: 0 } }],
      'event 1: the index of an entry is a whole number from 1 on, got 0',
    ],
    [
      'a place that is none',
      [call, { kind: 'unknown', client: 'a', at: { kind: 'read', index: -1 } }],
      'event 1: the index of a read is a whole number from 0 on, got -1',
    ],
  ])('%s is refused', (_, events, message) => {
    expect(() => historyFromEvents(events as HistoryEvent[])).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message }),
    );
  });

  it('is refused by a recorder, which then goes on as if it had not been said', () => {
    const recorder = recordHistory();
    recorder.invoke('a', 1);
    expect(() => recorder.invoke('a', 2)).toThrow('client a calls with an operation still open');
    expect(() => recorder.ok('b', 2)).toThrow('client b has no operation open');
    expect(() => recorder.ok('a', 2, { kind: 'entry', index: 0.5 })).toThrow('the index of an entry');
    recorder.ok('a', 1);
    expect(recorder.history()).toMatchObject([{ input: 1, outcome: 'ok', output: 1, call: 0, return: 1 }]);
  });

  it('is all that is refused: any client may do anything in turn', () => {
    const ends = fc.constantFrom('ok', 'fail', 'unknown', 'open');
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), ends)), (moves) => {
        const recorder = recordHistory<number, number>();
        const open = new Set<string>();
        let completed = 0;
        moves.forEach(([name, move], at) => {
          const client = `c${name}`;
          if (!open.has(client)) {
            recorder.invoke(client, at);
            open.add(client);
            return;
          }
          if (move === 'open') return;
          open.delete(client);
          if (move === 'ok') recorder.ok(client, at);
          else if (move === 'fail') recorder.fail(client);
          else recorder.unknown(client);
          if (move === 'ok') completed++;
        });
        const history = recorder.history();
        expect(history.filter(({ outcome }) => outcome === 'ok').length).toBe(completed);
        expect(history.map(({ call }) => call)).toEqual(history.map(({ call }) => call).sort((a, b) => a - b));
        for (const operation of history) {
          if (operation.outcome === 'ok') expect(operation.output).toBeGreaterThan(operation.input);
          expect(operation.return).toBeGreaterThan(operation.call);
        }
      }),
    );
  });
});
