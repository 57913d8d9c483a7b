/** One member's process: a replica on files and TCP that does what it is asked over its pipe. */

import { ConsensusError, createReplica, multipaxos, raft } from 'quorate';
import { fileStorage, tcpTransport } from 'quorate/node';
import type { Answer, Ask, MemberSettings } from './messages.js';
import { Tally } from './tally.js';

const REQUEST_TIMEOUT = 8000;

function say(answer: Answer): void {
  process.send?.(answer);
}

// The process ends with its parent.
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);

const settings = JSON.parse(process.argv[2] ?? '{}') as MemberSettings;
const { snapshotEvery, segmentBytes } = settings;
const tally = new Tally();

try {
  const replica = await createReplica({
    id: settings.id,
    members: settings.members,
    protocol: settings.protocol === 'raft' ? raft() : multipaxos(),
    transport: tcpTransport({ listen: settings.listen }),
    storage: fileStorage(settings.directory, { segmentBytes }),
    machine: tally,
    snapshots: snapshotEvery === null ? false : { entries: snapshotEvery },
    requestTimeout: REQUEST_TIMEOUT,
  });
  replica.on('fault', ({ reason }) => say({ ask: 0, kind: 'down', reason }));
  replica.on('snapshot', ({ event, index, bytes, took, peer, reason }) => {
    const about = { ...(peer === undefined ? {} : { peer }), ...(reason === undefined ? {} : { reason }) };
    say({ ask: 0, kind: 'snapshot', told: { event, index, bytes, took, ...about } });
  });
  replica.on('lostIdentity', () => say({ ask: 0, kind: 'down', reason: 'its disk was lost' }));

  const reply = async (ask: Ask): Promise<Answer> => {
    switch (ask.kind) {
      case 'add':
        return { ask: ask.ask, kind: 'added', value: await replica.propose(ask.add) };
      case 'read':
        return { ask: ask.ask, kind: 'tally', state: await replica.read((machine) => machine.snapshot()) };
      case 'status': {
        const { leader, leading, applied, commit, first, last, snapshots } = replica.status();
        const log = { first, last, snapshots: snapshots.map(({ index }) => index), commands: tally.commands };
        return { ask: ask.ask, kind: 'status', status: { leader, leading, applied, commit, ...log } };
      }
      case 'close':
        await replica.close();
        setImmediate(() => process.disconnect()); // behind the answer
        return { ask: ask.ask, kind: 'closed' };
    }
  };

  process.on('message', (ask: Ask) => {
    reply(ask).then(say, (error: unknown) => {
      const known = error instanceof ConsensusError;
      const code = known ? error.code : String(error);
      say({ ask: ask.ask, kind: 'failed', code, outcome: known ? error.outcome : 'unknown' });
    });
  });
  say({ ask: 0, kind: 'up' });
} catch (error) {
  say({ ask: 0, kind: 'down', reason: (error as Error).message });
}
