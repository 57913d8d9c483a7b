/**
 * Small histories by the hundred thousand, and what a checker must say of them by the plain definition: all orders
 * are tried, with none of the checker's code or reductions.
 */

import type { History, Operation } from '../../../src/testing/history/history.js';
import {
  counterModel,
  keyValueModel,
  logModel,
  refused,
  registerModel,
  unknown,
  type Json,
  type SequentialModel,
} from '../../../src/testing/history/models.js';

export type AnyModel = SequentialModel<any, any, any>;
export type Random = (below: number) => number;

/** Whole numbers by Marsaglia's xorshift, the same for the same seed. */
export function randomFrom(seed: number): Random {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A kind of thing: its model under test, and by hand what it does. */
export interface Thing {
  readonly model: AnyModel;
  readonly fresh: () => { run(input: readonly Json[]): Json | undefined };
  readonly input: (random: Random) => readonly Json[];
  /** Any output it might be said to have given. */
  readonly output: (random: Random, input: readonly Json[]) => Json | undefined;
}

const maybe = (random: Random): Json | undefined => [true, false, undefined][random(3)];

export const things: readonly Thing[] = [
  {
    model: registerModel(0),
    fresh() {
      let value: Json = 0;
      return {
        run([verb, a, b]) {
          if (verb === 'read') return value;
          if (verb === 'write') return void (value = a as Json);
          if (value !== a) return false;
          value = b as Json;
          return true;
        },
      };
    },
    input(random) {
      const verb = random(5);
      if (verb < 2) return ['read'];
      return verb < 4 ? ['write', random(3)] : ['cas', random(3), random(3)];
    },
    output: (random, [verb]) => (verb === 'read' ? random(3) : verb === 'cas' ? random(2) === 0 : undefined),
  },
  {
    model: counterModel(),
    fresh() {
      let sum = 0;
      return { run: ([verb, amount]) => (verb === 'add' ? (sum += amount as number) : sum) };
    },
    input: (random) => (random(2) === 0 ? ['read'] : ['add', random(3) - 1]),
    output: (random, [verb]) => (verb === 'add' && random(2) === 0 ? undefined : random(4) - 1),
  },
  {
    model: keyValueModel(),
    fresh() {
      const values = new Map<Json, Json>();
      return {
        run([verb, key, a, b]) {
          const value = values.get(key as Json) ?? null;
          if (verb === 'get') return value;
          if (verb === 'put') return void values.set(key as Json, a as Json);
          if (verb === 'delete') return values.delete(key as Json);
          if (value !== a) return false;
          values.set(key as Json, b as Json);
          return true;
        },
      };
    },
    input(random) {
      const key = 'xy'[random(2)] as string;
      const verb = ['get', 'get', 'put', 'put', 'delete', 'cas'][random(6)] as string;
      if (verb === 'put') return [verb, key, random(2)];
      return verb === 'cas' ? [verb, key, [null, 0, 1][random(3)] as Json, random(2)] : [verb, key];
    },
    output(random, [verb]) {
      if (verb === 'get') return [null, 0, 1][random(3)] as Json;
      return verb === 'put' ? undefined : verb === 'delete' ? maybe(random) : random(2) === 0;
    },
  },
  {
    model: logModel(),
    fresh() {
      const items: Json[] = [];
      return { run: ([verb, item]) => (verb === 'append' ? items.push(item as Json) : items.slice()) };
    },
    input: (random) => (random(2) === 0 ? ['read'] : ['append', random(2)]),
    output(random, [verb]) {
      if (verb === 'append') return random(2) === 0 ? undefined : 1 + random(3);
      return Array.from({ length: random(3) }, () => random(2));
    },
  },
];

/**
 * A history of up to seven operations: made by letting each take effect at a moment between its call and its return,
 * then, in three of four, told wrongly. Times are few, so that many of them are equal.
 */
export function smallHistory(thing: Thing, random: Random): History<readonly Json[], Json | undefined> {
  const span = 2 + random(14);
  const planned = Array.from({ length: 1 + random(7) }, (_, at) => {
    const call = random(span);
    const end = call + random(1 + (span >> 1));
    const fate = random(10);
    const outcome = fate < 7 ? 'ok' : fate < 9 ? 'unknown' : 'fail';
    const effect = outcome === 'unknown' ? call + random(2 * span) : call + random(end - call + 1);
    return { client: `c${at}`, input: thing.input(random), call, end, outcome, effect, order: random(1000) } as const;
  });
  const machine = thing.fresh();
  const told = planned
    .slice()
    .sort((a, b) => a.effect - b.effect || a.order - b.order)
    .map(({ client, input, call, end, outcome }): Operation<readonly Json[], Json | undefined> => {
      const shared = { client, input, call, at: null };
      if (outcome === 'fail') return { ...shared, outcome, return: end };
      if (outcome === 'unknown') {
        if (random(2) === 0) machine.run(input);
        return { ...shared, outcome, return: Infinity };
      }
      return { ...shared, outcome, output: machine.run(input), return: end };
    });
  if (random(4) === 0) return told;
  return corrupted(corrupted(told, thing, random), thing, random);
}

function corrupted(
  history: History<readonly Json[], Json | undefined>,
  thing: Thing,
  random: Random,
): History<readonly Json[], Json | undefined> {
  const victim = random(history.length);
  return history.map((operation, at) => {
    if (at !== victim || operation.outcome !== 'ok') return operation;
    if (random(3) === 0) return { ...operation, call: operation.call + 20, return: operation.return + 20 };
    return { ...operation, output: thing.output(random, operation.input) };
  });
}

/** Whether there is an order of all that must, and of some that may have happened. By definition, without haste. */
export function explainable(
  model: AnyModel,
  must: readonly Operation[],
  may: readonly Operation[],
  state: unknown = model.initial,
): boolean {
  if (must.length === 0) return true;
  return [...must, ...may].some((next) => {
    if (must.some((other) => other !== next && other.return < next.call)) return false;
    const after = model.step(state, next.input, next.outcome === 'ok' ? next.output : unknown);
    if (after === refused) return false;
    const without = (list: readonly Operation[]): Operation[] => list.filter((other) => other !== next);
    return explainable(model, without(must), without(may), after);
  });
}

/** Parts by key, as the models under test define them. */
export function partsOf(history: History, model: AnyModel): Operation[][] {
  const parts = new Map<string, Operation[]>();
  for (const operation of history) {
    const key = model.partition?.(operation.input) ?? '';
    parts.set(key, [...(parts.get(key) ?? []), operation]);
  }
  return [...parts.values()];
}

/** Linearizability by definition. */
export function isLinearizable(history: History, model: AnyModel): boolean {
  return partsOf(history, model).every((part) =>
    explainable(
      model,
      part.filter(({ outcome }) => outcome === 'ok'),
      part.filter(({ outcome }) => outcome === 'unknown'),
    ),
  );
}

/** Whether operations can have happened in just this order. */
export function isOrder(order: readonly Operation[], model: AnyModel): boolean {
  let state: unknown = model.initial;
  return order.every((operation, at) => {
    if (order.slice(at + 1).some((later) => later.return < operation.call)) return false;
    state = model.step(state, operation.input, operation.outcome === 'ok' ? operation.output : unknown);
    return state !== refused;
  });
}

/**
 * What `clients` clients see of one thing that does answer in order: each calls again as soon as it has its answer.
 * `answers` may tell another output than the right one.
 */
export function longHistory(
  thing: Thing,
  random: Random,
  plan: { readonly clients: number; readonly operations: number; readonly unknownOf100?: number },
): Operation<readonly Json[], Json | undefined>[] {
  const machine = thing.fresh();
  const idle = Array.from({ length: plan.clients }, (_, at) => `c${at}`);
  const waiting: { client: string; input: readonly Json[]; call: number; output: Json | undefined; done: boolean }[] =
    [];
  const history: Operation<readonly Json[], Json | undefined>[] = [];
  let time = 0;
  for (let started = 0; started < plan.operations || waiting.length > 0; time++) {
    const choice = random(3);
    if (choice === 0 && idle.length > 0 && started < plan.operations) {
      const [client] = idle.splice(random(idle.length), 1);
      const input = thing.input(random);
      waiting.push({ client: client as string, input, call: time, output: undefined, done: false });
      started++;
    } else if (choice === 1 && waiting.length > 0) {
      const call = waiting[random(waiting.length)] as (typeof waiting)[number];
      if (!call.done) call.output = machine.run(call.input);
      call.done = true;
    } else if (waiting.length > 0) {
      const at = random(waiting.length);
      const { client, input, call, output, done } = waiting[at] as (typeof waiting)[number];
      const lost = random(100) < (plan.unknownOf100 ?? 0);
      if (!done && !lost) continue;
      waiting.splice(at, 1);
      idle.push(client);
      const shared = { client, input, call, at: null };
      if (lost) history.push({ ...shared, outcome: 'unknown', return: Infinity });
      else history.push({ ...shared, outcome: 'ok', output, return: time });
    }
  }
  return history;
}
