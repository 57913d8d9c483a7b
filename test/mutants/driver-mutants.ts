/** The driver's mutants: the persist lane, identity, the session table and the callers' books (contract). */

import { edit, mutant, scenario, script, type Mutant } from './mutant.js';

const STANDING = 'retry ? standingAt(unsettled, id) || standingAt(standing, id) : 0';

const LANE = 'replica/driver/persist-lane.ts';
const LEADERSHIP = 'replica/driver/leadership.ts';
const PROPOSALS = 'replica/driver/proposals.ts';
const READS = 'replica/driver/reads.ts';
const TABLE = 'replica/driver/session-table.ts';
const IDENTITY = 'replica/driver/identity.ts';
const RECORDS = 'replica/driver/peer-records.ts';
const TIMING = 'replica/driver/timing.ts';
const FIRST_START = 'replica/driver/first-start.ts';

export const lane: readonly Mutant[] = [
  mutant(
    'driver-send-before-durable',
    'Messages leave before what they rest on is durable.',
    ['durability/send-after-sync', 'log/committed-on-majority'],
    scenario('raft/restart-new-session'),
    edit(LANE, 'if (after <= this.state.durableSeq) this.leave', 'if (after >= 0) this.leave'),
  ),
  mutant(
    'driver-held-back-leaves-early',
    'What is held back leaves with the next write, though it rests on a later one.',
    ['durability/send-after-sync', 'log/committed-on-majority'],
    scenario('multipaxos/enospc-promise'),
    edit(LANE, 'writing !== null && persistSeq <= writing.persistSeq ?', 'writing !== null ?'),
  ),
  mutant(
    'driver-queued-counts-as-written',
    'The end of a write is taken for the end of what was queued behind it, too.',
    ['durability/send-after-sync', 'log/committed-on-majority'],
    scenario('raft/queue-behind-write'),
    edit(
      LANE,
      'const { writeId, persistSeq } = writing;',
      'const { writeId } = writing;\n    const persistSeq = this.state.queuedSeq;',
    ),
  ),
  mutant(
    'driver-hard-state-left-out',
    'The hard state is left out of a write that has entries.',
    ['raft/one-leader-per-term', 'raft/term-never-falls'],
    scenario('raft/term-behind-entry-crash'),
    edit(LANE, 'if (hard !== null) result.push', 'if (hard !== null && result.length === 0) result.push'),
  ),
  mutant(
    'driver-write-replaced',
    'A write under way is replaced by what comes behind it.',
    ['law/durable-first', 'durability/one-write-at-a-time', 'durability/send-after-sync'],
    scenario('raft/quorum-loss'),
    edit(LANE, 'next.queued = withNewest(next.queued, [', 'next.queued = withNewest(null, ['),
  ),
];

export const timing: readonly Mutant[] = [
  mutant(
    'timing-told-again-and-again',
    'That the timing assumption does not hold is told whenever something is measured.',
    ['law/timing-assumption'],
    script('timing: a slow disk'),
    edit(TIMING, 'if (holds === state.holds) return;', 'if (holds && state.holds) return;'),
  ),
  mutant(
    'timing-forgets-at-once',
    'One quick write makes a slow disk a quick one.',
    ['law/timing-assumption'],
    script('timing: a slow disk'),
    edit(TIMING, 'now - measure.since >= this.window;', 'now > measure.since;'),
    edit(TIMING, 'return Math.max(longest, before);', 'return longest;'),
  ),
  mutant(
    'timing-hung-disk-unseen',
    'A write that never ends is never told.',
    ['law/timing-assumption'],
    script('timing: what hangs'),
    edit(TIMING, 'const writing = writingSince === null ? 0 : now - writingSince;', 'const writing = 0;'),
  ),
  mutant(
    'timing-parts-apart',
    'Each part is held to the bound by itself.',
    ['law/timing-assumption'],
    script('timing: all parts together'),
    edit(TIMING, 'parts.reduce((total, [, time]) => total + time, 0)', 'Math.max(...parts.map(([, time]) => time))'),
  ),
  mutant(
    'timing-waiting-counts',
    'What the peer waited before it answered counts for the network.',
    ['law/timing-assumption'],
    script('timing: round trips'),
    edit(TIMING, 'now - askedAt - kept', 'now - askedAt'),
  ),
  mutant(
    'timing-stamped-before-it-leaves',
    'A message is stamped when it is made and not when it leaves, and waits for the disk in between.',
    ['law/timing-assumption'],
    script('timing: round trips'),
    edit(
      LANE,
      'else this.hold({ to, bytes, lane }, this.writeOf(after));',
      'else this.hold({ to, bytes: this.draft.timing.stamped(to, bytes), lane }, this.writeOf(after));',
    ),
  ),
  mutant(
    'timing-answer-counts-again',
    'An answer that the network repeats is measured again.',
    ['law/timing-assumption'],
    script('timing: answers, repeated and late'),
    edit(TIMING, '|| answer <= peer.answered ||', '||'),
  ),
  mutant(
    'timing-answer-to-another-start',
    'An answer to a question of an earlier start is taken for one of this.',
    ['law/timing-assumption'],
    script('timing: answers, repeated and late'),
    edit(TIMING, 'answer < this.firstStamp ||', ''),
  ),
  mutant(
    'timing-dead-peer-stays-slow',
    'A peer that is heard no more keeps the round trip that it had.',
    ['law/timing-assumption'],
    script('timing: a slow peer'),
    edit(TIMING, 'now - measure.since >= 2 * this.window;', 'now < measure.since;'),
  ),
];

export const identity: readonly Mutant[] = [
  mutant(
    'driver-lost-disk-takes-part',
    'A replica that lost its disk is recorded under its old name, and takes part again.',
    ['identity/lost-disk-has-no-vote', 'raft/leader-completeness'],
    scenario('multipaxos/vrr-amnesia'),
    edit(RECORDS, 'if (record !== null && record.final && !isKnown) {', 'if (round === 0) {'),
  ),
  mutant(
    'driver-takes-part-unknown',
    'A replica takes part before enough others have recorded it.',
    ['identity/known-before-it-votes'],
    scenario('raft/first-start'),
    edit(FIRST_START, 'if (others === 0) return 0;', 'if (others >= 0) return 0;'),
  ),
  mutant(
    'driver-note-before-durable',
    'A member says that it has recorded a replica before the record is durable.',
    ['identity/known-before-it-votes'],
    scenario('raft/first-start'),
    edit(
      RECORDS,
      "this.reply(id, { kind: isKnown && record.final ? 'confirmed' : 'noted', round }, incarnation, writeId);",
      "this.reply(id, { kind: isKnown && record.final ? 'confirmed' : 'noted', round }, incarnation, 0);",
    ),
  ),
  mutant(
    'driver-final-before-durable',
    'A member says that its record of a replica is final before that is durable.',
    ['identity/known-before-it-votes'],
    scenario('raft/first-start'),
    edit(
      RECORDS,
      "this.reply(id, { kind: 'confirmed', round }, incarnation, writeId);",
      "this.reply(id, { kind: 'confirmed', round }, incarnation, 0);",
    ),
  ),
  mutant(
    'driver-one-round',
    'A first note is final: a stray start under the id of a member keeps that member out for ever.',
    ['identity/strays-lock-nobody-out'],
    script('identity: stray start'),
    edit(RECORDS, 'this.record(id, incarnation, false);', 'this.record(id, incarnation, true);'),
  ),
  mutant(
    'driver-majority-of-others',
    'A majority of the others is enough, also of six and seven: a minority of lost disks lets an old name in again.',
    ['identity/lost-disk-has-no-vote'],
    script('identity: minority of lost disks'),
    edit(FIRST_START, 'Math.ceil((others + Math.floor(others / 2)) / 2)', '0'),
  ),
  mutant(
    'driver-confirms-another',
    'A member makes its note final for whoever asks, whatever incarnation it noted.',
    ['identity/strays-lock-nobody-out'],
    script('identity: late question'),
    edit(
      RECORDS,
      'if (record === null || record.incarnation !== incarnation) {',
      'if (record?.final === true && record.incarnation !== incarnation) {',
    ),
    edit(
      RECORDS,
      'const writeId = record.final ? record.writeId',
      'const writeId = record?.final === true ? record.writeId',
    ),
  ),
  mutant(
    'driver-sender-not-recorded',
    'A message of the core is let in before the final record of its sender is durable.',
    ['identity/known-before-it-votes'],
    script('identity: message of the core'),
    edit(RECORDS, 'if (writeId <= draft.lane.state.durableWriteId) return true;', 'if (writeId >= 0) return true;'),
  ),
  mutant(
    'driver-lost-answers-nobody',
    'A replica that has lost its identity answers nobody: first starts that need it never complete.',
    ['identity/first-starts-complete'],
    script('identity: lost before the others'),
    edit(
      IDENTITY,
      "phase.kind === 'halted' || phase.kind === 'stopped'",
      "phase.kind === 'halted' || phase.kind === 'lostIdentity'",
    ),
  ),
];

export const requests: readonly Mutant[] = [
  mutant(
    'driver-repetition-takes-effect',
    'The session table does not know what it has admitted: what stands in the log twice takes effect twice.',
    ['requests/at-most-once'],
    scenario('raft/session-late-retry'),
    edit(TABLE, "if ((session.results[at] ?? null) !== null) return 'known';", ''),
  ),
  mutant(
    'driver-session-goes-on',
    'A later start of a replica goes on in the session of the one before, counting from 1 again.',
    ['requests/at-most-once', 'requests/told-its-result'],
    scenario('raft/restart-new-session'),
    edit(
      TABLE,
      'if (same !== undefined && same.boot === boot) return same.start === start ? same.id : null;',
      'if (same !== undefined) return same.id;',
    ),
  ),
  mutant(
    'driver-retry-gets-new-id',
    'A command that is sent again gets a new id.',
    ['requests/at-most-once'],
    scenario('raft/session-late-retry'),
    edit(
      PROPOSALS,
      'takeFrom(next.retrying, Infinity, sequenceOf)',
      'takeFrom(next.retrying, Infinity, () => nextSequence + chosen.length)',
    ),
    edit(PROPOSALS, 'nextSequence + chosen.length - retried', 'nextSequence + chosen.length'),
    edit(PROPOSALS, 'if (next.retrying !== null) return chosen;', ''),
    edit(PROPOSALS, 'draft.session.advance(fresh.length);', 'draft.session.advance(chosen.length);'),
  ),
  mutant(
    'driver-first-incomplete-too-high',
    'The lowest sequence waited for passes over commands that are to be sent again.',
    ['liveness/every-call-ends'],
    scenario('raft/leader-isolated-then-back'),
    edit(PROPOSALS, 'const retried = lowestItem(retrying)?.sequence ?? Infinity;', 'const retried = Infinity;'),
  ),
  mutant(
    'driver-beyond-session-window',
    'A session proposes beyond its window.',
    ['liveness/every-call-ends'],
    scenario('raft/request-window'),
    edit(PROPOSALS, 'takeFrom(next.queued, end - nextSequence, ', 'takeFrom(next.queued, Infinity, '),
    edit(PROPOSALS, 'if (nextSequence + commands.length > end) return false;', ''),
  ),
  mutant(
    'driver-late-is-none',
    'What was sent ends as without effect when its time is over.',
    ['requests/none-is-kept'],
    scenario('raft/outcome-unknown'),
    edit('replica/driver/commands.ts', 'if (sent || mayHaveTakenEffect) {', 'if (mayHaveTakenEffect && !sent) {'),
  ),
  mutant(
    'driver-unknown-forgotten',
    'That an attempt may still take effect is forgotten when the next one ends without.',
    ['requests/none-is-kept'],
    scenario('raft/unknown-stays-unknown'),
    edit(PROPOSALS, 'attempts.get(request) === true || command.mayHaveTakenEffect', 'attempts.get(request) === true'),
  ),
  mutant(
    'driver-read-before-apply',
    'A linearizable read is served before its index is applied.',
    ['reads/served-after-apply', 'reads/no-stale-read'],
    scenario('raft/read-waits-for-apply'),
    edit(READS, 'if (waiting === null || waiting.at > applied) return;', 'if (waiting === null) return;'),
    edit(READS, 'itemsThrough(waiting, applied)', 'itemsOf(waiting)'),
  ),
  mutant(
    'driver-leads-before-own-entry',
    'Leading is claimed before the leader’s own entry is applied.',
    ['leadership/after-own-entry'],
    scenario('raft/leadership-claim'),
    edit(LEADERSHIP, "role === 'leader' && fence !== null && applying.state.applied >= fence", "role === 'leader'"),
  ),
  mutant(
    'driver-leads-on-after-pause',
    'A leader that wakes up late goes on leading without asking.',
    ['leadership/ended-by-a-pause'],
    scenario('raft/leadership-claim'),
    edit(
      LEADERSHIP,
      "if (!paused && this.state.confirming.kind !== 'due') return;",
      "if (this.state.confirming.kind !== 'due') return;",
    ),
  ),
  mutant(
    'driver-lost-answer-waits',
    'A lost answer of the leader leaves its call waiting: nothing is asked again.',
    ['liveness/every-call-ends'],
    scenario('raft/lost-forward'),
    edit('core/attempts.ts', 'Math.min(sending.until, sending.sentAt + patience)', 'sending.until'),
  ),
  mutant(
    'raft-retry-appended-again',
    'A command that was proposed before is not looked for in the leader’s uncommitted log (Raft).',
    ['requests/no-second-copy'],
    scenario('raft/retry-in-flight'),
    edit('core/proposals.ts', STANDING, '0'),
  ),
  mutant(
    'paxos-retry-proposed-again',
    'A command that was proposed before is not looked for among the leader’s votes (Multi-Paxos).',
    ['requests/no-second-copy'],
    scenario('multipaxos/retry-in-flight'),
    edit('core/proposals.ts', STANDING, '0'),
  ),
];

export const driverMutants: readonly Mutant[] = [...lane, ...timing, ...identity, ...requests];
