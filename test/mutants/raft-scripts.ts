/** Raft's schedules that chance hardly ever finds, and those that tell their rule best. Members are 0, 1, 2 …. */

import { demand } from '../support/checks.js';
import { protocols } from '../support/protocols.js';
import { timing } from '../support/values.js';
import { oneByOne, Stage } from './stage.js';

const [, protocol] = protocols[0] as (typeof protocols)[number];

/** Whoever of the two voted for the first restarts, and is asked by the second in the same term (m5, m7c). */
function voteAmnesia(durable: boolean): void {
  const stage = new Stage({ protocol, size: 3 });
  stage.campaign(0);
  stage.sync(0);
  stage.pass(0, 1);
  if (durable) stage.sync(1);
  stage.pass(1, 0);
  stage.clear();
  stage.reboot(1);
  stage.campaign(2);
  stage.sync(2);
  stage.pass(2, 1);
  stage.sync(1);
  stage.pass(1, 2);
}

/** Two candidates of one term, each with the vote of one other, that arrives twice (m12): five members. */
function echoedVotes(): void {
  const stage = new Stage({ protocol, size: 5 });
  for (const [candidate, voter] of [[0, 1], [2, 3]] as const) {
    stage.campaign(candidate);
    stage.sync(candidate);
    stage.pass(candidate, voter);
    stage.sync(voter);
    const votes = stage.hold(voter, candidate);
    stage.release(votes);
    stage.release(votes);
  }
}

/**
 * A candidate whose log ends in what is not yet durable asks for votes before its term is (m7d). It restarts without
 * either, asks again in the same term, and gets the vote that was for the longer log.
 */
function earlyRequest(): void {
  const stage = new Stage({ protocol, size: 3 });
  stage.lead(1, 0, 2);
  stage.propose(1);
  stage.sync(1);
  stage.pass(1, 0);
  stage.pass(1, 2);
  stage.sync(2);
  stage.pass(2, 1);
  stage.clear();
  stage.campaign(0);
  stage.pass(0, 2);
  stage.sync(2);
  const votes = stage.hold(2, 0);
  stage.reboot(0);
  stage.campaign(0);
  stage.sync(0);
  stage.release(votes);
  stage.flow(8);
}

/** `at` campaigns among `peers` until it leads, and nothing of its leading arrives yet. */
function canvass(stage: Stage, at: number, peers: readonly number[]): void {
  stage.only(at, ...peers);
  for (let turn = 0; turn < 4 && stage.role(at) !== 'leader'; turn++) {
    stage.campaign(at);
    stage.sync(at);
    for (const peer of peers) {
      stage.pass(at, peer, 'requestVote');
      stage.sync(peer);
      stage.pass(peer, at, 'requestVoteReply');
    }
  }
  demand(stage.role(at) === 'leader', 'the script gets its leader');
}

/**
 * Figure 8 of the paper: (a) 0 leads and gives its entry to 1; (b) 4 leads by the votes of 2 and 3; (c) 0 leads again
 * and gives the old entry to 2, a majority; (d) 4 leads again and overwrites it.
 */
function figure8(): void {
  const stage = new Stage({ protocol, size: 5, limits: oneByOne });
  stage.lead(0, 1, 2, 3, 4);
  stage.only(0, 1);
  stage.propose(0);
  stage.flow(6);
  stage.clear();
  canvass(stage, 4, [2, 3]);
  stage.sync(4);
  stage.clear();
  stage.reboot(0);
  canvass(stage, 0, [1, 2, 3]);
  const last = (): number => stage.cluster.status(stage.host(2)).last;
  for (let turn = 0; turn < 8 && last() < 2; turn++) {
    for (const peer of [1, 2]) {
      stage.pass(0, peer);
      stage.sync(peer);
      stage.pass(peer, 0);
    }
  }
  demand(last() === 2, 'the script reaches (c)');
  stage.clear();
  stage.reboot(4);
  canvass(stage, 4, [2, 3]);
  stage.heal();
  stage.calm();
}

/** A follower that knows its leader, and not yet where their logs agree, learns the commit index with a read (m21b). */
function unmatchedRead(): void {
  const stage = new Stage({ protocol, size: 3 });
  stage.lead(0, 1, 2);
  stage.only();
  stage.propose(0, 2);
  stage.sync(0);
  stage.lead(1, 2);
  stage.propose(1, 2);
  stage.flow(6);
  stage.heal();
  stage.clear();
  stage.tick(1);
  stage.passFirst(1, 0);
  stage.sync(0);
  stage.clear();
  stage.ask(0);
  stage.pass(0, 1);
  stage.pass(1, 2);
  stage.sync(2);
  stage.pass(2, 1);
  stage.pass(1, 0, 'readAnswer');
}

/**
 * Five members. The first leads and the second holds all its entries; both logs are cut by another leader; the first
 * leads again, and an acknowledgement of its first term arrives (m23).
 */
function staleAcknowledgement(): void {
  const stage = new Stage({ protocol, size: 5 });
  stage.lead(0, 1, 2, 3, 4);
  stage.only(0, 1);
  stage.propose(0, 3);
  stage.sync(0);
  stage.pass(0, 1);
  stage.sync(1);
  const old = stage.hold(1, 0);
  stage.lead(2, 3, 4);
  stage.heal();
  stage.calm(4 * timing.heartbeat);
  stage.lead(0, 1, 2);
  stage.clear();
  stage.only(0, 2);
  stage.propose(0, 3);
  stage.sync(0);
  stage.pass(0, 2);
  stage.sync(2);
  stage.heal();
  stage.release(old);
  stage.pass(2, 0);
}

/**
 * Five members. 1 has a tail of an old term that was never committed; the leader of the next appends one entry, given
 * to 3 alone, and 1 agrees with the beginning of its log (m22).
 */
function longTail(): void {
  const stage = new Stage({ protocol, size: 5 });
  stage.lead(0, 1, 2, 3, 4);
  stage.only(0, 1);
  stage.propose(0, 3);
  stage.sync(0);
  stage.pass(0, 1);
  stage.sync(1);
  stage.clear();
  canvass(stage, 2, [3, 4]);
  stage.sync(2);
  stage.heal();
  stage.pass(2, 3, 'appendEntries');
  stage.sync(3);
  stage.tick(2);
  stage.passFirst(2, 1);
  stage.sync(1);
  stage.pass(1, 2, 'appendAccepted');
  stage.pass(3, 2, 'appendAccepted');
}

/** A leader of the third term, deposed without knowing, gets the confirmation of a read round of its first (m26b). */
function staleConfirmation(): void {
  const stage = new Stage({ protocol, size: 3 });
  stage.lead(0, 1, 2);
  stage.ask(0);
  stage.pass(0, 1);
  const old = stage.hold(1, 0, 'roundConfirmed');
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

/** A read round is under way when the leader is deposed; another read arrives, and then the answer to the round (m26). */
function lateReader(): void {
  const stage = new Stage({ protocol, size: 3 });
  stage.lead(0, 1, 2);
  stage.ask(0);
  stage.pass(0, 1);
  const answer = stage.hold(1, 0, 'roundConfirmed');
  stage.lead(1, 2);
  stage.propose(1);
  stage.flow(6);
  stage.ask(0);
  stage.heal();
  stage.release(answer);
}

/** A leader that hears nobody, while everybody hears it, gives up (CheckQuorum); the others can go on (m32b). */
function deafLeader(): void {
  const stage = new Stage({ protocol, size: 3 });
  stage.lead(0, 1, 2);
  stage.heal();
  stage.cluster.cut.add(1 * 8 + 0).add(2 * 8 + 0);
  const gone = (): boolean => stage.role(0) !== 'leader';
  demand(stage.calm(10 * timing.electionMax, gone), 'L1: a leader that no majority answers steps down');
}

/** A proposal is made twice, while it is under way, as one that may have been sent before (d16). */
function retry(): void {
  const stage = new Stage({ protocol, size: 3 });
  stage.lead(0, 1, 2);
  const before = stage.cluster.observer.committed.length;
  stage.propose(0);
  stage.retry(0);
  stage.flow(6);
  const copies = stage.cluster.observer.committed.length - before;
  demand(copies === 1, 'what stands in the log is not appended again', () => copies);
}

/** By name, for the tables. */
export const raftScripts = {
  'raft: vote amnesia': () => voteAmnesia(true),
  'raft: vote told before it is durable': () => voteAmnesia(false),
  'raft: votes arrive twice': echoedVotes,
  'raft: early request': earlyRequest,
  'raft: figure 8': figure8,
  'raft: unmatched read': unmatchedRead,
  'raft: stale acknowledgement': staleAcknowledgement,
  'raft: stale confirmation': staleConfirmation,
  'raft: long tail': longTail,
  'raft: late reader': lateReader,
  'raft: deaf leader': deafLeader,
  'raft: retry': retry,
} as const;
