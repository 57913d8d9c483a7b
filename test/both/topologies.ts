/**
 * Static partial partitions of five members: every undirected graph of links in which some member reaches a majority,
 * itself included. A cluster with a leader falls into one of them; measured is how long it takes until a command is
 * committed that is asked for at such a member again and again.
 */

import { SlowCluster, type SlowOptions } from '../slow-links.js';
import { timing } from '../values.js';

const SIZE = 5;
const IDS = Array.from({ length: SIZE }, (_, at) => `n${at + 1}`);

/** The links of five members, as pairs of places. */
const LINKS = IDS.flatMap((_, one) => IDS.slice(one + 1).map((__, by) => [one, one + 1 + by] as const));

export interface Topology {
  /** Which of `LINKS` stand, as bits. */
  readonly bits: number;
  /** Members that reach a majority, themselves included. */
  readonly centers: readonly string[];
}

/** The links that stand, as `n1-n2`. */
export function linksOf({ bits }: Topology): string {
  const standing = LINKS.filter((_, at) => ((bits >> at) & 1) === 1);
  return standing.map(([one, other]) => `${IDS[one]}-${IDS[other]}`).join(' ');
}

function degreeOf(bits: number, place: number): number {
  return LINKS.filter((link, at) => ((bits >> at) & 1) === 1 && link.includes(place)).length;
}

/** Every topology with a member that reaches a majority. */
export function topologies(): readonly Topology[] {
  const all = Array.from({ length: 1 << LINKS.length }, (_, bits) => ({
    bits,
    centers: IDS.filter((__, place) => degreeOf(bits, place) >= 2),
  }));
  return all.filter(({ centers }) => centers.length > 0);
}

export interface Course {
  readonly seed: number;
  readonly roundTrip: number;
  /** A member that misses the newest commands when the links break; `null` for none. */
  readonly behind: string | null;
}

/** Milliseconds until a command is committed in that topology, by a leader in it; `Infinity` if none is. */
export function timeToCommit(protocol: SlowOptions['protocol'], topology: Topology, course: Course): number {
  const { bits, centers } = topology;
  const { seed, roundTrip, behind } = course;
  const cluster = new SlowCluster({ protocol, size: SIZE, roundTrip, write: 5, seed });
  const led = (): boolean =>
    cluster.leader() !== null && cluster.hosts.every(({ id }) => cluster.status(id).commit > 0);
  if (!cluster.run(20 * timing.electionMax, led)) throw new Error('no leader where all is well');
  const commits = (): number => Math.max(...cluster.hosts.map(({ id }) => cluster.status(id).commit));
  const committed = (than: number) => (): boolean => commits() > than;
  if (behind !== null && behind !== cluster.leader()) {
    cluster.cut(behind);
    cluster.propose(cluster.leader() as string, 3, 10);
    cluster.run(timing.electionMin, committed(commits() + 2));
    cluster.heal();
  }
  LINKS.forEach(([one, other], at) => {
    if (((bits >> at) & 1) === 0) cluster.cuts.add(`${IDS[one]}>${IDS[other]}`).add(`${IDS[other]}>${IDS[one]}`);
  });
  const since = cluster.now;
  // What is under way when the links break does not count.
  cluster.run(2 * roundTrip);
  const before = commits();
  while (cluster.now - since < 10 * timing.electionMax) {
    for (const id of centers) cluster.propose(id, 1, 10);
    if (cluster.run(100, committed(before))) return cluster.now - since;
  }
  return Infinity;
}
