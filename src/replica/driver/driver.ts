/**
 * The driver: all decisions of a replica outside the protocol core, as a pure function
 * `(state, event) → [state, effects]` like the core itself. It runs the core, orders writes and the messages that wait
 * for them, applies committed entries, keeps the session table and the callers' requests, and establishes the
 * replica's identity. The host carries out the effects and reports what happened as events.
 */

import { Malformed } from '../../core/bytes.js';
import type { Inbound, Milliseconds, Outbound, Recovered } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { AnyProtocol } from '../../core/tuning.js';
import { appliedAtStart } from './apply.js';
import { noCalls } from './calls.js';
import { noCompactions } from './compactions.js';
import { deadlineOf } from './deadline.js';
import { DriverDraft } from './draft.js';
import { openEnvelope } from './envelope.js';
import { guarded } from './halt.js';
import { allHealthy } from './health.js';
import { initialIdentity } from './peer-records.js';
import { noLeadership } from './leadership.js';
import { emptyLane } from './persist-lane.js';
import { noProposals } from './commands.js';
import { doAll } from './outbound.js';
import { initialPulling } from './pull-state.js';
import { noReads } from './reads.js';
import { closedSession } from './session.js';
import { onSnapshotInput } from './snapshot-events.js';
import { noSources } from './snapshot-sources.js';
import { initialSnapshots } from './snapshots.js';
import { statusOf } from './status.js';
import { initialTiming } from './timing.js';
import { noTransfers } from './transfers.js';
import type { DriverEffect, DriverEvent, DriverOptions, DriverState, DriverStatus } from './state.js';

/** A new state, and the effects for the host to carry out in order. */
export type DriverStep = readonly [state: DriverState, effects: readonly DriverEffect[]];

/** The driver of one protocol. */
export interface Driver {
  init(options: DriverOptions, recovered: Recovered): DriverStep;
  step(state: DriverState, event: DriverEvent): DriverStep;
  /** The time by which the host must send a `tick`. */
  deadline(state: DriverState): Milliseconds;
  status(state: DriverState): DriverStatus;
}

function initial(options: DriverOptions, recovered: Recovered): DriverState {
  return {
    options,
    now: options.now,
    phase: { kind: 'establishing', recovered },
    lastRequest: 0,
    lane: emptyLane,
    identity: initialIdentity(options),
    leadership: noLeadership,
    applying: appliedAtStart(options.snapshots),
    session: closedSession,
    snapshots: initialSnapshots(options.snapshots, options.now),
    sources: noSources,
    pulling: initialPulling(options.snapshots),
    compactions: noCompactions,
    calls: noCalls,
    proposals: noProposals,
    reads: noReads,
    timing: initialTiming(options),
    transfers: noTransfers,
    health: allHealthy,
    ahead: options.ahead ?? null,
  };
}

function startCore(draft: DriverDraft, protocol: AnyProtocol, recovered: Recovered): void {
  const { id, boot, configuration, seed, timing, limits, preVote } = draft.options;
  const { now, ahead } = draft;
  const options = { id, boot, configuration, seed, now, timing, limits, preVote, ...(ahead === null ? {} : { ahead }) };
  guarded(draft, () => {
    const [core, outbound] = protocol.init(options, recovered);
    protocol.checkState(core);
    draft.runCore(core);
    doAll(draft, protocol, outbound);
  });
}

/** @param isLate it waited here for the disk: it says nothing about a round trip */
function onMessage(
  draft: DriverDraft,
  protocol: AnyProtocol,
  from: ReplicaId,
  bytes: Uint8Array,
  isLate = false,
): void {
  try {
    const opened = openEnvelope(bytes);
    if (opened.kind === 'identity') return draft.identity.receive(from, opened.address, opened.message);
    if (!draft.identity.admits(from, opened.address, bytes)) return;
    if (opened.kind === 'snapshot') return draft.pulling.receive(from, opened.message);
    if (opened.timing !== null && !isLate) draft.timing.heard(from, opened.timing);
    const message = protocol.codec.read(opened.reader);
    draft.toCore({ kind: 'receive', now: draft.now, from, message });
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    draft.event({ kind: 'dropped', peer: from, reason: error.message });
  }
}

/** A tick came that was due at `due`. */
function onTick(draft: DriverDraft, due: Milliseconds): void {
  draft.leadership.noticePause(due);
  draft.timing.tick(due);
}

/** A write is durable: messages that waited for the record of their sender are let in. */
function onWritten(draft: DriverDraft, protocol: AnyProtocol): void {
  draft.lane.finishWrite();
  for (const { from, bytes } of draft.identity.release()) onMessage(draft, protocol, from, bytes, true);
}

function onLoaded(draft: DriverDraft, { id, entries: stored }: Extract<DriverEvent, { kind: 'loaded' }>): void {
  const entries = stored.map(({ index, term, data }) => draft.durable.decodeEntry(index, term, data));
  draft.timing.loadEnds(id);
  draft.toCore({ kind: 'loaded', now: draft.now, id, entries });
}

function onStorageFailed(draft: DriverDraft, event: Extract<DriverEvent, { kind: 'storageFailed' }>): void {
  const { code = 'ERR_STORAGE_FAILED', reason, cause } = event;
  draft.storageFault = { code, reason, cause };
  if (draft.phase.kind === 'running') draft.toCore({ kind: 'storageFailed', now: draft.now, reason });
  else draft.halt(draft.storageFault);
}

function onStop(draft: DriverDraft): void {
  draft.calls.endAll({ code: 'ERR_CLOSED', outcome: 'unknown', message: 'the replica was closed' });
  draft.toCore({ kind: 'stop', now: draft.now });
}

function onEvent(draft: DriverDraft, protocol: AnyProtocol, event: DriverEvent): void {
  const { now } = draft;
  switch (event.kind) {
    case 'message':
      draft.health.heard(event.from);
      return onMessage(draft, protocol, event.from, event.bytes);
    case 'tick':
      draft.identity.ask();
      draft.calls.expire();
      return draft.toCore({ kind: 'tick', now });
    case 'late':
      return draft.timing.late(event.by);
    case 'propose':
      return draft.calls.propose(event.commands);
    case 'read':
      return draft.calls.read(event);
    case 'transfer':
      return draft.transfers.transfer(event.call, event.to);
    case 'compact':
      return draft.compactions.compact(event);
    case 'leave':
      return draft.transfers.leave(event.deadline);
    case 'cancel':
      return draft.calls.cancel(event.calls);
    case 'written':
      return onWritten(draft, protocol);
    case 'roomMade':
      return draft.snapshots.roomMade();
    case 'storageFailed':
      return onStorageFailed(draft, event);
    case 'storageFull':
      return draft.calls.storageFull(event.full);
    case 'loaded':
      return onLoaded(draft, event);
    case 'applied':
      return draft.applying.report(event.results, event.wakeAt ?? Infinity);
    case 'woken':
      return draft.applying.woken(event.wakeAt);
    case 'wallClock':
      return draft.wallClock(event.ahead);
    case 'failed':
      return draft.halt({ code: event.code, reason: event.reason, cause: event.cause });
    case 'unsent':
      return draft.toCore({ kind: 'unsent', now, number: event.forward });
    case 'refused':
      return draft.identity.refusedByTransport(event.peer, event.why, event.reason);
    case 'disconnected':
      return draft.toCore({ kind: 'disconnected', now, peer: event.peer, lane: event.lane });
    case 'unreachable':
      draft.health.refused(event.peer);
      return draft.toCore({ kind: 'unreachable', now, peer: event.peer });
    case 'resumed':
    case 'campaign':
      return draft.toCore({ kind: event.kind, now });
    case 'stop':
      return onStop(draft);
    default:
      return onSnapshotInput(draft, event);
  }
}

/** Takes a step of the core and checks it. If a rule is broken, the step is discarded with all its effects. */
function stepCore(draft: DriverDraft, protocol: AnyProtocol, inbound: Inbound<unknown>): readonly Outbound<unknown>[] {
  const { phase } = draft;
  if (phase.kind !== 'running') return [];
  const before = phase.core;
  const [core, outbound] = protocol.step(before, inbound);
  if (core !== before) {
    protocol.checkStep(before, core, inbound);
    if (inbound.kind === 'tick') protocol.checkState(core);
    draft.runCore(core);
  }
  return outbound;
}

/** Runs the core until its inbox is empty, and carries out all that follows. */
function runToQuiescence(draft: DriverDraft, protocol: AnyProtocol): void {
  guarded(draft, () => {
    for (;;) {
      let inbound: Inbound<unknown> | undefined;
      while ((inbound = draft.take()) !== undefined) doAll(draft, protocol, stepCore(draft, protocol, inbound));
      if (draft.phase.kind !== 'running') return;
      draft.snapshots.beginRestore();
      draft.applying.applyNext();
      draft.calls.feed();
      draft.snapshots.shrink();
      if (!draft.hasInbox) return;
    }
  });
}

/** Serves stale reads that wait for a state that is fresh enough. */
function serveFresh({ phase, reads, now }: DriverDraft, protocol: AnyProtocol): void {
  if (phase.kind === 'running' && reads.state.aged !== null) reads.serveFresh(protocol.freshAt(phase.core, now));
}

/** A leader looks after its peers at every heartbeat, and when one of them is unreachable or back. */
function judgeHealth({ phase, leadership, health }: DriverDraft, protocol: AnyProtocol, event: DriverEvent): void {
  const { ailing } = health.state;
  const leads = leadership.state.role === 'leader';
  if (phase.kind !== 'running' || (!leads && ailing.length === 0)) return;
  const { kind } = event;
  const isDue = kind === 'tick' || kind === 'unreachable' || (kind === 'message' && health.isAiling(event.from));
  if (isDue) health.judge(leads ? protocol.status(phase.core).peers : []);
}

/** The last part of every event. */
function complete(draft: DriverDraft, protocol: AnyProtocol, event: DriverEvent | null): void {
  const { phase } = draft;
  if (phase.kind === 'establishing' && draft.identity.establish()) {
    draft.event({ kind: 'established' });
    startCore(draft, protocol, phase.recovered);
    draft.transfers.coreStarted();
    draft.calls.coreStarted();
  }
  if (draft.phase.kind === 'running') runToQuiescence(draft, protocol);
  if (!draft.snapshots.isRestoring) {
    draft.reads.serve();
    serveFresh(draft, protocol);
  }
  draft.snapshots.conclude();
  draft.compactions.conclude();
  draft.pulling.conclude(protocol.name === 'raft');
  draft.leadership.tell();
  if (event !== null) judgeHealth(draft, protocol, event);
  draft.transfers.conclude();
  draft.timing.judge();
  if (draft.phase.kind !== 'halted') draft.lane.startWrite();
}

/** A replica that has halted or was closed refuses what it is asked, and does nothing else. */
function stepAfterEnd(draft: DriverDraft, event: DriverEvent): void {
  if (event.kind === 'propose') draft.calls.propose(event.commands);
  if (event.kind === 'read') draft.calls.read(event);
  if (event.kind === 'transfer') draft.transfers.transfer(event.call, event.to);
  if (event.kind === 'compact') draft.compactions.compact(event);
  if (event.kind === 'leave') draft.transfers.leave(event.deadline);
  if (event.kind === 'stop') draft.stop();
  draft.transfers.conclude();
}

/** The driver for a protocol. */
export function driverOf(protocol: AnyProtocol): Driver {
  return {
    init(options, recovered) {
      const draft = new DriverDraft(initial(options, recovered), options.now, protocol.durable);
      const [snapshot] = options.snapshots.named;
      if (snapshot !== undefined) draft.effect({ kind: 'restore', snapshot });
      if (options.established) startCore(draft, protocol, recovered);
      else draft.identity.ask();
      complete(draft, protocol, null);
      return draft.finish();
    },
    step(state, event) {
      const draft = new DriverDraft(state, event.now, protocol.durable);
      if (state.phase.kind === 'halted' || state.phase.kind === 'stopped') {
        stepAfterEnd(draft, event);
        return draft.finish();
      }
      if (event.kind === 'tick') onTick(draft, deadlineOf(state, protocol));
      guarded(draft, () => onEvent(draft, protocol, event));
      complete(draft, protocol, event);
      if (event.kind === 'stop') draft.stop();
      return draft.finish();
    },
    deadline: (state) => deadlineOf(state, protocol),
    status: (state) => statusOf(state, protocol),
  };
}
