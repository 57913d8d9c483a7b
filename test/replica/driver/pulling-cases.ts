/**
 * What must hold of a pull, as functions that throw a violation: the tests run them, and so do the mutants' killers. A
 * driver over a core that does nothing but ask for a snapshot, and peers that answer over links of a given speed, all
 * in virtual time.
 */

import { configurationOf, defaultConstants } from '../../../src/core/members.js';
import type { Outbound, Protocol } from '../../../src/core/protocol.js';
import { choose } from '../../../src/core/tuning.js';
import { raftProtocol } from '../../../src/raft/index.js';
import { driverOf, type Driver } from '../../../src/replica/driver/driver.js';
import { openEnvelope, sealSnapshotMessage } from '../../../src/replica/driver/envelope.js';
import type {
  AskChunk,
  OfferedSnapshot,
  PartialSnapshot,
  SnapshotMessage,
} from '../../../src/replica/driver/snapshot-messages.js';
import { DriverDraft } from '../../../src/replica/driver/draft.js';
import { emptyPart, encodeDriverPart } from '../../../src/replica/driver/driver-part.js';
import { noSnapshots } from '../../../src/replica/driver/snapshots.js';
import type { DriverEffect, DriverEvent, DriverState } from '../../../src/replica/driver/state.js';
import { demand } from '../../violation.js';

type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

const { timing, limits } = choose(raftProtocol as Protocol<unknown, unknown>);
export const PATIENCE = 2 * timing.electionMax;

function snapshotOf(bytes: number, checksum = 5): OfferedSnapshot {
  return { index: 100, term: 3, checksum, time: 0, bytes };
}

/** A replica, `a`, that needs a snapshot; `b` and `c` may have one. */
export class Puller {
  now = 1000;
  state: DriverState;
  /** What it asked of its peers, and has not been taken from here. */
  readonly asked: { readonly to: string; readonly message: AskChunk }[] = [];
  /** When it told whom to keep the log. */
  readonly held: { readonly to: string; readonly at: number; readonly index: number }[] = [];
  readonly effects: DriverEffect[] = [];
  private says: readonly Outbound<unknown>[] = [];
  private readonly driver: Driver;

  constructor(partial?: PartialSnapshot) {
    this.driver = driverOf({
      ...(raftProtocol as Protocol<unknown, unknown>),
      init: () => [0, []],
      step: (state, inbound) => [(state as number) + 1, inbound.kind === 'campaign' ? this.says : []],
      checkStep: () => undefined,
      checkState: () => undefined,
      deadline: () => Infinity,
    });
    const configuration = configurationOf({ a: 'a', b: 'b', c: 'c' }, defaultConstants);
    const identity = { id: 'a', incarnation: 1, boot: 2, cluster: 'test', configuration, configurationHash: 'hash' };
    const peers = [
      { id: 'b', incarnation: 2, final: true },
      { id: 'c', incarnation: 3, final: true },
    ];
    const bounds = { maxWaiting: 100, maxWaitingBytes: 1e6, snapshotPolicy: null, storesSnapshots: true };
    const snapshots = partial === undefined ? noSnapshots : { ...noSnapshots, partial };
    const rest = { timing, limits, preVote: true, seed: 1, start: 1, now: this.now, established: true, peers };
    const recovered = { hard: null, base: { index: 0, term: 0 }, last: 0, runs: [], tail: [], snapshot: null };
    [this.state] = this.driver.init({ ...identity, ...rest, ...bounds, snapshots }, recovered);
  }

  step(event: Untimed<DriverEvent>): void {
    const [state, effects] = this.driver.step(this.state, { ...event, now: this.now } as DriverEvent);
    this.state = state;
    for (const effect of effects) {
      this.effects.push(effect);
      if (effect.kind !== 'send') continue;
      const opened = openEnvelope(effect.bytes);
      if (opened.kind !== 'snapshot') continue;
      const { message } = opened;
      if (message.kind === 'askChunk') this.asked.push({ to: effect.to, message });
      if (message.kind === 'holdLog') this.held.push({ to: effect.to, at: this.now, index: message.index });
    }
  }

  /** The core needs a snapshot of at least this index. */
  needs(least: number): void {
    this.says = [{ kind: 'pull', least }];
    this.step({ kind: 'campaign' });
    this.says = [];
  }

  receive(from: 'b' | 'c', message: SnapshotMessage): void {
    const address = { from: from === 'b' ? 2 : 3, to: 1 };
    this.step({ kind: 'message', from, bytes: sealSnapshotMessage(message, address) });
  }

  /** A peer that has this snapshot answers a question. */
  answer(from: 'b' | 'c', { number, offset, length }: AskChunk, snapshot: OfferedSnapshot): void {
    const data = new Uint8Array(Math.min(length, snapshot.bytes - offset));
    this.receive(from, { kind: 'chunk', number, snapshot, offset, data });
  }

  get deadline(): number {
    return this.driver.deadline(this.state);
  }

  /** Lets so much time pass, in which nothing comes. */
  passes(time: number): void {
    const end = this.now + time;
    for (let due = this.deadline; due <= end; due = this.deadline) {
      demand(due > this.now, 'snapshots/pauses-in-vain: time goes on', () => due);
      this.now = due;
      this.step({ kind: 'tick' });
    }
    this.now = end;
  }

  wants<K extends DriverEffect['kind']>(kind: K): readonly Extract<DriverEffect, { readonly kind: K }>[] {
    return this.effects.filter((each): each is Extract<DriverEffect, { readonly kind: K }> => each.kind === kind);
  }
}

const RESUMED = 'snapshots/resumed-on-the-same: ';

/** An earlier start has a part of a snapshot, of which `b` has another one and `c` the same. */
export function resumesOnTheSame(): void {
  const bytes = 10 * limits.messageBytes;
  const puller = new Puller({ index: 100, term: 3, checksum: 5, bytes, stored: bytes / 2 });
  puller.needs(90);
  const [first] = puller.asked.splice(0);
  demand(first?.message.checksum === 5 && first.message.offset === bytes / 2, `${RESUMED}it asks for the rest`);
  puller.answer('b', (first as { message: AskChunk }).message, snapshotOf(bytes, 6));
  demand(puller.wants('storeChunk').length === 0, `${RESUMED}no bytes of another snapshot are stored`);
  const [second] = puller.asked.splice(0);
  demand(second?.to === 'c' && second.message.checksum === 5, `${RESUMED}it asks the next one`);
  puller.answer('c', (second as { message: AskChunk }).message, snapshotOf(bytes));
  const [begun] = puller.wants('pullSnapshot');
  demand(begun?.from === bytes / 2, `${RESUMED}it goes on behind what is stored`, () => begun);
}

/** What is stored is damaged: the same source is asked for all of it. */
export function blamesItself(): void {
  const bytes = 4 * limits.messageBytes;
  const puller = new Puller({ index: 100, term: 3, checksum: 5, bytes, stored: bytes / 2 });
  puller.needs(90);
  for (let next = puller.asked.shift(); next !== undefined; next = puller.asked.shift()) {
    puller.answer('b', next.message, snapshotOf(bytes));
  }
  const [{ file } = { file: '' }] = puller.wants('completeSnapshot');
  puller.step({ kind: 'pullFailed', file, reason: 'damaged', isDamaged: true });
  const [again] = puller.asked.splice(0);
  demand(
    again?.to === 'b' && again.message.offset === 0 && again.message.index === 0,
    `${RESUMED}damage in what was stored is not the source's`,
    () => again,
  );
}

/** Nobody has it any more: it goes, and the newest one is pulled. */
export function startsAgain(): void {
  const puller = new Puller({ index: 100, term: 3, checksum: 5, bytes: 1000, stored: 500 });
  puller.needs(90);
  for (const from of ['b', 'c'] as const) {
    const [question] = puller.asked.splice(0);
    const { number = 0 } = question?.message ?? {};
    puller.receive(from, { kind: 'noSnapshot', number });
  }
  demand(puller.wants('removePartial').length === 1, `${RESUMED}what nobody has any more goes`);
  const [again] = puller.asked.splice(0);
  demand(again?.message.index === 0 && again.message.offset === 0, `${RESUMED}the newest one is pulled`, () => again);
}

/** A link, in bytes a millisecond and milliseconds each way; every `loses`-th answer is lost. */
export interface Link {
  readonly rate: number;
  readonly latency: number;
  readonly loses?: number;
}

/** How a pull over a link went. */
export interface Pulled {
  readonly asked: number;
  readonly questions: number;
  /** The most bytes that were asked for and not answered. */
  readonly most: number;
  readonly took: number;
}

/** Pulls a snapshot of so many bytes from `b`, whose answers leave one after the other. */
export function pullOver({ rate, latency, loses = Infinity }: Link, bytes: number): Pulled {
  const puller = new Puller();
  const begun = puller.now;
  const answers: { readonly at: number; readonly message: AskChunk }[] = [];
  let [asked, questions, free, under, most] = [0, 0, 0, 0, 0];
  puller.needs(90);
  while (puller.wants('completeSnapshot').length === 0) {
    for (const { message, to } of puller.asked.splice(0)) {
      const length = Math.min(message.length, bytes - message.offset);
      asked += length;
      questions += 1;
      under += length;
      most = Math.max(most, under);
      const isFirst = puller.wants('pullSnapshot').length === 0; // the other one is down
      if (to === 'c' && isFirst) continue;
      demand(to === 'b', 'snapshots/pull-by-evidence: a source that answers is not given up', () => ({ asked, bytes }));
      free = Math.max(free, puller.now + latency) + length / rate;
      if (questions % loses !== 0) answers.push({ at: free + latency, message });
      else under -= length;
    }
    const [next] = answers;
    const due = puller.deadline;
    if (next === undefined || due < next.at) {
      puller.now = Math.max(puller.now, due);
      puller.step({ kind: 'tick' });
      continue;
    }
    answers.shift();
    puller.now = Math.max(puller.now, next.at);
    under -= Math.min(next.message.length, bytes - next.message.offset);
    puller.answer('b', next.message, snapshotOf(bytes));
    for (const { file } of puller.wants('storeChunk').slice(-1)) {
      const stored = puller.wants('storeChunk').reduce((sum, { data }) => sum + data.length, 0);
      puller.step({ kind: 'chunkStored', file, bytes: stored });
    }
  }
  return { asked, questions, most, took: puller.now - begun };
}

const EVIDENCE = 'snapshots/pull-by-evidence: ';
const WINDOW = 16 * limits.messageBytes;

/** A slow link is asked for little more than it carries, and nothing is asked for twice without need. */
export function asksOnce(link: Link, bytes: number): void {
  const pulled = pullOver(link, bytes);
  demand(pulled.asked <= 1.2 * bytes + WINDOW && pulled.asked >= bytes, `${EVIDENCE}no chunk twice`, () => pulled);
  demand(pulled.most <= WINDOW, `${EVIDENCE}no more than a window is under way`, () => pulled);
}

/** What waits on a slow link is what it carries in the patience of a pull. */
export function asksLittle(): void {
  const pulled = pullOver({ rate: 5, latency: 5 }, 400_000);
  // When an answer is no longer in time, what was asked for since the last one that was is under way.
  demand(pulled.most <= 1.5 * 5 * PATIENCE, `${EVIDENCE}a slow link is asked for little at once`, () => pulled);
  demand(pulled.asked === 400_000, `${EVIDENCE}and for nothing twice`, () => pulled);
}

/** A quick link with a long way is kept busy. */
export function asksMuch(): void {
  const bytes = 20_000_000;
  const { took, asked } = pullOver({ rate: 10_000, latency: 200 }, bytes);
  const rounds = bytes / WINDOW;
  demand(took < 2 * rounds * 400, `${EVIDENCE}the window grows`, () => ({ took, asked }));
}

const OUTRUN = 'snapshots/outrun-is-doubled: ';

/** The questions that were asked since. */
function outrunIn(puller: Puller): readonly number[] {
  return puller.asked.splice(0).map(({ message }) => message.outrun);
}

function outrunEvents(puller: Puller): number {
  return puller.wants('event').filter(({ event }) => event.kind === 'snapshot' && event.event === 'outrun').length;
}

/** While a snapshot is pulled the log behind it goes, again and again. */
export function outrunIsDoubled(): void {
  const puller = new Puller();
  puller.needs(90);
  const seen: number[] = [];
  for (let round = 0; round < 5; round++) {
    const { message } = puller.asked[0] as { message: AskChunk };
    seen.push(...outrunIn(puller).slice(0, 1));
    puller.answer('b', message, { ...snapshotOf(1_000_000), index: 100 + round });
    puller.asked.length = 0;
    puller.needs(101 + round);
  }
  demand(seen.join() === '0,1,2,3,3', `${OUTRUN}three times at most`, () => seen);
  demand(outrunEvents(puller) === 5, `${OUTRUN}each time it is told`, () => outrunEvents(puller));
  demand(puller.asked[0]?.message.index === 0, `${OUTRUN}the newest one is asked for`);
}

/** The log is gone when the snapshot is there; much later another pull is one as the first. */
export function outrunAfterwards(): void {
  const puller = new Puller();
  const pull = (least: number): number => {
    puller.needs(least);
    const [{ message } = { message: undefined }] = puller.asked.splice(0);
    const { outrun, number, offset } = message as AskChunk;
    const snapshot = { ...snapshotOf(100), index: least };
    puller.receive('b', { kind: 'chunk', number, snapshot, offset, data: new Uint8Array(100) });
    const [{ file } = { file: '' }] = puller.wants('completeSnapshot').slice(-1);
    const { index, term, checksum } = snapshot;
    puller.step({ kind: 'snapshotPulled', file, index, term, checksum, part: encodeDriverPart(emptyPart) });
    return outrun;
  };
  const seen = [pull(10), pull(20), pull(30)];
  puller.now += 1_000_000;
  seen.push(pull(40));
  demand(seen.join() === '0,1,2,0', `${OUTRUN}so soon after the one before, not later`, () => seen);
  demand(outrunEvents(puller) === 2, `${OUTRUN}each time it is told`, () => outrunEvents(puller));
}

/** What a leader keeps for a puller, that was never outrun, once, and as often as it says. */
export function keepsTwiceAsMuch(): void {
  const kept = (outrun: number, grown: number): number => {
    const puller = new Puller();
    const draft = new DriverDraft(puller.state, puller.now, raftProtocol.durable);
    draft.sources.hold('b', 5, outrun);
    draft.sources.grew(grown);
    return draft.sources.kept(990, { index: 1000, bytes: 1 });
  };
  const MIB = 2 ** 20;
  const seen = [kept(0, 4 * MIB), kept(0, 5 * MIB), kept(1, 8 * MIB), kept(1, 9 * MIB), kept(3, 32 * MIB)];
  seen.push(kept(3, 33 * MIB), kept(1000, 33 * MIB));
  demand(seen.join() === '5,960,5,920,5,680,680', `${OUTRUN}the bounds`, () => seen);
}
