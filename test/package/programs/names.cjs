// Every name that users are told of is there, by `require`.

const assert = require('node:assert/strict');

const names = {
  quorate: [
    'createReplica',
    'raft',
    'multipaxos',
    'memoryStorage',
    'memoryNetwork',
    'CommandRejected',
    'ConsensusError',
  ],
  'quorate/raft': ['raftProtocol'],
  'quorate/multipaxos': ['multipaxosProtocol'],
  'quorate/node': ['fileStorage', 'tcpTransport'],
};
for (const [subpath, expected] of Object.entries(names)) {
  const found = require(subpath);
  for (const name of expected) assert.notEqual(found[name], undefined, `${subpath} lacks ${name}`);
}
