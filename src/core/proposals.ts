/**
 * Proposals: a leader appends them, a follower forwards them in one message, and a replica that knows no leader refuses
 * them.
 *
 * A forward names the term that its leader leads in, and is answered at once: refused, or accepted with the place of
 * each proposal in the leader's log. The answer says when to try again, never that a proposal has or has not an effect.
 *
 * Overload: the leader accepts proposals one after the other while the protocol has room for them, and refuses the rest
 * as `busy`, its own and forwarded ones alike; all of them while the target of a transfer takes over. Retries: a
 * proposal that may have been sent before is looked for among the uncommitted entries (`standing.ts`). One that is
 * found is waited for and not appended again.
 */

import { addForwarded, addPlaced, placeAccepted, unansweredAttempt } from './attempts.js';
import type { AnyDraft } from './draft.js';
import { endForward, requestsOf } from './ending.js';
import { bytesOf, entryBytes, PlainEntry } from './entries.js';
import type { ForwardAccepted, ForwardedProposal, ForwardProposals, ForwardRefused, PlaceRun } from './forwarding.js';
import { leadsIn } from './leadership.js';
import { entryAt } from './log.js';
import type { ReplicaId } from './members.js';
import { noteAnswered, noteAnswerTime, patienceForForward } from './patience.js';
import type { Entry, Index, Milliseconds, Propose } from './protocol.js';
import { noteStanding, standingAt } from './standing.js';
import { leaderOf } from './state.js';

/** What may be appended beyond the commit index: so many entries, and entries until so many bytes are reached. */
export interface Room {
  readonly entries: number;
  readonly bytes: number;
}

const NO_ROOM: Room = { entries: 0, bytes: 0 };

/** What this file asks of a protocol. */
export interface ProposalRules<D> {
  room(draft: D): Room;
  /** Appends these at the next indexes and sends them. Gives the first index. */
  append(draft: D, proposals: readonly ForwardedProposal[]): Index;
  /** This leader's uncommitted entries from this index on, ascending. */
  uncommitted(draft: D, from: Index): readonly Entry[];
  /** Up to here no entry changes any more while this replica leads. */
  settled(draft: D): Index;
}

function isRetry(proposal: ForwardedProposal): boolean {
  return proposal.retry;
}

/** Says of a proposal where it stands among the uncommitted entries; 0 if nowhere. */
function retryLookup<D extends AnyDraft>(draft: D, rules: ProposalRules<D>): (proposal: ForwardedProposal) => Index {
  const settled = rules.settled(draft);
  const entriesFrom = (from: Index): readonly Entry[] => rules.uncommitted(draft, from);
  const standing = noteStanding(draft.leaderRole.standing, draft.commitIndex, settled, entriesFrom);
  if (standing !== draft.leaderRole.standing) draft.editLeader().standing = standing;
  const unsettled = noteStanding(null, settled, Infinity, entriesFrom);
  return ({ retry, id }) => (retry ? standingAt(unsettled, id) || standingAt(standing, id) : 0);
}

/** How many proposals there is room for. The last one may exceed the bytes, or a large one would never fit. */
function countTaken({ entries, bytes }: Room, proposals: readonly ForwardedProposal[]): number {
  let count = 0;
  for (let left = bytes; count < proposals.length && count < entries && left > 0; count++) {
    left -= entryBytes(proposals[count] as ForwardedProposal);
  }
  return count;
}

/**
 * Whether this leader appends no proposals now: the target of a transfer would lack them (liveness/target-holds-all),
 * or there is no space for them (requests/full-takes-nothing).
 */
function takesNothing({ leaderRole, state }: AnyDraft): boolean {
  return leaderRole.transfer?.blocked === true || state.storageFull;
}

/** Why it takes no more. */
function refusal({ state }: AnyDraft): 'busy' | 'storageFull' {
  return state.storageFull ? 'storageFull' : 'busy';
}

/**
 * Takes proposals into the log as far as there is room, but none that stands there already. Gives their places, in the
 * order of the proposals.
 */
function takeIn<D extends AnyDraft>(
  draft: D,
  rules: ProposalRules<D>,
  proposals: readonly ForwardedProposal[],
): readonly PlaceRun[] {
  const { standing } = draft.leaderRole;
  const lookUp = proposals.some(isRetry) ? retryLookup(draft, rules) : null;
  // Nothing that was noted is uncommitted any more, and nobody asks for it.
  if (lookUp === null && standing !== null && standing.through <= draft.commitIndex) draft.editLeader().standing = null;
  const places = lookUp === null ? null : proposals.map(lookUp);
  const fresh = places === null ? proposals : proposals.filter((_, at) => places[at] === 0);
  const room = takesNothing(draft) ? NO_ROOM : rules.room(draft);
  const count = countTaken(room, fresh);
  const first = count > 0 ? rules.append(draft, count === fresh.length ? fresh : fresh.slice(0, count)) : 0;
  if (places === null) {
    const taken = { first, count };
    const left = { first: 0, count: fresh.length - count };
    return [taken, left].filter((run) => run.count > 0);
  }
  const runs: PlaceRun[] = [];
  let appended = 0;
  for (const at of places) addPlace(runs, at > 0 ? at : appended < count ? first + appended++ : 0);
  return runs;
}

function addPlace(runs: PlaceRun[], index: Index): void {
  const last = runs[runs.length - 1];
  const follows = last !== undefined && (last.first === 0 ? index === 0 : index === last.first + last.count);
  if (follows) runs[runs.length - 1] = { first: last.first, count: last.count + 1 };
  else runs.push({ first: index, count: 1 });
}

/** The host proposes. */
export function onPropose<D extends AnyDraft>(draft: D, rules: ProposalRules<D>, message: Propose): void {
  const { proposals, deadline } = message;
  if (proposals.length === 0) return;
  const { state } = draft;
  const leader = leaderOf(state);
  if (deadline <= draft.now) return draft.refuse(requestsOf(proposals), 'deadline', leader);
  if (leader === null) return draft.refuse(requestsOf(proposals), 'noLeader', null);
  if (state.role.kind === 'leader') return proposeHere(draft, rules, message);
  const number = draft.freshNumber();
  const bare = proposals.map(({ kind, id, data, retry }) => ({ kind, id, data, retry }));
  const bytes = bytesOf(bare);
  const patience = patienceForForward(draft, bytes);
  const through = draft.state.forwardedBytes;
  const sending = { forward: number, sentAt: draft.now, through, until: deadline, patience };
  draft.setAttempts(addForwarded(state.attempts, proposals, sending));
  const lane = bytes > state.options.limits.messageBytes ? 'bulk' : 'control';
  const term = draft.termOf(state);
  draft.sendForward(leader, { kind: 'forwardProposals', term, number, proposals: bare }, lane);
}

function proposeHere<D extends AnyDraft>(draft: D, rules: ProposalRules<D>, { proposals, deadline }: Propose): void {
  let from = 0;
  for (const { first, count } of takeIn(draft, rules, proposals)) {
    const part = count === proposals.length ? proposals : proposals.slice(from, from + count);
    from += count;
    if (first > 0) draft.setAttempts(addPlaced(draft.state.attempts, part, first, deadline));
    else draft.refuse(requestsOf(part), refusal(draft), draft.state.options.id);
  }
}

/** A follower forwarded proposals. The answer waits for no disk: it says where they stand, not that they are safe. */
export function onForwardProposals<D extends AnyDraft>(
  draft: D,
  rules: ProposalRules<D>,
  from: ReplicaId,
  { term, number, proposals }: ForwardProposals,
): void {
  if (!leadsIn(draft, term)) return draft.refuseForward(from, number, 'notLeader');
  const places = takeIn(draft, rules, proposals);
  const through = Math.max(...places.map(({ first, count }) => (first === 0 ? 0 : first + count - 1)));
  if (through === 0) return draft.refuseForward(from, number, refusal(draft));
  draft.noteForwarded(from, through);
  draft.send(from, { kind: 'forwardAccepted', term, number, places }, 0, 'control');
}

/** The leader has taken a forward into its log, in whole or in part. */
export function onForwardAccepted(draft: AnyDraft, { number, places }: ForwardAccepted): void {
  const { attempts, delivery, log } = draft.state;
  const attempt = unansweredAttempt(attempts, number);
  if (attempt === undefined) return;
  let count = 0;
  for (const run of places) count += run.count;
  if (count !== attempt.requests.length) return; // it answers something else
  noteAnswerTime(draft, draft.now - attempt.sentAt);
  noteAnswered(draft, attempt.through);
  draft.forwardTaken(attempt.requests.filter((request) => request !== 0));
  draft.endAttempts(placeAccepted(attempts, attempt, places, delivery.delivered, (at) => entryAt(log, at)?.id));
}

/** A forward was refused. A read ends as `none`; proposals end as `unknown`, since another copy may be accepted. */
export function onForwardRefused(draft: AnyDraft, { number, reason, leader }: ForwardRefused): void {
  endForward(draft, number, 'unknown', reason, leader);
}

/** The transport refused a forward: it never left, so it has no effect. */
export function onUnsent(draft: AnyDraft, number: number): void {
  endForward(draft, number, 'none', 'unsent', leaderOf(draft.state));
}

/** The entries made of these proposals, from index `first` on, all with one stamp. */
export function entriesOf(
  proposals: readonly ForwardedProposal[],
  first: Index,
  term: number,
  time: Milliseconds,
): readonly Entry[] {
  const entries = new Array<Entry>(proposals.length);
  for (let i = 0; i < proposals.length; i++) {
    const { kind, id, data } = proposals[i] as ForwardedProposal;
    entries[i] = new PlainEntry(first + i, term, kind, time, id, data);
  }
  return entries;
}
