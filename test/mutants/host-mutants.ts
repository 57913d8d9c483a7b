/** The mutants of the host: what those who follow a replica are told. */

import { edit, hostRun, mutant, type Mutant } from './mutant.js';

const BUFFER = 'replica/host/change-buffer.ts';
const FEED = 'replica/host/changes-feed.ts';

const RULE = ['host/changes-are-what-was-applied'];

export const hostMutants: readonly Mutant[] = [
  mutant(
    'host-changes-without-rejections',
    'Commands that the machine refused are no changes.',
    RULE,
    hostRun('raft', 1),
    edit(BUFFER, 'this.addedThrough = index;', 'if (result.rejected) return;\n    this.addedThrough = index;'),
  ),
  mutant(
    'host-changes-trimmed-in-silence',
    'A consumer below the changes that are kept goes on with those.',
    RULE,
    hostRun('raft', 3),
    edit(FEED, 'throw new ChangesTrimmed(cursor.from, buffer.trimmed + 1);', 'cursor.from = buffer.trimmed + 1;'),
  ),
  mutant(
    'host-changes-cut-by-close',
    'A replica that closes ends its changes, although a consumer has not got all of them.',
    RULE,
    hostRun('raft', 0),
    edit(FEED, 'if (buffer.last < cursor.from) {', "if (buffer.last < cursor.from || ended === 'closed') {"),
  ),
  mutant(
    'host-changes-nobody-is-woken',
    'A consumer that waits is not told that something was applied.',
    RULE,
    hostRun('raft', 0),
    edit(FEED, 'if (this.waiting.size > 0) this.wakeSoon();', ''),
  ),
];
