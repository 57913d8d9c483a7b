/** A replica that is a cluster by itself, in memory, with short timeouts. */

import { memoryNetwork, memoryStorage, raft, type AnyMachine, type ReplicaOptions } from 'quorate';

export const timing = { heartbeat: 30, electionMin: 100, electionMax: 200 };

/** Its options, with these in place of others. */
export function aloneOptions<M extends AnyMachine>(
  change: Partial<ReplicaOptions<M>> & Pick<ReplicaOptions<M>, 'machine'>,
): ReplicaOptions<M> {
  const basic = { id: 'a', members: { a: 'a' }, bootstrap: true, protocol: raft({ timing }) };
  return { ...basic, transport: memoryNetwork().transport(), storage: memoryStorage(), ...change } as ReplicaOptions<M>;
}
