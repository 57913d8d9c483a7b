/**
 * A model of first starts: the shipped driver over a core that says nothing by itself, on disks and a network that do
 * whatever the test wants. A world is a value, so a search can try every step from the same one.
 */

import type { Inbound, Outbound, Protocol } from '../../../src/core/protocol.js';
import { choose } from '../../../src/core/tuning.js';
import { raftProtocol } from '../../../src/raft/index.js';
import { driverOf } from '../../../src/replica/driver/driver.js';
import { noSnapshots } from '../../../src/replica/driver/snapshots.js';
import { openEnvelope } from '../../../src/replica/driver/envelope.js';
import { hashOfConfiguration } from '../../../src/replica/driver/hash.js';
import type { DriverEvent, DriverState } from '../../../src/replica/driver/state.js';
import { ESTABLISHED_KEY, PEERS_KEY, decodePeers } from '../../../src/replica/driver/stored-identity.js';
import type { StorageOp } from '../../../src/replica/storage.js';
import { clusterOf } from '../../values.js';
import { Violation } from '../../violation.js';

/** From whom a core that says nothing has heard. */
type Heard = readonly string[];

const HELLO = 1;

/** A core that greets all others when it is told to campaign, and remembers who greeted it. */
const greeting: Protocol<unknown, unknown> = {
  ...(raftProtocol as Protocol<unknown, unknown>),
  init: ({ configuration, id }) => [
    { others: configuration.members.map((m) => m.id).filter((m) => m !== id), heard: [] },
    [],
  ],
  step: (state, inbound) => greet(state as Greeting, inbound),
  checkStep: () => undefined,
  checkState: () => undefined,
  deadline: () => Infinity,
  codec: { sizeOf: () => 1, write: (writer) => writer.u8(HELLO), read: (reader) => reader.u8() },
};

interface Greeting {
  readonly others: readonly string[];
  readonly heard: Heard;
}

function greet(state: Greeting, inbound: Inbound<unknown>): readonly [Greeting, readonly Outbound<unknown>[]] {
  if (inbound.kind === 'campaign') {
    const send = (to: string) => ({ kind: 'send', to, message: HELLO, lane: 'control', after: 0 }) as const;
    return [state, state.others.map(send)];
  }
  if (inbound.kind !== 'receive' || state.heard.includes(inbound.from)) return [state, []];
  return [{ ...state, heard: [...state.heard, inbound.from] }, []];
}

const driver = driverOf(greeting);
const { timing, limits } = choose(greeting);

/** One disk under one id, with the replica that runs on it. */
export interface Start {
  readonly id: string;
  readonly incarnation: number;
  readonly boot: number;
  readonly values: ReadonlyMap<string, Uint8Array>;
  /** The write under way. */
  readonly writing: readonly StorageOp[] | null;
  /** `null` while it is down. */
  readonly state: DriverState | null;
}

export interface Flight {
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
}

export interface Model {
  readonly size: number;
  readonly starts: readonly Start[];
  readonly flights: readonly Flight[];
  /** The incarnations that have asked for a final record, and those that took part, with their ids: for all time. */
  readonly asked: ReadonlyMap<number, string>;
  readonly established: ReadonlyMap<number, string>;
  readonly lost: ReadonlySet<number>;
}

export function emptyModel(size: number): Model {
  return { size, starts: [], flights: [], asked: new Map(), established: new Map(), lost: new Set() };
}

const hashes = new Map<number, string>();
function hashOf(size: number): string {
  const known = hashes.get(size) ?? hashOfConfiguration(clusterOf(size));
  hashes.set(size, known);
  return known;
}

function applied(values: Start['values'], ops: readonly StorageOp[]): Start['values'] {
  const next = new Map(values);
  for (const op of ops) if (op.kind === 'set') next.set(op.key, op.value);
  return next;
}

type Effects = ReturnType<typeof driver.step>[1];

/** The model after a start took a step, which must keep what the disks have promised. */
function after(model: Model, at: number, state: DriverState, effects: Effects): Model {
  const start = model.starts[at] as Start;
  let { writing } = start;
  const flights = [...model.flights];
  let { asked, established, lost } = model;
  for (const effect of effects) {
    if (effect.kind === 'write') writing = effect.ops;
    if (effect.kind === 'event' && effect.event.kind === 'lostIdentity') lost = new Set(lost).add(start.incarnation);
    if (effect.kind !== 'send') continue;
    flights.push({ from: start.id, to: effect.to, bytes: effect.bytes });
    const opened = openEnvelope(effect.bytes);
    if (opened.kind === 'identity' && opened.message.kind === 'confirm')
      asked = new Map(asked).set(start.incarnation, start.id);
  }
  const starts = model.starts.map((each, place) => (place === at ? { ...each, state, writing } : each));
  if (state.phase.kind === 'running' && !established.has(start.incarnation)) {
    established = new Map(established).set(start.incarnation, start.id);
  }
  const next = { ...model, starts, flights, asked, established, lost };
  check(next, at);
  return next;
}

/** Two incarnations of one id are never both established; and who was let in stands in a durable final record. */
function check({ starts, established }: Model, at: number): void {
  const ids = [...established.values()];
  const twice = ids.find((id, place) => ids.indexOf(id) !== place);
  if (twice !== undefined)
    throw new Violation(`identity/lost-disk-has-no-vote: two incarnations of ${twice} are established`);
  const { state, values } = starts[at] as Start;
  if (state?.phase.kind === 'halted') throw new Error(`halted: ${state.phase.fault.reason}`);
  if (state?.phase.kind !== 'running') return;
  if (!values.has(ESTABLISHED_KEY))
    throw new Violation('identity/known-before-it-votes: a core runs, and its mark is not durable');
  const records = values.get(PEERS_KEY);
  const known = records === undefined ? [] : decodePeers(records).filter(({ final }) => final);
  for (const from of (state.phase.core as Greeting).heard) {
    if (!known.some(({ id }) => id === from))
      throw new Violation(`identity/known-before-it-votes: ${from} was let in, and no final record is durable`);
  }
}

export function boot(model: Model, at: number): Model {
  const before = model.starts[at] as Start;
  const start: Start = { ...before, boot: before.boot + 1, writing: null };
  const { id, incarnation, values } = start;
  const peers = values.get(PEERS_KEY);
  const configuration = clusterOf(model.size);
  const [state, effects] = driver.init(
    {
      id,
      incarnation,
      boot: start.boot,
      cluster: 'model',
      configuration,
      configurationHash: hashOf(model.size),
      timing,
      limits,
      preVote: true,
      seed: incarnation * 7 + start.boot,
      start: 1,
      now: 0,
      established: values.has(ESTABLISHED_KEY),
      peers: peers === undefined ? [] : decodePeers(peers),
      maxWaiting: 1,
      maxWaitingBytes: 1,
      snapshotPolicy: null,
      storesSnapshots: false,
      snapshots: noSnapshots,
    },
    { hard: null, base: { index: 0, term: 0 }, last: 0, runs: [], tail: [], snapshot: null },
  );
  const starts = model.starts.map((each, place) => (place === at ? start : each));
  return after({ ...model, starts }, at, state, effects);
}

/** A first start under this id, on an empty disk; beside others of the same id, if there are any. */
export function fresh(model: Model, id: string, incarnation: number): Model {
  const start: Start = { id, incarnation, boot: 0, values: new Map(), writing: null, state: null };
  return boot({ ...model, starts: [...model.starts, start] }, model.starts.length);
}

type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

export function step(model: Model, at: number, event: Untimed<DriverEvent>, now?: number): Model {
  const { state } = model.starts[at] as Start;
  if (state === null) return model;
  const [next, effects] = driver.step(state, { ...event, now: now ?? state.now } as DriverEvent);
  return after(model, at, next, effects);
}

export function dueOf({ state }: Start): number {
  return state === null ? Infinity : driver.deadline(state);
}

/** The clock of a start comes to its deadline. */
export function tick(model: Model, at: number): Model {
  const due = dueOf(model.starts[at] as Start);
  return due === Infinity ? model : step(model, at, { kind: 'tick' }, due);
}

/** The write under way is durable. */
export function synced(model: Model, at: number): Model {
  const start = model.starts[at] as Start;
  if (start.writing === null) return model;
  const next = { ...start, values: applied(start.values, start.writing), writing: null };
  const starts = model.starts.map((each, place) => (place === at ? next : each));
  return step({ ...model, starts }, at, { kind: 'written' });
}

/** Loss of power. @param keep whether the write under way is on the disk */
export function crash(model: Model, at: number, keep: boolean): Model {
  const start = model.starts[at] as Start;
  const values = keep && start.writing !== null ? applied(start.values, start.writing) : start.values;
  const next = { ...start, values, writing: null, state: null };
  return { ...model, starts: model.starts.map((each, place) => (place === at ? next : each)) };
}

/** A disk and what runs on it are gone for good. */
export function wipe(model: Model, at: number): Model {
  return { ...model, starts: model.starts.filter((_, place) => place !== at) };
}

/** A message arrives at a start. @param keep a copy stays under way */
export function deliver(model: Model, flight: number, at: number, keep = false): Model {
  const { from, bytes } = model.flights[flight] as Flight;
  const flights = keep ? model.flights : model.flights.filter((_, place) => place !== flight);
  return step({ ...model, flights }, at, { kind: 'message', from, bytes });
}

export function phaseOf({ state }: Start): string {
  return state === null ? 'down' : state.phase.kind;
}
