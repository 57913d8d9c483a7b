/** The coverage points of Multi-Paxos: what a search must have met at least once, and how a step shows it. */

import type { Hit } from '../../core/model.js';
import type { Outbound } from '../../core/protocol.js';
import { compactionPoints, coverCompaction } from '../../core/compaction-coverage.js';
import { coverLeadership, leadershipPoints } from '../../core/leadership-coverage.js';
import { coverPreVotes, preVotePoints } from '../../core/pre-vote-coverage.js';
import { sameValue } from '../../core/entries.js';
import type { PaxosMessage } from '../messages.js';
import { commitOf, type PaxosLeader, type PaxosState } from '../state.js';
import { lastVote, voteAt } from '../window.js';
import type { PaxosStepFact } from './rules.js';

const STARTED = {
  votes: 'votes were recovered',
  prefix: 'a chosen prefix was recovered',
} as const;

const ELECTIONS = {
  led: 'a leader was elected',
  overlap: 'two replicas led at once, or a candidate met a leader',
  own: 'an own vote was given up for a reported one',
  again: 'a reported vote was proposed again',
  gap: 'a gap was filled with a no-op',
  behind: 'a leader was elected below the highest commit index reported',
  stranded: 'a leader below the highest commit index reported gave way',
  beaten: 'a candidate gave way to a higher ballot',
  nacked: 'a leader gave way to a Nack',
  deposed: 'a leader gave way to a higher ballot',
  contradicted: 'a leader gave way to a chosen value that was not its own',
  quorumLost: 'a leader gave way for want of a quorum',
} as const;

const ACCEPTORS = {
  overwritten: 'a vote was overwritten by a higher ballot',
  changed: 'a vote was overwritten by another value',
  pages: 'a promise came in several pages',
  old: 'a promise reported votes of two ballots',
  nack: 'a lower ballot was refused',
  none: 'nothing of an Accept was voted for',
} as const;

const LEARNERS = {
  scattered: 'slots were accepted out of order',
  withheld: 'a vote of another ballot was not taken for chosen',
  caughtUp: 'chosen entries were learned by catching up',
  replaced: 'an own vote was replaced by the chosen value',
  loaded: 'catching up was served from storage',
} as const;

const REQUESTS = {
  read: 'a read was confirmed',
  readAhead: 'a read had to wait for a slot that was only reported',
  refused: 'a forward was refused',
  busy: 'a proposal was refused for want of room',
  told: 'a commit was told by a notice',
  unsent: 'a forward never left',
  disconnected: 'a connection was lost with something under way',
} as const;

const VOTES_KEPT = 'votes were kept above an installed snapshot';

/** @see Model.coveragePoints */
export const coveragePoints: readonly string[] = [
  ...[STARTED, ELECTIONS, ACCEPTORS, LEARNERS, REQUESTS].flatMap((each) => Object.values(each)),
  ...preVotePoints,
  ...compactionPoints,
  ...leadershipPoints,
  VOTES_KEPT,
];

function onStart({ window, log }: PaxosState, hit: Hit): void {
  if (window.runs.length > 0) hit(STARTED.votes);
  if (log.last > 0) hit(STARTED.prefix);
}

function onElected(before: PaxosState, after: PaxosState, role: PaxosLeader, hit: Hit): void {
  hit(ELECTIONS.led);
  if (commitOf(after) < role.committedAtElection) hit(ELECTIONS.behind);
  // Some reported values are proposed again already: those are its votes now.
  for (let slot = role.committedAtElection + 1; slot < role.noopIndex; slot++) {
    const value = voteAt(after.window, slot) ?? role.toRepropose.find(({ index }) => index === slot);
    const own = voteAt(before.window, slot);
    if (value === undefined || value.kind === 'noop') hit(ELECTIONS.gap);
    else hit(ELECTIONS.again);
    if (own !== undefined && value !== undefined && !sameValue(own, value)) hit(ELECTIONS.own);
  }
}

function onLedNoMore({ inbound }: PaxosStepFact, before: PaxosState, was: PaxosLeader, hit: Hit): void {
  if (inbound?.kind === 'tick') {
    hit(commitOf(before) < was.committedAtElection ? ELECTIONS.stranded : ELECTIONS.quorumLost);
  }
  if (inbound?.kind !== 'receive') return;
  const { kind } = inbound.message;
  if (kind === 'nack') hit(ELECTIONS.nacked);
  else if (kind === 'catchUpReply') hit(ELECTIONS.contradicted);
  else hit(ELECTIONS.deposed);
}

function onRole(fact: PaxosStepFact, before: PaxosState, after: PaxosState, hit: Hit): void {
  const was = before.role.kind;
  const { role } = after;
  if (role.kind === 'leader' && was !== 'leader') onElected(before, after, role, hit);
  if (before.role.kind === 'leader' && role.kind !== 'leader') onLedNoMore(fact, before, before.role, hit);
  if (was === 'candidate' && role.kind === 'follower') hit(ELECTIONS.beaten);
}

function onVotes(before: PaxosState, after: PaxosState, hit: Hit): void {
  const commit = commitOf(after);
  for (const run of before.window.runs) {
    if (after.window.runs.includes(run)) continue;
    for (const old of run.entries) {
      const now = voteAt(after.window, old.index);
      if (old.index <= commit || now === undefined || now.term === old.term) continue;
      hit(ACCEPTORS.overwritten);
      if (!sameValue(old, now)) hit(ACCEPTORS.changed);
    }
  }
}

function onReceived(fact: PaxosStepFact, message: PaxosMessage, before: PaxosState, after: PaxosState, hit: Hit): void {
  const commit = commitOf(after);
  switch (message.kind) {
    case 'catchUpReply': {
      if (commit === commitOf(before)) return;
      hit(LEARNERS.caughtUp);
      for (const entry of message.entries) {
        const vote = voteAt(before.window, entry.index);
        if (vote !== undefined && !sameValue(vote, entry)) hit(LEARNERS.replaced);
      }
      return;
    }
    case 'prepare':
    case 'heartbeat':
    case 'accept':
      // A leader or candidate receives a message of another one.
      if (before.role.kind !== 'follower' && fact.outbound.length > 0) hit(ELECTIONS.overlap);
      if (message.kind !== 'prepare') onLeaderCommit(before, after, hit);
      return;
    case 'commit':
    case 'readAnswer':
      return onLeaderCommit(before, after, hit);
    case 'accepted':
      if (after.role.kind === 'leader' && after.role.peers.some(({ beyond }) => beyond.length > 0)) {
        hit(LEARNERS.scattered);
      }
      return;
    default:
  }
}

function onLeaderCommit(before: PaxosState, after: PaxosState, hit: Hit): void {
  const commit = commitOf(after);
  if (after.leaderCommit <= commit || after.leaderCommit === before.leaderCommit) return;
  const vote = voteAt(after.window, commit + 1);
  if (vote !== undefined && vote.term !== after.leaderCommitBallot) hit(LEARNERS.withheld);
}

function onSent(message: PaxosMessage, { inbound }: PaxosStepFact, hit: Hit): void {
  switch (message.kind) {
    case 'promise':
      if (message.next !== 0) hit(ACCEPTORS.pages);
      if (message.votes.some(({ term }) => term !== message.votes[0]?.term)) hit(ACCEPTORS.old);
      return;
    case 'nack':
      return hit(ACCEPTORS.nack);
    case 'accepted':
      return message.from === 0 ? hit(ACCEPTORS.none) : undefined;
    case 'catchUpReply':
      return inbound?.kind === 'loaded' ? hit(LEARNERS.loaded) : undefined;
    case 'commit':
      return hit(REQUESTS.told);
    case 'forwardRefused':
      return hit(REQUESTS.refused);
    default:
  }
}

function onOutbound(each: Outbound<PaxosMessage>, fact: PaxosStepFact, hit: Hit): void {
  switch (each.kind) {
    case 'send':
      return onSent(each.message, fact, hit);
    case 'readReady':
      hit(REQUESTS.read);
      if (each.index > commitOf(fact.after)) hit(REQUESTS.readAhead);
      return;
    case 'resolve':
      if (each.outcome.kind === 'none' && each.outcome.reason === 'busy') hit(REQUESTS.busy);
      return;
    default:
  }
}

/** @see Model.cover */
export function cover(fact: PaxosStepFact, hit: Hit): void {
  const { before, after, inbound, outbound } = fact;
  if (before === null) return onStart(after, hit);
  if (inbound !== null) {
    const step = { before, after, inbound, outbound };
    coverPreVotes(step, hit);
    coverCompaction(step, hit);
    coverLeadership(step, hit);
    const installed = inbound.kind === 'install' && before !== after;
    if (installed && lastVote(after.window) > commitOf(after)) hit(VOTES_KEPT);
  }
  if (before.role !== after.role) onRole(fact, before, after, hit);
  if (before.window !== after.window) onVotes(before, after, hit);
  if (before !== after && inbound?.kind === 'unsent') hit(REQUESTS.unsent);
  if (before !== after && inbound?.kind === 'disconnected') hit(REQUESTS.disconnected);
  if (inbound?.kind === 'receive') onReceived(fact, inbound.message, before, after, hit);
  for (let i = 0; i < outbound.length; i++) onOutbound(outbound[i] as Outbound<PaxosMessage>, fact, hit);
}
