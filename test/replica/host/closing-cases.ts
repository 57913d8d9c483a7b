/** What must hold of a replica that is closed twice, as a function that throws a violation. */

import { memoryNetwork } from '../../../src/adapters/memory-network.js';
import { memoryStorage } from '../../../src/adapters/memory-storage.js';
import { raft } from '../../../src/raft/index.js';
import { createReplica } from '../../../src/replica/replica.js';
import type { Replica } from '../../../src/replica/replica.js';
import { demand } from '../../violation.js';
import { steadyClock } from './steady-clock.js';

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

/**
 * A leader whose transfer to a member that hears nobody is under way is closed: another one leads before it has closed.
 * @param end the transfer is given up by its caller as soon as the leader closes, or may take so long
 */
export async function closesDuringTransfer(protocol: typeof raft, end: 'given up' | 20 | 1_000_000): Promise<void> {
  let mute = '';
  const members = { a: 'v', b: 'w', c: 'x', d: 'y', e: 'z' };
  const clock = steadyClock();
  const network = memoryNetwork({ deliver: ({ from, to }) => ([from, to].includes(mute) ? 'drop' : 'deliver') });
  const started = async (id: string): Promise<Replica<Counting>> => {
    const machine = { apply: (by: number) => by, snapshot: () => 1, restore: () => undefined };
    const plugIns = { transport: network.transport(), storage: memoryStorage(), machine };
    const timing = { heartbeat: 30, electionMin: 200, electionMax: 400 };
    return createReplica({ id, members, clock, protocol: protocol({ timing }), ...plugIns });
  };
  const all = await Promise.all(Object.keys(members).map(started));
  await Promise.all(all.map((replica) => replica.ready()));
  const leader = all.find((replica) => replica.status().leading) as Replica<Counting>;
  const others = all.filter((replica) => replica !== leader);
  mute = others[0]?.status().id as string;
  const abort = new AbortController();
  const timeout = end === 'given up' ? 1_000_000 : end;
  const transfer = leader.transfer({ to: mute, timeout, signal: abort.signal });
  const transferred = transfer.then(
    () => 'transferred',
    (error: { code: string }) => error.code,
  );
  const closed = leader.close({ timeout: 10_000 });
  if (end === 'given up') abort.abort();
  await closed;
  const leads = others.some((replica) => replica.status().role === 'leader');
  await Promise.all(others.map((replica) => replica.close({ timeout: 0 })));
  demand(leads, 'liveness/close-hands-over: another one leads before the leader has closed');
  const code = await transferred;
  const expected = end === 1_000_000 ? 'ERR_TRANSFER_FAILED' : 'ERR_OUTCOME_UNKNOWN';
  demand(code === expected, 'liveness/close-hands-over: the transfer to the member that was named fails', () => code);
}
