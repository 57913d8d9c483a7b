/**
 * The commands of this replica's own callers, in three books: never proposed, proposed before, and under way; and what
 * is looked up in them.
 */

import { earliestDeadline, itemsInRange, type Book, type BookItem } from '../../core/book.js';
import type { Entry, Index, Milliseconds, RequestNumber } from '../../core/protocol.js';
import type { Failure } from './state.js';
import { openWindow, type LeaderWindow } from './leader-window.js';

/** An upper bound of the bytes of a proposal beside its data in a message to the leader. */
const FORWARD_OVERHEAD = 48;

/** A command of a caller, by the caller's number. */
export interface QueuedCommand extends BookItem {
  readonly data: Uint8Array;
  readonly kind: 'command' | 'session';
}

/** A command that was proposed before. */
export interface NumberedCommand extends QueuedCommand {
  /** Its number in this replica's session. */
  readonly sequence: number;
  /** An earlier attempt may still take effect. */
  readonly mayHaveTakenEffect: boolean;
}

/** A command that the core has an attempt of. */
export interface ProposedCommand extends NumberedCommand {
  /** The number of the request to the core. */
  readonly request: RequestNumber;
}

/** @see ProposalsDraft */
export interface ProposalsState {
  /** Never proposed in this session. */
  readonly queued: Book<QueuedCommand>;
  /** Proposed before; they are proposed again before any queued one. */
  readonly retrying: Book<NumberedCommand>;
  readonly underway: Book<ProposedCommand>;
  readonly window: LeaderWindow;
  /** How many commands the three books hold, and how many bytes these take. */
  readonly count: number;
  readonly bytes: number;
}

export const noProposals: ProposalsState = {
  queued: null,
  retrying: null,
  underway: null,
  window: openWindow,
  count: 0,
  bytes: 0,
};

export const sequenceOf = (command: NumberedCommand): number => command.sequence;

/** The bytes that a command takes, wherever waiting commands are bounded. */
export function commandBytes({ data }: Pick<QueuedCommand, 'data'>): number {
  return data.length + FORWARD_OVERHEAD;
}

/** The earliest deadline of a command. */
export function proposalsDeadline({ queued, retrying, underway }: ProposalsState): Milliseconds {
  return Math.min(earliestDeadline(queued), earliestDeadline(retrying), earliestDeadline(underway));
}

/**
 * The commands under way that were likely applied, if few others lie between them: entries of one session mostly follow
 * one another.
 */
export function expected(
  underway: ProposalsState['underway'],
  commands: readonly Entry[],
  session: Index,
): readonly ProposedCommand[] {
  const first = commands[0]?.id;
  const last = commands[commands.length - 1]?.id;
  if (first?.session !== session || last?.session !== session) return [];
  const [low, high] = [first.sequence, last.sequence];
  return high - low < 2 * commands.length ? itemsInRange(underway, sequenceOf, low, high) : [];
}

/** These keys in ascending order, which they mostly are. */
export function ascending(keys: number[]): readonly number[] {
  for (let at = 1; at < keys.length; at++) {
    if ((keys[at] as number) < (keys[at - 1] as number)) return keys.sort((a, b) => a - b);
  }
  return keys;
}

/** The failure of a command whose deadline has passed or whose caller waits no longer. */
export function endedBy(sent: boolean, mayHaveTakenEffect: boolean, cancelled: boolean, leaderKnown: boolean): Failure {
  if (sent || mayHaveTakenEffect) {
    const message = 'the wait has ended, and the command may still take effect';
    return { code: 'ERR_OUTCOME_UNKNOWN', outcome: 'unknown', message };
  }
  if (cancelled) return { code: 'ERR_TIMEOUT', outcome: 'none', message: 'the command was never sent' };
  if (leaderKnown) {
    // It waited behind others, for a session, or for a leader that takes no more.
    const message = 'the command waited here until its time was over, and was never sent to the leader';
    return { code: 'ERR_TIMEOUT', outcome: 'none', message };
  }
  return { code: 'ERR_NO_LEADER', outcome: 'none', message: 'no leader was known in time; the command was never sent' };
}
