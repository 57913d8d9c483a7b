/**
 * How much is sent for commands of drawn sizes, on links of a drawn bandwidth on which large ones take many election
 * timeouts: each command should go to each other member once, and to the leader once more if another one was asked.
 */

import { Cluster } from './cluster.js';
import type { Core } from './core.js';
import { OracleDice } from './dice.js';
import { CALM, settingsOf } from './storms.js';
import { PACED_TIMING as TIMING } from './pace.js';
import type { Weather } from './weather.js';

const KIB = 1024;
const LIMITS = {
  tailEntries: 1024,
  tailBytes: 4096 * KIB,
  messageBytes: 48 * KIB,
  inflightMessages: 64,
  inflightBytes: 4096 * KIB,
  uncommittedBytes: 65_536 * KIB,
  applyBytes: 4096 * KIB,
  loadBytes: 1024 * KIB,
};
/** Bytes of everything small in a run: heartbeats, elections, answers. */
const SMALL = 128 * KIB;

export interface Traffic {
  readonly seed: number;
  readonly bandwidth: number;
  readonly sizes: readonly number[];
  /** Bytes that were needed, and bytes that were sent. */
  readonly needed: number;
  readonly sent: number;
  /** What should not have been; empty if nothing. */
  readonly problem: string;
}

/**
 * A run.
 * @param loss the share of messages that are lost
 * @param isDown whether a follower is down for a while, to which a window may be sent in vain
 */
export function trafficOf(core: Core, seed: number, loss = 0, isDown = false): Traffic {
  const dice = new OracleDice(seed);
  const members = dice.pick([3, 3, 5]);
  const settings = { ...settingsOf(dice, members), limits: LIMITS, timing: TIMING, preVote: true };
  const constants = { ...settings.configuration.constants, alpha: 8192, maxEntryBytes: 1024 * KIB };
  // Two frames take 400 ms at most, so that there is room for the rest of an exchange.
  const bandwidth = Math.floor(330 * 1.5 ** dice.between(0, 10));
  const weather: Weather = {
    ...CALM,
    lag: 20,
    longLag: 20,
    disk: 30,
    load: 20,
    cost: 0.1,
    inOrder: true,
    bandwidth,
    loss,
  };
  const cluster = new Cluster(
    core,
    { ...settings, configuration: { ...settings.configuration, constants } },
    dice.next(),
    weather,
  );
  cluster.runUntil(20 * TIMING.electionMax, () => cluster.hosts.some(({ leads }) => leads));
  cluster.runUntil(cluster.now + TIMING.electionMin);
  const term = cluster.highestTerm;
  const before = cluster.sentBytes;
  const absent = isDown ? dice.pick(cluster.hosts.filter(({ leads }) => !leads)) : null;
  const asked = dice.pick(cluster.hosts.filter((host) => host !== absent));
  const count = dice.between(1, 8);
  const sizes = Array.from({ length: count }, () => Math.floor(KIB * 1024 ** (dice.between(0, 100) / 100)));
  const { judge, hosts } = cluster;
  const isMissing = (at: number): boolean => !judge.hasCommitted(`1.${at + 1}`);
  const propose = (size: number, at: number, retry: boolean): void => {
    const id = { session: 1, sequence: at + 1, firstIncomplete: 1 };
    cluster.propose(asked, [{ kind: 'command', id, data: new Uint8Array(size), retry }], 600_000);
  };
  const downFor = dice.pick([500, 3000, 10_000]);
  if (absent !== null) cluster.schedule(dice.pick([0, 0, 1000]), () => cluster.crash(absent, 0, downFor));
  let latest = 0;
  sizes.forEach((size, at) => {
    const delay = dice.pick([0, 0, 200, 2000]);
    latest = Math.max(latest, delay);
    cluster.schedule(delay, () => propose(size, at, false));
  });
  // What ends without success is tried again, as hosts do.
  const again = (): void => {
    if (judge.openAt(asked.id).size === 0) sizes.forEach((size, at) => isMissing(at) && propose(size, at, true));
    if (sizes.some((_, at) => isMissing(at))) cluster.schedule(TIMING.heartbeat, again);
  };
  cluster.schedule(latest + TIMING.heartbeat, again);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const needed = bytes * (asked.leads ? members - 1 : members);
  const inVain = isDown ? Math.min(bytes, LIMITS.inflightBytes) : 0;
  const isDone = (): boolean =>
    !sizes.some((_, at) => isMissing(at)) &&
    hosts.every(({ id, state }) => state !== null && judge.handedTo(id) === judge.length);
  const time = 20 * TIMING.electionMax + ((loss === 0 ? 3 : 30) * needed) / bandwidth;
  cluster.runUntil(cluster.now + time, isDone);
  const done = isDone();
  // What is still queued is sent, too: it was counted when it was put there.
  const sent = cluster.sentBytes - before;
  const problems: string[] = [];
  if (!done) problems.push(`not all is committed everywhere after ${Math.round(time)} ms`);
  if (loss === 0 && cluster.highestTerm > term) problems.push('another term began');
  if (loss === 0 && sent > 1.2 * needed + inVain + SMALL)
    problems.push(`${(sent / needed).toFixed(2)} times what is needed`);
  return { seed, bandwidth, sizes, needed, sent, problem: problems.join('; ') };
}
