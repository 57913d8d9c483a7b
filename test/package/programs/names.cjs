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
  'quorate/raft': ['raftProtocol', 'raftModel'],
  'quorate/multipaxos': ['multipaxosProtocol', 'multipaxosModel'],
  'quorate/node': ['fileStorage', 'inspectStorage', 'tcpTransport', 'verifyStorage'],
  'quorate/testing': [
    'simulate',
    'SimulationFailure',
    'runScenario',
    'replay',
    'checkModel',
    'checkLinearizable',
    'parseHistory',
    'simulateHost',
    'createWorld',
  ],
};
for (const [subpath, expected] of Object.entries(names)) {
  const found = require(subpath);
  for (const name of expected) assert.notEqual(found[name], undefined, `${subpath} lacks ${name}`);
}
