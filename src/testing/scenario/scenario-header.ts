/** The header of a scenario: `field: value` lines before the first command, which describe its world. */

import { given } from '../../core/tuning.js';
import { MAX_MEMBERS, defaultConstants, isReplicaId, type Constants, type ReplicaId } from '../../core/members.js';
import type { Model } from '../../core/model.js';
import type { Limits, Milliseconds, Timing } from '../../core/protocol.js';
import { defaultLimits } from '../../core/tuning.js';
import type { MachineSpec } from '../world/machine.js';
import { ScenarioSyntaxError, Words, suggestion } from './scenario-text.js';
import { testTiming, type WorldOptions } from '../world/options.js';
import type { Eager } from '../world/state.js';

/** The world of a scenario without model and state machine. Absent fields have the defaults of `WorldOptions`. */
export interface ScenarioHeader {
  /** The name of the protocol. */
  readonly protocol: string;
  /** In ascending order. */
  readonly replicas: readonly ReplicaId[];
  readonly program: 'driver' | 'core';
  readonly seed: number;
  readonly established: boolean;
  /** Whether replicas ask for pre-votes before they campaign. */
  readonly preVote: boolean;
  readonly eager: Eager;
  readonly timing: Partial<Timing>;
  readonly limits: Partial<Limits>;
  readonly constants: Partial<Constants>;
  readonly maxWaiting: number;
  /** After how many entries a snapshot is taken; 0: never. */
  readonly snapshots: number;
  /** How long a message takes while time passes by `run`, in milliseconds. */
  readonly latency: Milliseconds;
  /** What each direction of a link carries then, in bytes a millisecond; `Infinity`: everything at once. */
  readonly bandwidth: number;
  /** What a write and a load take then, and what a machine takes for a command, in milliseconds. */
  readonly write: Milliseconds;
  readonly load: Milliseconds;
  readonly cost: Milliseconds;
}

const EAGER = ['written', 'applied', 'loaded'] as const;

/** What is eager is done at once, whatever it would take. */
const TAKING_TIME = [
  ['written', 'write'],
  ['applied', 'cost'],
  ['loaded', 'load'],
] as const;

const DEFAULTS: Omit<ScenarioHeader, 'protocol' | 'replicas'> = {
  program: 'driver',
  seed: 1,
  established: true,
  preVote: true,
  eager: { written: false, applied: false, loaded: false },
  timing: {},
  limits: {},
  constants: {},
  maxWaiting: 1000,
  snapshots: 0,
  latency: 5,
  bandwidth: Infinity,
  write: 0,
  load: 0,
  cost: 0,
};

type HeaderFields = { -readonly [K in keyof ScenarioHeader]?: ScenarioHeader[K] };
type FieldParser = (words: Words) => HeaderFields;

function counted(count: number): readonly ReplicaId[] {
  return Array.from({ length: count }, (_, at) => `n${at + 1}`);
}

function replicasOf(words: Words): HeaderFields {
  const names = words.words();
  const [first] = names;
  if (first === undefined) words.fail('replicas: how many, or their names?');
  if (names.length === 1 && /^\d+$/.test(first)) {
    const count = words.whole('replicas', first, 1);
    if (count > MAX_MEMBERS) words.fail(`replicas: expected 1 to ${MAX_MEMBERS}, got ${count}`);
    return { replicas: counted(count) };
  }
  for (const name of names) if (!isReplicaId(name)) words.fail(`replicas: "${name}" cannot be a name`);
  if (names.length > MAX_MEMBERS) words.fail(`replicas: expected 1 to ${MAX_MEMBERS}, got ${names.length}`);
  if (new Set(names).size < names.length) words.fail('replicas: a name stands there twice');
  return { replicas: names.sort() };
}

/** `name=number …`, with the names of `defaults`. */
function settings(words: Words, what: string, defaults: object): Record<string, number | string> {
  const found: Record<string, number | string> = {};
  for (const word of words.words()) {
    const [name = '', value = ''] = word.split('=', 2);
    if (!Object.hasOwn(defaults, name)) {
      words.fail(`${what}: unknown setting "${name}"${suggestion(name, Object.keys(defaults))}`);
    }
    if (name in found) words.fail(`${what}: ${name} stands there twice`);
    found[name] = name === 'onApplyError' ? value : words.whole(`${what}: ${name}`, value, 1);
  }
  return found;
}

function eagerOf(words: Words): HeaderFields {
  const named = words.words();
  for (const word of named) {
    if (!(EAGER as readonly string[]).includes(word)) words.fail(`eager: unknown "${word}"${suggestion(word, EAGER)}`);
  }
  const [written, applied, loaded] = EAGER.map((each) => named.includes(each)) as [boolean, boolean, boolean];
  return { eager: { written, applied, loaded } };
}

const FIELDS: Readonly<Record<keyof ScenarioHeader, FieldParser>> = {
  protocol: (words) => ({ protocol: words.word('the name of a protocol') }),
  replicas: replicasOf,
  program: (words) => ({ program: words.choice('program', ['driver', 'core']) }),
  seed: (words) => ({ seed: words.whole('seed', undefined, Number.MIN_SAFE_INTEGER) }),
  established: (words) => ({ established: words.choice('established', ['yes', 'no']) === 'yes' }),
  preVote: (words) => ({ preVote: words.choice('preVote', ['yes', 'no']) === 'yes' }),
  eager: eagerOf,
  timing: (words) => ({ timing: settings(words, 'timing', testTiming) }),
  limits: (words) => ({ limits: settings(words, 'limits', defaultLimits) }),
  constants: (words) => ({ constants: settings(words, 'constants', defaultConstants) as Partial<Constants> }),
  maxWaiting: (words) => ({ maxWaiting: words.whole('maxWaiting', undefined, 1) }),
  snapshots: (words) => ({ snapshots: words.whole('snapshots', undefined, 0) }),
  latency: (words) => ({ latency: words.whole('latency', undefined, 1) }),
  bandwidth: (words) => ({ bandwidth: words.whole('bandwidth', undefined, 1) }),
  write: (words) => ({ write: words.whole('write', undefined, 0) }),
  load: (words) => ({ load: words.whole('load', undefined, 0) }),
  cost(words) {
    const cost = words.number('cost');
    return cost >= 0 ? { cost } : words.fail(`cost: expected 0 milliseconds or more, got ${cost}`);
  },
};

/** Whether a line has the form of a header's. */
export function isHeaderLine(text: string): boolean {
  return /^[A-Za-z]+:/.test(text);
}

/** Reads the lines of a header. */
export class HeaderReader {
  private fields: HeaderFields = {};
  /** The line at which the header begins; 0 before that. */
  line = 0;

  read(line: number, text: string): void {
    const at = text.indexOf(':');
    const name = text.slice(0, at);
    if (!Object.hasOwn(FIELDS, name)) {
      throw new ScenarioSyntaxError(line, `unknown field "${name}"${suggestion(name, Object.keys(FIELDS))}`);
    }
    const field = name as keyof ScenarioHeader;
    if (field in this.fields) throw new ScenarioSyntaxError(line, `the field ${field} stands there twice`);
    const words = new Words(line, text.slice(at + 1), []);
    this.fields = { ...this.fields, ...FIELDS[field](words) };
    words.end();
    if (this.line === 0) this.line = line;
  }

  /** @param line the line of the first command, or of the end */
  finish(line: number): ScenarioHeader {
    const { protocol, replicas = counted(3) } = this.fields;
    if (protocol === undefined) throw new ScenarioSyntaxError(line, 'the header does not say which protocol');
    const header = { ...DEFAULTS, ...this.fields, protocol, replicas };
    for (const [at, [kind, time]] of TAKING_TIME.entries()) {
      if (!header.eager[kind] || header[time] === 0) continue;
      throw new ScenarioSyntaxError(line, `${time}: takes no time, since "${EAGER[at] as string}" is eager`);
    }
    return header;
  }
}

function settingsText(what: string, given: object): string[] {
  const words = Object.entries(given).map(([name, value]) => `${name}=${String(value)}`);
  return words.length === 0 ? [] : [`${what}: ${words.join(' ')}`];
}

const TIMES = ['latency', 'bandwidth', 'write', 'load', 'cost'] as const;

/** The lines of a header; fields with their defaults are left out. */
export function formatHeader(header: ScenarioHeader): string[] {
  const { protocol, replicas, program, seed, eager, timing, limits, constants, maxWaiting, snapshots } = header;
  const plain = replicas.every((id, at) => id === `n${at + 1}`);
  const now = EAGER.filter((each) => eager[each]);
  return [
    `protocol: ${protocol}`,
    `replicas: ${plain ? replicas.length : replicas.join(' ')}`,
    ...(program === DEFAULTS.program ? [] : [`program: ${program}`]),
    ...(seed === DEFAULTS.seed ? [] : [`seed: ${seed}`]),
    ...(header.established ? [] : ['established: no']),
    ...(header.preVote ? [] : ['preVote: no']),
    ...(now.length === 0 ? [] : [`eager: ${now.join(' ')}`]),
    ...settingsText('timing', timing),
    ...settingsText('limits', limits),
    ...settingsText('constants', constants),
    ...(maxWaiting === DEFAULTS.maxWaiting ? [] : [`maxWaiting: ${maxWaiting}`]),
    ...(snapshots === DEFAULTS.snapshots ? [] : [`snapshots: ${snapshots}`]),
    ...TIMES.flatMap((name) => (header[name] === DEFAULTS[name] ? [] : [`${name}: ${header[name]}`])),
  ];
}

/** The header of a scenario that runs in a world of these options. */
export function headerOf(options: WorldOptions): ScenarioHeader {
  const { model, replicas = 3, tuning, constants } = options;
  return {
    protocol: model.protocol.name,
    replicas: typeof replicas === 'number' ? counted(replicas) : [...replicas].sort(),
    program: options.program ?? DEFAULTS.program,
    seed: options.seed ?? DEFAULTS.seed,
    established: options.established ?? DEFAULTS.established,
    preVote: tuning?.preVote ?? DEFAULTS.preVote,
    eager: { ...DEFAULTS.eager, ...options.eager },
    timing: given(tuning?.timing),
    limits: given(tuning?.limits),
    constants: { ...constants },
    maxWaiting: options.maxWaiting ?? DEFAULTS.maxWaiting,
    snapshots: options.snapshots ?? DEFAULTS.snapshots,
    latency: DEFAULTS.latency,
    bandwidth: DEFAULTS.bandwidth,
    write: DEFAULTS.write,
    load: DEFAULTS.load,
    cost: DEFAULTS.cost,
  };
}

/** The options of a header's world. */
export function worldOptionsOf(
  header: ScenarioHeader,
  model: Model<any, any, any>,
  machine: MachineSpec | undefined,
): WorldOptions {
  const { replicas, program, seed, established, preVote, eager, timing, limits, constants, maxWaiting, snapshots } =
    header;
  const base = { model, replicas, program, seed, established, eager, constants, maxWaiting, snapshots };
  return { ...base, tuning: { timing, limits, preVote }, ...(machine === undefined ? {} : { machine }) };
}
