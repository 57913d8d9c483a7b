/** What a transport checks of the identities and peers that it is given. */

import { isReplicaId } from '../../core/members.js';
import { shown } from '../../core/shown.js';
import { invalidArgument } from '../../replica/errors.js';
import type { TransportIdentity, TransportPeer } from '../../replica/transport.js';
import { parseAddress } from './address.js';
import { MAX_CLUSTER } from './handshake.js';

/** @throws ERR_INVALID_ARGUMENT */
export function checkIdentity({ cluster, id, incarnation }: TransportIdentity, self: TransportPeer): void {
  const length = typeof cluster === 'string' ? new TextEncoder().encode(cluster).length : 0;
  if (length < 1 || length > MAX_CLUSTER) {
    throw invalidArgument(`cluster: expected a name of 1 to ${MAX_CLUSTER} bytes in UTF-8`);
  }
  if (!isReplicaId(id)) throw invalidArgument(`id: expected that of a replica, got ${shown(id)}`);
  if (self.id !== id) throw invalidArgument(`self.id: expected ${id}, got ${shown(self.id)}`);
  if (!Number.isSafeInteger(incarnation) || incarnation < 0) {
    throw invalidArgument(`incarnation: expected a safe integer ≥ 0, got ${shown(incarnation)}`);
  }
}

/** @throws ERR_INVALID_ARGUMENT for a malformed or repeated peer */
export function checkPeers(peers: readonly TransportPeer[]): void {
  const seen = new Set<string>();
  for (const { id, address } of peers) {
    if (!isReplicaId(id)) throw invalidArgument(`peers: expected ids of replicas, got ${shown(id)}`);
    if (seen.has(id)) throw invalidArgument(`peers: ${id} is there twice`);
    seen.add(id);
    parseAddress(address, `members.${id}`);
  }
}
