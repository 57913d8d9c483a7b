/**
 * Commit notices: a leader tells a peer of a commit at once if nobody else will soon, so that neither a forwarded
 * proposal nor a reader waits for a heartbeat. For each peer it keeps the highest commit index that a message let the
 * peer adopt, from 0 on in each leadership. At the end of every step, if the peer may adopt more, and it forwarded an
 * entry above that, or nothing is under way to it, it is told. Each index is told once, at a place that the peer is
 * known to have; a lost notice is made good by the heartbeat, so nobody acknowledges one.
 */

import type { AnyDraft } from './draft.js';
import type { Member, ReplicaId } from './members.js';
import type { Index } from './protocol.js';

/** What this file asks of a protocol. Peers are named by their position in `CoreOptions.others`. */
export interface NoticeRules<D> {
  /** Up to where the peer is known to hold what this leader has. */
  held(draft: D, at: number): Index;
  /** Whether a message with entries is under way to the peer, which brings the next answer. */
  isBusy(draft: D, at: number): boolean;
  tell(draft: D, peer: ReplicaId, commit: Index): void;
}

/** At the end of every step of a leader: tells the peers of the commit index for which no other message is due. */
export function tellCommits<D extends AnyDraft>(draft: D, rules: NoticeRules<D>): void {
  const { others } = draft.state.options;
  const commit = draft.commitIndex;
  for (let at = 0; at < others.length; at++) {
    const { told, forwarded } = draft.leaderRole;
    const known = told[at] as Index;
    if (commit <= known) continue;
    const due = Math.min(commit, rules.held(draft, at));
    if (due <= known || ((forwarded[at] as Index) <= known && rules.isBusy(draft, at))) continue;
    const { id } = others[at] as Member;
    draft.noteTold(id, due);
    rules.tell(draft, id, due);
  }
}
