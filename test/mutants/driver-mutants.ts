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
    name: 'd1',
    about: 'Messages leave before what they rest on is durable.',
    breaks: 'R6, R17',
    killedBy: { kind: 'scenario', file: 'raft/restart-new-origin' },
    edits: [edit(DRAFT, 'if (after <= this.next.durableSeq) this.effects', 'if (after >= 0) this.effects')],
  },
  {
    name: 'd2',
    about: 'What is held back leaves with the next write, though it rests on a later one.',
    breaks: 'R6, R17',
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
    name: 'd3',
    about: 'The end of a write is taken for the end of what was queued behind it, too.',
    breaks: 'R6, R17',
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
    name: 'd4',
    about: 'The hard state is left out of a write that has entries.',
    breaks: 'R1, R8',
    killedBy: { kind: 'scenario', file: 'raft/term-behind-entry-crash' },
    edits: [edit(DRAFT, 'if (hard !== null) result.push', 'if (hard !== null && result.length === 0) result.push')],
  },
  {
    name: 'd5',
    about: 'A write under way is replaced by what comes behind it.',
    breaks: 'law 6',
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
    name: 'm8, R16',
    about: 'A replica that lost its disk is recorded under its old name, and takes part again.',
    breaks: 'R3, R16',
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
    name: 'R16b',
    about: 'A replica takes part before enough others have recorded it.',
    breaks: 'R16',
    killedBy: { kind: 'scenario', file: 'raft/first-start' },
    edits: [edit(IDENTITY, 'return members === 1 ? 0 : Math.floor((members - 1) / 2) + 1;', 'return 0;')],
  },
  {
    name: 'R16c',
    about: 'A witness says that it has recorded a replica before the record is durable.',
    breaks: 'R16',
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
    name: 'd6',
    about: 'The request table does not know what it has admitted: what stands in the log twice takes effect twice.',
    breaks: 'E1',
    killedBy: { kind: 'scenario', file: 'raft/session-late-retry' },
    edits: [edit(TABLE, "if ((session.results[at] ?? null) !== null) return 'known';", '')],
  },
  {
    name: 'd7',
    about: 'A later start of a replica goes on under the number of the one before, counting from 1 again.',
    breaks: 'E1, E2',
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
    name: 'd8',
    about: 'A command that is sent again gets a new id.',
    breaks: 'E1',
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
    name: 'd9',
    about: 'The lowest counter waited for passes over commands that are to be sent again.',
    breaks: 'L5',
    killedBy: { kind: 'scenario', file: 'raft/leader-isolated-then-back' },
    edits: [edit(CALLS, 'const queued = state.queued[0]?.sequence ?? 0;', 'const queued = 0;')],
  },
  {
    name: 'd10',
    about: 'An origin proposes beyond its window.',
    breaks: 'L5',
    killedBy: { kind: 'scenario', file: 'raft/request-window' },
    edits: [edit(CALLS, 'if (sequence >= end) break;', '')],
  },
  {
    name: 'd11',
    about: 'What was sent ends as without effect when its time is over.',
    breaks: 'law 5',
    killedBy: { kind: 'scenario', file: 'raft/outcome-unknown' },
    edits: [edit(CALLS, 'if (sent || command.mayHaveTakenEffect) {', 'if (command.mayHaveTakenEffect && !sent) {')],
  },
  {
    name: 'd12',
    about: 'That an attempt may still take effect is forgotten when the next one ends without.',
    breaks: 'law 5',
    killedBy: { kind: 'scenario', file: 'raft/unknown-stays-unknown' },
    edits: [edit(CALLS, 'mayHaveTakenEffect: mayHaveTakenEffect || command.mayHaveTakenEffect', 'mayHaveTakenEffect')],
  },
  {
    name: 'd13',
    about: 'A linearizable read is served before its index is applied.',
    breaks: 'H1',
    killedBy: { kind: 'scenario', file: 'raft/read-waits-for-apply' },
    edits: [edit(CALLS, 'group.request === 0 && group.index <= next.applied', 'group.request === 0')],
  },
  {
    name: 'd14',
    about: 'Leading is claimed before the leader’s own entry is applied.',
    breaks: 'leadership',
    killedBy: { kind: 'scenario', file: 'raft/leadership-claim' },
    edits: [
      edit(DRIVER, "next.role === 'leader' && next.fence > 0 && next.applied >= next.fence", "next.role === 'leader'"),
    ],
  },
  {
    name: 'd17',
    about: 'A leader that wakes up late goes on leading without asking.',
    breaks: 'leadership',
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
    name: 'd15',
    about: 'A lost answer of the leader leaves its call waiting: nothing is asked again.',
    breaks: 'L5',
    killedBy: { kind: 'scenario', file: 'raft/lost-forward' },
    edits: [edit(CALLS, 'const ATTEMPT_TIMEOUTS = 2;', 'const ATTEMPT_TIMEOUTS = Infinity;')],
  },
  {
    name: 'd16',
    about: 'A command that was proposed before is not looked for in the leader’s uncommitted log (Raft).',
    breaks: 'Requests: nothing is appended that is there',
    killedBy: { kind: 'scenario', file: 'raft/retry-in-flight' },
    edits: [edit('core/proposals.ts', RETRY, 'const index = 0;')],
  },
  {
    name: 'd16b',
    about: 'A command that was proposed before is not looked for among the leader’s votes (Multi-Paxos).',
    breaks: 'Requests: nothing is appended that is there',
    killedBy: { kind: 'scenario', file: 'multipaxos/retry-in-flight' },
    edits: [edit('core/proposals.ts', RETRY, 'const index = 0;')],
  },
];

export const driverMutants: readonly Mutant[] = [...lane, ...identity, ...requests];
