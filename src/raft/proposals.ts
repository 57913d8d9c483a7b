/** How Raft's leader appends proposals: after the last entry, with a bound on the uncommitted bytes. */

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
  uncommitted({ state: { log, commit } }, from) {
    // What was appended since the start is in memory: no entry leaves it before it is committed.
    return slice(log, Math.max(from, commit + 1, log.tailFrom), log.last, Infinity) ?? [];
  },
  settled({ state }) {
    return state.log.last;
  },
};
