/**
 * What must hold of the measured times, as functions that throw a violation: the tests run them, and so do the mutants'
 * killers. Drivers over a core that does nothing but what it is told, in virtual time.
 */

import { Reader, Writer } from '../../../src/core/bytes.js';
import { configurationOf, defaultConstants } from '../../../src/core/members.js';
import type { Lane, Outbound, Protocol } from '../../../src/core/protocol.js';
import { choose } from '../../../src/core/tuning.js';
import { raftProtocol } from '../../../src/raft/index.js';
import { driverOf } from '../../../src/replica/driver/driver.js';
import { noSnapshots } from '../../../src/replica/driver/snapshots.js';
import type { DriverEffect, DriverEvent, DriverState, ReplicaEvent } from '../../../src/replica/driver/state.js';
import { timingStatusOf, type TimingStatus } from '../../../src/replica/driver/timing.js';
import { demand } from '../../violation.js';

type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;
type TimingEvent = Extract<ReplicaEvent, { kind: 'timing' }>;

const RULE = 'law/timing-assumption: what takes too long is measured and told';
const { timing, limits } = choose(raftProtocol as Protocol<unknown, unknown>);
const BOUND = timing.electionMin / 2;
/** How long a measurement speaks at least, and at most. */
const WINDOW = 8 * timing.electionMax;
/** As often as a follower's timer fires, about. */
const TICK = timing.electionMax;

/** A replica over a core that gives the outbound messages of the case; it ticks when it is told. */
class Timed {
  now: number;
  state: DriverState;
  readonly sent: Uint8Array[] = [];
  readonly told: TimingEvent[] = [];
  private says: readonly Outbound<unknown>[] = [];
  private due = Infinity;
  private persists = 0;
  private readonly driver = driverOf({
    ...(raftProtocol as Protocol<unknown, unknown>),
    init: () => [0, []],
    step: (state, inbound) => {
      const says = inbound.kind === 'campaign' ? this.says : [];
      return [(state as number) + 1, says];
    },
    checkStep: () => undefined,
    checkState: () => undefined,
    deadline: () => this.due,
    codec: {
      sizeOf: () => 1,
      write: (writer: Writer) => writer.u8(7),
      read: (reader: Reader) => reader.u8(),
    },
  });

  constructor(id: 'a' | 'b', ids: readonly string[] = ['a', 'b'], start = 1, now = 1000) {
    this.now = now;
    const configuration = configurationOf(Object.fromEntries(ids.map((each) => [each, each])), defaultConstants);
    const incarnation = id === 'a' ? 1 : 2;
    const identity = { id, incarnation, boot: 1, cluster: 'test', configuration, configurationHash: 'hash' };
    const peers = [id === 'a' ? { id: 'b', incarnation: 2, final: true } : { id: 'a', incarnation: 1, final: true }];
    const bounds = {
      maxWaiting: 100,
      maxWaitingBytes: 1e6,
      snapshotPolicy: null,
      storesSnapshots: false,
      snapshots: noSnapshots,
    };
    const rest = { timing, limits, preVote: true, seed: 1, start, now, established: true, peers, ...bounds };
    const recovered = { hard: null, base: { index: 0, term: 0 }, last: 0, runs: [], tail: [], snapshot: null };
    [this.state] = this.driver.init({ ...identity, ...rest }, recovered);
  }

  happens(event: Untimed<DriverEvent>): void {
    const [state, effects] = this.driver.step(this.state, { ...event, now: this.now } as DriverEvent);
    this.state = state;
    for (const effect of effects) this.take(effect);
  }

  private take(effect: DriverEffect): void {
    if (effect.kind === 'send') this.sent.push(effect.bytes);
    if (effect.kind === 'event' && effect.event.kind === 'timing') this.told.push(effect.event);
  }

  /** The core says this. */
  core(...says: Outbound<unknown>[]): void {
    this.says = says;
    this.happens({ kind: 'campaign' });
    this.says = [];
  }

  /** The core sends something to this peer. @param after the persist that it waits for */
  send(to: string, after = 0, lane: Lane = 'control'): void {
    this.core({ kind: 'send', to, message: 0, after, lane });
  }

  /** A write begins. */
  write(): number {
    const hard = { term: ++this.persists, vote: null, commit: 0 };
    this.core({ kind: 'persist', persistSeq: this.persists, ops: [{ kind: 'hard', hard }] });
    return this.persists;
  }

  load(id: number): void {
    this.core({ kind: 'load', id, from: 1, to: 2, maxBytes: 10 });
  }

  /** A tick, so late. */
  tick(late = 0): void {
    this.due = this.now - late;
    this.happens({ kind: 'tick' });
    this.due = Infinity;
  }

  /** Time passes, and timers fire. */
  pass(time: number): void {
    for (const end = this.now + time; this.now < end; ) {
      this.now = Math.min(end, this.now + TICK);
      this.tick();
    }
  }

  get timing(): TimingStatus {
    return timingStatusOf(this.state.timing, this.state.options);
  }

  get roundTrip(): number {
    return this.timing.roundTrips[0]?.time ?? -1;
  }
}

function told(replica: Timed, expected: readonly Partial<TimingEvent>[]): void {
  const found = replica.told.map((event) => {
    const due = expected[replica.told.indexOf(event)] ?? event;
    return Object.fromEntries(Object.entries(event).filter(([name]) => name in due || name === 'holds'));
  });
  const text = (events: readonly object[]): string =>
    JSON.stringify(events.map((each) => Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))));
  demand(text(found) === text(expected), RULE, () => [replica.told, expected]);
}

function measured(replica: Timed, part: 'storage' | 'load' | 'host', time: number): void {
  demand(replica.timing[part] === time, RULE, () => [part, time, replica.timing]);
}

/** From one to the other, after so long a way. */
function carry(from: Timed, to: Timed, way: number): void {
  const bytes = from.sent.splice(0);
  to.now = Math.max(to.now, from.now + way);
  for (const each of bytes) to.happens({ kind: 'message', from: from.state.options.id, bytes: each });
}

/** A write that takes too long is told when it ends, once, and again when the disk has been quick for a window. */
export function slowDisk(): void {
  const replica = new Timed('a');
  for (let round = 0; round < 5; round++) {
    replica.write();
    replica.now += BOUND;
    replica.happens({ kind: 'written' });
  }
  told(replica, [{ holds: false, part: 'storage', measured: BOUND, total: BOUND, bound: BOUND, peer: null }]);
  measured(replica, 'storage', BOUND);
  const slowUntil = replica.now;
  while (replica.told.length < 2 && replica.now < slowUntil + 3 * WINDOW) {
    replica.pass(TICK);
    replica.write();
    replica.now += 3;
    replica.happens({ kind: 'written' });
  }
  told(replica, [{ holds: false }, { holds: true, part: 'storage', measured: 3, total: 3 }]);
  demand(replica.now - slowUntil >= WINDOW, RULE, () => replica.now - slowUntil);
  demand(replica.timing.holds, RULE);
}

/** A write or a load that hangs is told while it hangs: nobody may ever answer. */
export function hung(): void {
  const disk = new Timed('a');
  disk.write();
  disk.pass(TICK);
  told(disk, [{ holds: false, part: 'storage', measured: TICK }]);
  const read = new Timed('a');
  read.load(5);
  read.pass(TICK);
  told(read, [{ holds: false, part: 'load', measured: TICK }]);
}

/** One that never writes again does not become quick by that. */
export function idleDisk(): void {
  const replica = new Timed('a');
  replica.write();
  replica.now += BOUND;
  replica.happens({ kind: 'written' });
  replica.pass(5 * WINDOW);
  told(replica, [{ holds: false }]);
}

/** Loads under way are told apart, and what was slow long ago is forgotten. */
export function loads(): void {
  const replica = new Timed('a');
  replica.load(5);
  replica.now += 100;
  replica.load(6);
  replica.now += 50;
  replica.happens({ kind: 'loaded', id: 6, entries: [] });
  measured(replica, 'load', 50);
  replica.happens({ kind: 'loaded', id: 5, entries: [] });
  measured(replica, 'load', 150);
  told(replica, []);
  replica.pass(3 * WINDOW);
  measured(replica, 'load', 0);
}

/** The parts count together: none is too long by itself. */
export function together(): void {
  const replica = new Timed('a');
  replica.write();
  replica.now += 0.4 * BOUND;
  replica.happens({ kind: 'written' });
  replica.load(5);
  replica.now += 0.3 * BOUND;
  replica.happens({ kind: 'loaded', id: 5, entries: [] });
  told(replica, []);
  replica.tick(0.3 * BOUND);
  told(replica, [{ holds: false, part: 'storage', total: BOUND }]);
  const alone = new Timed('a', ['a']);
  alone.tick(10 * BOUND);
  told(alone, []); // it has nobody to wait for
}

/** A round trip is that of messages alone, neither the peer's waiting nor either disk in it. */
export function roundTrips(): void {
  const [a, b] = [new Timed('a'), new Timed('b', ['a', 'b'], 9, 50_000_000)];
  const skew = b.now - a.now;
  const meet = (from: Timed, to: Timed, way: number): void => {
    from.now += way;
    const offset = to === b ? skew : -skew;
    to.now = Math.max(to.now, from.now + offset);
    for (const bytes of from.sent.splice(0)) {
      to.happens({ kind: 'message', from: from.state.options.id, bytes });
    }
  };
  const seq = a.write();
  a.send('b', seq); // it leaves when the write is done
  a.now += 200;
  a.happens({ kind: 'written' });
  meet(a, b, 30);
  const promised = b.write();
  b.send('a', promised);
  b.now += 300;
  b.happens({ kind: 'written' });
  meet(b, a, 40);
  demand(a.roundTrip >= 70 && a.roundTrip < 72, RULE, () => a.timing);
  told(a, []);
}

/** An answer counts once and for its own question, whatever the network repeats, and whatever an earlier start asked. */
export function answers(): void {
  const [a, b] = [new Timed('a'), new Timed('b')];
  a.send('b');
  carry(a, b, 10);
  b.send('a');
  const [answer] = b.sent;
  carry(b, a, 10);
  demand(a.roundTrip >= 20 && a.roundTrip < 22, RULE, () => a.timing);
  a.now += 50 * BOUND;
  a.happens({ kind: 'message', from: 'b', bytes: answer as Uint8Array });
  told(a, []);
  const again = new Timed('a', ['a', 'b'], 2, a.now);
  again.send('b');
  again.now += 50 * BOUND;
  again.happens({ kind: 'message', from: 'b', bytes: answer as Uint8Array });
  demand(again.roundTrip === 0, RULE, () => again.timing);
}

/** A slow peer is named, and forgotten once it has not been heard for long. */
export function slowPeer(): void {
  const [a, b] = [new Timed('a'), new Timed('b')];
  a.send('b');
  carry(a, b, BOUND);
  b.send('a');
  carry(b, a, BOUND);
  told(a, [{ holds: false, part: 'round-trip', peer: 'b' }]);
  a.pass(3 * WINDOW);
  told(a, [{ holds: false }, { holds: true }]);
}

/** Few messages carry a question, and none of the bulk lane. */
export function seldomAsked(): void {
  const a = new Timed('a');
  a.send('b', 0, 'bulk');
  const plain = a.sent.splice(0)[0]?.length ?? 0;
  for (let sends = 0; sends < 1000; sends++, a.now += 1) a.send('b');
  const asked = a.sent.filter(({ length }) => length > plain).length;
  demand(asked === (4 * 1000) / timing.electionMin, RULE, () => asked);
}

export const timingCases = {
  'a slow disk': slowDisk,
  'what hangs': hung,
  'an idle disk': idleDisk,
  loads,
  'all parts together': together,
  'round trips': roundTrips,
  'answers, repeated and late': answers,
  'a slow peer': slowPeer,
  'few questions': seldomAsked,
} as const;
