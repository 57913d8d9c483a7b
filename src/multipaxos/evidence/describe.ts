/**
 * Multi-Paxos in traces: messages by their names with their fields; states as role, promise, commit index and votes.
 */

import { lastTerm } from '../../core/log.js';
import type { Entry, Index } from '../../core/protocol.js';
import { numberOf, roundOf, type Ballot } from '../ballot.js';
import { describeElection, describeForwarding, describeNumber, describeTime, describeWall } from '../../core/model.js';
import type { PaxosMessage, Prepare } from '../messages.js';
import { commitOf, type PaxosState } from '../state.js';

/** `2.1` is round 2 of member 1; `-` is none. */
export function describeBallot(ballot: Ballot): string {
  return ballot === 0 ? '-' : `${roundOf(ballot)}.${numberOf(ballot)}`;
}

/** Consecutive slots that are written as one range. */
interface VotedRun {
  readonly from: Index;
  to: Index;
  readonly ballot: Ballot;
  readonly kind: Entry['kind'];
  readonly time: Entry['time'];
}

/** Votes: `3-4@2.1 5@2.1:noop`. @param ballot the ballot that is left out */
function describeVotes(entries: readonly Entry[], ballot: Ballot = 0): string {
  const runs: VotedRun[] = [];
  for (const { index, term, kind, time } of entries) {
    const last = runs[runs.length - 1];
    const follows = last?.ballot === term && last.kind === kind && last.time === time;
    if (follows && last.to + 1 === index) last.to = index;
    else runs.push({ from: index, to: index, ballot: term, kind, time });
  }
  const words = runs.map((run) => {
    const slots = run.from === run.to ? `${run.from}` : `${run.from}-${run.to}`;
    const where = run.ballot === ballot ? '' : `@${describeBallot(run.ballot)}`;
    return `${slots}${where}${run.kind === 'command' ? '' : `:${run.kind}`}${describeTime(run.time)}`;
  });
  return `[${words.join(' ')}]`;
}

function rest({ rest: begin }: { readonly rest: Index }): string {
  return begin === 0 ? '' : ` rest=${begin}`;
}

function describePrepare({ ballot, from, first, pages, handover, held }: Prepare): string {
  const known = held.map((span) => `${span.from}-${span.to}@${describeBallot(span.ballot)}`).join(' ');
  const more = first ? '' : pages === 0 ? ' goes on' : ' further';
  const marks = `${more}${handover ? ' handover' : ''}`;
  return `Prepare ${describeBallot(ballot)} from=${from}${marks}${held.length === 0 ? '' : ` held=[${known}]`}`;
}

/** @see Model.describeMessage */
export function describeMessage(m: PaxosMessage): string {
  switch (m.kind) {
    case 'prepare':
      return describePrepare(m);
    case 'promise': {
      const more = m.next === 0 ? '' : ` next=${m.next}`;
      const where = `from=${m.from} ${describeVotes(m.votes)} commit=${m.commit}`;
      return `Promise ${describeBallot(m.ballot)} ${where}${more}${rest(m)}${describeWall(m.wall)}`;
    }
    case 'nack':
      return `Nack ${describeBallot(m.ballot)} promised=${describeBallot(m.promised)} commit=${m.commit}`;
    case 'accept':
      return `Accept ${describeBallot(m.ballot)} ${describeVotes(m.entries, m.ballot)} commit=${m.commit}`;
    case 'accepted': {
      const slots = m.from === 0 ? 'none' : m.from === m.to ? `${m.from}` : `${m.from}-${m.to}`;
      return `Accepted ${describeBallot(m.ballot)} ${slots} commit=${m.commit}`;
    }
    case 'heartbeat':
      return `Heartbeat ${describeBallot(m.ballot)} commit=${m.commit}${describeRound(m.readRound)}`;
    case 'heartbeatReply': {
      const { ballot, commit, durable, readRound, wall } = m;
      const round = `${describeRound(readRound)}${describeWall(wall)}`;
      return `HeartbeatReply ${describeBallot(ballot)} commit=${commit} durable=${durable}${round}`;
    }
    case 'commit':
      return `Commit ${describeBallot(m.ballot)} commit=${m.commit}`;
    case 'catchUp':
      return `CatchUp ${describeNumber(m.number)} from=${m.from} to=${m.to}${m.bytes === 0 ? ' bytes=0' : ''}`;
    case 'catchUpReply':
      return `CatchUpReply ${describeNumber(m.number)} ${describeVotes(m.entries)} commit=${m.commit}${rest(m)}`;
    case 'askSlots':
      return `AskSlots ${describeNumber(m.number)}`;
    case 'slots':
      return `Slots ${describeNumber(m.number)} highest=${m.highest}`;
    case 'preVote':
    case 'preVoteReply':
    case 'handover':
    case 'handoverRefused':
    case 'askGrant':
    case 'grant':
    case 'logBegins':
    case 'askTakeOver':
    case 'canTakeOver':
      return describeElection(m, describeBallot(m.term));
    default:
      return describeForwarding(m, describeBallot(m.term));
  }
}

function describeRound(round: number): string {
  return round === 0 ? '' : ` round=${round}`;
}

/** @see Model.describeState */
export function describeState(state: PaxosState): string {
  const { role, log, window, promised } = state;
  const words: string[] = [state.stopped ? 'stopped' : role.kind, describeBallot(promised)];
  if (role.kind === 'follower' && role.leader !== null) words.push(`of ${role.leader}`);
  const commit = commitOf(state);
  words.push(commit === 0 ? 'commit=0' : `commit=${commit}@${describeBallot(lastTerm(log))}`);
  if (window.runs.length > 0) words.push(`votes=${describeVotes(window.runs.flatMap(({ entries }) => entries))}`);
  if (role.kind === 'leader' && commit < role.committedAtElection) {
    words.push(`committedAtElection=${role.committedAtElection}`);
  }
  if (role.kind === 'leader' && role.next <= role.noopIndex) words.push(`next=${role.next} noop=${role.noopIndex}`);
  return words.join(' ');
}
