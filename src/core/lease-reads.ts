/**
 * Lease reads (Ongaro's thesis 6.4.1; Gray and Cheriton, SOSP 1989), the same in both protocols, and only where the
 * configuration sets `leaseReads`: a leader that holds the grants of a majority serves reads without a message.
 *
 * With each heartbeat the leader asks for grants. Whoever follows it grants: until the grant ends by its own clock it
 * elects nobody but that leader and does not campaign (reads/grant-binds), and a voter that has just started behaves so
 * for one full grant, since it may have granted before (reads/start-binds). So while a majority is bound, nobody else
 * can lead. What makes no difference to a grant: that the leader's process is unreachable.
 *
 * The leader counts a grant from the time at which it asked, and for less than the granted length, since clocks differ
 * (reads/grant-counts-from-send). Once a Handover has left, its target may lead in spite of all grants, so the leader
 * serves no lease read for the rest of its leadership (reads/handover-ends-leases). After the host slept, whose clock
 * may have stood still, only grants asked for afterwards count (reads/sleep-ends-leases).
 */

import type { AnyDraft } from './draft.js';
import type { AskGrant, Grant } from './election-messages.js';
import { neverFresh } from './freshness.js';
import type { ReplicaId } from './members.js';
import type { Index, Milliseconds } from './protocol.js';
import { majorityReached } from './quorum.js';
import { leaderOf, placeOf, type CoreOptions, type CoreState } from './state.js';

/** Whom alone this replica elects, and until when. */
export interface Bound {
  /** `null`: nobody. */
  readonly to: ReplicaId | null;
  readonly until: Milliseconds;
}

/** A question for grants that may still be answered. */
export interface AskedGrant {
  readonly number: number;
  readonly sentAt: Milliseconds;
}

/** A leader's grants. */
export interface Grants {
  /** Ascending by number. */
  readonly asked: readonly AskedGrant[];
  /** For each peer, until when its grant counts, in the order of `CoreOptions.others`. */
  readonly until: readonly Milliseconds[];
  /** A Handover has left: no grant counts any more. */
  readonly over: boolean;
}

/**
 * Of a grant's length so much counts at the leader. The rest makes room for clocks of which one runs 5 % faster than
 * another one, and for a sleep of the host of 5 % that goes unnoticed.
 */
export const GRANT_SHARE = 0.9;

/** By how much the wall clock may run ahead of the monotonic one before the host is taken to have slept. */
export function leastSleep(leaseReads: Milliseconds): Milliseconds {
  return leaseReads / 20;
}

export const unbound: Bound = { to: null, until: -Infinity };

/** By what a replica that starts is bound. @param isNew nothing was ever durable here, so nothing was granted */
export function boundAtStart({ leaseReads, others }: CoreOptions, now: Milliseconds, isNew: boolean): Bound {
  const isFree = leaseReads === 0 || isNew || others.length === 0;
  return isFree ? unbound : { to: null, until: now + leaseReads };
}

/** The grants of a new leader. */
export function noGrants({ others }: CoreOptions): Grants {
  return { asked: [], until: others.map(() => -Infinity), over: false };
}

/** Whether a grant keeps this replica from electing this one, which may be itself. */
export function isBoundAgainst({ bound }: CoreState, id: ReplicaId, now: Milliseconds): boolean {
  return now < bound.until && bound.to !== id;
}

/** At a leader's heartbeat: asks everyone for a grant. */
export function askForGrants(draft: AnyDraft): void {
  const { options } = draft.state;
  const { grants } = draft.leaderRole;
  if (options.leaseReads === 0 || grants.over) return;
  const number = draft.freshNumber();
  const { now } = draft;
  const asked = grants.asked.filter(({ sentAt }) => now < sentAt + options.leaseReads);
  draft.editLeader().grants = { ...grants, asked: [...asked, { number, sentAt: now }] };
  const message: AskGrant = { kind: 'askGrant', term: draft.termOf(draft.state), number };
  for (const { id } of options.others) draft.send(id, message, draft.state.hardSeq, 'control');
}

/** The leader asks for a grant. It leaves once the term or promise in which it is given is durable. */
export function onAskGrant(draft: AnyDraft, from: ReplicaId, { term, number }: AskGrant): void {
  const { state } = draft;
  const { leaseReads } = state.options;
  if (leaseReads === 0 || leaderOf(state) !== from || draft.termOf(state) !== term) return;
  draft.setBound({ to: from, until: draft.now + leaseReads });
  draft.send(from, { kind: 'grant', term, number, length: leaseReads }, draft.state.hardSeq, 'control');
}

/** A follower granted. */
export function onGrant(draft: AnyDraft, from: ReplicaId, { term, number, length }: Grant): void {
  const { state } = draft;
  if (state.role.kind !== 'leader' || draft.termOf(state) !== term) return;
  const { grants } = state.role;
  const asked = grants.asked.find((each) => each.number === number);
  const at = placeOf(state.options, from);
  if (asked === undefined || at < 0) return;
  const until = asked.sentAt + GRANT_SHARE * Math.min(length, state.options.leaseReads);
  if (until <= (grants.until[at] as Milliseconds)) return;
  draft.editLeader().grants = { ...grants, until: grants.until.map((each, place) => (place === at ? until : each)) };
}

/** Whether a majority, this leader included, elects nobody else now. */
export function holdsGrants(draft: AnyDraft): boolean {
  const { leaseReads } = draft.state.options;
  const { grants } = draft.leaderRole;
  return leaseReads > 0 && !grants.over && majorityReached([Infinity, ...grants.until]) > draft.now;
}

/** A Handover leaves. */
export function endGrants(draft: AnyDraft): void {
  const { grants } = draft.leaderRole;
  if (draft.state.options.leaseReads > 0 && !grants.over) {
    draft.editLeader().grants = { ...noGrants(draft.state.options), over: true };
  }
}

/** The host has slept: no grant counts that was asked for before. */
export function onResumed(draft: AnyDraft): void {
  const { role, options } = draft.state;
  draft.setFreshness(neverFresh);
  if (role.kind !== 'leader' || options.leaseReads === 0) return;
  draft.editLeader().grants = { ...noGrants(options), over: role.grants.over };
}

/** The index of a lease read that arrives now; `null` when there is no lease, or the leader does not know it yet. */
export function leaseReadIndex<D extends AnyDraft>(draft: D, index: (draft: D) => Index | null): Index | null {
  return holdsGrants(draft) ? index(draft) : null;
}
