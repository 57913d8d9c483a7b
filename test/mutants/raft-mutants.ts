/** Raft's mutants: m1 to m16 and m21 to m26 of reliability-anchors 4.5, and what their neighbourhood suggests. */

import { edit, type Mutant } from './mutant.js';

const CODE = {
  granted: "const granted = current && free && state.role.kind === 'follower' && isUpToDate(state, message);",
  upToDate: 'return message.lastTerm > own || (message.lastTerm === own && message.lastIndex >= state.log.last);',
  hard: 'return { term, vote, commit };',
  match: `const { match } = message;
  if (match > draft.state.log.last) throw new InvariantViolation('an acknowledgement covers what was sent', { match });`,
  acceptedDoor: `export function onAppendAccepted(draft: RaftDraft, from: ReplicaId, message: AppendAccepted): void {
  const peer = progressOf(draft, from);
  if (peer === undefined || message.term !== draft.state.term || message.viewId !== peer.viewId) return;
  const { match } = message;
  if (match > draft.state.log.last) throw new InvariantViolation('an acknowledgement covers what was sent', { match });`,
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
    name: 'm1',
    about: 'A vote does not ask whether the candidate’s log is up to date (§5.4.1).',
    breaks: 'R3',
    killedBy: { kind: 'scenario', file: 'raft/chained-partition' },
    edits: [edit(ELECTION, CODE.granted, "const granted = current && free && state.role.kind === 'follower';")],
  },
  {
    name: 'm2',
    about: 'Up to date is judged by the length of the log alone.',
    breaks: 'R3',
    killedBy: { kind: 'scenario', file: 'raft/conflict-suffix-n5' },
    edits: [edit(ELECTION, CODE.upToDate, 'return message.lastIndex >= state.log.last;')],
  },
  {
    name: 'm3',
    about: 'Up to date is judged by the last term alone.',
    breaks: 'R3',
    killedBy: { kind: 'scenario', file: 'raft/constrained-election' },
    edits: [edit(ELECTION, CODE.upToDate, 'return message.lastTerm >= own;')],
  },
  {
    name: 'm5',
    about: 'The vote is not written with the term: a restart forgets it.',
    breaks: 'R1, R9',
    killedBy: { kind: 'scenario', file: 'raft/vote-restart-amnesia' },
    edits: [edit(DRAFT, CODE.hard, 'return { term, vote: null, commit };')],
  },
  {
    name: 'm6',
    about: 'The term is not kept: a restart goes back to that of the last entry.',
    breaks: 'R1, R8',
    killedBy: { kind: 'scenario', file: 'raft/vote-restart-amnesia' },
    edits: [edit('raft/step.ts', 'const term = hard?.term ?? 0;', 'const term = lastTerm(log);')],
  },
  {
    name: 'm7c',
    about: 'A vote is told before it is durable.',
    breaks: 'R1, R17',
    killedBy: { kind: 'check', scope: 'raft n3 T1' },
    edits: [edit(ELECTION, 'granted ? draft.state.hardSeq : 0', '0')],
  },
  {
    name: 'm7d',
    about: 'A candidate asks for votes before its own term and vote are durable.',
    breaks: 'R17',
    killedBy: { kind: 'check', scope: 'raft n2 E1 each' },
    edits: [edit(ELECTION, "draft.send(id, request, hardSeq, 'control');", "draft.send(id, request, 0, 'control');")],
  },
  {
    name: 'm7e',
    about: 'A candidate’s own vote counts before it is durable (bug 16).',
    breaks: 'R1, R17',
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
    name: 'm7f',
    about: 'A leader elected by the votes of others sends appends before its own vote is durable.',
    breaks: 'nothing',
    edits: [edit(DRAFT, 'this.send(peer, message, this.state.hardSeq, lane);', 'this.send(peer, message, 0, lane);')],
    equivalent:
      'Alone, that is: requests for votes leave when term and vote are durable (m7d takes that away), and a candidate ' +
      'of two or more leads only by answers to them, so whatever it sends as leader leaves later than that. What is ' +
      'left to see is the order of two reports of one disk.',
  },
  {
    name: 'm9',
    about: 'A replica votes more than once in a term.',
    breaks: 'R1, R9',
    killedBy: { kind: 'scenario', file: 'raft/vote-restart-amnesia' },
    edits: [
      edit(ELECTION, 'const free = state.vote === null || state.vote === from;', 'const free = true;'),
      edit(DRAFT, "assert(vote === null || vote === candidate, 'one vote a term');", ''),
    ],
  },
  {
    name: 'm10',
    about: 'An append of the current term clears the vote.',
    breaks: 'R1, R9',
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
    name: 'm11',
    about: 'Votes of an older term count.',
    breaks: 'R1',
    killedBy: { kind: 'scenario', file: 'raft/delayed-vote-response' },
    edits: [edit(ELECTION, 'if (!message.granted || message.term !== state.term || ', 'if (!message.granted || ')],
  },
  {
    name: 'm12',
    about: 'A peer’s vote that arrives twice counts twice: it takes five members to tell.',
    breaks: 'R1',
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
    name: 'm13',
    about: 'A majority is one too few.',
    breaks: 'R1, R6',
    killedBy: { kind: 'check', scope: 'raft n3 T1' },
    edits: [edit('core/quorum.ts', 'Math.floor(members / 2) + 1', 'Math.max(1, Math.floor(members / 2))')],
  },
  {
    name: 'm13b',
    about: 'Half of the members are a majority: only even clusters tell.',
    breaks: 'R1, R6',
    killedBy: { kind: 'scenario', file: 'raft/even-split-n4' },
    edits: [edit('core/quorum.ts', 'Math.floor(members / 2) + 1', 'Math.ceil(members / 2)')],
  },
  {
    name: 'm32a',
    about: 'The vote stays when a newer term begins.',
    breaks: 'L1',
    killedBy: { kind: 'scenario', file: 'raft/delayed-vote-response' },
    edits: [
      edit(DRAFT, 'next.vote = null;\n    this.persistHard();', 'this.persistHard();'),
      edit(DRAFT, "assert(vote === null || vote === candidate, 'one vote a term');", ''),
    ],
  },
  {
    name: 'm32b',
    about: 'A leader that no majority answers leads on (no CheckQuorum).',
    breaks: 'L5',
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
    name: 'm33',
    about: 'A candidate or leader votes for another that asks in its own term.',
    breaks: 'nothing',
    edits: [edit(ELECTION, CODE.granted, 'const granted = current && free && isUpToDate(state, message);')],
    equivalent:
      'A candidate or leader of the current term has voted for itself in that term (`becomeCandidate` votes, a leader ' +
      'was a candidate), so `free` asks for a request in its own name; and `step` hears only other members.',
  },
];

export const replication: readonly Mutant[] = [
  {
    name: 'm4',
    about: 'Entries of an earlier term are committed by counting (Figure 8).',
    breaks: 'R3, R15',
    killedBy: { kind: 'scenario', file: 'raft/fig8-prev-term-commit' },
    edits: [
      edit(REPLICATION, 'if (index <= commit || termAt(log, index) !== term) return;', 'if (index <= commit) return;'),
    ],
  },
  {
    name: 'm7',
    about: 'An append is acknowledged before it is durable.',
    breaks: 'R6, R17',
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
    name: 'm7a',
    about: 'A duplicate append is acknowledged at once, though the first copy is still on its way to disk.',
    breaks: 'R6, R17',
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
    name: 'm7b',
    about: 'A leader counts its own entries before they are durable.',
    breaks: 'R6',
    killedBy: { kind: 'scenario', file: 'raft/slow-leader-disk' },
    edits: [edit(REPLICATION, 'const reached: Index[] = [draft.durable];', 'const reached: Index[] = [log.last];')],
  },
  {
    name: 'm14',
    about: 'The term before the entries is not compared.',
    breaks: 'R2',
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
    name: 'm15',
    about: 'What conflicts is overwritten entry by entry, and the suffix behind it stays.',
    breaks: 'R2, R12',
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
    name: 'm16',
    about: 'An append that agrees cuts off what lies behind its entries: a late one erases what was acknowledged.',
    breaks: 'R6',
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
    name: 'm21',
    about: 'A follower commits up to the leader’s commit index as far as its own log reaches, matched or not.',
    breaks: 'R4',
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
    name: 'm21b',
    about: 'So does one that learns the commit index with the answer to a read.',
    breaks: 'R4',
    killedBy: { kind: 'scenario', file: 'raft/empty-heartbeat-commit-cap' },
    edits: [edit(READS, 'Math.min(message.commit, role.matched)', 'Math.min(message.commit, draft.state.log.last)')],
  },
  {
    name: 'm22',
    about: 'An acknowledgement reports the follower’s own last index, not what the append matched.',
    breaks: 'R3',
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
    name: 'm23',
    about: 'Acknowledgements of an older term of the same leader count.',
    breaks: 'R6, R13',
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
    name: 'm24',
    about: 'Appends of an older term are adopted.',
    breaks: 'R3',
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
    name: 'm32c',
    about: 'A leader whose append was rejected never goes back: nextIndex stays.',
    breaks: 'L3',
    killedBy: { kind: 'scenario', file: 'raft/slow-leader-disk' },
    edits: [edit(REPLICATION, 'if (!expected || message.prevIndex <= now.match) return; // stale', 'return;')],
  },
  {
    name: 'm35',
    about: 'Loaded entries are believed whatever their terms: the storage may have read before a truncate on its way.',
    breaks: 'R4',
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
    name: 'm34',
    about: 'An acknowledgement may lower what is known to match.',
    breaks: 'nothing',
    edits: [edit(REPLICATION, 'match: Math.max(peer.match, match),', 'match,')],
    equivalent:
      '`acknowledged` is called with a match above the known one, or while probing with `next - 1`, which is never ' +
      'below it (`match < next` is checked by checkState): the maximum is always the new one.',
  },
];

export const reads: readonly Mutant[] = [
  {
    name: 'm25',
    about: 'A read is served without a round of the quorum.',
    breaks: 'H1',
    killedBy: { kind: 'scenario', file: 'raft/pause-leader-read-a' },
    edits: [edit('core/reads.ts', CODE.confirmed, 'confirmReadRound(queue, queue.readRound)')],
  },
  {
    name: 'm25b',
    about: 'A read is served before an entry of the leader’s own term is committed.',
    breaks: 'H1',
    killedBy: { kind: 'scenario', file: 'raft/readindex-before-own-term' },
    edits: [edit(READS, 'return commit >= leading(draft).noopIndex ? commit : null;', 'return commit;')],
  },
  {
    name: 'm26',
    about: 'A read joins a round that had begun before it arrived (etcd#20418: the id of a round is used again).',
    breaks: 'H1',
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
    name: 'm26b',
    about: 'Confirmations of an earlier leadership of the same leader complete a round of this one.',
    breaks: 'H1',
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
    name: 'm26c',
    about: 'A follower’s confirmation is taken for all rounds to come, not for the one it echoes.',
    breaks: 'H1',
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
