/** Histories that cannot be are refused. */

import { describe, expect, test } from 'vitest';
import {
  assertLinearizable,
  checkLinearizable,
  counterModel,
  formatHistory,
  HistorySyntaxError,
  historyFromEvents,
  parseHistory,
  parseHistoryJson,
  type Operation,
} from 'quorate/testing';
import { errorOf, refused, type Wrong } from '../refusals.js';

describe('a history', () => {
  const read: Operation = { client: 'a', input: ['read'], output: 0, call: 0, return: 1, at: null, outcome: 'ok' };

  test('is a list of operations', () => {
    refused(() => checkLinearizable(5 as Wrong, counterModel()), /^a history is a list of operations, got number$/);
    refused(
      () => assertLinearizable([null as Wrong], counterModel()),
      /^operation 0 of the history: an object, got null$/,
    );
    refused(
      () => formatHistory([read, { ...read, call: NaN }]),
      /^operation 1 of the history: call is a finite number/,
    );
    refused(
      () => checkLinearizable([{ ...read, input: ['jump'] as Wrong }], counterModel()),
      /has no operation \["jump"\]/,
    );
    refused(() => checkLinearizable([read] as Wrong, counterModel(), { steps: -1 }), /^steps is a number from 0 on/);
  });

  test('is refused by its place where a value has no text', () => {
    const bare = Object.create(null) as Wrong;
    const budget = { bytes: bare };
    refused(() => checkLinearizable([read] as Wrong, counterModel(), budget), /^bytes is a number .* without text$/);
    for (const [wrong, reason] of [
      [{ outcome: bare }, /an outcome is ok, fail or unknown/],
      [{ call: Symbol('x') }, /call is a finite number, got Symbol\(x\)$/],
      [{ return: bare }, /return is a finite number not below call/],
      [{ at: { kind: bare } }, /a position is an entry or a read/],
      [{ at: { kind: 'entry', index: bare } }, /the index of an entry is a whole number/],
      [{ outcome: 'unknown', return: bare }, /an unknown operation returns at Infinity/],
    ] as const) {
      refused(() => checkLinearizable([{ ...read, ...wrong } as Wrong], counterModel()), reason);
    }
    refused(
      () => checkLinearizable([{ ...read, input: ['add', 1n] as Wrong }], counterModel()),
      /adds numbers, got 1$/,
    );
    refused(() => historyFromEvents([{ kind: bare, client: 'a' } as Wrong]), /^event 0: an event is/);
    refused(() => historyFromEvents([{ kind: 'invoke', client: 'a', input: 1, time: bare }]), /^event 0: a time is/);
  });

  test('is told in events that can be', () => {
    const events = [
      { kind: 'invoke', client: 'a', input: 1 },
      { kind: 'ko', client: 'a' },
    ];
    refused(() => historyFromEvents(events as Wrong), /^event 1: an event is invoke, ok, fail, unknown, got "ko"$/);
  });

  test('in text is refused by its line, in JSON by its path', () => {
    const text = errorOf(() => parseHistory('a invoke read\nb ok')) as HistorySyntaxError;
    expect([text.line, text.reason]).toEqual([2, 'client b has no operation open']);
    const json = errorOf(() => parseHistoryJson('[{"client":"a","input":1,"outcome":"ok"}]')) as HistorySyntaxError;
    expect([json.path, json.reason]).toEqual(['$[0].call', 'is missing']);
  });
});
