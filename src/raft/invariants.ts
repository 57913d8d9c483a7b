/**
 * What always holds of one state, and between a state and the one after it (R7–R10, R12, R16, S4). The checks that run
 * in production stand where their evidence arrives: two leaders in a term and a conflict at or below the commit index
 * in `replication.ts`, the laws of the verbs in `draft.ts`.
 */

import { assert } from '../core/assert.js';
import { durableIndex } from '../core/durability.js';
import { lastTerm, termAt } from '../core/log.js';
import type { RaftState } from './state.js';

/** @throws InvariantViolation naming what does not hold */
export function checkState(state: RaftState): void {
  const { log, commit, delivery, role, term, options } = state;
  assert(commit <= log.last, 'the commit index lies within the log');
  assert(delivery.applied <= delivery.handed && delivery.handed <= commit, 'applied ≤ handed ≤ commit');
  assert(lastTerm(log) <= term, 'no entry is of a term to come');
  assert(log.runs.every((run, at) => at === 0 || run.term > (log.runs[at - 1]?.term ?? 0)), 'terms rise (R12)');
  assert(log.tailFrom > durableIndex(state.unsynced, log.last) + 1 === false, 'memory holds what is not durable');
  if (role.kind !== 'leader') return;
  assert(state.vote === options.id, 'a leader voted for itself');
  assert(termAt(log, role.fence) === term, 'the fence of a leader is of its term');
  for (const peer of role.peers) {
    assert(peer.match < peer.next && peer.next <= log.last + 1, 'match < next ≤ last + 1');
    const bytes = peer.inflight.reduce((sum, each) => sum + each.bytes, 0);
    assert(bytes === peer.inflightBytes, 'the bytes under way add up (bug 48)');
  }
}

/** @throws InvariantViolation naming what does not hold */
export function checkStep(before: RaftState, after: RaftState): void {
  assert(after.term >= before.term, 'terms never fall (R8)');
  assert(after.commit >= before.commit, 'the commit index never falls (R10)');
  assert(after.delivery.handed >= before.delivery.handed, 'nothing is handed over twice');
  assert(after.now >= before.now, 'time never falls');
  assert(after.log.last >= before.commit, 'committed entries are never dropped (R16)');
  const sameVote = after.term > before.term || before.vote === null || after.vote === before.vote;
  assert(sameVote, 'one vote a term (R9)');
  const leads = before.role.kind === 'leader' && after.role.kind === 'leader' && before.term === after.term;
  if (leads) assert(after.log.last >= before.log.last, 'a leader only appends (R7)');
}
