/** Multi-Paxos' core as the contract asks for it, and how it is chosen for a replica. Only evidence stands above it. */

import { choose, type ProtocolChoice, type Tuning } from '../core/tuning.js';
import { durableIndex } from '../core/unsynced.js';
import { durableRecords } from '../core/record-codec.js';
import type { Protocol, Status } from '../core/protocol.js';
import { paxosCodec } from './codec.js';
import { checkState, checkStep } from './invariants.js';
import type { PaxosMessage } from './messages.js';
import { commitOf, leaderOf, type PaxosState } from './state.js';
import { deadline, init, step } from './step.js';
import { lastVote } from './window.js';

function statusOf(state: PaxosState): Status {
  const { role, delivery } = state;
  const chosen = commitOf(state);
  const last = Math.max(chosen, lastVote(state.window));
  return {
    id: state.options.id,
    role: role.kind,
    term: state.promised,
    leader: leaderOf(state),
    commit: chosen,
    delivered: delivery.delivered,
    applied: delivery.applied,
    last,
    durable: durableIndex(state.unsynced, last),
    peers: role.kind === 'leader' ? role.peers.map(({ id, durable, next }) => ({ id, match: durable, next })) : [],
    fault: state.fault,
  };
}

/** The pure core, for those who drive it themselves. */
export const multipaxosProtocol: Protocol<PaxosState, PaxosMessage> = {
  name: 'multipaxos',
  init,
  step,
  checkStep,
  checkState,
  deadline,
  status: statusOf,
  codec: paxosCodec,
  durable: {
    ...durableRecords,
    // A bounded part of what is chosen, and every vote above it.
    tailFrom(hard, first, _last, limits) {
      return Math.max(first, (hard?.commit ?? 0) - limits.tailEntries + 1);
    },
  },
};

/**
 * Multi-Paxos, with these settings.
 * @throws RangeError that names the setting and what was expected
 */
export function multipaxos(tuning: Tuning = {}): ProtocolChoice {
  return choose(multipaxosProtocol, tuning);
}
