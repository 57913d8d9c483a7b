/**
 * Multi-Paxos' `init` and `step`: the rule on ballots, one handler for each kind of message, and after it what the new
 * state allows: leading, committing, proposing again, sending, delivering.
 */

import { assert, unreachable } from '../core/assert.js';
import { onSnapshotTaken } from '../core/compaction.js';
import { deliver, onApplied, onDeliveryLoaded } from '../core/delivery.js';
import { endForDisconnect, expireRequests, onCancel, requestsDeadline } from '../core/ending.js';
import { recoverLog } from '../core/log.js';
import type { Member, ReplicaId } from '../core/members.js';
import type { Inbound, Milliseconds, ProtocolOptions, Recovered, Step } from '../core/protocol.js';
import { onPropose, onUnsent } from '../core/proposals.js';
import { tellCommits } from '../core/notices.js';
import { onPeerUnreachable, refusesElection, seekElection } from '../core/pre-vote.js';
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
import { bearingSpan, nack, onAccept, onPrepare } from './acceptor.js';
import { numberOf, succeeds } from './ballot.js';
import { endQuestions, onLogBegins, retryCatchUp } from './catch-up.js';
import { PaxosDraft } from './draft.js';
import { electionDeadline, electionRules, onNack, tickElection, transferRules } from './election.js';
import { onHeartbeat, onHeartbeatReply } from './heartbeat.js';
import { lossDeadline, noticeRules, onAccepted, onDisconnected, proceed, takeForLost } from './leader.js';
import { onCatchUpReply, onCommit, onInstall } from './learner.js';
import type { PaxosMessage, Prepare } from './messages.js';
import { campaign, onPromise, recoveredPromise, tryToLead } from './phase1.js';
import { proposalRules, wakeRules } from './proposals.js';
import {
  cancelQuorumReads,
  onAskSlots,
  onQuorumRead,
  onSlots,
  quorumReadsDeadline,
  retryQuorumReads,
  serveQuorumReads,
} from './quorum-reads.js';
import { onReadAnswer, readRules } from './reads.js';
import { onCatchUp, onPeerLoaded } from './serving.js';
import type { PaxosOptions, PaxosState } from './state.js';
import { emptyWindow, lastVote, withVotes, type VoteWindow } from './window.js';

type PaxosStep = Step<PaxosState, PaxosMessage>;

const coreRules: CoreRules<PaxosDraft> = {
  election: electionRules,
  transfer: transferRules,
  proposals: proposalRules,
  reads: readRules,
  onLogBegins,
  onReadAnswer,
};

const NOTHING: readonly never[] = [];

/**
 * The rule on ballots: a leader's or candidate's message counts only if its sender owns its ballot, and one below the
 * promise is refused with a Nack. Gives whether the message is to be handled.
 */
function admits(draft: PaxosDraft, sender: Member, m: PaxosMessage): boolean {
  switch (m.kind) {
    case 'preVote':
      return numberOf(m.term) === sender.number;
    case 'prepare':
    case 'accept':
    case 'heartbeat':
      if (numberOf(m.ballot) !== sender.number) return false;
      if (m.kind === 'prepare' && isHeldUp(draft, sender.id, m)) return false;
      if (m.ballot >= draft.state.promised) return true; // paxos/promise-binds, paxos/vote-at-promise
      nack(draft, sender.id, m.ballot);
      return false;
    case 'commit':
      return numberOf(m.ballot) === sender.number;
    case 'readAnswer':
      return numberOf(m.term) === sender.number;
    default:
      return true;
  }
}

/**
 * Whether this Prepare would depose a leader that this replica hears (liveness/sticky-leader). One that the leader
 * handed over to is not held up: only its target asks so in the next round (liveness/handover-passes-stickiness).
 */
function isHeldUp(draft: PaxosDraft, from: ReplicaId, { ballot, handover }: Prepare): boolean {
  const { promised } = draft.state;
  if (ballot <= promised || (handover && succeeds(ballot, promised))) return false;
  return refusesElection(draft, from);
}

function onMessage(draft: PaxosDraft, from: ReplicaId, m: PaxosMessage): void {
  switch (m.kind) {
    case 'prepare':
      return onPrepare(draft, from, m);
    case 'promise':
      return onPromise(draft, from, m);
    case 'nack':
      return onNack(draft, from, m);
    case 'accept':
      return onAccept(draft, from, m);
    case 'accepted':
      return onAccepted(draft, from, m);
    case 'heartbeat':
      return onHeartbeat(draft, from, m);
    case 'heartbeatReply':
      return onHeartbeatReply(draft, from, m);
    case 'commit':
      return onCommit(draft, from, m);
    case 'catchUp':
      return onCatchUp(draft, from, m);
    case 'catchUpReply':
      return onCatchUpReply(draft, from, m);
    case 'askSlots':
      return onAskSlots(draft, from, m);
    case 'slots':
      return onSlots(draft, from, m);
    default:
      onCoreMessage(draft, coreRules, from, m);
  }
}

function onReceive(draft: PaxosDraft, from: ReplicaId, m: PaxosMessage): void {
  const { others } = draft.state.options;
  const sender = others[placeOf(draft.state.options, from)];
  if (sender !== undefined && admits(draft, sender, m)) onMessage(draft, from, m);
}

function onTick(draft: PaxosDraft): void {
  const due = deadline(draft.state);
  if (draft.now < due) return;
  expireRequests(draft);
  tickElection(draft, due);
  tickTransfer(draft, transferRules);
  tickWake(draft, wakeRules);
  takeForLost(draft);
  retryCatchUp(draft);
  retryQuorumReads(draft);
}

function onInbound(draft: PaxosDraft, m: Inbound<PaxosMessage>): void {
  switch (m.kind) {
    case 'receive':
      return onReceive(draft, m.from, m.message);
    case 'tick':
      return onTick(draft);
    case 'propose':
      return onPropose(draft, proposalRules, m);
    case 'read':
      return m.byQuorum === true ? onQuorumRead(draft, m) : onRead(draft, readRules, m);
    case 'campaign':
      return draft.state.role.kind === 'follower' ? seekElection(draft, electionRules) : undefined;
    case 'transfer':
      return onTransfer(draft, transferRules, m);
    case 'leave':
      return onLeave(draft, transferRules);
    case 'cancel':
      cancelQuorumReads(draft, m.requests);
      return onCancel(draft, m.requests);
    case 'stop':
      return draft.halt(null);
    case 'persisted':
      return draft.persisted(m.persistSeq);
    case 'storageFailed':
      return draft.halt(m.reason);
    case 'storageFull':
      return onStorageFull(draft, transferRules, m.full);
    case 'loaded':
      // For delivery, or for a peer that asked.
      return onDeliveryLoaded(draft, m) ? undefined : onPeerLoaded(draft, m.id, m.entries);
    case 'applied':
      return onApplied(draft, m.index);
    case 'snapshotTaken':
      return onSnapshotTaken(draft, m);
    case 'install':
      return onInstall(draft, m.snapshot);
    case 'unsent':
      return onUnsent(draft, m.number);
    case 'disconnected':
      endForDisconnect(draft, m.peer);
      endQuestions(draft, m.peer);
      return onDisconnected(draft, m.peer);
    case 'unreachable':
      endForDisconnect(draft, m.peer);
      endQuestions(draft, m.peer);
      onDisconnected(draft, m.peer);
      return onPeerUnreachable(draft, electionRules, m.peer);
    case 'resumed':
      return onResumed(draft);
    case 'wallClock':
      return onWallClock(draft, m.ahead);
    case 'wakeAt':
      return onWakeAt(draft, m.time);
    default:
      unreachable(m);
  }
}

/** Does what the new state allows: lead, or as leader commit, propose again and send; and deliver. */
function conclude(draft: PaxosDraft): void {
  if (draft.state.role.kind === 'candidate') tryToLead(draft);
  if (draft.state.role.kind === 'leader') {
    proceed(draft);
    conductReads(draft, readRules);
    tellCommits(draft, noticeRules);
    conductTransfer(draft, transferRules); // it may end the leadership
  }
  serveQuorumReads(draft);
  deliver(draft);
}

export function step(state: PaxosState, m: Inbound<PaxosMessage>): PaxosStep {
  if (state.stopped) return [state, NOTHING];
  const draft = new PaxosDraft(state, m.now);
  onInbound(draft, m);
  if (draft.state !== state && !draft.state.stopped) conclude(draft);
  return draft.finish();
}

/** When the next tick is due. */
export function deadline(state: PaxosState): Milliseconds {
  if (state.stopped) return Infinity;
  const { catchingUp } = state;
  const learning = Math.min(catchingUp?.retryAt ?? Infinity, quorumReadsDeadline(state));
  const leading = Math.min(lossDeadline(state), transferDeadline(state), wakeDeadline(state));
  return Math.min(electionDeadline(state), requestsDeadline(state), leading, learning);
}

function optionsOf(start: ProtocolOptions): PaxosOptions {
  const options = coreOptionsOf(start);
  const { members, constants } = start.configuration;
  const { number } = members.find((member) => member.id === start.id) as Member;
  return { ...options, number, alpha: constants.alpha };
}

/**
 * The two stores as they were on disk: chosen entries up to the recovered commit index, votes above it. No vote lies
 * more than α above that index: one was cast at most α above the commit index of its time, and the persist that holds
 * it ends with that commit index, which is atomic with it and never falls. So what Phase 1 reports, what a leader
 * proposes again and what is kept of promises is bounded by α after a crash, too.
 */
function recoverStores(recovered: Recovered, alpha: number): Pick<PaxosState, 'log' | 'window' | 'promised'> {
  const commit = Math.max(recovered.hard?.commit ?? 0, recovered.base.index);
  const votes = recovered.tail.filter((entry) => entry.index > commit);
  let window: VoteWindow = emptyWindow;
  for (const vote of votes) window = withVotes(window, [vote]);
  assert(
    lastVote(window) <= commit + alpha,
    'paxos/alpha-window: no recovered vote lies beyond the recovered commit index + α',
  );
  const log = recoverLog(recovered, commit);
  return { log, window, promised: recoveredPromise(recovered.hard, votes) };
}

/** A replica that starts, as a follower, from what was durable. */
export function init(start: ProtocolOptions, recovered: Recovered): PaxosStep {
  const options = optionsOf(start);
  const { log, window, promised } = recoverStores(recovered, options.alpha);
  const state: PaxosState = {
    options,
    ...startOf(
      start,
      options,
      log,
      recovered.snapshot,
      boundAtStart(options, start.now, recovered.hard === null),
      newestStamp(recovered.tail),
    ),
    role: { kind: 'follower', leader: null, ballot: 0 },
    promised,
    window,
    bearing: { until: Infinity, span: bearingSpan(options.timing) },
    strandings: 0,
    leaderCommitBallot: 0,
    leaderCommit: 0,
    catchingUp: null,
    serving: [],
    quorumReads: [],
    reported: emptyWindow,
    highestBallotSeen: 0,
  };
  const draft = new PaxosDraft(state, start.now);
  draft.members(start.configuration.members);
  if (options.others.length === 0) campaign(draft); // nobody to wait for
  conclude(draft);
  return draft.finish();
}
