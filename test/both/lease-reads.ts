/** What the tests and the mutants of lease reads have in common. */

import type { PreVoteReply } from '../../src/core/election-messages.js';
import type { Protocol } from '../../src/core/protocol.js';
import { nextSeed, sampleBetween } from '../../src/core/random.js';
import { defaultLimits } from '../../src/core/tuning.js';
import { ballotOf } from '../../src/multipaxos/ballot.js';
import { SlowCluster, type SlowOptions } from '../slow-links.js';
import { clusterOf, timing } from '../values.js';
import { demand } from '../violation.js';
import { othersOf, type World } from './disturb.js';

const { heartbeat, electionMin, electionMax } = timing;

export const LEASE_READS = 900;
const WORLD: World = { size: 3, roundTrip: 20, write: 3 };

interface Leased {
  readonly cluster: SlowCluster;
  readonly leader: string;
}

/** A cluster whose leader serves lease reads. */
export function leased(protocol: SlowOptions['protocol'], world: World = WORLD, seed = 1): Leased {
  const cluster = new SlowCluster({ protocol, ...world, seed, leaseReads: LEASE_READS });
  const serves = (): boolean => {
    const leader = cluster.leader();
    return leader !== null && byLease(cluster, leader) !== null;
  };
  demand(cluster.run(10 * electionMax, serves), 'reads/grant-counts-from-send: a healthy leader serves by lease');
  return { cluster, leader: cluster.leader() as string };
}

/** The index at which a lease read of this replica is served at once; `null` if it has to wait. */
export function byLease(cluster: SlowCluster, id: string): number | null {
  const request = cluster.read(id, true);
  const index = cluster.host(id).reads.get(request);
  return index ?? null;
}

/** A lease read here, now, sees all that anyone knows to be committed, or it waits. Gives whether it was served. */
function demandFresh(cluster: SlowCluster, id: string, rule: string): boolean {
  const committed = Math.max(...cluster.hosts.map((host) => cluster.status(host.id).commit));
  const index = byLease(cluster, id);
  demand(index === null || index >= committed, `${rule}: a lease read is not stale`, () => ({ id, index, committed }));
  return index !== null;
}

/** Lets time pass, and reads at this replica all the while; others that lead write. Gives how many it served. */
function watched(cluster: SlowCluster, id: string, time: number, rule: string): number {
  let served = 0;
  for (const end = cluster.now + time; cluster.now < end; ) {
    cluster.run(7);
    const leader = cluster.leader();
    if (leader !== null && leader !== id) cluster.propose(leader, 1, 10);
    if (cluster.host(id).asleep === null && demandFresh(cluster, id, rule)) served++;
  }
  return served;
}

/**
 * The leader is cut off, and the others take its process for crashed: none of them leads while it serves, though its
 * clock is slow and theirs are fast, as far as the bound on clocks allows.
 */
export function cutOff(protocol: SlowOptions['protocol'], seed: number, rule: string, world: World = WORLD): void {
  const { cluster, leader } = leased(protocol, world, seed);
  let dice = seed;
  const draw = (from: number, to: number): number => sampleBetween((dice = nextSeed(dice)), from, to);
  // What is sent to it may be slow, so that answers come long after the grants began.
  const isSlow = (world.roundTrip ?? 0) < 100;
  cluster.delays = (_, to) => (isSlow && to === leader ? 350 : 0);
  cluster.setRate(leader, 0.976);
  for (const id of othersOf(cluster, leader)) cluster.setRate(id, 1.024);
  watched(cluster, leader, electionMin + draw(0, heartbeat), rule);
  // Or it hears what is sent to it, and nobody hears it.
  if (seed % 2 === 0) cluster.cut(leader);
  else cluster.loses = (from) => from === leader;
  const term = cluster.term();
  for (const id of othersOf(cluster, leader)) cluster.give(id, { kind: 'unreachable', peer: leader });
  const served = watched(cluster, leader, LEASE_READS, rule);
  demand(served > 0, 'reads/grant-counts-from-send: a grant counts for most of its length', () => served);
  watched(cluster, leader, 3 * electionMax, rule);
  demand(cluster.term() > term, 'liveness/leader-found: another one leads when the grants are over');
}

/** A Handover has left, and the old leader hears nothing more. */
export function afterHandover(protocol: SlowOptions['protocol'], rule: string): void {
  const { cluster, leader } = leased(protocol);
  const [target] = othersOf(cluster, leader) as [string];
  const sent = (): number => cluster.sent.get('handover')?.count ?? 0;
  cluster.transfer(leader, target);
  cluster.run(electionMax, () => sent() > 0);
  cluster.loses = (from, to) => to === leader || (from === leader && sent() > 1);
  demand(sent() === 1, 'liveness/target-holds-all: a Handover leaves');
  watched(cluster, leader, electionMin, rule);
}

/** The leader's machine sleeps, with its clock, and wakes when another one leads. */
export function afterSleep(protocol: SlowOptions['protocol'], rule: string): void {
  const { cluster, leader } = leased(protocol);
  cluster.sleep(leader);
  watched(cluster, leader, 4 * electionMax, rule);
  const other = cluster.leader() as string;
  demand(other !== leader && cluster.status(other).commit > 5, 'liveness/leader-found: another one leads meanwhile');
  cluster.loses = (_, to) => to === leader;
  cluster.host(leader).asleep = [];
  cluster.wake(leader);
  watched(cluster, leader, electionMin, rule);
}

/** A voter starts with what was durable: it may have granted before. */
export function startsBound(protocol: SlowOptions['protocol']): void {
  const core = protocol as Protocol<unknown, unknown>;
  const configuration = clusterOf(3, { leaseReads: LEASE_READS });
  const limits = defaultLimits;
  const start = { id: 'n1', boot: 2, configuration, seed: 1, now: 1000, timing, limits, preVote: true };
  const nothing = { base: { index: 0, term: 0 }, last: 0, runs: [], tail: [], snapshot: null };
  const hard = { term: ballotOf(1, 1), vote: null, commit: 0 };
  const message = { kind: 'preVote', term: ballotOf(9, 2), number: 1, lastIndex: 0, lastTerm: 0 };
  /** Whether it grants a pre-vote, and asks for some when told to campaign. */
  const electsAt = (now: number, isNew: boolean): readonly boolean[] => {
    const [state] = core.init(start, { ...nothing, hard: isNew ? null : hard });
    const [, replies] = core.step(state, { kind: 'receive', now, from: 'n2', message });
    const [, asks] = core.step(state, { kind: 'campaign', now });
    const sent = [...replies, ...asks].flatMap((each) => (each.kind === 'send' ? [each.message as PreVoteReply] : []));
    return [sent.some(({ granted }) => granted), sent.some(({ kind }) => (kind as string) === 'preVote')];
  };
  const rule = 'reads/start-binds: it elects nobody for the length of a grant';
  demand(
    electsAt(1000 + LEASE_READS - 1, false).every((each) => !each),
    rule,
  );
  demand(electsAt(1000 + LEASE_READS, false).every(Boolean), `${rule}, and then as ever`);
  demand(electsAt(1000, true).every(Boolean), `${rule}, unless it never was a member`);
}
