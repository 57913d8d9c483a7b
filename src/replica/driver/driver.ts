/**
 * The driver: everything of the host that decides order, and nothing that waits. It feeds the core, runs the
 * persist lane, keeps the request table and the callers' books, and establishes the replica's identity. It is a
 * function of values like the core itself; the shell does what it says and reports what happened.
 */

import { unreachable } from '../../core/assert.js';
import { Malformed } from '../../core/bytes.js';
import type { CoreEvent, Inbound, Milliseconds, Outbound, Recovered, Send } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { AnyProtocol } from '../../core/tuning.js';
import { applyNext, onApplied, onCommit } from './apply.js';
import {
  CONFIRMING_FAILED,
  endAll,
  expireCalls,
  feedCalls,
  onCancel,
  onPropose,
  onRead,
  onReadReady,
  onResolve,
  serveReads,
} from './calls.js';
import { DriverDraft } from './draft.js';
import type { DriverEffect, DriverEvent, DriverOptions, DriverState, ReplicaStatus } from './state.js';
import { openEnvelope, sealCore } from './envelope.js';
import { guarded, halt } from './halt.js';
import { admits, introduce, coreAddress, isEstablished, onIdentity } from './identity.js';
import { emptyTable } from './session-table.js';

/** A new state, and what it wants done, in order. */
export type DriverStep = readonly [state: DriverState, effects: readonly DriverEffect[]];

/** The driver of one protocol. */
export interface Driver {
  init(options: DriverOptions, recovered: Recovered): DriverStep;
  step(state: DriverState, event: DriverEvent): DriverStep;
  /** When a `tick` is due at the latest. */
  deadline(state: DriverState): Milliseconds;
  status(state: DriverState): ReplicaStatus;
}

function initial(options: DriverOptions, recovered: Recovered): DriverState {
  const others = options.configuration.members.filter((member) => member.id !== options.id);
  const known = new Map(options.peers.map((peer) => [peer.id, peer.incarnation]));
  return {
    options,
    now: options.now,
    phase: 'establishing',
    fault: null,
    faultCode: 'ERR_INVARIANT',
    core: null,
    recovered,
    queue: [],
    queueSeq: 0,
    writingSeq: 0,
    queueWriteId: 1,
    writingWriteId: 0,
    durableWriteId: 0,
    durableSeq: 0,
    held: [],
    introducedTo: others.map(({ id }) => ({ id, incarnation: known.get(id) ?? 0, writeId: 0, recorded: false })),
    askAt: options.now,
    establishedWriteId: 0,
    role: 'follower',
    term: 0,
    leader: null,
    fence: 0,
    leading: false,
    confirming: 0,
    table: emptyTable,
    backlog: [],
    applying: null,
    applied: 0,
    session: 0,
    openingRequest: 0,
    nextSequence: 1,
    nextRequest: 1,
    queued: [],
    underway: [],
    queuedReads: [],
    readBatches: [],
    pausedUntil: -Infinity,
    nextExpiry: Infinity,
  };
}

function startCore(draft: DriverDraft, protocol: AnyProtocol): void {
  const { next } = draft;
  const { id, boot, configuration, seed, timing, limits } = next.options;
  const options = { id, boot, configuration, seed, now: next.now, timing, limits };
  next.phase = 'running';
  guarded(draft, () => {
    const [core, outbound] = protocol.init(options, next.recovered as Recovered);
    protocol.checkState(core);
    next.core = core;
    next.recovered = null;
    for (const message of outbound) onOutbound(draft, protocol, message);
  });
}

function onSend(draft: DriverDraft, protocol: AnyProtocol, send: Send<unknown>): void {
  const bytes = sealCore(protocol.codec, send.message, coreAddress(draft, send.to));
  draft.sendAfter(send.to, bytes, send.lane, send.after);
}

function onOutbound(draft: DriverDraft, protocol: AnyProtocol, message: Outbound<unknown>): void {
  switch (message.kind) {
    case 'send':
      return onSend(draft, protocol, message);
    case 'persist':
      return draft.persist(message.persistSeq, message.ops);
    case 'commit':
      return onCommit(draft, message.entries);
    case 'resolve':
      return onResolve(draft, message.requests, message.outcome);
    case 'readReady':
      return onReadReady(draft, message.request, message.index);
    case 'load':
      return draft.effect(message);
    case 'members':
      return draft.effect({ kind: 'peers', members: message.members });
    case 'event':
      return onCoreEvent(draft, message.event);
    default:
      unreachable(message);
  }
}

function onCoreEvent(draft: DriverDraft, event: CoreEvent): void {
  if (event.kind === 'fault') return halt(draft, 'ERR_STORAGE_FAILED', event.reason);
  const { next } = draft;
  const changed = next.role !== event.role || next.term !== event.term || next.leader !== event.leader;
  next.role = event.role;
  next.term = event.term;
  next.leader = event.leader;
  next.fence = event.fence ?? 0;
  if (event.role !== 'leader') next.confirming = 0;
  const { role, term, leader } = event;
  if (changed) draft.event({ kind: 'role', role, term, leader });
}

/** Tells the application when this replica's leading begins or ends. */
function tellLeadership(draft: DriverDraft): void {
  const { next } = draft;
  const leads = next.phase === 'running' && next.role === 'leader' && next.fence > 0 && next.applied >= next.fence;
  const leading = leads && next.confirming === 0;
  if (leading === next.leading) return;
  next.leading = leading;
  draft.event({ kind: 'leadership', leading, term: next.term, fence: next.fence });
}

/** A tick so late that others may have elected someone: leading is not claimed before a quorum has answered a read. */
function noticePause(draft: DriverDraft, due: Milliseconds): void {
  const { next } = draft;
  const paused = next.leading && next.now > due + next.options.timing.electionMin;
  if (!paused && next.confirming !== CONFIRMING_FAILED) return;
  next.confirming = draft.freshRequest();
  tellLeadership(draft);
  draft.toCore({ kind: 'read', now: draft.now, request: next.confirming, deadline: Infinity });
}

function onMessage(draft: DriverDraft, protocol: AnyProtocol, from: ReplicaId, bytes: Uint8Array): void {
  try {
    const opened = openEnvelope(bytes);
    if (opened.kind === 'identity') return onIdentity(draft, from, opened.address, opened.message);
    if (draft.next.phase !== 'running' || !admits(draft, from, opened.address)) return;
    const message = protocol.codec.read(opened.reader);
    draft.toCore({ kind: 'receive', now: draft.now, from, message });
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    draft.event({ kind: 'dropped', peer: from, reason: error.message });
  }
}

function onStop(draft: DriverDraft): void {
  endAll(draft, { code: 'ERR_CLOSED', outcome: 'unknown', message: 'the replica was closed' });
  draft.toCore({ kind: 'stop', now: draft.now });
}

function onEvent(draft: DriverDraft, protocol: AnyProtocol, event: DriverEvent): void {
  const { now } = draft;
  switch (event.kind) {
    case 'message':
      return onMessage(draft, protocol, event.from, event.bytes);
    case 'tick':
      if (now >= draft.next.askAt) introduce(draft);
      return draft.toCore({ kind: 'tick', now });
    case 'propose':
      return onPropose(draft, event.commands);
    case 'read':
      return onRead(draft, event.calls, event.minIndex);
    case 'cancel':
      return onCancel(draft, event.calls);
    case 'written':
      return draft.finishWrite();
    case 'storageFailed':
      if (draft.next.phase !== 'running') return halt(draft, 'ERR_STORAGE_FAILED', event.reason);
      return draft.toCore({ kind: 'storageFailed', now, reason: event.reason });
    case 'loaded': {
      const { durable } = draft;
      const entries = event.entries.map(({ index, term, data }) => durable.decodeEntry(index, term, data));
      return draft.toCore({ kind: 'loaded', now, id: event.id, entries });
    }
    case 'applied':
      return onApplied(draft, event.results);
    case 'applyFailed':
      return halt(draft, event.code, event.reason);
    case 'unreachable':
      return draft.toCore({ kind: 'unreachable', now, peer: event.peer });
    case 'campaign':
      return draft.toCore({ kind: 'campaign', now });
    case 'stop':
      return onStop(draft);
    default:
      unreachable(event);
  }
}

/** A step that breaks a law is not taken: nothing of what it wants is done. */
function stepCore(draft: DriverDraft, protocol: AnyProtocol, inbound: Inbound<unknown>): readonly Outbound<unknown>[] {
  const before = draft.next.core;
  const [core, outbound] = protocol.step(before, inbound);
  if (core !== before) {
    protocol.checkStep(before, core, inbound);
    if (inbound.kind === 'tick') protocol.checkState(core);
    draft.next.core = core;
  }
  return outbound;
}

/** Runs the core until it has nothing more to say, and everything that follows from it. */
function runToQuiescence(draft: DriverDraft, protocol: AnyProtocol): void {
  guarded(draft, () => {
    for (;;) {
      let inbound: Inbound<unknown> | undefined;
      while ((inbound = draft.take()) !== undefined) {
        const outbound = stepCore(draft, protocol, inbound);
        for (let i = 0; i < outbound.length; i++) onOutbound(draft, protocol, outbound[i] as Outbound<unknown>);
      }
      applyNext(draft);
      feedCalls(draft);
      if (!draft.hasInbox) return;
    }
  });
}

function finish(draft: DriverDraft, protocol: AnyProtocol): DriverStep {
  if (isEstablished(draft.next)) {
    draft.event({ kind: 'established' });
    startCore(draft, protocol);
  }
  if (draft.next.phase === 'running') runToQuiescence(draft, protocol);
  serveReads(draft);
  tellLeadership(draft);
  if (draft.next.phase !== 'halted') draft.startWrite();
  return draft.finish();
}

function deadlineOf(state: DriverState, protocol: AnyProtocol): Milliseconds {
  const { phase } = state;
  if (phase !== 'running' && phase !== 'establishing') return Infinity;
  let due = state.nextExpiry;
  if (phase === 'establishing') return state.establishedWriteId === 0 ? Math.min(due, state.askAt) : due;
  due = Math.min(due, protocol.deadline(state.core));
  const feeds = state.leader !== null && (state.session === 0 || state.queued.length + state.queuedReads.length > 0);
  return feeds && state.pausedUntil > state.now ? Math.min(due, state.pausedUntil) : due;
}

function statusOf(state: DriverState, protocol: AnyProtocol): ReplicaStatus {
  const { options } = state;
  const core =
    state.core === null
      ? { role: state.role, term: 0, leader: null, commit: 0, delivered: 0, applied: 0, last: 0, durable: 0, peers: [] }
      : protocol.status(state.core);
  return {
    ...core,
    id: options.id,
    applied: state.applied,
    fault: state.fault,
    cluster: options.cluster,
    protocol: protocol.name,
    incarnation: options.incarnation,
    boot: options.boot,
    phase: state.phase,
    leading: state.leading,
    members: options.configuration.members,
    waiting: state.queued.length + state.underway.length + state.queuedReads.length + state.readBatches.length,
  };
}

/** The driver for a protocol. */
export function driverOf(protocol: AnyProtocol): Driver {
  return {
    init(options, recovered) {
      const draft = new DriverDraft(initial(options, recovered), options.now, protocol.durable);
      if (options.established) startCore(draft, protocol);
      else introduce(draft);
      return finish(draft, protocol);
    },
    step(state, event) {
      const draft = new DriverDraft(state, event.now, protocol.durable);
      if (state.phase === 'halted' || state.phase === 'stopped') {
        if (event.kind === 'propose') onPropose(draft, event.commands);
        if (event.kind === 'read') onRead(draft, event.calls, event.minIndex);
        if (event.kind === 'stop') draft.next.phase = 'stopped';
        return draft.finish();
      }
      if (event.kind === 'tick') noticePause(draft, deadlineOf(state, protocol));
      guarded(draft, () => onEvent(draft, protocol, event));
      expireCalls(draft);
      const step = finish(draft, protocol);
      return event.kind === 'stop' ? [{ ...step[0], phase: 'stopped' }, step[1]] : step;
    },
    deadline: (state) => deadlineOf(state, protocol),
    status: (state) => statusOf(state, protocol),
  };
}
