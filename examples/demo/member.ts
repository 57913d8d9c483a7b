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

try {
  const replica = await createReplica({
    id: settings.id,
    members: settings.members,
    protocol: settings.protocol === 'raft' ? raft() : multipaxos(),
    transport: tcpTransport({ listen: settings.listen }),
    storage: fileStorage(settings.directory),
    machine: new Tally(),
    requestTimeout: REQUEST_TIMEOUT,
  });
  replica.on('fault', ({ reason }) => say({ ask: 0, kind: 'down', reason }));
  replica.on('lostIdentity', () => say({ ask: 0, kind: 'down', reason: 'its disk was lost' }));

  const reply = async (ask: Ask): Promise<Answer> => {
    switch (ask.kind) {
      case 'add':
        return { ask: ask.ask, kind: 'added', value: await replica.propose(ask.add) };
      case 'read':
        return { ask: ask.ask, kind: 'tally', state: await replica.read((tally) => tally.snapshot()) };
      case 'status': {
        const { leader, leading, applied, commit } = replica.status();
        return { ask: ask.ask, kind: 'status', status: { leader, leading, applied, commit } };
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
