/**
 * The health of the other members, as a leader knows it: by how long ago each has answered. Told as events when it
 * changes, and in `status`. It decides nothing.
 *
 * Invariant: each event names a change; a member of which nothing was told is `online`.
 */

import type { Mutable } from '../../core/draft.js';
import type { Milliseconds, PeerStatus, Timing } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import { PartDraft } from './part-draft.js';

/**
 * `online`: it answered within `timing.electionMin`. `suspect`: within twice `timing.electionMax`. `offline`: not even
 * then, or its process refuses connections.
 */
export type PeerHealth = 'online' | 'suspect' | 'offline';

/** @see HealthDraft */
export interface HealthState {
  /** The members that were last told to be `suspect` or `offline`. */
  readonly ailing: readonly { readonly id: ReplicaId; readonly health: PeerHealth }[];
  /** The members whose process refused connections, and of which nothing was heard since; known whoever leads. */
  readonly refusing: readonly ReplicaId[];
}

export const allHealthy: HealthState = { ailing: [], refusing: [] };

/** The health of a leader's peer. */
export function healthOf(
  { id, answeredAt }: PeerStatus,
  { refusing }: HealthState,
  now: Milliseconds,
  timing: Timing,
): PeerHealth {
  const silence = answeredAt === 0 || refusing.includes(id) ? Infinity : now - answeredAt;
  if (silence < timing.electionMin) return 'online';
  return silence < 2 * timing.electionMax ? 'suspect' : 'offline';
}

export class HealthDraft extends PartDraft<HealthState> {
  protected override copy({ ailing, refusing }: HealthState): Mutable<HealthState> {
    return { ailing, refusing };
  }

  /** The process of this member refuses connections. */
  refused(id: ReplicaId): void {
    if (!this.state.refusing.includes(id)) this.edit().refusing = [...this.state.refusing, id];
  }

  /** A message of this member has arrived. */
  heard(id: ReplicaId): void {
    const { refusing } = this.state;
    if (refusing.length > 0 && refusing.includes(id)) this.edit().refusing = refusing.filter((each) => each !== id);
  }

  /** Whether this member was last told to be ailing. */
  isAiling(id: ReplicaId): boolean {
    return this.state.ailing.some((each) => each.id === id);
  }

  /** Tells what has changed. @param peers of a leader its peers; empty at any other replica */
  judge(peers: readonly PeerStatus[]): void {
    const { draft } = this;
    const { ailing } = this.state;
    const { timing } = draft.options;
    const now = peers.map((peer) => ({ id: peer.id, health: healthOf(peer, this.state, draft.now, timing) }));
    const changed = now.filter(({ id, health }) => {
      return health !== (ailing.find((each) => each.id === id)?.health ?? 'online');
    });
    if (changed.length === 0 && (peers.length > 0 || ailing.length === 0)) return;
    this.edit().ailing = now.filter(({ health }) => health !== 'online');
    for (const { id, health } of changed) draft.event({ kind: 'peer', peer: id, health });
  }
}
