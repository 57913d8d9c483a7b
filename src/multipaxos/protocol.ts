/** Multi-Paxos as an implementation of the contract `Protocol`, and its choice for a replica. */

import { freshAt } from '../core/freshness.js';
import { choose, type ProtocolChoice, type Tuning } from '../core/tuning.js';
import { coreStatus } from '../core/state.js';
import { durableRecords } from '../core/record-codec.js';
import type { PeerStatus, Protocol, Status } from '../core/protocol.js';
import { paxosCodec } from './codec.js';
import { checkState, checkStep } from './invariants.js';
import type { PaxosMessage } from './messages.js';
import type { PaxosProgress } from './progress.js';
import { commitOf, type PaxosState } from './state.js';
import { deadline, init, step } from './step.js';
import { lastVote } from './window.js';

function statusOfPeer({ id, durable, next, answeredAt }: PaxosProgress): PeerStatus {
  return { id, match: durable, next, answeredAt };
}

function statusOf(state: PaxosState): Status {
  const { role, promised, window } = state;
  const commit = commitOf(state);
  const peers = role.kind === 'leader' ? role.peers.map(statusOfPeer) : [];
  const uncommittedBytes = role.kind === 'leader' ? window.bytes : 0;
  return coreStatus(state, {
    term: promised,
    commit,
    last: Math.max(commit, lastVote(window)),
    uncommittedBytes,
    peers,
  });
}

/** The pure functions, for a host of one's own. */
export const multipaxosProtocol: Protocol<PaxosState, PaxosMessage> = {
  name: 'multipaxos',
  init,
  step,
  checkStep,
  checkState,
  deadline,
  freshAt: (state, now) => freshAt(state, commitOf(state), now),
  status: statusOf,
  codec: paxosCodec,
  durable: {
    ...durableRecords,
    // A bounded part of the chosen prefix, and every vote above it.
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
