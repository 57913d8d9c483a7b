/**
 * Raft's `init` and `step`: the rule for all servers on terms (Figure 2), then one handler for each kind of message.
 */

import { assert, unreachable } from '../core/assert.js';
import { goOnBehind, isNews, onSnapshotTaken } from '../core/compaction.js';
import { deliver, onApplied, onDeliveryLoaded } from '../core/delivery.js';
import { endForDisconnect, expireRequests, onCancel, requestsDeadline } from '../core/ending.js';
import { lastTerm, recoverLog } from '../core/log.js';
import type {
  Inbound,
  Loaded,
  Milliseconds,
  ProtocolOptions,
  Receive,
  Recovered,
  SnapshotName,
  Step,
} from '../core/protocol.js';
import { onPropose, onUnsent } from '../core/proposals.js';
import { tellCommits } from '../core/notices.js';
import { onPeerUnreachable, seekElection } from '../core/pre-vote.js';
import { boundAtStart, onResumed } from '../core/lease-reads.js';
import { newestStamp, onWakeAt, onWallClock, tickWake, wakeDeadline } from '../core/log-time.js';
import { conductReads, onRead } from '../core/reads.js';
import { onCoreMessage, type CoreRules } from '../core/receiving.js';
import { coreOptionsOf, placeOf, startOf } from '../core/state.js';
import {
  conductTransfer,
  onLeave,
  onStorageFull,
  onTransfer,
  tickTransfer,
  transferDeadline,
} from '../core/transfer.js';
import { RaftDraft } from './draft.js';
import {
  bringsTerm,
  campaign,
  countOwnVote,
  electionRules,
  onRequestVote,
  onRequestVoteReply,
  tickElection,
  transferRules,
} from './election.js';
import type { RaftMessage } from './messages.js';
import { proposalRules, wakeRules } from './proposals.js';
import { onReadAnswer, onReadRoundConfirmed, readRules } from './reads.js';
import {
  onAppendAccepted,
  onAppendEntries,
  onAppendRejected,
  onCommit,
  onLogBegins,
  tryCommit,
} from './replication.js';
import { heartbeat, noticeRules, onDisconnected, onPeerLoaded, probeBehindBase } from './sending.js';
import type { RaftState } from './state.js';

type RaftStep = Step<RaftState, RaftMessage>;

const coreRules: CoreRules<RaftDraft> = {
  election: electionRules,
  transfer: transferRules,
  proposals: proposalRules,
  reads: readRules,
  onLogBegins,
  onReadAnswer,
};

/** A replica that starts, as a follower, from what was durable. */
export function init(start: ProtocolOptions, recovered: Recovered): RaftStep {
  const options = coreOptionsOf(start);
  const log = recoverLog(recovered);
  const { hard } = recovered;
  const term = hard?.term ?? 0;
  assert(lastTerm(log) <= term, 'raft/terms-rise-in-log: no recovered entry is of a later term than the replica');
  const state: RaftState = {
    options,
    ...startOf(
      start,
      options,
      log,
      recovered.snapshot,
      boundAtStart(options, start.now, hard === null),
      newestStamp(recovered.tail),
    ),
    role: { kind: 'follower', leader: null, matched: 0, readRound: 0 },
    term,
    vote: hard?.vote ?? null,
    commit: Math.max(Math.min(hard?.commit ?? 0, log.last), recovered.base.index),
  };
  const draft = new RaftDraft(state, start.now);
  draft.members(start.configuration.members);
  if (options.others.length === 0) campaign(draft); // nobody to wait for
  deliver(draft);
  return draft.finish();
}

export function step(state: RaftState, inbound: Inbound<RaftMessage>): RaftStep {
  const draft = new RaftDraft(state, inbound.now);
  if (!state.stopped) onInbound(draft, state, inbound);
  if (draft.state !== state && draft.state.role.kind === 'leader') conclude(draft);
  return draft.finish();
}

/** The last part of every step of a leader that changed something. */
function conclude(draft: RaftDraft): void {
  conductReads(draft, readRules);
  tellCommits(draft, noticeRules);
  conductTransfer(draft, transferRules); // it may end the leadership
}

function onInbound(draft: RaftDraft, state: RaftState, inbound: Inbound<RaftMessage>): void {
  switch (inbound.kind) {
    case 'receive':
      return onReceive(draft, inbound);
    case 'tick':
      return onTick(draft, deadline(state));
    case 'propose':
      return onPropose(draft, proposalRules, inbound);
    case 'read':
      return onRead(draft, readRules, inbound);
    case 'campaign':
      return seekElection(draft, electionRules);
    case 'transfer':
      return onTransfer(draft, transferRules, inbound);
    case 'leave':
      return onLeave(draft, transferRules);
    case 'cancel':
      return onCancel(draft, inbound.requests);
    case 'stop':
      return draft.halt(null);
    case 'persisted':
      draft.persisted(inbound.persistSeq);
      countOwnVote(draft);
      return tryCommit(draft);
    case 'storageFailed':
      return draft.halt(inbound.reason);
    case 'storageFull':
      return onStorageFull(draft, transferRules, inbound.full);
    case 'loaded':
      return onLoaded(draft, inbound);
    case 'applied':
      onApplied(draft, inbound.index);
      return deliver(draft);
    case 'snapshotTaken':
      onSnapshotTaken(draft, inbound);
      return probeBehindBase(draft);
    case 'install':
      return onInstall(draft, inbound.snapshot);
    case 'unsent':
      return onUnsent(draft, inbound.number);
    case 'disconnected':
      endForDisconnect(draft, inbound.peer);
      return onDisconnected(draft, inbound.peer);
    case 'unreachable':
      endForDisconnect(draft, inbound.peer);
      onDisconnected(draft, inbound.peer);
      return onPeerUnreachable(draft, electionRules, inbound.peer);
    case 'resumed':
      return onResumed(draft);
    case 'wallClock':
      return onWallClock(draft, inbound.ahead);
    case 'wakeAt':
      return onWakeAt(draft, inbound.time);
    default:
      unreachable(inbound);
  }
}

/** A snapshot of a peer. A leader has all that is in it: its log holds what is committed (§5.4.3). */
function onInstall(draft: RaftDraft, snapshot: SnapshotName): void {
  const { role, term } = draft.state;
  if (!isNews(draft, snapshot) || (role.kind === 'leader' && term >= snapshot.term)) return;
  draft.install(snapshot);
  goOnBehind(draft, snapshot);
  deliver(draft);
}

/** Rules for Servers, all servers: a newer term makes a follower. Messages of non-members are ignored. */
function onReceive(draft: RaftDraft, { from, message }: Receive<RaftMessage>): void {
  if (placeOf(draft.state.options, from) < 0) return;
  if (bringsTerm(draft, from, message)) draft.yieldTo(message.term);
  switch (message.kind) {
    case 'requestVote':
      return onRequestVote(draft, from, message);
    case 'requestVoteReply':
      return onRequestVoteReply(draft, from, message);
    case 'appendEntries':
      return onAppendEntries(draft, from, message);
    case 'appendAccepted':
      return onAppendAccepted(draft, from, message);
    case 'appendRejected':
      return onAppendRejected(draft, from, message);
    case 'roundConfirmed':
      return onReadRoundConfirmed(draft, from, message);
    case 'commit':
      return onCommit(draft, from, message);
    default:
      onCoreMessage(draft, coreRules, from, message);
  }
}

function onTick(draft: RaftDraft, due: Milliseconds): void {
  if (draft.now < due) return;
  expireRequests(draft);
  tickElection(draft, due);
  tickTransfer(draft, transferRules);
  tickWake(draft, wakeRules);
  const { role } = draft.state;
  if (role.kind === 'leader' && draft.now >= role.heartbeatAt) heartbeat(draft);
}

/** Entries loaded from storage: for delivery, or for a follower that lags behind. */
function onLoaded(draft: RaftDraft, message: Loaded): void {
  if (onDeliveryLoaded(draft, message)) deliver(draft);
  else onPeerLoaded(draft, message.id, message.entries);
}

/** When the next tick is due. */
export function deadline(state: RaftState): Milliseconds {
  if (state.stopped) return Infinity;
  const { role, electionTimer } = state;
  const due = Math.min(electionTimer.deadline, requestsDeadline(state), transferDeadline(state), wakeDeadline(state));
  return role.kind === 'leader' ? Math.min(due, role.heartbeatAt) : due;
}
