/** What a page uses. Checked with the types of a browser and of no other platform, and bundled for one. */

import { createReplica, memoryNetwork, memoryStorage, multipaxos, raft } from 'quorate';
import { multipaxosProtocol } from 'quorate/multipaxos';
import { raftModel, raftProtocol } from 'quorate/raft';
import { checkLinearizable, counterModel, parseHistory, simulate } from 'quorate/testing';

export const protocols = [raftProtocol.name, multipaxosProtocol.name, raft(), multipaxos()];

export async function count(): Promise<number> {
  const replica = await createReplica({
    id: 'a',
    members: { a: 'a' },
    protocol: raft(),
    transport: memoryNetwork().transport(),
    storage: memoryStorage(),
    machine: {
      total: 0,
      apply(command: { add: number }): number {
        return (this.total += command.add);
      },
      snapshot(): number {
        return this.total;
      },
      restore(total: number): void {
        this.total = total;
      },
    },
  });
  const total: number = await replica.propose({ add: 1 }, { signal: AbortSignal.timeout(5_000) });
  await replica.close();
  return total;
}

/** A page can test as well. */
export function tested(): boolean {
  const history = parseHistory('a invoke add 2\na ok 2\na invoke read\na ok 2\n');
  const { commands } = simulate({ model: raftModel, schedules: 5 });
  return checkLinearizable(history, counterModel()).kind === 'linearizable' && commands > 0;
}
