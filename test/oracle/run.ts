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

import { Cluster, type Weather } from './cluster.js';
import type { Core, CoreOptions } from './core.js';
import { OracleDice } from './dice.js';
import { nameOf, Violation } from './judge.js';

const TIMING = { heartbeat: 100, electionMin: 600, electionMax: 1200 };
const CALM: Weather = {
  loss: 0,
  duplicate: 0,
  lag: 80,
  longLag: 80,
  lagging: 0,
  disk: 50,
  load: 40,
  crash: 0,
  down: 1,
  late: 0,
};
/** The longest that a message takes, that a caller waits, and how long the faults last. */
const LONGEST_LAG = 400;
const PATIENCE = 2500;
const STORM = 6000;
/** Elections in a row that may come to nothing in the healed world. */
const ELECTIONS = 20;

type Host = Cluster['hosts'][number];
type EntryId = { readonly session: number; readonly sequence: number; readonly firstIncomplete: number };

export const STORMS = ['mixed', 'forgetful', 'divided'] as const;
export type StormKind = (typeof STORMS)[number];

/** The faults of a run: beside the weather, how often something is done to the cluster. */
interface Storm extends Weather {
  /** A link is cut, or all of one replica; all cuts are mended; a replica crashes. */
  readonly cut: number;
  readonly mend: number;
  readonly fall: number;
  /** @see Run.contest, Run.coup */
  readonly contest: number;
  readonly coup: number;
  /** How often a contest makes a replica forget. */
  readonly forget: number;
}

/**
 * Three kinds of run. `mixed`: anything, and most faults absent from many runs, so that the others can go far.
 * `forgetful`: rivals for the lead, and replicas that crash as they write and are soon back. `divided`: links that come
 * and go under ever new leaders.
 */
function stormOf(kind: StormKind, dice: OracleDice): Storm {
  const mixed: Storm = {
    loss: dice.pick([0, 0.02, 0.15]),
    duplicate: dice.pick([0, 0.05, 0.3]),
    lag: dice.pick([5, 20, 60]),
    longLag: dice.pick([100, LONGEST_LAG]),
    lagging: dice.pick([0, 0.05, 0.3]),
    disk: dice.pick([2, 30, 200]),
    load: dice.pick([5, 100]),
    crash: dice.pick([0, 0.01, 0.05]),
    forget: dice.pick([0, 0.1]),
    down: dice.pick([20, 800]),
    late: dice.pick([0, 1000]),
    cut: dice.pick([0, 0.03, 0.1]),
    mend: dice.pick([0.02, 0.1]),
    fall: dice.pick([0, 0.01, 0.05]),
    contest: dice.pick([0, 0.02, 0.1]),
    coup: dice.pick([0, 0.03]),
  };
  const quiet = { loss: 0, lag: 60, longLag: LONGEST_LAG, crash: 0, down: 10, cut: 0, fall: 0, contest: 0, coup: 0 };
  const forgetful = { ...quiet, lag: 20, lagging: 0.3, disk: 15, contest: 0.1, forget: 1 };
  const divided = { ...quiet, lagging: 0.05, disk: 10, mend: 0.02, coup: 0.2 };
  return { ...mixed, ...{ mixed, forgetful, divided }[kind] };
}

function settingsOf(dice: OracleDice, size: number): Pick<CoreOptions, 'configuration' | 'timing' | 'limits'> {
  const alpha = dice.pick([1, 3, 64]);
  const numbers = Array.from({ length: size }, (_, at) => at + 1);
  const members = numbers.map((number) => ({ id: `n${number}`, number, address: `n${number}:1` }));
  const constants = {
    alpha,
    sessionWindow: 4096,
    sessions: 256,
    sessionBytes: 1 << 20,
    maxEntryBytes: 1 << 20,
    onApplyError: 'halt' as const,
  };
  const limits = {
    tailEntries: dice.pick([1, 4, 64]),
    tailBytes: dice.pick([200, 4000]),
    messageBytes: alpha > 3 ? 4000 : dice.pick([60, 200, 4000]),
    inflightMessages: dice.pick([1, 3, 64]),
    inflightBytes: dice.pick([100, 4000]),
    uncommittedBytes: dice.pick([200, 1000, 100_000]),
    applyBytes: dice.pick([60, 300, 100_000]),
    loadBytes: dice.pick([60, 300, 100_000]),
  };
  return { configuration: { members, constants }, timing: TIMING, limits };
}

class Run {
  private readonly dice: OracleDice;
  readonly cluster: Cluster;
  private readonly ids: EntryId[] = [];
  private readonly rates: Storm;

  constructor(core: Core, seed: number, kind: StormKind) {
    const dice = new OracleDice(seed);
    this.dice = dice;
    const size = dice.pick([1, 2, 3, 3, 3, 3, 3, 3, 4, 5]);
    this.rates = stormOf(kind, dice);
    this.cluster = new Cluster(core, settingsOf(dice, size), dice.next(), this.rates);
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
    this.cluster.give(host, { kind: 'stop' });
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
    const fresh = (): EntryId[] => Array.from({ length: dice.pick([1, 1, 3]) }, () => this.freshId());
    if (dice.chance(0.3)) cluster.read(host, patience);
    else this.propose(host, isRetry ? [dice.pick(this.ids.slice(-10))] : fresh(), isRetry, patience);
    const [request] = cluster.judge.openAt(host.id).keys();
    if (request !== undefined && dice.chance(0.05)) cluster.give(host, { kind: 'cancel', requests: [request] });
  }

  private freshId(): EntryId {
    const id = { session: 1, sequence: this.ids.length + 1, firstIncomplete: 1 };
    this.ids.push(id);
    return id;
  }

  private propose(host: Host, ids: readonly EntryId[], retry: boolean, patience: number): void {
    const proposals = ids.map((id) => {
      const data = Buffer.from(`${nameOf(id)}${'.'.repeat((id.sequence * 7) % 90)}`);
      return { kind: 'command' as const, id, data, retry };
    });
    this.cluster.propose(host, proposals, patience);
  }

  private heal(): void {
    const { cluster } = this;
    cluster.weather = CALM;
    cluster.cuts.clear();
    for (const host of cluster.hosts) {
      host.doomed = null;
      if (host.state === null) cluster.start(host);
    }
  }

  /** A client at each replica tries until its proposal is committed and its read served; then all are handed one log. */
  private settle(): void {
    const { cluster } = this;
    const { judge, hosts } = cluster;
    const exchange = 2 * CALM.lag + CALM.disk + CALM.load;
    const bound = LONGEST_LAG + PATIENCE + ELECTIONS * TIMING.electionMax + (judge.length + 50) * 2 * exchange;
    const wishes = hosts.map((host) => ({ host, id: this.freshId(), asked: false, read: judge.readsAt(host.id) }));
    const isServed = ({ host, id, read }: (typeof wishes)[number]): boolean =>
      judge.hasCommitted(nameOf(id)) && judge.readsAt(host.id) > read;
    const insist = (): void => {
      for (const wish of wishes) {
        if (judge.openAt(wish.host.id).size > 0) continue;
        if (judge.readsAt(wish.host.id) === wish.read) cluster.read(wish.host, PATIENCE);
        if (!judge.hasCommitted(nameOf(wish.id))) this.propose(wish.host, [wish.id], wish.asked, PATIENCE);
        wish.asked = true;
      }
      cluster.schedule(TIMING.heartbeat, insist);
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

/**
 * What is wrong in the run of that seed, `null` if nothing: found by the judge, or by a core that met a proof that
 * safety is broken and threw it.
 */
export function findViolation(core: Core, seed: number, storm: StormKind): string | null {
  try {
    new Run(core, seed, storm).go();
    return null;
  } catch (error) {
    const { name, message } = error as Error;
    if (error instanceof Violation || name === 'InvariantViolation') return message;
    throw error;
  }
}
