/** Raft's `init` and `step`: the rule for all servers on terms, once, then one call for each kind of message. */

import { assert, unreachable } from '../core/assert.js';
import { noDelivery, noteApplied } from '../core/delivery.js';
import { firstNumberOf } from '../core/draft.js';
import { recoverLog } from '../core/log.js';
import { checkConfiguration } from '../core/members.js';
import type {
  Inbound,
  Loaded,
  Milliseconds,
  Outcome,
  ProtocolOptions,
  Receive,
  Recovered,
  Step,
} from '../core/protocol.js';
import { nextSeed } from '../core/random.js';
import { allReads, dropReads, readsDeadline } from '../core/reads.js';
import { attemptsDeadline, endCancelled, endExpired } from '../core/attempts.js';
import { startElectionTimer } from '../core/election-timer.js';
import { RaftDraft } from './draft.js';
import { campaign, countOwnVote, tickElection, onRequestVote, onRequestVoteReply } from './election.js';
import type { RaftMessage } from './messages.js';
import { onForwardProposals, onProposalsRefused, onPropose } from './proposals.js';
import { onForwardRead, onRead, onReadAnswer, onReadRoundConfirmed } from './reads.js';
import { onAppendAccepted, onAppendEntries, onAppendRejected, tryCommit } from './replication.js';
import { fitting, heartbeat, onFollowerLoaded, onUnreachable } from './sending.js';
import { leaderOf, type RaftState } from './state.js';

type RaftStep = Step<RaftState, RaftMessage>;

/** A replica that starts, as a follower, from what was durable. */
export function init(options: ProtocolOptions, recovered: Recovered): RaftStep {
  checkConfiguration(options.configuration);
  const { id, timing, limits, now } = options;
  const members = options.configuration.members.map((member) => member.id);
  if (!members.includes(id)) throw new RangeError(`id: ${id} is no member of the configuration`);
  const { hard } = recovered;
  const log = recoverLog(recovered);
  const term = hard?.term ?? 0;
  assert(
    (log.runs[log.runs.length - 1]?.term ?? 0) <= term,
    'raft/terms-rise-in-log: no recovered entry is of a later term than the replica',
  );
  const seed = nextSeed(options.seed);
  const state: RaftState = {
    now,
    persistSeq: 0,
    durableSeq: 0,
    hardSeq: 0,
    lastNumber: firstNumberOf(options.boot),
    options: { id, others: members.filter((member) => member !== id), timing, limits },
    seed,
    term,
    vote: hard?.vote ?? null,
    log,
    unsynced: [],
    commit: Math.min(hard?.commit ?? 0, log.last),
    role: {
      kind: 'follower',
      leader: null,
      electionTimer: startElectionTimer(seed, now, timing),
      matched: 0,
      readRound: 0,
    },
    attempts: [],
    reads: [],
    delivery: noDelivery,
    fault: null,
    stopped: false,
  };
  const draft = new RaftDraft(state, now);
  draft.members(options.configuration.members);
  if (members.length === 1) campaign(draft); // nobody to wait for
  draft.deliver();
  return draft.finish();
}

export function step(state: RaftState, inbound: Inbound<RaftMessage>): RaftStep {
  const draft = new RaftDraft(state, inbound.now);
  if (!state.stopped) handle(draft, state, inbound);
  return draft.finish();
}

function handle(draft: RaftDraft, state: RaftState, inbound: Inbound<RaftMessage>): void {
  switch (inbound.kind) {
    case 'receive':
      return onReceive(draft, inbound);
    case 'tick':
      return onTick(draft, deadline(state));
    case 'propose':
      return onPropose(draft, inbound);
    case 'read':
      return onRead(draft, inbound);
    case 'campaign':
      return campaign(draft);
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
    case 'loaded':
      return onLoaded(draft, inbound);
    case 'applied':
      draft.setDelivery(noteApplied(draft.state.delivery, inbound.index));
      return draft.deliver();
    case 'unreachable':
      return onUnreachable(draft, inbound.peer);
    default:
      unreachable(inbound);
  }
}

/** Rules for Servers, all servers: a newer term makes a follower. Strangers are not heard. */
function onReceive(draft: RaftDraft, { from, message }: Receive<RaftMessage>): void {
  if (!draft.state.options.others.includes(from)) return;
  if (message.term > draft.state.term) draft.yieldTo(message.term);
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
    case 'forwardProposals':
      return onForwardProposals(draft, from, message);
    case 'proposalsRefused':
      return onProposalsRefused(draft, message);
    case 'forwardRead':
      return onForwardRead(draft, from, message);
    case 'readAnswer':
      return onReadAnswer(draft, from, message);
    default:
      unreachable(message);
  }
}

function onTick(draft: RaftDraft, due: Milliseconds): void {
  expire(draft);
  tickElection(draft, due);
  const { role } = draft.state;
  if (role.kind === 'leader' && draft.now >= role.heartbeatAt) heartbeat(draft);
}

function endReads(
  draft: RaftDraft,
  ends: (request: number, due: Milliseconds) => boolean,
  reason: 'deadline' | 'cancelled',
): void {
  const { role, reads } = draft.state;
  const outcome: Outcome = { kind: 'none', reason, leader: leaderOf(draft.state) };
  const gone = reads.filter((read) => ends(read.request, read.deadline));
  if (gone.length > 0) draft.setReads(reads.filter((read) => !gone.includes(read)));
  for (const read of gone) draft.resolve([read.request], outcome);
  if (role.kind !== 'leader') return;
  const [queue, ended] = dropReads(role.reads, (read) => ends(read.request, read.deadline));
  if (ended.length > 0) draft.ownLeader().reads = queue;
  for (const read of ended) if (read.peer === null) draft.resolve([read.request], outcome);
}

function expire(draft: RaftDraft): void {
  const { now } = draft;
  if (draft.state.attempts.length > 0) draft.end(endExpired(draft.state.attempts, now));
  endReads(draft, (_, due) => due <= now, 'deadline');
}

function onCancel(draft: RaftDraft, requests: readonly number[]): void {
  draft.end(endCancelled(draft.state.attempts, requests));
  endReads(draft, (request) => request !== 0 && requests.includes(request), 'cancelled');
}

function onLoaded(draft: RaftDraft, { id, entries }: Loaded): void {
  const { delivery, log, commit } = draft.state;
  if (delivery.loading !== id) return onFollowerLoaded(draft, id, entries);
  draft.setDelivery({ ...delivery, loading: 0 });
  const usable = fitting(log, entries, delivery.delivered + 1, commit);
  if (usable.length === 0) return draft.halt('the storage lost committed entries');
  draft.deliverEntries(usable);
  draft.deliver();
}

/** When the next tick is due. */
export function deadline(state: RaftState): Milliseconds {
  if (state.stopped) return Infinity;
  const { role, attempts, reads } = state;
  let due = role.electionTimer.deadline;
  if (role.kind === 'leader') due = Math.min(due, role.heartbeatAt, readsDeadline(allReads(role.reads)));
  if (attempts.length > 0) due = Math.min(due, attemptsDeadline(attempts));
  return reads.length > 0 ? Math.min(due, readsDeadline(reads)) : due;
}
