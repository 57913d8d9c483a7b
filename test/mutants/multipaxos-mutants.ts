/**
 * Multi-Paxos’ mutants: each takes out one rule of docs/rules.md, or one of the ways to get it wrong. Those that changes
 * of members and snapshots bring come with them; the rule of lost disks is the driver's.
 */

import { edit, type Mutant } from './mutant.js';

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
const CARRIED = 'const toRepropose = highestVotes(state, promises, committedAtElection);';
const OWN_LAST = '(page(state.window, 0, Infinity)[0].at(-1)?.index ?? 0)';

export const acceptors: readonly Mutant[] = [
  {
    name: 'paxos-promise-before-durable',
    about: 'A promise is told before it is durable.',
    breaks: ['durability/send-after-sync', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'check', scope: 'paxos n3 E1' },
    edits: [edit(ACCEPTOR, 'const after = draft.state.hardSeq;', 'const after = 0;')],
  },
  {
    name: 'paxos-promise-forgotten',
    about: 'A restart forgets the promise, and knows of its votes only.',
    breaks: ['paxos/promise-never-falls', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/promise-restart-amnesia' },
    edits: [edit(PHASE1, 'let promised = hard?.term ?? 0;', 'let promised = 0;')],
  },
  {
    name: 'paxos-votes-do-not-bind',
    about: 'A restart is bound by the promise on disk alone, not by its votes.',
    breaks: [],
    edits: [edit(PHASE1, 'for (const { term } of votes) promised = Math.max(promised, term);', '')],
    equivalent:
      'A vote is cast in the ballot promised (`vote` asserts it), and the promise is persisted in the same step or an ' +
      'earlier one; the lane is in order and each persist atomic, so a disk with the vote has a promise not below it.',
  },
  {
    name: 'paxos-vote-before-durable',
    about: 'A vote is told before it is durable.',
    breaks: ['durability/send-after-sync', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'check', scope: 'paxos n3 E1' },
    edits: [edit(ACCEPTOR, 'after = draft.seqFor(first, last); // durability/send-after-sync', 'after = 0;')],
  },
  {
    name: 'paxos-own-vote-before-durable',
    about: 'A leader counts its own vote before it is durable.',
    breaks: ['durability/own-vote-after-sync', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/slow-leader-disk' },
    edits: [
      edit(LEADER, 'const reached = [ownDurable(state, lead.next)];', 'const reached = [lead.next - 1];'),
      edit(LEADER, 'let votes = isSynced(state.unsynced, slot) ? 1 : 0;', 'let votes = 1;'),
    ],
  },
  {
    name: 'paxos-repeated-vote-before-durable',
    about: 'A vote that was cast before is told again at once, though the first copy is still on its way to disk.',
    breaks: ['durability/send-after-sync', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/slow-leader-disk' },
    edits: [
      edit(
        ACCEPTOR,
        '    voteFor(draft, from, entries);\n',
        '    const old = draft.state.window;\n    voteFor(draft, from, entries);\n',
      ),
      edit(
        ACCEPTOR,
        'after = draft.seqFor(first, last); // durability/send-after-sync',
        'after = draft.state.window === old ? 0 : draft.seqFor(first, last);',
      ),
    ],
  },
  {
    name: 'paxos-vote-below-promise',
    about: 'A vote is cast below the promise.',
    breaks: ['paxos/vote-at-promise'],
    killedBy: { kind: 'scenario', file: 'multipaxos/lower-ballot-after-accept' },
    edits: [
      edit(STEP, ADMITS, "if (m.ballot >= draft.state.promised || m.kind === 'accept') return true;"),
      edit(DRAFT, "assert(head.term === promised, 'paxos/vote-at-promise: a vote is in the ballot promised');", ''),
    ],
  },
  {
    name: 'paxos-promise-any-ballot',
    about: 'Any ballot is promised, and a lower one lowers the promise.',
    breaks: ['paxos/promise-binds', 'paxos/promise-never-falls'],
    killedBy: { kind: 'scenario', file: 'multipaxos/promise-restart-amnesia' },
    edits: [
      edit(STEP, ADMITS, "if (m.ballot >= draft.state.promised || m.kind === 'prepare') return true;"),
      edit(
        ACCEPTOR,
        'if (m.ballot > draft.state.promised) {\n    draft.promise(m.ballot); // paxos/promise-binds',
        'if (m.ballot !== draft.state.promised) {\n    draft.promise(m.ballot);',
      ),
      edit(DRAFT, "assert(ballot > this.state.promised, 'paxos/promise-never-falls: a promise is only raised');", ''),
    ],
  },
  {
    name: 'paxos-vote-keeps-promise',
    about: 'Accepting does not raise the promise: nearly invisible to whoever looks at agreement alone.',
    breaks: ['paxos/vote-at-promise', 'paxos/promise-binds'],
    killedBy: { kind: 'scenario', file: 'multipaxos/crash-in-recovery' },
    edits: [
      edit(ACCEPTOR, 'if (ballot > draft.state.promised) draft.promise(ballot);', ''),
      edit(
        ACCEPTOR,
        'if (vote === undefined || vote.term !== promised) {',
        'if (vote === undefined || vote.term !== entry.term) {',
      ),
      edit(DRAFT, "assert(head.term === promised, 'paxos/vote-at-promise: a vote is in the ballot promised');", ''),
    ],
  },
  {
    name: 'paxos-promise-hides-slots',
    about: 'A promise reports no slot that lies below its acceptor’s last vote (a bug of paxos-rs).',
    breaks: ['paxos/promise-reports-votes'],
    killedBy: { kind: 'scenario', file: 'multipaxos/dueling-proposers' },
    edits: [
      edit(
        ACCEPTOR,
        'page(window, Math.max(m.from, commit + 1), options.limits.messageBytes);',
        'page(window, Math.max(m.from, commit + 1, lastVote(window)), options.limits.messageBytes);',
      ),
    ],
  },
  {
    name: 'paxos-first-page-is-all',
    about: 'The first page of a promise counts for the whole.',
    breaks: ['paxos/promise-reports-votes', 'paxos/phase1-majority'],
    killedBy: { kind: 'scenario', file: 'multipaxos/paged-promise' },
    edits: [edit(PHASE1, 'complete: m.next === 0, // only now does it say something of every slot', 'complete: true,')],
  },
  {
    name: 'paxos-promise-without-commit',
    about: 'A promise does not say how much its acceptor knows to be chosen: what is missing below looks empty.',
    breaks: ['paxos/promise-reports-votes', 'paxos/propose-above-reported-commit', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/inflated-ballot-rejoin' },
    edits: [
      edit(
        ACCEPTOR,
        "kind: 'promise', ballot: m.ballot, from: m.from, commit, next, votes }",
        "kind: 'promise', ballot: m.ballot, from: m.from, commit: 0, next, votes }",
      ),
    ],
  },
  {
    name: 'paxos-vote-below-commit',
    about: 'Slots at or below W are voted for and acknowledged: on disk the vote takes the place of what is chosen.',
    breaks: ['paxos/votes-above-commit', 'paxos/learned-is-chosen'],
    killedBy: { kind: 'scenario', file: 'multipaxos/three-proposers' },
    edits: [
      edit(ACCEPTOR, 'const from = Math.max(first, w + 1);', 'const from = first;'),
      edit(
        DRAFT,
        "assert(head.index > log.last, 'paxos/votes-above-commit: no vote at or below the commit index');",
        '',
      ),
    ],
  },
];

export const proposers: readonly Mutant[] = [
  {
    name: 'paxos-own-value',
    about: 'A new leader proposes its own value where a vote was reported.',
    breaks: ['paxos/highest-ballot-value', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/own-value' },
    edits: [
      edit(
        LEADER,
        'entries.push({ index: slot, term: lead.ballot, kind: vote.kind, id: vote.id, data: vote.data });',
        'entries.push(noopAt(slot, lead.ballot));',
      ),
    ],
  },
  {
    name: 'paxos-any-reported-value',
    about: 'Any vote reported is proposed, not that of the highest ballot: three proposers tell.',
    breaks: ['paxos/highest-ballot-value', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/three-proposers' },
    edits: [
      edit(
        PHASE1,
        'if (known === undefined || known.term < vote.term) highest.set',
        'if (known === undefined) highest.set',
      ),
    ],
  },
  {
    name: 'paxos-lowest-ballot-value',
    about: 'The vote of the lowest ballot is proposed.',
    breaks: ['paxos/highest-ballot-value', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/three-proposers' },
    edits: [
      edit(
        PHASE1,
        'if (known === undefined || known.term < vote.term) highest.set',
        'if (known === undefined || known.term > vote.term) highest.set',
      ),
    ],
  },
  {
    name: 'paxos-shared-ballots',
    about: 'Ballots are numbered without their owner: two members share one.',
    breaks: ['paxos/ballot-used-once'],
    killedBy: { kind: 'scenario', file: 'multipaxos/promise-restart-amnesia' },
    edits: [
      edit(PHASE1, 'const ballot = ballotOf(round, options.number);', 'const ballot = ballotOf(round, 1);'),
      edit(STEP, 'if (numberOf(m.ballot) !== sender.number) return false;', ''),
      edit(STEP, 'return numberOf(m.ballot) === sender.number;', 'return true;'),
    ],
  },
  {
    name: 'paxos-ballot-reused',
    about: 'A candidate’s ballot is not written before it is used: a restart uses it again, with another value.',
    breaks: ['paxos/ballot-used-once', 'paxos/one-value-per-ballot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/ballot-reuse-restart' },
    edits: [
      edit(
        ACCEPTOR,
        '  draft.promise(ballot);\n}\n\n/** The own vote',
        '  draft.edit().promised = ballot;\n}\n\n/** The own vote',
      ),
    ],
  },
  {
    name: 'paxos-prepare-before-durable',
    about: 'A Prepare leaves before its ballot is durable at the candidate.',
    breaks: ['durability/send-after-sync', 'paxos/ballot-used-once'],
    killedBy: { kind: 'check', scope: 'paxos n3 E1' },
    edits: [
      edit(
        PHASE1,
        "draft.send(id, { kind: 'prepare', ballot, from }, hardSeq, 'control');",
        "draft.send(id, { kind: 'prepare', ballot, from }, 0, 'control');",
      ),
    ],
  },
  {
    name: 'paxos-own-promise-before-durable',
    about: 'A candidate’s own promise counts before it is durable.',
    breaks: ['durability/own-vote-after-sync', 'paxos/own-acceptor'],
    killedBy: { kind: 'check', scope: 'paxos n3 E1' },
    edits: [
      edit(PHASE1, 'if (state.hardSeq > state.durableSeq) return; // durability/own-vote-after-sync', ''),
      edit(
        PHASE1,
        "draft.send(id, { kind: 'prepare', ballot, from }, hardSeq, 'control');",
        "draft.send(id, { kind: 'prepare', ballot, from }, 0, 'control');",
      ),
    ],
  },
  {
    name: 'paxos-own-votes-ignored',
    about: 'A candidate does not count its own votes among those reported.',
    breaks: ['paxos/own-acceptor', 'paxos/highest-ballot-value', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/gap-noop' },
    edits: [edit(PHASE1, 'for (const vote of page(state.window, 0, Infinity)[0]) take(vote, state.options.id);', '')],
  },
  {
    name: 'paxos-promise-counts-twice',
    about: 'A promise that arrives twice counts for another acceptor: it takes five members to tell.',
    breaks: ['paxos/phase1-majority', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/dup-promise-n5' },
    edits: [
      edit(
        PHASE1,
        'const at = placeOf(draft.state.options, from);\n  const known = role.promises[at] as PromiseProgress;',
        `let at = placeOf(draft.state.options, from);
  if (role.promises[at].complete) at = role.promises.findIndex((each) => !each.complete);
  if (at < 0) return;
  const known = role.promises[at] as PromiseProgress;`,
      ),
    ],
  },
  {
    name: 'paxos-old-promise-counts',
    about: 'A promise of an older ballot of the same candidate counts.',
    breaks: ['paxos/phase1-majority'],
    killedBy: { kind: 'scenario', file: 'multipaxos/delayed-promise' },
    edits: [
      edit(
        PHASE1,
        "if (role.kind !== 'candidate' || role.ballot !== m.ballot) return;",
        "if (role.kind !== 'candidate') return;",
      ),
    ],
  },
  {
    name: 'paxos-majority-less-one',
    about: 'Half of the members, rounded down, are a quorum.',
    breaks: ['paxos/phase1-majority', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'check', scope: 'paxos n3 E1' },
    edits: [edit('core/quorum.ts', 'Math.floor(members / 2) + 1', 'Math.max(1, Math.floor(members / 2))')],
  },
  {
    name: 'paxos-half-is-majority',
    about: 'Half of the members are a quorum: only even clusters tell.',
    breaks: ['paxos/phase1-majority', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/even-split-n4' },
    edits: [edit('core/quorum.ts', 'Math.floor(members / 2) + 1', 'Math.ceil(members / 2)')],
  },
  {
    name: 'paxos-own-slots-only',
    about: 'A new leader looks at the promises only up to its own highest vote, and proposes anew above.',
    breaks: ['paxos/highest-ballot-value', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/read-above-carried' },
    edits: [edit(PHASE1, CARRIED, `${CARRIED.slice(0, -1)}.filter(({ index }) => index <= ${OWN_LAST});`)],
  },
  {
    name: 'paxos-gaps-without-phase1',
    about: 'A new leader fills the gaps in its own votes with no-ops, whatever the promises say of them.',
    breaks: ['paxos/noop-only-in-free-slot', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/gap-noop' },
    edits: [
      edit(
        PHASE1,
        CARRIED,
        `${CARRIED.slice(0, -1)}.filter(({ index }) => index > ${OWN_LAST} || page(state.window, index, 1)[0][0]?.index === index);`,
      ),
    ],
  },
  {
    name: 'paxos-start-at-own-commit',
    about: 'The floor is the candidate’s own W: what others know to be chosen is proposed again.',
    breaks: ['paxos/propose-above-reported-commit', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/constrained-election' },
    edits: [
      edit(
        PHASE1,
        'const committedAtElection = complete.reduce((most, { commit }) => Math.max(most, commit), commitOf(state));',
        'const committedAtElection = commitOf(state);',
      ),
    ],
  },
  {
    name: 'paxos-fresh-from-commit',
    about: 'After Phase 1 fresh proposals begin at the floor, not above the highest vote reported.',
    breaks: ['paxos/highest-ballot-value', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/read-above-carried' },
    edits: [
      edit(
        PHASE1,
        'const noopIndex = (toRepropose[toRepropose.length - 1]?.index ?? committedAtElection) + 1;',
        'const noopIndex = committedAtElection + 1;',
      ),
    ],
  },
  {
    name: 'paxos-beyond-window',
    about: 'Slots are proposed beyond W + α.',
    breaks: ['paxos/alpha-window'],
    killedBy: { kind: 'scenario', file: 'multipaxos/window-alpha' },
    edits: [
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
      edit(ACCEPTOR, 'const to = Math.min(last, w + draft.state.options.alpha);', 'const to = last;'),
    ],
  },
];

export const learners: readonly Mutant[] = [
  {
    name: 'paxos-single-vote-chooses',
    about: 'A slot counts as chosen when a single acceptor has accepted it.',
    breaks: ['paxos/chosen-by-majority', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'check', scope: 'paxos n3 E1' },
    edits: [edit(LEADER, 'let upTo = Math.max(w, majorityReached(reached));', 'let upTo = Math.max(w, ...reached);')],
  },
  {
    name: 'paxos-old-ack-counts',
    about: 'Acknowledgements of an older ballot of the same leader count.',
    breaks: ['paxos/answers-to-this-ballot', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/stale-accepted' },
    edits: [
      edit(
        LEADER,
        "if (role.kind !== 'leader' || role.ballot !== ballot) return -1;",
        "if (role.kind !== 'leader') return -1;",
      ),
    ],
  },
  {
    name: 'paxos-ack-fills-gap',
    about: 'An acknowledgement beyond a gap counts for the gap, too.',
    breaks: ['paxos/acks-by-slot', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/ack-beyond-gap' },
    edits: [
      edit(PROGRESS, 'if (from <= p.match + 1) return matched(p, to, durable);', 'return matched(p, to, durable);'),
    ],
  },
  {
    name: 'paxos-known-counts-as-accepted',
    about: 'What a peer knows to be chosen counts as accepted in this ballot, beyond the leader’s own W.',
    breaks: [],
    edits: [
      edit(
        LEADER,
        'peer = withChosen(peer, Math.min(m.commit, w));',
        'peer = withChosen(peer, Math.min(m.commit, lead.next - 1));',
      ),
    ],
    equivalent:
      'To agreement. Say x is proposed at b, and S, a majority, are those that accepted it or answered in b knowing ' +
      'the slot to be chosen. Were y ≠ x chosen below b, Phase 1 of b had found y. Otherwise let b* > b be the first ' +
      'in time to propose a value that is not x: a member of S promised b* before. One that had accepted x reported x, ' +
      'or x in a ballot between, and b* had proposed x; one that answered in b did so before it promised b*, before ' +
      'anything but x was proposed above b. So x is all that is ever chosen there. The code asks for less: that is ' +
      'easier to see.',
  },
  {
    name: 'paxos-vote-of-any-ballot',
    about: 'A learner takes its vote of any ballot for what the leader calls chosen.',
    breaks: ['paxos/commit-by-own-ballot', 'paxos/one-value-per-slot'],
    killedBy: { kind: 'scenario', file: 'multipaxos/slow-leader-disk' },
    edits: [
      edit(
        'multipaxos/window.ts',
        'if (run.from > upTo + 1 || run.ballot !== ballot) break;',
        'if (run.from > upTo + 1) break;',
      ),
    ],
  },
  {
    name: 'paxos-leads-on-contradicted',
    about: 'A leader that learns of a chosen value that is not its own leads on, and says so under its ballot.',
    breaks: ['paxos/yield-to-chosen'],
    killedBy: { kind: 'scenario', file: 'multipaxos/leader-learns-other-value' },
    edits: [edit(LEARNER, 'if (contradicted) follow(draft, null, 0);', '')],
  },
  {
    name: 'paxos-catch-up-unordered',
    about: 'What is learned by catch-up is appended without asking whether it follows W.',
    breaks: [],
    edits: [edit(LEARNER, 'if ((fresh[0] as Entry).index !== w + 1) return false;', '')],
    equivalent:
      'An answer to catch-up begins at the slot asked for, W + 1 at that time, and W only grows: entries at or below W ' +
      'are left out before, so what is left begins at W + 1 or there is nothing left. It guards against a peer that ' +
      'does not keep to the protocol, where `append` would throw.',
  },
];

export const paxosReads: readonly Mutant[] = [
  {
    name: 'paxos-read-without-majority',
    about: 'A read is served without asking a majority.',
    breaks: ['reads/confirmed-by-majority', 'reads/no-stale-read'],
    killedBy: { kind: 'scenario', file: 'multipaxos/pause-leader-read-a' },
    edits: [
      edit(
        'core/reads.ts',
        'confirmReadRound(queue, majorityReached([queue.readRound, ...rules.confirmed(draft)]))',
        'confirmReadRound(queue, queue.readRound)',
      ),
    ],
  },
  {
    name: 'paxos-read-at-commit',
    about: 'A read is served at W alone: what Phase 1 carried over may be chosen already.',
    breaks: ['reads/above-all-reported', 'reads/no-stale-read'],
    killedBy: { kind: 'scenario', file: 'multipaxos/read-above-carried' },
    edits: [
      edit(
        READS,
        'return Math.max(commitOf(draft.state), leading(draft).noopIndex - 1);',
        'return commitOf(draft.state);',
      ),
    ],
  },
  {
    name: 'paxos-read-joins-begun-round',
    about: 'A read joins a round that had begun before it arrived.',
    breaks: ['reads/no-late-joiner', 'reads/no-stale-read'],
    killedBy: { kind: 'scenario', file: 'multipaxos/pause-leader-read-a' },
    edits: [
      edit(
        'core/reads.ts',
        'return { ...queue, waiting: [...queue.waiting, read] };',
        `const last = queue.begun[queue.begun.length - 1];
  if (last === undefined) return { ...queue, waiting: [...queue.waiting, read] };
  return { ...queue, begun: [...queue.begun.slice(0, -1), { ...last, reads: [...last.reads, read] }] };`,
      ),
    ],
  },
  {
    name: 'paxos-old-confirmation-counts',
    about: 'An answer to a heartbeat of an earlier ballot of the same leader confirms a round of this one.',
    breaks: ['paxos/answers-to-this-ballot', 'reads/no-stale-read'],
    killedBy: { kind: 'scenario', file: 'multipaxos/pause-leader-read-b' },
    edits: [
      edit(
        HEARTBEAT,
        'const at = answering(draft, from, m.ballot);',
        "const at = answering(draft, from, draft.state.role.kind === 'leader' ? draft.state.role.ballot : 0);",
      ),
    ],
  },
];

export const multipaxosMutants: readonly Mutant[] = [...acceptors, ...proposers, ...learners, ...paxosReads];
