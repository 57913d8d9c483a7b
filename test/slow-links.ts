/**
 * A cluster of either core whose messages, writes and loads take time: links with a delay and a bandwidth, and a disk
 * that syncs what waits in one go. Nothing is lost but by cuts and crashes, and nothing is drawn at random, so a run
 * depends on its options alone. Time is virtual; bytes and messages are counted.
 */

import type { Configuration, ReplicaId } from '../src/core/members.js';
import type {
  CoreEvent,
  Entry,
  Inbound,
  Limits,
  Load,
  Milliseconds,
  Outbound,
  Outcome,
  Persist,
  Protocol,
  Role,
  Send,
  Status,
  Timing,
} from '../src/core/protocol.js';
import { defaultLimits } from '../src/core/tuning.js';
import { clusterOf, timing as defaultTiming } from './values.js';

export interface SlowOptions {
  readonly protocol: Protocol<never, never> | Protocol<unknown, unknown>;
  readonly size?: number;
  readonly timing?: Timing;
  readonly limits?: Partial<Limits>;
  readonly seed?: number;
  /** There and back. */
  readonly roundTrip?: Milliseconds;
  /** Of each link and direction. */
  readonly bytesPerMs?: number;
  /** How long a sync takes. */
  readonly write?: Milliseconds;
  readonly load?: Milliseconds;
  readonly alpha?: number;
  readonly leaseReads?: Milliseconds;
  readonly preVote?: boolean;
  /** Of the members, in their order. */
  readonly priorities?: readonly number[];
}

interface Scheduled {
  readonly at: Milliseconds;
  readonly order: number;
  readonly run: () => void;
}

interface SlowHost {
  readonly id: ReplicaId;
  state: unknown;
  up: boolean;
  durable: number;
  syncing: boolean;
  waiting: Persist[];
  held: Send<unknown>[];
  readonly entries: Map<number, Entry>;
  /** How many entries were delivered. */
  delivered: number;
  tickAt: Milliseconds;
  readonly events: { readonly at: Milliseconds; readonly role: Role; readonly term: number }[];
  /** How requests ended. */
  readonly ends: Map<number, Outcome>;
  /** Its disk hangs: no sync ends. */
  hung: boolean;
  /** Its clock: what it showed at `since`, and how much faster than true time it runs. */
  clock: { readonly base: Milliseconds; readonly since: Milliseconds; readonly rate: number };
  /** What came while its machine sleeps, whose clock stands still; `null` while it does not. */
  asleep: Untimed<Inbound<unknown>>[] | null;
  /** The index at which each read may be served. */
  readonly reads: Map<number, number>;
  /** How often it had entries loaded. */
  loads: number;
}

type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

export class SlowCluster {
  now: Milliseconds = 0;
  readonly hosts: readonly SlowHost[];
  /** Directed links that carry nothing, as `from>to`. */
  readonly cuts = new Set<string>();
  /** Messages by kind that left, and their bytes. */
  readonly sent = new Map<string, { count: number; bytes: number }>();
  /** Whether a message that leaves is lost. */
  loses: (from: ReplicaId, to: ReplicaId, message: { readonly kind: string }) => boolean = () => false;
  /** Called with what is delivered, and with every event of a core. */
  delivers: (id: ReplicaId, entries: readonly Entry[]) => void = () => undefined;
  says: (id: ReplicaId, event: CoreEvent) => void = () => undefined;
  /** How much longer than the others a message takes, which may be overtaken by later ones. */
  delays: (from: ReplicaId, to: ReplicaId) => Milliseconds = () => 0;
  /** How much longer than at the others a write takes. */
  laterWrites: (id: ReplicaId) => Milliseconds = () => 0;
  private readonly protocol: Protocol<unknown, unknown>;
  private readonly options: Required<Omit<SlowOptions, 'limits' | 'protocol'>> & { readonly limits: Limits };
  private readonly configuration: Configuration;
  private readonly agenda: Scheduled[] = [];
  private order = 0;
  private request = 0;
  /** When each link has carried what was put on it. */
  private readonly busy = new Map<string, Milliseconds>();

  constructor(options: SlowOptions) {
    this.protocol = options.protocol as Protocol<unknown, unknown>;
    const { size = 3, timing = defaultTiming, seed = 1, roundTrip = 2, bytesPerMs = Infinity } = options;
    const { write = 0, load = 1, alpha = 8192, preVote = true, leaseReads = 0, priorities = [] } = options;
    const limits = { ...defaultLimits, ...options.limits };
    const basics = { size, timing, seed, roundTrip, bytesPerMs, write, load };
    this.options = { ...basics, alpha, preVote, leaseReads, limits, priorities };
    this.configuration = clusterOf(size, { alpha, leaseReads }, priorities);
    this.hosts = this.configuration.members.map(({ id }) => ({
      id,
      state: null,
      up: true,
      durable: 0,
      syncing: false,
      waiting: [],
      held: [],
      entries: new Map<number, Entry>(),
      delivered: 0,
      tickAt: Infinity,
      events: [],
      ends: new Map<number, Outcome>(),
      hung: false,
      clock: { base: 0, since: 0, rate: 1 },
      asleep: null,
      reads: new Map<number, number>(),
      loads: 0,
    }));
    this.hosts.forEach((host, at) => this.start(host, Math.imul(seed, 0x9e3779b1) + at * 7919));
  }

  private start(host: SlowHost, seed: number): void {
    const { timing, limits, preVote } = this.options;
    const start = {
      id: host.id,
      boot: 1,
      configuration: this.configuration,
      seed: seed | 0,
      now: 0,
      timing,
      limits,
      preVote,
    };
    const empty = { hard: null, base: { index: 0, term: 0 }, last: 0, runs: [], tail: [], snapshot: null };
    this.take(host, this.protocol.init(start, empty));
  }

  host(id: ReplicaId): SlowHost {
    return this.hosts.find((host) => host.id === id) as SlowHost;
  }

  status(id: ReplicaId): Status {
    return this.protocol.status(this.host(id).state);
  }

  /** Who leads, of those that are up; the one of the highest term. */
  leader(): ReplicaId | null {
    const leading = this.hosts.filter(({ id, up }) => up && this.status(id).role === 'leader');
    leading.sort((a, b) => this.status(b.id).term - this.status(a.id).term);
    return leading[0]?.id ?? null;
  }

  /** How often anyone became a candidate. */
  campaigns(since: Milliseconds = 0): number {
    return this.hosts.reduce(
      (sum, { events }) => sum + events.filter(({ at, role }) => at >= since && role === 'candidate').length,
      0,
    );
  }

  /** The highest term or ballot that anyone has entered. */
  term(): number {
    return Math.max(...this.hosts.map(({ id }) => this.status(id).term));
  }

  private schedule(delay: Milliseconds, run: () => void): void {
    const item = { at: this.now + delay, order: this.order++, run };
    const { agenda } = this;
    let low = 0;
    let high = agenda.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const each = agenda[middle] as Scheduled;
      // Descending, so that the next one stands last.
      if (each.at > item.at || (each.at === item.at && each.order > item.order)) low = middle + 1;
      else high = middle;
    }
    agenda.splice(low, 0, item);
  }

  /** Lets everything happen until then, or until `done`. Gives whether it is done. */
  run(time: Milliseconds, done: () => boolean = () => false): boolean {
    const end = this.now + time;
    while ((this.agenda[this.agenda.length - 1]?.at ?? Infinity) <= end) {
      if (done()) return true;
      const { at, run } = this.agenda.pop() as Scheduled;
      this.now = at;
      run();
    }
    if (done()) return true;
    this.now = end;
    return false;
  }

  give(id: ReplicaId, happening: Untimed<Inbound<unknown>>): void {
    const host = this.host(id);
    if (!host.up) return;
    if (host.asleep !== null) return void host.asleep.push(happening);
    const inbound = { ...happening, now: this.timeAt(host) } as Inbound<unknown>;
    const before = host.state;
    const step = this.protocol.step(before, inbound);
    this.protocol.checkStep(before, step[0], inbound);
    if (inbound.kind === 'tick') this.protocol.checkState(step[0]);
    this.take(host, step);
  }

  /** Proposes commands of so many bytes at one replica. */
  propose(id: ReplicaId, count: number, bytes: number): void {
    const proposals = Array.from({ length: count }, () => {
      const request = ++this.request;
      const entryId = { session: 1, sequence: request, firstIncomplete: 1 };
      return { request, kind: 'command' as const, id: entryId, data: new Uint8Array(bytes), retry: false };
    });
    this.give(id, { kind: 'propose', proposals, deadline: Infinity });
  }

  /** Asks a replica for a transfer. Gives the number of the request. */
  transfer(id: ReplicaId, to: ReplicaId | null = null, time: Milliseconds = Infinity): number {
    const request = ++this.request;
    this.give(id, { kind: 'transfer', request, to, deadline: this.now + time });
    return request;
  }

  /** Asks a replica for a read. Gives the number of the request. */
  read(id: ReplicaId, byLease: boolean): number {
    const request = ++this.request;
    this.give(id, { kind: 'read', request, deadline: Infinity, byLease });
    return request;
  }

  /** Asks a replica for a quorum read. Gives the number of the request. */
  quorumRead(id: ReplicaId, time: Milliseconds = Infinity): number {
    const request = ++this.request;
    this.give(id, { kind: 'read', request, deadline: this.now + time, byQuorum: true });
    return request;
  }

  private timeAt({ clock, asleep }: SlowHost): Milliseconds {
    return asleep === null ? clock.base + (this.now - clock.since) * clock.rate : clock.base;
  }

  /** From now on the clock of a replica runs so much faster than true time. */
  setRate(id: ReplicaId, rate: number): void {
    const host = this.host(id);
    host.clock = { base: this.timeAt(host), since: this.now, rate };
    host.tickAt = -Infinity; // what was scheduled is for another rate
    this.take(host, [host.state, []]);
  }

  /** The machine of a replica sleeps: nothing happens there, and its clock stands still. */
  sleep(id: ReplicaId): void {
    const host = this.host(id);
    host.clock = { ...host.clock, base: this.timeAt(host), since: this.now };
    host.asleep = [];
  }

  /** It wakes, and its host notices that it slept. */
  wake(id: ReplicaId): void {
    const host = this.host(id);
    const missed = host.asleep ?? [];
    host.clock = { ...host.clock, since: this.now };
    host.asleep = null;
    this.give(id, { kind: 'resumed' });
    for (const each of missed) this.give(id, each);
  }

  /** The disk of a replica works again. */
  unhang(id: ReplicaId): void {
    const host = this.host(id);
    host.hung = false;
    this.sync(host);
  }

  /** Bytes that a replica has given to its disk and that are not durable. */
  unsyncedBytes(id: ReplicaId): number {
    let bytes = 0;
    for (const { ops } of this.host(id).waiting) {
      for (const op of ops) if (op.kind === 'put') for (const { data } of op.entries) bytes += data.length;
    }
    return bytes;
  }

  kill(id: ReplicaId): void {
    this.host(id).up = false;
  }

  /** Cuts, or heals, all links of one replica. */
  cut(id: ReplicaId): void {
    for (const { id: other } of this.hosts) this.cuts.add(`${id}>${other}`).add(`${other}>${id}`);
  }

  heal(): void {
    this.cuts.clear();
  }

  private take(host: SlowHost, [state, outbound]: readonly [unknown, readonly Outbound<unknown>[]]): void {
    host.state = state;
    for (const each of outbound) this.fulfil(host, each);
    const at = this.protocol.deadline(host.state);
    if (at === host.tickAt) return;
    host.tickAt = at;
    if (at === Infinity) return;
    this.schedule(Math.max(0, (at - this.timeAt(host)) / host.clock.rate), () => {
      if (host.tickAt !== at) return;
      host.tickAt = Infinity;
      this.give(host.id, { kind: 'tick' });
    });
  }

  private fulfil(host: SlowHost, outbound: Outbound<unknown>): void {
    switch (outbound.kind) {
      case 'send':
        if (outbound.after > host.durable) host.held.push(outbound);
        else this.transmit(host, outbound);
        return;
      case 'persist':
        host.waiting.push(outbound);
        return this.sync(host);
      case 'commit': {
        host.delivered += outbound.entries.length;
        this.delivers(host.id, outbound.entries);
        const { index } = outbound.entries[outbound.entries.length - 1] as Entry;
        return this.schedule(0, () => this.give(host.id, { kind: 'applied', index }));
      }
      case 'readReady':
        host.reads.set(outbound.request, outbound.index);
        return;
      case 'load':
        return this.answer(host, outbound);
      case 'event':
        this.says(host.id, outbound.event);
        if (outbound.event.kind === 'fault') throw new Error(`${host.id} halted: ${outbound.event.reason}`);
        if (outbound.event.kind !== 'role') return;
        host.events.push({ at: this.now, role: outbound.event.role, term: outbound.event.term });
        return;
      case 'resolve':
        for (const request of outbound.requests) host.ends.set(request, outbound.outcome);
        return;
      default:
    }
  }

  private answer(host: SlowHost, { id, from, to, maxBytes }: Load): void {
    host.loads++;
    const entries: Entry[] = [];
    for (let index = from, bytes = 0; index <= to; index++) {
      const entry = host.entries.get(index);
      bytes += entry?.data.length ?? 0;
      if (entry === undefined || (bytes > maxBytes && entries.length > 0)) break;
      entries.push(entry);
    }
    this.schedule(this.options.load, () => this.give(host.id, { kind: 'loaded', id, entries }));
  }

  /** One sync at a time, for all that waits when it begins. */
  private sync(host: SlowHost): void {
    if (host.hung || host.syncing || host.waiting.length === 0) return;
    host.syncing = true;
    const batch = host.waiting.splice(0);
    this.schedule(this.options.write + this.laterWrites(host.id), () => {
      for (const { ops, persistSeq } of batch) {
        for (const op of ops)
          if (op.kind === 'put') for (const entry of op.entries) host.entries.set(entry.index, entry);
        host.durable = persistSeq;
      }
      host.syncing = false;
      if (!host.up) return;
      const free = host.held.filter(({ after }) => after <= host.durable);
      host.held = host.held.filter(({ after }) => after > host.durable);
      for (const send of free) this.transmit(host, send);
      this.give(host.id, { kind: 'persisted', persistSeq: host.durable });
      this.sync(host);
    });
  }

  private transmit(host: SlowHost, { to, message, lane }: Send<unknown>): void {
    const kind = (message as { readonly kind: string }).kind;
    const bytes = this.protocol.codec.sizeOf(message);
    const known = this.sent.get(kind) ?? { count: 0, bytes: 0 };
    this.sent.set(kind, { count: known.count + 1, bytes: known.bytes + bytes });
    const { roundTrip, bytesPerMs } = this.options;
    const link = `${host.id}>${to}`;
    if (this.cuts.has(link) || this.loses(host.id, to, message as { readonly kind: string })) return;
    // Each lane has a connection of its own; what is small passes what is large.
    const way = `${link} ${lane} ${bytes > 4096 ? 'large' : 'small'}`;
    const begun = Math.max(this.now, this.busy.get(way) ?? 0);
    const carried = begun + bytes / bytesPerMs;
    this.busy.set(way, carried);
    const delay = Math.ceil(carried - this.now + roundTrip / 2) + this.delays(host.id, to);
    const from = host.id;
    this.schedule(delay, () => {
      if (!this.cuts.has(link)) this.give(to, { kind: 'receive', from, message });
    });
  }
}
