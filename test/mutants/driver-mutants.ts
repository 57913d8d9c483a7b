/** The driver's mutants: the persist lane, identity, the request table and the callers' books (contract). */

import { edit, mutant, scenario, type Mutant } from './mutant.js';

const RETRY = 'const index = proposal.retry ? ids.indexOf(proposal.id) : 0;';

const DRAFT = 'replica/driver/draft.ts';
const DRIVER = 'replica/driver/driver.ts';
const CALLS = 'replica/driver/calls.ts';
const TABLE = 'replica/driver/session-table.ts';
const IDENTITY = 'replica/driver/identity.ts';

export const lane: readonly Mutant[] = [
  mutant(
    'driver-send-before-durable',
    'Messages leave before what they rest on is durable.',
    ['durability/send-after-sync', 'log/committed-on-majority'],
    scenario('raft/restart-new-origin'),
    edit(DRAFT, 'if (after <= this.next.durableSeq) this.effects', 'if (after >= 0) this.effects'),
  ),
  mutant(
    'driver-held-back-leaves-early',
    'What is held back leaves with the next write, though it rests on a later one.',
    ['durability/send-after-sync', 'log/committed-on-majority'],
    scenario('multipaxos/enospc-promise'),
    edit(
      DRAFT,
      'if (each.after > durableSeq || each.writeId > durableWriteId) return true;',
      'if (each.writeId > durableWriteId) return true;',
    ),
  ),
  mutant(
    'driver-queued-counts-as-written',
    'The end of a write is taken for the end of what was queued behind it, too.',
    ['durability/send-after-sync', 'log/committed-on-majority'],
    scenario('multipaxos/enospc-promise'),
    edit(
      DRAFT,
      'if (next.writingSeq > 0) next.durableSeq = next.writingSeq;\n    const persistSeq = next.writingSeq;',
      'const persistSeq = Math.max(next.writingSeq, next.queueSeq);\n    if (persistSeq > 0) next.durableSeq = persistSeq;',
    ),
  ),
  mutant(
    'driver-hard-state-left-out',
    'The hard state is left out of a write that has entries.',
    ['raft/one-leader-per-term', 'raft/term-never-falls'],
    scenario('raft/term-behind-entry-crash'),
    edit(DRAFT, 'if (hard !== null) result.push', 'if (hard !== null && result.length === 0) result.push'),
  ),
  mutant(
    'driver-write-replaced',
    'A write under way is replaced by what comes behind it.',
    ['law/durable-first', 'durability/one-write-at-a-time'],
    scenario('raft/inflated-term-rejoin'),
    edit(
      DRAFT,
      'this.next.queue = this.next.queue.length === 0 ? ops : [...this.next.queue, ...ops];',
      'this.next.queue = ops;',
    ),
  ),
];

export const identity: readonly Mutant[] = [
  mutant(
    'driver-lost-disk-takes-part',
    'A replica that lost its disk is recorded under its old name, and takes part again.',
    ['identity/lost-disk-has-no-vote', 'raft/leader-completeness'],
    scenario('multipaxos/vrr-amnesia'),
    edit(
      IDENTITY,
      'if (known !== 0 && known !== incarnation) {',
      'if (known !== 0 && known !== incarnation && incarnation === 0) {',
    ),
    edit(IDENTITY, 'const writeId = known === 0 ? record', 'const writeId = known !== incarnation ? record'),
  ),
  mutant(
    'driver-takes-part-unknown',
    'A replica takes part before enough others have recorded it.',
    ['identity/known-before-it-votes'],
    scenario('raft/first-start'),
    edit(IDENTITY, 'return members === 1 ? 0 : Math.floor((members - 1) / 2) + 1;', 'return 0;'),
  ),
  mutant(
    'driver-note-before-durable',
    'A witness says that it has recorded a replica before the record is durable.',
    ['identity/known-before-it-votes'],
    scenario('raft/first-start'),
    edit(
      IDENTITY,
      "reply(draft, introduction, { kind: 'recorded' }, incarnation, writeId);",
      "reply(draft, introduction, { kind: 'recorded' }, incarnation, 0);",
    ),
  ),
];

export const requests: readonly Mutant[] = [
  mutant(
    'driver-repetition-takes-effect',
    'The request table does not know what it has admitted: what stands in the log twice takes effect twice.',
    ['requests/at-most-once'],
    scenario('raft/session-late-retry'),
    edit(TABLE, "if ((session.results[at] ?? null) !== null) return 'known';", ''),
  ),
  mutant(
    'driver-session-goes-on',
    'A later start of a replica goes on under the number of the one before, counting from 1 again.',
    ['requests/at-most-once', 'requests/told-its-result'],
    scenario('raft/restart-new-origin'),
    edit(
      TABLE,
      'if (same !== undefined && same.boot === opening.boot) return same.number;',
      'if (same !== undefined) return same.number;',
    ),
  ),
  mutant(
    'driver-retry-gets-new-id',
    'A command that is sent again gets a new id.',
    ['requests/at-most-once'],
    scenario('raft/session-late-retry'),
    edit(
      CALLS,
      `({
      ...command,
      request: 0,
      mayHaveTakenEffect: mayHaveTakenEffect || command.mayHaveTakenEffect,
    })`,
      '({ ...command, sequence: 0, request: 0, mayHaveTakenEffect: mayHaveTakenEffect || command.mayHaveTakenEffect })',
    ),
  ),
  mutant(
    'driver-first-incomplete-too-high',
    'The lowest counter waited for passes over commands that are to be sent again.',
    ['liveness/every-call-ends'],
    scenario('raft/leader-isolated-then-back'),
    edit(CALLS, 'const queued = state.queued[0]?.sequence ?? 0;', 'const queued = 0;'),
  ),
  mutant(
    'driver-beyond-session-window',
    'An origin proposes beyond its window.',
    ['liveness/every-call-ends'],
    scenario('raft/request-window'),
    edit(CALLS, 'if (sequence >= end) break;', ''),
  ),
  mutant(
    'driver-late-is-none',
    'What was sent ends as without effect when its time is over.',
    ['requests/none-is-kept'],
    scenario('raft/outcome-unknown'),
    edit(CALLS, 'if (sent || command.mayHaveTakenEffect) {', 'if (command.mayHaveTakenEffect && !sent) {'),
  ),
  mutant(
    'driver-unknown-forgotten',
    'That an attempt may still take effect is forgotten when the next one ends without.',
    ['requests/none-is-kept'],
    scenario('raft/unknown-stays-unknown'),
    edit(CALLS, 'mayHaveTakenEffect: mayHaveTakenEffect || command.mayHaveTakenEffect', 'mayHaveTakenEffect'),
  ),
  mutant(
    'driver-read-before-apply',
    'A linearizable read is served before its index is applied.',
    ['reads/served-after-apply', 'reads/no-stale-read'],
    scenario('raft/read-waits-for-apply'),
    edit(CALLS, 'group.request === 0 && group.index <= next.applied', 'group.request === 0'),
  ),
  mutant(
    'driver-leads-before-own-entry',
    'Leading is claimed before the leader’s own entry is applied.',
    ['leadership/after-own-entry'],
    scenario('raft/leadership-claim'),
    edit(DRIVER, "next.role === 'leader' && next.fence > 0 && next.applied >= next.fence", "next.role === 'leader'"),
  ),
  mutant(
    'driver-leads-on-after-pause',
    'A leader that wakes up late goes on leading without asking.',
    ['leadership/ended-by-a-pause'],
    scenario('raft/leadership-claim'),
    edit(
      DRIVER,
      'if (!paused && next.confirming !== CONFIRMING_FAILED) return;',
      'if (next.confirming !== CONFIRMING_FAILED) return;',
    ),
  ),
  mutant(
    'driver-lost-answer-waits',
    'A lost answer of the leader leaves its call waiting: nothing is asked again.',
    ['liveness/every-call-ends'],
    scenario('raft/lost-forward'),
    edit(CALLS, 'const ATTEMPT_TIMEOUTS = 2;', 'const ATTEMPT_TIMEOUTS = Infinity;'),
  ),
  mutant(
    'raft-retry-appended-again',
    'A command that was proposed before is not looked for in the leader’s uncommitted log (Raft).',
    ['requests/no-second-copy'],
    scenario('raft/retry-in-flight'),
    edit('core/proposals.ts', RETRY, 'const index = 0;'),
  ),
  mutant(
    'paxos-retry-proposed-again',
    'A command that was proposed before is not looked for among the leader’s votes (Multi-Paxos).',
    ['requests/no-second-copy'],
    scenario('multipaxos/retry-in-flight'),
    edit('core/proposals.ts', RETRY, 'const index = 0;'),
  ),
];

export const driverMutants: readonly Mutant[] = [...lane, ...identity, ...requests];
