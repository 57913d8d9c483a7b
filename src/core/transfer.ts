/**
 * Transfer of the leadership (Ongaro's thesis 3.10), the same in both protocols: because the host asks for it, or of
 * the leader's own accord, since its disk has stalled (liveness/stalled-disk-gives-way) or has no space
 * (liveness/full-disk-gives-way).
 *
 * The leader first lets the target catch up, and goes on taking proposals until the target holds everything that stood
 * in the log when the transfer began. From then on it refuses proposals as `busy`, and once the target holds the whole
 * log it sends a Handover (liveness/target-holds-all). The target campaigns at once, without pre-votes, and marks its
 * requests: they are for the very next term or ballot, and so pass the stickiness of everyone who follows that leader
 * (liveness/handover-passes-stickiness). The old leader follows as soon as such a request reaches it.
 *
 * A transfer ends with one `resolve`: `transferred` when the leader ceases to lead after a Handover left; otherwise, at
 * its deadline, if nobody can take over, or if the target falls silent while proposals wait for it
 * (liveness/silent-target-is-given-up), the leader goes on as before. Without a named target the best candidate is
 * tried, and another one when a Handover is refused or not answered in time. Whoever has refused a Handover refuses it
 * for good, whichever copy of it arrives (liveness/refused-handover-is-dead): it is known to have no effect.
 *
 * A replica that leaves takes no Handover and does not campaign (liveness/leaving-leads-not); nor does one whose disk
 * has stalled or has no space. A leader that leaves tries others, too, for a transfer to one that was named
 * (liveness/close-hands-over). A leader that prefers another one asks it first (`priority.ts`), and sends it no
 * Handover that may arrive when the transfer has ended.
 */

import type { AnyDraft } from './draft.js';
import type { CanTakeOver, Handover, HandoverRefused } from './election-messages.js';
import { hasIllDisk, isStalled, isUnfit } from './fitness.js';
import { endGrants } from './lease-reads.js';
import { priorityOf, type ReplicaId } from './members.js';
import { askPreferred } from './priority.js';
import type { Index, Milliseconds, Reason, RequestNumber, Transfer } from './protocol.js';
import { isSilent, leaderOf, placeOf, type CoreProgress, type CoreState } from './state.js';
import { hasHandedOver, yieldsToDisk, type Transferring } from './transferring.js';
import { leastPatience } from './tuning.js';

/** What this file asks of a protocol. */
export interface TransferRules<D> {
  /** The index up to which the peer at this place is known to hold the log. */
  held(draft: D, at: number): Index;
  /** The last index that this leader has proposed. */
  last(draft: D): Index;
  /** Stops leading or campaigning: becomes a follower of nobody. */
  withdraw(draft: D): void;
  /** Begins an election whose requests are marked by the Handover. Gives `false` if they could not pass. */
  takeOver(draft: D): boolean;
}

/** The host asks for a transfer. @throws RangeError if the target is no other member */
export function onTransfer<D extends AnyDraft>(draft: D, rules: TransferRules<D>, m: Transfer): void {
  const { request, to, deadline } = m;
  const { role, options } = draft.state;
  if (to !== null && placeOf(options, to) < 0) throw new RangeError(`transfer: ${to} is no other member`);
  const leader = leaderOf(draft.state);
  if (role.kind !== 'leader') return draft.refuse([request], leader === null ? 'noLeader' : 'notLeader', leader);
  if (deadline <= draft.now) return draft.refuse([request], 'deadline', leader);
  if ((role.transfer?.request ?? 0) !== 0) return draft.refuse([request], 'busy', leader);
  if (!begin(draft, rules, { why: 'asked', request, named: to, deadline })) draft.refuse([request], 'noTarget', leader);
}

/** Begins a transfer. Gives `false` if there is nobody to try it with. */
function begin<D extends AnyDraft>(
  draft: D,
  rules: TransferRules<D>,
  how: Pick<Transferring, 'why' | 'request' | 'named' | 'deadline'>,
): boolean {
  const { why, named } = how;
  const to = named ?? candidates(draft, rules, [])[0];
  if (to === undefined) return false;
  draft.editLeader().transfer = {
    ...how,
    to,
    // What is appended behind a stalled disk only grows.
    through: why === 'disk' ? 0 : Math.max(rules.last(draft), draft.leaderRole.noopIndex),
    blocked: false,
    number: 0,
    doubtful: [],
    refused: [],
    retryAt: draft.now + leastPatience(draft.state.options.timing),
  };
  return true;
}

function isGone({ state, now, leaderRole }: AnyDraft, at: number): boolean {
  return isSilent(leaderRole.peers[at] as CoreProgress, state.options.timing, now);
}

/**
 * Who may take over, the best first: who answers and holds what is committed, then who has the higher priority, then
 * who holds most of the log.
 */
function candidates<D extends AnyDraft>(
  draft: D,
  rules: TransferRules<D>,
  refused: readonly ReplicaId[],
): readonly ReplicaId[] {
  const found: { readonly id: ReplicaId; readonly held: Index; readonly rank: number }[] = [];
  draft.state.options.others.forEach((member, at) => {
    if (refused.includes(member.id) || isGone(draft, at)) return;
    const held = rules.held(draft, at);
    found.push({ id: member.id, held, rank: held < draft.commitIndex ? -1 : priorityOf(member) });
  });
  return found.sort((a, b) => b.rank - a.rank || b.held - a.held).map(({ id }) => id);
}

/** At the end of every step of a leader: goes on with the transfer as far as the target has come. */
export function conductTransfer<D extends AnyDraft>(draft: D, rules: TransferRules<D>): void {
  const { transfer, noopIndex } = draft.leaderRole;
  if (transfer === null) return;
  const { why, to, number, through, named } = transfer;
  if (why === 'disk' && !hasHandedOver(transfer) && !hasIllDisk(draft.state, draft.now)) {
    draft.editLeader().transfer = null; // the disk works again
    return;
  }
  const at = placeOf(draft.state.options, to);
  if (isGone(draft, at)) {
    if (named === null) return tryAgain(draft, rules, transfer);
    if (transfer.blocked) return endTransfer(draft, rules, 'noTarget'); // proposals need not wait for it
  }
  const held = rules.held(draft, at);
  const blocked = transfer.blocked || held >= through;
  if (number === 0 && blocked && held >= Math.max(rules.last(draft), noopIndex)) {
    return isTooLate(draft, transfer) ? endTransfer(draft, rules, 'deadline') : handOver(draft, transfer);
  }
  if (blocked !== transfer.blocked) draft.editLeader().transfer = { ...transfer, blocked };
}

/** Whether a Handover may arrive after the transfer: the preferred one must not campaign when the leader goes on. */
function isTooLate({ state, now }: AnyDraft, { why, deadline }: Transferring): boolean {
  return why === 'priority' && now > deadline - leastPatience(state.options.timing);
}

/** Lets the target campaign: it holds the whole log. */
function handOver(draft: AnyDraft, transfer: Transferring): void {
  const { hardSeq, options } = draft.state;
  const number = transfer.number === 0 ? draft.freshNumber() : transfer.number;
  endGrants(draft);
  const handover: Handover = { kind: 'handover', term: draft.termOf(draft.state), number };
  draft.send(transfer.to, handover, hardSeq, 'control');
  const retryAt = draft.now + leastPatience(options.timing);
  draft.editLeader().transfer = { ...transfer, number, blocked: true, retryAt };
}

/** At a leader's tick: gives way if its disk requires it, and gives up or tries again what is overdue. */
export function tickTransfer<D extends AnyDraft>(draft: D, rules: TransferRules<D>): void {
  const { now } = draft;
  giveWayIfDue(draft, rules);
  preferIfDue(draft, rules);
  const { role } = draft.state;
  if (role.kind !== 'leader' || role.transfer === null) return;
  const { transfer } = role;
  if (now >= transfer.deadline) endTransfer(draft, rules, 'deadline');
  else if (now >= transfer.retryAt) tryAgain(draft, rules, transfer);
}

/** A leader lets another one lead because of its disk. With a full one it leads on while nobody can take over. */
function giveWayIfDue<D extends AnyDraft>(draft: D, rules: TransferRules<D>): void {
  const { state, now } = draft;
  const { role, storageFull, unsyncedSince, options } = state;
  if (role.kind !== 'leader' || !yieldsToDisk(role.transfer) || giveWayDeadline(state) > now) return;
  // With a full disk there is time to ask everyone.
  const deadline = now + options.timing.electionMin * (storageFull ? options.others.length : 1);
  if (storageFull) draft.editLeader().giveWayAt = deadline;
  else draft.event({ kind: 'stalled', since: unsyncedSince });
  if (!begin(draft, rules, { why: 'disk', request: 0, named: null, deadline }) && !storageFull) rules.withdraw(draft);
}

/** A leader would let a member of a higher priority lead that could do so for long: liveness/higher-priority-leads. */
function preferIfDue<D extends AnyDraft>(draft: D, rules: TransferRules<D>): void {
  const { role, options } = draft.state;
  if (role.kind !== 'leader' || role.transfer !== null || options.higherPriorities === 0) return;
  if (hasIllDisk(draft.state, draft.now)) return;
  const holds = (at: number): boolean => !isGone(draft, at) && rules.held(draft, at) >= role.noopIndex;
  askPreferred(draft, holds);
}

/** A majority would let the preferred member lead: it is handed the leadership. */
export function onCanTakeOver<D extends AnyDraft>(
  draft: D,
  rules: TransferRules<D>,
  from: ReplicaId,
  { term, number }: CanTakeOver,
): void {
  const { role, options } = draft.state;
  if (role.kind !== 'leader' || term !== draft.termOf(draft.state) || role.transfer !== null) return;
  if (hasIllDisk(draft.state, draft.now)) return;
  const { preferred } = role;
  if (preferred === null || preferred.id !== from || preferred.asked !== number) return;
  draft.editLeader().preferred = { ...preferred, asked: 0 };
  // Twice what it takes to catch up and to take over, each of them a round trip and a write.
  const deadline = draft.now + 2 * options.timing.electionMin;
  begin(draft, rules, { why: 'priority', request: 0, named: from, deadline });
}

/** Nothing came of the last try in time: sends the Handover again, or goes on to another candidate. */
function tryAgain<D extends AnyDraft>(draft: D, rules: TransferRules<D>, transfer: Transferring): void {
  const { named, to, number, doubtful } = transfer;
  const ranked = named === null ? candidates(draft, rules, transfer.refused) : [named];
  const next = ranked[(ranked.indexOf(to) + 1) % ranked.length];
  if (next === undefined) return endTransfer(draft, rules, 'noTarget');
  if (next !== to || number === 0) {
    return retarget(draft, { ...transfer, doubtful: number === 0 ? doubtful : [...doubtful, to] }, next);
  }
  if (!isTooLate(draft, transfer)) return handOver(draft, transfer);
  draft.editLeader().transfer = { ...transfer, retryAt: transfer.deadline };
}

function retarget(draft: AnyDraft, transfer: Transferring, to: ReplicaId): void {
  const retryAt = draft.now + leastPatience(draft.state.options.timing);
  draft.editLeader().transfer = { ...transfer, to, number: 0, retryAt };
}

/** The target cannot take over: another one is tried, if any will do. */
export function onHandoverRefused<D extends AnyDraft>(
  draft: D,
  rules: TransferRules<D>,
  from: ReplicaId,
  { number }: HandoverRefused,
): void {
  const { role } = draft.state;
  if (role.kind !== 'leader' || role.transfer === null) return;
  const { transfer } = role;
  if (transfer.to !== from || transfer.number === 0 || transfer.number !== number) return;
  const refused = [...transfer.refused, from];
  const next = transfer.named === null ? candidates(draft, rules, refused)[0] : undefined;
  if (next !== undefined) return retarget(draft, { ...transfer, refused }, next);
  draft.editLeader().transfer = { ...transfer, number: 0 };
  endTransfer(draft, rules, 'noTarget');
}

/** Gives the transfer up: this replica leads on, unless its disk has stalled; with a full one if nobody else can. */
function endTransfer<D extends AnyDraft>(draft: D, rules: TransferRules<D>, reason: Reason): void {
  resolveTransfer(draft, reason);
  draft.editLeader().transfer = null;
  const { state, now } = draft;
  const isLast = state.storageFull && reason === 'noTarget';
  if (isStalled(state, now) && state.options.others.length > 0 && !isLast) rules.withdraw(draft);
}

/** Ends the request of the leader's transfer, whose leadership goes on or ends for another reason. */
export function resolveTransfer(draft: AnyDraft, reason: Reason): void {
  const { role } = draft.state;
  if (role.kind !== 'leader' || role.transfer === null || role.transfer.request === 0) return;
  const { request } = role.transfer;
  const leader = leaderOf(draft.state);
  const kind = hasHandedOver(role.transfer) ? 'unknown' : 'none';
  draft.resolve([request], { kind, reason, leader });
}

/** The host waits for the transfer no longer. A Handover that left may have its effect. */
export function cancelTransfer(draft: AnyDraft, requests: readonly RequestNumber[]): void {
  const { role } = draft.state;
  if (role.kind !== 'leader' || role.transfer === null || !requests.includes(role.transfer.request)) return;
  resolveTransfer(draft, 'cancelled');
  draft.editLeader().transfer = null;
}

/** This replica ceases to lead: its transfer has succeeded if a Handover left. Called before the role changes. */
export function endTransferForLeaderChange(draft: AnyDraft): void {
  const { role } = draft.state;
  if (role.kind !== 'leader' || role.transfer === null || role.transfer.request === 0) return;
  const { request, to } = role.transfer;
  if (!hasHandedOver(role.transfer)) return resolveTransfer(draft, 'leaderChanged');
  draft.resolve([request], { kind: 'transferred', reason: 'leaderChanged', leader: to });
}

/** The leader lets this replica take over. */
export function onHandover<D extends AnyDraft>(draft: D, rules: TransferRules<D>, from: ReplicaId, m: Handover): void {
  const { state } = draft;
  const { term, number } = m;
  // Of an earlier leadership, or one that this replica follows no longer.
  if (state.role.kind !== 'follower' || state.role.leader !== from || term !== draft.termOf(state)) return;
  const { refusedHandover: refused } = state;
  const wasRefused = refused?.from === from && refused.term === term && number <= refused.number;
  if (!wasRefused && !isUnfit(draft) && rules.takeOver(draft)) return;
  if (!wasRefused) draft.setFitness({ refusedHandover: { from, term, number } });
  draft.send(from, { kind: 'handoverRefused', term, number }, 0, 'control');
}

/** The host will stop this replica soon: it does not campaign any more, and if it leads anyone may take over. */
export function onLeave<D extends AnyDraft>(draft: D, rules: TransferRules<D>): void {
  if (draft.state.leaving) return;
  draft.setFitness({ leaving: true });
  ceaseToCampaign(draft, rules);
  const { role } = draft.state;
  if (role.kind === 'leader' && role.transfer !== null) draft.editLeader().transfer = { ...role.transfer, named: null };
}

function ceaseToCampaign<D extends AnyDraft>(draft: D, rules: TransferRules<D>): void {
  const { role, options } = draft.state;
  if (options.others.length === 0) return; // nobody else could lead
  draft.setPreVoting(null);
  if (role.kind === 'candidate') rules.withdraw(draft);
}

/** The storage has run out of space, or has some again. A leader without space lets another one lead. */
export function onStorageFull<D extends AnyDraft>(draft: D, rules: TransferRules<D>, full: boolean): void {
  if (draft.state.storageFull === full) return;
  draft.setFitness({ storageFull: full });
  if (full) ceaseToCampaign(draft, rules);
  if (draft.state.role.kind !== 'leader') return;
  draft.editLeader().giveWayAt = full ? draft.now : Infinity;
  giveWayIfDue(draft, rules);
}

/** When a leader gives way because of its disk: when it is full, or unless it makes something durable before. */
function giveWayDeadline({ role, storageFull, unsyncedSince, options }: CoreState): Milliseconds {
  if (role.kind !== 'leader' || options.others.length === 0) return Infinity;
  return storageFull ? role.giveWayAt : unsyncedSince + options.timing.electionMin;
}

/** When a leader has to look after its transfer, or its disk. */
export function transferDeadline(state: CoreState): Milliseconds {
  const { role } = state;
  if (role.kind !== 'leader') return Infinity;
  const { transfer } = role;
  const due = transfer === null ? Infinity : Math.min(transfer.retryAt, transfer.deadline);
  return yieldsToDisk(transfer) ? Math.min(due, giveWayDeadline(state)) : due;
}
