/** Raft's mutants: each takes out one rule of docs/rules.md, or one of the ways to get it wrong. */

import { edit, type Mutant } from './mutant.js';

const CODE = {
  granted: "const granted = current && free && state.role.kind === 'follower' && isUpToDate(state, message);",
  upToDate: 'return message.lastTerm > own || (message.lastTerm === own && message.lastIndex >= state.log.last);',
  hard: 'return { term, vote, commit };',
  match: `const { match } = message;
  if (match > draft.state.log.last)
    throw new InvariantViolation('raft/ack-covers-what-was-sent: an acknowledgement covers what was sent', { match });`,
  acceptedDoor: `export function onAppendAccepted(draft: RaftDraft, from: ReplicaId, message: AppendAccepted): void {
  const peer = progressOf(draft, from);
  if (peer === undefined || message.term !== draft.state.term || message.viewId !== peer.viewId) return;
  const { match } = message;
  if (match > draft.state.log.last)
    throw new InvariantViolation('raft/ack-covers-what-was-sent: an acknowledgement covers what was sent', { match });`,
  accepted: `const accepted: AppendAccepted = { kind: 'appendAccepted', term: message.term, viewId: message.viewId, match };
  draft.send(from, accepted, draft.seqFor(1, match), 'control');`,
  confirmed: 'confirmReadRound(queue, majorityReached([queue.readRound, ...rules.confirmed(draft)]))',
} as const;

const ELECTION = 'raft/election.ts';
const REPLICATION = 'raft/replication.ts';
const DRAFT = 'raft/draft.ts';
const READS = 'raft/reads.ts';

export const elections: readonly Mutant[] = [
  {
    name: 'raft-vote-ignores-log',
    about: 'A vote does not ask whether the candidate’s log is up to date (§5.4.1).',
    breaks: ['raft/up-to-date-log', 'raft/leader-completeness'],
    killedBy: { kind: 'scenario', file: 'raft/chained-partition' },
    edits: [edit(ELECTION, CODE.granted, "const granted = current && free && state.role.kind === 'follower';")],
  },
  {
    name: 'raft-up-to-date-by-length',
    about: 'Up to date is judged by the length of the log alone.',
    breaks: ['raft/up-to-date-log', 'raft/leader-completeness'],
    killedBy: { kind: 'scenario', file: 'raft/conflict-suffix-n5' },
    edits: [edit(ELECTION, CODE.upToDate, 'return message.lastIndex >= state.log.last;')],
  },
  {
    name: 'raft-up-to-date-by-term',
    about: 'Up to date is judged by the last term alone.',
    breaks: ['raft/up-to-date-log', 'raft/leader-completeness'],
    killedBy: { kind: 'scenario', file: 'raft/constrained-election' },
    edits: [edit(ELECTION, CODE.upToDate, 'return message.lastTerm >= own;')],
  },
  {
    name: 'raft-vote-not-stored',
    about: 'The vote is not written with the term: a restart forgets it.',
    breaks: ['raft/one-vote-per-term', 'raft/one-leader-per-term'],
    killedBy: { kind: 'scenario', file: 'raft/vote-restart-amnesia' },
    edits: [edit(DRAFT, CODE.hard, 'return { term, vote: null, commit };')],
  },
  {
    name: 'raft-term-not-stored',
    about: 'The term is not kept: a restart goes back to that of the last entry.',
    breaks: ['raft/term-never-falls', 'raft/one-leader-per-term'],
    killedBy: { kind: 'scenario', file: 'raft/vote-restart-amnesia' },
    edits: [edit('raft/step.ts', 'const term = hard?.term ?? 0;', 'const term = lastTerm(log);')],
  },
  {
    name: 'raft-vote-before-durable',
    about: 'A vote is told before it is durable.',
    breaks: ['durability/send-after-sync', 'raft/one-leader-per-term'],
    killedBy: { kind: 'check', scope: 'raft n3 T1' },
    edits: [edit(ELECTION, 'granted ? draft.state.hardSeq : 0', '0')],
  },
  {
    name: 'raft-request-before-durable',
    about: 'A candidate asks for votes before its own term and vote are durable.',
    breaks: ['durability/send-after-sync'],
    killedBy: { kind: 'check', scope: 'raft n2 E1 each' },
    edits: [edit(ELECTION, "draft.send(id, request, hardSeq, 'control');", "draft.send(id, request, 0, 'control');")],
  },
  {
    name: 'raft-own-vote-before-durable',
    about: 'A candidate’s own vote counts before it is durable.',
    breaks: ['durability/own-vote-after-sync', 'raft/one-leader-per-term'],
    killedBy: { kind: 'scenario', file: 'raft/own-vote-first' },
    edits: [
      edit(
        ELECTION,
        "state.role.kind === 'candidate' && state.hardSeq <= state.durableSeq",
        "state.role.kind === 'candidate'",
      ),
      edit(
        ELECTION,
        "for (const { id } of options.others) draft.send(id, request, hardSeq, 'control');",
        "for (const { id } of options.others) draft.send(id, request, hardSeq, 'control');\n  countOwnVote(draft);",
      ),
    ],
  },
  {
    name: 'raft-first-append-before-durable',
    about: 'A leader elected by the votes of others sends appends before its own vote is durable.',
    breaks: [],
    edits: [edit(DRAFT, 'this.send(peer, message, this.state.hardSeq, lane);', 'this.send(peer, message, 0, lane);')],
    equivalent:
      'Alone, that is: requests for votes leave when term and vote are durable (`raft-request-before-durable` takes that away), and a candidate ' +
      'of two or more leads only by answers to them, so whatever it sends as leader leaves later than that. What is ' +
      'left to see is the order of two reports of one disk.',
  },
  {
    name: 'raft-two-votes',
    about: 'A replica votes more than once in a term.',
    breaks: ['raft/one-vote-per-term', 'raft/one-leader-per-term'],
    killedBy: { kind: 'scenario', file: 'raft/vote-restart-amnesia' },
    edits: [
      edit(ELECTION, 'const free = state.vote === null || state.vote === from;', 'const free = true;'),
      edit(DRAFT, "assert(vote === null || vote === candidate, 'raft/one-vote-per-term: one vote a term');", ''),
    ],
  },
  {
    name: 'raft-append-clears-vote',
    about: 'An append of the current term clears the vote.',
    breaks: ['raft/one-vote-per-term', 'raft/one-leader-per-term'],
    killedBy: { kind: 'check', scope: 'raft n3 E1 R1' },
    edits: [
      edit(
        DRAFT,
        "if (role.kind === 'follower' && role.leader === leader) hear(this);",
        `if (this.state.vote !== null) this.edit().vote = null;
    if (role.kind === 'follower' && role.leader === leader) hear(this);`,
      ),
    ],
  },
  {
    name: 'raft-old-vote-counts',
    about: 'Votes of an older term count.',
    breaks: ['raft/one-leader-per-term', 'raft/stale-term-is-ignored'],
    killedBy: { kind: 'scenario', file: 'raft/delayed-vote-response' },
    edits: [edit(ELECTION, 'if (!message.granted || message.term !== state.term || ', 'if (!message.granted || ')],
  },
  {
    name: 'raft-vote-counts-twice',
    about: 'A peer’s vote that arrives twice counts twice: it takes five members to tell.',
    breaks: ['raft/votes-are-a-set', 'raft/one-leader-per-term'],
    killedBy: { kind: 'scenario', file: 'raft/dup-vote-n5' },
    edits: [
      edit(
        ELECTION,
        'if (votes.includes(voter)) return;',
        'if (voter === draft.state.options.id && votes.includes(voter)) return;',
      ),
    ],
  },
  {
    name: 'raft-majority-less-one',
    about: 'A majority is one too few.',
    breaks: ['raft/leader-by-majority', 'log/committed-on-majority', 'raft/one-leader-per-term'],
    killedBy: { kind: 'check', scope: 'raft n3 T1' },
    edits: [edit('core/quorum.ts', 'Math.floor(members / 2) + 1', 'Math.max(1, Math.floor(members / 2))')],
  },
  {
    name: 'raft-half-is-majority',
    about: 'Half of the members are a majority: only even clusters tell.',
    breaks: ['raft/leader-by-majority', 'log/committed-on-majority', 'raft/one-leader-per-term'],
    killedBy: { kind: 'scenario', file: 'raft/even-split-n4' },
    edits: [edit('core/quorum.ts', 'Math.floor(members / 2) + 1', 'Math.ceil(members / 2)')],
  },
  {
    name: 'raft-vote-outlives-term',
    about: 'The vote stays when a newer term begins.',
    breaks: ['liveness/leader-found'],
    killedBy: { kind: 'scenario', file: 'raft/delayed-vote-response' },
    edits: [
      edit(DRAFT, 'next.vote = null;\n    this.persistHard();', 'this.persistHard();'),
      edit(DRAFT, "assert(vote === null || vote === candidate, 'raft/one-vote-per-term: one vote a term');", ''),
    ],
  },
  {
    name: 'raft-no-check-quorum',
    about: 'A leader that no majority answers leads on (no CheckQuorum).',
    breaks: ['leadership/ends-without-quorum', 'liveness/every-call-ends'],
    killedBy: { kind: 'scenario', file: 'raft/deaf-leader' },
    edits: [
      edit(
        ELECTION,
        "if (draft.state.role.kind === 'leader') draft.follow(null);",
        `const { timeout } = draft.state.electionTimer;
  if (draft.state.role.kind === 'leader') draft.setElectionTimer({ deadline: draft.now + timeout, timeout, forgiven: false });`,
      ),
    ],
  },
  {
    name: 'raft-candidate-votes-for-another',
    about: 'A candidate or leader votes for another that asks in its own term.',
    breaks: [],
    edits: [edit(ELECTION, CODE.granted, 'const granted = current && free && isUpToDate(state, message);')],
    equivalent:
      'A candidate or leader of the current term has voted for itself in that term (`becomeCandidate` votes, a leader ' +
      'was a candidate), so `free` asks for a request in its own name; and `step` hears only other members.',
  },
];

export const replication: readonly Mutant[] = [
  {
    name: 'raft-commit-old-term',
    about: 'Entries of an earlier term are committed by counting (Figure 8).',
    breaks: ['raft/commit-own-term', 'raft/leader-completeness'],
    killedBy: { kind: 'scenario', file: 'raft/fig8-prev-term-commit' },
    edits: [
      edit(REPLICATION, 'if (index <= commit || termAt(log, index) !== term) return;', 'if (index <= commit) return;'),
    ],
  },
  {
    name: 'raft-ack-before-durable',
    about: 'An append is acknowledged before it is durable.',
    breaks: ['durability/send-after-sync', 'log/committed-on-majority'],
    killedBy: { kind: 'check', scope: 'raft n3 E1 R1' },
    edits: [
      edit(
        REPLICATION,
        "draft.send(from, accepted, draft.seqFor(1, match), 'control');",
        "draft.send(from, accepted, 0, 'control');",
      ),
    ],
  },
  {
    name: 'raft-repeated-ack-before-durable',
    about: 'A duplicate append is acknowledged at once, though the first copy is still on its way to disk.',
    breaks: ['durability/send-after-sync', 'log/committed-on-majority'],
    killedBy: { kind: 'scenario', file: 'raft/even-split-n4' },
    edits: [
      edit(
        REPLICATION,
        'adopt(draft, prevIndex, entries); // rules 3 and 4',
        'const old = draft.state.log;\n  adopt(draft, prevIndex, entries);',
      ),
      edit(
        REPLICATION,
        "accepted, draft.seqFor(1, match), 'control'",
        "accepted, draft.state.log === old ? 0 : draft.seqFor(1, match), 'control'",
      ),
    ],
  },
  {
    name: 'raft-leader-counts-before-durable',
    about: 'A leader counts its own entries before they are durable.',
    breaks: ['durability/own-vote-after-sync', 'log/committed-on-majority'],
    killedBy: { kind: 'scenario', file: 'raft/slow-leader-disk' },
    edits: [edit(REPLICATION, 'const reached: Index[] = [draft.durable];', 'const reached: Index[] = [log.last];')],
  },
  {
    name: 'raft-prev-term-ignored',
    about: 'The term before the entries is not compared.',
    breaks: ['raft/append-after-match', 'raft/log-matching'],
    killedBy: { kind: 'scenario', file: 'raft/conflict-suffix-n5' },
    edits: [
      edit(
        REPLICATION,
        'if (termAt(draft.state.log, prevIndex) !== prevTerm) return',
        'if (termAt(draft.state.log, prevIndex) === undefined) return',
      ),
    ],
  },
  {
    name: 'raft-suffix-stays',
    about: 'What conflicts is overwritten entry by entry, and the suffix behind it stays.',
    breaks: ['raft/cut-at-conflict-only', 'raft/log-matching', 'raft/terms-rise-in-log'],
    killedBy: { kind: 'scenario', file: 'raft/conflict-suffix-n5' },
    edits: [
      edit(
        REPLICATION,
        'import { lastIndexWithTermAtMost, termAt } from',
        'import { lastIndexWithTermAtMost, slice, termAt } from',
      ),
      edit(
        REPLICATION,
        'draft.append(known === 0 ? entries : entries.slice(known));',
        'draft.append([...entries.slice(known), ...(slice(log, prev + entries.length + 1, log.last, Infinity) ?? [])]);',
      ),
    ],
  },
  {
    name: 'raft-late-append-cuts',
    about: 'An append that agrees cuts off what lies behind its entries: a late one erases what was acknowledged.',
    breaks: ['raft/cut-at-conflict-only', 'log/committed-on-majority'],
    killedBy: { kind: 'scenario', file: 'raft/reordered-AE-truncation' },
    edits: [
      edit(
        REPLICATION,
        'if (known === entries.length) return;',
        `if (known === entries.length) {
    const end = Math.max(prev + known, commit);
    if (known > 0 && end < log.last) draft.truncate(end + 1);
    return;
  }`,
      ),
    ],
  },
  {
    name: 'raft-commit-beyond-match',
    about: 'A follower commits up to the leader’s commit index as far as its own log reaches, matched or not.',
    breaks: ['raft/commit-what-matched', 'log/one-value-per-index'],
    killedBy: { kind: 'scenario', file: 'raft/term-behind-entry-crash' },
    edits: [
      edit(
        REPLICATION,
        'draft.commitTo(Math.min(message.commit, match));',
        'draft.commitTo(Math.min(message.commit, draft.state.log.last));',
      ),
    ],
  },
  {
    name: 'raft-read-commits-beyond-match',
    about: 'So does one that learns the commit index with the answer to a read.',
    breaks: ['raft/commit-what-matched', 'log/one-value-per-index'],
    killedBy: { kind: 'scenario', file: 'raft/empty-heartbeat-commit-cap' },
    edits: [edit(READS, 'Math.min(message.commit, role.matched)', 'Math.min(message.commit, draft.state.log.last)')],
  },
  {
    name: 'raft-ack-own-length',
    about: 'An acknowledgement reports the follower’s own last index, not what the append matched.',
    breaks: ['raft/ack-covers-what-was-sent', 'raft/match-is-durable', 'raft/leader-completeness'],
    killedBy: { kind: 'scenario', file: 'raft/empty-heartbeat-commit-cap' },
    edits: [
      edit(
        REPLICATION,
        CODE.accepted,
        `const own = draft.state.log.last;
  const accepted: AppendAccepted = { kind: 'appendAccepted', term: message.term, viewId: message.viewId, match: own };
  draft.send(from, accepted, draft.seqFor(1, own), 'control');`,
      ),
      edit(REPLICATION, CODE.match, 'const match = Math.min(message.match, draft.state.log.last);'),
    ],
  },
  {
    name: 'raft-old-ack-counts',
    about: 'Acknowledgements of an older term of the same leader count.',
    breaks: ['raft/answers-name-the-view', 'raft/match-is-durable', 'log/committed-on-majority'],
    killedBy: { kind: 'scenario', file: 'raft/stale-ack-two-terms-n5' },
    edits: [
      edit(
        REPLICATION,
        CODE.acceptedDoor,
        `export function onAppendAccepted(draft: RaftDraft, from: ReplicaId, message: AppendAccepted): void {
  const peer = progressOf(draft, from);
  if (peer === undefined) return;
  const { match } = message;
  if (match > draft.state.log.last) return;`,
      ),
    ],
  },
  {
    name: 'raft-old-append-adopted',
    about: 'Appends of an older term are adopted.',
    breaks: ['raft/stale-term-is-ignored', 'raft/leader-completeness'],
    killedBy: { kind: 'scenario', file: 'raft/cloudflare-switch' },
    edits: [
      edit(
        REPLICATION,
        'draft.hearLeader(from);\n  answerReadRound',
        'if (message.term === state.term) draft.hearLeader(from);\n  answerReadRound',
      ),
      edit(
        REPLICATION,
        'if (message.term < state.term) return reject',
        "if (message.term < state.term && state.role.kind !== 'follower') return reject",
      ),
      edit(
        REPLICATION,
        "if (state.role.kind === 'follower' && state.role.leader !== null && state.role.leader !== from) {",
        `const current = message.term === state.term;
  if (current && state.role.kind === 'follower' && state.role.leader !== null && state.role.leader !== from) {`,
      ),
    ],
  },
  {
    name: 'raft-next-never-backs-up',
    about: 'A leader whose append was rejected never goes back: nextIndex stays.',
    breaks: ['liveness/all-become-equal'],
    killedBy: { kind: 'scenario', file: 'raft/slow-leader-disk' },
    edits: [edit(REPLICATION, 'if (!expected || message.prevIndex <= now.match) return; // stale', 'return;')],
  },
  {
    name: 'raft-loaded-terms-unchecked',
    about: 'Loaded entries are believed whatever their terms: the storage may have read before a truncate on its way.',
    breaks: ['log/one-value-per-index'],
    killedBy: { kind: 'scenario', file: 'raft/load-before-truncate' },
    edits: [
      edit(
        'core/log.ts',
        'if (index !== first + count || termAt(log, index) !== term) break;',
        'if (index !== first + count) break;',
      ),
    ],
  },
  {
    name: 'raft-match-may-fall',
    about: 'An acknowledgement may lower what is known to match.',
    breaks: [],
    edits: [edit(REPLICATION, 'match: Math.max(peer.match, match),', 'match,')],
    equivalent:
      '`acknowledged` is called with a match above the known one, or while probing with `next - 1`, which is never ' +
      'below it (`match < next` is checked by checkState): the maximum is always the new one.',
  },
];

export const reads: readonly Mutant[] = [
  {
    name: 'raft-read-without-round',
    about: 'A read is served without a round of the quorum.',
    breaks: ['reads/confirmed-by-majority', 'reads/no-stale-read'],
    killedBy: { kind: 'scenario', file: 'raft/pause-leader-read-a' },
    edits: [edit('core/reads.ts', CODE.confirmed, 'confirmReadRound(queue, queue.readRound)')],
  },
  {
    name: 'raft-read-before-own-term',
    about: 'A read is served before an entry of the leader’s own term is committed.',
    breaks: ['reads/own-term-first', 'reads/no-stale-read'],
    killedBy: { kind: 'scenario', file: 'raft/readindex-before-own-term' },
    edits: [edit(READS, 'return commit >= leading(draft).noopIndex ? commit : null;', 'return commit;')],
  },
  {
    name: 'raft-read-joins-begun-round',
    about: 'A read joins a round that had begun before it arrived (etcd#20418: the id of a round is used again).',
    breaks: ['reads/no-late-joiner', 'reads/no-stale-read'],
    killedBy: { kind: 'scenario', file: 'raft/pause-leader-read-a' },
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
    name: 'raft-old-confirmation-counts',
    about: 'Confirmations of an earlier leadership of the same leader complete a round of this one.',
    breaks: ['raft/answers-name-the-view', 'reads/no-stale-read'],
    killedBy: { kind: 'scenario', file: 'raft/pause-leader-read-b' },
    edits: [
      edit(
        READS,
        'if (peer === undefined || message.term !== draft.state.term || message.viewId !== peer.viewId) return;',
        'if (peer === undefined) return;',
      ),
    ],
  },
  {
    name: 'raft-confirms-rounds-to-come',
    about: 'A follower’s confirmation is taken for all rounds to come, not for the one it echoes.',
    breaks: ['reads/rounds-in-order', 'reads/no-stale-read'],
    killedBy: { kind: 'scenario', file: 'raft/readindex-before-own-term' },
    edits: [
      edit(
        READS,
        'draft.changeProgress(peer, { readRound: message.readRound });',
        'draft.changeProgress(peer, { readRound: Infinity });',
      ),
    ],
  },
];

export const raftMutants: readonly Mutant[] = [...elections, ...replication, ...reads];
