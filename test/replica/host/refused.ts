/** What must hold of commands that a leader has no room for, as a function that throws a violation. */

import { createReplica, memoryNetwork, memoryStorage, multipaxos, raft, type Clock } from 'quorate';
import { systemClock } from '../../../src/replica/clock.js';
import { demand } from '../../violation.js';

const COUNT = 60;
/** Turns of the event loop, many times what it takes. */
const TURNS = 2000;

/** By protocol: one with little room, and how large a command is. */
const LITTLE_ROOM = {
  raft: { protocol: () => raft({ limits: { uncommittedBytes: 64 * 1024 } }), bytes: 8000 },
  multipaxos: { protocol: () => multipaxos(), bytes: 10 },
} as const;

/** Many commands of one turn, at a leader with little room, whose timers do not ring any more. */
export async function refusedAreTaken(name: keyof typeof LITTLE_ROOM): Promise<void> {
  const { protocol, bytes } = LITTLE_ROOM[name];
  const own = systemClock();
  let isStopped = false;
  const after: Clock['after'] = (delay, callback) => own.after(delay, () => (isStopped ? undefined : callback()));
  const replica = await createReplica({
    id: 'a',
    members: { a: 'a' },
    bootstrap: true,
    protocol: protocol(),
    clock: { ...own, after },
    constants: { alpha: 1 },
    transport: memoryNetwork().transport(),
    storage: memoryStorage(),
    machine: { apply: (text: string) => text.length, snapshot: () => 0, restore: () => undefined },
  });
  await replica.ready();
  await replica.propose('first');
  isStopped = true;
  let left = COUNT;
  for (let each = 0; each < COUNT; each++) {
    replica.propose('x'.repeat(bytes)).then(
      () => left--,
      () => undefined,
    );
  }
  for (let turn = 0; turn < TURNS && left > 0; turn++) await new Promise((resolve) => setImmediate(resolve));
  await replica.close({ timeout: 0 });
  demand(left === 0, 'requests/room-by-evidence: what was refused is taken as others are committed', () => left);
}
