// Every subpath by `import`, and by `require` from the same program: one error is recognized by both copies.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import * as main from 'quorate';
import * as multipaxos from 'quorate/multipaxos';
import * as node from 'quorate/node';
import * as raft from 'quorate/raft';
import * as testing from 'quorate/testing';

const require = createRequire(import.meta.url);
const copies = [
  [main, require('quorate')],
  [raft, require('quorate/raft')],
  [multipaxos, require('quorate/multipaxos')],
  [node, require('quorate/node')],
  [testing, require('quorate/testing')],
];
for (const [esm, cjs] of copies) assert.deepEqual(Object.keys(cjs).sort(), Object.keys(esm).sort());
assert.equal(require('quorate/package.json').name, 'quorate');

for (const { CommandRejected, ChangesTrimmed } of copies[0]) {
  for (const { ConsensusError, ChangesTrimmed: Other } of copies[0]) {
    assert.ok(new CommandRejected('no') instanceof ConsensusError);
    assert.ok(new ChangesTrimmed(1, 2) instanceof ConsensusError);
    assert.ok(new ChangesTrimmed(1, 2) instanceof Other);
    assert.ok(!(new CommandRejected('no') instanceof Other));
  }
}
for (const deep of ['quorate/dist/index.js', 'quorate/core']) {
  await assert.rejects(import(deep), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' });
}
