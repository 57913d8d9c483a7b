/**
 * Patience: how long a follower waits for the leader's answer to a forward before it makes the request again. It is the
 * last resort, where no evidence tells that a message was lost. It begins with what an answer takes at most by the
 * timing assumption, follows the answers that come, and doubles with each that does not.
 */

import type { AnyDraft } from './draft.js';
import type { Milliseconds } from './protocol.js';
import { leastPatience } from './tuning.js';

/** The longest patience, in longest election timeouts. */
const MOST_TIMEOUTS = 4;

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

/** Another leader is asked from now on. */
export function restorePatience(draft: AnyDraft): void {
  draft.setPatience(leastPatience(draft.state.options.timing));
}
