/** Multi-Paxos’ schedules that chance hardly ever finds, and those that tell their rule best. Members are 0, 1, 2 …. */

import { demand } from '../support/checks.js';
import { protocols } from '../support/protocols.js';
import { wideLimits } from '../support/values.js';
import { Stage } from './stage.js';

const [, protocol] = protocols[1] as (typeof protocols)[number];

function stageOf(size: number, limits = wideLimits): Stage {
  return new Stage({ protocol, size, limits });
}

/** `at` leads in a new ballot, promised by itself and by `peers`, page by page; it starts anew if it led before. */
function prepare(stage: Stage, at: number, ...peers: readonly number[]): void {
  stage.sync(at);
  if (stage.role(at) !== 'follower') stage.reboot(at);
  for (let turn = 0; turn < 4 && stage.role(at) !== 'leader'; turn++) {
    stage.campaign(at);
    stage.sync(at);
    for (const peer of peers) {
      while (stage.pass(at, peer, 'prepare') > 0) {
        stage.sync(peer);
        stage.pass(peer, at, 'promise', 'nack');
      }
    }
  }
}

/** A ballot of `at`, above those of a first round, that nobody has heard of. */
function outbid(stage: Stage, at: number): void {
  for (let turn = 0; turn < 2; turn++) {
    stage.reboot(at);
    stage.campaign(at);
    stage.sync(at);
  }
}

/** What `at` proposes is accepted by `peers`, and they hear of nothing more. */
function accept(stage: Stage, at: number, ...peers: readonly number[]): void {
  stage.sync(at);
  for (const peer of peers) {
    stage.pass(at, peer, 'accept');
    stage.sync(peer);
    stage.pass(peer, at, 'accepted');
  }
  stage.clear();
}

/** 1 promises 2, restarts, accepts from 0 in the older ballot, and then from 2 (p1, R1). */
function brokenPromise(durable: boolean): void {
  const stage = stageOf(3);
  prepare(stage, 0, 1);
  stage.propose(0);
  stage.sync(0);
  const late = stage.hold(0, 1, 'accept');
  stage.clear();
  stage.campaign(2);
  stage.sync(2);
  stage.pass(2, 1, 'prepare');
  if (durable) stage.sync(1);
  stage.pass(1, 2, 'promise');
  stage.reboot(1);
  stage.release(late);
  stage.sync(1);
  stage.pass(1, 0, 'accepted');
  stage.propose(2);
  accept(stage, 2, 1);
}

/** 1 has promised 2 when a proposal of 0 arrives, of the older ballot (p5, R2). */
function lateAccept(): void {
  const stage = stageOf(3);
  stage.lead(0, 1, 2);
  stage.heal();
  stage.propose(0);
  const late = stage.hold(0, 1, 'accept');
  stage.clear();
  prepare(stage, 2, 1);
  const fresh = stage.hold(2, 1, 'accept');
  stage.release(late);
  accept(stage, 0, 1);
  stage.release(fresh);
  accept(stage, 2, 1);
}

/** 0 votes for its own value, 1 has another chosen, and 0 finds both: the higher ballot's counts (p4, R7). */
function twoVotes(): void {
  const stage = stageOf(3);
  stage.lead(0, 1, 2);
  stage.only(0);
  stage.propose(0);
  stage.sync(0);
  stage.clear();
  stage.heal();
  prepare(stage, 1, 2);
  accept(stage, 1, 2);
  prepare(stage, 0, 2);
  accept(stage, 0, 2);
}

/** 0 restarts after its proposals have left, and before anything of its own was durable (p9, R5). */
function ballotReuse(): void {
  const stage = stageOf(3);
  stage.campaign(0);
  stage.pass(0, 1, 'prepare');
  stage.sync(1);
  stage.pass(1, 0, 'promise');
  stage.propose(0);
  stage.pass(0, 1, 'accept');
  stage.sync(1);
  stage.clear();
  stage.reboot(0);
  prepare(stage, 0, 2);
  stage.propose(0);
  stage.pass(0, 1, 'accept');
}

/** A ballot is prepared by one start of its owner only (R5; 2.11, 7). */
function twoGenerations(): void {
  const stage = stageOf(3);
  const ballots = (): readonly number[] => {
    return stage.read<{ readonly ballot: number }>(stage.hold(0, 1, 'prepare')).map(({ ballot }) => ballot);
  };
  stage.campaign(0);
  const first = ballots();
  stage.reboot(0);
  stage.campaign(0);
  stage.sync(0);
  const second = ballots();
  demand(second.length === 1, 'the script campaigns');
  demand(!first.includes(second[0] as number), 'R5: a ballot is prepared by one start of its owner only');
}

/** x is chosen by 2, 3 and 4. 0 campaigns with 1 alone, whose promise arrives twice (p10): five members. */
function echoedPromise(): void {
  const stage = stageOf(5);
  prepare(stage, 2, 3, 4);
  stage.propose(2);
  accept(stage, 2, 3, 4);
  outbid(stage, 0);
  stage.pass(0, 1, 'prepare');
  stage.sync(1);
  const promise = stage.hold(1, 0, 'promise');
  stage.release(promise);
  stage.release(promise);
  stage.propose(0);
  accept(stage, 0, 1, 3);
}

/** 1 promised 0 long ago; x is chosen by 1 and 2 since; 0 campaigns anew, and the old promise arrives (p11, R3). */
function stalePromise(): void {
  const stage = stageOf(3);
  stage.campaign(0);
  stage.sync(0);
  stage.pass(0, 1, 'prepare');
  stage.sync(1);
  const old = stage.hold(1, 0, 'promise');
  stage.clear();
  prepare(stage, 2, 1);
  stage.propose(2);
  accept(stage, 2, 1);
  outbid(stage, 0);
  stage.clear();
  stage.release(old);
  stage.propose(0);
  accept(stage, 0, 1);
}

/** 1 has slots 2 and 3 chosen by 2; 0 has voted for 3 alone, and fills the gap below (p14). */
function gap(): void {
  const stage = stageOf(3, { ...wideLimits, messageBytes: 1 });
  stage.lead(1, 0, 2);
  stage.heal();
  stage.propose(1);
  stage.hold(1, 0);
  stage.propose(1);
  stage.sync(1);
  stage.pass(1, 0, 'accept');
  stage.sync(0);
  accept(stage, 1, 2);
  prepare(stage, 0, 2);
  accept(stage, 0, 2);
}

/** 2 knows x to be chosen, with the vote of 1; 0, which knows of nothing, leads by the promise of 2 (R6, R8). */
function floor(): void {
  const stage = stageOf(3);
  prepare(stage, 2, 1);
  stage.propose(2);
  accept(stage, 2, 1);
  prepare(stage, 0, 2);
  stage.propose(0);
  accept(stage, 0, 1);
}

/** 1 has three votes to report, in pages of one, and x in the second of them is chosen (R8). */
function pages(): void {
  const stage = stageOf(3, { ...wideLimits, messageBytes: 1 });
  prepare(stage, 2, 1);
  stage.propose(2, 2);
  accept(stage, 2, 1);
  outbid(stage, 0);
  stage.pass(0, 1, 'prepare');
  stage.sync(1);
  stage.pass(1, 0, 'promise');
  stage.propose(0);
  accept(stage, 0, 1);
}

/** Seven members. 1 and 5 accepted x in an old ballot of 0; 0 leads again, with y; they acknowledge now (R11). */
function staleAccepted(): void {
  const stage = stageOf(7);
  stage.lead(0, 1, 2, 3, 4, 5, 6);
  stage.heal();
  stage.propose(0);
  stage.sync(0);
  const old = [1, 5].map((peer) => {
    stage.pass(0, peer, 'accept');
    stage.sync(peer);
    return stage.hold(peer, 0, 'accepted');
  });
  stage.clear();
  prepare(stage, 2, 3, 4, 6);
  accept(stage, 2);
  prepare(stage, 0, 2, 3, 4);
  stage.sync(0);
  old.forEach((accepted) => stage.release(accepted));
  accept(stage, 0, 3);
}

/**
 * Five members. 0 leads and has x accepted by 3; 2 has y chosen in that slot by 1 and 4, and tells 0, which passed y
 * on to it long ago. 0 learns y while it still leads, and tells 3 how far it is (R13).
 */
function contradictedLeader(): void {
  const stage = stageOf(5);
  stage.lead(2, 0, 1, 3, 4);
  stage.heal();
  stage.propose(0);
  const forward = stage.hold(0, 2, 'forward');
  demand(forward.length === 1, 'the script has something to pass on late');
  prepare(stage, 0, 3, 4);
  stage.propose(0);
  stage.sync(0);
  stage.pass(0, 3, 'accept');
  stage.sync(3);
  stage.clear();
  prepare(stage, 2, 1, 4);
  stage.sync(2);
  stage.release(forward);
  stage.sync(2);
  for (const peer of [1, 4]) {
    stage.pass(2, peer, 'accept');
    stage.sync(peer);
    stage.pass(peer, 2, 'accepted');
  }
  stage.pass(2, 0, 'commit');
  stage.pass(0, 2, 'catchUp');
  stage.pass(2, 0, 'catchUpReply');
  stage.clear();
  stage.tick(0);
  stage.pass(0, 3);
}

/** x was acknowledged by 0; 2 leads, has carried x over, and is asked to read before x is chosen anew (2.7). */
function carriedRead(): void {
  const stage = stageOf(3);
  stage.lead(0, 1, 2);
  stage.heal();
  stage.propose(0);
  accept(stage, 0, 1);
  prepare(stage, 2, 1);
  stage.ask(2);
  stage.pass(2, 1, 'heartbeat');
  stage.sync(1);
  stage.pass(1, 2, 'heartbeatReply');
}

/** 0 leads for the second time, deposed without knowing, and an answer of its first time arrives (2.7). */
function staleHeartbeatReply(): void {
  const stage = stageOf(3);
  stage.lead(0, 1, 2);
  stage.ask(0);
  stage.pass(0, 1, 'heartbeat');
  const old = stage.hold(1, 0, 'heartbeatReply');
  demand(old.length > 0, 'the script has something to be late');
  stage.flow();
  stage.lead(1, 0, 2);
  stage.lead(0, 1, 2);
  stage.lead(1, 2);
  stage.propose(1);
  stage.flow(6);
  stage.ask(0);
  stage.heal();
  stage.release(old);
}

/** A read round is under way when the leader is deposed; another read arrives, and then the answer to the round. */
function lateReader(): void {
  const stage = stageOf(3);
  stage.lead(0, 1, 2);
  stage.ask(0);
  stage.pass(0, 1, 'heartbeat');
  const answer = stage.hold(1, 0, 'heartbeatReply');
  stage.lead(1, 2);
  stage.propose(1);
  stage.flow(6);
  stage.ask(0);
  stage.heal();
  stage.release(answer);
}

/** 0 and 1 have x accepted; 0 restarts, leads by the promise of 2, which has not, and must find x on its own disk. */
function ownVote(): void {
  const stage = stageOf(3);
  prepare(stage, 0, 1);
  stage.propose(0);
  accept(stage, 0, 1);
  prepare(stage, 0, 2);
  stage.propose(0);
  accept(stage, 0, 2);
}

/** What 0 proposes is durable at 1, and not yet at 0 (R15). */
function unsyncedLeader(): void {
  const stage = stageOf(3);
  stage.lead(0, 1, 2);
  stage.heal();
  stage.propose(0);
  stage.pass(0, 1, 'accept');
  stage.sync(1);
  stage.pass(1, 0, 'accepted');
}

/** 1 has accepted slot 3, and slot 2 is still on its way (R11). */
function beyondGap(): void {
  const stage = stageOf(3);
  stage.lead(0, 1, 2);
  stage.heal();
  stage.propose(0);
  stage.hold(0, 1, 'accept');
  stage.propose(0);
  accept(stage, 0, 1);
}

/** 2 was not asked to promise, and accepts (R2). */
function unaskedAcceptor(): void {
  const stage = stageOf(3);
  prepare(stage, 0, 1);
  accept(stage, 0, 2);
}

/** Five members. 1 has accepted x of an old ballot; 2 says that its slot is chosen, which is another value (R12). */
function wordOfAnotherBallot(): void {
  const stage = stageOf(5);
  stage.lead(0, 1, 2, 3, 4);
  stage.heal();
  stage.propose(0);
  stage.pass(0, 1, 'accept');
  stage.sync(1);
  stage.clear();
  prepare(stage, 2, 3, 4);
  accept(stage, 2, 3, 4);
  stage.tick(2);
  stage.pass(2, 1, 'heartbeat');
}

/** A proposal is made twice, while it is under way, as one that may have been sent before (d16). */
function retry(): void {
  const stage = stageOf(3);
  stage.lead(0, 1, 2);
  const before = stage.cluster.observer.committed.length;
  stage.propose(0);
  stage.retry(0);
  stage.flow(6);
  const copies = stage.cluster.observer.committed.length - before;
  demand(copies === 1, 'what stands in the log is not appended again', () => copies);
}

/** By name, for the tables. */
export const paxosScripts = {
  'multipaxos: broken promise': () => brokenPromise(true),
  'multipaxos: promise told before it is durable': () => brokenPromise(false),
  'multipaxos: late accept': lateAccept,
  'multipaxos: two votes': twoVotes,
  'multipaxos: ballot reuse': ballotReuse,
  'multipaxos: two generations': twoGenerations,
  'multipaxos: promise arrives twice': echoedPromise,
  'multipaxos: stale promise': stalePromise,
  'multipaxos: gap': gap,
  'multipaxos: floor': floor,
  'multipaxos: pages': pages,
  'multipaxos: stale accepted': staleAccepted,
  'multipaxos: contradicted leader': contradictedLeader,
  'multipaxos: carried read': carriedRead,
  'multipaxos: stale heartbeat reply': staleHeartbeatReply,
  'multipaxos: late reader': lateReader,
  'multipaxos: own vote': ownVote,
  'multipaxos: unsynced leader': unsyncedLeader,
  'multipaxos: beyond a gap': beyondGap,
  'multipaxos: unasked acceptor': unaskedAcceptor,
  'multipaxos: word of another ballot': wordOfAnotherBallot,
  'multipaxos: retry': retry,
} as const;
