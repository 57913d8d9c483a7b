/** Abstract states of a cluster: how many different ones a search has met shows whether it still finds new ones. */

import type { Status } from '../../core/protocol.js';

/** The rank of each replica by one number of its status; -1 for a replica that is down. */
function ranks(statuses: readonly (Status | null)[], of: (status: Status) => number): number[] {
  const values = statuses.flatMap((status) => (status === null ? [] : [of(status)]));
  const order = [...new Set(values)].sort((a, b) => a - b);
  return statuses.map((status) => (status === null ? -1 : order.indexOf(of(status))));
}

/** A hash of the replicas' roles and of the order of their terms, logs and commit indexes. */
export function abstractState(statuses: readonly (Status | null)[]): number {
  const parts = [
    statuses.map((status) => status?.role.length ?? 0),
    ranks(statuses, (status) => status.term),
    ranks(statuses, (status) => status.last),
    ranks(statuses, (status) => status.commit),
  ];
  let hash = 0x811c9dc5;
  for (const part of parts) for (const value of part) hash = Math.imul(hash ^ value, 0x01000193);
  return hash;
}
