/** The draft of one step of a bare core with its host (`core-program.ts`). */

import { assert, unreachable } from '../../core/assert.js';
import type { Mutable } from '../../core/draft.js';
import type {
  Entry,
  Inbound,
  Milliseconds,
  Outbound,
  Outcome,
  RequestNumber,
  Send,
  SnapshotName,
} from '../../core/protocol.js';
import type { AnyProtocol } from '../../core/tuning.js';
import { storageOps } from '../../replica/driver/persist-lane.js';
import type { Failure } from '../../replica/driver/state.js';
import type { StoredResult } from '../../replica/driver/session-table.js';
import type { Asked, CoreProcess } from './core-process.js';
import { inLane, restoreFrom, takeAt, type CoreSnapshots } from './core-snapshots.js';
import type { ProcessEffect } from './process.js';

export class CoreDraft {
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
    this.handleAll(outbound);
  }

  handleAll(outbound: readonly Outbound<unknown>[]): void {
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
        next.queue = [...next.queue, ...message.ops.flatMap(inLane)];
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
      case 'pull':
        return; // an action brings one, asked for or not
      case 'restore':
        next.backlog = []; // all of it is in the snapshot
        return this.note({ restoring: { snapshot: message.snapshot, begun: false } });
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
      next.applying !== null && results.length === commands.length,
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
    next.applying = null;
    next.commands = [];
    this.feed({ kind: 'applied', now, index: next.applied.index });
  }

  private applyNext(now: Milliseconds): void {
    const { next, effects } = this;
    while (next.applying === null && next.snapshots.restoring === null && next.backlog.length > 0) {
      const { backlog, applied } = next;
      next.backlog = [];
      const { index, term } = backlog[backlog.length - 1] as Entry;
      next.applying = { index, term, time: Math.max(applied.time, ...backlog.map(({ time }) => time)) };
      next.commands = backlog.filter((entry) => entry.kind === 'command');
      if (next.commands.length === 0) this.applied(now, []);
      else effects.push({ kind: 'apply', entries: next.commands, wakeAt: null });
    }
  }

  // Snapshots.

  private note(changes: Partial<CoreSnapshots>): void {
    this.next.snapshots = { ...this.next.snapshots, ...changes };
  }

  /** Takes one of what is applied, if that is news and nothing is under way that it would meet. */
  take(): void {
    const { applied, applying, snapshots } = this.next;
    const { newest, taking, restoring } = snapshots;
    if (applying !== null || taking !== null || restoring !== null || applied.index <= newest) return;
    this.note({ taking: applied });
    this.effects.push(takeAt(applied));
  }

  /** It is complete and durable; `null`: there is none. The log is trimmed up to it. */
  taken(now: Milliseconds, checksum: number | null): void {
    const { taking } = this.next.snapshots;
    this.note({ taking: null });
    if (taking === null || checksum === null) return;
    this.note({ newest: taking.index });
    this.feed({ kind: 'snapshotTaken', now, snapshot: { ...taking, checksum }, through: taking.index });
  }

  /** The machine is to be restored, once it has ended its run, and the snapshot that is taken of it. */
  private beginRestore(): void {
    const { applying, snapshots } = this.next;
    const { restoring, taking } = snapshots;
    if (restoring === null || restoring.begun || applying !== null || taking !== null) return;
    this.restore(restoring.snapshot);
  }

  restore(snapshot: SnapshotName): void {
    this.note({ newest: snapshot.index, restoring: { snapshot, begun: true } });
    this.effects.push(restoreFrom(snapshot));
  }

  /** The machine is restored: commands without a result may be in the snapshot, so what became of them is not known. */
  restored(now: Milliseconds): void {
    const { next } = this;
    const { restoring } = next.snapshots;
    if (restoring === null || !restoring.begun) return;
    const { index, term, time } = restoring.snapshot;
    next.applied = { index, term, time };
    this.note({ restoring: null });
    this.feed({ kind: 'applied', now, index });
    const lost = next.asked.filter(({ committed, result }) => committed && result === null);
    if (lost.length === 0) return;
    const failure: Failure = { code: 'ERR_NO_LEADER', outcome: 'unknown', message: 'restored' };
    this.effects.push({ kind: 'fail', calls: lost.map(({ request }) => request), failure });
    next.asked = next.asked.filter((asked) => !lost.includes(asked));
  }

  /** Starts the next write and the next run of entries, and ends the calls that are complete. */
  finish(now: Milliseconds): readonly [CoreProcess, readonly ProcessEffect[]] {
    const { next, effects } = this;
    this.beginRestore();
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
    const { applied, snapshots } = next;
    const isOver = snapshots.restoring?.begun !== true;
    const done = (asked: Asked): boolean =>
      asked.read === null ? asked.committed && asked.result !== null : isOver && asked.read <= applied.index;
    for (const asked of next.asked) {
      if (!done(asked)) continue;
      const { request, read, index, result } = asked;
      if (read !== null) effects.push({ kind: 'serve', calls: [request], index: read });
      else effects.push({ kind: 'answer', call: request, result: result as StoredResult, index });
    }
    if (next.asked.some(done)) next.asked = next.asked.filter((asked) => !done(asked));
  }
}
