/**
 * Leadership as the driver knows it: the core's last report, and the last event to the application.
 *
 * Invariant: the application is told that this replica leads only while the core leads, its no-op is applied here, and
 * no quorum has to confirm it after a pause of the host.
 */

import type { Mutable } from '../../core/draft.js';
import type { CoreEvent, Index, Milliseconds, RequestNumber, Role, Term } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { EndedCalls } from './calls.js';
import { PartDraft } from './part-draft.js';

/**
 * Whether a quorum has to confirm this leader before it claims to lead. `asked`: a read of the core is under way for
 * it. `due`: that read failed, and the next tick asks again.
 */
export type Confirming =
  | { readonly kind: 'no' }
  | { readonly kind: 'asked'; readonly request: RequestNumber }
  | { readonly kind: 'due' };

/** @see LeadershipDraft */
export interface LeadershipState {
  readonly role: Role;
  readonly term: Term;
  readonly leader: ReplicaId | null;
  /** The index of a leader's no-op; `null` for other roles, and before it is known. */
  readonly fence: Index | null;
  readonly confirming: Confirming;
  /** Whether the application was last told that this replica leads. */
  readonly leading: boolean;
}

const NOT_CONFIRMING: Confirming = { kind: 'no' };

export const noLeadership: LeadershipState = {
  role: 'follower',
  term: 0,
  leader: null,
  fence: null,
  confirming: NOT_CONFIRMING,
  leading: false,
};

export class LeadershipDraft extends PartDraft<LeadershipState> {
  protected override copy(state: LeadershipState): Mutable<LeadershipState> {
    return {
      role: state.role,
      term: state.term,
      leader: state.leader,
      fence: state.fence,
      confirming: state.confirming,
      leading: state.leading,
    };
  }

  /** The core reports its role, its term and the leader that it knows. */
  follow({ role, term, leader, fence }: Extract<CoreEvent, { kind: 'role' }>): void {
    const { state } = this;
    const known = state.leader;
    const changed = state.role !== role || state.term !== term || state.leader !== leader;
    const next = this.edit();
    next.role = role;
    next.term = term;
    next.leader = leader;
    next.fence = fence;
    if (role !== 'leader') next.confirming = NOT_CONFIRMING;
    if (leader !== null && leader !== known) this.draft.calls.resume();
    if (changed) this.draft.event({ kind: 'role', role, term, leader });
  }

  /** Emits an event when this replica begins or ceases to lead. */
  tell(): void {
    const { role, fence, confirming, leading, term } = this.state;
    const { phase, applying } = this.draft;
    const takesEffect = role === 'leader' && fence !== null && applying.state.applied >= fence;
    const leads = phase.kind === 'running' && takesEffect && confirming.kind === 'no';
    if (leads === leading) return;
    this.edit().leading = leads;
    this.draft.event({ kind: 'leadership', leading: leads, term, fence: fence ?? 0 });
  }

  /** A tick came that was due at `due`: if the peers may have elected a leader since then, a quorum is asked. */
  noticePause(due: Milliseconds): void {
    const { draft } = this;
    const paused = this.state.leading && draft.now > due + draft.options.timing.electionMin;
    if (!paused && this.state.confirming.kind !== 'due') return;
    const request = draft.freshRequest();
    this.edit().confirming = { kind: 'asked', request };
    this.tell();
    draft.toCore({ kind: 'read', now: draft.now, request, deadline: Infinity });
  }

  /** The core answered a read; if it was the one for confirmation, a quorum has confirmed this leader. */
  confirmed(request: RequestNumber): void {
    const { confirming } = this.state;
    if (confirming.kind === 'asked' && confirming.request === request) this.edit().confirming = NOT_CONFIRMING;
  }

  /** These attempts ended without an answer; if the read for confirmation is among them, it is due again. */
  ended(attempts: EndedCalls): void {
    const { confirming } = this.state;
    if (confirming.kind === 'asked' && attempts.has(confirming.request)) this.edit().confirming = { kind: 'due' };
  }
}
