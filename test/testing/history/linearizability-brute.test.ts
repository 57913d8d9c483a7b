/** The checker against the definition, on more small histories than anybody can think of (Knossos' advice). */

import { describe, expect, it } from 'vitest';
import { amount } from '../../amount.js';
import { checkLinearizable } from '../../../src/testing/history/linearizability.js';
import type { History, Operation } from '../../../src/testing/history/history.js';
import * as histories from './histories.js';

const EACH = amount(8000, 26_000);

const isOk = ({ outcome }: Operation): boolean => outcome === 'ok';

function checkOrders(
  history: History,
  model: histories.AnyModel,
  found: ReturnType<typeof checkLinearizable>,
): boolean {
  if (found.kind !== 'linearizable') return false;
  const told = found.parts.flatMap(({ order }) => order);
  const complete = history.filter(isOk).every((operation) => told.includes(operation));
  return (
    complete && new Set(told).size === told.length && found.parts.every(({ order }) => histories.isOrder(order, model))
  );
}

/** The operation blamed is the first by return that no order gets past, and the prefix gets just as far. */
function checkEvidence(
  history: History,
  model: histories.AnyModel,
  found: ReturnType<typeof checkLinearizable>,
): boolean {
  if (found.kind !== 'violation') return false;
  const { operation, prefix, next, key } = found;
  const part = history.filter(({ input, outcome }) => outcome !== 'fail' && (model.partition?.(input) ?? '') === key);
  const called = part.filter(({ call }) => call <= operation.return);
  const split = (isDue: (other: Operation) => boolean): boolean =>
    histories.explainable(
      model,
      called.filter(isDue),
      called.filter((other) => !isDue(other)),
    );
  return (
    histories.isOrder(prefix, model) &&
    part.filter((other) => other.return < operation.return).every((other) => prefix.includes(other)) &&
    !prefix.includes(operation) &&
    next.includes(operation) &&
    next.every((other) => !prefix.includes(other) && other.call <= operation.return) &&
    !split((other) => other.return <= operation.return) &&
    split((other) => other.return < operation.return)
  );
}

describe.each(histories.things)('of the $model.name model', (thing) => {
  const { model } = thing;

  it(`says what the definition says of ${EACH} small histories, and proves it`, () => {
    const seen = { linearizable: 0, violation: 0, unknowns: 0, crowded: 0 };
    const random = histories.randomFrom(model.name.length);
    const wrong: History[] = [];
    for (let run = 0; run < EACH; run++) {
      const history = histories.smallHistory(thing, random);
      const found = checkLinearizable(history, model);
      const right = histories.isLinearizable(history, model)
        ? checkOrders(history, model, found)
        : checkEvidence(history, model, found);
      if (!right) wrong.push(history);
      if (found.kind !== 'undecided') seen[found.kind]++;
      if (history.some(({ outcome }) => outcome === 'unknown')) seen.unknowns++;
      if (history.length >= 6) seen.crowded++;
    }
    expect(wrong.slice(0, 3)).toEqual([]);
    // Both verdicts are common, so that neither agreement is cheap.
    expect(seen.linearizable).toBeGreaterThan(EACH / 5);
    expect(seen.violation).toBeGreaterThan(EACH / 5);
    expect(seen.unknowns).toBeGreaterThan(EACH / 4);
    expect(seen.crowded).toBeGreaterThan(EACH / 5);
  });
});
