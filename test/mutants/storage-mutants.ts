/** The file storage's mutants: the ways to lose what was acknowledged. */

import { edit, type Mutant } from './mutant.js';

const WRITER = 'adapters/file-storage/log-writer.ts';

export const storageMutants: readonly Mutant[] = [
  {
    name: 'storage-cut-at-damage',
    about: 'A log is cut at the first record that does not verify, though later ones do.',
    breaks: ['storage/damage-is-refused', 'storage/acknowledged-survives'],
    killedBy: { kind: 'script', script: 'storage: rot' },
    edits: [edit('adapters/file-storage/scan.ts', 'await refuseRot(window, segment, position, found);\n', '')],
  },
  {
    name: 'storage-sync-tried-again',
    about: 'A sync that failed is tried again, and believed.',
    breaks: ['storage/no-retry', 'storage/acknowledged-survives'],
    killedBy: { kind: 'script', script: 'storage: failed sync' },
    edits: [
      edit(
        WRITER,
        '    await file.datasync();\n    this.take(writeGroup);',
        '    await file.datasync().catch(() => file.datasync());\n    this.take(writeGroup);',
      ),
    ],
  },
  {
    name: 'storage-ack-before-sync',
    about: 'A write is acknowledged when it is written, not when it is synced.',
    breaks: ['storage/acknowledged-survives'],
    killedBy: { kind: 'script', script: 'storage: power cut' },
    edits: [edit(WRITER, '    await file.datasync();\n    this.take(writeGroup);', '    this.take(writeGroup);')],
  },
];
