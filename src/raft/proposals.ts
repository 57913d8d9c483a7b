/** How Raft's leader appends proposals: after the last entry, with a bound on the uncommitted bytes. */

import { noopAt } from '../core/entries.js';
import { stampNow, type WakeRules } from '../core/log-time.js';
import { entriesOf, type ProposalRules } from '../core/proposals.js';
import type { Entry, Index } from '../core/protocol.js';
import { slice } from '../core/log.js';
import type { RaftDraft } from './draft.js';
import { tryCommit } from './replication.js';
import { broadcast } from './sending.js';

/** Gives the first index. */
function appendAll(draft: RaftDraft, entries: readonly Entry[]): Index {
  draft.append(entries);
  draft.noteUncommitted(entries);
  broadcast(draft);
  tryCommit(draft);
  return (entries[0] as Entry).index;
}

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
    return appendAll(draft, entriesOf(proposals, first, term, stampNow(draft)));
  },
  uncommitted({ state: { log, commit } }, from) {
    // What was appended since the start is in memory: no entry leaves it before it is committed.
    return slice(log, Math.max(from, commit + 1, log.tailFrom), log.last, Infinity) ?? [];
  },
  settled({ state }) {
    return state.log.last;
  },
};

export const wakeRules: WakeRules<RaftDraft> = {
  appendNoop(draft, time) {
    const { log, term } = draft.state;
    if (proposalRules.room(draft).bytes > 0) appendAll(draft, [noopAt(log.last + 1, term, time)]);
  },
};
