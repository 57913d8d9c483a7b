/** Mutants of snapshots: when one is named, kept and restored (contract, "The persist lane"). */

import { edit, hostRun, mutant, scenario, scope, script, schedule, type Mutant } from './mutant.js';

const SNAPSHOTS = 'replica/driver/snapshots.ts';
const COMPACTIONS = 'replica/driver/compactions.ts';
const PULLING = 'replica/driver/pulling.ts';
const PULL_STATE = 'replica/driver/pull-state.ts';
const WINDOW = 'replica/driver/pull-window.ts';
const SOURCES = 'replica/driver/snapshot-sources.ts';
const FILES = 'replica/host/snapshot-files.ts';
const APPLY = 'replica/driver/apply.ts';
const DRIVER = 'replica/driver/driver.ts';

export const snapshots: readonly Mutant[] = [
  mutant(
    'snapshot-named-before-it-is-there',
    'A snapshot is named when it is begun.',
    ['snapshots/named-in-the-lane'],
    schedule('multipaxos', 8),
    edit(
      SNAPSHOTS,
      "draft.effect({ kind: 'takeSnapshot', file, index, term, part, needed });",
      "draft.effect({ kind: 'takeSnapshot', file, index, term, part, needed });\n" +
        '    const early = { file, index, term, time, checksum: 0, bytes: 0 };\n' +
        '    draft.lane.set(SNAPSHOTS_KEY, encodeSnapshots({ named: [early], base: noBase }));',
    ),
  ),
  mutant(
    'snapshot-removed-too-early',
    'A file goes before the list of names without it is durable.',
    ['snapshots/named-in-the-lane'],
    schedule('raft', 4),
    edit(SNAPSHOTS, '.writeId <= durableWriteId; at++', '.writeId <= Infinity; at++'),
  ),
  mutant(
    'snapshot-trims-above',
    'The log is trimmed up to the newest snapshot, though the older one may have to be restored.',
    ['snapshots/trim-below-snapshot'],
    schedule('raft', 4),
    edit(
      SNAPSHOTS,
      'Math.min(most, sources.kept(this.newest.named[0]?.index ?? 0, snapshot));',
      'Math.min(most, sources.kept(snapshot.index, snapshot));',
    ),
  ),
  mutant(
    'compact-answers-early',
    'A call of `compact` is answered by a snapshot that was there before, whatever was applied since.',
    ['snapshots/compact-holds-the-applied'],
    hostRun('raft', 0),
    edit(
      COMPACTIONS,
      'pending.filter(({ least }) => least <= index), pending',
      'pending.filter(() => index > 0), pending',
    ),
  ),
  mutant(
    'compact-forgets-a-failure',
    'Who waits for a snapshot that fails is not told, and another one is taken for it, again and again.',
    ['snapshots/compact-holds-the-applied'],
    script('compactionFails'),
    edit(SNAPSHOTS, 'draft.compactions.failed(taking.index, reason, cause);', ''),
  ),
  mutant(
    'pull-resumed-on-another',
    'A pull goes on with the bytes of another snapshot of the same index.',
    ['snapshots/resumed-on-the-same'],
    script('pull: on the same'),
    edit(
      'replica/driver/pull-state.ts',
      'const asked = offer ?? partial;',
      'const asked = partial === null ? offer : null;',
    ),
  ),
  mutant(
    'pull-blames-the-source',
    'A source is given up for damage in what the puller had stored before.',
    ['snapshots/resumed-on-the-same'],
    script('pull: blames itself'),
    edit(PULLING, 'pull.from > 0 ? pull.tried', 'pull.from < 0 ? pull.tried'),
  ),
  mutant(
    'pull-floods-a-slow-link',
    'The window of a pull grows however late answers come.',
    ['snapshots/pull-by-evidence'],
    script('pull: little'),
    edit(WINDOW, 'if (took <= bounds.patience / 2)', 'if (took < Infinity)'),
  ),
  mutant(
    'pull-window-stays',
    'The window of a pull does not grow, so a long way lets a quick link idle.',
    ['snapshots/pull-by-evidence'],
    script('pull: much'),
    edit(WINDOW, 'Math.min(MOST_CHUNKS * bounds.chunk, room + length)', 'Math.min(MOST_CHUNKS * bounds.chunk, room)'),
  ),
  mutant(
    'outrun-without-end',
    'What is kept for pullers doubles with each pull that is outrun, without end.',
    ['snapshots/outrun-is-doubled'],
    script('pull: outrun'),
    edit(
      'replica/driver/pull-state.ts',
      'Math.min(MOST_DOUBLINGS, outrun + 1)',
      'Math.min(MOST_DOUBLINGS + outrun, outrun + 1)',
    ),
  ),
  mutant(
    'outrun-for-ever',
    'A pull that was outrun once counts for every later one.',
    ['snapshots/outrun-is-doubled'],
    script('pull: outrun afterwards'),
    edit(PULLING, 'draft.now <= last.until && least > last.index', 'least > last.index'),
  ),
  mutant(
    'outrun-keeps-the-same',
    'No more of the log is kept for a puller that was outrun.',
    ['snapshots/outrun-is-doubled'],
    script('pull: twice as much'),
    edit(SOURCES, 'const times = 2 ** doublings;', 'const times = 1 + 0 * doublings;'),
  ),
  mutant(
    'pull-holds-while-chunks-come',
    'The log is kept for a puller only while chunks come, not while it verifies them.',
    ['snapshots/kept-for-pullers'],
    script('pull: holds on'),
    edit(PULL_STATE, 'return pull.offer === null ? null', 'return pull.offer === null || pull.ending ? null'),
  ),
  mutant(
    'pull-never-pauses',
    'All members are asked again as soon as all were asked in vain.',
    ['snapshots/pauses-in-vain'],
    script('pull: in vain'),
    edit(PULLING, 'draft.now + draft.options.timing.electionMax * 2 ** vain', 'draft.now'),
  ),
  mutant(
    'pull-insists-on-a-silent-one',
    'One that has never answered is asked again and again before the next one is.',
    ['snapshots/silent-sources'],
    script('pull: a silent one'),
    edit(PULLING, 'if (pull.offer === null || strikes >= MOST_STRIKES)', 'if (strikes >= MOST_STRIKES)'),
  ),
  mutant(
    'pull-forgets-the-slow',
    'Who is silent at first is not heard any more, so slow members give nothing.',
    ['snapshots/silent-sources'],
    script('pull: a slow one'),
    edit(PULLING, 'pull.silent.includes(from) && pull.offer === null', 'false'),
  ),
  mutant(
    'pull-ends-with-a-refusal',
    'When the last one that is asked refuses, those that have not answered yet are given up, too.',
    ['snapshots/silent-sources'],
    script('pull: a slow one, a refusal'),
    edit(PULLING, 'if (!isSilent && awaited !== undefined &&', 'if (!isSilent && awaited === source &&'),
  ),
  mutant(
    'pull-keeps-who-refuses',
    'A source that has given a part and has the snapshot no longer is asked on.',
    ['snapshots/silent-sources'],
    script('pull: a refusal in the middle'),
    edit(PULLING, "pull.offer === null || message.kind === 'noSnapshot'", 'pull.offer === null'),
  ),
  mutant(
    'pull-blames-for-its-own-disk',
    'A source is given up while what came waits for the own storage.',
    ['snapshots/pauses-in-vain'],
    script('pull: own disk'),
    edit(PULLING, 'if (asksNothing(pull.window)) {', 'if (asksNothing(pull.window) && pull.strikes < 0) {'),
  ),
  mutant(
    'snapshot-trims-unsynced',
    'What is not durable is trimmed, so an acknowledgement rests on nothing.',
    ['durability/unsynced-runs', 'snapshots/trim-below-snapshot'],
    script('trimmedTooSoon'),
    edit('core/compaction.ts', 'Math.min(through, durable)', 'Math.min(through, state.log.last + 0 * durable)'),
  ),
  mutant(
    'snapshot-installed-below',
    'A snapshot at or below the commit index is installed.',
    ['snapshots/install-above-commit'],
    script('installBelow'),
    edit('core/compaction.ts', 'return index > commitIndex;', 'return index > commitIndex - 2;'),
  ),
  mutant(
    'snapshot-vouched-early',
    'An acknowledgement after an install rests on the entries below the index alone.',
    ['durability/send-after-sync'],
    schedule('raft', 4),
    edit('core/draft.ts', 'const from = Math.min(this.durable, this.commitIndex) + 1;', 'const from = index;'),
  ),
  mutant(
    'snapshot-leaves-callers',
    'Who waits for a command that is in the snapshot is not told.',
    ['snapshots/waiting-calls-by-the-table'],
    scenario('raft/snapshot-answers-callers'),
    edit('replica/driver/restored.ts', 'draft.proposals.applied(entries, known);', 'known.length = 0;'),
  ),
  mutant(
    'raft-trimmed-refused',
    'An append that begins below what a follower has trimmed is refused.',
    ['raft/trimmed-matches'],
    script('appendBelowBase'),
    edit(
      'raft/replication.ts',
      'prevIndex < base || termAt(draft.state.log, prevIndex) === prevTerm;',
      'termAt(draft.state.log, prevIndex) === prevTerm;',
    ),
  ),
  mutant(
    'raft-suffix-kept',
    'What follows a snapshot of a peer stays although the log disagrees with it.',
    ['raft/suffix-if-it-matches'],
    script('installedSuffix'),
    edit('raft/draft.ts', 'const keeps = termAt(log, index) === term;', 'const keeps = index <= log.last;'),
  ),
  mutant(
    'raft-suffix-dropped',
    'What follows a snapshot of a peer goes although the log agrees with it.',
    ['raft/suffix-if-it-matches'],
    scenario('raft/snapshot-keeps-suffix'),
    edit('raft/draft.ts', 'const keeps = termAt(log, index) === term;', 'const keeps = index < 0;'),
  ),
  mutant(
    'raft-suffix-dropped-on-disk',
    'What follows a snapshot of a peer stays in memory, and goes on the disk.',
    ['raft/suffix-if-it-matches'],
    scenario('raft/snapshot-keeps-suffix'),
    edit('raft/draft.ts', ': emptyBehind(snapshot), keeps);', ': emptyBehind(snapshot), false);'),
  ),
  mutant(
    'raft-suffix-kept-on-disk',
    'What follows a snapshot of a peer, with which the log disagrees, goes from memory, and stays on the disk.',
    ['raft/suffix-if-it-matches'],
    scenario('raft/snapshot-drops-suffix'),
    edit('raft/draft.ts', ': emptyBehind(snapshot), keeps);', ': emptyBehind(snapshot), true);'),
  ),
  mutant(
    'raft-install-in-an-old-term',
    'A snapshot of a later term is installed, and the replica stays in its own.',
    ['raft/terms-rise-in-log'],
    scope('raft n3 E1 S1 I1 split'),
    edit('raft/draft.ts', 'if (term > this.state.term) this.yieldTo(term);\n    else if', 'if'),
  ),
  mutant(
    'paxos-install-drops-votes',
    'Votes above a snapshot of a peer go with what is below it.',
    ['paxos/votes-stay'],
    scope('paxos n2 E1 R1 S1 I1 split'),
    edit('multipaxos/draft.ts', 'above(next.window, index)', 'above(next.window, Infinity)'),
  ),
  mutant(
    'raft-trimmed-peer-forgotten',
    'A follower that needs what was trimmed is left where it was.',
    ['raft/trimmed-is-not-sent'],
    schedule('raft', 4),
    edit('raft/sending.ts', 'if (isBehind) probeAtBase(draft, peer);', ''),
  ),
  mutant(
    'snapshot-older-named',
    'A snapshot that comes late is named in place of a newer one.',
    ['snapshots/newer-replaces-older'],
    script('olderSnapshot'),
    edit('core/compaction.ts', 'if (isKnown(draft, snapshot, base)) return;', ''),
  ),
  mutant(
    'snapshot-applies-while-restoring',
    'Commands are applied while the machine is restored.',
    ['snapshots/alone-while-restoring'],
    scenario('raft/snapshot-at-start'),
    edit(APPLY, ' && !this.draft.snapshots.isRestoring', ''),
  ),
  mutant(
    'snapshot-reads-while-restoring',
    'Reads are served while the machine is restored.',
    ['snapshots/alone-while-restoring'],
    scenario('multipaxos/snapshot-at-start'),
    edit(DRIVER, 'if (!draft.snapshots.isRestoring) {', 'if (draft.now >= 0) {'),
  ),
  mutant(
    'snapshot-taken-on',
    'A snapshot of a peer waits until the one that is taken has ended by itself.',
    ['snapshots/restore-ends-taking'],
    script('snapshot: restored while one is taken'),
    edit(
      SNAPSHOTS,
      "if (taking !== null && next.restoring === null) this.draft.effect({ kind: 'endTaking', file: taking.file });",
      '',
    ),
  ),
  mutant(
    'snapshot-read-on',
    'The stream of a snapshot that is to end is read on.',
    ['snapshots/restore-ends-taking'],
    script('snapshot: restored while one is taken'),
    edit(FILES, 'const isEnded = (): boolean => this.ending === file;', 'const isEnded = (): boolean => false;'),
  ),
  mutant(
    'snapshot-restores-while-taking',
    'The machine is restored while the stream of its own snapshot is read.',
    ['snapshots/alone-while-restoring'],
    script('snapshot: restored while one is taken'),
    edit(SNAPSHOTS, ' || taking !== null || draft.applying', ' || draft.applying'),
  ),
  mutant(
    'snapshot-without-sessions',
    'A start forgets the sessions of its snapshot, so that a retry is applied again.',
    ['snapshots/hold-the-sessions', 'requests/table-is-computed'],
    scenario('raft/snapshot-at-start'),
    edit(APPLY, 'part === null ? emptyPart', 'part !== undefined ? emptyPart'),
  ),
];
