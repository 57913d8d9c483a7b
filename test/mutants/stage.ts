/**
 * A cluster of bare cores that is played by hand: nobody acts, nothing arrives and nothing becomes durable unless the
 * script says so. Members are named by their place, from 0 on. Every step is held to all checks of test/support.
 */

import { decode } from '../support/checks.js';
import { Cluster, type ClusterOptions } from '../support/cluster.js';
import type { Host } from '../support/host.js';
import { timing, wideLimits } from '../support/values.js';

type Flight = Cluster['flights'][number];

/** One entry a message, one message under way: what arrives first is up to the script. */
export const oneByOne = { ...wideLimits, messageBytes: 1, inflightMessages: 1 };

export class Stage {
  readonly cluster: Cluster;

  constructor(options: ClusterOptions) {
    this.cluster = new Cluster({ limits: wideLimits, ...options });
  }

  host(at: number): Host {
    return this.cluster.hosts[at] as Host;
  }

  /** What is under way from one member to another, of these kinds or of any. */
  private under(from: number, to: number, kinds: readonly string[]): readonly Flight[] {
    return this.cluster.flights.filter((flight) => {
      if (flight.from !== from || flight.to !== to) return false;
      const { kind } = decode(this.cluster.protocol, flight.bytes) as { readonly kind: string };
      return kinds.length === 0 || kinds.includes(kind);
    });
  }

  /** Delivers what is under way, in order; what that causes waits. Gives how much there was. */
  pass(from: number, to: number, ...kinds: readonly string[]): number {
    const flights = this.under(from, to, kinds);
    for (const flight of flights) this.cluster.deliver(this.cluster.flights.indexOf(flight));
    return flights.length;
  }

  /** Delivers the oldest message under way from one to another. */
  passFirst(from: number, to: number): void {
    const [flight] = this.under(from, to, []);
    if (flight !== undefined) this.cluster.deliver(this.cluster.flights.indexOf(flight));
  }

  /** Takes what is under way off the network, to be delivered at another time. */
  hold(from: number, to: number, ...kinds: readonly string[]): readonly Flight[] {
    const flights = this.under(from, to, kinds);
    this.cluster.flights = this.cluster.flights.filter((flight) => !flights.includes(flight));
    return flights;
  }

  /** What was held, decoded. */
  read<T>(flights: readonly Flight[]): readonly T[] {
    return flights.map((flight) => decode(this.cluster.protocol, flight.bytes) as T);
  }

  /** What was held arrives, once each. */
  release(flights: readonly Flight[]): void {
    for (const flight of flights) {
      this.cluster.flights.push(flight);
      this.cluster.deliver(this.cluster.flights.length - 1);
    }
  }

  /** Loses everything under way. */
  clear(): void {
    this.cluster.flights = [];
  }

  /** Everything written so far is durable, and the core is told. */
  sync(...places: readonly number[]): void {
    for (const at of places) {
      this.cluster.sync(this.host(at), this.host(at).unsynced.length);
      this.cluster.report(this.host(at));
    }
  }

  campaign(at: number): void {
    this.cluster.step(this.host(at), { kind: 'campaign', now: this.cluster.now(this.host(at)) });
  }

  tick(at: number): void {
    const host = this.host(at);
    const due = this.cluster.protocol.deadline(host.state);
    this.cluster.time = Math.max(this.cluster.time, due - host.offset);
    this.cluster.tick(host);
  }

  propose(at: number, count = 1): readonly number[] {
    return this.cluster.propose(this.host(at), count, Infinity);
  }

  /** Asks again for its first proposal. */
  retry(at: number): void {
    this.cluster.propose(this.host(at), 1, Infinity, 0);
  }

  ask(at: number): number {
    return this.cluster.read(this.host(at), Infinity);
  }

  /** Loses power, and what was not synced; comes back. */
  reboot(at: number, survivors = 0): void {
    this.cluster.crash(this.host(at), survivors);
    this.cluster.restart(this.host(at));
  }

  /** Only these hear each other. */
  only(...places: readonly number[]): void {
    const { cut, hosts } = this.cluster;
    cut.clear();
    hosts.forEach((_, from) => {
      hosts.forEach((__, to) => {
        if (from !== to && !(places.includes(from) && places.includes(to))) cut.add(from * 8 + to);
      });
    });
  }

  heal(): void {
    this.cluster.cut.clear();
  }

  /** Everything under way arrives, and is written, in order, so many times over. */
  flow(turns = 4): void {
    for (let turn = 0; turn < turns; turn++) this.cluster.pump();
  }

  /** `at` campaigns among these until it leads and has told them; the rest of the network is silent. */
  lead(at: number, ...among: readonly number[]): void {
    this.only(at, ...among);
    for (let turn = 0; turn === 0 || (turn < 4 && this.role(at) !== 'leader'); turn++) {
      this.campaign(at);
      this.flow();
    }
    if (this.role(at) !== 'leader') throw new Error(`${at} was not elected`);
    this.flow();
  }

  role(at: number): string {
    return this.host(at).role;
  }

  /** Time passes for all, as long as everything under way arrives. */
  calm(ms = 2 * timing.electionMax, until: () => boolean = () => false): boolean {
    return this.cluster.calm(ms, until);
  }
}
