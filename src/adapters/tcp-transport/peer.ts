/** What the transport keeps of each peer. */

import type { ExpectedPeer } from './handshake.js';
import type { Outgoing } from './outgoing.js';
import type { Place } from './place.js';

export interface TcpPeer extends ExpectedPeer {
  readonly address: string;
  readonly place: Place;
  /** The IP address from which it last dialled this replica; empty before. */
  from: string;
  incarnation: number | null;
  /** The incarnation that answered the last dial; `null` before. */
  reached: number | null;
  readonly control: Outgoing;
  readonly bulk: Outgoing;
  /** The largest message that the peer takes. */
  limit: number;
}
