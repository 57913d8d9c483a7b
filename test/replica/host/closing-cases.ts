/** What must hold of a replica that is closed twice, as a function that throws a violation. */

import { memoryNetwork } from '../../../src/adapters/memory-network.js';
import { memoryStorage } from '../../../src/adapters/memory-storage.js';
import { raft } from '../../../src/raft/index.js';
import { createReplica } from '../../../src/replica/replica.js';
import type { Replica } from '../../../src/replica/replica.js';
import { demand } from '../../violation.js';

interface Counting {
  apply(by: number): number;
  snapshot(): number;
  restore(found: number): void;
}

const RULE = 'liveness/close-ends: ';

async function turns(count: number, isOver: () => boolean): Promise<void> {
  for (let turn = 0; turn < count && !isOver(); turn++) await new Promise((resolve) => setImmediate(resolve));
}

/**
 * A leader that nobody follows any more drains for as long as it may; closed again without patience, it ends at once.
 * @param when the second close comes while it drains, or from a plug-in that the first one calls
 */
export async function closesAgain(when: 'while it drains' | 'from a plug-in'): Promise<void> {
  const network = memoryNetwork();
  let sends = (): void => undefined;
  const started = async (id: string): Promise<Replica<Counting>> => {
    const transport = network.transport();
    const send = transport.send.bind(transport);
    transport.send = (...message) => {
      sends();
      return send(...message);
    };
    const machine = { apply: (by: number) => by, snapshot: () => 1, restore: () => undefined };
    const plugIns = { transport, storage: memoryStorage(), machine };
    return createReplica({ id, members: { a: 'x', b: 'y' }, protocol: raft(), ...plugIns });
  };
  const [a, b] = await Promise.all([started('a'), started('b')]);
  await Promise.all([a.ready(), b.ready()]);
  const [leader, other] = a.status().role === 'leader' ? [a, b] : [b, a];
  await other.close({ timeout: 0 });
  let isOver = false;
  const close = (): void => void leader.close({ timeout: 0 });
  if (when === 'from a plug-in') {
    sends = () => {
      sends = () => undefined;
      close();
    };
  }
  const waiting = leader.propose(1).catch((error: unknown) => error);
  const closed = leader.close({ timeout: 1_000_000 }).then(() => (isOver = true));
  await turns(100, () => isOver);
  if (when === 'while it drains') {
    demand(!isOver, `${RULE}a replica that closes drains first`);
    close();
    await turns(500, () => isOver);
  }
  demand(isOver, `${RULE}the sooner of two bounds is in force`);
  await Promise.all([closed, waiting]);
}
