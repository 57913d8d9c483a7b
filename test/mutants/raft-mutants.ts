/** Raft's mutants: each takes out one rule of docs/rules.md, or one of the ways to get it wrong. */

import { edit, equivalent, mutant, scenario, scope, type Mutant } from './mutant.js';

const CODE = {
  granted: "const granted = current && free && state.role.kind === 'follower' && isUpToDate(state, message);",
  upToDate: 'return message.lastTerm > own || (message.lastTerm === own && message.lastIndex >= state.log.last);',
  hard: 'return { term, vote, commit };',
  match: `const { match, wall } = message;
  noteClock(draft, from, wall);
  if (match > draft.state.log.last)
    throw new InvariantViolation('raft/ack-covers-what-was-sent: an acknowledgement covers what was sent', { match });`,
  acceptedDoor: `export function onAppendAccepted(draft: RaftDraft, from: ReplicaId, message: AppendAccepted): void {
  const peer = progressOf(draft, from);
  if (peer === undefined || message.term !== draft.state.term || message.viewId !== peer.viewId) return;
  const { match, wall } = message;
  noteClock(draft, from, wall);
  if (match > draft.state.log.last)
    throw new InvariantViolation('raft/ack-covers-what-was-sent: an acknowledgement covers what was sent', { match });`,
  accepted: `const accepted: AppendAccepted = { kind: 'appendAccepted', term, viewId, match, wall };
  draft.send(from, accepted, draft.seqFor(1, match), 'control');`,
  confirmed: 'majorityReached([begun.readRound, ...rules.confirmed(draft)])',
} as const;

const CORE_DRAFT = 'core/draft.ts';
const ELECTION = 'raft/election.ts';
const REPLICATION = 'raft/replication.ts';
const DRAFT = 'raft/draft.ts';
const READS = 'raft/reads.ts';

export const elections: readonly Mutant[] = [
  mutant(
    'raft-vote-ignores-log',
    'A vote does not ask whether the candidate’s log is up to date (§5.4.1).',
    ['raft/up-to-date-log', 'raft/leader-completeness'],
    scenario('raft/chained-partition'),
    edit(ELECTION, CODE.granted, "const granted = current && free && state.role.kind === 'follower';"),
  ),
  mutant(
    'raft-up-to-date-by-length',
    'Up to date is judged by the length of the log alone.',
    ['raft/up-to-date-log', 'raft/leader-completeness'],
    scenario('raft/conflict-suffix-n5'),
    edit(ELECTION, CODE.upToDate, 'return message.lastIndex >= state.log.last;'),
  ),
  mutant(
    'raft-up-to-date-by-term',
    'Up to date is judged by the last term alone.',
    ['raft/up-to-date-log', 'raft/leader-completeness'],
    scenario('raft/constrained-election'),
    edit(ELECTION, CODE.upToDate, 'return message.lastTerm >= own;'),
  ),
  mutant(
    'raft-vote-not-stored',
    'The vote is not written with the term: a restart forgets it.',
    ['raft/one-vote-per-term', 'raft/one-leader-per-term'],
    scenario('raft/vote-restart-amnesia'),
    edit(DRAFT, CODE.hard, 'return { term, vote: null, commit };'),
  ),
  mutant(
    'raft-term-not-stored',
    'The term is not kept: a restart goes back to that of the last entry.',
    ['raft/term-never-falls', 'raft/one-leader-per-term'],
    scenario('raft/vote-restart-amnesia'),
    edit('raft/step.ts', 'const term = hard?.term ?? 0;', 'const term = lastTerm(log);'),
  ),
  mutant(
    'raft-vote-before-durable',
    'A vote is told before it is durable.',
    ['durability/send-after-sync', 'raft/one-leader-per-term'],
    scope('raft n3 T1'),
    edit(ELECTION, 'granted ? draft.state.hardSeq : 0', '0'),
  ),
  mutant(
    'raft-request-before-durable',
    'A candidate asks for votes before its own term and vote are durable.',
    ['durability/send-after-sync'],
    scope('raft n2 E1 each'),
    edit(ELECTION, "draft.send(id, request, hardSeq, 'control');", "draft.send(id, request, 0, 'control');"),
  ),
  mutant(
    'raft-own-vote-before-durable',
    'A candidate’s own vote counts before it is durable.',
    ['durability/own-vote-after-sync', 'raft/one-leader-per-term'],
    scenario('raft/own-vote-first'),
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
  ),
  mutant(
    'raft-first-append-before-durable',
    'A leader elected by the votes of others sends appends before its own vote is durable.',
    [],
    equivalent(
      'Alone, that is: requests for votes leave when term and vote are durable (`raft-request-before-durable` takes that away), and a candidate ' +
        'of two or more leads only by answers to them, so whatever it sends as leader leaves later than that. What is ' +
        'left to see is the order of two reports of one disk.',
    ),
    edit(DRAFT, 'this.send(peer.id, message, this.state.hardSeq, lane);', 'this.send(peer.id, message, 0, lane);'),
  ),
  mutant(
    'raft-two-votes',
    'A replica votes more than once in a term.',
    ['raft/one-vote-per-term', 'raft/one-leader-per-term'],
    scenario('raft/vote-restart-amnesia'),
    edit(ELECTION, 'const free = state.vote === null || state.vote === from;', 'const free = true;'),
    edit(DRAFT, "assert(vote === null || vote === candidate, 'raft/one-vote-per-term: one vote a term');", ''),
  ),
  mutant(
    'raft-append-clears-vote',
    'An append of the current term clears the vote.',
    ['raft/one-vote-per-term', 'raft/one-leader-per-term'],
    scope('raft n3 E1 R1'),
    edit(
      DRAFT,
      "if (role.kind === 'follower' && role.leader === leader) resetElectionTimer(this);",
      `if (this.state.vote !== null) this.edit().vote = null;
    if (role.kind === 'follower' && role.leader === leader) resetElectionTimer(this);`,
    ),
  ),
  mutant(
    'raft-old-vote-counts',
    'Votes of an older term count.',
    ['raft/one-leader-per-term', 'raft/stale-term-is-ignored'],
    scenario('raft/delayed-vote-response'),
    edit(ELECTION, 'if (!message.granted || message.term !== state.term || ', 'if (!message.granted || '),
  ),
  mutant(
    'raft-vote-counts-twice',
    'A peer’s vote that arrives twice counts twice: it takes five members to tell.',
    ['raft/votes-are-a-set', 'raft/one-leader-per-term'],
    scenario('raft/dup-vote-n5'),
    edit(
      ELECTION,
      'if (votes.includes(voter)) return;',
      'if (voter === draft.state.options.id && votes.includes(voter)) return;',
    ),
  ),
  mutant(
    'raft-majority-less-one',
    'A majority is one too few.',
    ['raft/leader-by-majority', 'log/committed-on-majority', 'raft/one-leader-per-term'],
    scope('raft n3 T1'),
    edit('core/quorum.ts', 'Math.floor(members / 2) + 1', 'Math.max(1, Math.floor(members / 2))'),
  ),
  mutant(
    'raft-half-is-majority',
    'Half of the members are a majority: only even clusters tell.',
    ['raft/leader-by-majority', 'log/committed-on-majority', 'raft/one-leader-per-term'],
    scenario('raft/even-split-n4'),
    edit('core/quorum.ts', 'Math.floor(members / 2) + 1', 'Math.ceil(members / 2)'),
  ),
  mutant(
    'raft-vote-outlives-term',
    'The vote stays when a newer term begins.',
    ['liveness/leader-found'],
    scenario('raft/delayed-vote-response'),
    edit(DRAFT, 'next.vote = null;\n    this.persistHard();', 'this.persistHard();'),
    edit(DRAFT, "assert(vote === null || vote === candidate, 'raft/one-vote-per-term: one vote a term');", ''),
  ),
  mutant(
    'raft-no-check-quorum',
    'A leader that no majority answers leads on (no CheckQuorum).',
    ['leadership/ends-without-quorum', 'liveness/every-call-ends'],
    scenario('raft/deaf-leader'),
    edit(
      ELECTION,
      "if (draft.state.role.kind === 'leader') draft.follow(null);",
      `const { electionTimer } = draft.state;
  const deadline = draft.now + electionTimer.timeout;
  if (draft.state.role.kind === 'leader') draft.setElectionTimer({ ...electionTimer, deadline, forgiven: false });`,
    ),
  ),
  mutant(
    'raft-candidate-votes-for-another',
    'A candidate or leader votes for another that asks in its own term.',
    [],
    equivalent(
      'A candidate or leader of the current term has voted for itself in that term (`becomeCandidate` votes, a leader ' +
        'was a candidate), so `free` asks for a request in its own name; and `step` hears only other members.',
    ),
    edit(ELECTION, CODE.granted, 'const granted = current && free && isUpToDate(state, message);'),
  ),
];

export const replication: readonly Mutant[] = [
  mutant(
    'raft-commit-old-term',
    'Entries of an earlier term are committed by counting (Figure 8).',
    ['raft/commit-own-term', 'raft/leader-completeness'],
    scenario('raft/fig8-prev-term-commit'),
    edit(REPLICATION, 'if (index <= commit || termAt(log, index) !== term) return;', 'if (index <= commit) return;'),
  ),
  mutant(
    'raft-ack-before-durable',
    'An append is acknowledged before it is durable.',
    ['durability/send-after-sync', 'log/committed-on-majority'],
    scope('raft n3 E1 R1'),
    edit(
      REPLICATION,
      "draft.send(from, accepted, draft.seqFor(1, match), 'control');",
      "draft.send(from, accepted, 0, 'control');",
    ),
  ),
  mutant(
    'raft-repeated-ack-before-durable',
    'A duplicate append is acknowledged at once, though the first copy is still on its way to disk.',
    ['durability/send-after-sync', 'log/committed-on-majority'],
    scenario('raft/even-split-n4'),
    edit(
      REPLICATION,
      '  appendNew(draft, prevIndex + known, ',
      '  const old = draft.state.log;\n  appendNew(draft, prevIndex + known, ',
    ),
    edit(
      REPLICATION,
      "accepted, draft.seqFor(1, match), 'control'",
      "accepted, draft.state.log === old ? 0 : draft.seqFor(1, match), 'control'",
    ),
  ),
  mutant(
    'raft-leader-counts-before-durable',
    'A leader counts its own entries before they are durable.',
    ['durability/own-vote-after-sync', 'log/committed-on-majority'],
    scenario('raft/slow-leader-disk'),
    edit(REPLICATION, 'const reached: Index[] = [draft.durable];', 'const reached: Index[] = [log.last];'),
  ),
  mutant(
    'raft-prev-term-ignored',
    'The term before the entries is not compared.',
    ['raft/append-after-match', 'raft/log-matching'],
    scenario('raft/conflict-suffix-n5'),
    edit(
      REPLICATION,
      'prevIndex < base || termAt(draft.state.log, prevIndex) === prevTerm;',
      'prevIndex < base || termAt(draft.state.log, prevIndex) !== undefined;',
    ),
  ),
  mutant(
    'raft-suffix-stays',
    'What conflicts is overwritten entry by entry, and the suffix behind it stays.',
    ['raft/cut-at-conflict-only', 'raft/log-matching', 'raft/terms-rise-in-log'],
    scenario('raft/conflict-suffix-n5'),
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
  ),
  mutant(
    'raft-late-append-cuts',
    'An append that agrees cuts off what lies behind its entries: a late one erases what was acknowledged.',
    ['raft/cut-at-conflict-only', 'log/committed-on-majority'],
    scenario('raft/reordered-AE-truncation'),
    edit(
      REPLICATION,
      'if (known === entries.length) return;',
      `if (known === entries.length) {
    const end = Math.max(prev + known, commit);
    if (known > 0 && end < log.last) draft.truncate(end + 1);
    return;
  }`,
    ),
  ),
  mutant(
    'raft-commit-beyond-match',
    'A follower commits up to the leader’s commit index as far as its own log reaches, matched or not.',
    ['raft/commit-what-matched', 'log/one-value-per-index'],
    scenario('raft/empty-heartbeat-commit-cap'),
    edit(
      REPLICATION,
      'followCommit(draft, message.commit); // rule 5',
      'draft.commitTo(Math.min(message.commit, draft.state.log.last));',
    ),
  ),
  mutant(
    'raft-read-commits-beyond-match',
    'So does one that learns the commit index with the answer to a read.',
    ['raft/commit-what-matched', 'log/one-value-per-index'],
    scenario('raft/empty-heartbeat-commit-cap'),
    edit(
      READS,
      'followCommit(draft, message.commit);',
      'draft.commitTo(Math.min(message.commit, draft.state.log.last));',
    ),
  ),
  mutant(
    'raft-ack-own-length',
    'An acknowledgement reports the follower’s own last index, not what the append matched.',
    ['raft/ack-covers-what-was-sent', 'raft/match-is-durable', 'raft/leader-completeness'],
    scenario('raft/empty-heartbeat-commit-cap'),
    edit(
      REPLICATION,
      CODE.accepted,
      `const own = draft.state.log.last;
  const accepted: AppendAccepted = { kind: 'appendAccepted', term, viewId, match: own, wall };
  draft.send(from, accepted, draft.seqFor(1, own), 'control');`,
    ),
    edit(REPLICATION, CODE.match, 'const match = Math.min(message.match, draft.state.log.last);'),
  ),
  mutant(
    'raft-old-ack-counts',
    'Acknowledgements of an older term of the same leader count.',
    ['raft/answers-name-the-view', 'raft/match-is-durable', 'log/committed-on-majority'],
    scenario('raft/stale-ack-two-terms-n5'),
    edit(
      REPLICATION,
      CODE.acceptedDoor,
      `export function onAppendAccepted(draft: RaftDraft, from: ReplicaId, message: AppendAccepted): void {
  const peer = progressOf(draft, from);
  if (peer === undefined) return;
  const { match } = message;
  if (match > draft.state.log.last) return;`,
    ),
  ),
  mutant(
    'raft-old-append-adopted',
    'Appends of an older term are adopted.',
    ['raft/stale-term-is-ignored', 'raft/leader-completeness'],
    scenario('raft/cloudflare-switch'),
    edit(
      REPLICATION,
      'draft.hearLeader(from);\n  noteLeaderCommit',
      'if (message.term === state.term) draft.hearLeader(from);\n  noteLeaderCommit',
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
  ),
  mutant(
    'raft-next-never-backs-up',
    'A leader whose append was rejected never goes back: nextIndex stays.',
    ['liveness/all-become-equal'],
    scenario('raft/slow-leader-disk'),
    edit(REPLICATION, 'if (!expected || message.prevIndex <= now.match) return; // stale', 'return;'),
  ),
  mutant(
    'raft-loaded-terms-unchecked',
    'A load goes on above what is durable, and is believed whatever its terms: a truncate may be on its way to the disk.',
    ['log/one-value-per-index'],
    scenario('raft/load-before-truncate'),
    edit('core/delivery.ts', 'Math.min(commit, log.tailFrom - 1), room', 'commit, limits.loadBytes'),
    edit(
      CORE_DRAFT,
      'evict(log, Math.min(this.durable, this.commitIndex), spentOf(this.current, this.now)',
      'evict(log, this.durable, this.durable',
    ),
    edit(
      'core/log.ts',
      'if (index !== first + count || termAt(log, index) !== term) break;',
      'if (index !== first + count) break;',
    ),
  ),
  mutant(
    'raft-match-may-fall',
    'An acknowledgement may lower what is known to match.',
    [],
    equivalent(
      '`acknowledged` is called with a match above the known one, or while probing with `next - 1`, which is never ' +
        'below it (`match < next` is checked by checkState): the maximum is always the new one.',
    ),
    edit(REPLICATION, 'match: Math.max(peer.match, match),', 'match,'),
  ),
];

export const reads: readonly Mutant[] = [
  mutant(
    'raft-read-without-round',
    'A read is served without a round of the quorum.',
    ['reads/confirmed-by-majority', 'reads/no-stale-read'],
    scenario('raft/pause-leader-read-a'),
    edit('core/reads.ts', CODE.confirmed, 'begun.readRound'),
  ),
  mutant(
    'raft-read-before-own-term',
    'A read is served before an entry of the leader’s own term is committed.',
    ['reads/own-term-first', 'reads/no-stale-read'],
    scenario('raft/readindex-before-own-term'),
    edit(READS, 'return commit >= draft.leaderRole.noopIndex ? commit : null;', 'return commit;'),
  ),
  mutant(
    'raft-read-joins-begun-round',
    'A read joins a round that had begun before it arrived (etcd#20418: the id of a round is used again).',
    ['reads/no-late-joiner', 'reads/no-stale-read'],
    scenario('raft/pause-leader-read-a'),
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
    'raft-old-confirmation-counts',
    'Confirmations of an earlier leadership of the same leader complete a round of this one.',
    ['raft/answers-name-the-view', 'reads/no-stale-read'],
    scenario('raft/pause-leader-read-b'),
    edit(
      READS,
      'if (peer === undefined || message.term !== draft.state.term || message.viewId !== peer.viewId) return;',
      'if (peer === undefined) return;',
    ),
  ),
  mutant(
    'raft-confirms-rounds-to-come',
    'A follower’s confirmation is taken for all rounds to come, not for the one it echoes.',
    ['reads/rounds-in-order', 'reads/no-stale-read'],
    scenario('raft/readindex-before-own-term'),
    edit(
      READS,
      'draft.changeProgress(peer, { readRound: message.readRound });',
      'draft.changeProgress(peer, { readRound: Infinity });',
    ),
  ),
];

export const raftMutants: readonly Mutant[] = [...elections, ...replication, ...reads];
