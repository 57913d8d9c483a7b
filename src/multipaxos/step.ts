/**
 * One step of a replica: the rule about ballots once, one arm for each kind of message, then whatever the new state
 * allows. And how a replica starts.
 */

import { unreachable } from '../core/assert.js';
import { noDelivery } from '../core/delivery.js';
import { firstNumberOf } from '../core/draft.js';
import { emptyLog, recoverLog } from '../core/log.js';
import { checkConfiguration, type Member, type ReplicaId } from '../core/members.js';
import type { Inbound, Milliseconds, ProtocolOptions, Recovered, Step } from '../core/protocol.js';
import { nextSeed } from '../core/random.js';
import { readsDeadline } from '../core/reads.js';
import { attemptsDeadline } from '../core/attempts.js';
import { startElectionTimer } from '../core/election-timer.js';
import { onAccept, onHeartbeat, onPrepare, refuse } from './acceptor.js';
import { numberOf } from './ballot.js';
import { onCatchUp, retryCatchUp } from './catch-up.js';
import { PaxosDraft } from './draft.js';
import {
  campaign,
  electionDeadline,
  onNack,
  onPromise,
  recoveredPromise,
  tickElection,
  tryToLead,
} from './election.js';
import { onAccepted, onUnreachable, proceed } from './leader.js';
import { deliver, onApplied, onCatchUpReply, onCommit, onLoaded } from './learner.js';
import type { PaxosMessage } from './messages.js';
import { endAll, expire, onCancel, onForward, onPropose, onRefused } from './proposals.js';
import { onHeartbeatAnswer, onRead, onReadIndex, onReadIndexReply } from './reads.js';
import { placeOf, type PaxosState, type PaxosOptions } from './state.js';
import { emptyWindow, withVotes, type VoteWindow } from './window.js';

type PaxosStep = Step<PaxosState, PaxosMessage>;

const NOTHING: readonly never[] = [];

/**
 * The rule about ballots: whoever leads or campaigns does so in a ballot of its own, and what is below the promise is
 * refused. Only the owner's own word counts. Gives whether the message may go on.
 */
function admits(draft: PaxosDraft, sender: Member, m: PaxosMessage): boolean {
  switch (m.kind) {
    case 'prepare':
    case 'accept':
    case 'heartbeat':
      if (numberOf(m.ballot) !== sender.number) return false;
      if (m.ballot >= draft.state.promised) return true; // paxos/promise-binds, paxos/vote-at-promise
      refuse(draft, sender.id, m.ballot);
      return false;
    case 'commit':
    case 'readIndexReply':
      return numberOf(m.ballot) === sender.number;
    default:
      return true;
  }
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
      return onHeartbeatAnswer(draft, from, m);
    case 'commit':
      return onCommit(draft, from, m);
    case 'catchUp':
      return onCatchUp(draft, from, m);
    case 'catchUpReply':
      return onCatchUpReply(draft, from, m);
    case 'forward':
      return onForward(draft, from, m);
    case 'refused':
      return onRefused(draft, m);
    case 'readIndex':
      return onReadIndex(draft, from, m);
    case 'readIndexReply':
      return onReadIndexReply(draft, from, m);
    default:
      unreachable(m);
  }
}

function onReceive(draft: PaxosDraft, from: ReplicaId, m: PaxosMessage): void {
  const { others } = draft.state.options;
  const sender = others[placeOf(draft.state, from)];
  if (sender !== undefined && admits(draft, sender, m)) onMessage(draft, from, m);
}

function onPersisted(draft: PaxosDraft, persistSeq: number): void {
  if (persistSeq > draft.state.persistSeq) throw new RangeError(`persisted: ${persistSeq} was never issued`);
  if (persistSeq > draft.state.durableSeq) draft.durableTo(persistSeq);
}

/** Ends everything and falls silent. */
function onEnd(draft: PaxosDraft, reason: 'stopped' | 'storageFailed', fault: string | null): void {
  endAll(draft, reason);
  if (draft.state.role.kind !== 'follower') draft.setRole({ kind: 'follower', leader: null, ballot: 0 });
  draft.halt(fault);
  const { promised } = draft.state;
  draft.event({ kind: 'role', role: 'follower', term: promised, leader: null, fence: null });
  if (fault !== null) draft.event({ kind: 'fault', reason: fault });
}

function onTick(draft: PaxosDraft): void {
  const due = deadline(draft.state);
  if (draft.now < due) return;
  expire(draft);
  tickElection(draft, due);
  retryCatchUp(draft);
}

function onInbound(draft: PaxosDraft, m: Inbound<PaxosMessage>): void {
  switch (m.kind) {
    case 'receive':
      return onReceive(draft, m.from, m.message);
    case 'tick':
      return onTick(draft);
    case 'propose':
      return onPropose(draft, m);
    case 'read':
      return onRead(draft, m);
    case 'campaign':
      return draft.state.role.kind === 'follower' ? campaign(draft) : undefined;
    case 'cancel':
      return onCancel(draft, m.requests);
    case 'stop':
      return onEnd(draft, 'stopped', null);
    case 'persisted':
      return onPersisted(draft, m.persistSeq);
    case 'storageFailed':
      return onEnd(draft, 'storageFailed', m.reason);
    case 'loaded':
      return onLoaded(draft, m);
    case 'applied':
      return onApplied(draft, m);
    case 'unreachable':
      return onUnreachable(draft, m.peer);
    default:
      unreachable(m);
  }
}

/** Whatever follows from the new state: leading, W, what is re-proposed and sent, what is handed over. */
function conclude(draft: PaxosDraft): void {
  if (draft.state.role.kind === 'candidate') tryToLead(draft);
  if (draft.state.role.kind === 'leader') proceed(draft);
  deliver(draft);
  draft.evict();
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
  const { role, catchingUp } = state;
  let due = Math.min(electionDeadline(state), catchingUp?.retryAt ?? Infinity);
  if (state.attempts.length > 0) due = Math.min(due, attemptsDeadline(state.attempts));
  if (state.reads.length > 0) due = Math.min(due, readsDeadline(state.reads));
  if (role.kind !== 'leader') return due;
  due = Math.min(due, readsDeadline(role.reads.waiting));
  for (const { reads } of role.reads.begun) due = Math.min(due, readsDeadline(reads));
  return due;
}

function optionsOf({ id, configuration, timing, limits }: ProtocolOptions): PaxosOptions {
  checkConfiguration(configuration);
  const { members, constants } = configuration;
  const me = members.find((member) => member.id === id);
  if (me === undefined) throw new RangeError(`id: ${id} is no member of the configuration`);
  const others = members.filter((member) => member.id !== id);
  return { id, number: me.number, others, alpha: constants.alpha, timing, limits };
}

/** The two stores as they were on disk: chosen entries up to the recovered W, votes above it. */
function recoverStores(recovered: Recovered): Pick<PaxosState, 'log' | 'window' | 'promised'> {
  const w = recovered.hard?.commit ?? 0;
  const votes = recovered.tail.filter((entry) => entry.index > w);
  let window: VoteWindow = emptyWindow;
  for (const vote of votes) window = withVotes(window, [vote]);
  const log = w === 0 ? emptyLog : recoverLog(recovered, w);
  return { log, window, promised: recoveredPromise(recovered.hard, votes) };
}

export function init(options: ProtocolOptions, recovered: Recovered): PaxosStep {
  const self = optionsOf(options);
  const seed = nextSeed(options.seed);
  const state: PaxosState = {
    now: options.now,
    persistSeq: 0,
    durableSeq: 0,
    hardSeq: 0,
    lastNumber: firstNumberOf(options.boot),
    options: self,
    seed,
    ...recoverStores(recovered),
    unsynced: [],
    leaderCommitBallot: 0,
    leaderCommit: 0,
    delivery: noDelivery,
    catchingUp: null,
    serving: [],
    role: { kind: 'follower', leader: null, ballot: 0 },
    highestBallotSeen: 0,
    electionTimer: startElectionTimer(seed, options.now, options.timing),
    attempts: [],
    reads: [],
    stopped: false,
    fault: null,
  };
  const draft = new PaxosDraft(Object.freeze(state), options.now);
  draft.members(options.configuration.members);
  if (self.others.length === 0) campaign(draft); // nobody to wait for
  conclude(draft);
  return draft.finish();
}
