/** One member's process of the process rig: a replica on files and TCP that does what it is asked over its pipe. */

import { ConsensusError, createReplica, multipaxos, raft, type Replica, type ReplicaEvent } from 'quorate';
import { fileStorage, tcpTransport } from 'quorate/node';
import { FaultyDisk, type Unsynced } from '../process-rig/faulty-disk.js';
import { Keys } from '../process-rig/machine.js';
import type { Answer, Ask, DiskKind, MemberSettings, Question, Said } from '../process-rig/messages.js';

const UNSYNCED: Record<Exclude<DiskKind, 'real'>, Unsynced> = {
  facade: 'written',
  volatile: 'kept back',
  lying: 'kept back for ever',
};

function say(said: Said): void {
  if (process.connected) process.send?.(said);
}

/** The last word. From here on nothing holds this process: if it does not end by itself, the replica left a handle. */
function sayAndLeave(said: Said): void {
  process.off('disconnect', orphaned);
  process.send?.(said, () => process.disconnect());
}

// Whoever started us is gone: so are we.
const orphaned = (): never => process.exit(3);
process.on('disconnect', orphaned);
process.on('SIGINT', () => undefined);

const settings = JSON.parse(process.argv[2] ?? '{}') as MemberSettings;
const { id, members, disk, segmentBytes, snapshotEvery, requestTimeout, timing } = settings;
const faulty = disk === 'real' ? null : new FaultyDisk(UNSYNCED[disk]);

function report(event: ReplicaEvent): void {
  switch (event.kind) {
    case 'role':
      return say({ event: `role ${event.role}`, detail: `term ${event.term}` });
    case 'fault':
      return say({ event: `fault ${event.code}`, detail: event.reason });
    case 'transport':
      return say({ event: `transport ${event.event}`, detail: `${event.peer}: ${event.reason}` });
    case 'snapshot':
      return say({ event: `snapshot ${event.event}`, detail: JSON.stringify(event) });
    default:
      return say({ event: event.kind, detail: JSON.stringify(event) });
  }
}

function failure(error: unknown): { code: string | null; outcome: 'none' | 'unknown'; message: string } {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (!(error instanceof ConsensusError)) return { code: null, outcome: 'unknown', message };
  return { code: error.code, outcome: error.outcome, message: error.message };
}

let reads = 0;

async function answer(replica: Replica<Keys>, question: Question): Promise<Answer> {
  switch (question.kind) {
    case 'propose': {
      const { result, index } = await replica.propose(question.command, { meta: true });
      return { kind: 'proposed', result, index };
    }
    case 'read': {
      const consistency = settings.readsLie ? 'stale' : reads++ % 2 === 0 ? 'linearizable' : 'lease';
      return { kind: 'read', result: await replica.read((keys) => keys.look(question.key), { consistency }) };
    }
    case 'stale': {
      const { key, minIndex } = question;
      return { kind: 'read', result: await replica.read((keys) => keys.look(key), { consistency: 'stale', minIndex }) };
    }
    case 'contents':
      return { kind: 'contents', contents: await replica.read((keys) => keys.snapshot()) };
    case 'status': {
      const { role, term, leader, leading, connected, commit, applied, phase, fault } = replica.status();
      return { kind: 'status', status: { role, term, leader, leading, connected, commit, applied, phase, fault } };
    }
    case 'disk':
      if (faulty === null) throw new Error('this member stands on the real disk');
      faulty.fault = question.fault;
      return { kind: 'done' };
    case 'close':
      await replica.close();
      return { kind: 'done' };
  }
}

try {
  const tuning = { timing };
  const replica = await createReplica({
    id,
    members,
    protocol: settings.protocol === 'raft' ? raft(tuning) : multipaxos(tuning),
    transport: tcpTransport({ listen: settings.listen, reconnectDelay: { min: 20 } }),
    storage: fileStorage(settings.directory, { segmentBytes, ...(faulty === null ? {} : { fs: faulty.disk }) }),
    machine: new Keys(),
    snapshots: { entries: snapshotEvery },
    constants: { leaseReads: 0.9 * timing.electionMin },
    // Whoever starts a cluster of one vouches for its disk: here nobody wipes it.
    bootstrap: Object.keys(members).length === 1,
    requestTimeout,
    onEvent: report,
  });
  process.on('message', ({ ask, question }: Ask) => {
    answer(replica, question).then(
      (said) => (question.kind === 'close' ? sayAndLeave : say)({ ask, answer: said }),
      (error: unknown) => say({ ask, answer: { kind: 'failed', ...failure(error) } }),
    );
  });
  say({ up: true });
} catch (error) {
  const { code, message } = failure(error);
  sayAndLeave({ refused: { code, message } });
}
