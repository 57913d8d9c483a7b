/**
 * One run from a seed: a while of faults with clients that propose, read, try again and give up, then a healed world
 * in which everything must come to an end within a bound.
 *
 * What is assumed of the healed world: no faults; round trip + write + load < electionMin / 2; and a Multi-Paxos window
 * whose votes fit into a few pages of a promise, for a candidate begins anew when it has not got all of them within one
 * election timeout, and keeps nothing of what it got. The bound adds up what is left of the faults (messages under way,
 * patience of callers), a number of elections that may fail by a split, and two exchanges for each entry of the log,
 * since the limits may be so small that each travels by itself.
 */

import { Cluster } from './cluster.js';
import { compactionOf } from './compaction.js';
import type { Core } from './core.js';
import { OracleDice } from './dice.js';
import type { OracleHost as Host } from './host.js';
import { nameOf, Violation, type Judge } from './judge.js';
import { paceOf, type Pace } from './pace.js';
import {
  CALM,
  LONGEST_LAG,
  paced,
  pacedSettingsOf,
  settingsOf,
  stormOf,
  type Storm,
  type StormKind,
  type Settings,
} from './storms.js';

/** How long a caller waits at most, and how long the faults last. */
const PATIENCE = 2500;
const STORM = 6000;
/** Of a run with time and weight: of the timing assumption, and the bytes of commands during the faults. */
const SHARES = [1, 0.25];
const MOST_BYTES = 6 << 20;
/** Elections in a row that may come to nothing in the healed world. */
const ELECTIONS = 20;

type EntryId = { readonly session: number; readonly sequence: number; readonly firstIncomplete: number };

class Run {
  private readonly dice: OracleDice;
  readonly cluster: Cluster;
  private readonly ids: EntryId[] = [];
  private readonly rates: Storm;
  private readonly settings: Settings;
  /** With time and weight; `null` without. */
  private readonly pace: Pace | null;
  /** By sequence; and their bytes. */
  private readonly commands = new Map<number, Uint8Array>();
  private bytes = 0;

  constructor(core: Core, seed: number, kind: StormKind, timed: boolean) {
    const dice = new OracleDice(seed);
    this.dice = dice;
    const size = dice.pick([1, 2, 3, 3, 3, 3, 3, 3, 4, 5]);
    const storm = stormOf(kind, dice);
    this.pace = timed ? paceOf(dice, dice.pick(SHARES)) : null;
    this.rates = this.pace === null ? storm : paced(storm, this.pace);
    this.settings = timed ? pacedSettingsOf(dice, size) : settingsOf(dice, size);
    this.cluster = new Cluster(core, this.settings, dice.next(), this.rates, compactionOf(seed));
  }

  go(): void {
    this.storm();
    this.cluster.runUntil(STORM);
    this.heal();
    this.settle();
    this.cluster.judge.settled();
  }

  private storm(): void {
    const { cluster, dice } = this;
    this.disturb();
    this.ask();
    cluster.schedule(dice.between(5, 60), () => {
      if (cluster.now < STORM) this.storm();
    });
  }

  private disturb(): void {
    const { cluster, dice, rates } = this;
    const [host, peer] = [dice.pick(cluster.hosts), dice.pick(cluster.hosts)];
    if (dice.chance(rates.cut)) {
      if (dice.chance(0.3)) for (const { id } of cluster.hosts) this.cut(host.id, id, true);
      else this.cut(host.id, peer.id, dice.chance(0.5));
    }
    if (dice.chance(rates.mend)) cluster.cuts.clear();
    if (dice.chance(rates.fall)) cluster.crash(host);
    if (dice.chance(rates.contest)) this.contest();
    if (dice.chance(rates.coup)) this.coup();
    if (dice.chance(0.01) && host !== peer) cluster.give(host, { kind: 'unreachable', peer: peer.id });
    if (dice.chance(0.002)) this.stop(host);
  }

  /**
   * Two that do not hear each other, one of them a leader if there is one, contend for the lead under load; a third,
   * which hears both, may crash before what it tells them is on its disk, and is soon back.
   */
  private contest(): void {
    const { cluster, dice } = this;
    const [first, second, third] = this.shuffled();
    cluster.cuts.clear();
    if (first === undefined || second === undefined || third === undefined) return;
    this.cut(first.id, second.id, true);
    for (const rival of dice.chance(0.5) ? [second] : [first, second]) {
      cluster.schedule(dice.between(0, 40), () => cluster.give(rival, { kind: 'campaign' }));
    }
    if (dice.chance(this.rates.forget)) third.doomed = dice.pick(['promise', 'entries']);
    for (let delay = 0; delay < 300; delay += 20) cluster.schedule(delay, () => this.ask());
  }

  /** In any order, but leaders first. */
  private shuffled(): Host[] {
    const hosts = this.cluster.hosts.map((host) => ({ host, at: this.dice.next() - (host.leads ? 2 ** 32 : 0) }));
    return hosts.sort((a, b) => a.at - b.at).map(({ host }) => host);
  }

  /** One is cut off, all others can talk, and one of these tries to lead. */
  private coup(): void {
    const { cluster, dice } = this;
    const [ousted, rival] = [dice.pick(cluster.hosts), dice.pick(cluster.hosts)];
    cluster.cuts.clear();
    if (rival === ousted) return;
    for (const { id } of cluster.hosts) this.cut(ousted.id, id, true);
    cluster.give(rival, { kind: 'campaign' });
  }

  private cut(from: string, to: string, bothWays: boolean): void {
    this.cluster.cuts.add(`${from}>${to}`);
    if (bothWays) this.cluster.cuts.add(`${to}>${from}`);
  }

  /** A clean end answers everybody at once. */
  private stop(host: Host): void {
    this.cluster.stop(host);
    const { size } = this.cluster.judge.openAt(host.id);
    if (size > 0) throw new Violation(`${host.id} has stopped with ${size} requests open`);
    this.cluster.crash(host);
  }

  private ask(): void {
    const { cluster, dice } = this;
    const leaders = cluster.hosts.filter(({ leads }) => leads);
    const host = dice.pick(leaders.length > 0 && dice.chance(0.7) ? leaders : cluster.hosts);
    const patience = dice.between(1, PATIENCE);
    const isRetry = dice.chance(0.2) && this.ids.length > 0;
    const fresh = (): EntryId[] => Array.from({ length: this.callers() }, () => this.freshId());
    if (dice.chance(0.3)) cluster.read(host, patience);
    else this.propose(host, isRetry ? [dice.pick(this.ids.slice(-10))] : fresh(), isRetry, patience);
    const [request] = cluster.judge.openAt(host.id).keys();
    if (request !== undefined && dice.chance(0.05)) cluster.give(host, { kind: 'cancel', requests: [request] });
  }

  /** How many propose at once. */
  private callers(): number {
    const { dice, pace } = this;
    return pace !== null && dice.chance(0.05) ? dice.between(1, pace.burst) : dice.pick([1, 1, 3]);
  }

  /** Most are small, also where commands may be large. */
  private sizeOf({ sequence }: EntryId): number {
    const { pace } = this;
    if (pace === null || this.bytes > MOST_BYTES) return (sequence * 7) % 90;
    const size = Math.floor(pace.largest ** (((sequence * 0.618) % 1) ** 2));
    this.bytes += size;
    return size;
  }

  private freshId(): EntryId {
    const id = { session: 1, sequence: this.ids.length + 1, firstIncomplete: 1 };
    this.ids.push(id);
    return id;
  }

  private propose(host: Host, ids: readonly EntryId[], retry: boolean, patience: number): void {
    const proposals = ids.map((id) => {
      const data = this.data(id);
      return { kind: 'command' as const, id, data, retry };
    });
    this.cluster.propose(host, proposals, patience);
  }

  /** The same again for a retry. */
  private data(id: EntryId): Uint8Array {
    const known = this.commands.get(id.sequence) ?? Buffer.from(`${nameOf(id)}${'.'.repeat(this.sizeOf(id))}`);
    this.commands.set(id.sequence, known);
    return known;
  }

  private heal(): void {
    const { cluster } = this;
    cluster.weather = { ...CALM, ...this.pace?.weather, inOrder: this.pace !== null };
    if (cluster.compactor !== null) cluster.compactor.keeps = true;
    cluster.cuts.clear();
    for (const host of cluster.hosts) {
      host.doomed = null;
      if (host.state === null) cluster.start(host);
    }
  }

  /** A client at each replica tries until its proposal is committed and its read served; then all are handed one log. */
  private settle(): void {
    const { cluster } = this;
    const { judge, hosts, weather } = cluster;
    const { timing } = this.settings;
    const wishes = hosts.map((host) => ({ host, id: this.freshId(), asked: false, read: judge.readsAt(host.id) }));
    for (const { id } of wishes) this.data(id); // they weigh, too
    const exchange = 2 * weather.lag + weather.disk + weather.load;
    const sending = (4 * hosts.length * this.bytes) / weather.bandwidth + cluster.highestIndex * (weather.cost ?? 0);
    const elections = ELECTIONS * timing.electionMax;
    const entries = cluster.highestIndex + 50;
    const bound = LONGEST_LAG + PATIENCE + elections + entries * 2 * exchange + sending;
    // A large command takes longer than callers wait in a storm. A try that ends before its commit is heard of leaves a
    // copy in the log, the next one is appended behind it and comes as late: no such client is ever answered.
    const patience = PATIENCE + Math.ceil(sending);
    const isServed = ({ host, id, read }: (typeof wishes)[number]): boolean =>
      judge.hasCommitted(nameOf(id)) && judge.readsAt(host.id) > read;
    const insist = (): void => {
      for (const wish of wishes) {
        if (judge.openAt(wish.host.id).size > 0) continue;
        if (judge.readsAt(wish.host.id) === wish.read) cluster.read(wish.host, patience);
        if (!judge.hasCommitted(nameOf(wish.id))) this.propose(wish.host, [wish.id], wish.asked, patience);
        wish.asked = true;
      }
      cluster.schedule(timing.heartbeat, insist);
    };
    insist();
    const missing = (): string | null => {
      if (!hosts.some(({ leads }) => leads)) return 'nobody leads';
      const waiting = wishes.find((wish) => !isServed(wish));
      if (waiting !== undefined) return `a new proposal or read at ${waiting.host.id} comes to nothing`;
      const asked = hosts.find(({ id }) => judge.openAt(id).size > 0);
      if (asked !== undefined) return `a request at ${asked.id} does not end`;
      const behind = hosts.find(({ id }) => judge.handedTo(id) < judge.length);
      return behind === undefined ? null : `${behind.id} is handed ${judge.handedTo(behind.id)} of ${judge.length}`;
    };
    cluster.runUntil(cluster.now + bound, () => missing() === null);
    const left = missing();
    if (left !== null) throw new Violation(`${bound} ms after the faults ended, ${left}`);
  }
}

export interface Found {
  /** What is wrong: found by the judge, or by a core that met a proof that safety is broken and threw it. */
  readonly violation: string | null;
  /** What was done with snapshots. */
  readonly snapshots: Judge['snapshots'];
}

/**
 * The run of that seed.
 * @param timed whether time and weight are drawn too (`pace.ts`)
 */
export function runOf(core: Core, seed: number, storm: StormKind, timed = false): Found {
  const run = new Run(core, seed, storm, timed);
  const { snapshots } = run.cluster.judge;
  try {
    run.go();
    return { violation: null, snapshots };
  } catch (error) {
    const { name, message } = error as Error;
    if (error instanceof Violation || name === 'InvariantViolation') return { violation: message, snapshots };
    throw error;
  }
}

/** What is wrong in that run, `null` if nothing. */
export function findViolation(core: Core, seed: number, storm: StormKind, timed = false): string | null {
  return runOf(core, seed, storm, timed).violation;
}
