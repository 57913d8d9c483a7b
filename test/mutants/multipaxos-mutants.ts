/**
 * Multi-Paxos’ mutants: each takes out one rule of docs/rules.md, or one of the ways to get it wrong. Those that changes
 * of members and snapshots bring come with them; the rule of lost disks is the driver's.
 */

import { edit, equivalent, mutant, scenario, scope, script, type Mutant } from './mutant.js';

const ACCEPTOR = 'multipaxos/acceptor.ts';
const DRAFT = 'multipaxos/draft.ts';
const HEARTBEAT = 'multipaxos/heartbeat.ts';
const LEADER = 'multipaxos/leader.ts';
const LEARNER = 'multipaxos/learner.ts';
const PROGRESS = 'multipaxos/progress.ts';
const PHASE1 = 'multipaxos/phase1.ts';
const READS = 'multipaxos/reads.ts';
const STEP = 'multipaxos/step.ts';
const ADMITS = 'if (m.ballot >= draft.state.promised) return true; // paxos/promise-binds, paxos/vote-at-promise';
const CARRIED = 'const [toRepropose] = page(knownVotes(state), committedAtElection + 1, Infinity);';
const CARRIED_FILTERED = 'const toRepropose = page(knownVotes(state), committedAtElection + 1, Infinity)[0].filter';
const OWN_LAST = '(page(state.window, 0, Infinity)[0].at(-1)?.index ?? 0)';

export const acceptors: readonly Mutant[] = [
  mutant(
    'paxos-promise-before-durable',
    'A promise is told before it is durable.',
    ['durability/send-after-sync', 'paxos/one-value-per-slot'],
    scope('paxos n3 E1'),
    edit(ACCEPTOR, 'const after = draft.state.hardSeq;', 'const after = 0;'),
  ),
  mutant(
    'paxos-promise-forgotten',
    'A restart forgets the promise, and knows of its votes only.',
    ['paxos/promise-never-falls', 'paxos/one-value-per-slot'],
    scenario('multipaxos/promise-restart-amnesia'),
    edit(PHASE1, 'let promised = hard?.term ?? 0;', 'let promised = 0;'),
  ),
  mutant(
    'paxos-votes-do-not-bind',
    'A restart is bound by the promise on disk alone, not by its votes.',
    [],
    equivalent(
      'A vote is cast in the ballot promised (`vote` asserts it), and the promise is persisted in the same step or an ' +
        'earlier one; the lane is in order and each persist atomic, so a disk with the vote has a promise not below it.',
    ),
    edit(PHASE1, 'for (const { term } of votes) promised = Math.max(promised, term);', ''),
  ),
  mutant(
    'paxos-vote-before-durable',
    'A vote is told before it is durable.',
    ['durability/send-after-sync', 'paxos/one-value-per-slot'],
    scope('paxos n3 E1'),
    edit(ACCEPTOR, 'after = draft.seqFor(first, last); // durability/send-after-sync', 'after = 0;'),
  ),
  mutant(
    'paxos-own-vote-before-durable',
    'A leader counts its own vote before it is durable.',
    ['durability/own-vote-after-sync', 'paxos/one-value-per-slot'],
    scenario('multipaxos/slow-leader-disk'),
    edit(LEADER, 'const reached = [ownDurable(state, lead.next)];', 'const reached = [lead.next - 1];'),
    edit(LEADER, 'let votes = isSynced(state.unsynced, slot) ? 1 : 0;', 'let votes = 1;'),
  ),
  mutant(
    'paxos-repeated-vote-before-durable',
    'A vote that was cast before is told again at once, though the first copy is still on its way to disk.',
    ['durability/send-after-sync', 'paxos/one-value-per-slot'],
    scenario('multipaxos/slow-leader-disk'),
    edit(
      ACCEPTOR,
      '    castVotes(draft, from, entries);\n',
      '    const old = draft.state.window;\n    castVotes(draft, from, entries);\n',
    ),
    edit(
      ACCEPTOR,
      'after = draft.seqFor(first, last); // durability/send-after-sync',
      'after = draft.state.window === old ? 0 : draft.seqFor(first, last);',
    ),
  ),
  mutant(
    'paxos-vote-below-promise',
    'A vote is cast below the promise.',
    ['paxos/vote-at-promise'],
    scenario('multipaxos/lower-ballot-after-accept'),
    edit(STEP, ADMITS, "if (m.ballot >= draft.state.promised || m.kind === 'accept') return true;"),
    edit(DRAFT, "assert(head.term === promised, 'paxos/vote-at-promise: a vote is in the ballot promised');", ''),
  ),
  mutant(
    'paxos-promise-any-ballot',
    'Any ballot is promised, and a lower one lowers the promise.',
    ['paxos/promise-binds', 'paxos/promise-never-falls'],
    scenario('multipaxos/promise-restart-amnesia'),
    edit(STEP, ADMITS, "if (m.ballot >= draft.state.promised || m.kind === 'prepare') return true;"),
    edit(
      ACCEPTOR,
      'if (m.ballot > draft.state.promised) {\n    draft.promise(m.ballot); // paxos/promise-binds',
      'if (m.ballot !== draft.state.promised) {\n    draft.promise(m.ballot);',
    ),
    edit(DRAFT, "assert(ballot > this.state.promised, 'paxos/promise-never-falls: a promise is only raised');", ''),
  ),
  mutant(
    'paxos-vote-keeps-promise',
    'Accepting does not raise the promise: nearly invisible to whoever looks at agreement alone.',
    ['paxos/vote-at-promise', 'paxos/promise-binds'],
    scenario('multipaxos/crash-in-recovery'),
    edit(ACCEPTOR, 'if (ballot > draft.state.promised) draft.promise(ballot);', ''),
    edit(
      ACCEPTOR,
      'if (vote === undefined || vote.term !== promised) {',
      'if (vote === undefined || vote.term !== entry.term) {',
    ),
    edit(DRAFT, "assert(head.term === promised, 'paxos/vote-at-promise: a vote is in the ballot promised');", ''),
  ),
  mutant(
    'paxos-promise-hides-slots',
    'A promise reports no slot that lies below its acceptor’s last vote (a bug of paxos-rs).',
    ['paxos/promise-reports-votes'],
    scenario('multipaxos/paged-promise'),
    edit(
      ACCEPTOR,
      'const begin = Math.max(m.from, commit + 1);',
      'const begin = Math.max(m.from, commit + 1, lastVote(window));',
    ),
  ),
  mutant(
    'paxos-first-page-is-all',
    'The first page of a promise counts for the whole.',
    ['paxos/promise-reports-votes', 'paxos/phase1-majority'],
    scenario('multipaxos/paged-promise'),
    edit(PHASE1, 'const to = m.next === 0 ? NO_END : m.next - 1;', 'const to = NO_END;'),
  ),
  mutant(
    'paxos-last-page-is-all',
    'A promise counts as soon as its last page has come, though one before it is still on its way.',
    ['paxos/pages-cover-all', 'paxos/phase1-majority'],
    scenario('multipaxos/pages-out-of-order'),
    edit(
      PHASE1,
      'let upTo = Math.max(known.upTo, commit);',
      'let upTo = m.next === 0 ? NO_END : Math.max(known.upTo, commit);',
    ),
  ),
  mutant(
    'paxos-held-of-any-ballot',
    'A vote is left out of a promise because the candidate knows one for its slot, though of another ballot.',
    ['paxos/promise-reports-votes', 'paxos/highest-ballot-value'],
    scenario('multipaxos/three-proposers'),
    edit(
      'multipaxos/window.ts',
      'known.from <= entry.index && known.ballot === entry.term) continue;',
      'known.from <= entry.index) continue;',
    ),
  ),
  mutant(
    'paxos-promise-without-commit',
    'A promise does not say how much its acceptor knows to be chosen: what is missing below looks empty.',
    ['paxos/promise-reports-votes', 'paxos/propose-above-reported-commit', 'paxos/one-value-per-slot'],
    scenario('multipaxos/vrr-amnesia'),
    edit(
      ACCEPTOR,
      "kind: 'promise', ballot: m.ballot, from: covered, commit, next, rest, votes, wall }",
      "kind: 'promise', ballot: m.ballot, from: covered, commit: 0, next, rest, votes, wall }",
    ),
  ),
  mutant(
    'paxos-vote-below-commit',
    'Slots at or below W are voted for and acknowledged: on disk the vote takes the place of what is chosen.',
    ['paxos/votes-above-commit', 'paxos/learned-is-chosen'],
    scenario('multipaxos/three-proposers'),
    edit(ACCEPTOR, 'const from = Math.max(first, commit + 1);', 'const from = first;'),
    edit(DRAFT, "assert(head.index > log.last, 'paxos/votes-above-commit: no vote at or below the commit index');", ''),
  ),
];

export const proposers: readonly Mutant[] = [
  mutant(
    'paxos-own-value',
    'A new leader proposes its own value where a vote was reported.',
    ['paxos/highest-ballot-value', 'paxos/one-value-per-slot'],
    scenario('multipaxos/own-value'),
    edit(
      LEADER,
      'entries.push(new PlainEntry(slot, lead.ballot, vote.kind, vote.time, vote.id, vote.data));',
      'entries.push(noopAt(slot, lead.ballot, time));',
    ),
  ),
  mutant(
    'paxos-any-reported-value',
    'Any vote reported is proposed, not that of the highest ballot: three proposers tell.',
    ['paxos/highest-ballot-value', 'paxos/one-value-per-slot'],
    scenario('multipaxos/three-proposers'),
    edit(
      PHASE1,
      'if (known === undefined || known.term < vote.term) fresh.push',
      'if (known === undefined) fresh.push',
    ),
  ),
  mutant(
    'paxos-lowest-ballot-value',
    'The vote of the lowest ballot is proposed.',
    ['paxos/highest-ballot-value', 'paxos/one-value-per-slot'],
    scenario('multipaxos/three-proposers'),
    edit(
      PHASE1,
      'if (known === undefined || known.term < vote.term) fresh.push',
      'if (known === undefined || known.term > vote.term) fresh.push',
    ),
  ),
  mutant(
    'paxos-shared-ballots',
    'Ballots are numbered without their owner: two members share one.',
    ['paxos/ballot-used-once'],
    scenario('multipaxos/promise-restart-amnesia'),
    edit(PHASE1, 'ballotOf(Math.min(round, MAX_ROUND), options.number)', 'ballotOf(Math.min(round, MAX_ROUND), 1)'),
    edit(STEP, 'if (numberOf(m.ballot) !== sender.number) return false;', ''),
    edit(STEP, 'return numberOf(m.ballot) === sender.number;', 'return true;'),
  ),
  mutant(
    'paxos-ballot-reused',
    'A candidate’s ballot is not written before it is used: a restart uses it again, with another value.',
    ['paxos/ballot-used-once', 'paxos/one-value-per-ballot'],
    scenario('multipaxos/ballot-reuse-restart'),
    edit(
      ACCEPTOR,
      "  draft.promise(ballot);\n}\n\n/** A leader's votes",
      "  draft.edit().promised = ballot;\n}\n\n/** A leader's votes",
    ),
  ),
  mutant(
    'paxos-prepare-before-durable',
    'A Prepare leaves before its ballot is durable at the candidate.',
    ['durability/send-after-sync', 'paxos/ballot-used-once'],
    scope('paxos n3 E1'),
    edit(PHASE1, "draft.send(id, message, hardSeq, 'control');", "draft.send(id, message, 0, 'control');"),
  ),
  mutant(
    'paxos-own-promise-before-durable',
    'A candidate’s own promise counts before it is durable.',
    ['durability/own-vote-after-sync', 'paxos/own-acceptor'],
    scope('paxos n3 E1'),
    edit(PHASE1, 'if (state.hardSeq > state.durableSeq) return; // durability/own-vote-after-sync', ''),
    edit(PHASE1, "draft.send(id, message, hardSeq, 'control');", "draft.send(id, message, 0, 'control');"),
  ),
  mutant(
    'paxos-own-votes-ignored',
    'A candidate does not count its own votes among those reported.',
    ['paxos/own-acceptor', 'paxos/highest-ballot-value', 'paxos/one-value-per-slot'],
    scenario('multipaxos/gap-noop'),
    edit(PHASE1, 'return overlaid(window, reported);', 'return reported;'),
  ),
  mutant(
    'paxos-promise-counts-twice',
    'A promise that arrives twice counts for another acceptor: it takes five members to tell.',
    ['paxos/phase1-majority', 'paxos/one-value-per-slot'],
    scenario('multipaxos/dup-promise-n5'),
    edit(
      PHASE1,
      'const at = placeOf(draft.state.options, from);\n  const known = role.promises[at] as PromiseProgress;',
      `let at = placeOf(draft.state.options, from);
  if (isComplete(role.promises[at])) at = role.promises.findIndex((each) => !isComplete(each));
  if (at < 0) return;
  const known = role.promises[at] as PromiseProgress;`,
    ),
  ),
  mutant(
    'paxos-old-promise-counts',
    'A promise of an older ballot of the same candidate counts.',
    ['paxos/phase1-majority'],
    scenario('multipaxos/delayed-promise'),
    edit(
      PHASE1,
      "if (role.kind !== 'candidate' || role.ballot !== m.ballot) return;",
      "if (role.kind !== 'candidate') return;",
    ),
  ),
  mutant(
    'paxos-majority-less-one',
    'Half of the members, rounded down, are a quorum.',
    ['paxos/phase1-majority', 'paxos/one-value-per-slot'],
    scope('paxos n3 E1'),
    edit('core/quorum.ts', 'Math.floor(members / 2) + 1', 'Math.max(1, Math.floor(members / 2))'),
  ),
  mutant(
    'paxos-half-is-majority',
    'Half of the members are a quorum: only even clusters tell.',
    ['paxos/phase1-majority', 'paxos/one-value-per-slot'],
    scenario('multipaxos/even-split-n4'),
    edit('core/quorum.ts', 'Math.floor(members / 2) + 1', 'Math.ceil(members / 2)'),
  ),
  mutant(
    'paxos-own-slots-only',
    'A new leader looks at the promises only up to its own highest vote, and proposes anew above.',
    ['paxos/highest-ballot-value', 'paxos/one-value-per-slot'],
    scenario('multipaxos/read-above-reported'),
    edit(PHASE1, CARRIED, `${CARRIED_FILTERED}(({ index }) => index <= ${OWN_LAST});`),
  ),
  mutant(
    'paxos-gaps-without-phase1',
    'A new leader fills the gaps in its own votes with no-ops, whatever the promises say of them.',
    ['paxos/noop-only-in-free-slot', 'paxos/one-value-per-slot'],
    scenario('multipaxos/gap-noop'),
    edit(
      PHASE1,
      CARRIED,
      `${CARRIED_FILTERED}(({ index }) => index > ${OWN_LAST} || page(state.window, index, 1)[0][0]?.index === index);`,
    ),
  ),
  mutant(
    'paxos-start-at-own-commit',
    'A new leader takes its own commit index for committedAtElection: it proposes values again that others know as chosen.',
    ['paxos/propose-above-reported-commit', 'paxos/one-value-per-slot'],
    scenario('multipaxos/constrained-election'),
    edit(
      PHASE1,
      'const committedAtElection = complete.reduce((most, { commit }) => Math.max(most, commit), commitOf(state));',
      'const committedAtElection = commitOf(state);',
    ),
  ),
  mutant(
    'paxos-fresh-from-commit',
    'After Phase 1 fresh proposals begin above committedAtElection, not above the highest vote reported.',
    ['paxos/highest-ballot-value', 'paxos/one-value-per-slot'],
    scenario('multipaxos/read-above-reported'),
    edit(
      PHASE1,
      'const noopIndex = (toRepropose[toRepropose.length - 1]?.index ?? committedAtElection) + 1;',
      'const noopIndex = committedAtElection + 1;',
    ),
  ),
  mutant(
    'paxos-beyond-window',
    'Slots are proposed beyond W + α.',
    ['paxos/alpha-window'],
    scenario('multipaxos/window-alpha'),
    edit(
      LEADER,
      'return Math.max(0, commitOf(state) + state.options.alpha + 1 - (state.role as PaxosLeader).next);',
      'return 1_000;',
    ),
    edit(
      LEADER,
      'Math.min(lead.noopIndex, commitOf(state) + state.options.alpha); // paxos/alpha-window',
      'lead.noopIndex;',
    ),
    edit(ACCEPTOR, 'const to = Math.min(last, commit + draft.state.options.alpha);', 'const to = last;'),
  ),
];

export const learners: readonly Mutant[] = [
  mutant(
    'paxos-single-vote-chooses',
    'A slot counts as chosen when a single acceptor has accepted it.',
    ['paxos/chosen-by-majority', 'paxos/one-value-per-slot'],
    scope('paxos n3 E1'),
    edit(LEADER, 'let upTo = Math.max(commit, majorityReached(reached));', 'let upTo = Math.max(commit, ...reached);'),
  ),
  mutant(
    'paxos-old-ack-counts',
    'Acknowledgements of an older ballot of the same leader count.',
    ['paxos/answers-to-this-ballot', 'paxos/one-value-per-slot'],
    scenario('multipaxos/stale-accepted'),
    edit(
      LEADER,
      "if (role.kind !== 'leader' || role.ballot !== ballot) return -1;",
      "if (role.kind !== 'leader') return -1;",
    ),
  ),
  mutant(
    'paxos-ack-fills-gap',
    'An acknowledgement beyond a gap counts for the gap, too.',
    ['paxos/acks-by-slot', 'paxos/one-value-per-slot'],
    scenario('multipaxos/ack-beyond-gap'),
    edit(PROGRESS, 'if (from <= p.match + 1) raise(after, to);', 'if (from > 0) raise(after, to);'),
  ),
  mutant(
    'paxos-known-counts-as-accepted',
    'What a peer knows to be chosen counts as accepted in this ballot, beyond the leader’s own W.',
    [],
    equivalent(
      'To agreement. Say x is proposed at b, and S, a majority, are those that accepted it or answered in b knowing ' +
        'the slot to be chosen. Were y ≠ x chosen below b, Phase 1 of b had found y. Otherwise let b* > b be the first ' +
        'in time to propose a value that is not x: a member of S promised b* before. One that had accepted x reported x, ' +
        'or x in a ballot between, and b* had proposed x; one that answered in b did so before it promised b*, before ' +
        'anything but x was proposed above b. So x is all that is ever chosen there. The code asks for less: that is ' +
        'easier to see.',
    ),
    edit(
      LEADER,
      'peer = withChosen(peer, Math.min(m.commit, commit), most);',
      'peer = withChosen(peer, Math.min(m.commit, lead.next - 1), most);',
    ),
  ),
  mutant(
    'paxos-vote-of-any-ballot',
    'A learner takes its vote of any ballot for what the leader calls chosen.',
    ['paxos/commit-by-own-ballot', 'paxos/one-value-per-slot'],
    scenario('multipaxos/slow-leader-disk'),
    edit(
      'multipaxos/window.ts',
      'if (run.from > upTo + 1 || run.ballot !== ballot) break;',
      'if (run.from > upTo + 1) break;',
    ),
  ),
  mutant(
    'paxos-leads-on-contradicted',
    'A leader that learns of a chosen value that is not its own leads on, and says so under its ballot.',
    ['paxos/yield-to-chosen'],
    scenario('multipaxos/leader-learns-other-value'),
    edit(LEARNER, 'if (contradicted) follow(draft, null, 0);', ''),
  ),
  mutant(
    'paxos-catch-up-unordered',
    'What is learned by catch-up is appended without asking whether it follows W.',
    ['paxos/learned-from-any-answer'],
    scenario('multipaxos/catch-up-out-of-order'),
    edit(LEARNER, 'if ((fresh[0] as Entry).index !== commit + 1) return false;', ''),
  ),
  mutant(
    'paxos-page-ahead-waits',
    'A page that came early is not learned when own votes reach it: an idle replica stays behind.',
    ['paxos/learned-from-any-answer'],
    script('catch-up: a page ahead'),
    edit(LEARNER, 'for (;;) {', 'for (; commitOf(draft.state) < 0; ) {'),
  ),
];

export const paxosReads: readonly Mutant[] = [
  mutant(
    'paxos-read-without-majority',
    'A read is served without asking a majority.',
    ['reads/confirmed-by-majority', 'reads/no-stale-read'],
    scenario('multipaxos/pause-leader-read-a'),
    edit('core/reads.ts', 'majorityReached([begun.readRound, ...rules.confirmed(draft)])', 'begun.readRound'),
  ),
  mutant(
    'paxos-read-at-commit',
    'A read is served at W alone: what Phase 1 carried over may be chosen already.',
    ['reads/above-all-reported', 'reads/no-stale-read'],
    scenario('multipaxos/read-above-reported'),
    edit(
      READS,
      'return Math.max(commitOf(draft.state), draft.leaderRole.noopIndex - 1);',
      'return commitOf(draft.state);',
    ),
  ),
  mutant(
    'paxos-read-joins-begun-round',
    'A read joins a round that had begun before it arrived.',
    ['reads/no-late-joiner', 'reads/no-stale-read'],
    scenario('multipaxos/pause-leader-read-a'),
    edit(
      'core/reads.ts',
      'return { ...queue, waiting };',
      `if (queue.begun === null) return { ...queue, waiting };
  const { begun } = queue;
  const joined = { own: withItem(begun.reads.own, read), ofPeers: begun.reads.ofPeers };
  return { ...queue, begun: { ...begun, reads: joined } };`,
    ),
  ),
  mutant(
    'paxos-old-confirmation-counts',
    'An answer to a heartbeat of an earlier ballot of the same leader confirms a round of this one.',
    ['paxos/answers-to-this-ballot', 'reads/no-stale-read'],
    scenario('multipaxos/pause-leader-read-b'),
    edit(
      HEARTBEAT,
      'const at = answering(draft, from, m.ballot);',
      "const at = answering(draft, from, draft.state.role.kind === 'leader' ? draft.state.role.ballot : 0);",
    ),
  ),
];

export const multipaxosMutants: readonly Mutant[] = [...acceptors, ...proposers, ...learners, ...paxosReads];
