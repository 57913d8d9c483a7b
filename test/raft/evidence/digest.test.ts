/**
 * Raft's digests: whatever influences what happens from here on is in them, and nothing that does not. Shown over
 * states and messages of random runs: by changing every field there is, one at a time; and by two replicas whose
 * states differ only in what is left out, which must go on alike.
 */

import { describe, expect, it } from 'vitest';
import { entryBytes } from '../../../src/core/entries.js';
import type { Digest, SendFact, StepFact } from '../../../src/core/model.js';
import { itemsOf, withNewest, type Book, type BookItem } from '../../../src/core/book.js';
import type { Entry } from '../../../src/core/protocol.js';
import type { ReplicaId } from '../../../src/core/members.js';
import { simulate } from 'quorate/testing';
import { defaultLimits } from '../../../src/core/tuning.js';
import { raftModel, type RaftMessage, type RaftState } from '../../../src/raft/index.js';

type StateStep = StepFact<RaftState, RaftMessage>;
type Leaf = readonly [path: string, change: (root: unknown) => unknown];

/** Writes down what it is given; references by number, or by rank as a search does. */
class Tokens implements Digest {
  tokens: (string | readonly [kind: string, number: number])[] = [];
  private readonly nameOf: (id: ReplicaId) => ReplicaId;
  constructor(nameOf: (id: ReplicaId) => ReplicaId = (id) => id) {
    this.nameOf = nameOf;
  }
  value(value: number | boolean): void {
    this.tokens.push(`${typeof value} ${value}`);
  }
  text(text: string): void {
    this.tokens.push(`text ${text}`);
  }
  bytes(bytes: Uint8Array): void {
    this.tokens.push(`bytes ${bytes.join(',')}`);
  }
  id(id: ReplicaId | null): void {
    this.tokens.push(`id ${id === null ? null : this.nameOf(id)}`);
  }
  reference(kind: string, owner: ReplicaId, number: number): void {
    // Asked hundreds of thousands of times, for which `expect` takes too long.
    if (!(number > 0)) expect.fail(`${kind} of ${owner}: ${number}`);
    this.tokens.push([`${kind} of ${this.nameOf(owner)}`, number]);
  }
  /** Sorted by what they are, and only then by numbers. */
  unordered<T>(items: readonly T[], each: (item: T) => void): void {
    const { tokens } = this;
    const taken = items.map((item) => {
      this.tokens = [];
      each(item);
      return this.tokens;
    });
    const word = (token: Tokens['tokens'][number]): string => (typeof token === 'string' ? token : token[0]);
    const words = (list: Tokens['tokens']): string => list.map(word).join('|');
    taken.sort((a, b) => (words(a) + a.join('|') < words(b) + b.join('|') ? -1 : 1));
    this.tokens = [...tokens, `${items.length} items`, ...taken.flat()];
  }
  /** With every number as it is. */
  get exact(): string {
    return this.tokens.join('|');
  }
  /** With references by their rank among those of a kind. */
  get ranked(): string {
    const kinds = new Map<string, number[]>();
    for (const token of this.tokens) {
      if (typeof token === 'string') continue;
      kinds.set(
        token[0],
        [...(kinds.get(token[0]) ?? []), token[1]].sort((a, b) => a - b),
      );
    }
    const rank = ([kind, number]: readonly [string, number]): number =>
      [...new Set(kinds.get(kind))].indexOf(number) + 1;
    return this.tokens.map((token) => (typeof token === 'string' ? token : `${token[0]} ${rank(token)}`)).join('|');
  }
}

function ofState(state: RaftState, now: number, nameOf?: (id: ReplicaId) => ReplicaId): Tokens {
  const tokens = new Tokens(nameOf);
  raftModel.digestState(state, now, tokens);
  return tokens;
}

function ofMessage({ message, from, to }: SendFact<RaftMessage>): Tokens {
  const tokens = new Tokens();
  raftModel.digestMessage(message, from, to, tokens);
  return tokens;
}

/** The same replica where timeouts have no spread, as in a search. */
function steady<T extends RaftState | null>(state: T): T {
  if (state === null) return state;
  const { options } = state;
  const timing = { ...options.timing, electionMin: options.timing.electionMax };
  return { ...state, options: { ...options, timing }, electionTimer: { ...state.electionTimer, spread: 0 } };
}

/** Longer logs show nothing more, and have more fields to change. */
const LONGEST = 12;
const MESSAGES = 3000;

/** Steps and messages of random runs, with room for everything. */
function collect(schedules: number): { steps: StateStep[]; sends: SendFact<RaftMessage>[] } {
  const steps: StateStep[] = [];
  const sends: SendFact<RaftMessage>[] = [];
  simulate({
    model: raftModel,
    replicas: 3,
    schedules,
    length: 60,
    tuning: { limits: defaultLimits },
    constants: { leaseReads: 0 }, // no scope of the model checker has leases
    observer(fact) {
      if (fact.kind === 'send' && fact.message !== null && sends.length < MESSAGES) sends.push(fact as never);
      if (fact.kind !== 'step') return;
      const { before, after, ...rest } = fact.fact as StateStep;
      if (after.log.last <= LONGEST) steps.push({ ...rest, before: steady(before), after: steady(after) });
    },
  });
  return { steps, sends };
}

/** Changes the value at a place, or leaves it out of a list. */
function edited(root: unknown, place: readonly (string | number)[], edit: (value: unknown) => unknown): unknown {
  const [key, ...rest] = place;
  if (key === undefined) return edit(root);
  const copy: Record<string, unknown> | unknown[] = Array.isArray(root) ? root.slice() : { ...(root as object) };
  (copy as never as Record<string, unknown>)[key] = edited((root as never)[key], rest, edit);
  return copy;
}

function changed(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value + 1 : 12_345;
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') return `${value}x`;
  if (value instanceof Uint8Array) return new Uint8Array([...value, 1]);
  return value === null ? 'x' : (value as unknown[]).slice(0, -1);
}

function isBook(value: object): value is NonNullable<Book<BookItem>> {
  return 'items' in value && 'left' in value && 'right' in value;
}

/** Nothing but an item makes another book of an empty one, and a round is none without its reads. */
const BOOKS: ReadonlySet<string> = new Set([
  'preVoting',
  'transfer',
  'preferred',
  'attempts',
  'reads',
  'own',
  'ofPeers',
  'begun',
  'uncommitted',
]);

/**
 * Every place in plain data that can be changed by itself. Indexes of lists are written `*` in its path, and so are the
 * ways to the items of a book; the lowest deadline and place of its parts follow from the items.
 */
function leavesOf(value: unknown, place: readonly (string | number)[] = []): Leaf[] {
  const path = place
    .filter((key) => key !== 'items' && key !== 'left' && key !== 'right')
    .map((key) => (typeof key === 'number' ? '*' : key))
    .join('.');
  const leaf: Leaf = [path, (root) => edited(root, place, changed)];
  if (value === null && BOOKS.has(String(place[place.length - 1]))) return [];
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [leaf];
  if (isBook(value)) {
    const inside = value.items.flatMap((each, at) => leavesOf(each, [...place, 'items', at]));
    const sides = (['left', 'right'] as const).filter((side) => value[side] !== null);
    return [...inside, ...sides.flatMap((side) => leavesOf(value[side], [...place, side]))];
  }
  if (!Array.isArray(value)) {
    return Object.keys(value).flatMap((key) => leavesOf((value as never)[key], [...place, key]));
  }
  const inside = value.flatMap((each, at) => leavesOf(each, [...place, at]));
  return value.length > 0 ? [leaf, ...inside] : inside;
}

/** Why a field of a state is not in its digest. */
const LEFT_OUT: readonly (readonly [path: RegExp, why: string])[] = [
  [/^now$/, 'deadlines are relative'],
  [/^seed$/, 'timeouts have no spread where states are compared'],
  [/^lastNumber$/, 'yields fresh numbers only'],
  [/^bound\.to$/, 'of a grant that is over'],
  [/^clocks\.reached$/, 'follows from the clocks'],
  [/^wake\./, 'these runs wake no machine'],
  [/^freshness\./, 'only reads ask for it, outside of steps'],
  [/^snapshot($|\.(term|checksum|time))/, 'null is index 0; the rest is for a start, which has it from the disk'],
  [/^durableSeq$/, 'what it covers is given as none'],
  [/^hardSeq$/, 'which persist it was does not matter once it is durable; shown below'],
  [/^options\./, 'never changes'],
  [/^unsynced\.\*\.term$/, 'the log has it'],
  [/^log\.chunks\.\*\.(from|bytes)$/, 'only what is evicted depends on it; shown below'],
  [/^preVoting\.granted\.\*$/, 'the own one is always there; shown by how many'],
  [/^log\.bytes$/, 'a sum'],
  [/^role\.(peers\.\*\.inflightBytes|uncommittedBytes)$/, 'a sum'],
  [/^delivery\.unappliedBytes$/, 'a sum'],
  [/^attempts\.\*\.key$/, 'only what it is called; its requests are digested'],
  [/^role\.standing/, 'the log has it'],
  [/^role\.uncommitted\.\*\.(deadline|at)$/, 'none, and the same as the key'],
  [/ofPeers\.\*\.(key|at)$/, 'only what it is called, and no place'],
  [/^reads\.\*\.at$|own\.\*\.at$/, 'no place'],
];

/** Why a field is in the digest only at times. */
const SOMETIMES: readonly (readonly [path: RegExp, why: string])[] = [
  [/^stampedAt$/, 'once there is a stamp'],
  [/^persistSeq$/, 'until it is durable: then it yields fresh numbers only'],
  [/^attempts\.\*\.(forward|sentAt|through|until)$/, 'until the leader has answered'],
  [/^role\.peers\.\*\.(lane|questioned|progressedAt)$/, 'while something is under way, or the peer is probed'],
  [/^role\.peers\.\*\.answeredAt$/, 'if it is later than the last reset of the quorum timer'],
  [/^role\.forwarded(\.\*)?$/, 'until the peer was told of its commit'],
];

const RARE = [
  'role.votes',
  'role.peers.*.inflight.*.last',
  'role.reads.begun.reads.ofPeers.*.forward',
  'role.forwarded.*',
  'reads.*.forward',
  'attempts.*.ids.*.sequence',
  'delivery.unapplied.*.through',
  'unsynced.*.persistSeq',
];

const COMMON = [
  'tick',
  'propose',
  'read',
  'persisted',
  'applied',
  'unreachable',
  'roundConfirmed',
  'readAnswer',
  'forwardRefused',
];

const { steps, sends } = collect(28);

describe('the digest of a state', () => {
  it('names the role', () => {
    const { after } = steps.find(({ after: { role } }) => role.kind === 'candidate') as StateStep;
    expect(ofState(after, after.now).tokens).toContain('text candidate');
  });

  it('has every field in it that is not left out for a reason', () => {
    const seen = new Set<string>();
    const silent = new Set<string>();
    const heard = new Set<string>();
    for (let at = 0; at < steps.length; at += 19) {
      const { after } = steps[at] as StateStep;
      // Seen from the beginning of time, where no deadline is so late that it does not matter how late.
      const plain = ofState(after, 0).exact;
      for (const [path, change] of leavesOf(after)) {
        seen.add(path);
        // A role of another kind is of another shape.
        if (path === 'role.kind' || LEFT_OUT.some(([left]) => left.test(path))) continue;
        const isSilent = ofState(change(after) as RaftState, 0).exact === plain;
        (isSilent ? silent : heard).add(path);
      }
    }
    const sometimes = [...silent].filter((path) => SOMETIMES.some(([at]) => at.test(path)));
    expect([...silent]).toEqual(sometimes);
    for (const path of sometimes) expect(heard).toContain(path);
    for (const [at] of SOMETIMES)
      expect(
        sometimes.some((path) => at.test(path)),
        String(at),
      ).toBe(true);
    for (const [left] of LEFT_OUT)
      expect(
        [...seen].some((path) => left.test(path)),
        String(left),
      ).toBe(true);
    // Without these the walk would have met only what is easy.
    for (const path of RARE) expect(seen).toContain(path);
  });

  it('says of the newest vote only whether it is durable', () => {
    const { after } = steps.find(({ after: state }) => state.hardSeq > state.durableSeq) as StateStep;
    const digest = (change: Partial<RaftState>): string => ofState({ ...after, ...change }, after.now).exact;
    expect(digest({ durableSeq: after.hardSeq })).not.toBe(digest({}));
    expect(digest({ durableSeq: after.persistSeq + 5, hardSeq: 1 })).toBe(
      digest({ durableSeq: after.persistSeq + 5, hardSeq: 2 }),
    );
  });

  it('says where chunks begin as soon as the tail can fill up', () => {
    const isJoined = ({ after: { log } }: StateStep): boolean => log.chunks.some(({ entries }) => entries.length > 1);
    const { after } = steps.find((each) => each.after.log.last > 3 && isJoined(each)) as StateStep;
    const tight = (state: RaftState): RaftState => {
      const limits = { ...state.options.limits, tailEntries: 4 };
      return { ...state, options: { ...state.options, limits } };
    };
    expect(ofState(apart(after), after.now).exact).toBe(ofState(after, after.now).exact);
    expect(ofState(tight(apart(after)), after.now).exact).not.toBe(ofState(tight(after), after.now).exact);
  });

  it('tells how late a deadline is only up to where it is taken for a pause', () => {
    const { after } = steps.find(({ after: { role, stopped } }) => role.kind === 'follower' && !stopped) as StateStep;
    const due = after.electionTimer.deadline;
    const at = (late: number): string => ofState(after, due + late).exact;
    const pause = after.options.timing.electionMin / 2;
    expect(at(1)).not.toBe(at(0));
    expect(at(pause)).not.toBe(at(pause + 1));
    expect(at(pause + 1)).toBe(at(pause + 500));
  });
});

/** The same replica in a cluster whose members have exchanged their names; lists stand in the order of names. */
function renamed(state: RaftState, nameOf: (id: ReplicaId) => ReplicaId): RaftState {
  const rename = <T>(value: T): T => {
    if (typeof value === 'string') return (/^n\d$/.test(value) ? nameOf(value) : value) as T;
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
    if (Array.isArray(value)) return value.map(rename) as T;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, rename(each)])) as T;
  };
  const next = rename(state);
  const options = { ...next.options, others: [...next.options.others].sort() };
  if (next.role.kind !== 'leader') return { ...next, options };
  const peers = [...next.role.peers].sort((a, b) => (a.id < b.id ? -1 : 1));
  return { ...next, options, role: { ...next.role, peers } };
}

/** The same entries, each in a chunk of its own. */
function apart(state: RaftState): RaftState {
  const entries = state.log.chunks.flatMap((chunk) => chunk.entries);
  const chunks = entries.map((entry: Entry) => ({ from: entry.index, entries: [entry], bytes: entryBytes(entry) }));
  return { ...state, log: { ...state.log, chunks } };
}

const LATER = 7000;
const PERSISTS = 40;
const NUMBERS = 9000;
const REQUESTS = 300;
const SHIFTS: Readonly<Record<string, number>> = {
  now: LATER,
  startedAt: LATER,
  stampedAt: LATER,
  ahead: -LATER,
  own: -LATER,
  heard: -LATER,
  reached: -LATER,
  deadline: LATER,
  quickUntil: LATER,
  until: LATER,
  sentAt: LATER,
  progressedAt: LATER,
  answeredAt: LATER,
  unsyncedSince: LATER,
  retryAt: LATER,
  heartbeatAt: LATER,
  giveWayAt: LATER,
  since: LATER,
  persistSeq: PERSISTS,
  durableSeq: PERSISTS,
  hardSeq: PERSISTS,
  lastNumber: NUMBERS,
  viewId: NUMBERS,
  forward: NUMBERS,
  loading: NUMBERS,
  number: NUMBERS,
  request: REQUESTS,
};

/** The same at another time and with other numbers. `0` stays "none"; persists are counted from another one on. */
function shifted<T>(value: T, key = ''): T {
  if (typeof value === 'number') {
    const none =
      value === 0 &&
      !/^(now|startedAt|stampedAt|ahead|deadline|quickUntil|until|sentAt|progressedAt|answeredAt|unsyncedSince|heartbeatAt|persistSeq|durableSeq|hardSeq)$/.test(
        key,
      );
    return (none ? value : value + (SHIFTS[key] ?? 0)) as T;
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value))
    return value.map((each) => shifted(each, key === 'requests' ? 'request' : key === 'heard' ? key : '')) as T;
  if (key === 'standing') return value; // named by sessions and sequences, which stay
  if (isBook(value)) {
    const moved = itemsOf<BookItem>(value).map((item) => {
      if (key === 'uncommitted') return item; // named by its index
      return { ...shifted(item), key: item.key + (key === 'ofPeers' ? NUMBERS : REQUESTS) };
    });
    return withNewest(null, moved) as T;
  }
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shifted(each, name)])) as T;
}

/** A state that differs from `state` in all that its digest leaves out. */
function twinOf(state: RaftState): RaftState {
  const twin = apart(shifted({ ...state, options: null as never }));
  const votes = twin.role.kind === 'candidate' ? [...twin.role.votes].reverse() : [];
  const role = twin.role.kind === 'candidate' ? { ...twin.role, votes } : twin.role;
  return { ...twin, role, options: state.options, seed: state.seed ^ 0x55aa55 };
}

/** What a step wants done, in the words of digests. */
function doneBy([, outbound]: ReturnType<typeof raftModel.protocol.step>, id: ReplicaId): string[] {
  return outbound.map((each) => {
    if (each.kind === 'send') {
      return `${each.to} ${each.after > 0} ${ofMessage({ message: each.message, from: id, to: each.to }).ranked}`;
    }
    if (each.kind === 'readReady') return `ready ${each.index}`;
    if (each.kind === 'forwardTaken') return `taken ${each.requests.length}`;
    if (each.kind === 'resolve') return `resolve ${each.requests.length} ${each.outcome.kind}`;
    if (each.kind === 'persist') return `persist ${JSON.stringify(each.ops)}`;
    if (each.kind === 'commit') return `commit ${JSON.stringify(each.entries)}`;
    return each.kind === 'load' ? `load ${each.from} ${each.to} ${each.maxBytes}` : JSON.stringify(each);
  });
}

describe('two states of one digest', () => {
  it('differ in time and in numbers that only say which one', () => {
    for (const { after } of steps) {
      const twin = ofState(twinOf(after), after.now + LATER);
      const { ranked } = ofState(after, after.now);
      if (twin.ranked !== ranked) expect(twin.ranked).toBe(ranked);
    }
  });

  it('differ in the names of replicas, if names are put back', () => {
    const there = (id: ReplicaId): ReplicaId => `n${(Number(id.slice(1)) % 7) + 1}`;
    const back = (id: ReplicaId): ReplicaId => `n${((Number(id.slice(1)) + 5) % 7) + 1}`;
    for (const { after } of steps) {
      const exchanged = ofState(renamed(after, there), after.now, back).exact;
      const { exact } = ofState(after, after.now);
      if (exchanged !== exact) expect(exchanged).toBe(exact);
    }
  });

  it('go on alike, whatever happens', () => {
    const kinds = new Set<string>();
    for (const { before, inbound } of steps) {
      if (before === null || inbound === null) continue;
      kinds.add(inbound.kind === 'receive' ? inbound.message.kind : inbound.kind);
      // Of the numbers called `id`, that of a load is one that only says which one; those of entries are names.
      const other = inbound.kind === 'loaded' ? { ...shifted(inbound), id: inbound.id + NUMBERS } : shifted(inbound);
      const one = raftModel.protocol.step(before, inbound);
      const two = raftModel.protocol.step(twinOf(before), other);
      const now = Math.max(inbound.now, before.now);
      expect(ofState(two[0], now + LATER).ranked).toBe(ofState(one[0], now).ranked);
      expect(doneBy(two, before.options.id)).toEqual(doneBy(one, before.options.id));
    }
    for (const kind of COMMON) expect(kinds).toContain(kind);
  });
});

describe('the digest of a message', () => {
  it('has every field in it', () => {
    const silent = new Set<string>();
    const kinds = new Set<string>();
    for (const fact of sends) {
      const { message } = fact;
      kinds.add(message.kind);
      const plain = ofMessage(fact).exact;
      for (const [path, change] of leavesOf(message)) {
        if (path === 'kind') continue;
        const other = ofMessage({ ...fact, message: change(message) as RaftMessage }).exact;
        if (other === plain) silent.add(`${message.kind}: ${path}`);
      }
    }
    expect([...silent]).toEqual([]);
    expect(kinds.size).toBe(16);
  });

  it('tells the kinds and the two ends of a session apart', () => {
    const plain = { term: 2, viewId: 5, match: 0 };
    const digest = (message: RaftMessage, from = 'n1', to = 'n2'): string => ofMessage({ message, from, to }).exact;
    const accepted: RaftMessage = { kind: 'appendAccepted', wall: 0, ...plain };
    expect(digest(accepted)).not.toBe(digest({ kind: 'roundConfirmed', term: 2, viewId: 5, readRound: 0 }));
    expect(digest(accepted)).not.toBe(digest(accepted, 'n1', 'n3'));
  });
});
