/**
 * Quorum reads (Charapko, Ailijiani and Demirbas, "Linearizable Quorum Reads in Paxos", HotStorage 2019): any replica
 * asks all others for the highest slot that they have voted for. What was acknowledged before was voted for by a
 * majority, and any two majorities share a member, so the highest slot that a majority names lies at or above it. The
 * read is served once everything up to there is chosen and applied here (reads/quorum-names-highest). Clocks have no
 * part in that, and leaders have none.
 *
 * A slot that only a lost proposer's vote stands in may never be chosen by itself, and answers may be lost. A read that
 * is not served within the smallest election timeout is asked of the leader instead, like any other one
 * (reads/quorum-falls-back).
 */

import { onRead } from '../core/reads.js';
import type { ReplicaId } from '../core/members.js';
import type { Index, Milliseconds, Read, RequestNumber } from '../core/protocol.js';
import { majority } from '../core/quorum.js';
import { leaderOf, sizeOf } from '../core/state.js';
import type { PaxosDraft } from './draft.js';
import type { AskSlots, Slots } from './messages.js';
import { readRules } from './reads.js';
import { commitOf, type PaxosState } from './state.js';
import { lastVote } from './window.js';

/** A quorum read of the own host that is not served yet. */
export interface QuorumRead {
  readonly request: RequestNumber;
  /** The number of the question. */
  readonly number: number;
  /** Who has answered, each once. */
  readonly answered: readonly ReplicaId[];
  /** The highest slot named so far, by this replica or another one. */
  readonly index: Index;
  /** When the leader is asked instead. */
  readonly retryAt: Milliseconds;
  /** The deadline that the host gave. */
  readonly until: Milliseconds;
}

/** The highest slot that this replica voted for, or knows to be chosen. */
function highestSlot(state: PaxosState): Index {
  return Math.max(commitOf(state), lastVote(state.window));
}

/** The host asks for a quorum read. */
export function onQuorumRead(draft: PaxosDraft, { request, deadline }: Read): void {
  const { state, now } = draft;
  const { others, timing } = state.options;
  if (deadline <= now) return draft.refuse([request], 'deadline', leaderOf(state));
  const number = draft.freshNumber();
  const retryAt = Math.min(deadline, now + timing.electionMin);
  const read = { request, number, answered: [], index: highestSlot(state), retryAt, until: deadline };
  draft.setQuorumReads([...state.quorumReads, read]);
  for (const { id } of others) draft.send(id, { kind: 'askSlots', number }, 0, 'control');
}

/** Another replica asks. It is told of votes that are not durable yet, too: that only makes it wait for more. */
export function onAskSlots(draft: PaxosDraft, from: ReplicaId, { number }: AskSlots): void {
  draft.send(from, { kind: 'slots', number, highest: highestSlot(draft.state) }, 0, 'control');
}

/** Another replica has answered. */
export function onSlots(draft: PaxosDraft, from: ReplicaId, { number, highest }: Slots): void {
  const { quorumReads } = draft.state;
  const read = quorumReads.find((each) => each.number === number);
  if (read === undefined || read.answered.includes(from)) return;
  const index = Math.max(read.index, highest);
  const answered = { ...read, answered: [...read.answered, from], index };
  draft.setQuorumReads(quorumReads.map((each) => (each === read ? answered : each)));
}

/** At the end of every step: serves the reads that a majority has answered, and whose slots are all chosen. */
export function serveQuorumReads(draft: PaxosDraft): void {
  const { quorumReads, options } = draft.state;
  if (quorumReads.length === 0) return;
  const needed = majority(sizeOf(options)) - 1;
  const isServed = ({ answered, index }: QuorumRead): boolean =>
    answered.length >= needed && commitOf(draft.state) >= index;
  const served = quorumReads.filter(isServed);
  if (served.length === 0) return;
  draft.setQuorumReads(quorumReads.filter((each) => !isServed(each)));
  for (const { request, index } of served) draft.readReady(request, index);
}

/** At a tick: asks the leader for what was not served in time. */
export function retryQuorumReads(draft: PaxosDraft): void {
  const { now, state } = draft;
  const due = state.quorumReads.filter(({ retryAt }) => retryAt <= now);
  if (due.length === 0) return;
  draft.setQuorumReads(state.quorumReads.filter(({ retryAt }) => retryAt > now));
  for (const { request, until } of due) onRead(draft, readRules, { kind: 'read', now, request, deadline: until });
}

/** The host cancels these requests. */
export function cancelQuorumReads(draft: PaxosDraft, requests: readonly RequestNumber[]): void {
  const { quorumReads } = draft.state;
  const ended = quorumReads.filter(({ request }) => requests.includes(request));
  if (ended.length === 0) return;
  draft.setQuorumReads(quorumReads.filter((each) => !ended.includes(each)));
  draft.refuse(
    ended.map(({ request }) => request),
    'cancelled',
    null,
  );
}

/** When the next read is asked of the leader. */
export function quorumReadsDeadline({ quorumReads }: PaxosState): Milliseconds {
  return quorumReads.reduce((due, { retryAt }) => Math.min(due, retryAt), Infinity);
}
