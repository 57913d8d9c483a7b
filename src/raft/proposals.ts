/** Proposals: appended here by the leader, passed on by everybody else. */

import type { ForwardProposals, ForwardedProposal, ProposalsRefused } from '../core/forwarding.js';
import type { Entry, Propose } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import { entryAt } from '../core/log.js';
import { addAttempt, endRefused } from '../core/attempts.js';
import type { RaftDraft } from './draft.js';
import { tryCommit } from './replication.js';
import { broadcast } from './sending.js';
import type { RaftLeader } from './state.js';

export function onPropose(draft: RaftDraft, message: Propose): void {
  const { role, term } = draft.state;
  const { proposals, deadline } = message;
  if (proposals.length === 0) return;
  const requests = (): number[] => proposals.map((proposal) => proposal.request);
  if (role.kind === 'leader') return proposeHere(draft, message);
  if (role.kind !== 'follower' || role.leader === null) {
    draft.resolve(requests(), { kind: 'none', reason: 'noLeader', leader: null });
    return;
  }
  const number = draft.freshNumber();
  draft.setAttempts(addAttempt(draft.state.attempts, proposals, 0, number, deadline));
  const bare = proposals.map(({ kind, id, data, retry }) => ({ kind, id, data, retry }));
  draft.send(role.leader, { kind: 'forwardProposals', term, number, proposals: bare }, 0, 'control');
}

function isFull(draft: RaftDraft): boolean {
  return (draft.state.role as RaftLeader).uncommittedBytes >= draft.state.options.limits.uncommittedBytes;
}

function proposeHere(draft: RaftDraft, { proposals, deadline }: Propose): void {
  if (isFull(draft)) {
    const requests = proposals.map((proposal) => proposal.request);
    draft.resolve(requests, { kind: 'none', reason: 'busy', leader: draft.state.options.id });
    return;
  }
  const isKnown = uncommittedIds(draft);
  const met = proposals.filter((proposal) => proposal.retry && isKnown(proposal));
  const fresh = met.length === 0 ? proposals : proposals.filter((proposal) => !met.includes(proposal));
  const first = draft.state.log.last + 1;
  let { attempts } = draft.state;
  if (met.length > 0) attempts = addAttempt(attempts, met, 0, 0, deadline);
  if (fresh.length > 0) attempts = addAttempt(attempts, fresh, first, 0, deadline);
  draft.setAttempts(attempts);
  appendAll(draft, fresh);
}

/**
 * Whether a proposal stands in the uncommitted tail. Only what may have been sent before is looked for; the tail is
 * gone through once, since after a pause thousands are sent again together.
 */
function uncommittedIds(draft: RaftDraft): (proposal: ForwardedProposal) => boolean {
  let ids: Set<string> | null = null;
  return ({ id }) => {
    if (ids === null) {
      ids = new Set();
      const { log, commit } = draft.state;
      for (let index = log.last; index > commit; index--) {
        const known = entryAt(log, index)?.id;
        if (known) ids.add(`${known.session}:${known.sequence}`);
      }
    }
    return ids.has(`${id.session}:${id.sequence}`);
  };
}

function appendAll(draft: RaftDraft, proposals: readonly ForwardedProposal[]): void {
  if (proposals.length === 0) return;
  const { log, term } = draft.state;
  const entries: Entry[] = [];
  for (let i = 0; i < proposals.length; i++) {
    const { kind, id, data } = proposals[i] as ForwardedProposal;
    entries.push({ index: log.last + 1 + i, term, kind, id, data });
  }
  draft.append(entries);
  draft.noteUncommitted(entries);
  broadcast(draft);
  tryCommit(draft);
}

/** A follower's proposals. Success is not answered: it shows in the log. */
export function onForwardProposals(draft: RaftDraft, from: ReplicaId, message: ForwardProposals): void {
  const { role, term } = draft.state;
  if (role.kind !== 'leader' || isFull(draft)) {
    const reason = role.kind === 'leader' ? 'busy' : 'notLeader';
    const leader = role.kind === 'follower' ? role.leader : null;
    draft.send(from, { kind: 'proposalsRefused', term, number: message.number, reason, leader }, 0, 'control');
    return;
  }
  const isKnown = uncommittedIds(draft);
  const fresh = message.proposals.filter((proposal) => !proposal.retry || !isKnown(proposal));
  if (fresh.length === 0) return;
  const through = draft.state.log.last + fresh.length;
  const known = role.forwarders.filter((each) => each.peer !== from);
  draft.ownLeader().forwarders = [...known, { peer: from, through }];
  appendAll(draft, fresh);
}

export function onProposalsRefused(draft: RaftDraft, message: ProposalsRefused): void {
  draft.end(endRefused(draft.state.attempts, message.number, message.reason, message.leader));
}
