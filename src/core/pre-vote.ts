/**
 * Pre-votes and stickiness: elections that disturb nobody (Ongaro's thesis 9.6 and 4.2.3), the same in both protocols.
 *
 * Before a replica campaigns it asks all others whether they would let it lead, and campaigns once a majority, itself
 * included, would. A replica lets nobody lead while it hears a leader (liveness/sticky-leader); one that leads hears
 * itself as long as a majority answers it. So whoever was cut off, or hears the leader no longer while the others do,
 * deposes nobody when it asks.
 *
 * Asking and answering change neither term, promise nor vote, and nothing that a leader is judged by
 * (liveness/pre-vote-changes-nothing). Who would let another one lead puts off its own campaign, once
 * (liveness/grant-puts-off). Of two that ask at once the one whose claim is worse gives up its own round, once, so that
 * they do not split the votes (liveness/rival-gives-way).
 *
 * Whoever asks though it hears a leader follows on, and refuses all others as before: when all are told to campaign at
 * once, nobody is deposed. A leader may ask a follower whether it could take over; it then asks all others for that
 * leader's sake, and they do not refuse because they hear it. Of the rounds that it asks in, for itself or for its
 * leader, the newest counts alone: a question of the leader comes again.
 *
 * An answer carries the number of the round that it answers (liveness/pre-vote-of-this-round), and the term or promise
 * of the one who answers: so a replica that lags behind learns of it and asks again (liveness/refusal-teaches).
 */

import type { AnyDraft } from './draft.js';
import type { AskTakeOver, CanTakeOver, PreVote, PreVoteReply } from './election-messages.js';
import {
  askAgainSoon,
  deferCampaign,
  expireSoon,
  waitForGrant,
  startElectionTimer,
  startQuickTimer,
} from './election-timer.js';
import { cannotVote, isUnfit } from './fitness.js';
import { isBoundAgainst } from './lease-reads.js';
import { priorityOf, type Member, type ReplicaId } from './members.js';
import type { Milliseconds, Term } from './protocol.js';
import { majority } from './quorum.js';
import { leaderOf, placeOf, sizeOf, type CoreOptions, type CoreState } from './state.js';

/** A round of pre-votes under way. */
export interface PreVoting {
  readonly number: number;
  /** Who would let this replica lead, itself included; each once. */
  readonly granted: readonly ReplicaId[];
  /** The leader that asked whether it could take over, and the number of that; `null` if it asks for itself. */
  readonly handover: { readonly from: ReplicaId; readonly number: number } | null;
}

/** What this file asks of a protocol. */
export interface ElectionRules<D> {
  /** Stops following, leading or campaigning: becomes a follower of nobody. */
  withdraw(draft: D): void;
  /** The term or ballot in which this replica would campaign now, and how far its log goes. */
  claim(draft: D): Pick<PreVote, 'term' | 'lastIndex' | 'lastTerm'>;
  /** Whether the asker could win: its term is new here and, in Raft, its log is as up to date as ours. */
  mayLead(draft: D, preVote: PreVote): boolean;
  /** Takes note of another replica's term or promise. Gives whether that was higher than known. */
  learnTerm(draft: D, term: Term): boolean;
  /** Begins an election. */
  campaign(draft: D): void;
}

/** Whether this replica has heard its leader, or as leader a majority, within the smallest election timeout. */
export function hearsLeader(state: CoreState, now: Milliseconds): boolean {
  const { options, electionTimer } = state;
  if (!options.preVote || leaderOf(state) === null) return false;
  return now < electionTimer.startedAt + options.timing.electionMin;
}

/** Whether a request to be elected from this peer is to be ignored: thesis 4.2.3, and because of a grant. */
export function refusesElection({ state, now }: AnyDraft, from: ReplicaId): boolean {
  return (leaderOf(state) !== from && hearsLeader(state, now)) || isBoundAgainst(state, from, now);
}

/**
 * Tries to lead: asks for pre-votes, or campaigns at once if pre-votes are off or there is nobody to ask. Who leaves,
 * or whose disk has stalled or is full, leaves it to the others (liveness/leaving-leads-not).
 */
export function seekElection<D extends AnyDraft>(draft: D, rules: ElectionRules<D>): void {
  const { options, electionTimer } = draft.state;
  if (draft.state.role.kind === 'leader') return;
  if (options.others.length > 0 && isUnfit(draft)) return startElectionTimer(draft);
  if (isBoundAgainst(draft.state, options.id, draft.now)) return waitForGrant(draft);
  if (!options.preVote || options.others.length === 0) return rules.campaign(draft);
  // Its host may tell it to campaign while it hears a leader.
  if (draft.now >= electionTimer.deadline || !hearsLeader(draft.state, draft.now)) {
    rules.withdraw(draft);
    if (draft.now < electionTimer.quickUntil) startQuickTimer(draft);
    else startElectionTimer(draft, electionTimer.spread);
    const { deferred } = electionTimer;
    if (deferred) draft.setElectionTimer({ ...draft.state.electionTimer, deferred });
  }
  askAll(draft, rules, null);
}

/** Begins a round of pre-votes. */
function askAll<D extends AnyDraft>(draft: D, rules: ElectionRules<D>, handover: PreVoting['handover']): void {
  const number = draft.freshNumber();
  const { id: own, others } = draft.state.options;
  draft.setPreVoting({ number, granted: [own], handover });
  const preVote: PreVote = { kind: 'preVote', number, ...rules.claim(draft), handover: handover !== null };
  for (const { id } of others) draft.send(id, preVote, 0, 'control');
}

/** The leader asks whether this replica could take over. It follows on, whatever the others say. */
export function onAskTakeOver<D extends AnyDraft>(
  draft: D,
  rules: ElectionRules<D>,
  from: ReplicaId,
  { term, number }: AskTakeOver,
): void {
  const { role } = draft.state;
  if (role.kind !== 'follower' || role.leader !== from || term !== draft.termOf(draft.state) || isUnfit(draft)) return;
  askAll(draft, rules, { from, number });
}

/**
 * The process of this peer refuses connections. If it led, this replica follows nobody until it hears a leader again,
 * and asks for pre-votes soon (liveness/crash-is-noticed). A majority must have lost the leader too, so that a broken
 * link disturbs nobody. A leader knows that this peer does not answer.
 */
export function onPeerUnreachable<D extends AnyDraft>(draft: D, rules: ElectionRules<D>, peer: ReplicaId): void {
  const { role, options } = draft.state;
  if (role.kind === 'leader') {
    const progress = role.peers.find(({ id }) => id === peer);
    if (progress !== undefined) draft.setProgress({ ...progress, answeredAt: 0 } as never);
    return;
  }
  if (!options.preVote || role.kind !== 'follower' || leaderOf(draft.state) !== peer) return;
  rules.withdraw(draft);
  expireSoon(draft);
}

/** A replica asks whether this one would let it lead. */
export function onPreVote<D extends AnyDraft>(draft: D, rules: ElectionRules<D>, from: ReplicaId, m: PreVote): void {
  const granted = (m.handover || !refusesElection(draft, from)) && !cannotVote(draft) && rules.mayLead(draft, m);
  if (granted && !m.handover) giveWay(draft, rules, from, m);
  const { term, number } = m;
  const current = draft.termOf(draft.state);
  draft.send(from, { kind: 'preVoteReply', term, number, current, granted }, 0, 'control');
}

/** Puts off the own campaign for another one, once; a round under way only for a better claim. */
function giveWay<D extends AnyDraft>(draft: D, rules: ElectionRules<D>, from: ReplicaId, m: PreVote): void {
  const { preVoting, electionTimer, role, options } = draft.state;
  if (electionTimer.deferred || role.kind !== 'follower') return;
  const isRival = preVoting !== null && preVoting.handover === null;
  if (isRival && !outranks(m, from, rules.claim(draft), options)) return;
  draft.setPreVoting(null);
  deferCampaign(draft);
}

type Claim = Pick<PreVote, 'lastIndex' | 'lastTerm'>;

/** Of two that ask at once the one with the longer log comes first, then the higher priority, then the earlier name. */
function outranks(one: Claim, oneId: ReplicaId, own: Claim, options: CoreOptions): boolean {
  if (one.lastTerm !== own.lastTerm) return one.lastTerm > own.lastTerm;
  if (one.lastIndex !== own.lastIndex) return one.lastIndex > own.lastIndex;
  const priority = priorityOf(options.others[placeOf(options, oneId)] as Member);
  return priority !== options.priority ? priority > options.priority : oneId < options.id;
}

/** An answer to the round under way. With a majority the replica campaigns; a higher term makes it ask again. */
export function onPreVoteReply<D extends AnyDraft>(
  draft: D,
  rules: ElectionRules<D>,
  from: ReplicaId,
  { term, number, current, granted }: PreVoteReply,
): void {
  const { preVoting } = draft.state;
  if (preVoting === null || preVoting.number !== number || preVoting.granted.includes(from)) return;
  if (term !== rules.claim(draft).term) return; // no answer to this question
  const { handover } = preVoting;
  if (handover === null && rules.learnTerm(draft, current)) return seekElection(draft, rules);
  // A refusal makes nobody ask again for its leader's sake: the leader will.
  if (!granted) return handover === null ? askAgainSoon(draft) : undefined;
  const all = [...preVoting.granted, from];
  if (all.length < majority(sizeOf(draft.state.options))) return draft.setPreVoting({ number, granted: all, handover });
  draft.setPreVoting(null);
  if (handover === null) return rules.campaign(draft);
  const answer: CanTakeOver = { kind: 'canTakeOver', term: draft.termOf(draft.state), number: handover.number };
  draft.send(handover.from, answer, 0, 'control');
}
