/**
 * Transfers of the leadership that this replica's callers ask for, and the leave of a replica that is about to close.
 *
 * A transfer goes to the core of the leader, with its target and its deadline. When the core says that it leads no
 * longer, the caller waits until the new leader is known. Invariant: every transfer ends exactly once.
 *
 * A replica that leaves takes no new requests. It transfers the leadership if it leads, and waits for the requests of
 * its own callers; it has left when nothing of that is open, or at its deadline. A caller's transfer that is under way
 * serves the leave, since it is tried with others, too; when its caller gives it up, or its time is over, the leave
 * asks for one of its own (liveness/close-hands-over).
 */

import type { Mutable } from '../../core/draft.js';
import type { Milliseconds, Outcome, Reason, RequestNumber } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import { PartDraft } from './part-draft.js';
import { refusalOf } from './calls.js';
import type { Failure, PendingCall } from './state.js';

/** A transfer whose caller waits. */
export interface PendingTransfer extends PendingCall {
  readonly to: ReplicaId | null;
  /** The number of the request to the core; 0 once the core has handed over, and the new leader is waited for. */
  readonly request: RequestNumber;
}

/** @see TransfersDraft */
export interface Leaving {
  /** When the replica has left, whatever is still open. */
  readonly deadline: Milliseconds;
  /** The number of the request for a transfer; 0 for none. */
  readonly request: RequestNumber;
  /** The leadership was handed over, and the new leader is not known yet. */
  readonly handedOver: boolean;
  /** The host was told that it has left. */
  readonly left: boolean;
}

/** @see TransfersDraft */
export interface TransfersState {
  readonly pending: readonly PendingTransfer[];
  /** `null` unless the replica is about to close. */
  readonly leaving: Leaving | null;
}

export const noTransfers: TransfersState = { pending: [], leaving: null };

const WHY: { readonly [R in Reason]?: string } = {
  noTarget: 'no other member can take over now',
  busy: 'another transfer is under way',
  leaderChanged: 'this replica ceased to lead before it could hand over',
};

/** The failure of a transfer that the core has given up. */
function failureOf(outcome: Extract<Outcome, { kind: 'none' | 'unknown' }>): Failure {
  const { kind, reason } = outcome;
  if (reason === 'deadline') return overdue(kind === 'unknown');
  if (reason === 'notLeader' || reason === 'noLeader') return notLeader(outcome.leader);
  const message = `the leadership was not transferred: ${WHY[reason] ?? reason}`;
  if (kind === 'unknown') return { code: 'ERR_OUTCOME_UNKNOWN', outcome: kind, message: `${message}; it may still be` };
  return { code: 'ERR_TRANSFER_FAILED', outcome: kind, message };
}

function overdue(mayHappen: boolean): Failure {
  const message = 'the leadership was not transferred in time';
  return mayHappen
    ? { code: 'ERR_OUTCOME_UNKNOWN', outcome: 'unknown', message: `${message}; it may still be` }
    : { code: 'ERR_TIMEOUT', outcome: 'none', message };
}

/** The failure of what only a leader can do. */
export function notLeader(leader: ReplicaId | null): Failure {
  const who = leader === null ? 'no leader is known' : `${leader} leads`;
  return { code: 'ERR_NOT_LEADER', outcome: 'none', message: `this replica does not lead: ${who}` };
}

/** The earliest deadline of a transfer, or of the leave. */
export function transfersDeadline({ pending, leaving }: TransfersState): Milliseconds {
  let deadline = leaving === null || leaving.left ? Infinity : leaving.deadline;
  for (const each of pending) deadline = Math.min(deadline, each.deadline);
  return deadline;
}

export class TransfersDraft extends PartDraft<TransfersState> {
  protected override copy(state: TransfersState): Mutable<TransfersState> {
    return { pending: state.pending, leaving: state.leaving };
  }

  /** A caller asks for a transfer. @param to another member; `null`: the best candidate */
  transfer({ call, deadline }: PendingCall, to: ReplicaId | null): void {
    const { draft } = this;
    const { leader } = draft.leadership.state;
    const refusal = refusalOf(draft.phase, this.state.leaving !== null);
    if (refusal !== null) return draft.fail([call], refusal);
    if (leader !== draft.options.id) return draft.fail([call], notLeader(leader));
    if (to === leader) return draft.transferred(call, leader);
    const request = draft.freshRequest();
    this.edit().pending = [...this.state.pending, { call, deadline, to, request }];
    draft.toCore({ kind: 'transfer', now: draft.now, request, to, deadline });
  }

  /**
   * The replica is about to close: it hands over if it leads, and drains its own callers until the deadline, or until
   * an earlier one that it is told later.
   */
  leave(deadline: Milliseconds): void {
    const { draft } = this;
    const { leaving } = this.state;
    if (leaving !== null) {
      if (deadline < leaving.deadline) this.edit().leaving = { ...leaving, deadline };
      return;
    }
    this.edit().leaving = { deadline, request: 0, handedOver: false, left: false };
    draft.toCore({ kind: 'leave', now: draft.now });
    this.handOver();
  }

  /** A replica that leaves and leads asks for a transfer of its own, unless a caller's is under way. */
  private handOver(): void {
    const { draft } = this;
    const { pending, leaving } = this.state;
    const leads = draft.phase.kind === 'running' && draft.leadership.state.role === 'leader';
    if (leaving === null || !leads || pending.some(({ request }) => request !== 0)) return;
    const { deadline } = leaving;
    const request = draft.freshRequest();
    this.edit().leaving = { ...leaving, request };
    draft.toCore({ kind: 'transfer', now: draft.now, request, to: null, deadline });
  }

  /** The core of a first start begins: it is told if the replica leaves. */
  coreStarted(): void {
    if (this.state.leaving !== null) this.draft.toCore({ kind: 'leave', now: this.draft.now });
  }

  /** The core has ended these requests. Gives whether that was a transfer. */
  ended(requests: readonly RequestNumber[], outcome: Outcome): boolean {
    const { pending, leaving } = this.state;
    if (pending.length === 0 && leaving === null) return false;
    const [request] = requests;
    const handedOver = outcome.kind === 'transferred';
    if (leaving !== null && leaving.request !== 0 && leaving.request === request) {
      this.edit().leaving = { ...leaving, request: 0, handedOver };
      return true;
    }
    const ended = pending.find((each) => each.request === request);
    if (ended === undefined || outcome.kind === 'committed') return false;
    if (!handedOver) {
      this.fail(ended, failureOf(outcome)); // if the replica leaves, everybody was asked
      return true;
    }
    this.put(ended, { ...ended, request: 0 });
    if (leaving !== null) this.edit().leaving = { ...leaving, handedOver };
    return true;
  }

  private put(old: PendingTransfer, now: PendingTransfer | null): void {
    const changed = this.state.pending.map((each) => (each === old ? now : each));
    this.edit().pending = changed.filter((each) => each !== null);
  }

  private fail(transfer: PendingTransfer, failure: Failure): void {
    this.put(transfer, null);
    this.draft.fail([transfer.call], failure);
  }

  /** These callers wait no longer. */
  cancel(gone: readonly number[]): void {
    this.giveUp(this.state.pending.filter(({ call }) => gone.includes(call)));
  }

  /** Ends the transfers whose deadline has passed. */
  expire(): void {
    this.giveUp(this.state.pending.filter(({ deadline }) => deadline <= this.draft.now));
  }

  private giveUp(ended: readonly PendingTransfer[]): void {
    const { draft } = this;
    for (const transfer of ended) this.fail(transfer, overdue(true));
    const requests = ended.map(({ request }) => request).filter((request) => request !== 0);
    if (requests.length === 0) return;
    draft.toCore({ kind: 'cancel', now: draft.now, requests });
    this.handOver();
  }

  /** Ends every transfer, since the replica stops or takes no part any more. */
  endAll(failure: Failure): void {
    for (const transfer of this.state.pending) this.fail(transfer, failure);
  }

  /** At the end of every event: answers callers whose new leader is known, and tells that the replica has left. */
  conclude(): void {
    const { pending, leaving } = this.state;
    if (pending.length > 0) this.answer();
    if (leaving !== null && !leaving.left && !this.isOpen(leaving)) {
      this.edit().leaving = { ...leaving, left: true };
      this.draft.effect({ kind: 'left' });
    }
  }

  private answer(): void {
    const { draft } = this;
    const { leader } = draft.leadership.state;
    if (leader === null) return;
    for (const transfer of this.state.pending) {
      const { call, to, request } = transfer;
      if (request !== 0) continue;
      if (leader !== draft.options.id && (to === null || to === leader)) {
        this.put(transfer, null);
        draft.transferred(call, leader);
        continue;
      }
      const message = `the leadership was not transferred: ${leader} leads now`;
      this.fail(transfer, { code: 'ERR_TRANSFER_FAILED', outcome: 'none', message });
    }
  }

  /** Whether something has to end before the replica has left. */
  private isOpen({ deadline, request, handedOver }: Leaving): boolean {
    const { draft } = this;
    if (draft.phase.kind !== 'running' || draft.now >= deadline) return false;
    if (request !== 0 || (handedOver && draft.leadership.state.leader === null)) return true;
    return draft.proposals.state.count + draft.reads.state.count + this.state.pending.length > 0;
  }
}
