/**
 * Patience: how long a follower waits for the leader's answer to a forward before it makes the request again. It is the
 * last resort, where no evidence tells that a message was lost. It begins with what an answer takes at most by the
 * timing assumption, follows the answers that come, and doubles with each that does not. Proposals wait longer, for as
 * long as it may take to carry them, and all that was forwarded before them and is not answered (requests/patience).
 */

import type { AnyDraft } from './draft.js';
import type { Milliseconds } from './protocol.js';
import { leastPatience, patienceFor } from './tuning.js';

/** The longest patience, in longest election timeouts. */
const MOST_TIMEOUTS = 4;

/** Hosts have no more than so many bytes under way to a leader without an answer, and one message. */
const MOST_UNANSWERED = 1024 * 1024;

/** Proposals of so many bytes are forwarded now. Gives how long the answer is waited for. */
export function patienceForForward(draft: AnyDraft, bytes: number): Milliseconds {
  const { patience, forwardedBytes, answeredBytes, options } = draft.state;
  const ahead = Math.min(forwardedBytes - answeredBytes, MOST_UNANSWERED);
  draft.setForwardedBytes(forwardedBytes + bytes, answeredBytes);
  return patience + patienceFor(options.timing, ahead + bytes) - leastPatience(options.timing);
}

/** The leader answered the forward up to which so many bytes had been sent. */
export function noteAnswered(draft: AnyDraft, through: number): void {
  const { forwardedBytes, answeredBytes } = draft.state;
  draft.setForwardedBytes(forwardedBytes, Math.max(through, answeredBytes));
}

/** The leader answered after this time: the next answer may take twice as long. */
export function noteAnswerTime(draft: AnyDraft, took: Milliseconds): void {
  const { timing } = draft.state.options;
  draft.setPatience(Math.max(leastPatience(timing), Math.min(Math.ceil(2 * took), timing.electionMax)));
}

/** An answer is overdue. */
export function doublePatience(draft: AnyDraft): void {
  const { patience, options } = draft.state;
  draft.setPatience(Math.min(2 * patience, MOST_TIMEOUTS * options.timing.electionMax));
}

/** The connection to the leader was lost, and what was under way with it. */
export function forgetForwarded(draft: AnyDraft): void {
  draft.setForwardedBytes(0, 0);
}

/** Another leader is asked from now on. */
export function restorePatience(draft: AnyDraft): void {
  forgetForwarded(draft);
  draft.setPatience(leastPatience(draft.state.options.timing));
}
