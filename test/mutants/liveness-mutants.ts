/** The mutants of what must happen in the end or in time, and of what may be used on the way. */

import { edit, hostRun, mutant, schedule, scope, script, type Mutant } from './mutant.js';

const CALLS = 'replica/driver/calls.ts';
const REPLICATION = 'raft/replication.ts';
const PROGRESS = 'multipaxos/progress.ts';
const SENDING = 'raft/sending.ts';
const TIMER = 'core/election-timer.ts';
const PRE_VOTE = 'core/pre-vote.ts';
const FITNESS = 'core/fitness.ts';
const TAIL = 'core/tail.ts';
const TRANSFER = 'core/transfer.ts';

const limits: readonly Mutant[] = [
  mutant(
    'raft-acknowledged-bytes-stay',
    'The bytes of an append that was acknowledged count as under way for ever (Raft).',
    ['limits/in-flight-adds-up'],
    scope('raft n3 E1 R1'),
    edit(REPLICATION, 'bytes -= (peer.inflight[done] as { bytes: number }).bytes;', ''),
  ),
  mutant(
    'paxos-acknowledged-bytes-stay',
    'The bytes of an Accept that was answered count as under way for ever (Multi-Paxos).',
    ['limits/in-flight-adds-up'],
    scope('paxos n3 E1'),
    edit(PROGRESS, 'p.inflightBytes -= each.bytes;', ''),
  ),
  mutant(
    'raft-window-without-end',
    'A leader sends whatever its log has, however much is under way.',
    ['limits/in-flight-window'],
    schedule('raft', 2),
    edit(SENDING, ' && peer.inflight.length < inflightMessages && peer.inflightBytes < inflightBytes;', ';'),
  ),
  mutant(
    'raft-committed-bytes-stay',
    'The bytes of entries count as uncommitted when these are committed, too.',
    ['limits/uncommitted-adds-up'],
    scope('raft n3 E1 R1'),
    edit(REPLICATION, 'for (const { bytes } of itemsOf(committed)) leader.uncommittedBytes -= bytes;', ''),
  ),
  mutant(
    'raft-uncommitted-without-end',
    'A leader takes proposals however much is uncommitted.',
    ['limits/uncommitted-bound'],
    schedule('raft', 35),
    edit(
      'raft/proposals.ts',
      'bytes: draft.state.options.limits.uncommittedBytes - draft.leaderRole.uncommittedBytes,',
      'bytes: Infinity,',
    ),
  ),
  mutant(
    'paxos-silence-borne',
    'A leader waits for ever for what nobody acknowledges.',
    ['limits/window-is-kept'],
    script('slow links: silence'),
    edit(
      'multipaxos/leader.ts',
      'return draft.now >= since + patienceFor(draft.state.options.timing, oldest.bytes);',
      'return draft.now === since - 1;',
    ),
  ),
  mutant(
    'paxos-gap-not-filled',
    'A leader bears with what was overtaken for as long as any answer may take.',
    ['limits/lost-by-evidence'],
    script('slow links: gaps'),
    edit(PROGRESS, 'Math.min(most, Math.floor((5 * roundTrip) / 4) + 1)', 'Math.max(most, roundTrip)'),
  ),
  mutant(
    'paxos-overtaken-is-lost',
    'A leader sends again at once what was overtaken.',
    ['limits/lost-by-evidence'],
    script('slow links: disorder'),
    edit(PROGRESS, 'Math.min(most, Math.floor((5 * roundTrip) / 4) + 1)', 'Math.min(most, roundTrip, 1)'),
  ),
  mutant(
    'paxos-catch-up-in-vain',
    'A replica asks for all that it lacks, whether it is answered or not.',
    ['limits/catch-up-window'],
    script('slow links: no answers'),
    edit(
      'multipaxos/catch-up.ts',
      'Math.max(1, Math.min(FIRST_PAGES * limits.messageBytes, limits.inflightBytes))',
      'limits.inflightBytes',
    ),
  ),
  mutant(
    'paxos-late-is-lost',
    'A replica that catches up asks another peer as soon as a page is late.',
    ['limits/late-is-not-lost'],
    script('traffic: multipaxos'),
    edit('multipaxos/catch-up.ts', 'if (window > 0 && mayHear)', 'if (window < 0 && mayHear)'),
  ),
  mutant(
    'signal-still-listens',
    'A call that has ended goes on listening to the signal of its caller.',
    ['limits/nothing-leaks'],
    hostRun('raft', 1),
    edit('replica/host/signals.ts', "ignored(signal.removeEventListener('abort', listener));", ''),
  ),
];

const liveness: readonly Mutant[] = [
  mutant(
    'spread-without-end',
    'Each failed election doubles the range of timeouts, without a bound.',
    ['liveness/spread-grows'],
    schedule('raft', 49),
    edit(TIMER, 'Math.min(2 * electionTimer.spread, mostSpread(options.timing))', '2 * electionTimer.spread'),
  ),
  mutant(
    'supporter-campaigns-at-once',
    'Who grants a vote does not put off its own campaign.',
    ['liveness/grant-puts-off'],
    script('core: a grant'),
    edit(TIMER, 'if (electionTimer.deferred) return;', 'if (draft.now >= 0) return;'),
  ),
  mutant(
    'paxos-phase1-not-borne',
    'An acceptor campaigns while the Phase 1 of another replica makes progress.',
    ['liveness/phase1-is-borne'],
    script('slow links: a long Phase 1'),
    edit('multipaxos/acceptor.ts', 'if (draft.now < until) restartElectionTimer(draft);', ''),
  ),
  mutant(
    'paxos-pages-restart-nothing',
    'A candidate gives up its Phase 1 although pages come.',
    ['liveness/phase1-is-borne'],
    script('slow links: a long Phase 1'),
    edit('multipaxos/phase1.ts', 'restartElectionTimer(draft); //', '//'),
  ),
  mutant(
    'paxos-stranded-again-and-again',
    'A leader that cannot learn gives way, and tries again as soon as ever.',
    ['liveness/stranded-gives-way'],
    script('slow links: stranded'),
    edit('multipaxos/election.ts', '(2 ** strandings - 1) * options.timing.electionMax', '0 * strandings'),
  ),
  mutant(
    'raft-rare-heartbeats',
    'A leader with nothing to send is silent for longer than followers wait.',
    ['liveness/terms-at-rest'],
    schedule('raft', 2),
    edit(
      SENDING,
      'draft.editLeader().heartbeatAt = draft.now + timing.heartbeat;',
      'draft.editLeader().heartbeatAt = draft.now + 4 * timing.electionMax;',
    ),
  ),
  mutant(
    'driver-first-start-asks-once',
    'A replica at its first start asks each member once.',
    ['liveness/all-come-up'],
    script('identity: lost questions'),
    edit('replica/driver/identity.ts', 'askAt: now + jittered(wait, seed),', 'askAt: Infinity,'),
  ),
  mutant(
    'followers-keep-their-commands',
    'A follower counts commands as forwarded and sends them to nobody.',
    ['liveness/new-command-commits'],
    schedule('raft', 1),
    edit(
      'core/proposals.ts',
      "draft.sendForward(leader, { kind: 'forwardProposals', term, number, proposals: bare }, lane);",
      'void [leader, term, lane];',
    ),
  ),
  mutant(
    'driver-callers-in-any-order',
    'Callers are booked whatever their numbers are.',
    ['requests/callers-ascend'],
    script('driver: callers'),
    edit(CALLS, 'assert(call > last,', 'assert(call > 0,'),
  ),
  mutant(
    'deadlines-pass',
    'No call ends because its time is over.',
    ['liveness/ends-by-deadline'],
    script('driver: a deadline'),
    edit(CALLS, 'this.end((calls) => itemsDue(calls, now), null, false);', 'void now;'),
  ),
  mutant(
    'close-leaves-calls',
    'A replica that stops leaves the calls that wait as they are.',
    ['liveness/close-ends'],
    hostRun('raft', 1),
    edit(CALLS, 'this.end(itemsOf, failure, false);', 'void failure;'),
  ),
  mutant(
    'close-again-is-not-heard',
    'A replica that drains does so for as long as it first might.',
    ['liveness/close-ends'],
    script('host: closed again'),
    edit('replica/host/hosted-replica.ts', 'this.host.hasten(this.closeBy);', 'void this.host;'),
  ),
  mutant(
    'close-again-is-forgotten',
    'A second close that comes before the replica has begun to leave is forgotten.',
    ['liveness/close-ends'],
    script('host: closed again by a plug-in'),
    edit(
      'replica/host/hosted-replica.ts',
      'if (this.closeBy > this.host.now) await this.host.leave(this.closeBy);',
      'await this.host.leave(Infinity);',
    ),
  ),
  mutant(
    'close-waits-for-the-named',
    'A leader that leaves tries nobody but the target that its transfer names.',
    ['liveness/close-hands-over'],
    script('transfer: under way when the leader leaves'),
    edit(TRANSFER, '{ ...role.transfer, named: null }', '{ ...role.transfer }'),
  ),
  mutant(
    'close-hands-over-once',
    "A leader that leaves hands over to nobody when a caller's transfer was given up.",
    ['liveness/close-hands-over'],
    script('host: closed during a transfer'),
    edit(
      'replica/driver/transfers.ts',
      "draft.toCore({ kind: 'cancel', now: draft.now, requests });\n    this.handOver();",
      "draft.toCore({ kind: 'cancel', now: draft.now, requests });",
    ),
  ),
];

const preVotes: readonly Mutant[] = [
  mutant(
    'campaign-unasked',
    'Whoever hears no leader campaigns without asking whether the others hear one.',
    ['liveness/pre-vote-changes-nothing'],
    script('pre-votes: in vain'),
    edit(PRE_VOTE, 'if (!options.preVote || options.others.length === 0) return', 'return'),
  ),
  mutant(
    'pre-vote-raises-term',
    'The term that a pre-vote names is taken over (Raft).',
    ['liveness/pre-vote-changes-nothing'],
    script('pre-votes: in vain'),
    edit('raft/election.ts', ' || isElectionMessage(message)) return false;', ') return false;'),
  ),
  mutant(
    'asker-follows-nobody',
    'Whoever asks because its host told it to no longer refuses others for the sake of the leader that it hears.',
    ['liveness/pre-vote-changes-nothing'],
    script('pre-votes: in vain'),
    edit(PRE_VOTE, '|| !hearsLeader(draft.state, draft.now)) {', '|| true) {'),
  ),
  mutant(
    'not-sticky',
    'A replica lets others lead while it hears a leader.',
    ['liveness/sticky-leader', 'liveness/pre-vote-changes-nothing'],
    script('pre-votes: in vain'),
    edit(PRE_VOTE, 'return now < electionTimer.startedAt + options.timing.electionMin;', 'return now < 0;'),
  ),
  mutant(
    'rivals-insist',
    'Of two that ask for pre-votes at once none gives way.',
    ['liveness/rival-gives-way'],
    script('pre-votes: two ask at once'),
    edit(PRE_VOTE, 'if (isRival && !outranks(', 'if (isRival || !outranks('),
  ),
  mutant(
    'round-for-leader-insists',
    'A round of pre-votes for a leader that is heard no longer gives way to no worse claim.',
    ['liveness/rival-gives-way'],
    script('pre-votes: for the leader'),
    edit(PRE_VOTE, 'preVoting !== null && preVoting.handover === null;', 'preVoting !== null;'),
  ),
  mutant(
    'old-pre-votes-count',
    'Answers to an earlier round of pre-votes count in a later one.',
    ['liveness/pre-vote-of-this-round'],
    script('pre-votes: answers'),
    edit(PRE_VOTE, 'preVoting === null || preVoting.number !== number || ', 'preVoting === null || '),
  ),
  mutant(
    'refusal-teaches-nothing',
    'Whoever lags behind asks for the same term again and again.',
    ['liveness/refusal-teaches'],
    script('pre-votes: answers'),
    edit(PRE_VOTE, 'return seekElection(draft, rules);\n', 'return;\n'),
  ),
  mutant(
    'crash-not-noticed',
    'A leader whose port refuses connections is waited for like a silent one.',
    ['liveness/crash-is-noticed'],
    script('pre-votes: a crash'),
    edit(PRE_VOTE, '  expireSoon(draft);', ''),
  ),
];

const transfers: readonly Mutant[] = [
  mutant(
    'transfer-to-a-laggard',
    'A Handover leaves although the target lacks entries.',
    ['liveness/target-holds-all'],
    script('transfer: who lags'),
    edit(
      TRANSFER,
      'if (number === 0 && blocked && held >= Math.max(rules.last(draft), noopIndex))',
      'if (number === 0)',
    ),
  ),
  mutant(
    'transfer-takes-on',
    'A leader takes proposals while the target waits for the last ones.',
    ['liveness/target-holds-all'],
    script('transfer: under load'),
    edit('core/proposals.ts', 'leaderRole.transfer?.blocked === true || state.storageFull', 'state.storageFull'),
  ),
  mutant(
    'handover-not-marked',
    'The target of a transfer is held up like anyone who asks while a leader is heard.',
    ['liveness/handover-passes-stickiness', 'liveness/target-holds-all'],
    script('transfer: under load'),
    edit(
      'raft/election.ts',
      'return isHandover || !refusesElection(draft, from);',
      'return !refusesElection(draft, from);',
    ),
  ),
  mutant(
    'target-not-waited-for',
    'A leader campaigns against the target of its transfer whose Prepare waits for its disk.',
    ['liveness/target-is-waited-for'],
    script('transfer: a slow disk'),
    edit('multipaxos/election.ts', "role.kind === 'leader' && !handedOver", "role.kind === 'leader'"),
  ),
  mutant(
    'silent-target-waited-for',
    'Proposals wait for a named target that is silent until the transfer ends.',
    ['liveness/silent-target-is-given-up'],
    script('transfer: who is silent'),
    edit(TRANSFER, "if (transfer.blocked) return endTransfer(draft, rules, 'noTarget');", ''),
  ),
  mutant(
    'transfer-ends-too-soon',
    'A transfer is given up by default while its target, far away, still catches up.',
    ['liveness/target-holds-all'],
    script('transfer: far away'),
    edit('core/tuning.ts', 'const TRANSFER_EXCHANGES = 8;', 'const TRANSFER_EXCHANGES = 4;'),
  ),
  mutant(
    'earlier-target-not-waited-for',
    'A leader campaigns against an earlier target of its transfer whose Prepare waits for its disk.',
    ['liveness/target-is-waited-for'],
    script('transfer: slow disks'),
    edit('multipaxos/election.ts', 'doubtful.includes(sender) || ', ''),
  ),
  mutant(
    'disk-waits-for-the-preferred',
    'A leader whose disk hangs does not give way while it would hand over to a member that it prefers.',
    ['liveness/stalled-disk-gives-way'],
    script('priorities: a disk that hangs'),
    edit(
      'core/transferring.ts',
      "transfer === null || (transfer.why === 'priority' && !hasHandedOver(transfer))",
      'transfer === null',
    ),
  ),
  mutant(
    'leaving-leads',
    'A replica that is about to close takes the leadership over.',
    ['liveness/leaving-leads-not'],
    script('transfer: who leaves'),
    edit(FITNESS, 'return draft.state.leaving || hasIllDisk', 'return hasIllDisk'),
  ),
  mutant(
    'stalled-disk-leads-on',
    'A leader whose disk hangs leads on.',
    ['liveness/stalled-disk-gives-way'],
    script('transfer: a disk that hangs'),
    edit(TRANSFER, 'role.giveWayAt : unsyncedSince + options.timing.electionMin', 'role.giveWayAt : Infinity'),
  ),
  mutant(
    'full-disk-leads-on',
    'A leader whose storage is full leads on.',
    ['liveness/full-disk-gives-way'],
    script('full disk: a leader'),
    edit(TRANSFER, 'giveWayAt = full ? draft.now : Infinity', 'giveWayAt = full ? Infinity : Infinity'),
  ),
  mutant(
    'full-disk-campaigns',
    'A replica whose storage is full takes the leadership over.',
    ['liveness/full-disk-gives-way'],
    script('full disk: a leader'),
    edit(FITNESS, 'return state.storageFull || isStalled(state, now);', 'return isStalled(state, now);'),
  ),
  mutant(
    'handover-refused-once',
    'A copy of a Handover that was refused is taken.',
    ['liveness/refused-handover-is-dead'],
    script('full disk: a copy'),
    edit(TRANSFER, 'if (!wasRefused && !isUnfit(draft)', 'if (!isUnfit(draft)'),
  ),
  mutant(
    'full-disk-leaves-nobody',
    'A leader whose storage is full steps down though nobody else can lead.',
    ['liveness/full-disk-gives-way'],
    script('full disk: nobody has space'),
    edit(TRANSFER, "const isLast = state.storageFull && reason === 'noTarget';", 'const isLast = false;'),
  ),
  mutant(
    'full-disk-promises-votes',
    'A replica grants pre-votes though its disk takes no vote.',
    ['liveness/full-disk-votes-if-it-can'],
    script('full disk: a voter'),
    edit(FITNESS, 'return state.storageFull && isStalled(state, now);', 'return state.storageFull && state.leaving;'),
  ),
  mutant(
    'full-disk-takes-on',
    'A leader whose storage is full appends proposals.',
    ['requests/full-takes-nothing'],
    script('full disk: nobody has space'),
    edit(
      'core/proposals.ts',
      'return leaderRole.transfer?.blocked === true || state.storageFull;',
      'return leaderRole.transfer?.blocked === true;',
    ),
  ),
];

const tails: readonly Mutant[] = [
  mutant(
    'tail-needed-by-nobody',
    'Entries leave memory as soon as they are delivered, whoever lacks them.',
    ['limits/tail-by-need'],
    script('limits: the tail'),
    edit(TAIL, "if (role.kind !== 'leader') return spent;", 'if (spent > 0) return spent;'),
  ),
  mutant(
    'tail-held-for-the-silent',
    'Entries stay in memory for a peer that does not answer.',
    ['limits/tail-by-need'],
    script('limits: the tail'),
    edit(TAIL, ' && !isSilent(peer, options.timing, now)', ''),
  ),
  mutant(
    'tail-by-bounds-alone',
    'Entries stay in memory until the bounds of the tail drive them out.',
    ['limits/tail-by-need'],
    script('limits: the tail'),
    edit('core/log.ts', 'end <= spent && count >= RECENT', 'end < 0'),
  ),
];

const priorities: readonly Mutant[] = [
  mutant(
    'priority-waits-not',
    'A lower priority waits no longer than a higher one.',
    ['liveness/lower-priority-waits'],
    script('priorities: who wins'),
    edit(TIMER, 'Math.ceil(higherPriorities * PRIORITY_SHARE * leastSpread(timing))', '0'),
  ),
  mutant(
    'priority-zero-campaigns',
    'A member of priority 0 waits like any other one.',
    ['liveness/lower-priority-waits'],
    script('priorities: zero'),
    edit(TIMER, 'LAST_TIMEOUTS * timing.electionMax : 0;', '0 : 0;'),
  ),
  mutant(
    'priority-never-leads',
    'A leader keeps the leadership from a member of a higher priority.',
    ['liveness/higher-priority-leads'],
    script('priorities: a leader'),
    edit(TRANSFER, '  askPreferred(draft, holds);', ''),
  ),
  mutant(
    'priority-leads-at-once',
    'A member of a higher priority is handed the leadership as soon as it answers.',
    ['liveness/higher-priority-leads'],
    script('priorities: flapping'),
    edit('core/priority.ts', 'preferred.since + steadyTime(options)', 'preferred.since'),
  ),
  mutant(
    'preferred-unasked',
    'A member that the leader prefers is taken to be one that a majority would let lead.',
    ['liveness/preferred-could-win'],
    script('priorities: in vain'),
    edit(
      PRE_VOTE,
      '  askAll(draft, rules, { from, number });',
      "  draft.send(from, { kind: 'canTakeOver', term, number }, 0, 'control');",
    ),
  ),
  mutant(
    'preferred-must-be-ahead',
    'Raft: whoever is preferred could win only if it holds all that the others hold.',
    ['liveness/preferred-could-win'],
    script('priorities: under load'),
    edit('raft/election.ts', '(preVote.handover || isUpToDate(state, preVote))', 'isUpToDate(state, preVote)'),
  ),
  mutant(
    'preferred-handed-over-late',
    'A Handover to whoever is preferred may arrive when the transfer is over.',
    ['liveness/preferred-could-win'],
    script('priorities: in time'),
    edit(
      TRANSFER,
      "why === 'priority' && now > deadline - leastPatience(state.options.timing)",
      'now > deadline && why !== why',
    ),
  ),
];

const QUORUM_READS = 'multipaxos/quorum-reads.ts';

const quorumReads: readonly Mutant[] = [
  mutant(
    'quorum-read-of-chosen',
    'A replica names the highest slot that it knows to be chosen, though it voted for higher ones.',
    ['reads/quorum-names-highest'],
    script('quorum reads: never stale'),
    edit(QUORUM_READS, 'return Math.max(commitOf(state), lastVote(state.window));', 'return commitOf(state);'),
  ),
  mutant(
    'quorum-read-of-few',
    'A quorum read is served by one answer fewer than make a majority.',
    ['reads/quorum-names-highest'],
    script('quorum reads: never stale'),
    edit(QUORUM_READS, 'majority(sizeOf(options)) - 1', 'majority(sizeOf(options)) - 2'),
  ),
  mutant(
    'quorum-read-waits-on',
    'A quorum read waits for ever for a slot that is not chosen.',
    ['reads/quorum-falls-back'],
    script('quorum reads: a vote in vain'),
    edit(QUORUM_READS, 'Math.min(deadline, now + timing.electionMin)', 'deadline'),
  ),
];

const LEASE_READS = 'core/lease-reads.ts';

const leaseReads: readonly Mutant[] = [
  mutant(
    'paxos-learns-past-its-disk',
    'A follower whose disk hangs goes on learning.',
    ['limits/disk-bounds-learning'],
    script('slow links: a hung follower'),
    edit('multipaxos/state.ts', 'return waiting > most;', 'return false;'),
  ),
  mutant(
    'paxos-durable-votes-swamp',
    'Votes that are durable count as waiting for the disk.',
    ['limits/disk-bounds-learning'],
    script('slow links: an outrun follower'),
    edit('multipaxos/state.ts', 'return waiting > most;', 'return true;'),
  ),
  mutant(
    'fresh-before-applied',
    'A state counts as fresh when a commit index is heard, before it is applied.',
    ['reads/fresh-when-applied'],
    script('core: freshness'),
    edit('core/freshness.ts', 'if (delivery.applied >= commit) draft', 'if (delivery.applied >= 0) draft'),
  ),
  mutant(
    'lease-grant-not-binding',
    'A member that has granted elects another one when the leader is unreachable.',
    ['reads/grant-binds'],
    script('lease reads: cut off'),
    edit(LEASE_READS, 'return now < bound.until && bound.to !== id;', 'return now < bound.until && id === "";'),
  ),
  mutant(
    'lease-start-unbound',
    'A voter that has just started votes at once.',
    ['reads/start-binds'],
    script('lease reads: a start'),
    edit(LEASE_READS, 'leaseReads === 0 || isNew ||', 'leaseReads >= 0 || isNew ||'),
  ),
  mutant(
    'lease-counts-from-answer',
    'A grant counts from when its answer came.',
    ['reads/grant-binds', 'reads/grant-counts-from-send'],
    script('lease reads: cut off'),
    edit(LEASE_READS, 'const until = asked.sentAt + GRANT_SHARE', 'const until = draft.now + GRANT_SHARE'),
  ),
  mutant(
    'lease-outlives-handover',
    'A leader that has handed over serves lease reads.',
    ['reads/handover-ends-leases'],
    script('lease reads: a Handover'),
    edit(TRANSFER, '  endGrants(draft);\n', ''),
  ),
  mutant(
    'lease-outlives-sleep',
    'A leader whose host slept counts what was granted before.',
    ['reads/sleep-ends-leases'],
    script('lease reads: sleep'),
    edit(LEASE_READS, "if (role.kind !== 'leader' || options.leaseReads === 0)", "if (role.kind === 'leader')"),
  ),
];

export const livenessMutants: readonly Mutant[] = [
  ...limits,
  ...tails,
  ...liveness,
  ...preVotes,
  ...transfers,
  ...priorities,
  ...quorumReads,
  ...leaseReads,
];
