/**
 * The simulated cluster: virtual time, a network that loses, repeats, delays and reorders, disks that are slow, and
 * hosts that do what the contract asks of a host, and may crash at every persist. It decides nothing about right and
 * wrong: whatever a core hands over or answers goes to the judge.
 */

import type { Core, CoreOptions, Happening, Outbound, Persist, Proposal, Send } from './core.js';
import { Compactor, type Compaction } from './compaction.js';
import { OracleDice } from './dice.js';
import { OracleDisk } from './disk.js';
import type { OracleHost } from './host.js';
import { Judge, Violation } from './judge.js';
import { OracleAgenda } from './agenda.js';
import { OracleLoop, SLICE } from './loop.js';
import { OracleMachine } from './machine.js';
import type { Weather } from './weather.js';
import { OracleWire } from './wire.js';

/** Bytes around a message on the wire. */
const FRAMING = 16;

/** What a host has while it is down. */
function down() {
  return {
    state: null,
    startedAt: Infinity,
    held: [],
    syncing: false,
    reported: 0,
    tickAt: Infinity,
    restoring: false,
    jobs: [],
    done: 0,
    taking: false,
    pull: null,
    leads: false,
    doomed: null,
  };
}

export class Cluster {
  private readonly agenda = new OracleAgenda();
  readonly judge = new Judge();
  readonly hosts: readonly OracleHost[];
  /** Directed links that carry nothing, as `from>to`. */
  readonly cuts = new Set<string>();
  weather: Weather;
  /** Bytes of the messages that left, on links with a bandwidth. */
  sentBytes = 0;
  /** The highest term, or ballot, that any replica was told to write down. */
  highestTerm = 0;
  /** The highest index of an entry that any replica wrote. */
  highestIndex = 0;
  private readonly core: Core;
  private readonly settings: Pick<CoreOptions, 'configuration' | 'timing' | 'limits' | 'preVote'>;
  private readonly dice: OracleDice;
  /** `null`: no snapshot is taken. */
  readonly compactor: Compactor | null;

  constructor(
    core: Core,
    settings: Pick<CoreOptions, 'configuration' | 'timing' | 'limits' | 'preVote'>,
    seed: number,
    weather: Weather,
    compaction: Compaction | null = null,
  ) {
    this.core = core;
    this.settings = settings;
    this.dice = new OracleDice(seed);
    this.weather = weather;
    this.compactor = compaction === null ? null : new Compactor(this, compaction, this.dice);
    this.hosts = settings.configuration.members.map(({ id }) => {
      const wires = settings.configuration.members.map(() => new OracleWire(this.agenda));
      const around = { disk: new OracleDisk(), loop: new OracleLoop(this.agenda), wires };
      const first = { boot: 0, zero: 0, machine: new OracleMachine(null), base: 0, begun: 0, requests: 0 };
      return { id, ...around, ...first, ...down() };
    });
    for (const host of this.hosts) this.start(host);
  }

  get now(): number {
    return this.agenda.now;
  }

  schedule(delay: number, run: () => void): void {
    this.agenda.schedule(delay, run);
  }

  /** Lets everything happen that is due before `until`, or until `done`. */
  runUntil(until: number, done: () => boolean = () => false): void {
    this.agenda.runUntil(until, done);
  }

  /** Schedules something that concerns one start of a host, and is void after it. */
  later(host: OracleHost, delay: number, run: () => void): void {
    const { boot } = host;
    this.schedule(delay, () => {
      if (host.boot === boot && host.state !== null) run();
    });
  }

  start(host: OracleHost): void {
    host.boot++;
    host.startedAt = this.now;
    host.zero = this.now - this.dice.between(0, 1_000_000);
    const { core, settings, judge } = this;
    const recovered = host.disk.recover(core, settings.limits);
    const options = {
      id: host.id,
      boot: host.boot,
      seed: this.dice.next() | 0,
      now: this.now - host.zero,
      ...settings,
    };
    const { named } = host.disk;
    judge.started(host.id, named);
    host.machine = new OracleMachine(named);
    host.base = recovered.base.index;
    host.begun = named?.name.index ?? 0;
    this.take(host, core.init(options, recovered));
  }

  /** Of what is on its way to the disk, any prefix survives. @param downFor milliseconds; drawn unless given */
  crash(host: OracleHost, surviving = this.dice.between(0, host.disk.pending), downFor?: number): void {
    if (host.state === null) return;
    host.disk.crash(surviving);
    host.loop.reset();
    for (const wire of host.wires) wire.crash();
    Object.assign(host, down());
    this.compactor?.fell(host);
    this.judge.started(host.id); // whoever waited there has gone with it
    this.schedule(downFor ?? this.dice.between(1, this.weather.down), () => {
      if (host.state === null) this.start(host);
    });
  }

  /** Something happens to a replica, if it is up, as soon as its loop lets it in. */
  give(host: OracleHost, happening: Happening): void {
    if (host.state !== null) host.loop.enter(() => this.handle(host, happening));
  }

  /** A replica ends in order, and has handled what had come by then. */
  stop(host: OracleHost): void {
    host.loop.flush();
    this.handle(host, { kind: 'stop' });
  }

  private handle(host: OracleHost, happening: Happening): void {
    if (host.state === null) return;
    const inbound = { ...happening, now: this.now - host.zero } as Parameters<Core['step']>[1];
    this.take(host, this.core.step(host.state, inbound));
    if (happening.kind === 'tick') this.judge.ticked(host.id, this.now);
    if (happening.kind !== 'applied' || host.state === null || happening.index <= host.machine.applied) return;
    host.machine.applied = happening.index;
    this.compactor?.applied(host);
  }

  /** The fast host: goes through what is wanted in order, and waits for no disk. */
  private take(host: OracleHost, [state, outbound]: readonly [unknown, readonly Outbound[]]): void {
    const { boot } = host;
    host.state = state;
    for (const each of outbound) {
      this.fulfil(host, each);
      if (host.state === null || host.boot !== boot) return; // it crashed in the middle
    }
    this.armTick(host);
  }

  private fulfil(host: OracleHost, outbound: Outbound): void {
    const { judge, dice } = this;
    switch (outbound.kind) {
      case 'send':
        if (outbound.after > host.disk.durable) host.held.push(outbound);
        else this.transmit(host, outbound);
        return;
      case 'persist':
        return this.persist(host, outbound);
      case 'commit': {
        host.machine.hand(outbound.entries, judge.handedOver(host.id, outbound.entries));
        return this.apply(host, judge.handedTo(host.id), outbound.entries.length);
      }
      case 'resolve':
        return judge.resolved(host.id, outbound.requests, outbound.outcome);
      case 'readReady':
        return judge.readReady(host.id, outbound.request, outbound.index);
      case 'restore':
        return this.compactor?.restore(host, outbound.snapshot);
      case 'pull':
        return this.compactor?.pull(host, outbound.least);
      case 'load': {
        const { id } = outbound;
        judge.loads(host.id, outbound, host.base);
        const early = dice.chance(0.5) ? host.disk.read(outbound) : null; // read when asked, or when answered
        const answer = (): void => this.give(host, { kind: 'loaded', id, entries: early ?? host.disk.read(outbound) });
        return this.later(host, dice.between(this.weather.loadFrom, this.weather.load), answer);
      }
      case 'event':
        if (outbound.event.kind === 'role') host.leads = outbound.event.role === 'leader';
        else if (outbound.event.kind === 'fault') throw new Violation(`${host.id} halted: ${outbound.event.reason}`);
        return;
      case 'members':
        return;
    }
  }

  /** The machine applies `count` entries up to `last`, and tells of each slice; while it is restored that waits. */
  private apply(host: OracleHost, last: number, count: number): void {
    const { dice, weather } = this;
    if (host.restoring) return void host.jobs.push(() => this.apply(host, last, count));
    const applied = (index: number, at: number): void => this.applied(host, index, at);
    const { cost } = weather;
    if (cost === null) return applied(last, this.now + dice.between(0, 5));
    const slice = Math.max(1, Math.floor(SLICE / Math.max(cost, 0.001)));
    for (let index = last - count; index < last; ) {
      const upTo = Math.min(last, index + slice);
      applied(upTo, this.worked(host, (upTo - index) * cost));
      index = upTo;
    }
  }

  /** When a machine that is given so much work will have done it: whole milliseconds from now. */
  private worked({ loop }: OracleHost, time: number): number {
    return this.now + Math.ceil(loop.work(time) - this.now);
  }

  /** The machine will have come so far then. What it tells keeps its order. */
  private applied(host: OracleHost, index: number, at: number): void {
    host.done = Math.max(host.done, at);
    this.later(host, host.done - this.now, () => this.give(host, { kind: 'applied', index }));
  }

  /** Restores the machine, after what it does: it is read for a while, and given to the machine; what comes waits. */
  restore(host: OracleHost, index: number): void {
    const { dice, weather } = this;
    if (host.restoring) return void host.jobs.push(() => this.restore(host, index));
    host.restoring = true;
    this.later(host, Math.max(0, host.done - this.now) + dice.between(0, weather.disk), () => {
      this.applied(host, index, this.worked(host, index * (weather.cost ?? 0)));
      this.later(host, host.done - this.now, () => {
        host.restoring = false;
        const jobs = host.jobs.splice(0);
        for (const job of jobs) job();
      });
    });
  }

  private transmit(host: OracleHost, { to, message, lane }: Send): void {
    const peer = this.hosts.find(({ id }) => id === to) as OracleHost;
    const bytes = this.weather.bandwidth === Infinity ? 0 : this.core.codec.sizeOf(message) + FRAMING;
    this.sentBytes += bytes;
    this.carry(host, peer, lane, bytes, () => this.give(peer, { kind: 'receive', from: host.id, message }));
  }

  /** Something goes over the link between two hosts, and may be lost, or arrive twice. */
  carry(host: OracleHost, peer: OracleHost, lane: Send['lane'], bytes: number, arrive: () => void): void {
    const { dice, weather } = this;
    const wire = host.wires[this.hosts.indexOf(peer)] as OracleWire;
    for (let copies = dice.chance(weather.duplicate) ? 2 : 1; copies > 0; copies--) {
      if (this.cuts.has(`${host.id}>${peer.id}`) || dice.chance(weather.loss)) continue;
      const delay = dice.between(weather.lagFrom, dice.chance(weather.lagging) ? weather.longLag : weather.lag);
      const travel = (): void => wire.travel(lane, delay, weather.inOrder, arrive);
      if (weather.bandwidth === Infinity) travel();
      else wire.put(lane, bytes, weather.bandwidth, travel);
    }
  }

  private persist(host: OracleHost, persist: Persist): void {
    const { crash } = this.weather;
    for (const op of persist.ops) {
      if (op.kind === 'hard') this.highestTerm = Math.max(this.highestTerm, op.hard.term);
      if (op.kind === 'put') this.highestIndex = Math.max(this.highestIndex, ...op.entries.map(({ index }) => index));
      host.base = this.judge.wrote(host.id, op, host.base);
    }
    const falls = host.disk.write(persist) === host.doomed;
    if (this.dice.chance(crash)) return this.crash(host);
    if (falls || this.dice.chance(crash)) {
      this.later(host, this.dice.between(0, falls ? 1 : this.weather.disk), () =>
        this.crash(host, falls ? 0 : undefined),
      );
    }
    this.sync(host);
  }

  /** One sync at a time, for all that waits when it begins. */
  private sync(host: OracleHost): void {
    const { dice, weather } = this;
    const { disk } = host;
    if (host.syncing || disk.pending === 0) return;
    host.syncing = true;
    const count = disk.pending;
    this.later(host, dice.between(weather.diskFrom, weather.disk), () => {
      disk.sync(count);
      host.syncing = false;
      if (dice.chance(weather.crash)) return this.crash(host);
      const free = host.held.filter(({ after }) => after <= disk.durable);
      host.held = host.held.filter(({ after }) => after > disk.durable);
      for (const send of free) this.transmit(host, send);
      const persistSeq = disk.durable;
      host.reported = Math.max(host.reported, this.now + dice.between(0, weather.disk >> 2));
      this.later(host, host.reported - this.now, () => this.give(host, { kind: 'persisted', persistSeq }));
      this.sync(host);
    });
  }

  /** How long a host waits for a snapshot: some elections, and what it and a window before it take on a link. */
  pullPatience(): number {
    const { settings, weather, judge } = this;
    const window = settings.limits.inflightBytes + settings.configuration.constants.maxEntryBytes;
    return 2 * settings.timing.electionMax + Math.ceil((2 * judge.bytes + window) / weather.bandwidth);
  }

  private armTick(host: OracleHost): void {
    const at = this.core.deadline(host.state) + host.zero;
    if (at === host.tickAt) return;
    host.tickAt = at;
    if (at === Infinity) return;
    const late = this.dice.chance(0.1) ? this.dice.between(0, this.weather.late) : 0;
    this.later(host, Math.max(0, at - this.now) + late, () => {
      if (host.tickAt !== at) return; // another deadline took its place
      host.tickAt = Infinity;
      this.give(host, { kind: 'tick' });
    });
  }

  propose(host: OracleHost, proposals: readonly Omit<Proposal, 'request'>[], patience: number): void {
    if (host.state === null) return;
    const deadline = this.now + patience;
    host.loop.enter(() => {
      if (host.state === null) return;
      const asked = proposals.map((proposal) => ({ ...proposal, request: ++host.requests }));
      for (const each of asked) this.judge.proposed(host.id, each.request, each, deadline);
      this.handle(host, { kind: 'propose', proposals: asked, deadline: deadline - host.zero });
    });
  }

  read(host: OracleHost, patience: number): void {
    if (host.state === null) return;
    const deadline = this.now + patience;
    host.loop.enter(() => {
      if (host.state === null) return;
      const request = ++host.requests;
      this.judge.readAsked(host.id, request, deadline);
      this.handle(host, { kind: 'read', request, deadline: deadline - host.zero });
    });
  }
}
