/**
 * The simulated cluster: virtual time, a network that loses, repeats, delays and reorders, disks that are slow, and
 * hosts that do what the contract asks of a host, and may crash at every persist. It decides nothing about right and
 * wrong: whatever a core hands over or answers goes to the judge.
 */

import type { Core, CoreOptions, Happening, Outbound, Persist, Proposal, Send } from './core.js';
import { OracleDice } from './dice.js';
import { OracleDisk, type WriteKind } from './disk.js';
import { Judge, Violation } from './judge.js';

/** How bad the world is at present: probabilities, and longest times in milliseconds. */
export interface Weather {
  readonly loss: number;
  readonly duplicate: number;
  /** A message takes up to `lag`, and in the `lagging` part of cases up to `longLag`. */
  readonly lag: number;
  readonly longLag: number;
  readonly lagging: number;
  readonly disk: number;
  readonly load: number;
  /** At each boundary of a persist: when it is issued, while it is under way, when it is durable and not reported. */
  readonly crash: number;
  /** A crashed replica is down for up to so long. */
  readonly down: number;
  /** How late a tick may be. */
  readonly late: number;
}

interface Scheduled {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

interface OracleHost {
  readonly id: string;
  readonly disk: OracleDisk;
  /** `null` while it is down. */
  state: unknown;
  /** Counts starts; what was scheduled for an earlier one is void. */
  boot: number;
  /** When its clock showed 0: clocks of different starts have nothing in common. */
  zero: number;
  held: Send[];
  syncing: boolean;
  /** Up to when the reports of its disk are scheduled; they keep their order. */
  reported: number;
  tickAt: number;
  leads: boolean;
  /** It crashes while its next persist of that kind is under way, and loses it. */
  doomed: WriteKind | null;
  requests: number;
}

export class Cluster {
  now = 0;
  readonly judge = new Judge();
  readonly hosts: readonly OracleHost[];
  /** Directed links that carry nothing, as `from>to`. */
  readonly cuts = new Set<string>();
  weather: Weather;
  private readonly core: Core;
  private readonly settings: Pick<CoreOptions, 'configuration' | 'timing' | 'limits'>;
  private readonly dice: OracleDice;
  private readonly agenda: Scheduled[] = [];
  private order = 0;

  constructor(
    core: Core,
    settings: Pick<CoreOptions, 'configuration' | 'timing' | 'limits'>,
    seed: number,
    weather: Weather,
  ) {
    this.core = core;
    this.settings = settings;
    this.dice = new OracleDice(seed);
    this.weather = weather;
    this.hosts = settings.configuration.members.map(({ id }) => {
      const down = { state: null, boot: 0, zero: 0, held: [], syncing: false, reported: 0, tickAt: Infinity };
      return { id, disk: new OracleDisk(), ...down, leads: false, doomed: null, requests: 0 };
    });
    for (const host of this.hosts) this.start(host);
  }

  /** A binary heap by time, and of one time by the order of scheduling. */
  schedule(delay: number, run: () => void): void {
    const { agenda } = this;
    const item = { at: this.now + delay, order: this.order++, run };
    let at = agenda.length;
    for (; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!isBefore(item, agenda[parent] as Scheduled)) break;
      agenda[at] = agenda[parent] as Scheduled;
      at = parent;
    }
    agenda[at] = item;
  }

  private takeNext(): Scheduled {
    const { agenda } = this;
    const first = agenda[0] as Scheduled;
    const item = agenda.pop() as Scheduled;
    let at = 0;
    for (let child = 1; child < agenda.length; child = 2 * at + 1) {
      if (child + 1 < agenda.length && isBefore(agenda[child + 1] as Scheduled, agenda[child] as Scheduled)) child++;
      if (!isBefore(agenda[child] as Scheduled, item)) break;
      agenda[at] = agenda[child] as Scheduled;
      at = child;
    }
    if (agenda.length > 0) agenda[at] = item;
    return first;
  }

  /** Lets everything happen that is due before `until`, or until `done`. */
  runUntil(until: number, done: () => boolean = () => false): void {
    let atOnce = 0;
    while (!done() && (this.agenda[0]?.at ?? Infinity) <= until) {
      const { at, run } = this.takeNext();
      atOnce = at === this.now ? atOnce + 1 : 0;
      if (atOnce > 10_000) throw new Violation('time stands still: the replicas keep each other, or themselves, busy');
      this.now = at;
      run();
    }
  }

  /** Schedules something that concerns one start of a host, and is void after it. */
  private later(host: OracleHost, delay: number, run: () => void): void {
    const { boot } = host;
    this.schedule(delay, () => {
      if (host.boot === boot && host.state !== null) run();
    });
  }

  start(host: OracleHost): void {
    host.boot++;
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
    judge.started(host.id);
    this.take(host, core.init(options, recovered));
  }

  /** Of what is on its way to the disk, any prefix survives. */
  crash(host: OracleHost, surviving = this.dice.between(0, host.disk.pending)): void {
    if (host.state === null) return;
    host.disk.crash(surviving);
    Object.assign(host, {
      state: null,
      held: [],
      syncing: false,
      reported: 0,
      tickAt: Infinity,
      leads: false,
      doomed: null,
    });
    this.judge.started(host.id); // whoever waited there has gone with it
    this.schedule(this.dice.between(1, this.weather.down), () => {
      if (host.state === null) this.start(host);
    });
  }

  /** Something happens to a replica, if it is up. */
  give(host: OracleHost, happening: Happening): void {
    if (host.state === null) return;
    const inbound = { ...happening, now: this.now - host.zero } as Parameters<Core['step']>[1];
    this.take(host, this.core.step(host.state, inbound));
    if (happening.kind === 'tick') this.judge.ticked(host.id, this.now);
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
        judge.handedOver(host.id, outbound.entries);
        const index = judge.handedTo(host.id);
        return this.later(host, dice.between(0, 5), () => this.give(host, { kind: 'applied', index }));
      }
      case 'resolve':
        return judge.resolved(host.id, outbound.requests, outbound.outcome);
      case 'readReady':
        return judge.readReady(host.id, outbound.request, outbound.index);
      case 'load': {
        const { id } = outbound;
        const early = dice.chance(0.5) ? host.disk.read(outbound) : null; // read when asked, or when answered
        const answer = (): void => this.give(host, { kind: 'loaded', id, entries: early ?? host.disk.read(outbound) });
        return this.later(host, dice.between(1, this.weather.load), answer);
      }
      case 'event':
        if (outbound.event.kind === 'role') host.leads = outbound.event.role === 'leader';
        else throw new Violation(`${host.id} halted: ${outbound.event.reason}`);
        return;
      case 'members':
        return;
    }
  }

  private transmit(host: OracleHost, { to, message }: Send): void {
    const { dice, weather } = this;
    const peer = this.hosts.find(({ id }) => id === to) as OracleHost;
    for (let copies = dice.chance(weather.duplicate) ? 2 : 1; copies > 0; copies--) {
      if (this.cuts.has(`${host.id}>${to}`) || dice.chance(weather.loss)) continue;
      const delay = dice.between(1, dice.chance(weather.lagging) ? weather.longLag : weather.lag);
      this.schedule(delay, () => this.give(peer, { kind: 'receive', from: host.id, message }));
    }
  }

  private persist(host: OracleHost, persist: Persist): void {
    const { crash } = this.weather;
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
    this.later(host, dice.between(1, weather.disk), () => {
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
    const asked = proposals.map((proposal) => ({ ...proposal, request: ++host.requests }));
    for (const each of asked) this.judge.proposed(host.id, each.request, each, this.now + patience);
    this.give(host, { kind: 'propose', proposals: asked, deadline: this.now - host.zero + patience });
  }

  read(host: OracleHost, patience: number): void {
    if (host.state === null) return;
    const request = ++host.requests;
    this.judge.readAsked(host.id, request, this.now + patience);
    this.give(host, { kind: 'read', request, deadline: this.now - host.zero + patience });
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
