/** The coverage points of pre-votes, for the rig: the same in both protocols. */

import type { ElectionMessage } from './election-messages.js';
import type { Hit } from './model.js';
import { hearsLeader } from './pre-vote.js';
import type { ReplicaId } from './members.js';
import type { Inbound, Outbound } from './protocol.js';
import { leaderOf, type CoreState } from './state.js';

const STICKY = 'pre-vote refused while a leader is heard';
const WON = 'round of pre-votes won';
const GAVE_WAY = 'round of pre-votes given up for a rival';
const TAUGHT = 'refused pre-vote taught a higher term';
const NOTICED = 'crash of the leader noticed';

export const preVotePoints: readonly string[] = [STICKY, WON, GAVE_WAY, TAUGHT, NOTICED];

/** A step of a core, as far as what both protocols share shows in it. */
export interface CoveredStep {
  readonly before: CoreState;
  readonly after: CoreState;
  readonly inbound: Inbound<{ readonly kind: string }>;
  readonly outbound: readonly Outbound<{ readonly kind: string }>[];
}

/** Whether a message of elections that fits is sent. */
export function sends({ outbound }: CoveredStep, is: (message: ElectionMessage) => boolean): boolean {
  return outbound.some((each) => each.kind === 'send' && is(each.message as ElectionMessage));
}

function coverAsked(step: CoveredStep, from: ReplicaId, hit: Hit): void {
  const { before, after, inbound } = step;
  const refused = sends(step, (message) => message.kind === 'preVoteReply' && !message.granted);
  if (refused && leaderOf(before) !== from && hearsLeader(before, inbound.now)) hit(STICKY);
  if (before.preVoting !== null && after.preVoting === null) hit(GAVE_WAY);
}

function coverAnswered(step: CoveredStep, hit: Hit): void {
  const { before, after } = step;
  if (before.preVoting === null) return;
  if (after.role.kind === 'candidate') hit(WON);
  else if (sends(step, (message) => message.kind === 'preVote')) hit(TAUGHT);
}

export function coverPreVotes(step: CoveredStep, hit: Hit): void {
  const { before, after, inbound } = step;
  if (inbound.kind === 'unreachable' && leaderOf(before) === inbound.peer && leaderOf(after) === null) hit(NOTICED);
  if (inbound.kind !== 'receive') return;
  const { kind } = inbound.message;
  if (kind === 'preVote') coverAsked(step, inbound.from, hit);
  else if (kind === 'preVoteReply') coverAnswered(step, hit);
}
