/** How the leader of Multi-Paxos appends proposals: at the next slots, as many as α and the uncommitted bytes allow. */

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
    propose(draft, entriesOf(proposals, next, ballot));
    return next;
  },
  uncommitted({ state: { window } }, from) {
    return page(window, from, Infinity)[0];
  },
  settled({ leaderRole }) {
    return leaderRole.next - 1;
  },
};
