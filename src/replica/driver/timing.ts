/**
 * Whether the timing assumption holds (law/timing-assumption): a round trip, a write and a load, with what this process
 * adds to them, take less than half of the shortest election timeout. Liveness rests on it and safety does not, so the
 * driver measures the parts and says so when they take longer.
 *
 * Round trips are measured by stamps in envelopes of `control` messages that leave anyway: a few times in an election
 * timeout one carries a question, and a later one from the peer repeats it and says how long it was kept there. So the
 * disks of both sides count for nothing in it, and a replica that never finds a leader measures, too.
 *
 * Invariants: a question is answered once, and only in the start that asked it; no event comes without a measurement,
 * and an assumption that ceased to hold is not said to hold again before `WINDOW_TIMEOUTS`.
 */

import type { Mutable } from '../../core/draft.js';
import type { ReplicaId } from '../../core/members.js';
import type { Milliseconds } from '../../core/protocol.js';
import { exchangeBound } from '../../core/tuning.js';
import { isCoreMessage, withTiming, type EnvelopeTiming } from './envelope.js';
import { PartDraft } from './part-draft.js';
import type { DriverOptions } from './state.js';

/** What a time was spent on: see `TimingStatus`. */
export type TimingPart = 'round-trip' | 'storage' | 'load' | 'host';

/** A measurement speaks for one to two windows, each of so many of the longest election timeouts. */
const WINDOW_TIMEOUTS = 8;
/** A peer is asked for a round trip so many times in the shortest election timeout, if a message leaves for it. */
const ASKED_PER_TIMEOUT = 4;
/** The stamps of a start begin at a multiple of this, in milliseconds; which one is drawn. */
const STAMPS_PER_START = 2 ** 32;
const STARTS = 2 ** 20;

/** The longest times of the window that began at `since`, and of the one before. */
export interface Measure {
  readonly longest: Milliseconds;
  readonly before: Milliseconds;
  readonly since: Milliseconds;
}

/** What is measured with one peer. Stamps are milliseconds of the clock of whoever asked. */
export interface PeerTiming {
  readonly id: ReplicaId;
  /** The stamp of our newest question, and of the newest one that was answered; 0 before the first. */
  readonly asked: number;
  readonly answered: number;
  /** When the next question may leave. */
  readonly askAt: Milliseconds;
  /** The peer's question that no message has answered yet, and when it came; 0 for none. */
  readonly question: number;
  readonly questionAt: Milliseconds;
  readonly roundTrip: Measure;
}

/** A load that the storage has not answered. */
export interface LoadTiming {
  readonly id: number;
  readonly since: Milliseconds;
}

/** @see TimingDraft */
export interface TimingState {
  /** Whether the application was last told that it holds; so it is at the start. */
  readonly holds: boolean;
  readonly storage: Measure;
  readonly load: Measure;
  readonly host: Measure;
  /** When the write under way began; `null` if there is none. */
  readonly writingSince: Milliseconds | null;
  readonly loads: readonly LoadTiming[];
  readonly peers: readonly PeerTiming[];
}

/** The time that a peer takes to answer. */
export interface RoundTrip {
  readonly peer: ReplicaId;
  /** In milliseconds; 0 while unknown. */
  readonly time: Milliseconds;
}

/**
 * The timing assumption: `total` < `bound`. All times are in milliseconds, each the longest of the last while: at least
 * eight, at most sixteen of the longest election timeouts. A time that was not measured counts as 0.
 */
export interface TimingStatus {
  /** Elections and answers in time are promised while it holds; nothing that was acknowledged depends on it. */
  readonly holds: boolean;
  /** Half of the shortest election timeout. */
  readonly bound: Milliseconds;
  /** The longest round trip, `storage`, `load` and `host` together. */
  readonly total: Milliseconds;
  /** Between a `control` message and its answer, without what the disks and the peer's waiting took. */
  readonly roundTrips: readonly RoundTrip[];
  /** One write of the storage, or how long the one under way has taken so far. */
  readonly storage: Milliseconds;
  /** One read of the storage, likewise. */
  readonly load: Milliseconds;
  /** How late the timers of this process fired: the event loop was busy, or the process stood still. */
  readonly host: Milliseconds;
}

export function initialTiming({ configuration, id, now }: DriverOptions): TimingState {
  const nothing: Measure = { longest: 0, before: 0, since: now };
  const others = configuration.members.filter((member) => member.id !== id);
  return {
    holds: true,
    storage: nothing,
    load: nothing,
    host: nothing,
    writingSince: null,
    loads: [],
    peers: others.map((member) => ({
      id: member.id,
      asked: 0,
      answered: 0,
      askAt: now,
      question: 0,
      questionAt: 0,
      roundTrip: nothing,
    })),
  };
}

function longestOf({ longest, before }: Measure): Milliseconds {
  return Math.max(longest, before);
}

/** The peer with the longest round trip; `null` in a cluster of one. */
function slowest({ peers }: TimingState): RoundTrip | null {
  let found: RoundTrip | null = null;
  for (const { id, roundTrip } of peers) {
    const time = longestOf(roundTrip);
    if (found === null || time > found.time) found = { peer: id, time };
  }
  return found;
}

/** The parts of the sum. */
function partsOf(state: TimingState): readonly (readonly [part: TimingPart, time: Milliseconds])[] {
  const { storage, load, host } = state;
  return [
    ['round-trip', slowest(state)?.time ?? 0],
    ['storage', longestOf(storage)],
    ['load', longestOf(load)],
    ['host', longestOf(host)],
  ];
}

function sum(parts: ReturnType<typeof partsOf>): Milliseconds {
  return parts.reduce((total, [, time]) => total + time, 0);
}

export function timingStatusOf(state: TimingState, { timing }: DriverOptions): TimingStatus {
  return {
    holds: state.holds,
    bound: exchangeBound(timing),
    total: sum(partsOf(state)),
    roundTrips: state.peers.map(({ id, roundTrip }) => ({ peer: id, time: longestOf(roundTrip) })),
    storage: longestOf(state.storage),
    load: longestOf(state.load),
    host: longestOf(state.host),
  };
}

export class TimingDraft extends PartDraft<TimingState> {
  /** A measure changed in this event. */
  declare private measured: boolean | undefined;

  protected override copy(state: TimingState): Mutable<TimingState> {
    return {
      holds: state.holds,
      storage: state.storage,
      load: state.load,
      host: state.host,
      writingSince: state.writingSince,
      loads: state.loads,
      peers: state.peers,
    };
  }

  private get window(): Milliseconds {
    return WINDOW_TIMEOUTS * this.draft.options.timing.electionMax;
  }

  /** With one time more. */
  private with(measure: Measure, time: Milliseconds): Measure {
    const { now } = this.draft;
    const isNewWindow = now - measure.since >= this.window;
    if (!isNewWindow && time <= measure.longest) return measure;
    this.measured = true;
    if (isNewWindow) return { longest: time, before: measure.longest, since: now };
    return { longest: time, before: measure.before, since: measure.since };
  }

  /** Without what was measured too long ago to say anything of now. */
  private fresh(measure: Measure): Measure {
    const { now } = this.draft;
    const isOld = longestOf(measure) > 0 && now - measure.since >= 2 * this.window;
    return isOld ? { longest: 0, before: 0, since: now } : measure;
  }

  // The storage. What it has not answered is known by its age.

  writeBegins(): void {
    this.edit().writingSince = this.draft.now;
  }

  writeEnds(): void {
    const { writingSince, storage } = this.state;
    if (writingSince === null) return;
    const next = this.edit();
    next.storage = this.with(storage, this.draft.now - writingSince);
    next.writingSince = null;
  }

  loadBegins(id: number): void {
    this.edit().loads = [...this.state.loads, { id, since: this.draft.now }];
  }

  loadEnds(id: number): void {
    const { loads, load } = this.state;
    const ended = loads.find((each) => each.id === id);
    if (ended === undefined) return;
    const next = this.edit();
    next.load = this.with(load, this.draft.now - ended.since);
    next.loads = loads.filter((each) => each !== ended);
  }

  /** A tick came that was due at `due`. */
  tick(due: Milliseconds): void {
    const { now } = this.draft;
    const { host, writingSince, storage, loads, load, peers } = this.state;
    this.measured = true; // what was measured long ago ends here
    const next = this.edit();
    next.host = this.with(host, Math.max(0, now - due));
    const writing = writingSince === null ? 0 : now - writingSince;
    if (writing > storage.longest) next.storage = this.with(storage, writing);
    const oldest = loads[0];
    const loading = oldest === undefined ? 0 : now - oldest.since;
    next.load = loading > load.longest ? this.with(load, loading) : this.fresh(load);
    if (peers.some(({ roundTrip }) => this.fresh(roundTrip) !== roundTrip)) {
      next.peers = peers.map((peer) => ({ ...peer, roundTrip: this.fresh(peer.roundTrip) }));
    }
  }

  /** A timer of the host fired so late. */
  late(by: Milliseconds): void {
    const { host } = this.state;
    this.edit().host = this.with(host, by);
  }

  // Round trips.

  private change(peer: PeerTiming, change: Partial<PeerTiming>): void {
    const next = this.edit();
    next.peers = next.peers.map((each) => (each === peer ? { ...peer, ...change } : each));
  }

  /** The stamp of the first millisecond of this start: other starts have others. */
  private get firstStamp(): number {
    return 1 + (this.draft.options.start % STARTS) * STAMPS_PER_START;
  }

  private peer(id: ReplicaId): PeerTiming | undefined {
    const { peers } = this.state;
    for (let at = 0; at < peers.length; at++) if ((peers[at] as PeerTiming).id === id) return peers[at];
    return undefined;
  }

  /** A `control` message leaves now. Gives its bytes, with a question or an answer in them where one is due. */
  stamped(to: ReplicaId, bytes: Uint8Array): Uint8Array {
    const peer = this.peer(to);
    const { now, options } = this.draft;
    if (peer === undefined || (now < peer.askAt && peer.question === 0) || !isCoreMessage(bytes)) return bytes;
    const isAsked = now >= peer.askAt;
    const stamp = isAsked ? this.firstStamp + Math.floor(now - options.now) : 0;
    const kept = Math.floor(now - peer.questionAt);
    this.change(peer, {
      ...(isAsked ? { asked: stamp, askAt: now + options.timing.electionMin / ASKED_PER_TIMEOUT } : {}),
      question: 0,
    });
    return withTiming(bytes, { question: stamp, answer: peer.question, kept: peer.question === 0 ? 0 : kept });
  }

  /** A core message with stamps arrived. */
  heard(from: ReplicaId, { question, answer, kept }: EnvelopeTiming): void {
    const { now, options } = this.draft;
    const peer = this.peer(from);
    if (peer === undefined) return;
    if (question !== 0) this.change(peer, { question, questionAt: now });
    if (answer < this.firstStamp || answer <= peer.answered || answer > peer.asked) return;
    const askedAt = options.now + (answer - this.firstStamp);
    const time = Math.max(0, now - askedAt - kept);
    this.change(this.peer(from) as PeerTiming, { answered: answer, roundTrip: this.with(peer.roundTrip, time) });
  }

  /** Tells when the assumption ceases to hold, and when it holds again. */
  judge(): void {
    const { draft, state } = this;
    if (this.measured !== true || state.peers.length === 0) return;
    const parts = partsOf(state);
    const total = sum(parts);
    const bound = exchangeBound(draft.options.timing);
    const holds = total < bound;
    if (holds === state.holds) return;
    this.edit().holds = holds;
    const [part, measured] = parts.reduce((a, b) => (b[1] > a[1] ? b : a));
    const peer = part === 'round-trip' ? (slowest(state)?.peer ?? null) : null;
    draft.event({ kind: 'timing', holds, part, measured, total, bound, peer });
  }
}
