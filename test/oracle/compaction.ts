/**
 * What the hosts of the oracle do with snapshots: one is taken whenever so many entries were applied, which takes its
 * time; a host whose core needs one asks any other for its newest, which comes over the link as one message, is written,
 * and is given to the core. Meanwhile, and as long again, nobody trims what stands behind what it asked for: always in the
 * healed world, before that in some runs. A host may crash when a file is complete and nothing names it, as at each
 * persist.
 */

import type { SnapshotName } from './core.js';
import type { Cluster } from './cluster.js';
import { OracleDice } from './dice.js';
import type { OracleHost } from './host.js';
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
  /** By who pulls: what stands behind this index is kept until then. */
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
    const { now } = this.cluster;
    const kept = [...this.kept.values()].filter(({ until }) => until >= now).map(({ index }) => index);
    return this.keeps ? Math.min(Infinity, ...kept) : Infinity;
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
    const { cluster, dice } = this;
    const snapshot = host.disk.file(name);
    cluster.judge.restored(host.id, snapshot);
    host.machine.restore(snapshot);
    host.begun = name.index;
    const restored = (): void => cluster.give(host, { kind: 'applied', index: name.index });
    cluster.later(host, dice.between(0, cluster.weather.disk), restored);
  }

  /** The core needs a snapshot of at least this index. One is asked for at a time, and waited for. */
  pull(host: OracleHost, least: number): void {
    const { cluster, dice } = this;
    if (host.pull !== null) return;
    const number = ++this.pulls;
    host.pull = number;
    this.kept.set(host, { index: least, until: cluster.now + 2 * cluster.pullPatience() });
    const peer = dice.pick(cluster.hosts.filter((each) => each !== host));
    cluster.carry(host, peer, 'control', QUESTION, () => this.asked(peer, host, least, number));
    cluster.later(host, cluster.pullPatience(), () => this.giveUp(host, number));
  }

  private giveUp(host: OracleHost, number: number): void {
    if (host.pull === number) host.pull = null;
  }

  /** The newest that is named, if it will do. */
  private asked(source: OracleHost, host: OracleHost, least: number, number: number): void {
    const { cluster } = this;
    const { named } = source.disk;
    if (source.state === null) return;
    if (named === null || named.name.index < least) {
      return cluster.carry(source, host, 'control', QUESTION, () => this.giveUp(host, number));
    }
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
