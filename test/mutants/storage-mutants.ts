/** The file storage's mutants: m28 and m29 of reliability-anchors 4.5, and the plainest one. */

import { edit, type Mutant } from './mutant.js';

const WRITER = 'adapters/file-storage/log-writer.ts';

export const storageMutants: readonly Mutant[] = [
  {
    name: 'm28',
    about: 'A log is cut at the first record that does not verify, though later ones do.',
    breaks: 'W1, R5',
    killedBy: { kind: 'script', script: 'storage: rot' },
    edits: [edit('adapters/file-storage/scan.ts', 'await refuseRot(window, segment, position, found);\n', '')],
  },
  {
    name: 'm29',
    about: 'A sync that failed is tried again, and believed.',
    breaks: 'W1',
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
    name: 'w1',
    about: 'A write is acknowledged when it is written, not when it is synced.',
    breaks: 'W1',
    killedBy: { kind: 'script', script: 'storage: power cut' },
    edits: [edit(WRITER, '    await file.datasync();\n    this.take(writeGroup);', '    this.take(writeGroup);')],
  },
];
