/**
 * What may leave memory (limits/tail-by-need): entries that are delivered here, and that each peer that answers has
 * acknowledged. A peer that does not answer has them loaded when it is back.
 */

import type { Index, Milliseconds } from './protocol.js';
import { isSilent, type CoreProgress, type CoreState } from './state.js';

/** Up to here nobody is known to need the entries in memory. */
export function spentOf({ delivery, role, options }: CoreState, now: Milliseconds): Index {
  let spent = delivery.delivered;
  if (role.kind !== 'leader') return spent;
  for (let at = 0; at < role.peers.length; at++) {
    const peer = role.peers[at] as CoreProgress;
    if (peer.match < spent && !isSilent(peer, options.timing, now)) spent = peer.match;
  }
  return spent;
}
