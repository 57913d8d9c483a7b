/**
 * A simulated cluster over any protocol: hosts, messages in flight as bytes, and whatever can happen to them, one
 * action at a time. Deterministic. The observer checks after every step. Not yet the rig that users get: it has no
 * driver, no request table, no lost disks.
 */

import type * as core from '../../src/core/protocol.js';
import type { Configuration } from '../../src/core/members.js';
import { checkedStep, decode, demand, encode, newCounters, Observer } from './checks.js';
import { Host, type AnyProtocol } from './host.js';
import { clusterOf, proposal, smallLimits, timing } from './values.js';

export interface ClusterOptions {
  readonly protocol: AnyProtocol;
  readonly size: number;
  readonly seed?: number;
  readonly limits?: core.Limits;
  readonly alpha?: number;
  /** Every persist is waited for before the next outbound message is handled. */
  readonly naive?: boolean;
}

interface Flight {
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array;
}

/** Beyond it the oldest message is lost. */
const MOST_IN_FLIGHT = 300;

export class Cluster {
  readonly hosts: readonly Host[];
  readonly observer: Observer;
  readonly counters = newCounters();
  readonly protocol: AnyProtocol;
  readonly limits: core.Limits;
  flights: Flight[] = [];
  /** Links that lose everything, as `from * 8 + to`. */
  readonly cut = new Set<number>();
  time = 0;
  readonly #options: ClusterOptions;
  readonly #configuration: Configuration;
  #requests = 0;
  #counter = 0;
  /** Proposals made, to be retried. */
  readonly #made: core.Proposal[] = [];

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.protocol = options.protocol;
    this.limits = options.limits ?? smallLimits;
    this.#configuration = clusterOf(options.size, { alpha: options.alpha ?? 64 });
    this.hosts = this.#configuration.members.map(({ id }) => new Host(id, options.protocol));
    this.observer = new Observer(options.protocol, this.hosts, this.counters);
    for (const host of this.hosts) this.restart(host);
  }

  now(host: Host): core.Milliseconds {
    return this.time + host.offset;
  }

  restart(host: Host): void {
    if (host.up) return;
    host.boot++;
    const seed = Math.imul((this.#options.seed ?? 1) + host.boot, 0x9e3779b1) ^ this.hosts.indexOf(host);
    const { protocol, limits } = this;
    const options = { id: host.id, boot: host.boot, configuration: this.#configuration, seed, timing, limits };
    const given = { ...options, now: this.now(host) };
    const recovered = host.disk.recover(limits);
    const [state, outbound] = protocol.init(given, recovered);
    host.state = state;
    const status = protocol.status(state);
    demand(status.term >= (recovered.hard?.term ?? 0), 'raft/term-never-falls: no durable term is forgotten');
    this.#finish(host, { ...status, delivered: 0, applied: 0, role: 'follower' }, outbound);
  }

  crash(host: Host, survivors: number): void {
    if (!host.up) return;
    this.counters.crashes++;
    if (host.crash(survivors) > 0) this.counters.lostUnsynced++;
    this.observer.checkAllDurable();
  }

  step(host: Host, message: core.Inbound<unknown>): void {
    if (!host.up) return;
    this.counters.steps++;
    const before = host.state;
    const [state, outbound] = checkedStep(this.protocol, before, message);
    if (host.silent) return demand(state === before && outbound.length === 0, 'a stopped replica is silent');
    if (message.kind === 'stop' || message.kind === 'storageFailed') host.silent = true;
    host.state = state;
    this.#finish(host, this.protocol.status(before), outbound);
    if (!host.up || !host.silent) return;
    demand(host.asked.size === 0, 'law/one-end-per-request: everything ends when a replica stops');
    demand(this.protocol.deadline(host.state) === Infinity, 'a stopped replica has no timer');
    demand((this.protocol.status(host.state).fault === null) === (message.kind === 'stop'), 'a fault shows');
  }

  #finish(host: Host, before: core.Status, outbound: readonly core.Outbound<unknown>[]): void {
    const events: core.CoreEvent[] = [];
    const endings: core.Resolve[] = [];
    for (const each of outbound) {
      if (host.fuse-- <= 0) return this.crash(host, host.boot % (host.unsynced.length + 1));
      if (each.kind === 'event') events.push(each.event);
      else if (each.kind === 'resolve') endings.push(each);
      else this.#handle(host, each);
    }
    for (const ending of endings) this.observer.resolved(host, ending);
    this.observer.checkStatus(host, before, this.protocol.status(host.state), events);
    if (!host.silent) this.observer.checkWaiting(host);
    if (this.#options.naive === true) this.report(host);
  }

  #handle(host: Host, each: Exclude<core.Outbound<unknown>, core.EventRaised | core.Resolve>): void {
    if (each.kind === 'send') {
      demand(each.to !== host.id, 'nobody sends to itself');
      if (each.after <= host.durable) return this.#send(host, each);
      this.counters.heldSends++;
      host.held.push(each);
    } else if (each.kind === 'persist') {
      const newest = host.unsynced[host.unsynced.length - 1]?.seq ?? host.durable;
      demand(each.persistSeq > newest, 'persists are numbered upwards', () => [newest, each.persistSeq]);
      demand(each.ops.length > 0, 'a persist holds something');
      host.unsynced.push({ seq: each.persistSeq, writes: host.disk.encode(each.ops) });
      if (this.#options.naive === true) host.sync(1);
    } else if (each.kind === 'commit') this.observer.handedOver(host, each.entries);
    else if (each.kind === 'readReady') this.observer.readReady(host, each);
    else if (each.kind === 'load') {
      this.counters.loads++;
      if (host.role === 'leader') this.counters.catchUps++;
      // The storage may read at once or later: half of the answers are as old as the question.
      const early = each.id % 2 === 0 ? host.disk.read(each.from, each.to, each.maxBytes) : null;
      host.loads.push({ load: each, early });
    }
  }

  #send(host: Host, { to, message }: core.Send<unknown>): void {
    const from = this.hosts.indexOf(host);
    const target = this.hosts.findIndex((each) => each.id === to);
    demand(target >= 0, 'messages go to members');
    if (this.cut.has(from * 8 + target)) return;
    this.flights.push({ from, to: target, bytes: encode(this.protocol, message) });
    if (this.flights.length > MOST_IN_FLIGHT) this.flights.shift();
  }

  /** The message at `at` arrives; it stays in flight too if it is `kept`. */
  deliver(at: number, kept = false): void {
    const flight = this.flights[at] as Flight;
    const host = this.hosts[flight.to] as Host;
    if (host.paused) return;
    if (kept) this.counters.duplicates++;
    else this.flights.splice(at, 1);
    if (!host.up || this.cut.has(flight.from * 8 + flight.to)) return;
    const { id: from } = this.hosts[flight.from] as Host;
    this.step(host, { kind: 'receive', now: this.now(host), from, message: decode(this.protocol, flight.bytes) });
  }

  /** Makes the next `count` persists durable, and lets go what waited for them. */
  sync(host: Host, count: number): void {
    const { durable, conflicts } = { durable: host.durable, conflicts: host.disk.conflicts };
    host.sync(count);
    this.counters.conflicts += host.disk.conflicts - conflicts;
    if (host.durable === durable) return;
    const free = host.held.filter((send) => send.after <= host.durable);
    host.held = host.held.filter((send) => send.after > host.durable);
    for (const send of free) this.#send(host, send);
  }

  /** The host tells the core what is durable, sooner or later. */
  report(host: Host): void {
    if (!host.up || host.reported >= host.durable) return;
    host.reported = host.durable;
    this.step(host, { kind: 'persisted', now: this.now(host), persistSeq: host.durable });
  }

  apply(host: Host, upTo: core.Index): void {
    const index = Math.min(upTo, host.handed);
    if (!host.up || host.silent || index <= host.applied) return;
    host.applied = index;
    this.step(host, { kind: 'applied', now: this.now(host), index });
  }

  answerLoad(host: Host, at: number): void {
    const [asked] = host.loads.splice(at, 1);
    if (asked === undefined) return;
    const { id, from, to, maxBytes } = asked.load;
    const entries = asked.early ?? host.disk.read(from, to, maxBytes);
    this.step(host, { kind: 'loaded', now: this.now(host), id, entries });
  }

  tick(host: Host): void {
    this.step(host, { kind: 'tick', now: this.now(host) });
  }

  /** Time passes until the next host that is not paused must tick, and it does. */
  nextTick(): void {
    let next: Host | null = null;
    let wait = Infinity;
    for (const host of this.hosts) {
      if (!host.up || host.paused) continue;
      const left = this.protocol.deadline(host.state) - this.now(host);
      if (left < wait) [next, wait] = [host, left];
    }
    if (next === null) return;
    this.time += Math.max(0, wait);
    this.tick(next);
  }

  /** Asks a host to replicate `count` new commands, or some old one again. Gives the request numbers. */
  propose(host: Host, count: number, patience: number, retryOf?: number): readonly core.RequestNumber[] {
    if (!host.up || host.silent) return [];
    const deadline = this.now(host) + patience;
    const session = this.hosts.indexOf(host) + 1;
    const proposals: core.Proposal[] = [];
    const old = retryOf === undefined ? [] : this.#made.filter((each) => each.id.session === session);
    const again = old[(retryOf ?? 0) % Math.max(1, old.length)];
    for (let left = again === undefined ? count : 1; left > 0; left--) {
      const request = ++this.#requests;
      if (again === undefined) {
        this.#counter++;
        proposals.push(proposal(request, this.#counter, this.#counter % 9 === 0 ? 260 : this.#counter % 30, session));
        this.#made.push(proposals[proposals.length - 1] as core.Proposal);
      } else proposals.push({ ...again, request, retry: true });
      this.observer.asked(host, request, (proposals[proposals.length - 1] as core.Proposal).id, deadline);
    }
    this.step(host, { kind: 'propose', now: this.now(host), proposals, deadline });
    return proposals.map((each) => each.request);
  }

  read(host: Host, patience: number): core.RequestNumber {
    const request = -++this.#requests;
    if (!host.up || host.silent) return request;
    const deadline = this.now(host) + patience;
    this.observer.asked(host, request, null, deadline);
    this.step(host, { kind: 'read', now: this.now(host), request, deadline });
    return request;
  }

  cancel(host: Host, requests: readonly core.RequestNumber[]): void {
    if (!host.up || host.silent) return;
    this.step(host, { kind: 'cancel', now: this.now(host), requests });
    for (const request of requests)
      demand(!host.asked.has(request), 'law/one-end-per-request: what is cancelled ends at once');
  }

  /** Everything under way arrives and is done, in order, once. Whether there was anything. */
  pump(): boolean {
    let busy = false;
    for (const host of this.hosts) {
      if (!host.up || host.paused) continue;
      const { held, unsynced, loads } = host;
      busy ||= held.length + unsynced.length + loads.length > 0 || host.reported < host.durable;
      this.sync(host, unsynced.length);
      this.report(host);
      while (host.up && host.loads.length > 0) this.answerLoad(host, 0);
      busy ||= host.applied < host.handed;
      this.apply(host, host.handed);
    }
    for (let left = this.flights.length, at = 0; left > 0; left--) {
      const stays = this.flights.length;
      this.deliver(at);
      if (this.hosts[this.flights[at]?.to ?? 0]?.paused === true && this.flights.length === stays) at++;
      else busy = true;
    }
    return busy;
  }

  /** A calm network for at most `budget` milliseconds, until something holds. Whether it came to hold. */
  calm(budget: core.Milliseconds, until: () => boolean): boolean {
    const end = this.time + budget;
    for (;;) {
      if (until()) return true;
      if (this.time > end) return false;
      if (this.pump()) this.time += 1;
      else this.time = Math.max(this.time + 1, Math.min(end + 1, this.#earliest()));
      for (const host of this.hosts) {
        if (host.up && !host.paused && this.now(host) >= this.protocol.deadline(host.state)) this.tick(host);
      }
    }
  }

  #earliest(): core.Milliseconds {
    let earliest = Infinity;
    for (const host of this.hosts) {
      if (!host.up || host.paused) continue;
      earliest = Math.min(earliest, this.protocol.deadline(host.state) - host.offset);
    }
    return earliest;
  }

  status(host: Host): core.Status {
    return this.protocol.status(host.state);
  }

  /** Who leads, as all agree; `null` when they do not. */
  leader(): Host | null {
    const leading = this.hosts.filter((host) => host.up && !host.silent && this.status(host).role === 'leader');
    const [leader] = leading;
    if (leader === undefined || leading.length > 1) return null;
    const agreed = this.hosts.every((host) => {
      const { leader: named, term } = this.status(host);
      return named === leader.id && term === this.status(leader).term;
    });
    return agreed ? leader : null;
  }
}
