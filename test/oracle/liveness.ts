/**
 * One run without faults, but with time and weight: when the first leader stands, whether anybody campaigns after that,
 * and whether all that is asked is done, at every replica, also at one that was down and missed much, which must not
 * stand still while the others go on. Nobody is cut off, so that nobody has a reason to campaign; whoever is down is down
 * for a while, and comes back with what it had. In half of the lives snapshots are taken and logs are trimmed, so that
 * it comes back by a snapshot.
 */

import { exchangeBound } from 'quorate/testing';
import { Cluster } from './cluster.js';
import { compactionOf } from './compaction.js';
import type { Core } from './core.js';
import { OracleDice } from './dice.js';
import type { OracleHost as Host } from './host.js';
import { nameOf, Violation, type Judge } from './judge.js';
import { paceOf, PACED_TIMING as TIMING, type Pace } from './pace.js';
import { CALM, pacedSettingsOf, type Settings } from './storms.js';

/** Milliseconds: for how long callers ask, how long each waits at least, and when no leader is waited for any more. */
const ASKING = 20_000;
const PATIENCE = 30_000;
const NO_LEADER = 20 * TIMING.electionMax;
/** Of what the links carry, the share that is asked for; and the most bytes of a run. */
const LOAD = 0.2;
const MOST_BYTES = 4 << 20;
/** Bytes of an entry beside its command, as limits count it. */
const AROUND = 48;
/** @see Life.pulling */
const PULLS = 4;

export interface Liveness {
  /** Milliseconds until the first leader stood; `Infinity` if none did. */
  readonly firstLeader: number;
  /** What should not have been. */
  readonly problems: readonly string[];
  /** What was done with snapshots. */
  readonly snapshots: Judge['snapshots'];
}

interface Wish {
  readonly host: Host;
  readonly id: { readonly session: number; readonly sequence: number; readonly firstIncomplete: number };
  readonly data: Uint8Array;
  asked: boolean;
}

class Life {
  readonly problems: string[] = [];
  private readonly dice: OracleDice;
  private readonly pace: Pace;
  private readonly settings: Settings;
  private readonly cluster: Cluster;
  private readonly wishes: Wish[] = [];
  private bytes = 0;
  /** What all entries weigh in messages; each that does not fit into one counts as one. */
  private messageParts = 0;
  /** Up to where each replica was handed entries, and since when. */
  private readonly standing = new Map<string, { readonly handed: number; readonly since: number }>();

  constructor(core: Core, seed: number, share: number, compacts: boolean) {
    this.dice = new OracleDice(seed);
    this.pace = paceOf(this.dice, share);
    this.settings = pacedSettingsOf(this.dice, this.dice.pick([3, 3, 3, 5]));
    const weather = { ...CALM, ...this.pace.weather, inOrder: true };
    const compaction = compacts ? compactionOf(seed) : null;
    const keeping = compaction === null ? null : { ...compaction, keeps: true };
    this.cluster = new Cluster(core, this.settings, this.dice.next(), weather, keeping);
  }

  get snapshots(): Judge['snapshots'] {
    return this.cluster.judge.snapshots;
  }

  /** Returns when the first leader stands. */
  elect(): number {
    const { cluster } = this;
    const stands = (): boolean => cluster.hosts.some(({ leads }) => leads);
    cluster.runUntil(NO_LEADER, stands);
    if (stands()) return cluster.now;
    this.problems.push(`no leader after ${NO_LEADER} ms`);
    return Infinity;
  }

  /** After the first leader nothing is asked, and nobody campaigns. */
  rest(): number {
    const { cluster } = this;
    const firstLeader = this.elect();
    const term = cluster.highestTerm;
    cluster.runUntil(cluster.now + ASKING);
    this.demandTerm(term);
    return firstLeader;
  }

  go(): number {
    const { cluster, dice } = this;
    const firstLeader = this.elect();
    const leader = cluster.hosts.find(({ leads }) => leads);
    const term = cluster.highestTerm;
    if (leader === undefined) return firstLeader;
    const laggard = dice.pick(cluster.hosts.filter((host) => host !== leader));
    const [down, up] = [dice.pick([0, ASKING >> 2]), dice.pick([ASKING >> 1, ASKING])];
    cluster.schedule(down, () => cluster.crash(laggard, 0, up - down));
    cluster.runUntil(firstLeader + TIMING.electionMin); // everybody knows who leads
    this.watch();
    this.ask(firstLeader + ASKING);
    cluster.runUntil(firstLeader + ASKING + TIMING.electionMin);
    this.finish();
    this.demandTerm(term);
    return firstLeader;
  }

  private demandTerm(term: number): void {
    const { highestTerm } = this.cluster;
    if (highestTerm > term) this.problems.push(`term ${highestTerm} began under a leader of ${term}`);
  }

  private get rate(): number {
    return Math.min(MOST_BYTES / ASKING, LOAD * this.pace.weather.bandwidth);
  }

  private ask(end: number): void {
    const { cluster, dice, pace } = this;
    const host = dice.pick(cluster.hosts);
    if (cluster.now - host.startedAt > TIMING.electionMin) {
      if (dice.chance(0.3)) cluster.read(host, this.patience);
      const count = dice.chance(0.1) ? dice.between(1, pace.burst) : 1;
      for (let each = 0; each < count; each++) this.propose(host, end);
    }
    cluster.schedule(dice.between(10, 200), () => {
      if (cluster.now < end) this.ask(end);
    });
  }

  private propose(host: Host, end: number): void {
    const left = (ASKING - Math.max(0, end - this.cluster.now)) * this.rate - this.bytes;
    const sequence = this.wishes.length + 1;
    const id = { session: 1, sequence, firstIncomplete: 1 };
    const size = Math.min(
      this.pace.largest,
      Math.max(10, left),
      this.pace.largest ** (((sequence * 0.618) % 1) ** 0.5),
    );
    this.bytes += Math.floor(size);
    const data = Buffer.from(`${nameOf(id)}${'.'.repeat(size)}`);
    this.messageParts += Math.min(1, (data.length + AROUND) / this.settings.limits.messageBytes);
    const wish = { host, id, data, asked: false };
    this.wishes.push(wish);
    this.insist(wish);
  }

  private insist(wish: Wish): void {
    const { host, id, data } = wish;
    this.cluster.propose(host, [{ kind: 'command', id, data, retry: wish.asked }], this.patience);
    wish.asked = true;
  }

  /** All that was asked has ended; what was refused is asked for again. Everybody is handed everything. */
  private finish(): void {
    const { cluster, problems } = this;
    const { judge, hosts, weather } = cluster;
    const [first] = hosts;
    const open = (): boolean => hosts.some(({ id }) => judge.openAt(id).size > 0);
    cluster.runUntil(cluster.now + this.bound, () => !open());
    if (open()) problems.push(`requests do not end within ${this.bound} ms`);
    // Whoever asked at a replica that went down asks again elsewhere.
    const lost = this.wishes.filter(({ id }) => !judge.hasCommitted(nameOf(id)));
    const { unknown, notServed } = judge.ends;
    if (unknown > 0) problems.push(`${unknown} of ${this.wishes.length} proposals ended unknown`);
    if (notServed > 0) problems.push(`${notServed} reads were not served`);
    let left = lost;
    const again = (): void => {
      left = left.filter(({ id }) => !judge.hasCommitted(nameOf(id)));
      if (!open()) for (const wish of left) this.insist({ ...wish, host: first as Host });
      if (left.length > 0) cluster.schedule(TIMING.heartbeat, again);
    };
    again();
    cluster.runUntil(cluster.now + this.bound, () => left.length === 0);
    if (left.length > 0) problems.push(`${left.length} of ${lost.length} proposals that were made again do not commit`);
    left = [];
    const behind = (): Host | undefined => hosts.find(({ id }) => judge.handedTo(id) < judge.length);
    cluster.runUntil(cluster.now + this.bound, () => behind() === undefined);
    const last = behind();
    if (last !== undefined) {
      problems.push(
        `${last.id} is handed ${judge.handedTo(last.id)} of ${judge.length} (bandwidth ${weather.bandwidth})`,
      );
    } else judge.settled();
    cluster.runUntil(cluster.now + 5 * TIMING.electionMax);
  }

  /** Whoever is up and lacks entries is soon handed some, whatever else is under way. */
  private watch(): void {
    const { cluster, problems, standing } = this;
    const { judge } = cluster;
    for (const { id, state, startedAt } of cluster.hosts) {
      const handed = judge.handedTo(id);
      const known = standing.get(id);
      const waits = state !== null && handed < judge.length && known?.handed === handed && startedAt <= known.since;
      const since = waits ? known.since : cluster.now;
      standing.set(id, { handed, since });
      if (cluster.now - since <= this.stillness) continue;
      problems.push(`${id} stands at ${handed} of ${judge.length} for ${cluster.now - since} ms`);
      return;
    }
    cluster.schedule(TIMING.heartbeat, () => this.watch());
  }

  /**
   * How long whoever lacks entries may be handed none: it hears of them, finds out where to begin, is sent them, and
   * hears of their commit, an exchange each, before each of which a heartbeat or a sync may have to pass, which take less
   * than another one; what it takes to send two windows, each of them with one entry more than it takes; and what it
   * takes to apply what was handed over before.
   */
  private get stillness(): number {
    const { weather, judge } = this.cluster;
    const window = Math.min(this.bytes, this.settings.limits.inflightBytes + this.pace.largest);
    const sending = (2 * window) / weather.bandwidth;
    return 4 * 2 * exchangeBound(TIMING) + sending + judge.length * (weather.cost ?? 0) + this.pulling;
  }

  /**
   * How much longer whoever needs a snapshot takes than who is sent entries; 0 in a life without.
   *
   * It is told that it needs one, an exchange and before it a heartbeat, which takes less than another one; it asks the
   * others one after the other, an exchange each; then the snapshot comes, which holds no more than what is committed,
   * and is written, within another exchange. That may be in vain three times: when all refuse, as the snapshot behind
   * which the log was trimmed is not named on any disk yet; when what comes is older than what was trimmed until others
   * knew that it pulls; and when the source goes down, which one member does once. A window that was sent before is
   * ahead of it once. Then the machine is restored: it is read, within an exchange, and given to the machine behind
   * what that has; and the machine did as much again for its own snapshots.
   */
  private get pulling(): number {
    const { cluster, settings } = this;
    const { compactor, hosts, judge, weather } = cluster;
    if (compactor === null) return 0;
    const window = Math.min(this.bytes, settings.limits.inflightBytes + this.pace.largest);
    const pulls = PULLS * (2 + hosts.length) * exchangeBound(TIMING);
    const sending = (window + (PULLS - 1) * (judge.bytes + judge.length * AROUND)) / weather.bandwidth;
    return pulls + sending + exchangeBound(TIMING) + 2 * judge.length * (weather.cost ?? 0);
  }

  /** As long as all that is asked by now may take: windows may carry less than is asked for. */
  private get patience(): number {
    return Math.max(PATIENCE, this.bound);
  }

  /**
   * Some elections' time, what it takes to load, send and apply everything twice, and what a snapshot takes.
   *
   * A message takes the entries that wait for as long as they fit, so two that follow each other weigh more than one may:
   * there is at most one more than twice what all entries weigh in messages. A window ends by its messages or by its
   * bytes; it takes an exchange, and before it the sync that is under way when it comes. An exchange brings no more
   * commands to the log than α: who is refused asks again after a pause.
   */
  private get bound(): number {
    const { weather, judge } = this.cluster;
    const { configuration, limits } = this.settings;
    const messages = 1 + 2 * this.messageParts;
    const weight = this.bytes + this.wishes.length * AROUND;
    const windows = Math.ceil(messages / limits.inflightMessages) + Math.ceil(weight / limits.inflightBytes);
    const write = weather.disk + (weather.disk >> 2); // until it is reported
    const sending = (2 * this.bytes) / weather.bandwidth + windows * (exchangeBound(TIMING) + write);
    const rounds = Math.ceil(this.wishes.length / configuration.constants.alpha);
    const refused = rounds * (2 * exchangeBound(TIMING) + TIMING.heartbeat);
    const applying = 2 * judge.length * (weather.cost ?? 0);
    const loading = 2 * messages * weather.load;
    return Math.ceil(5 * TIMING.electionMax + sending + loading + applying + refused + this.pulling);
  }
}

/**
 * @param share of what the timing assumption leaves: 1 is at its bound
 * @param idle whether nothing is asked, and nobody is ever down
 * @param compacts whether half of the seeds take snapshots
 */
export function lifeOf(core: Core, seed: number, share: number, idle = false, compacts = true): Liveness {
  const life = new Life(core, seed, share, compacts);
  try {
    return { firstLeader: idle ? life.rest() : life.go(), problems: life.problems, snapshots: life.snapshots };
  } catch (error) {
    const { name, message } = error as Error;
    if (!(error instanceof Violation) && name !== 'InvariantViolation') throw error;
    return { firstLeader: Infinity, problems: [...life.problems, message], snapshots: life.snapshots };
  }
}
