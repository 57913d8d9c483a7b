/**
 * Digests of Multi-Paxos: every field of a state counts, or is left out for a reason that is tried out: a state in
 * which only that differs takes the same step. And a state at another time, or with other numbers for the same
 * things, is the same state. The crowd of states and steps is from random schedules.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../../src/core/assert.js';
import type { Digest, SendFact, StepFact } from '../../../src/core/model.js';
import type { Attempt } from '../../../src/core/attempts.js';
import { itemsOf, withNewest, type Book, type BookItem } from '../../../src/core/book.js';
import type * as core from '../../../src/core/protocol.js';
import { simulate } from 'quorate/testing';
import { amount } from '../../amount.js';
import { smallLimits } from '../../values.js';
import { isComplete } from '../../../src/multipaxos/phase1.js';
import { multipaxosModel, type PaxosMessage, type PaxosState } from '../../../src/multipaxos/index.js';

type Fact = StepFact<PaxosState, PaxosMessage>;
type Inbound = core.Inbound<PaxosMessage>;
type Tree = Record<string, unknown>;

const { protocol, digestState, digestMessage } = multipaxosModel;
const { checkState } = protocol;

/** A value, a word, or a reference. */
type Token = number | boolean | string | readonly [group: string, number: number];

/** What is taken in, in words; references as they are, or as ranks. */
class Tokens implements Digest {
  readonly tokens: Token[] = [];

  value(value: number | boolean): void {
    this.tokens.push(value);
  }
  text(text: string): void {
    this.tokens.push(`'${text}`);
  }
  bytes(bytes: Uint8Array): void {
    this.tokens.push(`<${bytes.join()}>`);
  }
  id(id: string | null): void {
    this.tokens.push(`@${id}`);
  }
  reference(kind: string, owner: string, number: number): void {
    if (number === 0 && !kind.startsWith('round')) expect.fail(`${kind} of ${owner}: 0`);
    this.tokens.push([`${kind} of ${owner}`, number]);
  }

  raw(): string {
    return this.tokens.map((token) => (isReference(token) ? token.join(' ') : String(token))).join('|');
  }

  ranked(): string {
    const groups = new Map<string, number[]>();
    for (const token of this.tokens) {
      if (!isReference(token)) continue;
      const known = groups.get(token[0]);
      if (known === undefined) groups.set(token[0], [token[1]]);
      else if (!known.includes(token[1])) known.push(token[1]);
    }
    for (const numbers of groups.values()) numbers.sort((a, b) => a - b);
    const ranked = (token: readonly [string, number]): string =>
      `${token[0]} ${groups.get(token[0])?.indexOf(token[1])}`;
    return this.tokens.map((token) => (isReference(token) ? ranked(token) : String(token))).join('|');
  }
}

function isReference(token: Token | undefined): token is readonly [group: string, number: number] {
  return typeof token === 'object';
}

/** Whether what is taken in is the same as before, token by token: of most digests no more is asked, and often. */
class Comparison implements Digest {
  private isSame = true;
  private at = 0;
  private readonly before: readonly Token[];

  constructor(before: Tokens) {
    this.before = before.tokens;
  }

  private meet(token: Token): void {
    if (this.before[this.at++] !== token) this.isSame = false;
  }

  value(value: number | boolean): void {
    this.meet(value);
  }
  text(text: string): void {
    this.meet(`'${text}`);
  }
  bytes(bytes: Uint8Array): void {
    this.meet(`<${bytes.join()}>`);
  }
  id(id: string | null): void {
    this.meet(`@${id}`);
  }
  reference(kind: string, owner: string, number: number): void {
    const token = this.before[this.at++];
    if (!isReference(token) || token[1] !== number || token[0] !== `${kind} of ${owner}`) this.isSame = false;
  }

  get same(): boolean {
    return this.isSame && this.at === this.before.length;
  }
}

function tokensOf(state: PaxosState, now: number): Tokens {
  const tokens = new Tokens();
  digestState(state, now, tokens);
  return tokens;
}

function isSame(state: PaxosState, now: number, before: Tokens): boolean {
  const comparison = new Comparison(before);
  digestState(state, now, comparison);
  return comparison.same;
}

function raw(state: PaxosState, now: number): string {
  return tokensOf(state, now).raw();
}

function ranked(state: PaxosState, now: number): string {
  return tokensOf(state, now).ranked();
}

/** What one thing that a step wants done says, with numbers as references. */
function tell(tokens: Tokens, id: string, each: core.Outbound<PaxosMessage>): void {
  const number = (kind: string, value: number): void => {
    if (value === 0) tokens.value(0);
    else tokens.reference(kind, id, value);
  };
  tokens.text(each.kind);
  switch (each.kind) {
    case 'send':
      tokens.id(each.to);
      number('persist', each.after);
      tokens.text(each.lane);
      return digestMessage(each.message, id, each.to, tokens);
    case 'persist':
      number('persist', each.persistSeq);
      return tokens.text(JSON.stringify(each.ops));
    case 'load':
      number('load', each.id);
      return tokens.text(`${each.from}-${each.to} ${each.maxBytes}`);
    case 'resolve':
      for (const request of each.requests) number('request', request);
      return tokens.text(JSON.stringify(each.outcome));
    case 'forwardTaken':
      for (const request of each.requests) number('request', request);
      return;
    case 'readReady':
      number('request', each.request);
      return tokens.value(each.index);
    default:
      return tokens.text(JSON.stringify(each));
  }
}

/** Everything that a step leads to: the state after, and what it wants done. */
function behaviour(state: PaxosState, inbound: Inbound): string {
  const [after, outbound] = protocol.step(state, inbound);
  const tokens = new Tokens();
  digestState(after, inbound.now, tokens);
  for (const each of outbound) tell(tokens, after.options.id, each);
  return tokens.ranked();
}

/** A step of every shape: by role, by what arrived, by what was under way. */
const facts: Fact[] = [];
const sends: SendFact<PaxosMessage>[] = [];

function shapeOf({ before, inbound }: Fact): string {
  const { role, catchingUp, serving, reads } = before as PaxosState;
  const under = [serving.length > 0, reads !== null];
  const what = inbound?.kind === 'receive' ? inbound.message.kind : inbound?.kind;
  const led =
    role.kind === 'leader'
      ? `${role.reads.begun !== null} ${role.forwarded.some((each, at) => each > Number(role.told[at]))}`
      : '';
  const promised = role.kind === 'candidate' ? role.promises.filter(isComplete).length : 0;
  const waits = itemsOf((before as PaxosState).attempts).map(({ at }) => at < Infinity);
  return [role.kind, led, promised, what, catchingUp === null, ...under, ...new Set(waits)].join();
}

beforeAll(() => {
  const shapes = new Map<string, number>();
  const kinds = new Map<string, number>();
  const onStep = (fact: Fact): void => {
    if (fact.before === null || fact.before === fact.after) return;
    const shape = shapeOf(fact);
    const count = shapes.get(shape) ?? 0;
    shapes.set(shape, count + 1);
    if (count < (fact.before.role.kind === 'candidate' ? 4 : 1)) facts.push(fact);
  };
  const onSend = (fact: SendFact<PaxosMessage>): void => {
    const { kind } = fact.message;
    const count = kinds.get(kind) ?? 0;
    kinds.set(kind, count + 1);
    if (count < 20) sends.push(fact);
  };
  // Those whose clocks are not known meet more shapes.
  for (const [replicas, without] of [
    [5, []],
    [3, ['wall']],
    [5, ['wall']],
  ] as const) {
    simulate({
      model: multipaxosModel,
      replicas,
      schedules: without.length === 0 ? amount(24, 40) : amount(10, 15),
      without,
      length: 150,
      tuning: { limits: smallLimits },
      constants: { alpha: 6, leaseReads: 0 }, // no scope of the model checker has leases
      observer(fact) {
        if (fact.kind === 'step') onStep(fact.fact as Fact);
        if (fact.kind === 'send' && fact.message !== null) onSend(fact as never);
      },
    });
  }
});

/** One change to a tree of plain data: where, and how to make it and take it back. */
interface Change {
  /** With `*` for any item of a list. */
  readonly path: string;
  /** With the item's number. */
  readonly where: string;
  make(): void;
  undo(): void;
}

/** Nothing but an item makes another book of an empty one, and a round is none without its reads. */
const BOOKS: ReadonlySet<string> = new Set(['attempts', 'reads', 'own', 'ofPeers', 'begun', 'preVoting']);

/** What a number, a name or a truth may be instead. */
function othersOf(node: Tree, key: string, value: unknown): readonly unknown[] {
  // What an item is called is shown by other numbers; and a leader's lists have one item for each peer.
  if (key === 'key' || key === 'told' || key === 'forwarded' || key === 'heard') return [];
  if (typeof value === 'boolean') return [!value];
  if (typeof value === 'number') {
    // What is earlier, or durable already, may only be lower and still make sense.
    if (key === 'now' || key === 'durableSeq') return [value - 1];
    const higher = [value + 1, value + 7919, value + 2 ** 40];
    // Fresh numbers and rounds are above all that are known.
    if (key === 'lastNumber' || key === 'readRound') return higher;
    return [...higher, 7919, value > 1 ? value - 1 : 2].filter((other) => other !== value);
  }
  if (value instanceof Uint8Array) return [Uint8Array.of(...value, 1)];
  if (key === 'kind')
    return value === 'noop' ? ['command'] : value === 'command' || value === 'openSession' ? ['noop'] : [];
  if (key === 'fault') return [value === null ? 'EIO' : null];
  if (key === 'id' && 'term' in node) return [value === null ? { session: 1, sequence: 1, firstIncomplete: 1 } : null];
  if (key === 'id' && typeof value === 'object') return [];
  if (value === null && BOOKS.has(key)) return [];
  if (key === 'catchingUp') return [value === null ? someCatchUp : null];
  if (value === null) return ['n1'];
  if (typeof value === 'string') return [value === 'n1' ? 'n2' : 'n1'];
  return Array.isArray(value) && value.length > 0 ? [value.slice(0, -1)] : [];
}

const someCatchUp: PaxosState['catchingUp'] = {
  peer: 'n1',
  target: 1,
  retryAt: 1,
  asked: 1,
  questions: [],
  window: 0,
  doubt: null,
  least: 0,
  ahead: [],
};

function isBook(value: object): value is NonNullable<Book<BookItem>> {
  return 'items' in value && 'left' in value && 'right' in value;
}

/** Every single change that can be made to a tree. What a book says of its parts follows from its items. */
function* changesOf(node: Tree, path = '', place = ''): Generator<Change> {
  if (isBook(node)) {
    const parts = node as unknown as Tree;
    for (const [at, item] of node.items.entries()) {
      yield* changesOf(item as unknown as Tree, `${path}*.`, `${place}items.${at}.`);
    }
    for (const side of ['left', 'right']) {
      if (parts[side] !== null) yield* changesOf(parts[side] as Tree, path, `${place}${side}.`);
    }
    return;
  }
  // Of long lists, a few items: the others are taken in alike.
  const keys = Object.keys(node);
  for (const key of Array.isArray(node) ? [...keys.slice(0, 2), ...keys.slice(2).slice(-1)] : keys) {
    const value = node[key];
    const where = `${place}${key}`;
    const here = `${path}${Array.isArray(node) ? '*' : key}`;
    if (here === 'options' || here === 'role.kind') continue;
    if (here === 'role.transfer' && value === null) continue; // nothing but a transfer makes one
    if (here === 'role.preferred' && value === null) continue; // all have the same priority
    if (here === 'clocks.reached') continue; // follows from the clocks
    if (here === 'role.standing') continue; // follows from the window, and changed by itself would be none
    for (const other of othersOf(node, key, value)) {
      yield {
        path: here,
        where,
        make: () => void (node[key] = other),
        undo: () => void (node[key] = value),
      };
    }
    if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
      yield* changesOf(value as Tree, `${here}.`, `${where}.`);
    }
  }
}

/** Two reads at once at a leader are met in some runs only. */
const RARE = 'role.reads.waiting.own.*.at';

/** Never looked at, and why. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  now: 'times count from the clock',
  seed: 'scopes run with timeouts without spread',
  lastNumber: 'makes fresh numbers only',
  'bound.to': 'of a grant that is over',
  'wake.notBefore': 'these runs wake no machine',
  'freshness.at': 'only reads ask for it, outside of steps',
  'freshness.heardAt': 'only reads ask for it, outside of steps',
  'freshness.commit': 'only reads ask for it, outside of steps',
  snapshot: 'null and index 0 are one',
  'snapshot.term': 'for a start alone, which has it from the disk',
  'snapshot.checksum': 'for a start alone, which has it from the disk',
  'snapshot.time': 'for a start alone, which has it from the disk',
  fault: 'of a replica that is over',
  'window.bytes': 'follows from the entries',
  'reported.bytes': 'follows from the entries',
  'log.bytes': 'follows from the entries',
  'log.chunks.*.bytes': 'follows from the entries',
  'delivery.unappliedBytes': 'follows from what is not applied',
  'role.peers.*.inflightBytes': 'follows from what is on its way',
  'role.peers.*.overdueAt': 'follows from what is on its way',
  'role.peers.*.durable': 'nothing is decided by it',
  'reads.*.at': 'no place',
  'role.peers.*.waitsSince.bulk': 'these runs send no Accept by bulk',
  'role.reads.begun.reads.ofPeers.*.at': 'no place',
  'role.reads.begun.reads.own.*.at': 'no place',
  'role.reads.waiting.ofPeers.*.at': 'no place',
  'role.reads.waiting.own.*.at': 'no place',
};

/** Looked at only where it matters, and where that is. */
const SOMETIMES: Readonly<Record<string, string>> = {
  stampedAt: 'once there is a stamp',
  durableSeq: 'while the promise waits for it',
  persistSeq: 'until it is durable: then it makes fresh numbers only',
  'role.promises.*.asked': 'until it is complete',
  'role.promises.*.retryAt': 'until it is complete',
  'role.reads.readRound': 'while a round is under way',
  'role.peers.*.readRound': 'while a round is under way',
  'attempts.*.forward': 'until the leader has answered',
  'attempts.*.sentAt': 'until the leader has answered',
  'attempts.*.through': 'until the leader has answered',
  'attempts.*.until': 'until the leader has answered',
  'role.peers.*.waitsSince.control': 'while something is under way',
};

function clockOf(fact: Fact): number {
  return Math.max((fact.inbound as Inbound).now, (fact.before as PaxosState).now);
}

describe('the digest of a state', () => {
  /** How often a change of a field was seen, and was not. */
  const seen = new Map<string, { yes: number; no: number }>();
  /** Changes that were not seen, and led to another step all the same. */
  const wrong = new Set<string>();
  let steps = 0;

  function tryAll(fact: Fact): void {
    const inbound = fact.inbound as Inbound;
    const state = structuredClone(fact.before) as PaxosState;
    const now = clockOf(fact);
    const whole = tokensOf(state, now);
    const next = behaviour(state, inbound);
    const places = new Map<string, { path: string; yes: boolean }>();
    for (const { path, where, make, undo } of changesOf(state as unknown as Tree)) {
      make();
      const yes = !isSame(state, now, whole);
      places.set(where, { path, yes: yes || places.get(where)?.yes === true });
      // The seed counts in schedules, whose timeouts have a spread; sizes that do not add up are no states.
      if (!yes && path !== 'seed' && !path.endsWith('ytes') && isState(state)) {
        steps++;
        if (behaviour(state, inbound) !== next) wrong.add(`${path} at ${shapeOf(fact)}`);
      }
      undo();
    }
    expect(raw(state, now)).toBe(whole.raw());
    for (const { path, yes } of places.values()) {
      const known = seen.get(path) ?? { yes: 0, no: 0 };
      seen.set(path, known);
      known[yes ? 'yes' : 'no']++;
    }
  }

  beforeAll(() => {
    for (const fact of facts) if (fact.before?.stopped === false) tryAll(fact);
  }, 120_000);

  it('sees every field, wherever it matters', () => {
    const unfit: string[] = [];
    for (const [path, { yes, no }] of seen) {
      const fits = path in LEFT_OUT ? yes === 0 : path in SOMETIMES ? yes > 0 && no > 0 : no === 0;
      if (!fits) unfit.push(`${path}: seen ${yes} times, not seen ${no} times`);
    }
    expect(unfit).toEqual([]);
    expect(seen.size).toBeGreaterThan(80);
    const unmet = [...Object.keys(LEFT_OUT), ...Object.keys(SOMETIMES)].filter((path) => !seen.has(path));
    expect(unmet.filter((path) => path !== RARE)).toEqual([]);
  });

  it('leaves out only what makes no difference to the next step', () => {
    expect([...wrong]).toEqual([]);
    expect(steps).toBeGreaterThan(1000);
  });

  it('is the same at another time and with other numbers, and so is the next step', () => {
    for (const fact of facts) {
      const inbound = fact.inbound as Inbound;
      const state = fact.before as PaxosState;
      const moved = shifted(state);
      const later = shifted(inbound);
      expect(ranked(moved, clockOf(fact) + SHIFTS.time)).toBe(ranked(state, clockOf(fact)));
      expect(raw(moved, clockOf(fact) + SHIFTS.time).length).toBeGreaterThan(0);
      expect(behaviour(moved, later)).toBe(behaviour(state, inbound));
    }
  });

  it('says no more of a replica that is over than that it is', () => {
    const over = facts.map((fact) => protocol.step(fact.after, { kind: 'stop', now: clockOf(fact) })[0]);
    expect(over.length).toBeGreaterThan(100);
    expect(over.every((state) => state.stopped)).toBe(true);
    expect(new Set(over.map((state) => raw(state, 0)))).toEqual(new Set(['true']));
  });

  it('tells roles apart, and states that differ', () => {
    const all = new Set(facts.map((fact) => `${ranked(fact.before as PaxosState, clockOf(fact))}`));
    expect(all.size).toBeGreaterThan(facts.length / 2);
  });
});

function isState(state: PaxosState): boolean {
  const attempts = itemsOf(state.attempts);
  // What the leader has accepted waits as long as the host does.
  if (attempts.some(({ at, deadline, until }) => at < Infinity && deadline !== until)) return false;
  for (let at = 1; at < attempts.length; at++) {
    // The numbers of forwards ascend with the keys; what was accepted may be in pieces.
    const [one, next] = attempts.slice(at - 1, at + 1) as [Attempt, Attempt];
    if (next.forward < one.forward) return false;
    if (next.forward === one.forward && (one.at === Infinity || next.at === Infinity)) return false;
  }
  try {
    checkState(state);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(InvariantViolation);
    return false;
  }
}

const SHIFTS = { time: 10_000_019, clock: -10_000_019, persist: 40, number: 1000, request: 90_000, round: 12 } as const;

/** What kind of number stands in a field, wherever in a state or an inbound message that is. */
const NUMBERED: Readonly<Record<string, keyof typeof SHIFTS>> = {
  now: 'time',
  startedAt: 'time',
  stampedAt: 'time',
  ahead: 'clock',
  own: 'clock',
  heard: 'clock',
  reached: 'clock',
  unsyncedSince: 'time',
  deadline: 'time',
  quickUntil: 'time',
  until: 'time',
  resendAt: 'time',
  heartbeatAt: 'time',
  answeredAt: 'time',
  retryAt: 'time',
  sentAt: 'time',
  overdueAt: 'time',
  control: 'time',
  bulk: 'time',
  persistSeq: 'persist',
  durableSeq: 'persist',
  hardSeq: 'persist',
  lastNumber: 'number',
  loading: 'number',
  number: 'number',
  load: 'number',
  forward: 'number',
  readRound: 'round',
  request: 'request',
};

/** The same in another start: everything later, every number a higher one. */
function shifted<T>(tree: T, key = ''): T {
  if (typeof tree === 'number') {
    const kind = NUMBERED[key];
    const none = kind === undefined || (tree === 0 && kind !== 'time' && kind !== 'persist');
    if (none) return tree;
    return (tree + (tree < 0 && kind !== 'clock' ? -1 : 1) * SHIFTS[kind]) as T;
  }
  if (key === 'standing') return tree; // named by sessions and sequences, which stay
  if (typeof tree === 'object' && tree !== null && isBook(tree)) {
    const moved = itemsOf<BookItem>(tree).map((item) => {
      return { ...shifted(item), key: item.key + SHIFTS[key === 'ofPeers' ? 'number' : 'request'] };
    });
    return withNewest(null, moved) as T;
  }
  if (Array.isArray(tree)) {
    return tree.map((each: unknown) => shifted(each, key === 'requests' ? 'request' : key === 'heard' ? key : '')) as T;
  }
  if (typeof tree !== 'object' || tree === null || tree instanceof Uint8Array) return tree;
  const { kind } = tree as Tree;
  const entries = Object.entries(tree).map(([name, value]) => {
    if (name === 'options') return [name, value];
    return [name, shifted(value, kind === 'loaded' && name === 'id' ? 'number' : name)];
  });
  return Object.fromEntries(entries) as T;
}

describe('the digest of a message', () => {
  const KINDS = [
    'accept',
    'accepted',
    'askSlots',
    'catchUp',
    'catchUpReply',
    'commit',
    'forwardAccepted',
    'forwardProposals',
    'forwardRead',
    'forwardRefused',
    'handover',
    'heartbeat',
    'heartbeatReply',
    'logBegins',
    'nack',
    'preVote',
    'preVoteReply',
    'prepare',
    'promise',
    'readAnswer',
    'slots',
  ];

  function rawMessage({ message, from, to }: SendFact<PaxosMessage>): string {
    const tokens = new Tokens();
    digestMessage(message, from, to, tokens);
    return tokens.raw();
  }

  it('sees every field of every kind but what nothing is decided by', () => {
    expect([...new Set(sends.map(({ message }) => message.kind))].sort()).toEqual(KINDS);
    const blind = new Set<string>();
    for (const send of sends) {
      const message = structuredClone(send.message);
      const whole = rawMessage({ ...send, message });
      for (const { path, make, undo } of changesOf(message as unknown as Tree)) {
        make();
        if (rawMessage({ ...send, message }) === whole) blind.add(`${message.kind} ${path}`);
        undo();
      }
    }
    expect([...blind]).toEqual(['heartbeatReply durable']);
  });

  it('counts a number by who asked, in the question and in its answer', () => {
    const words = (message: PaxosMessage, from: string, to: string): string => rawMessage({ message, from, to });
    expect(words({ kind: 'catchUp', number: 5, from: 1, to: 9, bytes: 1000 }, 'n1', 'n2')).toContain('catchUp of n1 5');
    const reply = { kind: 'catchUpReply', number: 5, commit: 0, rest: 0, entries: [] } as const;
    expect(words(reply, 'n2', 'n1')).toContain('catchUp of n1 5');
    expect(words({ kind: 'forwardRead', term: 9, number: 6, byLease: false }, 'n1', 'n2')).toContain('forward of n1 6');
    expect(words({ kind: 'forwardProposals', term: 9, number: 6, proposals: [] }, 'n1', 'n2')).toContain(
      'forward of n1 6',
    );
    const answer = { kind: 'readAnswer', term: 9, number: 6, index: 1, commit: 0 } as const;
    expect(words(answer, 'n2', 'n1')).toContain('forward of n1 6');
    const refused = { kind: 'forwardRefused', term: 9, number: 6, reason: 'busy', leader: null } as const;
    expect(words(refused, 'n2', 'n1')).toContain('forward of n1 6');
    expect(words({ kind: 'heartbeat', ballot: 9, commit: 0, readRound: 3 }, 'n1', 'n2')).toContain('of n1 3');
    const beat = { kind: 'heartbeatReply', wall: 0, ballot: 9, commit: 0, durable: 0, readRound: 3 } as const;
    expect(words(beat, 'n2', 'n1')).toContain('round of 9 of n1 3');
  });
});
