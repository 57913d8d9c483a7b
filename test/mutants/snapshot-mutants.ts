/** Mutants of snapshots: when one is named, kept and restored (contract, "The persist lane"). */

import { edit, mutant, scenario, script, schedule, type Mutant } from './mutant.js';

const SNAPSHOTS = 'replica/driver/snapshots.ts';
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
      "draft.effect({ kind: 'takeSnapshot', file, index, term, part });",
      "draft.effect({ kind: 'takeSnapshot', file, index, term, part });\n" +
        '    const early = { file, index, term, checksum: 0, bytes: 0 };\n' +
        '    draft.lane.set(SNAPSHOTS_KEY, encodeSnapshots([early]));',
    ),
  ),
  mutant(
    'snapshot-removed-too-early',
    'A file goes before the list of names without it is durable.',
    ['snapshots/named-in-the-lane'],
    schedule('raft', 4),
    edit(SNAPSHOTS, ' || draft.lane.state.durableWriteId < naming.writeId) return;', ') return;'),
  ),
  mutant(
    'snapshot-older-named',
    'A snapshot that comes late is named in place of a newer one.',
    ['snapshots/newer-replaces-older'],
    script('olderSnapshot'),
    edit('core/compaction.ts', 'if (index <= (state.snapshot?.index ?? 0)) return;', ''),
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
    'snapshot-without-sessions',
    'A start forgets the sessions of its snapshot, so that a retry is applied again.',
    ['snapshots/hold-the-sessions', 'requests/table-is-computed'],
    scenario('raft/snapshot-at-start'),
    edit(APPLY, 'part === null ? emptyPart', 'part !== undefined ? emptyPart'),
  ),
];
