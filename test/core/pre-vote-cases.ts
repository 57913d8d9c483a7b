/** What must hold of rounds of pre-votes, as a function that throws a violation: a test runs it, and a mutant's killer. */

import { Node } from '../raft/support.js';
import { demand } from '../violation.js';

/** A round for the leader does not keep a follower that hears it no longer from putting off its own campaign. */
export function roundForLeaderGivesWay(): void {
  const node = new Node('a', 3, null, [], true);
  const append = { term: 4, viewId: 1, prevIndex: 0, prevTerm: 0, entries: [], commit: 0, readRound: 0 };
  node.receive('b', { kind: 'appendEntries', ...append });
  node.receive('b', { kind: 'askTakeOver', term: 4, number: 7 });
  const rule = 'liveness/rival-gives-way: ';
  demand(node.state.preVoting?.handover?.number === 7, `${rule}it asks for its leader's sake`);
  node.now += node.state.options.timing.electionMin;
  node.receive('c', { kind: 'preVote', term: 5, number: 3, lastIndex: 0, lastTerm: 0, handover: false });
  const { preVoting, electionTimer } = node.state;
  demand(preVoting === null && electionTimer.deferred, `${rule}a round for the leader is no rival`, () => preVoting);
}
