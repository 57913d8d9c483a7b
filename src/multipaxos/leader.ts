/**
 * The leader: Phase 2 ("Paxos Made Simple", §2.2) for many slots at once. It proposes, sends Accepts in parallel with
 * its own disk, counts the votes slot by slot, and raises the commit index over what a majority has accepted. `proceed`
 * does what the state allows, at the end of every step. Phase 1 is in `phase1.ts`, elections are in `election.ts`.
 */

import { isSynced } from '../core/unsynced.js';
import { bytesOf, noopAt } from '../core/entries.js';
import type { Entry, Index } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import type { NoticeRules } from '../core/notices.js';
import { majority, majorityReached } from '../core/quorum.js';
import { voteOwn } from './acceptor.js';
import { noteAhead } from './catch-up.js';
import type { PaxosDraft } from './draft.js';
import type { Accept, Accepted } from './messages.js';
import {
  gapAbove,
  hasAccepted,
  probe,
  resume,
  withAccepted,
  withAnswer,
  withChosen,
  withInflight,
  withWaiting,
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
  let at = 0;
  for (let slot = lead.next; slot <= to; slot++) {
    const vote = lead.toRepropose[at];
    if (vote?.index !== slot) {
      entries.push(noopAt(slot, lead.ballot));
      continue;
    }
    at++;
    entries.push({ index: slot, term: lead.ballot, kind: vote.kind, id: vote.id, data: vote.data });
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
  const large = bytes > draft.state.options.limits.messageBytes;
  draft.send(peer.id, message, 0, large ? 'bulk' : 'control'); // in parallel with its own disk
  const last = message.entries[message.entries.length - 1] as Entry;
  draft.noteTold(peer.id, message.commit);
  draft.setProgress(withInflight(peer, last.index, bytes));
}

/** Sends each peer the Accepts that its window has room for; peers at the same slot share one message. */
function pump(draft: PaxosDraft): void {
  const { window, options, log } = draft.state;
  const lead = draft.leaderRole;
  let shared: Accept | null = null;
  let bytes = 0;
  for (let at = 0; at < lead.peers.length; at++) {
    for (;;) {
      const peer = draft.leaderRole.peers[at] as PaxosProgress;
      const from = Math.max(peer.next, log.last + 1, lead.committedAtElection + 1);
      const { inflightMessages, inflightBytes, messageBytes } = options.limits;
      if (from >= lead.next || peer.probing) break;
      if (peer.inflight.length >= inflightMessages || peer.inflightBytes >= inflightBytes) break;
      if (shared === null || (shared.entries[0] as Entry).index !== from) {
        const entries = consecutive(window, from, lead.next - 1, messageBytes);
        shared = { kind: 'accept', ballot: lead.ballot, commit: log.last, entries };
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
  if (m.from > 0) peer = withAccepted(peer, m.from, m.to);
  peer = withChosen(peer, Math.min(m.commit, commit)); // a slot that is not committed here may hold another value there
  if (peer.probing && m.commit >= commit) peer = resume(peer, commit);
  draft.setProgress(withAnswer(peer, 0, 0, draft.now));
  noteAhead(draft, from, m.commit);
}

/**
 * At each heartbeat: sends again what is lost (limits/window-is-kept). A gap below what the peer has accepted since is
 * filled, all at once. A peer that has acknowledged nothing for as long as a round trip and a sync may take is probed.
 */
export function resend(draft: PaxosDraft): void {
  const { electionMin } = draft.state.options.timing;
  const { peers } = draft.leaderRole;
  for (let at = 0; at < peers.length; at++) {
    const peer = peers[at] as PaxosProgress;
    const waits = peer.probing || peer.next > peer.match + 1;
    const stalls = peer.waiting === peer.match + 1;
    const silent = peer.probing || draft.now - peer.waitingSince >= electionMin / 2;
    draft.setProgress(withWaiting(peer, waits ? peer.match + 1 : 0, draft.now));
    if (!waits) continue;
    if (peer.beyond.length > 0 && stalls) {
      if (draft.now - peer.filledAt >= electionMin / 2) fillGaps(draft, at);
    } else if (silent && (stalls || (peer.probing && peer.inflight.length === 0))) probeAgain(draft, at);
  }
}

/** Sends one Accept to a peer that does not answer. Chosen slots are not sent: it is told of them, and catches up. */
function probeAgain(draft: PaxosDraft, at: number): void {
  const { window, log, options } = draft.state;
  const lead = draft.leaderRole;
  const { from, to } = gapAbove(lead.peers[at] as PaxosProgress, log.last, lead.next - 1);
  draft.setProgress(probe(lead.peers[at] as PaxosProgress, from));
  if (from > to) return;
  const entries = consecutive(window, from, to, options.limits.messageBytes);
  sendAccept(draft, at, { kind: 'accept', ballot: lead.ballot, commit: log.last, entries }, bytesOf(entries));
}

/** Sends again everything that is missing below the highest slot that the peer has accepted. */
function fillGaps(draft: PaxosDraft, at: number): void {
  const { window, log, options } = draft.state;
  const lead = draft.leaderRole;
  const peer = lead.peers[at] as PaxosProgress;
  draft.setProgress({ ...peer, filledAt: draft.now });
  const highest = (peer.beyond[peer.beyond.length - 1] as SlotRange).to;
  for (let base = log.last; ; ) {
    const { from, to } = gapAbove(peer, base, highest);
    if (from > highest) return;
    const entries = consecutive(window, from, to, options.limits.messageBytes);
    sendAccept(draft, at, { kind: 'accept', ballot: lead.ballot, commit: log.last, entries }, bytesOf(entries));
    base = from + entries.length - 1;
  }
}

/** The transport lost a connection with a follower: what is under way to it counts as lost. */
export function onDisconnected(draft: PaxosDraft, peer: ReplicaId): void {
  const { role } = draft.state;
  if (role.kind !== 'leader') return;
  const at = role.peers.findIndex((each) => each.id === peer);
  const known = role.peers[at];
  if (known === undefined || (known.probing && known.inflight.length === 0)) return;
  draft.setProgress(probe(known, Math.max(known.match, commitOf(draft.state)) + 1));
}
