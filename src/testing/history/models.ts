/**
 * Sequential specifications against which histories are checked. The ready-made ones take inputs
 * `[verb, ...arguments]`, as in the text form of a history.
 */

import { shown } from '../../core/shown.js';
import { invalidArgument } from '../../replica/errors.js';
import { canonicalText, sameData } from '../plain-data.js';

/**
 * A sequential specification. States are values: `step` changes none it was given, and the same arguments give the
 * same answer.
 */
export interface SequentialModel<State = unknown, Input = unknown, Output = unknown> {
  readonly name: string;
  /** Before any operation; of each part by itself if there is a `partition`. */
  readonly initial: State;
  /**
   * The state after an operation that came to an end with `output`, or with `unknown` if nobody knows how it ended;
   * `refused` if it cannot have ended so in this state.
   */
  step(state: State, input: Input, output: Output | typeof unknown): State | typeof refused;
  /** A text that two states share exactly if they behave alike from here on. Without it states are plain data. */
  encode?(state: State): string;
  /**
   * Whether what ended with `output` has changed nothing, in whatever state it was: the search then need not try it
   * later. Without it no operation is taken for a read.
   */
  isRead?(input: Input, output: Output): boolean;
  /**
   * Which part of the whole an operation concerns, if what is done to one part is never seen in another. Each part is
   * then checked by itself, which is far cheaper (Herlihy and Wing: linearizability is local).
   */
  partition?(input: Input): string;
  /** An operation in an explanation; without it JSON. */
  describe?(input: Input, output: Output | typeof unknown): string;
}

/** In place of an output: nobody knows it. */
export const unknown: unique symbol = Symbol.for('quorate.testing.unknown');
/** In place of a state: an operation cannot have ended so. */
export const refused: unique symbol = Symbol.for('quorate.testing.refused');

/** Plain data that JSON carries. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export type RegisterInput =
  | readonly ['read']
  | readonly ['write', value: Json]
  | readonly ['cas', expected: Json, value: Json];

/**
 * One value. `read` gives it; `write` sets it, whatever it gives; `cas` sets it if it is as expected, and gives
 * whether it was.
 */
export function registerModel(initial: Json = null): SequentialModel<Json, RegisterInput, unknown> {
  return {
    name: 'register',
    initial,
    step(state, input, output) {
      switch (input[0]) {
        case 'read':
          return given(state, output) ? state : refused;
        case 'write':
          return argument(input, 1);
        case 'cas': {
          const matches = sameData(state, argument(input, 1));
          return given(matches, output) ? (matches ? argument(input, 2) : state) : refused;
        }
        default:
          return unknownVerb('register', input, 'read, write, cas');
      }
    },
    isRead: ([verb], output) => verb === 'read' || (verb === 'cas' && output === false),
    describe: describeWords,
  };
}

export type CounterInput = readonly ['read'] | readonly ['add', amount: number];

/** A sum. `read` gives it; `add` adds an amount, below 0 too, and gives the new sum or nothing. */
export function counterModel(initial = 0): SequentialModel<number, CounterInput, unknown> {
  return {
    name: 'counter',
    initial,
    step(state, input, output) {
      switch (input[0]) {
        case 'read':
          return given(state, output) ? state : refused;
        case 'add': {
          const amount = argument(input, 1);
          if (typeof amount !== 'number') throw invalidArgument(`the counter adds numbers, got ${show(amount)}`);
          return output === undefined || given(state + amount, output) ? state + amount : refused;
        }
        default:
          return unknownVerb('counter', input, 'read, add');
      }
    },
    isRead: ([verb]) => verb === 'read',
    describe: describeWords,
  };
}

export type LogInput = readonly ['read'] | readonly ['append', value: Json];

/** A list that grows at its end. `read` gives all of it; `append` gives the new length or nothing. */
export function logModel(): SequentialModel<readonly Json[], LogInput, unknown> {
  const initial: readonly Json[] = [];
  // Known by that of the list without its last item: made anew, each text would cost as much as its list is long.
  const texts = new WeakMap<readonly Json[], string>([[initial, '']]);
  const encode = (state: readonly Json[]): string =>
    texts.get(state) ?? state.map((item) => `${canonicalText(item)};`).join('');
  const longer = (state: readonly Json[], item: Json): readonly Json[] => {
    const after = [...state, item];
    texts.set(after, `${encode(state)}${canonicalText(item)};`);
    return after;
  };
  return {
    name: 'log',
    initial,
    encode,
    step(state, input, output) {
      switch (input[0]) {
        case 'read':
          return given(state, output) ? state : refused;
        case 'append':
          if (output !== undefined && !given(state.length + 1, output)) return refused;
          return longer(state, argument(input, 1));
        default:
          return unknownVerb('log', input, 'read, append');
      }
    },
    isRead: ([verb]) => verb === 'read',
    describe: describeWords,
  };
}

export type KeyValueInput =
  | readonly ['get', key: string]
  | readonly ['put', key: string, value: Json]
  | readonly ['delete', key: string]
  | readonly ['cas', key: string, expected: Json, value: Json];

/**
 * Values by key, one part a key; `null` is no value. `get` gives the value; `put` sets it, whatever it gives; `delete`
 * gives whether there was one, or nothing; `cas` sets it if it is as expected (`null`: if there is none), and
 * gives whether it was.
 */
export function keyValueModel(): SequentialModel<Json, KeyValueInput, unknown> {
  const register = registerModel();
  return {
    name: 'key-value',
    initial: null,
    step(state, input, output) {
      switch (input[0]) {
        case 'get':
          return register.step(state, ['read'], output);
        case 'put':
          return argument(input, 2);
        case 'delete':
          return output === undefined || given(state !== null, output) ? null : refused;
        case 'cas':
          return register.step(state, ['cas', argument(input, 2), argument(input, 3)], output);
        default:
          return unknownVerb('key-value', input, 'get, put, delete, cas');
      }
    },
    isRead: ([verb], output) => verb === 'get' || (verb !== 'put' && output === false),
    partition: (input) => String(argument(input, 1)),
    describe: describeWords,
  };
}

/** Many of one kind, one a key: `['read']` of the model given becomes `['read', key]`, and so on with all its verbs. */
export function keyedModel<State, Output>(
  model: SequentialModel<State, any, Output>,
): SequentialModel<State, readonly [verb: string, key: string, ...rest: Json[]], Output> {
  const { encode, isRead } = model;
  return {
    name: `${model.name} by key`,
    initial: model.initial,
    step: (state, [verb, , ...rest], output) => model.step(state, [verb, ...rest], output),
    partition: (input) => String(argument(input, 1)),
    ...(encode === undefined ? {} : { encode: (state: State) => encode.call(model, state) }),
    ...(isRead === undefined
      ? {}
      : {
          isRead: ([verb, , ...rest]: readonly [string, string, ...Json[]], output: Output) =>
            isRead.call(model, [verb, ...rest], output),
        }),
    describe: describeWords,
  };
}

/** Whether an operation that gives `expected` can have given `output`. */
function given(expected: unknown, output: unknown): boolean {
  return output === unknown || sameData(expected, output);
}

function argument(input: readonly unknown[], at: number): Json {
  if (at < input.length && input[at] !== undefined) return input[at] as Json;
  throw invalidArgument(`the operation ${show(input)} lacks its argument ${at}`);
}

function unknownVerb(model: string, input: never, verbs: string): never {
  throw invalidArgument(`the ${model} model has no operation ${show(input)}; it has ${verbs}`);
}

function show(value: unknown): string {
  try {
    return JSON.stringify(value) ?? shown(value);
  } catch {
    return shown(value); // JSON does not carry it
  }
}

function describeWords(input: readonly unknown[], output: unknown): string {
  const words = input.map((word, at) => (at === 0 && typeof word === 'string' ? word : show(word))).join(' ');
  if (output === undefined) return words;
  return output === unknown ? `${words} → ?` : `${words} → ${show(output)}`;
}

/** A state in an explanation, which is for people: cut where it gets long. */
export function describeState(state: unknown): string {
  let text: string;
  try {
    text = canonicalText(state);
  } catch {
    text = shown(state);
  }
  return text.length <= LONGEST_STATE ? text : `${text.slice(0, LONGEST_STATE)}…`;
}

const LONGEST_STATE = 400;

/** A state's text by which it is told apart. */
export function encodeState<State>(model: SequentialModel<State, any, any>, state: State): string {
  return model.encode === undefined ? canonicalText(state) : model.encode(state);
}

/** An operation in words, as the model tells it. */
export function describeOperation<Input, Output>(
  model: SequentialModel<any, Input, Output>,
  input: Input,
  output: Output | typeof unknown,
): string {
  if (model.describe !== undefined) return model.describe(input, output);
  return describeWords([input], output);
}
