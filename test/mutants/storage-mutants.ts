/** The file storage's mutants: the ways to lose what was acknowledged. */

import { edit, mutant, script, type Mutant } from './mutant.js';

const WRITER = 'adapters/file-storage/log-writer.ts';

export const storageMutants: readonly Mutant[] = [
  mutant(
    'storage-cut-at-damage',
    'A log is cut at the first record that does not verify, though later ones do.',
    ['storage/damage-is-refused', 'storage/acknowledged-survives'],
    script('storage: rot'),
    edit(
      'adapters/file-storage/scan.ts',
      'const isTorn = await refuseRot(window, segment, position, found);',
      'const isTorn = refuseRot.length > 0;',
    ),
  ),
  mutant(
    'storage-watermark-ignored',
    'What a watermark vouches for is dropped as a torn write.',
    ['storage/damage-is-refused'],
    script('storage: rot at the end'),
    edit(
      'adapters/file-storage/scan.ts',
      'if (watermark !== undefined && position.writeGroup <= watermark.writeGroup) {',
      'if (watermark !== undefined && position.writeGroup < 0) {',
    ),
  ),
  mutant(
    'storage-watermark-early',
    'The watermark of a group shares its sync.',
    ['storage/watermark-is-never-early'],
    script('storage: torn group'),
    edit(
      WRITER,
      '    const mark = this.writeMark();\n    const written',
      '    this.state.slots.reached(watermarkOf(group, this.state.writeGroup, end));\n' +
        '    const mark = this.writeMark();\n    const written',
    ),
  ),
  mutant(
    'storage-one-slot-only',
    'All watermarks go to one slot, over the only one that there is.',
    ['storage/one-slot-at-a-time'],
    script('storage: torn watermark'),
    edit(
      'adapters/file-storage/watermark.ts',
      '    if (first.synced && second.synced) return first.writeGroup < second.writeGroup ? 0 : 1;\n    return first.synced ? 1 : 0;',
      '    return first.writeGroup < 0 && second.synced ? 1 : 0;',
    ),
  ),
  mutant(
    'storage-never-sealed',
    'A segment whose rotation was cut short stays without its seal.',
    ['storage/no-hole'],
    script('storage: rotation cut short'),
    edit(
      'adapters/file-storage/recovery.ts',
      '    if (await isSealedAt(segment, end)) return end;\n',
      '    if ((await isSealedAt(segment, end)) || from.end > 0) return end;\n',
    ),
  ),
  mutant(
    'storage-sync-tried-again',
    'A sync that failed is tried again, and believed.',
    ['storage/no-retry', 'storage/acknowledged-survives'],
    script('storage: failed sync'),
    edit(
      WRITER,
      '    if (this.options.sync) await file.datasync();\n    this.state.slots.synced();',
      '    if (this.options.sync) await file.datasync().catch(() => file.datasync());\n    this.state.slots.synced();',
    ),
  ),
  mutant(
    'storage-ack-before-sync',
    'A write is acknowledged when it is written, not when it is synced.',
    ['storage/acknowledged-survives'],
    script('storage: power cut'),
    edit(
      WRITER,
      '    if (this.options.sync) await file.datasync();\n    this.state.slots.synced();',
      '    this.state.slots.synced();',
    ),
  ),
  mutant(
    'storage-start-needs-space',
    'A start that finds no space gives up, though the last segment has room.',
    ['storage/restart-needs-no-space'],
    script('storage: start on a full disk'),
    edit(
      'adapters/file-storage/renewal.ts',
      'if (!(renewed instanceof NoSpace)) return renewed;',
      'if (!(renewed instanceof NoSpace) || last === undefined) return renewed as LogState;\n  if (last.size > 0) throw renewed.cause;',
    ),
  ),
  mutant(
    'storage-trimmed-stays-when-full',
    'Trimmed segments go with the next rotation, which waits for space.',
    ['storage/trimmed-goes-when-full'],
    script('storage: trimmed while full'),
    edit(
      'adapters/file-storage/log-writer.ts',
      'if (index.oldestNeeded(header.segment + 1) === header.oldest) return false;',
      'if (index.oldestNeeded(header.segment + 1) >= header.oldest) return false;',
    ),
  ),
  mutant(
    'storage-trim-waits-its-turn',
    'A call that trims waits until a write before it has got the space that it waits for.',
    ['storage/trimmed-goes-when-full'],
    script('storage: trimmed while writes wait'),
    edit('adapters/file-storage/log-writer.ts', 'if (!earlier.every((', 'if (earlier.length > 0 || !earlier.every(('),
  ),
  mutant(
    'storage-no-room-for-a-trim',
    'Writes use a file up, so that no call that trims fits.',
    ['storage/trimmed-goes-when-full'],
    script('storage: trimmed while writes wait'),
    edit('adapters/file-storage/log-writer.ts', 'const TRIM_ROOM = 1024;', 'const TRIM_ROOM = 0;'),
  ),
  mutant(
    'storage-no-room-for-a-start',
    'The log is written up to the end of its file, on a full disk.',
    ['storage/restart-needs-no-space'],
    script('storage: start on a full disk'),
    edit('adapters/file-storage/log-writer.ts', 'const spared = this.tailRoom + (', 'const spared = 0 * ('),
  ),
  mutant(
    'storage-snapshot-takes-the-reserve',
    'A snapshot takes the space that the log has not got yet.',
    ['storage/snapshots-leave-the-reserve'],
    script('storage: snapshot on a full disk'),
    edit(
      'adapters/file-storage/spares.ts',
      'return this.ready.length + (this.isClaimed ? 1 : 0) >= KEPT;',
      'return this.ready.length + (this.isClaimed ? 1 : 0) <= KEPT;',
    ),
  ),
  mutant(
    'storage-shortage-fails',
    'A shortage that is met before a byte of a group was written fails the log for good.',
    ['storage/shortage-is-no-fault'],
    script('storage: shortage'),
    edit(
      'adapters/file-storage/shortages.ts',
      'if (this.closed || !isShortage(error)) {',
      'if (!this.closed || !isShortage(error)) {',
    ),
  ),
  mutant(
    'storage-directory-not-watched',
    'A directory that was replaced under an open storage is not noticed.',
    ['storage/lost-directory-is-noticed'],
    script('storage: lost directory'),
    edit('adapters/file-storage/directory-watch.ts', 'if (what === undefined) return;', 'if (what !== dir) return;'),
  ),
  mutant(
    'storage-file-not-watched',
    'A file that was replaced in its directory is not noticed.',
    ['storage/lost-directory-is-noticed'],
    script('storage: lost file'),
    edit(
      'adapters/file-storage/directory-watch.ts',
      '(await isStill(disk, path, own))) return',
      'path !== own) return',
    ),
  ),
  mutant(
    'storage-space-not-ahead',
    'The next file is made only when the log waits for it.',
    ['storage/space-is-got-ahead'],
    script('storage: space ahead'),
    edit('adapters/file-storage/spares.ts', 'this.used / this.space < share * READY_AT', 'share > 0 * READY_AT'),
  ),
  mutant(
    'storage-snapshot-not-synced',
    'The file of a snapshot is renamed without a sync of what is in it.',
    ['storage/snapshot-files-are-whole'],
    script('storage: snapshot and power cut'),
    edit('adapters/file-storage/snapshot-store.ts', '      if (sync) await file.datasync();\n', ''),
  ),
  mutant(
    'storage-snapshot-name-not-synced',
    'The name of a snapshot is not synced before it counts.',
    ['storage/snapshot-files-are-whole'],
    script('storage: snapshot and power cut'),
    edit('adapters/file-storage/snapshot-store.ts', '        if (sync) await disk.syncDirectory(dir);\n', ''),
  ),
  mutant(
    'snapshot-not-read-back',
    'A snapshot is named though its file holds something else.',
    ['snapshots/read-back'],
    script('snapshot: read back'),
    edit(
      'replica/host/snapshot-files.ts',
      'const read = await verified(store, { file, index, term }, this.owner);',
      'const { checksum, size } = framer;\n      const read = { checksum, bytes: size, index, term, file };',
    ),
  ),
  mutant(
    'snapshot-begun-without-space',
    'A snapshot is written though it may not fit.',
    ['snapshots/begun-where-it-fits'],
    script('snapshot: without space'),
    edit('replica/host/snapshot-space.ts', 'if (free >= needed) return;', 'if (free >= 0 * needed) return;'),
  ),
  mutant(
    'snapshot-older-stays',
    'The older snapshot is kept while the storage is full.',
    ['snapshots/older-goes-when-full'],
    script('snapshot: two on a full disk'),
    edit('replica/driver/snapshots.ts', 'storageFull ? 1 : KEPT', 'storageFull ? KEPT : KEPT'),
  ),
  mutant(
    'snapshot-log-stays-when-full',
    'The log below the newest snapshot stays while the storage is full.',
    ['snapshots/older-goes-when-full'],
    script('snapshot: two on a full disk'),
    edit(
      'replica/driver/snapshots.ts',
      'if (through <= Math.max(base.index, shrunkTo)) return;',
      'if (through >= 0) return;',
    ),
  ),
  mutant(
    'snapshot-trim-waits-for-space',
    'What trims the log of a full storage waits for the write under way.',
    ['storage/trimmed-goes-when-full'],
    script('snapshot: a write waits on a full disk'),
    edit('replica/driver/snapshots.ts', 'if (told.isNamed) this.draft.effect', 'if (told.since < 0) this.draft.effect'),
  ),
];
