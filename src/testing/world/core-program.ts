/**
 * A bare core with the simplest host that keeps the contract: one write under way, messages held back until the persist
 * they depend on is durable, entries applied in order. It has no session table and no identity, so a proposal is tried
 * once. It is for scenarios that show a protocol itself, and for exhaustive search, where every further variable
 * multiplies the states.
 */

import { unreachable } from '../../core/assert.js';
import type { Index, Proposal } from '../../core/protocol.js';
import type { AnyProtocol } from '../../core/tuning.js';
import type { Failure } from '../../replica/driver/state.js';
import { CoreDraft } from './core-draft.js';
import { digestProcess, SESSION, type Asked, type CoreProcess } from './core-process.js';
import { recovered } from './disk.js';
import { foundOn, noCoreSnapshots, pulledName } from './core-snapshots.js';
import type { ProcessEffect, ProcessEvent, Program, ProgramOptions } from './process.js';

function proposalsOf(
  process: CoreProcess,
  commands: readonly { readonly call: number; readonly data: Uint8Array }[],
): Proposal[] {
  const firstIncomplete = process.asked[0]?.request ?? (commands[0] as { call: number }).call;
  return commands.map(({ call, data }) => ({
    request: call,
    kind: 'command',
    id: { session: SESSION, sequence: call, firstIncomplete },
    data,
    retry: false,
  }));
}

/** @param read for stale reads: the index that must be applied */
function ask(draft: CoreDraft, calls: readonly { readonly call: number }[], read: Index | null): void {
  const asked = calls.map(({ call }): Asked => ({ request: call, index: 0, result: null, committed: false, read }));
  draft.next.asked = [...draft.next.asked, ...asked];
}

/** What a bare core has nothing to do with: chunks of snapshots, identity, the pace of its host, machines to wake. */
const FOREIGN = ['chunkRead', 'chunkStored', 'pullFailed', 'refused', 'late', 'woken', 'compact'] as const;
type Foreign = (typeof FOREIGN)[number];

function concerns(event: ProcessEvent): event is Exclude<ProcessEvent, { readonly kind: Foreign }> {
  return !FOREIGN.includes(event.kind as Foreign);
}

function read(draft: CoreDraft, { now, calls, minIndex, by }: Extract<ProcessEvent, { kind: 'read' }>): void {
  ask(draft, calls, minIndex);
  if (minIndex !== null) return;
  const way = { byLease: by === 'lease', byQuorum: by === 'quorum' };
  for (const { call, deadline } of calls) draft.feed({ kind: 'read', now, request: call, deadline, ...way });
}

function loaded(draft: CoreDraft, event: Extract<ProcessEvent, { kind: 'loaded' }>, { durable }: AnyProtocol): void {
  const entries = event.entries.map(({ index, term, data }) => durable.decodeEntry(index, term, data));
  draft.feed({ kind: 'loaded', now: event.now, id: event.id, entries });
}

type CoreSnapshotEvent = Extract<
  ProcessEvent,
  { readonly kind: 'takeSnapshot' | 'snapshotTaken' | 'snapshotFailed' | 'snapshotPulled' | 'restored' }
>;

function onSnapshot(draft: CoreDraft, event: CoreSnapshotEvent): void {
  switch (event.kind) {
    case 'takeSnapshot':
      return draft.take();
    case 'snapshotTaken':
      return draft.taken(event.now, event.checksum);
    case 'snapshotFailed':
      return draft.taken(event.now, null);
    case 'snapshotPulled':
      return draft.feed({ kind: 'install', now: event.now, snapshot: pulledName(event) });
    case 'restored':
      return draft.restored(event.now);
  }
}

function onEvent(draft: CoreDraft, event: ProcessEvent, protocol: AnyProtocol): void {
  if (!concerns(event)) return;
  const { now } = event;
  switch (event.kind) {
    case 'message':
      return draft.feed({ kind: 'receive', now, from: event.from, message: event.bytes });
    case 'propose': {
      const proposals = proposalsOf(draft.next, event.commands);
      ask(draft, event.commands, null);
      return draft.feed({ kind: 'propose', now, proposals, deadline: event.commands[0]?.deadline ?? Infinity });
    }
    case 'read':
      return read(draft, event);
    case 'transfer': {
      const { to, call } = event;
      ask(draft, [call], Infinity);
      return draft.feed({ kind: 'transfer', now, request: call.call, to, deadline: call.deadline });
    }
    case 'cancel':
      return draft.feed({ kind: 'cancel', now, requests: event.calls });
    case 'written':
      return draft.written(now);
    case 'roomMade':
      return; // it has asked for none
    case 'loaded':
      return loaded(draft, event, protocol);
    case 'applied':
      return draft.applied(now, event.results);
    case 'takeSnapshot':
    case 'snapshotTaken':
    case 'snapshotFailed':
    case 'snapshotPulled':
    case 'restored':
      return onSnapshot(draft, event);
    case 'failed':
      return void (draft.next.fault = event.reason);
    case 'stop':
      draft.feed({ kind: 'stop', now });
      draft.endAll('stopped');
      return void (draft.next.stopped = true);
    case 'tick':
    case 'leave':
    case 'campaign':
    case 'resumed':
      return draft.feed({ kind: event.kind, now });
    case 'storageFailed':
      draft.feed({ kind: 'storageFailed', now, reason: event.reason });
      return draft.endAll(event.reason);
    case 'unsent':
      return draft.feed({ kind: 'unsent', now, number: event.forward });
    case 'disconnected':
      return draft.feed({ kind: 'disconnected', now, peer: event.peer, lane: event.lane });
    case 'wallClock':
    case 'unreachable':
    case 'storageFull':
      return draft.feed(event);
    default:
      unreachable(event);
  }
}

/** The calls that an event brings. */
function askedBy(event: ProcessEvent): readonly { readonly call: number }[] {
  if (event.kind === 'transfer') return [event.call];
  return event.kind === 'propose' ? event.commands : event.kind === 'read' ? event.calls : [];
}

/** The effects of an event on a process that has ended: its calls are refused. */
function refusal(event: ProcessEvent): ProcessEffect[] {
  const asked = askedBy(event);
  const failure: Failure = { code: 'ERR_CLOSED', outcome: 'none', message: 'stopped' };
  return asked.length === 0 ? [] : [{ kind: 'fail', calls: asked.map(({ call }) => call), failure }];
}

/** A bare core of this protocol as a program. */
export function coreProgram(protocol: AnyProtocol, options: ProgramOptions): Program {
  const { configuration, timing, limits, preVote } = options;
  return {
    kind: 'core',
    start({ id, disk, seed, now, ahead }) {
      const known = ahead === null ? {} : { ahead };
      const given = { id, boot: disk.boot, configuration, seed, now, timing, limits, preVote, ...known };
      const { snapshot, base } = foundOn(disk);
      const [core, outbound] = protocol.init(given, recovered(disk, protocol.durable, limits, snapshot, base));
      const blank: CoreProcess = {
        id,
        core,
        queue: [],
        queueSeq: 0,
        writingSeq: 0,
        durableSeq: 0,
        held: [],
        backlog: [],
        applying: null,
        commands: [],
        applied: { index: 0, term: 0, time: 0 },
        snapshots: noCoreSnapshots,
        asked: [],
        stopped: false,
        fault: null,
      };
      const draft = new CoreDraft(blank, protocol);
      if (snapshot !== null) draft.restore(snapshot);
      draft.handleAll(outbound);
      return draft.finish(now);
    },
    step(state, event) {
      const process = state as CoreProcess;
      if (process.stopped || process.fault !== null) return [state, refusal(event)];
      const draft = new CoreDraft(process, protocol);
      onEvent(draft, event, protocol);
      return draft.finish(event.now);
    },
    deadline(state) {
      const { core, stopped, fault } = state as CoreProcess;
      return stopped || fault !== null ? Infinity : protocol.deadline(core);
    },
    core: (state) => (state as CoreProcess).core,
    isLeaving: (state) => protocol.status((state as CoreProcess).core).leaving,
    health(state) {
      const { stopped, fault } = state as CoreProcess;
      return fault !== null ? 'halted' : stopped ? 'stopped' : 'running';
    },
    fault: (state) => (state as CoreProcess).fault,
    message: (payload) => payload,
    describe: () => 'core',
    digest: (state, _now, digest, message) => digestProcess(state as CoreProcess, digest, message),
  };
}
