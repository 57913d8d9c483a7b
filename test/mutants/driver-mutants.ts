/** The driver's mutants: the persist lane, identity, the request table and the callers' books (contract). */

import { edit, type Mutant } from './mutant.js';

const RETRY = 'const index = proposal.retry ? ids.indexOf(proposal.id) : 0;';

const DRAFT = 'replica/driver/draft.ts';
const DRIVER = 'replica/driver/driver.ts';
const CALLS = 'replica/driver/calls.ts';
const TABLE = 'replica/driver/session-table.ts';
const IDENTITY = 'replica/driver/identity.ts';

export const lane: readonly Mutant[] = [
  {
    name: 'driver-send-before-durable',
    about: 'Messages leave before what they rest on is durable.',
    breaks: ['durability/send-after-sync', 'log/committed-on-majority'],
    killedBy: { kind: 'scenario', file: 'raft/restart-new-origin' },
    edits: [edit(DRAFT, 'if (after <= this.next.durableSeq) this.effects', 'if (after >= 0) this.effects')],
  },
  {
    name: 'driver-held-back-leaves-early',
    about: 'What is held back leaves with the next write, though it rests on a later one.',
    breaks: ['durability/send-after-sync', 'log/committed-on-majority'],
    killedBy: { kind: 'scenario', file: 'multipaxos/enospc-promise' },
    edits: [
      edit(
        DRAFT,
        'if (each.after > durableSeq || each.writeId > durableWriteId) return true;',
        'if (each.writeId > durableWriteId) return true;',
      ),
    ],
  },
  {
    name: 'driver-queued-counts-as-written',
    about: 'The end of a write is taken for the end of what was queued behind it, too.',
    breaks: ['durability/send-after-sync', 'log/committed-on-majority'],
    killedBy: { kind: 'scenario', file: 'multipaxos/enospc-promise' },
    edits: [
      edit(
        DRAFT,
        'if (next.writingSeq > 0) next.durableSeq = next.writingSeq;\n    const persistSeq = next.writingSeq;',
        'const persistSeq = Math.max(next.writingSeq, next.queueSeq);\n    if (persistSeq > 0) next.durableSeq = persistSeq;',
      ),
    ],
  },
  {
    name: 'driver-hard-state-left-out',
    about: 'The hard state is left out of a write that has entries.',
    breaks: ['raft/one-leader-per-term', 'raft/term-never-falls'],
    killedBy: { kind: 'scenario', file: 'raft/term-behind-entry-crash' },
    edits: [edit(DRAFT, 'if (hard !== null) result.push', 'if (hard !== null && result.length === 0) result.push')],
  },
  {
    name: 'driver-write-replaced',
    about: 'A write under way is replaced by what comes behind it.',
    breaks: ['law/durable-first', 'durability/one-write-at-a-time'],
    killedBy: { kind: 'scenario', file: 'raft/inflated-term-rejoin' },
    edits: [
      edit(
        DRAFT,
        'this.next.queue = this.next.queue.length === 0 ? ops : [...this.next.queue, ...ops];',
        'this.next.queue = ops;',
      ),
    ],
  },
];

export const identity: readonly Mutant[] = [
  {
    name: 'driver-lost-disk-takes-part',
    about: 'A replica that lost its disk is recorded under its old name, and takes part again.',
    breaks: ['identity/lost-disk-has-no-vote', 'raft/leader-completeness'],
    killedBy: { kind: 'scenario', file: 'multipaxos/vrr-amnesia' },
    edits: [
      edit(
        IDENTITY,
        'if (known !== 0 && known !== incarnation) {',
        'if (known !== 0 && known !== incarnation && incarnation === 0) {',
      ),
      edit(IDENTITY, 'const writeId = known === 0 ? record', 'const writeId = known !== incarnation ? record'),
    ],
  },
  {
    name: 'driver-takes-part-unknown',
    about: 'A replica takes part before enough others have recorded it.',
    breaks: ['identity/known-before-it-votes'],
    killedBy: { kind: 'scenario', file: 'raft/first-start' },
    edits: [edit(IDENTITY, 'return members === 1 ? 0 : Math.floor((members - 1) / 2) + 1;', 'return 0;')],
  },
  {
    name: 'driver-note-before-durable',
    about: 'A witness says that it has recorded a replica before the record is durable.',
    breaks: ['identity/known-before-it-votes'],
    killedBy: { kind: 'scenario', file: 'raft/first-start' },
    edits: [
      edit(
        IDENTITY,
        "reply(draft, introduction, { kind: 'recorded' }, incarnation, writeId);",
        "reply(draft, introduction, { kind: 'recorded' }, incarnation, 0);",
      ),
    ],
  },
];

export const requests: readonly Mutant[] = [
  {
    name: 'driver-repetition-takes-effect',
    about: 'The request table does not know what it has admitted: what stands in the log twice takes effect twice.',
    breaks: ['requests/at-most-once'],
    killedBy: { kind: 'scenario', file: 'raft/session-late-retry' },
    edits: [edit(TABLE, "if ((session.results[at] ?? null) !== null) return 'known';", '')],
  },
  {
    name: 'driver-session-goes-on',
    about: 'A later start of a replica goes on under the number of the one before, counting from 1 again.',
    breaks: ['requests/at-most-once', 'requests/told-its-result'],
    killedBy: { kind: 'scenario', file: 'raft/restart-new-origin' },
    edits: [
      edit(
        TABLE,
        'if (same !== undefined && same.boot === opening.boot) return same.number;',
        'if (same !== undefined) return same.number;',
      ),
    ],
  },
  {
    name: 'driver-retry-gets-new-id',
    about: 'A command that is sent again gets a new id.',
    breaks: ['requests/at-most-once'],
    killedBy: { kind: 'scenario', file: 'raft/session-late-retry' },
    edits: [
      edit(
        CALLS,
        `({
      ...command,
      request: 0,
      mayHaveTakenEffect: mayHaveTakenEffect || command.mayHaveTakenEffect,
    })`,
        '({ ...command, sequence: 0, request: 0, mayHaveTakenEffect: mayHaveTakenEffect || command.mayHaveTakenEffect })',
      ),
    ],
  },
  {
    name: 'driver-first-incomplete-too-high',
    about: 'The lowest counter waited for passes over commands that are to be sent again.',
    breaks: ['liveness/every-call-ends'],
    killedBy: { kind: 'scenario', file: 'raft/leader-isolated-then-back' },
    edits: [edit(CALLS, 'const queued = state.queued[0]?.sequence ?? 0;', 'const queued = 0;')],
  },
  {
    name: 'driver-beyond-session-window',
    about: 'An origin proposes beyond its window.',
    breaks: ['liveness/every-call-ends'],
    killedBy: { kind: 'scenario', file: 'raft/request-window' },
    edits: [edit(CALLS, 'if (sequence >= end) break;', '')],
  },
  {
    name: 'driver-late-is-none',
    about: 'What was sent ends as without effect when its time is over.',
    breaks: ['requests/none-is-kept'],
    killedBy: { kind: 'scenario', file: 'raft/outcome-unknown' },
    edits: [edit(CALLS, 'if (sent || command.mayHaveTakenEffect) {', 'if (command.mayHaveTakenEffect && !sent) {')],
  },
  {
    name: 'driver-unknown-forgotten',
    about: 'That an attempt may still take effect is forgotten when the next one ends without.',
    breaks: ['requests/none-is-kept'],
    killedBy: { kind: 'scenario', file: 'raft/unknown-stays-unknown' },
    edits: [edit(CALLS, 'mayHaveTakenEffect: mayHaveTakenEffect || command.mayHaveTakenEffect', 'mayHaveTakenEffect')],
  },
  {
    name: 'driver-read-before-apply',
    about: 'A linearizable read is served before its index is applied.',
    breaks: ['reads/served-after-apply', 'reads/no-stale-read'],
    killedBy: { kind: 'scenario', file: 'raft/read-waits-for-apply' },
    edits: [edit(CALLS, 'group.request === 0 && group.index <= next.applied', 'group.request === 0')],
  },
  {
    name: 'driver-leads-before-own-entry',
    about: 'Leading is claimed before the leader’s own entry is applied.',
    breaks: ['leadership/after-own-entry'],
    killedBy: { kind: 'scenario', file: 'raft/leadership-claim' },
    edits: [
      edit(DRIVER, "next.role === 'leader' && next.fence > 0 && next.applied >= next.fence", "next.role === 'leader'"),
    ],
  },
  {
    name: 'driver-leads-on-after-pause',
    about: 'A leader that wakes up late goes on leading without asking.',
    breaks: ['leadership/ended-by-a-pause'],
    killedBy: { kind: 'scenario', file: 'raft/leadership-claim' },
    edits: [
      edit(
        DRIVER,
        'if (!paused && next.confirming !== CONFIRMING_FAILED) return;',
        'if (next.confirming !== CONFIRMING_FAILED) return;',
      ),
    ],
  },
  {
    name: 'driver-lost-answer-waits',
    about: 'A lost answer of the leader leaves its call waiting: nothing is asked again.',
    breaks: ['liveness/every-call-ends'],
    killedBy: { kind: 'scenario', file: 'raft/lost-forward' },
    edits: [edit(CALLS, 'const ATTEMPT_TIMEOUTS = 2;', 'const ATTEMPT_TIMEOUTS = Infinity;')],
  },
  {
    name: 'raft-retry-appended-again',
    about: 'A command that was proposed before is not looked for in the leader’s uncommitted log (Raft).',
    breaks: ['requests/no-second-copy'],
    killedBy: { kind: 'scenario', file: 'raft/retry-in-flight' },
    edits: [edit('core/proposals.ts', RETRY, 'const index = 0;')],
  },
  {
    name: 'paxos-retry-proposed-again',
    about: 'A command that was proposed before is not looked for among the leader’s votes (Multi-Paxos).',
    breaks: ['requests/no-second-copy'],
    killedBy: { kind: 'scenario', file: 'multipaxos/retry-in-flight' },
    edits: [edit('core/proposals.ts', RETRY, 'const index = 0;')],
  },
];

export const driverMutants: readonly Mutant[] = [...lane, ...identity, ...requests];
