/**
 * Linearizable reads by ReadIndex (Raft thesis 6.4). R is the highest of W, the floor, and every vote that Phase 1
 * reported: what another leader may have had chosen, and no read may miss (reads/above-all-reported).
 * A majority then answers a round begun after the read arrived, with no promise above the leader's ballot.
 */

import type { Index, Read } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { majorityReached } from '../core/quorum.js';
import { beginReadRound, confirmReadRound, queueRead, type LeaderRead, type ReadRound } from '../core/reads.js';
import type { PaxosDraft } from './draft.js';
import { onHeartbeatReply, sendHeartbeats } from './election.js';
import { adopt } from './learner.js';
import type { HeartbeatReply, ReadIndex, ReadIndexReply } from './messages.js';
import { commitOf, leaderOf, type PaxosLeader } from './state.js';

/** R, for a read that arrived before now. `noopIndex` - 1 is the highest of the floor and all votes of Phase 1. */
function readIndex(draft: PaxosDraft, lead: PaxosLeader): Index {
  return Math.max(commitOf(draft.state), lead.noopIndex - 1);
}

/** A new round for what waits, unless one is under way. */
function tryReadRound(draft: PaxosDraft): void {
  const lead = draft.ownLeader();
  if (lead.reads.begun.length > 0 || lead.reads.waiting.length === 0) return;
  lead.reads = beginReadRound(lead.reads, readIndex(draft, lead));
  sendHeartbeats(draft);
  if (lead.peers.length === 0) serveConfirmed(draft);
}

function serve(draft: PaxosDraft, { index, reads }: ReadRound): void {
  const { ballot } = draft.state.role as PaxosLeader;
  const commit = commitOf(draft.state);
  for (const { peer, request, forward } of reads) {
    if (peer === null) draft.readReady(request, index);
    else draft.send(peer, { kind: 'readIndexReply', number: forward, index, ballot, commit }, 0, 'control');
  }
}

/** Serves the rounds that a majority has answered, the leader's own acceptor included. */
function serveConfirmed(draft: PaxosDraft): void {
  const { reads, peers } = draft.state.role as PaxosLeader;
  if (reads.begun.length === 0) return;
  const rounds = [reads.readRound];
  for (const { readRound } of peers) rounds.push(readRound);
  const [queue, served] = confirmReadRound(reads, majorityReached(rounds));
  if (served.length === 0) return;
  draft.ownLeader().reads = queue;
  for (const readRound of served) serve(draft, readRound);
  tryReadRound(draft);
}

/** An answer that may complete a round. */
export function onHeartbeatAnswer(draft: PaxosDraft, from: ReplicaId, m: HeartbeatReply): void {
  if (onHeartbeatReply(draft, from, m)) serveConfirmed(draft);
}

function queue(draft: PaxosDraft, read: LeaderRead): void {
  const lead = draft.ownLeader();
  lead.reads = queueRead(lead.reads, read);
  tryReadRound(draft);
}

/** The host asks for a read: queued at the leader, passed on elsewhere. */
export function onRead(draft: PaxosDraft, m: Read): void {
  const { request, deadline } = m;
  const leader = leaderOf(draft.state);
  if (deadline <= draft.now) return draft.resolve([request], { kind: 'none', reason: 'deadline', leader });
  if (leader === null) return draft.resolve([request], { kind: 'none', reason: 'noLeader', leader });
  if (draft.state.role.kind === 'leader') return queue(draft, { request, peer: null, forward: 0, deadline });
  const forward = draft.freshNumber();
  draft.setReads([...draft.state.reads, { request, forward, deadline }]);
  draft.send(leader, { kind: 'readIndex', number: forward }, 0, 'control');
}

/** A follower passes a read on. */
export function onReadIndex(draft: PaxosDraft, from: ReplicaId, m: ReadIndex): void {
  if (draft.state.role.kind === 'leader') {
    return queue(draft, { request: 0, peer: from, forward: m.number, deadline: Infinity });
  }
  const leader = leaderOf(draft.state);
  draft.send(from, { kind: 'refused', number: m.number, reason: 'notLeader', leader }, 0, 'control');
}

/** The leader's answer: the read may be served from there on. W comes along, and is adopted for votes in its ballot. */
export function onReadIndexReply(draft: PaxosDraft, from: ReplicaId, m: ReadIndexReply): void {
  adopt(draft, from, m.ballot, m.commit);
  const { reads } = draft.state;
  const read = reads.find((each) => each.forward === m.number);
  if (read === undefined) return;
  draft.setReads(reads.filter((each) => each !== read));
  draft.readReady(read.request, m.index);
}
