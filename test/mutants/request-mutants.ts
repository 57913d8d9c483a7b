/** The mutants of a request's way: forwards and their answers, commit notices, windows, and the rounds of reads. */

import { edit, mutant, scenario, script, type Mutant } from './mutant.js';

const ATTEMPTS = 'core/attempts.ts';
const ENDING = 'core/ending.ts';
const NOTICES = 'core/notices.ts';
const PROPOSALS = 'core/proposals.ts';
const READS = 'core/reads.ts';
const SENDING = 'raft/sending.ts';
const WINDOW = 'replica/driver/leader-window.ts';

const OF_THIS_TERM = "draft.state.role.kind === 'leader' && draft.termOf(draft.state) === term";
const JUDGED = '(met !== undefined && sameId(met, own) ? this.committed : this.superseded).push(request)';
const ENDS_UNANSWERED = 'draft.endAttempts(endUnanswered(attempts, peer));';

export const forwards: readonly Mutant[] = [
  mutant(
    'raft-forward-of-another-term',
    'A leader accepts a forward that was made for its leadership of an earlier term (Raft).',
    ['requests/forward-names-its-term'],
    scenario('raft/forward-of-another-term'),
    edit('core/leadership.ts', OF_THIS_TERM, "draft.state.role.kind === 'leader'"),
  ),
  mutant(
    'paxos-forward-of-another-ballot',
    'A leader accepts a forward that was made for its leadership in an earlier ballot (Multi-Paxos).',
    ['requests/forward-names-its-term'],
    scenario('multipaxos/forward-of-another-ballot'),
    edit('core/leadership.ts', OF_THIS_TERM, "draft.state.role.kind === 'leader'"),
  ),
  mutant(
    'refused-wait-out-the-pause',
    'What a leader refused its own callers waits for a timer, though there is room.',
    ['requests/room-by-evidence'],
    script('multipaxos: refused are taken'),
    edit('replica/driver/calls.ts', 'return this.committed();', 'return;'),
  ),
  mutant(
    'full-takes-no-reads',
    'A replica whose leader refused a command since its storage is full asks for no reads for a while, too.',
    ['requests/full-takes-nothing'],
    script('fullLeaderReads'),
    edit('replica/driver/calls.ts', "this.pause('fullUntil', 'fullPause')", "this.pause('pausedUntil', 'pause')"),
  ),
  mutant(
    'reads-shorten-the-full-pause',
    'Reads that are served make a replica try the commands again, which its leader refused for want of space.',
    ['requests/full-takes-nothing'],
    script('fullLeaderReads'),
    edit('replica/driver/outbound.ts', 'draft.calls.goOn(true);', 'draft.calls.goOn();'),
  ),
  mutant(
    'forward-not-answered',
    'A leader that has taken a forward into its log does not say so.',
    ['requests/answered-at-once'],
    scenario('raft/forward-window'),
    edit(PROPOSALS, "draft.send(from, { kind: 'forwardAccepted', term, number, places }, 0, 'control');", ''),
  ),
  mutant(
    'place-judged-by-index',
    'Whatever is chosen at the place of a command counts as that command.',
    ['requests/places-judged-by-id'],
    scenario('multipaxos/place-taken'),
    edit(ATTEMPTS, JUDGED, '(met !== undefined ? this.committed : this.superseded).push(request)'),
  ),
  mutant(
    'refused-is-none',
    'A refused forward ends as without effect, though another copy of it may be under way.',
    ['requests/none-is-kept'],
    scenario('raft/refused-copy'),
    edit(
      PROPOSALS,
      "endForward(draft, number, 'unknown', reason, leader);",
      "endForward(draft, number, 'none', reason, leader);",
    ),
  ),
  mutant(
    'unsent-is-unknown',
    'A forward that never left ends as if it might still take effect.',
    ['requests/unsent-is-none'],
    script('core: unsent forward'),
    edit(PROPOSALS, "endForward(draft, number, 'none', 'unsent'", "endForward(draft, number, 'unknown', 'unsent'"),
  ),
  mutant(
    'raft-lost-connection-ignored',
    'The connection to the leader is lost, and what waits for its answer goes on waiting (Raft).',
    ['requests/evidence-before-time'],
    scenario('raft/lost-connection'),
    edit(ENDING, ENDS_UNANSWERED, ''),
  ),
  mutant(
    'paxos-lost-connection-ignored',
    'The connection to the leader is lost, and a forwarded read goes on waiting (Multi-Paxos).',
    ['requests/evidence-before-time'],
    scenario('multipaxos/lost-connection'),
    edit(ENDING, "endReads(draft, itemsOf(reads), 'disconnected', peer);", ''),
  ),
  mutant(
    'any-lost-connection-counts',
    'The connection to any peer is lost, and what waits for the leader’s answer is sent again.',
    ['requests/evidence-before-time'],
    scenario('raft/lost-connection'),
    edit(
      ENDING,
      "if (role.kind !== 'follower' || role.leader !== peer) return;",
      "if (role.kind !== 'follower') return;",
    ),
  ),
  mutant(
    'driver-no-window',
    'The driver forwards whatever comes, answered or not.',
    ['requests/window-to-the-leader'],
    scenario('raft/forward-window'),
    edit(
      WINDOW,
      'unansweredBytes < WINDOW_BYTES && unansweredGroups < inflightMessages',
      'unansweredBytes < WINDOW_BYTES',
    ),
  ),
  mutant(
    'driver-window-until-committed',
    'The leader’s answer does not free the window: it stays shut until the commands are committed.',
    ['requests/window-to-the-leader'],
    scenario('raft/forward-window'),
    edit(WINDOW, 'replaced(window, group, group.open, 0)', 'window'),
  ),
];

export const notices: readonly Mutant[] = [
  mutant(
    'commit-not-told',
    'A commit is told by heartbeats and appends alone.',
    ['replication/commit-told-once'],
    scenario('raft/commit-notice'),
    edit(NOTICES, 'rules.tell(draft, id, due);', ''),
  ),
  mutant(
    'commit-told-again',
    'A commit is told at the end of every step, however often.',
    ['replication/commit-told-once'],
    scenario('raft/commit-notice'),
    edit(NOTICES, 'draft.noteTold(id, due);', ''),
  ),
  mutant(
    'commit-told-ahead',
    'A commit is told before the peer is known to hold the entry, and counts as told.',
    ['replication/commit-told-once'],
    scenario('raft/commit-notice'),
    edit(NOTICES, 'const due = Math.min(commit, rules.held(draft, at));', 'const due = commit;'),
  ),
  mutant(
    'forwarder-waits-for-its-turn',
    'Who forwarded a command is told no earlier than others, when nothing else is under way to it.',
    ['replication/commit-told-once'],
    scenario('raft/commit-notice'),
    edit(NOTICES, '((forwarded[at] as Index) <= known && rules.isBusy(draft, at))', 'rules.isBusy(draft, at)'),
  ),
  mutant(
    'raft-notice-beyond-match',
    'A follower believes a commit notice whatever is known of its own log.',
    ['raft/commit-what-matched'],
    scenario('raft/notice-beyond-match'),
    edit(
      'raft/replication.ts',
      'followCommit(draft, commit);',
      'draft.commitTo(Math.min(commit, draft.state.log.last));',
    ),
  ),
];

export const windows: readonly Mutant[] = [
  mutant(
    'raft-silent-is-lost',
    'What is under way counts as lost when nothing was acknowledged for as long as one exchange may take.',
    ['replication/window-kept'],
    script('traffic: raft'),
    edit(SENDING, 'if (isSilent) ask(draft, peer);', 'if (isSilent) draft.setProgress(probed(peer, draft.state));'),
  ),
  mutant(
    'raft-silence-borne',
    'A leader never asks whether what is under way has come.',
    ['replication/window-kept', 'liveness/all-become-equal'],
    scenario('raft/window-kept'),
    edit(SENDING, 'if (isSilent) ask(draft, peer);', ''),
  ),
  mutant(
    'raft-old-refusals-count',
    'A heartbeat that passes the probe ends the probing, and each late refusal sends everything again.',
    ['replication/window-kept'],
    script('traffic: raft'),
    edit(
      'raft/replication.ts',
      'peer.probing && match === peer.next - 1 && done < peer.inflight.length',
      'peer.probing && match < 0',
    ),
    edit('raft/replication.ts', 'match === peer.next - 1 && !isStreaming(peer);', 'match === peer.next - 1;'),
  ),
  mutant(
    'raft-large-by-control',
    'A large entry follows small ones by the lane of the heartbeats.',
    ['replication/one-lane'],
    script('core: large behind small'),
    edit(SENDING, "return isLarge && peer.lane === 'control' ? null : peer.lane;", 'return peer.lane;'),
  ),
  mutant(
    'forward-patience-by-time',
    'The answer to a forward is waited for as long as one exchange may take, however large it is.',
    ['requests/patience'],
    script('traffic: forwards'),
    edit(
      'core/patience.ts',
      'return patience + patienceFor(options.timing, ahead + bytes) - leastPatience(options.timing);',
      'return ahead < 0 ? leastPatience(options.timing) : patience;',
    ),
  ),
  mutant(
    'raft-lane-by-size',
    'Each append takes the lane of its size: a small one overtakes a large one, and is refused.',
    ['replication/one-lane'],
    script('core: mixed appends'),
    edit(
      SENDING,
      "if (!isStreaming(peer)) return isLarge || (peer.probing && peer.lane === 'bulk') ? 'bulk' : free;",
      "if (free !== 'bulk') return isLarge ? 'bulk' : free;",
    ),
  ),
];

export const rounds: readonly Mutant[] = [
  mutant(
    'raft-aborted-round-goes-on',
    'A round whose readers have all gone is waited for all the same, and those behind it wait (Raft).',
    ['reads/next-round-begins'],
    scenario('raft/aborted-read'),
    edit(READS, 'begun: isEmpty(begun.reads) ? null : begun', 'begun'),
  ),
  mutant(
    'paxos-aborted-round-goes-on',
    'A round whose readers have all gone is waited for all the same, and those behind it wait (Multi-Paxos).',
    ['reads/next-round-begins'],
    scenario('multipaxos/aborted-read'),
    edit(READS, 'begun: isEmpty(begun.reads) ? null : begun', 'begun'),
  ),
];

export const requestMutants: readonly Mutant[] = [...forwards, ...notices, ...windows, ...rounds];
