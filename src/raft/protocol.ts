/** Raft as an implementation of the contract `Protocol`, and its choice for a replica. */

import { freshAt } from '../core/freshness.js';
import { choose, type ProtocolChoice, type Tuning } from '../core/tuning.js';
import { coreStatus } from '../core/state.js';
import { durableRecords } from '../core/record-codec.js';
import type { PeerStatus, Protocol, Status } from '../core/protocol.js';
import { raftCodec } from './codec.js';
import { checkState, checkStep } from './invariants.js';
import type { RaftMessage } from './messages.js';
import type { RaftProgress, RaftState } from './state.js';
import { deadline, init, step } from './step.js';

function statusOfPeer({ id, match, next, answeredAt }: RaftProgress): PeerStatus {
  return { id, match, next, answeredAt };
}

function statusOf(state: RaftState): Status {
  const { role, term, commit, log } = state;
  const peers = role.kind === 'leader' ? role.peers.map(statusOfPeer) : [];
  const uncommittedBytes = role.kind === 'leader' ? role.uncommittedBytes : 0;
  return coreStatus(state, { term, commit, last: log.last, uncommittedBytes, peers });
}

/** The pure functions, for a host of one's own. */
export const raftProtocol: Protocol<RaftState, RaftMessage> = {
  name: 'raft',
  init,
  step,
  checkStep,
  checkState,
  deadline,
  freshAt: (state, now) => freshAt(state, state.commit, now),
  status: statusOf,
  codec: raftCodec,
  durable: {
    ...durableRecords,
    // Raft needs no particular entry at the start: a bounded part of the end of the log will do.
    // What may not be committed is needed in memory: by a retry, and by whoever truncates it.
    tailFrom: (hard, first, last, limits) =>
      Math.max(first, Math.min((hard?.commit ?? 0) + 1, last - limits.tailEntries + 1)),
  },
};

/**
 * Raft, with these settings.
 * @throws RangeError that names the setting and what was expected
 */
export function raft(tuning: Tuning = {}): ProtocolChoice {
  return choose(raftProtocol, tuning);
}
