/**
 * Proposals: a leader appends them, a follower forwards them in one message, and a replica that knows no leader refuses
 * them.
 *
 * Overload: the leader accepts proposals one after the other while the protocol has room for them, and refuses the rest
 * as `busy`, its own and forwarded ones alike. Retries: a proposal that may have been sent before is looked for among
 * the uncommitted entries, in one pass for all proposals of a message. One that is found is waited for and not appended
 * again.
 */

import { addAttempt, endRefused } from './attempts.js';
import type { AnyDraft } from './draft.js';
import { endReads, requestsOf } from './ending.js';
import { bytesOf, entryBytes, IdIndex } from './entries.js';
import type { ForwardedProposal, ForwardProposals, ForwardRefused } from './forwarding.js';
import type { ReplicaId } from './members.js';
import type { Entry, Index, Propose } from './protocol.js';
import { leaderOf } from './state.js';

/** What may be appended beyond the commit index: so many entries, and entries until so many bytes are reached. */
export interface Room {
  readonly entries: number;
  readonly bytes: number;
}

/** What this file asks of a protocol. */
export interface ProposalRules<D> {
  room(draft: D): Room;
  /** Appends these at the next indexes and sends them. Gives the first index. */
  append(draft: D, proposals: readonly ForwardedProposal[]): Index;
  /** This replica's uncommitted entries. */
  uncommitted(draft: D): readonly Entry[];
}

/** Proposals, split by what the leader does with them. */
interface SplitProposals<P> {
  /** Retries that are in the log already, and the highest of their indexes; 0 for none. */
  readonly standing: readonly P[];
  readonly through: Index;
  /** Those to be appended now. */
  readonly taken: readonly P[];
  /** Those for which there is no room. */
  readonly left: readonly P[];
}

function isRetry(proposal: ForwardedProposal): boolean {
  return proposal.retry;
}

/** Splits proposals into retries that are in the log already, those there is room for, and the rest. */
function splitRetries<D, P extends ForwardedProposal>(
  draft: D,
  rules: ProposalRules<D>,
  proposals: readonly P[],
): SplitProposals<P> {
  const standing: P[] = [];
  let through = 0;
  let fresh = proposals;
  if (proposals.some(isRetry)) {
    const ids = new IdIndex(rules.uncommitted(draft));
    fresh = proposals.filter((proposal) => {
      const index = proposal.retry ? ids.indexOf(proposal.id) : 0;
      if (index > 0) standing.push(proposal);
      through = Math.max(through, index);
      return index === 0;
    });
  }
  const count = countTaken(rules.room(draft), fresh);
  if (count === fresh.length) return { standing, through, taken: fresh, left: [] };
  return { standing, through, taken: fresh.slice(0, count), left: fresh.slice(count) };
}

/** How many proposals there is room for. The last one may exceed the bytes, or a large one would never fit. */
function countTaken({ entries, bytes }: Room, proposals: readonly ForwardedProposal[]): number {
  let count = 0;
  for (let left = bytes; count < proposals.length && count < entries && left > 0; count++) {
    left -= entryBytes(proposals[count] as ForwardedProposal);
  }
  return count;
}

/** The host proposes. */
export function onPropose<D extends AnyDraft>(draft: D, rules: ProposalRules<D>, message: Propose): void {
  const { proposals, deadline } = message;
  if (proposals.length === 0) return;
  const leader = leaderOf(draft.state);
  if (deadline <= draft.now) return draft.refuse(requestsOf(proposals), 'deadline', leader);
  if (leader === null) return draft.refuse(requestsOf(proposals), 'noLeader', null);
  if (draft.state.role.kind === 'leader') return proposeHere(draft, rules, message);
  const number = draft.freshNumber();
  draft.setAttempts(addAttempt(draft.state.attempts, proposals, 0, number, deadline));
  const bare = proposals.map(({ kind, id, data, retry }) => ({ kind, id, data, retry }));
  const lane = bytesOf(bare) > draft.state.options.limits.messageBytes ? 'bulk' : 'control';
  const term = draft.termOf(draft.state);
  draft.send(leader, { kind: 'forwardProposals', term, number, proposals: bare }, 0, lane);
}

function proposeHere<D extends AnyDraft>(draft: D, rules: ProposalRules<D>, { proposals, deadline }: Propose): void {
  const { standing, taken, left } = splitRetries(draft, rules, proposals);
  const first = taken.length > 0 ? rules.append(draft, taken) : 0;
  let { attempts } = draft.state;
  if (standing.length > 0) attempts = addAttempt(attempts, standing, 0, 0, deadline);
  if (taken.length > 0) attempts = addAttempt(attempts, taken, first, 0, deadline);
  draft.setAttempts(attempts);
  if (left.length > 0) draft.refuse(requestsOf(left), 'busy', draft.state.options.id);
}

/** A follower forwarded proposals. The accepted ones are not answered: the follower sees them in the log. */
export function onForwardProposals<D extends AnyDraft>(
  draft: D,
  rules: ProposalRules<D>,
  from: ReplicaId,
  { number, proposals }: ForwardProposals,
): void {
  if (draft.state.role.kind !== 'leader') return draft.refuseForward(from, number, 'notLeader');
  const { through: standing, taken, left } = splitRetries(draft, rules, proposals);
  const through = taken.length > 0 ? rules.append(draft, taken) + taken.length - 1 : standing;
  if (left.length > 0) draft.refuseForward(from, number, 'busy');
  if (through > 0) noteForwarder(draft, from, through);
}

/** Beyond so many records of one peer, its newest is prolonged: it hears of the commit of several forwards at once. */
const MOST_FORWARDERS = 32;

function noteForwarder(draft: AnyDraft, peer: ReplicaId, through: Index): void {
  const leader = draft.editLeader();
  const own = leader.forwarders.filter((each) => each.peer === peer);
  const newest = own.length < MOST_FORWARDERS ? undefined : own[own.length - 1];
  leader.forwarders = [...leader.forwarders.filter((each) => each !== newest), { peer, through }];
}

/** A forward was refused. A read ends as `none`; proposals end as `unknown`, since another copy may be accepted. */
export function onForwardRefused(draft: AnyDraft, { number, reason, leader }: ForwardRefused): void {
  draft.endAttempts(endRefused(draft.state.attempts, number, reason, leader));
  endReads(draft, (read) => read.forward === number, reason, leader);
}

/** Tells the forwarders of committed entries the commit index, unless a message of this step carries it anyway. */
export function tellForwarders(draft: AnyDraft, tell: (peer: ReplicaId) => void): void {
  const { forwarders } = draft.leaderRole;
  if (forwarders.length === 0) return;
  const commit = draft.commitIndex;
  const due = forwarders.filter((each) => each.through <= commit);
  if (due.length === 0) return;
  draft.editLeader().forwarders = forwarders.filter((each) => each.through > commit);
  for (const { peer } of due) if (!draft.wasSent(peer)) tell(peer);
}

/** The entries made of these proposals, from index `first` on. */
export function entriesOf(proposals: readonly ForwardedProposal[], first: Index, term: number): readonly Entry[] {
  const entries = new Array<Entry>(proposals.length);
  for (let i = 0; i < proposals.length; i++) {
    const { kind, id, data } = proposals[i] as ForwardedProposal;
    entries[i] = { index: first + i, term, kind, id, data };
  }
  return entries;
}
