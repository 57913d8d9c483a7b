/** What tests of snapshots on a whole replica have in common. */

import { createReplica, raft, type AnyMachine, type ReplicaEvent, type Storage } from 'quorate';
import { aloneOptions } from './alone.js';

interface Given<M> {
  readonly storage: Storage;
  readonly machine: M;
  readonly protocol?: ReturnType<typeof raft>;
  readonly entries?: number;
}

/** A cluster of one on this storage. `told` resolves with the next event of a snapshot of that kind. */
export async function startedWith<M extends AnyMachine>(given: Given<M>) {
  const { storage, machine, protocol = raft(), entries = 10 } = given;
  const events: ReplicaEvent[] = [];
  let wake: () => void = () => undefined;
  const options = aloneOptions<M>({
    machine,
    storage,
    onEvent: (event) => {
      events.push(event);
      wake();
    },
  });
  const replica = await createReplica({ ...options, protocol, snapshots: { entries } });
  const snapshotEvents = () => events.filter((event) => event.kind === 'snapshot');
  const told = async (kind: string, count = 1): Promise<void> => {
    while (snapshotEvents().filter(({ event }) => event === kind).length < count) {
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  return { replica, events, snapshotEvents, told };
}
