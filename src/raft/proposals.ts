/** How Raft's leader takes proposals: behind the last entry, and no more ahead of the commit than the bound. */

import { entriesOf, type ProposalRules } from '../core/proposals.js';
import { slice } from '../core/log.js';
import type { RaftDraft } from './draft.js';
import { tryCommit } from './replication.js';
import { broadcast } from './sending.js';

export const proposalRules: ProposalRules<RaftDraft> = {
  room(draft) {
    return {
      entries: Infinity,
      bytes: draft.state.options.limits.uncommittedBytes - draft.leaderRole.uncommittedBytes,
    };
  },
  append(draft, proposals) {
    const { log, term } = draft.state;
    const first = log.last + 1;
    const entries = entriesOf(proposals, first, term);
    draft.append(entries);
    draft.noteUncommitted(entries);
    broadcast(draft);
    tryCommit(draft);
    return first;
  },
  uncommitted({ state: { log, commit } }) {
    // No entry leaves memory before it is committed.
    return slice(log, commit + 1, log.last, Infinity) ?? [];
  },
};
