/**
 * The window to the leader, for the question: how much of what this replica forwarded has the leader not answered? So
 * many bytes and messages may be under way to it; what does not fit waits here. The window also knows to which command
 * each request to the core belongs.
 *
 * Invariants: a group is kept until the core has ended all its requests; the counts are those of the groups that the
 * leader has not answered.
 */

import { itemAtOrBelow, withItem, withoutItem, type Book, type BookItem } from '../../core/book.js';
import type { Limits, RequestNumber } from '../../core/protocol.js';

/** So many bytes of forwards may wait for the leader's answer, or one forward that is larger. */
const WINDOW_BYTES = 1024 * 1024;

/** Commands that were proposed to the core together; their requests are numbered from `key` on. */
export interface ProposedGroup extends BookItem {
  /** The commands, by the numbers of their callers. */
  readonly calls: readonly number[];
  /** How many of the requests the core has not ended. */
  readonly open: number;
  /** What it takes of the window; 0 at a leader, and once the leader has answered. */
  readonly bytes: number;
}

/** @see openWindow */
export interface LeaderWindow {
  readonly groups: Book<ProposedGroup>;
  /** How many groups and bytes the leader has not answered. */
  readonly unansweredGroups: number;
  readonly unansweredBytes: number;
}

/** Nothing is under way. */
export const openWindow: LeaderWindow = { groups: null, unansweredGroups: 0, unansweredBytes: 0 };

/** Whether one more message may leave for the leader. */
export function isOpen({ unansweredGroups, unansweredBytes }: LeaderWindow, { inflightMessages }: Limits): boolean {
  return unansweredBytes < WINDOW_BYTES && unansweredGroups < inflightMessages;
}

/** With one more group. @param bytes 0 if it does not go to another replica */
export function withGroup(
  window: LeaderWindow,
  firstRequest: RequestNumber,
  calls: readonly number[],
  bytes: number,
): LeaderWindow {
  const group = { key: firstRequest, deadline: Infinity, at: Infinity, calls, open: calls.length, bytes };
  return {
    groups: withItem(window.groups, group),
    unansweredGroups: window.unansweredGroups + (bytes > 0 ? 1 : 0),
    unansweredBytes: window.unansweredBytes + bytes,
  };
}

function holds(group: ProposedGroup, request: RequestNumber): boolean {
  return request >= group.key && request < group.key + group.calls.length;
}

function groupOf({ groups }: LeaderWindow, request: RequestNumber): ProposedGroup | undefined {
  const group = itemAtOrBelow(groups, request);
  return group !== undefined && holds(group, request) ? group : undefined;
}

function replaced(window: LeaderWindow, before: ProposedGroup, open: number, bytes: number): LeaderWindow {
  const left = open === 0 ? 0 : bytes;
  const { key } = before;
  return {
    groups: open === 0 ? withoutItem(window.groups, key) : withItem(window.groups, { ...before, open, bytes: left }),
    unansweredGroups: window.unansweredGroups - (before.bytes > 0 && left === 0 ? 1 : 0),
    unansweredBytes: window.unansweredBytes + left - before.bytes,
  };
}

/** With the group of these requests answered: its room is free for others. */
export function withAnswer(window: LeaderWindow, requests: readonly RequestNumber[]): LeaderWindow {
  const group = groupOf(window, requests[0] ?? 0);
  return group === undefined || group.bytes === 0 ? window : replaced(window, group, group.open, 0);
}

/**
 * Without these requests, which the core has ended.
 * @param each is told of each one that belongs to a command, with its caller's number
 */
export function withoutEnded(
  window: LeaderWindow,
  requests: readonly RequestNumber[],
  each: (request: RequestNumber, call: number) => void,
): LeaderWindow {
  let left = window;
  for (let at = 0; at < requests.length; ) {
    const group = groupOf(left, requests[at] as RequestNumber);
    if (group === undefined) {
      at++; // not a command's
      continue;
    }
    const from = at;
    for (; at < requests.length && holds(group, requests[at] as RequestNumber); at++) {
      const request = requests[at] as RequestNumber;
      each(request, group.calls[request - group.key] as number);
    }
    left = replaced(left, group, group.open - (at - from), group.bytes);
  }
  return left;
}
