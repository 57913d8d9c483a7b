/** Raft in traces: messages by the paper's names with their fields; states as role, term and log. */

import type { Index, Term, TermRun } from '../../core/protocol.js';
import { describeElection, describeEntries, describeForwarding, describeWall } from '../../core/model.js';
import type { AppendEntries, RaftMessage, RequestVote } from '../messages.js';
import type { RaftState } from '../state.js';

function place(index: Index, term: Term): string {
  return index === 0 ? '0' : `${index}@${term}`;
}

function describeAppend({ term, prevIndex, prevTerm, entries, commit, readRound }: AppendEntries): string {
  const sent = entries.length === 0 ? '' : ` ${describeEntries(entries)}`;
  const read = readRound === 0 ? '' : ` round=${readRound}`;
  return `AppendEntries t${term} prev=${place(prevIndex, prevTerm)}${sent} commit=${commit}${read}`;
}

function describeLast({ lastIndex, lastTerm, handover }: RequestVote): string {
  return `last=${place(lastIndex, lastTerm)}${handover ? ' handover' : ''}`;
}

/** @see Model.describeMessage */
export function describeMessage(message: RaftMessage): string {
  const { term } = message;
  switch (message.kind) {
    case 'requestVote':
      return `RequestVote t${term} ${describeLast(message)}`;
    case 'requestVoteReply':
      return `RequestVote t${term} ${message.granted ? 'granted' : 'refused'}${describeWall(message.wall)}`;
    case 'appendEntries':
      return describeAppend(message);
    case 'appendAccepted':
      return `AppendEntries t${term} accepted match=${message.match}${describeWall(message.wall)}`;
    case 'appendRejected': {
      const hint = place(message.hintIndex, message.hintTerm);
      return `AppendEntries t${term} rejected prev=${message.prevIndex} hint=${hint}`;
    }
    case 'roundConfirmed':
      return `Round t${term} confirmed round=${message.readRound}`;
    case 'commit':
      return `Commit t${term} commit=${message.commit}`;
    case 'preVote':
    case 'preVoteReply':
    case 'handover':
    case 'handoverRefused':
    case 'askGrant':
    case 'grant':
    case 'logBegins':
    case 'askTakeOver':
    case 'canTakeOver':
      return describeElection(message, `t${term}`);
    default:
      return describeForwarding(message, `t${term}`);
  }
}

/** `1-4@1 5@3`: the terms of a log, by runs. */
function describeRuns(runs: readonly TermRun[], last: Index): string {
  const parts = runs.map(({ from, term }, at) => {
    const to = (runs[at + 1]?.from ?? last + 1) - 1;
    return from === to ? `${from}@${term}` : `${from}-${to}@${term}`;
  });
  return parts.length === 0 ? 'empty' : parts.join(' ');
}

/** @see Model.describeState */
export function describeState(state: RaftState): string {
  const { role, term, log, commit, vote, fault, stopped } = state;
  if (stopped) return fault === null ? 'stopped' : `halted: ${fault}`;
  const words = [`${role.kind} t${term}`];
  if (role.kind === 'candidate') words.push(`votes=${role.votes.length}`);
  if (role.kind === 'follower' && role.leader !== null) words.push(`of ${role.leader}`);
  if (role.kind === 'follower' && role.leader === null && vote !== null) words.push(`voted ${vote}`);
  words.push(`log=${describeRuns(log.runs, log.last)}`, `commit=${commit}`);
  return words.join(' ');
}
