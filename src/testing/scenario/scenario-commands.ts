/** The commands of the scenario language: their syntax and their meaning. */

import type { Lane, Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { Happening, MessagePick } from '../world/actions.js';
import { MAX_PADDING } from '../world/machine.js';
import { parseExpectation, type Expectation } from './scenario-expect.js';
import { suggestion, type Words } from './scenario-text.js';

/** A command: one line of a scenario. */
export type ScenarioCommand =
  /** Actions, one after the other, without time between them. */
  | { readonly kind: 'act'; readonly happenings: readonly Happening[] }
  /** Moves every message that is under way between these replicas and whose description begins with `prefix`. */
  | {
      readonly kind: 'messages';
      readonly what: 'deliver' | 'duplicate' | 'drop';
      readonly from: readonly ReplicaId[];
      readonly to: readonly ReplicaId[];
      readonly prefix: string;
    }
  /** Runs messages, disks and machines of these replicas to quiescence; no time passes. */
  | { readonly kind: 'quiesce'; readonly among: readonly ReplicaId[] }
  /** Timeouts of one replica, each run to quiescence among these, until it leads. */
  | { readonly kind: 'elect'; readonly replica: ReplicaId; readonly among: readonly ReplicaId[] }
  /** Lets time pass without faults, until the expectation holds if one is given. */
  | { readonly kind: 'run'; readonly time: Milliseconds; readonly until: Expectation | null }
  | { readonly kind: 'expect'; readonly expectation: Expectation };

const LANES: readonly Lane[] = ['control', 'bulk'];

type CommandParser = (words: Words) => ScenarioCommand;

function act(...happenings: readonly Happening[]): ScenarioCommand {
  return { kind: 'act', happenings };
}

/** The parser of an action on one replica: `verb n1`, or on several in order. */
function each(kind: (Happening & { replica: ReplicaId })['kind']): CommandParser {
  return (words) => {
    const ids = [words.replica(), ...words.allReplicas()];
    return act(...ids.map((replica) => ({ kind, replica }) as Happening));
  };
}

/** `#5` is an ordinal, `"…"` a quoted description, everything else a description. */
function parsePick(words: Words): MessagePick {
  const text = words.remainder();
  if (text.startsWith('#')) return words.whole('the ordinal of a message', text.slice(1), 1);
  if (!text.startsWith('"')) return text;
  try {
    return String(JSON.parse(text));
  } catch {
    return words.fail(`expected a description in quotes, got ${text}`);
  }
}

function message(what: 'deliver' | 'duplicate' | 'drop'): CommandParser {
  return (words) => {
    if (words.peek() === 'all') {
      words.word('all');
      return { kind: 'messages', what, from: words.replicas, to: words.replicas, prefix: words.remainder() };
    }
    const wild = words.peek() === '*';
    const from = words.some();
    if (wild || words.peek() === '*') {
      return { kind: 'messages', what, from, to: words.some(), prefix: words.remainder() };
    }
    return act({ kind: what, from: from[0] as ReplicaId, to: words.replica(), pick: parsePick(words) });
  };
}

function links(kind: 'cut' | 'heal', from: readonly ReplicaId[], to: readonly ReplicaId[]): Happening[] {
  return from.flatMap((a) => to.filter((b) => b !== a).map((b): Happening => ({ kind, from: a, to: b })));
}

function link(kind: 'cut' | 'heal'): CommandParser {
  return (words) => {
    if (words.isEmpty && kind === 'heal') return act(...links(kind, words.replicas, words.replicas));
    const [from, to] = [words.some(), words.some()];
    words.end();
    return act(...links(kind, from, to));
  };
}

function isolate(words: Words): ScenarioCommand {
  const ids = [words.replica(), ...words.allReplicas()];
  const { replicas } = words;
  return act(...ids.flatMap((id) => [...links('cut', [id], replicas), ...links('cut', replicas, [id])]));
}

/** `partition n1 n2 | n3`: cuts links between the groups and heals those within; other replicas keep their links. */
function partition(words: Words): ScenarioCommand {
  const groups = words
    .remainder()
    .split('|')
    .map((group) => group.split(/\s+/).filter((word) => word !== ''));
  if (groups.length < 2 || groups.some((group) => group.length === 0)) words.fail('partition: expected a b | c …');
  const all = groups.flat();
  for (const word of all) words.known(word);
  if (new Set(all).size < all.length) words.fail('partition: a replica stands there twice');
  const happenings = groups.flatMap((group) => {
    const others = all.filter((id) => !group.includes(id));
    return [...links('heal', group, group), ...links('cut', group, others)];
  });
  return act(...happenings);
}

function keepOrLose(kind: 'crash' | 'failStorage'): CommandParser {
  return (words) => {
    const replica = words.replica();
    const keep = !words.isEmpty && words.choice('what is under way to the disk', ['keep', 'lose']) === 'keep';
    words.end();
    return act({ kind, replica, keep });
  };
}

function propose(words: Words): ScenarioCommand {
  const replica = words.replica();
  const padding = words.option('padding');
  if (padding !== null && !(Number.isSafeInteger(padding) && padding >= 1 && padding <= MAX_PADDING)) {
    words.fail(`padding: expected a whole number of bytes from 1 to ${MAX_PADDING}, got ${padding}`);
  }
  const timeout = words.option('timeout') ?? Infinity;
  if (words.isEmpty) words.fail('propose: which command?');
  const asked = { kind: 'propose', replica, command: words.value(words.remainder()), timeout } as const;
  return act(padding === null ? asked : { ...asked, padding });
}

function read(words: Words): ScenarioCommand {
  const replica = words.replica();
  const timeout = words.option('timeout') ?? Infinity;
  const minIndex = words.option('min');
  const by = words.isEmpty ? undefined : words.choice('read', ['lease', 'quorum']);
  words.end();
  const asked = { kind: 'read', replica, minIndex, timeout } as const;
  return act(by === undefined ? asked : { ...asked, by });
}

/** `fill n1 3`: the disk has room for three more writes; without a number for none. */
function fill(words: Words): ScenarioCommand {
  const replica = words.replica();
  const room = words.isEmpty ? 0 : words.number('how many writes it has room for');
  words.end();
  return Number.isSafeInteger(room) && room >= 0
    ? act({ kind: 'fill', replica, room })
    : words.fail(`fill: expected a whole number of writes from 0, got ${room}`);
}

/** `transfer n1 n2`; without a target the best candidate. */
function transfer(words: Words): ScenarioCommand {
  const replica = words.replica();
  const timeout = words.option('timeout') ?? Infinity;
  const to = words.isEmpty ? null : words.replica();
  words.end();
  return act({ kind: 'transfer', replica, to, timeout });
}

function leave(words: Words): ScenarioCommand {
  const replica = words.replica();
  const timeout = words.option('timeout') ?? Infinity;
  words.end();
  return act({ kind: 'leave', replica, timeout });
}

function cancel(words: Words): ScenarioCommand {
  const calls = words.words().map((word) => words.whole('the number of a call', word, 1));
  return calls.length > 0 ? act({ kind: 'cancel', calls }) : words.fail('cancel: which calls?');
}

function leap(words: Words): ScenarioCommand {
  const happening: Happening = { kind: 'leap', replica: words.replica(), by: words.number('by how many milliseconds') };
  words.end();
  // A clock never goes back (law/time-is-data).
  return happening.by >= 0 ? act(happening) : words.fail(`leap: expected 0 milliseconds or more, got ${happening.by}`);
}

function rate(words: Words): ScenarioCommand {
  const happening = { kind: 'rate', replica: words.replica(), rate: words.number('the rate of the clock') } as const;
  words.end();
  return happening.rate > 0 ? act(happening) : words.fail(`rate: expected more than 0, got ${happening.rate}`);
}

/** `snapshotted n1`; or `snapshotted n1 fails`. */
function snapshotted(words: Words): ScenarioCommand {
  const replica = words.replica();
  const fails = !words.isEmpty && words.choice('what becomes of the snapshot', ['fails']) === 'fails';
  words.end();
  return act({ kind: 'snapshotted', replica, fails });
}

/** `wall n1 5000`: its wall clock is so many milliseconds ahead of its own clock. */
function wall(words: Words): ScenarioCommand {
  const ahead = 'by how many milliseconds';
  const happening = { kind: 'wall', replica: words.replica(), ahead: words.number(ahead) } as const;
  words.end();
  return Number.isSafeInteger(happening.ahead) ? act(happening) : words.fail('wall: expected a whole number');
}

/** `… n1 n2 bulk`; without a lane both. */
function lanesOf(words: Words): readonly Lane[] {
  const lanes = words.isEmpty ? LANES : [words.choice('the lane', LANES)];
  words.end();
  return lanes;
}

function refusal(kind: 'refuse' | 'accept'): CommandParser {
  return (words) => {
    const [from, to] = [words.some(), words.some()];
    const lanes = lanesOf(words);
    const pairs = from.flatMap((a) => to.filter((b) => b !== a).map((b) => ({ from: a, to: b })));
    return act(...pairs.flatMap((pair) => lanes.map((lane): Happening => ({ kind, ...pair, lane }))));
  };
}

function disconnect(words: Words): ScenarioCommand {
  const [replica, peer] = [words.replica(), words.replica()];
  return act(...lanesOf(words).map((lane): Happening => ({ kind: 'disconnect', replica, peer, lane })));
}

/** `install n2 n1`: n2 is brought the newest snapshot of n1. */
function install(words: Words): ScenarioCommand {
  const happening = { kind: 'install', replica: words.replica(), peer: words.replica() } as const;
  words.end();
  return act(happening);
}

function unreachable(words: Words): ScenarioCommand {
  const happening = { kind: 'unreachable', replica: words.replica(), peer: words.replica() } as const;
  words.end();
  return act(happening);
}

function among(words: Words): readonly ReplicaId[] {
  return words.isEmpty ? words.replicas : words.allReplicas();
}

function run(words: Words): ScenarioCommand {
  const time = words.number('how many milliseconds');
  if (time <= 0) words.fail(`run: expected more than 0 milliseconds, got ${time}`);
  if (words.isEmpty) return { kind: 'run', time, until: null };
  words.choice('run', ['until']);
  return { kind: 'run', time, until: parseExpectation(words) };
}

/** The parsers of all commands, by their first word. */
const COMMANDS: Readonly<Record<string, CommandParser>> = {
  deliver: message('deliver'),
  duplicate: message('duplicate'),
  drop: message('drop'),
  tick: each('tick'),
  timeout: each('timeout'),
  sync: each('sync'),
  written: each('written'),
  applied: each('applied'),
  loaded: each('loaded'),
  snapshotted,
  compact: each('compact'),
  install,
  restored: each('restored'),
  crash: keepOrLose('crash'),
  restart: each('restart'),
  wipe: each('wipe'),
  'fail-storage': keepOrLose('failStorage'),
  fill,
  free: each('free'),
  cut: link('cut'),
  heal: link('heal'),
  isolate,
  partition,
  pause: each('pause'),
  resume: each('resume'),
  leap,
  rate,
  wall,
  propose,
  read,
  cancel,
  campaign: each('campaign'),
  stop: each('stop'),
  transfer,
  leave,
  refuse: refusal('refuse'),
  accept: refusal('accept'),
  disconnect,
  unreachable,
  wait: (words) => (words.end(), act({ kind: 'wait' })),
  quiesce: (words) => ({ kind: 'quiesce', among: among(words) }),
  elect(words) {
    const replica = words.replica();
    const others = words.isEmpty ? words.replicas : [replica, ...words.allReplicas()];
    return { kind: 'elect', replica, among: others };
  },
  run,
  expect: (words) => ({ kind: 'expect', expectation: parseExpectation(words) }),
};

/** The first words of all commands. */
export const commandNames: readonly string[] = Object.keys(COMMANDS);

/** Reads a line that is a command. @throws ScenarioSyntaxError */
export function parseCommand(words: Words): { readonly at: Milliseconds | null; readonly command: ScenarioCommand } {
  const prefix = words.peek();
  const at = prefix.startsWith('@') ? words.number('the time', words.word('the time').slice(1)) : null;
  const name = words.word('a command');
  const parse = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (parse === undefined) return words.fail(`unknown command "${name}"${suggestion(name, commandNames)}`);
  return { at, command: parse(words) };
}
