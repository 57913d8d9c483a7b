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
    'storage-no-room-for-a-start',
    'The log is written up to the end of its file, on a full disk.',
    ['storage/restart-needs-no-space'],
    script('storage: start on a full disk'),
    edit(
      'adapters/file-storage/segment.ts',
      'Math.min(500, Math.max(16, limit >>> 11))',
      'Math.min(0, Math.max(16, limit >>> 11))',
    ),
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
];
