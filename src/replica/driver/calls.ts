/**
 * The books of this replica's own callers. A command waits until a leader is known and our origin is open, is
 * proposed with the next counter, and is answered where it is applied; when an attempt ends without that, it is
 * proposed again under the same id until its caller's time is over, which is safe because the request table lets
 * it take effect once. Reads that wait together are asked for together.
 *
 * Who fails gets `none` only if no attempt ever left the books as unknown.
 */

import type { Entry, Milliseconds, Outcome, Proposal, RequestNumber } from '../../core/protocol.js';
import type { DriverDraft } from './draft.js';
import type { PendingCall, PendingCommand, DriverState, Failure, ReadBatch } from './state.js';
import { encodeSessionOpening, type StoredResult } from './session-table.js';

/** What a proposal costs beside its data in a message to the leader, generously. */
const FORWARD_OVERHEAD = 48;

/** How long a refusal pauses proposals and reads. */
const REFUSAL_PAUSE: Milliseconds = 20;

/**
 * What is sent may be lost, and a place in the log of a leader that was deposed may never be filled: an attempt that
 * takes so many times the longest election timeout is ended, and made again.
 */
const ATTEMPT_TIMEOUTS = 2;

function attemptDeadline({ now, options }: DriverState): Milliseconds {
  return now + ATTEMPT_TIMEOUTS * options.timing.electionMax;
}

/** In place of the read by which a leader proves after a pause that it still leads: ask again at the next tick. */
export const CONFIRMING_FAILED = -1;

/**
 * In place of an opening that the core took for committed: it goes by ids, and the openings of two replicas can have
 * the same. If ours is not among what is applied then, we open again.
 */
const OPENING_COMMITTED = -1;

const BUSY: Failure = { code: 'ERR_BUSY', outcome: 'none', message: 'too many requests are waiting on this replica' };

function waiting(state: DriverState): number {
  return state.queued.length + state.underway.length + state.queuedReads.length + state.readBatches.length;
}

/** Why nothing can be asked of this replica any more; `null` while it can. */
export function refusalOf(state: DriverState): Failure | null {
  switch (state.phase) {
    case 'establishing':
    case 'running':
      return null;
    case 'stopped':
      return { code: 'ERR_CLOSED', outcome: 'none', message: 'the replica is closed' };
    case 'lostIdentity':
      return {
        code: 'ERR_LOST_IDENTITY',
        outcome: 'none',
        message: 'this replica lost its disk; its peers know it by other data, and it takes no part',
      };
    case 'halted':
      return { code: state.faultCode, outcome: 'none', message: `the replica has halted: ${state.fault ?? ''}` };
  }
}

function noteExpiry(draft: DriverDraft, calls: readonly PendingCall[]): void {
  for (const { deadline } of calls) draft.next.nextExpiry = Math.min(draft.next.nextExpiry, deadline);
}

/** How many of `count` new calls there is room for. */
function roomFor(draft: DriverDraft, count: number): number {
  return Math.max(0, Math.min(count, draft.next.options.maxWaiting - waiting(draft.next)));
}

export function onPropose(draft: DriverDraft, given: readonly (PendingCall & { readonly data: Uint8Array })[]): void {
  const refusal = refusalOf(draft.next);
  if (refusal !== null) return draft.fail(given, refusal);
  const room = roomFor(draft, given.length);
  if (room < given.length) draft.fail(given.slice(room), BUSY);
  const fresh = given.slice(0, room).map(({ call, deadline, data }) => unsent(call, deadline, data));
  draft.next.queued = [...draft.next.queued, ...fresh];
  noteExpiry(draft, fresh);
}

function unsent(call: number, deadline: Milliseconds, data: Uint8Array): PendingCommand {
  return { call, deadline, data, sequence: 0, request: 0, mayHaveTakenEffect: false };
}

export function onRead(draft: DriverDraft, given: readonly PendingCall[], minIndex: number | null): void {
  const refusal = refusalOf(draft.next);
  if (refusal !== null) return draft.fail(given, refusal);
  const calls = given.slice(0, roomFor(draft, given.length));
  if (calls.length < given.length) draft.fail(given.slice(calls.length), BUSY);
  if (calls.length === 0) return;
  noteExpiry(draft, calls);
  if (minIndex === null) draft.next.queuedReads = [...draft.next.queuedReads, ...calls];
  else draft.next.readBatches = [...draft.next.readBatches, { request: 0, index: minIndex, calls }];
}

/** Feeds the core whatever can be fed: called once at the end of every event. */
export function feedCalls(draft: DriverDraft): void {
  const { next } = draft;
  if (next.phase !== 'running' || next.leader === null || next.now < next.pausedUntil) return;
  if (next.session === 0) openSession(draft);
  else if (next.queued.length > 0) propose(draft);
  if (next.queuedReads.length > 0) {
    const request = draft.freshRequest();
    next.readBatches = [...next.readBatches, { request, index: 0, calls: next.queuedReads }];
    next.queuedReads = [];
    draft.toCore({ kind: 'read', now: draft.now, request, deadline: attemptDeadline(next) });
  }
}

function openSession(draft: DriverDraft): void {
  const { next } = draft;
  const isAnothers = next.openingRequest === OPENING_COMMITTED && next.applying === null && next.backlog.length === 0;
  if (next.openingRequest !== 0 && !isAnothers) return;
  next.openingRequest = draft.freshRequest();
  const { id, incarnation, boot } = next.options;
  const data = encodeSessionOpening({ id, incarnation, boot });
  const entryId = { session: 0, sequence: next.openingRequest, firstIncomplete: 0 };
  const proposal: Proposal = { request: next.openingRequest, kind: 'openSession', id: entryId, data, retry: false };
  draft.toCore({ kind: 'propose', now: draft.now, proposals: [proposal], deadline: attemptDeadline(next) });
}

/** The lowest counter that is still waited for, if any. */
function firstIncompleteOf(state: DriverState): number {
  const underway = state.underway[0]?.sequence ?? Infinity;
  const queued = state.queued[0]?.sequence ?? 0;
  const firstIncomplete = Math.min(underway, queued === 0 ? Infinity : queued);
  return firstIncomplete === Infinity ? state.nextSequence : firstIncomplete;
}

function propose(draft: DriverDraft): void {
  const { next } = draft;
  const firstIncomplete = firstIncompleteOf(next);
  const end = firstIncomplete + next.options.configuration.constants.sessionWindow;
  const proposals: Proposal[] = [];
  const sent: PendingCommand[] = [];
  for (const command of next.queued) {
    const sequence = command.sequence === 0 ? next.nextSequence : command.sequence;
    if (sequence >= end) break;
    if (command.sequence === 0) next.nextSequence += 1;
    const request = draft.freshRequest();
    const { call, deadline, data, mayHaveTakenEffect } = command;
    sent.push({ call, deadline, data, sequence, request, mayHaveTakenEffect });
    const id = { session: next.session, sequence, firstIncomplete };
    proposals.push({ request, kind: 'command', id, data, retry: mayHaveTakenEffect });
  }
  if (proposals.length === 0) return;
  next.queued = next.queued.slice(proposals.length);
  next.underway = inOrder(next.underway, sent);
  feed(draft, proposals);
}

/** In one go to ourselves as leader; in parts of a message's size where they have to travel, or none would arrive. */
function feed(draft: DriverDraft, proposals: readonly Proposal[]): void {
  const { next, now } = draft;
  const most = next.role === 'leader' ? Infinity : next.options.limits.messageBytes;
  const deadline = attemptDeadline(next);
  for (let from = 0; from < proposals.length; ) {
    let bytes = 0;
    let to = from;
    do bytes += FORWARD_OVERHEAD + (proposals[to++] as Proposal).data.length;
    while (to < proposals.length && bytes + FORWARD_OVERHEAD + (proposals[to] as Proposal).data.length <= most);
    const part = from === 0 && to === proposals.length ? proposals : proposals.slice(from, to);
    draft.toCore({ kind: 'propose', now, proposals: part, deadline });
    from = to;
  }
}

/** By counter; almost always the second list simply follows the first. */
function inOrder(a: readonly PendingCommand[], b: readonly PendingCommand[]): readonly PendingCommand[] {
  const last = a[a.length - 1];
  const all = a.concat(b);
  if (last === undefined || b[0] === undefined || last.sequence < b[0].sequence) return all;
  return all.sort((x, y) => x.sequence - y.sequence);
}

/** The core ended these requests. What is committed is answered where it is applied. */
export function onResolve(draft: DriverDraft, requests: readonly RequestNumber[], outcome: Outcome): void {
  const { next } = draft;
  if (outcome.kind === 'committed') {
    if (requests.includes(next.openingRequest)) next.openingRequest = OPENING_COMMITTED;
    return;
  }
  if (outcome.reason !== 'superseded' && outcome.reason !== 'cancelled') {
    next.pausedUntil = Math.max(next.pausedUntil, next.now + REFUSAL_PAUSE);
  }
  const ended = new Set(requests);
  if (ended.has(next.openingRequest)) next.openingRequest = 0;
  const groups = next.readBatches.filter((group) => group.request !== 0 && ended.has(group.request));
  if (groups.length > 0) {
    next.readBatches = next.readBatches.filter((group) => !groups.includes(group));
    next.queuedReads = [...groups.flatMap((group) => group.calls), ...next.queuedReads];
  }
  if (ended.has(next.confirming)) next.confirming = CONFIRMING_FAILED;
  const back = next.underway.filter((command) => ended.has(command.request));
  if (back.length === 0) return;
  const mayHaveTakenEffect = outcome.kind === 'unknown';
  next.underway = next.underway.filter((command) => !ended.has(command.request));
  requeue(
    draft,
    back.map((command) => ({
      ...command,
      request: 0,
      mayHaveTakenEffect: mayHaveTakenEffect || command.mayHaveTakenEffect,
    })),
  );
}

/** Those with a counter come first, in its order: `firstIncomplete` must not pass them. */
function requeue(draft: DriverDraft, commands: readonly PendingCommand[]): void {
  const { queued } = draft.next;
  const fresh = queued.findIndex((command) => command.sequence === 0);
  const known = fresh === -1 ? queued : queued.slice(0, fresh);
  draft.next.queued = [...inOrder(known, commands), ...queued.slice(known.length)];
}

export function onReadReady(draft: DriverDraft, request: RequestNumber, index: number): void {
  const { next } = draft;
  if (request === next.confirming) next.confirming = 0;
  next.readBatches = next.readBatches.map((group) =>
    group.request === request ? { request: 0, index, calls: group.calls } : group,
  );
}

/** Serves the reads that need no more than what is applied. */
export function serveReads(draft: DriverDraft): void {
  const { next } = draft;
  const isDue = (group: ReadBatch): boolean => group.request === 0 && group.index <= next.applied;
  if (!next.readBatches.some(isDue)) return;
  for (const group of next.readBatches) if (isDue(group)) draft.serve(group.calls, next.applied);
  next.readBatches = next.readBatches.filter((group) => !isDue(group));
}

/** These commands were applied: whoever of ours waits for one is answered. */
export function answered(draft: DriverDraft, commands: readonly Entry[], results: readonly StoredResult[]): void {
  const { next } = draft;
  const sequences = new Map<number, number>();
  commands.forEach((entry, at) => {
    if (entry.id !== null && entry.id.session === next.session) sequences.set(entry.id.sequence, at);
  });
  if (sequences.size === 0 || next.session === 0) return;
  const cancelled: RequestNumber[] = [];
  const keep = (command: PendingCommand, underway: boolean): boolean => {
    const at = sequences.get(command.sequence);
    if (at === undefined) return true;
    draft.answer(command, results[at] as StoredResult, (commands[at] as Entry).index);
    if (underway && command.mayHaveTakenEffect) cancelled.push(command.request);
    return false;
  };
  next.underway = next.underway.filter((command) => keep(command, true));
  if ((next.queued[0]?.sequence ?? 0) > 0) next.queued = next.queued.filter((command) => keep(command, false));
  if (cancelled.length > 0) draft.toCore({ kind: 'cancel', now: draft.now, requests: cancelled });
}

/**
 * Our origin was dropped from the table, by an entry that we applied ourselves: what we have not met so far can
 * never take effect under the old number, so all of it is proposed anew under the next.
 */
export function sessionLost(draft: DriverDraft): void {
  const { next } = draft;
  const requests = next.underway.map((command) => command.request);
  if (requests.length > 0) draft.toCore({ kind: 'cancel', now: draft.now, requests });
  const all = [...next.underway, ...next.queued];
  next.underway = [];
  next.queued = all.map(({ call, deadline, data }) => unsent(call, deadline, data));
  next.session = 0;
  next.openingRequest = 0;
}

function endedBy(command: PendingCommand, sent: boolean, cancelled: boolean): Failure {
  if (sent || command.mayHaveTakenEffect) {
    const message = 'the wait has ended, and the command may still take effect';
    return { code: 'ERR_OUTCOME_UNKNOWN', outcome: 'unknown', message };
  }
  if (cancelled) return { code: 'ERR_TIMEOUT', outcome: 'none', message: 'the command was never sent' };
  return { code: 'ERR_NO_LEADER', outcome: 'none', message: 'no leader was known in time; the command was never sent' };
}

/** Ends every call for which `ends` holds, as `failure` says or by what its attempts may have done. */
function endCalls(
  draft: DriverDraft,
  ends: (call: PendingCall) => boolean,
  failure: Failure | null,
  cancelled: boolean,
): void {
  const { next } = draft;
  const requests: RequestNumber[] = [];
  const sweep = (commands: readonly PendingCommand[], sent: boolean): readonly PendingCommand[] => {
    const gone = commands.filter(ends);
    if (gone.length === 0) return commands;
    for (const command of gone) {
      const own = endedBy(command, sent, cancelled);
      draft.fail([command], failure === null ? own : { ...failure, outcome: own.outcome });
      if (sent) requests.push(command.request);
    }
    return commands.filter((command) => !ends(command));
  };
  next.underway = sweep(next.underway, true);
  next.queued = sweep(next.queued, false);
  // A read never has an effect, whatever ends it.
  const timeout = { code: 'ERR_TIMEOUT', message: 'the read was not served in time' } as const;
  const late: Failure = { ...timeout, ...failure, outcome: 'none' };
  draft.fail(next.queuedReads.filter(ends), late);
  next.queuedReads = next.queuedReads.filter((call) => !ends(call));
  if (next.readBatches.some((group) => group.calls.some(ends))) {
    for (const group of next.readBatches) draft.fail(group.calls.filter(ends), late);
    const left = next.readBatches.map((group) => ({ ...group, calls: group.calls.filter((call) => !ends(call)) }));
    for (const group of left) if (group.calls.length === 0 && group.request !== 0) requests.push(group.request);
    next.readBatches = left.filter((group) => group.calls.length > 0);
  }
  if (requests.length > 0) draft.toCore({ kind: 'cancel', now: draft.now, requests });
}

/** The callers have gone. */
export function onCancel(draft: DriverDraft, calls: readonly number[]): void {
  const gone = new Set(calls);
  endCalls(draft, (call) => gone.has(call.call), null, true);
}

/** Ends every call: the replica stops, or has halted. */
export function endAll(draft: DriverDraft, failure: Failure): void {
  endCalls(draft, () => true, failure, false);
}

/** Ends the calls whose time is over. */
export function expireCalls(draft: DriverDraft): void {
  const { next } = draft;
  if (next.now < next.nextExpiry) return;
  endCalls(draft, (call) => call.deadline <= next.now, null, false);
  let expiry = Infinity;
  const look = (call: PendingCall): void => void (expiry = Math.min(expiry, call.deadline));
  next.underway.forEach(look);
  next.queued.forEach(look);
  next.queuedReads.forEach(look);
  for (const group of next.readBatches) group.calls.forEach(look);
  next.nextExpiry = expiry;
}
