/** The coverage points of transfers and of grants, for the rig: the same in both protocols. */

import { isBoundAgainst } from './lease-reads.js';
import type { Hit } from './model.js';
import { sends, type CoveredStep } from './pre-vote-coverage.js';
import type { CoreState } from './state.js';
import { hasHandedOver } from './transferring.js';

const TRANSFERRED = 'a transfer had its effect';
const TAKEN_OVER = 'a handover was obeyed';
const REFUSED = 'a handover was refused';
const AGAIN = 'a handover was sent again, or to another target';
const GIVEN_UP = 'a transfer was given up, and the leader led on';
const DISK = 'a leader began to give way for its disk';
const LEASED = 'a lease read was served at once';
const FORWARDED = 'a forwarded lease read was answered at once';
const NO_LEASE = 'a lease read found no lease';
const BOUND = 'a pre-vote was refused for a grant';
const OVER = 'a handover ended the grants';

export const leadershipPoints: readonly string[] = [
  ...[TRANSFERRED, TAKEN_OVER, REFUSED, AGAIN, GIVEN_UP, DISK],
  ...[LEASED, FORWARDED, NO_LEASE, BOUND, OVER],
];

type Leading = Extract<CoreState['role'], { readonly kind: 'leader' }>;

function coverLeading(step: CoveredStep, was: Leading, is: Leading, hit: Hit): void {
  const [before, after] = [was.transfer, is.transfer];
  if (before !== null && after === null) hit(GIVEN_UP);
  if (before === null && after?.why === 'disk') hit(DISK);
  const tried = before !== null && hasHandedOver(before);
  if (tried && sends(step, ({ kind }) => kind === 'handover')) hit(AGAIN);
  if (is.grants.over && !was.grants.over) hit(OVER);
}

function coverLeaseRead(step: CoveredStep, hit: Hit): void {
  const { before, inbound, outbound } = step;
  if (before.options.leaseReads === 0 || before.options.others.length === 0) return;
  if (inbound.kind === 'read' && inbound.byLease === true && before.role.kind === 'leader') {
    hit(outbound.some(({ kind }) => kind === 'readReady') ? LEASED : NO_LEASE);
  }
  if (inbound.kind !== 'receive' || before.role.kind !== 'leader') return;
  const { kind, byLease } = inbound.message as { readonly kind: string; readonly byLease?: boolean };
  const isAnswered = outbound.some((each) => each.kind === 'send' && each.message.kind === 'readAnswer');
  if (kind === 'forwardRead' && byLease === true && isAnswered) hit(FORWARDED);
}

export function coverLeadership(step: CoveredStep, hit: Hit): void {
  const { before, after, inbound, outbound } = step;
  if (outbound.some((each) => each.kind === 'resolve' && each.outcome.kind === 'transferred')) hit(TRANSFERRED);
  coverLeaseRead(step, hit);
  if (before.role.kind === 'leader' && after.role.kind === 'leader' && before.role !== after.role) {
    coverLeading(step, before.role, after.role, hit);
  }
  if (inbound.kind !== 'receive') return;
  const { kind } = inbound.message;
  if (kind === 'handover') {
    if (after.role.kind === 'candidate') hit(TAKEN_OVER);
    else if (sends(step, (message) => message.kind === 'handoverRefused')) hit(REFUSED);
  }
  const isRefused = sends(step, (message) => message.kind === 'preVoteReply' && !message.granted);
  if (kind === 'preVote' && isRefused && isBoundAgainst(before, inbound.from, inbound.now)) hit(BOUND);
}
