/** The file storage's mutants: the ways to lose what was acknowledged. */

import { edit, mutant, script, type Mutant } from './mutant.js';

const WRITER = 'adapters/file-storage/log-writer.ts';

export const storageMutants: readonly Mutant[] = [
  mutant(
    'storage-cut-at-damage',
    'A log is cut at the first record that does not verify, though later ones do.',
    ['storage/damage-is-refused', 'storage/acknowledged-survives'],
    script('storage: rot'),
    edit('adapters/file-storage/scan.ts', 'await refuseRot(window, segment, position, found);\n', ''),
  ),
  mutant(
    'storage-sync-tried-again',
    'A sync that failed is tried again, and believed.',
    ['storage/no-retry', 'storage/acknowledged-survives'],
    script('storage: failed sync'),
    edit(
      WRITER,
      '    await file.datasync();\n    this.take(writeGroup);',
      '    await file.datasync().catch(() => file.datasync());\n    this.take(writeGroup);',
    ),
  ),
  mutant(
    'storage-ack-before-sync',
    'A write is acknowledged when it is written, not when it is synced.',
    ['storage/acknowledged-survives'],
    script('storage: power cut'),
    edit(WRITER, '    await file.datasync();\n    this.take(writeGroup);', '    this.take(writeGroup);'),
  ),
];
