/** How the leader of Multi-Paxos appends proposals: at the next slots, as many as α and the uncommitted bytes allow. */

import { noopAt } from '../core/entries.js';
import { stampNow, type WakeRules } from '../core/log-time.js';
import { entriesOf, type ProposalRules } from '../core/proposals.js';
import type { PaxosDraft } from './draft.js';
import { propose, roomOf } from './leader.js';
import { page } from './window.js';

export const proposalRules: ProposalRules<PaxosDraft> = {
  room({ state }) {
    const { limits } = state.options;
    return { entries: roomOf(state), bytes: limits.uncommittedBytes - state.window.bytes };
  },
  append(draft, proposals) {
    const { ballot, next } = draft.leaderRole;
    propose(draft, entriesOf(proposals, next, ballot, stampNow(draft)));
    return next;
  },
  uncommitted({ state: { window } }, from) {
    return page(window, from, Infinity)[0];
  },
  settled({ leaderRole }) {
    return leaderRole.next - 1;
  },
};

export const wakeRules: WakeRules<PaxosDraft> = {
  appendNoop(draft, time) {
    const { ballot, next, noopIndex } = draft.leaderRole;
    const { entries, bytes } = proposalRules.room(draft);
    if (next > noopIndex && entries > 0 && bytes > 0) propose(draft, [noopAt(next, ballot, time)]);
  },
};
