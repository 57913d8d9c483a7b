/**
 * What the hosts of the oracle do with snapshots: one is taken whenever so many entries were applied, which takes its
 * time; a host whose core needs one asks the others, one after the other, for their newest, which comes over the link
 * as one message, is written, and is given to the core. Nobody trims what stands behind what it asked for, or got,
 * until it is handed more, or has waited for as long again: always in a life and in the healed world, before that in
 * some runs. A host may crash when a file is complete and nothing names it, as at each persist.
 */

import type { SnapshotName } from './core.js';
import type { Cluster } from './cluster.js';
import { OracleDice } from './dice.js';
import type { OracleHost } from './host.js';
import { SLICE } from './loop.js';
import type { OracleSnapshot } from './machine.js';

/** How a cluster is compacted. */
export interface Compaction {
  /** A snapshot is begun when so many entries were applied since the last one was. */
  readonly every: number;
  /** It takes up to so many milliseconds. */
  readonly taking: number;
  /** Whether the log is kept for who pulls, also while there are faults. */
  readonly keeps: boolean;
}

/** Half of all runs have one. */
export function compactionOf(seed: number): Compaction | null {
  const dice = new OracleDice(Math.imul(seed, 0x2545f491) ^ 0x1f123bb5);
  const every = dice.pick([0, 0, 0, 1, 5, 25]);
  return every === 0 ? null : { every, taking: dice.pick([0, 30, 500]), keeps: dice.chance(0.5) };
}

/** Bytes of a question, or of an answer that there is nothing. */
const QUESTION = 32;

export class Compactor {
  private readonly cluster: Cluster;
  private readonly compaction: Compaction;
  private readonly dice: OracleDice;
  /** Whether the log is kept for who pulls. */
  keeps: boolean;
  private pulls = 0;
  /** By who pulls: who was asked last. */
  private readonly sources = new Map<OracleHost, OracleHost>();
  /** By who pulls: what stands behind this index is kept until it is handed more, `until` at the latest. */
  private readonly kept = new Map<OracleHost, { readonly index: number; readonly until: number }>();

  constructor(cluster: Cluster, compaction: Compaction, dice: OracleDice) {
    this.cluster = cluster;
    this.compaction = compaction;
    this.dice = dice;
    this.keeps = compaction.keeps;
  }

  /** The machine has applied everything up to there, and the core was told. */
  applied(host: OracleHost): void {
    const { cluster, compaction, dice } = this;
    const { applied } = host.machine;
    if (host.taking || applied - host.begun < compaction.every) return;
    host.taking = true;
    // The call is one turn; what is new since the last one is what it costs.
    const { cost } = cluster.weather;
    if (cost !== null) host.loop.work(Math.min(SLICE, (applied - host.begun) * cost));
    host.begun = applied;
    const snapshot = host.machine.snapshot();
    cluster.later(host, dice.between(0, compaction.taking), () => {
      host.taking = false;
      if (!this.complete(host, snapshot)) return;
      const older = Math.min(applied, host.disk.named?.name.index ?? 0);
      const through = Math.min(this.mostTrimmed(), dice.pick([0, older, older, applied]));
      cluster.give(host, { kind: 'snapshotTaken', snapshot: snapshot.name, through });
    });
  }

  /** Up to where a log may be trimmed, for all who pull. */
  private mostTrimmed(): number {
    const { now, judge } = this.cluster;
    const kept = [...this.kept].filter(([{ id }, { index, until }]) => until >= now && judge.handedTo(id) <= index);
    return this.keeps ? Math.min(Infinity, ...kept.map(([, { index }]) => index)) : Infinity;
  }

  /** The file is there, and is of what is committed. Returns whether the host survives that. */
  private complete(host: OracleHost, snapshot: OracleSnapshot): boolean {
    const { cluster, dice } = this;
    cluster.judge.demandPrefix(host.id, snapshot);
    host.disk.complete(snapshot);
    if (!dice.chance(cluster.weather.crash)) return true;
    cluster.crash(host);
    return false;
  }

  /** The machine is restored from a snapshot that was installed. */
  restore(host: OracleHost, name: SnapshotName): void {
    const { cluster } = this;
    const snapshot = host.disk.file(name);
    cluster.judge.restored(host.id, snapshot);
    host.machine.restore(snapshot);
    host.begun = name.index;
    const kept = this.kept.get(host);
    if (kept !== undefined) this.kept.set(host, { ...kept, index: name.index });
    cluster.restore(host, name.index);
  }

  /** The core needs a snapshot of at least this index. One pull is under way at a time, and is waited for. */
  pull(host: OracleHost, least: number): void {
    const { cluster, dice } = this;
    if (host.pull !== null) return;
    const number = ++this.pulls;
    host.pull = number;
    this.kept.set(host, { index: least, until: cluster.now + 2 * cluster.pullPatience() });
    const others = cluster.hosts.filter((each) => each !== host);
    const first = dice.between(0, others.length - 1);
    this.ask(host, least, number, [...others.slice(first), ...others.slice(0, first)]);
    cluster.later(host, cluster.pullPatience(), () => this.giveUp(host, number));
  }

  /** Asks one after the other; who is down is passed over, for its connections are refused. */
  private ask(host: OracleHost, least: number, number: number, sources: readonly OracleHost[]): void {
    if (host.pull !== number) return;
    const source = sources.find(({ state }) => state !== null);
    if (source === undefined) return this.giveUp(host, number);
    const rest = sources.slice(sources.indexOf(source) + 1);
    this.sources.set(host, source);
    this.cluster.carry(host, source, 'control', QUESTION, () => {
      this.asked(source, host, least, number, () => this.ask(host, least, number, rest));
    });
  }

  /** Whoever asked it loses its connection, and asks again when its core does. */
  fell(source: OracleHost): void {
    for (const [host, asked] of this.sources) if (asked === source) host.pull = null;
  }

  private giveUp(host: OracleHost, number: number): void {
    if (host.pull === number) host.pull = null;
  }

  /** The newest that is named, if it will do. */
  private asked(source: OracleHost, host: OracleHost, least: number, number: number, refused: () => void): void {
    const { cluster } = this;
    const { named } = source.disk;
    if (source.state === null) return;
    if (named === null || named.name.index < least) return cluster.carry(source, host, 'control', QUESTION, refused);
    cluster.carry(source, host, 'bulk', named.bytes, () => this.came(host, named, number));
  }

  private came(host: OracleHost, snapshot: OracleSnapshot, number: number): void {
    const { cluster, dice } = this;
    if (host.pull !== number) return;
    cluster.later(host, dice.between(cluster.weather.diskFrom, cluster.weather.disk), () => {
      if (host.pull !== number || !this.complete(host, snapshot)) return;
      host.pull = null;
      cluster.give(host, { kind: 'install', snapshot: snapshot.name });
    });
  }
}
