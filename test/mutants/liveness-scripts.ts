/** What must happen in time: on links that are slow, and for the sake of another candidate. */

import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import type { Accept } from '../../src/multipaxos/messages.js';
import type { PreVote } from '../../src/core/election-messages.js';
import type { AnyModel } from '../../src/core/model.js';
import { raftModel, raftProtocol } from '../../src/raft/index.js';
import { createWorld } from '../../src/testing/world/world.js';
import { rivals, succession, undisturbed, WRONGS } from '../both/disturb.js';
import {
  catchesUpFirst,
  farTargetTakesOver,
  hungDiskGivesWay,
  leavesAlone,
  leavesDuringTransfer,
  silentTargetIsGivenUp,
  slowDiskTakesOver,
  slowDisksTakeOver,
  transferUnderLoad,
} from '../both/transfer.js';
import { fullDiskGivesWay, fullVoter, nobodyHasSpace, refusedIsDead } from '../both/full-disk.js';
import {
  flapping,
  higherPriorityLeads,
  preferredInTime,
  preferredInVain,
  preferredUnderLoad,
  preferredWhileHung,
  preferredWins,
  zeroComesLast,
} from '../both/priorities.js';
import { roundForLeaderGivesWay } from '../core/pre-vote-cases.js';
import { learnsPageAhead } from '../multipaxos/page-ahead.js';
import { neverStale, voteInVain } from '../multipaxos/quorum-reads.js';
import { afterHandover, afterSleep, cutOff, startsBound } from '../both/lease-reads.js';
import { hungFollower, outrunFollower } from '../both/swamped.js';
import { tailByNeed } from '../both/tail.js';
import { Node } from '../raft/support.js';
import { BareDriver, driverIn } from '../replica/bare-driver.js';
import { SlowCluster, type SlowOptions } from '../slow-links.js';
import { timing } from '../values.js';
import { demand } from '../violation.js';

const KIB = 1024;
const { electionMin, electionMax } = timing;

/** A leader that all others know, and whose no-op is committed everywhere. */
function settled(slow: SlowCluster): string {
  const isSettled = (): boolean => slow.leader() !== null && slow.hosts.every(({ id }) => slow.status(id).commit > 0);
  demand(slow.run(10 * electionMax, isSettled), 'liveness/leader-found: a healthy cluster finds a leader');
  return slow.leader() as string;
}

/** Whoever grants a vote leaves the candidate half the smallest election timeout more than it had drawn. */
async function grant(): Promise<void> {
  const node = new Node('a');
  node.receive('b', { kind: 'requestVote', term: 1, lastIndex: 0, lastTerm: 0, handover: false });
  const { now, vote, electionTimer } = node.state;
  demand(vote === 'b', 'raft/one-vote-per-term: a vote that is free is granted');
  demand(
    electionTimer.deadline === now + electionTimer.timeout + electionMin / 2,
    'liveness/grant-puts-off: who grants a vote puts off its own campaign',
    () => electionTimer,
  );
}

/** The one that can be elected has to be sent many large votes, which takes longer than an election timeout. */
async function longPhase1(): Promise<void> {
  const limits = { inflightMessages: 256 };
  const slow = new SlowCluster({
    protocol: multipaxosProtocol,
    roundTrip: 20,
    bytesPerMs: 400,
    limits,
    preVote: false,
  });
  const leader = settled(slow);
  const [informed, candidate] = slow.hosts.filter(({ id }) => id !== leader).map(({ id }) => id);
  slow.loses = (from, to, { kind }) => {
    if (kind === 'prepare' || kind === 'preVote') return from === informed;
    return (kind === 'accept' && to === candidate) || (kind === 'accepted' && from === informed);
  };
  const last = slow.status(leader).last + 90;
  slow.propose(leader, 90, 40 * KIB);
  slow.run(60_000, () => slow.status(informed as string).last >= last);
  slow.kill(leader);
  const since = slow.now;
  slow.run(12 * electionMax, () => slow.leader() !== null);
  demand(
    slow.leader() !== null && slow.campaigns(since) === 1,
    'liveness/phase1-is-borne: a Phase 1 that makes progress is not interrupted',
    () => slow.campaigns(since),
  );
}

/** A leader of three that is sure of one follower only, since the other is down. */
function ofTwo(roundTrip: number): { readonly slow: SlowCluster; readonly leader: string; readonly other: string } {
  const slow = new SlowCluster({ protocol: multipaxosProtocol, roundTrip, limits: { inflightMessages: 256 } });
  const leader = settled(slow);
  const [other, third] = slow.hosts.filter(({ id }) => id !== leader).map(({ id }) => id) as [string, string];
  slow.kill(third);
  return { slow, leader, other };
}

function bytesOf(slow: SlowCluster, kind: string): number {
  return slow.sent.get(kind)?.bytes ?? 0;
}

/** The only follower that is left has lost many Accepts and acknowledges a later one. */
async function manyGaps(): Promise<void> {
  const roundTrip = 100;
  const { slow, leader, other } = ofTwo(roundTrip);
  slow.loses = (_from, _to, { kind }) => kind === 'accept';
  for (let count = 0; count < 5; count++) slow.propose(leader, 1, 100);
  slow.loses = () => false;
  slow.propose(leader, 1, 100);
  const { last } = slow.status(leader);
  demand(
    slow.run(3 * roundTrip, () => slow.status(leader).commit === last) && slow.status(other).last === last,
    'limits/lost-by-evidence: all that is lost is sent again as soon as a later one is acknowledged',
  );
}

const PROTOCOLS = [raftProtocol, multipaxosProtocol];
const QUICK = { size: 3, roundTrip: 2, write: 1 };

/** Nobody who campaigns in vain deposes a leader that the others hear. */
async function inVain(): Promise<void> {
  for (const protocol of PROTOCOLS) for (const wrong of Object.values(WRONGS)) undisturbed(protocol, QUICK, wrong);
}

async function twoAsk(): Promise<void> {
  for (const protocol of PROTOCOLS) {
    demand(rivals(protocol) === 1, 'liveness/rival-gives-way: of two that ask at once one campaigns');
  }
}

async function crash(): Promise<void> {
  for (const protocol of PROTOCOLS) {
    const took = succession(protocol, { size: 3, roundTrip: 40, write: 5 }, 1);
    demand(took <= 1, 'liveness/crash-is-noticed: a killed leader is replaced soon', () => took);
  }
}

/** Answers to an earlier round count for nothing, and a refusal teaches the term of whoever refuses. */
async function answers(): Promise<void> {
  const node = new Node('a', 3, null, [], true);
  const ask = (): PreVote => {
    node.step({ kind: 'campaign' });
    return node.sends[0]?.message as PreVote;
  };
  const { term, number } = ask();
  ask();
  const reply = { kind: 'preVoteReply', term, number } as const;
  node.receive('b', { ...reply, current: 0, granted: true });
  demand(node.state.term === 0, 'liveness/pre-vote-of-this-round: answers to an earlier round count for nothing');
  const { number: newest } = ask();
  node.receive('b', { ...reply, number: newest, current: 7, granted: false });
  const again = node.sends[0]?.message as PreVote | undefined;
  demand(again?.term === 8, 'liveness/refusal-teaches: whoever lags behind asks again in a term that is new');
}

/** The only follower that is left has lost all Accepts, and none comes after them. */
async function silence(): Promise<void> {
  const { slow, leader } = ofTwo(20);
  slow.loses = (_from, _to, { kind }) => kind === 'accept';
  slow.propose(leader, 1, 100);
  slow.loses = () => false;
  const { last } = slow.status(leader);
  demand(
    slow.run(2 * electionMin, () => slow.status(leader).commit === last),
    'limits/window-is-kept: what nobody acknowledges is sent again',
  );
}

/** Nothing is lost, but Accepts overtake each other. */
async function disorder(): Promise<void> {
  const { slow, leader, other } = ofTwo(20);
  let turn = 0;
  let slots = 0;
  slow.delays = () => (++turn * 37) % 150;
  slow.loses = (_from, to, message) => {
    if (message.kind === 'accept' && to === other) slots += (message as Accept).entries.length;
    return false;
  };
  for (let count = 0; count < 300; count++) {
    slow.propose(leader, 1, 100);
    slow.run(5);
  }
  slow.run(electionMax);
  demand(slots < 1.5 * 300, 'limits/lost-by-evidence: what is late is not lost', () => slots);
}

/** A follower hears of commits, and hears no answer. */
async function noAnswers(): Promise<void> {
  const slow = new SlowCluster({ protocol: multipaxosProtocol, roundTrip: 20 });
  const leader = settled(slow);
  const lagging = slow.hosts.find(({ id }) => id !== leader)?.id;
  slow.loses = (_from, to, { kind }) => to === lagging && kind !== 'heartbeat';
  slow.propose(leader, 64, 256 * KIB);
  slow.run(10_000);
  const sent = bytesOf(slow, 'catchUpReply');
  demand(sent < 600 * KIB, 'limits/catch-up-window: next to nothing is sent while nothing comes', () => sent);
}

/** The only one that can be elected cannot learn what the other one alone holds. */
async function stranded(): Promise<void> {
  const slow = new SlowCluster({ protocol: multipaxosProtocol, roundTrip: 20 });
  const leader = settled(slow);
  const [holder, candidate] = slow.hosts.filter(({ id }) => id !== leader).map(({ id }) => id) as [string, string];
  const teaches = new Set(['accept', 'catchUpReply']);
  slow.loses = (_from, to, { kind }) => to === candidate && teaches.has(kind);
  slow.propose(leader, 10, 100);
  slow.run(10 * electionMax, () => slow.status(holder).commit === slow.status(leader).last);
  slow.kill(leader);
  slow.loses = (from, to, { kind }) =>
    from === holder && (kind === 'prepare' || (to === candidate && teaches.has(kind)));
  slow.run(60_000);
  const won = slow.host(candidate).events.filter(({ role }) => role === 'leader').length;
  demand(won > 1 && won <= 8, 'liveness/stranded-gives-way: it tries again less and less often', () => won);
}

const WORLD = { size: 3, roundTrip: 40, write: 10 } as const;

/** A rule of transfers, in both protocols. */
function inBoth(check: (protocol: SlowOptions['protocol'], world: typeof WORLD) => void): () => Promise<void> {
  return async () => [raftProtocol, multipaxosProtocol].forEach((protocol) => check(protocol, WORLD));
}

async function fullEverywhere(): Promise<void> {
  for (const protocol of [raftProtocol, multipaxosProtocol]) {
    for (const stuck of [false, true]) nobodyHasSpace(protocol, WORLD, stuck);
  }
}

async function fullFollower(): Promise<void> {
  for (const protocol of [raftProtocol, multipaxosProtocol]) {
    for (const stuck of [false, true]) fullVoter(protocol, stuck);
  }
}

async function priorityWins(): Promise<void> {
  for (const protocol of [raftProtocol, multipaxosProtocol]) {
    const share = preferredWins(protocol, 10);
    demand(share > 0.7, 'liveness/lower-priority-waits: mostly the highest priority wins', () => share);
  }
}

async function priorityLeads(): Promise<void> {
  for (const protocol of [raftProtocol, multipaxosProtocol]) higherPriorityLeads(protocol, WORLD);
}

async function priorityFlaps(): Promise<void> {
  for (const protocol of [raftProtocol, multipaxosProtocol]) flapping(protocol);
}

async function priorityZero(): Promise<void> {
  for (const protocol of [raftProtocol, multipaxosProtocol]) zeroComesLast(protocol);
}

async function preferredVain(): Promise<void> {
  for (const protocol of [raftProtocol, multipaxosProtocol]) preferredInVain(protocol);
}

async function preferredLoaded(): Promise<void> {
  const world = { size: 3, roundTrip: 200, write: 20 };
  for (const protocol of [raftProtocol, multipaxosProtocol]) preferredUnderLoad(protocol, world, 1);
}

async function quorumNeverStale(): Promise<void> {
  for (let seed = 1; seed <= 5; seed++) neverStale(seed);
}

async function quorumVoteInVain(): Promise<void> {
  voteInVain();
}

/** What is known to be committed is not applied yet. */
async function freshness(): Promise<void> {
  const node = new Node('a');
  node.now = 100;
  const entries = [{ index: 1, term: 1, kind: 'noop', time: 0, id: null, data: new Uint8Array(0) }] as const;
  const place = { prevIndex: 0, prevTerm: 0, commit: 1 };
  node.receive('b', { kind: 'appendEntries', term: 1, viewId: 1, ...place, entries, readRound: 0 });
  const freshAt = (): number => raftProtocol.freshAt(node.state, node.now);
  demand(freshAt() === -Infinity, 'reads/fresh-when-applied: what is not applied makes nothing fresh', freshAt);
  node.now = 200;
  node.step({ kind: 'applied', index: 1 });
  demand(freshAt() === 100, 'reads/fresh-when-applied: it counts from its arrival', freshAt);
}

async function leaseCutOff(): Promise<void> {
  for (let seed = 1; seed <= 5; seed++) {
    for (const protocol of [raftProtocol, multipaxosProtocol]) cutOff(protocol, seed, 'reads/grant-binds');
  }
}

async function leaseHandover(): Promise<void> {
  for (const protocol of [raftProtocol, multipaxosProtocol]) afterHandover(protocol, 'reads/handover-ends-leases');
}

async function leaseSleep(): Promise<void> {
  for (const protocol of [raftProtocol, multipaxosProtocol]) afterSleep(protocol, 'reads/sleep-ends-leases');
}

async function leaseStart(): Promise<void> {
  for (const protocol of [raftProtocol, multipaxosProtocol]) startsBound(protocol);
}

/** A replica that hears of no leader is asked for something that has until then. */
async function deadline(): Promise<void> {
  const world = createWorld({ model: raftModel });
  const driver = new BareDriver(raftModel.protocol as AnyModel['protocol'], driverIn(world, 'n1'), world.now);
  const ends = driver.now + electionMin / 2;
  driver.step({ kind: 'read', calls: [{ call: 1, deadline: ends }], minIndex: null });
  driver.now = ends - 1;
  driver.step({ kind: 'tick' });
  demand(driver.failure(1) === undefined, 'liveness/ends-by-deadline: no call ends before its time is over');
  driver.now = ends;
  driver.step({ kind: 'tick' });
  demand(
    driver.failure(1)?.code === 'ERR_TIMEOUT',
    'liveness/ends-by-deadline: a call ends when its time is over',
    () => driver.failure(1),
  );
}

export const livenessScripts = {
  'transfer: under load': inBoth(transferUnderLoad),
  'transfer: who lags': inBoth(catchesUpFirst),
  'transfer: a slow disk': async () => slowDiskTakesOver(multipaxosProtocol, 1),
  'transfer: who is silent': inBoth(silentTargetIsGivenUp),
  'transfer: far away': async () => farTargetTakesOver(multipaxosProtocol),
  'transfer: slow disks': async () => [1, 2, 3].forEach((seed) => slowDisksTakeOver(multipaxosProtocol, seed)),
  'transfer: who leaves': inBoth(leavesAlone),
  'transfer: under way when the leader leaves': inBoth(leavesDuringTransfer),
  'transfer: a disk that hangs': inBoth(hungDiskGivesWay),
  'full disk: a leader': inBoth(fullDiskGivesWay),
  'full disk: a copy': () => refusedIsDead(raftProtocol, WORLD),
  'full disk: nobody has space': fullEverywhere,
  'full disk: a voter': fullFollower,
  'priorities: who wins': priorityWins,
  'priorities: a leader': priorityLeads,
  'priorities: flapping': priorityFlaps,
  'priorities: zero': priorityZero,
  'priorities: in vain': preferredVain,
  'priorities: under load': preferredLoaded,
  'priorities: in time': inBoth(preferredInTime),
  'priorities: a disk that hangs': inBoth(preferredWhileHung),
  'pre-votes: for the leader': async () => roundForLeaderGivesWay(),
  'quorum reads: never stale': quorumNeverStale,
  'quorum reads: a vote in vain': quorumVoteInVain,
  'limits: the tail': inBoth(tailByNeed),
  'catch-up: a page ahead': async () => learnsPageAhead(),
  'core: freshness': freshness,
  'slow links: a hung follower': async () => hungFollower(multipaxosProtocol),
  'slow links: an outrun follower': async () => outrunFollower(multipaxosProtocol),
  'lease reads: cut off': leaseCutOff,
  'lease reads: a Handover': leaseHandover,
  'lease reads: sleep': leaseSleep,
  'lease reads: a start': leaseStart,
  'driver: a deadline': deadline,
  'pre-votes: in vain': inVain,
  'pre-votes: two ask at once': twoAsk,
  'pre-votes: a crash': crash,
  'pre-votes: answers': answers,
  'core: a grant': grant,
  'slow links: a long Phase 1': longPhase1,
  'slow links: disorder': disorder,
  'slow links: gaps': manyGaps,
  'slow links: no answers': noAnswers,
  'slow links: silence': silence,
  'slow links: stranded': stranded,
} as const;
