/**
 * The leader: Phase 2 ("Paxos Made Simple", §2.2) for many slots at once. It proposes, sends Accepts in parallel with
 * its own disk, counts the votes slot by slot, and raises the commit index over what a majority has accepted. `proceed`
 * does what the state allows, at the end of every step. Phase 1 is in `phase1.ts`, elections are in `election.ts`.
 */

import { isSynced } from '../core/unsynced.js';
import { bytesOf, noopAt, PlainEntry } from '../core/entries.js';
import { stampNow } from '../core/log-time.js';
import type { Entry, Index, Lane, Milliseconds } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import type { NoticeRules } from '../core/notices.js';
import { majority, majorityReached } from '../core/quorum.js';
import { leastPatience, patienceFor } from '../core/tuning.js';
import { voteOwn } from './acceptor.js';
import { noteAhead } from './catch-up.js';
import type { PaxosDraft } from './draft.js';
import type { Accept, Accepted } from './messages.js';
import {
  hasAccepted,
  probe,
  resume,
  unsentAbove,
  withAccepted,
  withAnswer,
  withChosen,
  withoutLane,
  withoutOverdue,
  withSent,
  type PaxosProgress,
} from './progress.js';
import type { SlotRange } from './ranges.js';
import { commitOf, type PaxosLeader, type PaxosState } from './state.js';
import { consecutive } from './window.js';

/** How many slots may be proposed now. While values of Phase 1 are left to propose again, the window is full. */
export function roomOf(state: PaxosState): number {
  return Math.max(0, commitOf(state) + state.options.alpha + 1 - (state.role as PaxosLeader).next);
}

/** Proposes these at the next slots, by the own vote; `proceed` sends them. */
export function propose(draft: PaxosDraft, entries: readonly Entry[]): void {
  voteOwn(draft, entries);
  draft.editLeader().next += entries.length;
}

/** Proposes the values of Phase 1 again, a no-op in each gap, and its own no-op after them, as α allows. */
function repropose(draft: PaxosDraft, lead: PaxosLeader): void {
  const { state } = draft;
  const to = Math.min(lead.noopIndex, commitOf(state) + state.options.alpha); // paxos/alpha-window
  if (lead.next > to) return;
  const entries: Entry[] = [];
  const time = stampNow(draft);
  let at = 0;
  for (let slot = lead.next; slot <= to; slot++) {
    const vote = lead.toRepropose[at];
    if (vote?.index !== slot) {
      entries.push(noopAt(slot, lead.ballot, time));
      continue;
    }
    at++;
    // time/stamp-is-value
    entries.push(new PlainEntry(slot, lead.ballot, vote.kind, vote.time, vote.id, vote.data));
  }
  draft.editLeader().toRepropose = lead.toRepropose.slice(at);
  propose(draft, entries);
}

/** The highest slot up to which all votes of its own above the commit index are durable. */
function ownDurable({ unsynced, log }: PaxosState, next: Index): Index {
  let upTo = next - 1;
  for (let i = 0; i < unsynced.length; i++) {
    const run = unsynced[i] as (typeof unsynced)[0];
    if (run.to > log.last && run.from <= upTo) upTo = Math.max(log.last, run.from - 1);
  }
  return upTo;
}

function isAccepted(state: PaxosState, lead: PaxosLeader, slot: Index): boolean {
  let votes = isSynced(state.unsynced, slot) ? 1 : 0;
  for (const peer of lead.peers) if (hasAccepted(peer, slot)) votes++;
  return votes >= majority(lead.peers.length + 1);
}

/** Raises the commit index over the slots that a majority has accepted in this ballot: paxos/chosen-by-majority. */
function tryCommit(draft: PaxosDraft, lead: PaxosLeader): void {
  const { state } = draft;
  const commit = commitOf(state);
  if (commit < lead.committedAtElection || commit + 1 >= lead.next) return;
  const reached = [ownDurable(state, lead.next)];
  let scattered = false;
  for (let i = 0; i < lead.peers.length; i++) {
    const peer = lead.peers[i] as PaxosProgress;
    reached.push(peer.match);
    scattered ||= peer.beyond.length > 0;
  }
  let upTo = Math.max(commit, majorityReached(reached));
  if (scattered) while (upTo + 1 < lead.next && isAccepted(state, lead, upTo + 1)) upTo++;
  if (upTo > commit) draft.chooseVoted(upTo);
}

function sendAccept(draft: PaxosDraft, at: number, message: Accept, bytes: number): void {
  const peer = draft.leaderRole.peers[at] as PaxosProgress;
  const lane = bytes > draft.state.options.limits.messageBytes ? 'bulk' : 'control';
  draft.send(peer.id, message, 0, lane); // in parallel with its own disk
  const [first, last] = [message.entries[0] as Entry, message.entries[message.entries.length - 1] as Entry];
  draft.noteTold(peer.id, message.commit);
  draft.setProgress(withSent(peer, { from: first.index, to: last.index }, bytes, lane, draft.now));
}

/** The lowest slots that are to be sent to a peer. Chosen ones are not: it is told of them, and catches up. */
function toSend({ log }: PaxosState, { committedAtElection, next }: PaxosLeader, peer: PaxosProgress): SlotRange {
  return unsentAbove(peer, Math.max(log.last, committedAtElection), next - 1);
}

/** Sends each peer the Accepts that its window has room for; peers that lack the same share one message. */
function pump(draft: PaxosDraft): void {
  const { window, options, log } = draft.state;
  const { inflightMessages, inflightBytes, messageBytes } = options.limits;
  const lead = draft.leaderRole;
  let shared: Accept | null = null;
  let end: Index = 0;
  let bytes = 0;
  for (let at = 0; at < lead.peers.length; at++) {
    for (;;) {
      const peer = draft.leaderRole.peers[at] as PaxosProgress;
      if (peer.probing || peer.next >= lead.next) break;
      if (peer.inflight.length >= inflightMessages || peer.inflightBytes >= inflightBytes) break;
      const { from, to } = toSend(draft.state, lead, peer);
      if (from > to) break;
      if (shared === null || (shared.entries[0] as Entry).index !== from || end !== to) {
        const entries = consecutive(window, from, to, messageBytes);
        shared = { kind: 'accept', ballot: lead.ballot, commit: log.last, entries };
        end = to;
        bytes = bytesOf(entries);
      }
      sendAccept(draft, at, shared, bytes);
    }
  }
}

/** Does what the state allows a leader: commits, proposes the values of Phase 1, sends Accepts. */
export function proceed(draft: PaxosDraft): void {
  tryCommit(draft, draft.leaderRole);
  repropose(draft, draft.leaderRole);
  pump(draft);
}

/** How the leader tells of commits: by a message of its own, for slots that the peer has accepted. */
export const noticeRules: NoticeRules<PaxosDraft> = {
  held: (draft, at) => (draft.leaderRole.peers[at] as PaxosProgress).match,
  isBusy: (draft, at) => (draft.leaderRole.peers[at] as PaxosProgress).inflight.length > 0,
  tell(draft, peer, commit) {
    draft.send(peer, { kind: 'commit', ballot: draft.leaderRole.ballot, commit }, 0, 'control');
  },
};

/** The position of a peer whose answer concerns this leadership; -1 otherwise. */
export function answering(draft: PaxosDraft, peer: ReplicaId, ballot: number): number {
  const { role } = draft.state;
  if (role.kind !== 'leader' || role.ballot !== ballot) return -1;
  return role.peers.findIndex((each) => each.id === peer);
}

/** An acceptor's answer to an Accept. Only slots that this leader has proposed count. */
export function onAccepted(draft: PaxosDraft, from: ReplicaId, m: Accepted): void {
  const at = answering(draft, from, m.ballot);
  if (at < 0) return;
  const lead = draft.leaderRole;
  let peer = lead.peers[at] as PaxosProgress;
  if (m.to >= lead.next || (m.from > 0 && m.from <= lead.committedAtElection)) return;
  const commit = commitOf(draft.state);
  const most = leastPatience(draft.state.options.timing);
  if (m.from > 0) peer = withAccepted(peer, m.from, m.to, draft.now, most);
  // A slot that is not committed here may hold another value there.
  peer = withChosen(peer, Math.min(m.commit, commit), most);
  if (peer.probing && m.commit >= commit) peer = resume(peer, commit);
  draft.setProgress(withAnswer(withoutOverdue(peer, draft.now, most), 0, 0, draft.now));
  noteAhead(draft, from, m.commit);
}

/** At a tick: takes Accepts that were overtaken and are overdue for lost; `proceed` sends what they held. */
export function takeForLost(draft: PaxosDraft): void {
  const { role, options } = draft.state;
  if (role.kind !== 'leader') return;
  for (const peer of role.peers) draft.setProgress(withoutOverdue(peer, draft.now, leastPatience(options.timing)));
}

/** When the next Accept counts as lost that was overtaken. */
export function lossDeadline({ role }: PaxosState): Milliseconds {
  let at = Infinity;
  if (role.kind === 'leader') for (const { overdueAt } of role.peers) at = Math.min(at, overdueAt);
  return at;
}

/** Whether nothing that a lane carries was acknowledged for as long as its oldest Accept may take. */
function isSilent(draft: PaxosDraft, { inflight, waitsSince }: PaxosProgress, lane: Lane): boolean {
  const oldest = inflight.find((each) => each.lane === lane);
  if (oldest === undefined) return false;
  const since = Math.max(waitsSince[lane], oldest.sentAt);
  return draft.now >= since + patienceFor(draft.state.options.timing, oldest.bytes);
}

/**
 * At each heartbeat: what a silent lane carries is lost (limits/window-is-kept). A peer to which nothing is under way
 * after that, since it is silent altogether, is probed.
 */
export function resend(draft: PaxosDraft): void {
  const { peers } = draft.leaderRole;
  const most = leastPatience(draft.state.options.timing);
  for (let at = 0; at < peers.length; at++) {
    let peer = peers[at] as PaxosProgress;
    for (const lane of ['control', 'bulk'] as const)
      if (isSilent(draft, peer, lane)) peer = withoutLane(peer, lane, most);
    const isLost = peer.probing || peer !== peers[at];
    if (isLost && peer.inflight.length === 0) probeAgain(draft, at, peer);
    else draft.setProgress(peer);
  }
}

/** Sends one Accept to a peer that does not answer. */
function probeAgain(draft: PaxosDraft, at: number, peer: PaxosProgress): void {
  const { window, log, options } = draft.state;
  const lead = draft.leaderRole;
  draft.setProgress(probe(peer, log.last));
  const { from, to } = toSend(draft.state, lead, draft.leaderRole.peers[at] as PaxosProgress);
  if (from > to) return;
  const entries = consecutive(window, from, to, options.limits.messageBytes);
  sendAccept(draft, at, { kind: 'accept', ballot: lead.ballot, commit: log.last, entries }, bytesOf(entries));
}

/** The transport lost a connection with a follower: what is under way to it counts as lost. */
export function onDisconnected(draft: PaxosDraft, peer: ReplicaId): void {
  const { role } = draft.state;
  if (role.kind !== 'leader') return;
  const at = role.peers.findIndex((each) => each.id === peer);
  const known = role.peers[at];
  if (known === undefined || (known.probing && known.inflight.length === 0)) return;
  draft.setProgress(probe(known, commitOf(draft.state)));
}
