/**
 * A bare core with the simplest host that keeps the contract: one write under way, messages held back until the persist
 * they depend on is durable, entries applied in order. It has no session table and no identity, so a proposal is tried
 * once. It is for scenarios that show a protocol itself, and for exhaustive search, where every further variable
 * multiplies the states.
 */

import { assert, unreachable } from '../../core/assert.js';
import type { Mutable } from '../../core/draft.js';
import type {
  Entry,
  Inbound,
  Index,
  Milliseconds,
  Outbound,
  Outcome,
  Proposal,
  RequestNumber,
  Send,
} from '../../core/protocol.js';
import type { AnyProtocol } from '../../core/tuning.js';
import { storageOps, type LaneOp } from '../../replica/driver/persist-lane.js';
import { SNAPSHOT_INPUTS, type SnapshotInput } from '../../replica/driver/snapshot-events.js';
import type { Failure } from '../../replica/driver/state.js';
import type { StoredResult } from '../../replica/driver/session-table.js';
import { digestProcess, SESSION, type Asked, type CoreProcess } from './core-process.js';
import { recovered } from './disk.js';
import type { ProcessEffect, ProcessEvent, Program, ProgramOptions } from './process.js';

/** The draft of one step. */
class CoreDraft {
  readonly next: Mutable<CoreProcess>;
  readonly effects: ProcessEffect[] = [];
  private readonly protocol: AnyProtocol;

  constructor(state: CoreProcess, protocol: AnyProtocol) {
    this.next = { ...state };
    this.protocol = protocol;
  }

  feed(inbound: Inbound<unknown>): void {
    const [core, outbound] = this.protocol.step(this.next.core, inbound);
    this.next.core = core;
    this.take(outbound);
  }

  take(outbound: readonly Outbound<unknown>[]): void {
    for (const message of outbound) this.handle(message);
  }

  private handle(message: Outbound<unknown>): void {
    const { next, effects } = this;
    switch (message.kind) {
      case 'send':
        if (message.after > next.durableSeq) next.held = [...next.held, message];
        else this.send(message);
        return;
      case 'persist':
        next.queue = [...next.queue, ...(message.ops as readonly LaneOp[])]; // it names no snapshot
        next.queueSeq = message.persistSeq;
        return;
      case 'commit':
        next.backlog = [...next.backlog, ...message.entries];
        return;
      case 'resolve':
        for (const request of message.requests) this.resolve(request, message.outcome);
        return;
      case 'readReady':
        return this.change(message.request, (asked) => ({ ...asked, read: message.index }));
      case 'load':
        effects.push(message);
        return;
      case 'members':
      case 'forwardTaken':
      case 'restore':
      case 'pull':
        return; // it has no snapshots
      case 'event':
        if (message.event.kind === 'fault') next.fault = message.event.reason;
        return;
      default:
        unreachable(message);
    }
  }

  private send({ to, message, lane, forward }: Send<unknown>): void {
    const effect = { kind: 'send', to, bytes: message as object, lane } as const;
    this.effects.push(forward === undefined ? effect : { ...effect, forward });
  }

  private change(request: RequestNumber, edit: (asked: Asked) => Asked): void {
    this.next.asked = this.next.asked.map((asked) => (asked.request === request ? edit(asked) : asked));
  }

  private resolve(request: RequestNumber, outcome: Outcome): void {
    if (outcome.kind === 'committed') return this.change(request, (asked) => ({ ...asked, committed: true }));
    this.next.asked = this.next.asked.filter((asked) => asked.request !== request);
    if (outcome.kind === 'transferred') {
      this.effects.push({ kind: 'transferred', call: request, leader: outcome.leader ?? this.next.id });
      return;
    }
    const failure: Failure = { code: 'ERR_NO_LEADER', outcome: outcome.kind, message: outcome.reason };
    this.effects.push({ kind: 'fail', calls: [request], failure });
  }

  /** Fails all calls, those that the core has answered and those that wait for the machine, too. */
  endAll(reason: string): void {
    const { next, effects } = this;
    const failure: Failure = { code: 'ERR_CLOSED', outcome: 'unknown', message: reason };
    if (next.asked.length > 0) effects.push({ kind: 'fail', calls: next.asked.map((each) => each.request), failure });
    next.asked = [];
  }

  written(now: Milliseconds): void {
    const { next } = this;
    assert(next.writingSeq > 0, 'durability/one-write-at-a-time: a write is under way when one is reported');
    next.durableSeq = next.writingSeq;
    next.writingSeq = 0;
    const { held } = next;
    next.held = held.filter((send) => send.after > next.durableSeq);
    for (const send of held) if (send.after <= next.durableSeq) this.send(send);
    this.feed({ kind: 'persisted', now, persistSeq: next.durableSeq });
  }

  /** The machine has applied its commands: their callers get the results. */
  applied(now: Milliseconds, results: readonly StoredResult[]): void {
    const { next } = this;
    const { commands } = next;
    assert(
      next.applying > 0 && results.length === commands.length,
      'machine/one-result-per-command: the machine answers for what it was given',
    );
    for (let at = 0; at < commands.length; at++) {
      const { id, index } = commands[at] as Entry;
      const result = results[at] as StoredResult;
      if (id === null) continue;
      // There is no session table to find duplicates; the first result counts.
      this.change(id.sequence, (asked) => (asked.result === null ? { ...asked, index, result } : asked));
    }
    next.applied = next.applying;
    next.applying = 0;
    next.commands = [];
    this.feed({ kind: 'applied', now, index: next.applied });
  }

  private applyNext(now: Milliseconds): void {
    const { next, effects } = this;
    while (next.applying === 0 && next.backlog.length > 0) {
      const { backlog } = next;
      next.backlog = [];
      next.applying = (backlog[backlog.length - 1] as Entry).index;
      next.commands = backlog.filter((entry) => entry.kind === 'command');
      if (next.commands.length === 0) this.applied(now, []);
      else effects.push({ kind: 'apply', entries: next.commands, wakeAt: null });
    }
  }

  /** Starts the next write and the next run of entries, and ends the calls that are complete. */
  finish(now: Milliseconds): readonly [CoreProcess, readonly ProcessEffect[]] {
    const { next, effects } = this;
    this.applyNext(now);
    if (next.asked.length > 0) this.answer();
    if (next.writingSeq === 0 && next.queue.length > 0 && next.fault === null) {
      effects.push({ kind: 'write', ops: storageOps(next.queue, this.protocol.durable) });
      next.writingSeq = next.queueSeq;
      next.queue = [];
    }
    return [next, effects];
  }

  private answer(): void {
    const { next, effects } = this;
    const { applied } = next;
    const done = (asked: Asked): boolean =>
      asked.read === null ? asked.committed && asked.result !== null : asked.read <= applied;
    for (const asked of next.asked) {
      if (!done(asked)) continue;
      const { request, read, index, result } = asked;
      if (read !== null) effects.push({ kind: 'serve', calls: [request], index: read });
      else effects.push({ kind: 'answer', call: request, result: result as StoredResult, index });
    }
    if (next.asked.some(done)) next.asked = next.asked.filter((asked) => !done(asked));
  }
}

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

/** What a bare core has nothing to do with: snapshots, identity, the pace of its host, and machines to wake. */
type Foreign = SnapshotInput['kind'] | 'refused' | 'late' | 'woken' | 'compact';
const FOREIGN: ReadonlySet<string> = new Set<Foreign>([...SNAPSHOT_INPUTS, 'refused', 'late', 'woken', 'compact']);

function concerns(event: ProcessEvent): event is Exclude<ProcessEvent, { readonly kind: Foreign }> {
  return !FOREIGN.has(event.kind);
}

function read(draft: CoreDraft, { now, calls, minIndex, by }: Extract<ProcessEvent, { kind: 'read' }>): void {
  ask(draft, calls, minIndex);
  if (minIndex !== null) return;
  const way = { byLease: by === 'lease', byQuorum: by === 'quorum' };
  for (const { call, deadline } of calls) draft.feed({ kind: 'read', now, request: call, deadline, ...way });
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
    case 'loaded': {
      const entries = event.entries.map(({ index, term, data }) => protocol.durable.decodeEntry(index, term, data));
      return draft.feed({ kind: 'loaded', now, id: event.id, entries });
    }
    case 'applied':
      return draft.applied(now, event.results);
    case 'wallClock':
      return draft.feed({ kind: 'wallClock', now, ahead: event.ahead });
    case 'failed':
      draft.next.fault = event.reason;
      return;
    case 'stop':
      draft.feed({ kind: 'stop', now });
      draft.endAll('stopped');
      draft.next.stopped = true;
      return;
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
      const [core, outbound] = protocol.init(given, recovered(disk, protocol.durable, limits));
      const blank: CoreProcess = {
        id,
        core,
        queue: [],
        queueSeq: 0,
        writingSeq: 0,
        durableSeq: 0,
        held: [],
        backlog: [],
        applying: 0,
        commands: [],
        applied: 0,
        asked: [],
        stopped: false,
        fault: null,
      };
      const draft = new CoreDraft(blank, protocol);
      draft.take(outbound);
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
