/** Where bytes wait, for `status()`: counted when it is asked, at a cost that follows what waits. */

import { itemsOf } from '../../core/book.js';
import type { Status } from '../../core/protocol.js';
import type { LaneOp } from './persist-lane.js';
import { commandBytes } from './commands.js';
import type { DriverState } from './state.js';

/**
 * Where bytes wait at a replica. The same command may count in several places, as it comes along; commands count for
 * some bytes beside their own, as wherever they are bounded.
 */
export interface WaitingBytes {
  /** Commands of own callers that wait here to be proposed, for the first time or again. */
  readonly queued: number;
  /** Commands of own callers that were forwarded to the leader, which has not answered. */
  readonly forwarded: number;
  /** Of a leader: entries that it proposed and that are not committed. */
  readonly uncommitted: number;
  /** Entries and values that are on their way to the disk, or wait for the write under way. */
  readonly unsynced: number;
  /** Messages to peers that wait until something is durable. */
  readonly held: number;
  /** Committed entries that were taken from the log to be applied; what lies behind them waits in the log. */
  readonly unapplied: number;
}

function bytesOfOps(ops: readonly LaneOp[]): number {
  let bytes = 0;
  for (const op of ops) {
    if (op.kind === 'put') for (const { data } of op.entries) bytes += data.length;
    else if (op.kind === 'set') bytes += op.value.length;
  }
  return bytes;
}

export function waitingBytesOf(
  { proposals, lane }: DriverState,
  { uncommittedBytes, unappliedBytes }: Pick<Status, 'uncommittedBytes' | 'unappliedBytes'>,
): WaitingBytes {
  let queued = 0;
  for (const book of [proposals.queued, proposals.retrying]) {
    for (const command of itemsOf(book)) queued += commandBytes(command);
  }
  let unsynced = lane.writing === null ? 0 : bytesOfOps(lane.writing.ops);
  for (const { ops } of itemsOf(lane.queued)) unsynced += bytesOfOps(ops);
  let held = 0;
  for (const { bytes } of itemsOf(lane.held)) held += bytes.length;
  const forwarded = proposals.window.unansweredBytes;
  return { queued, forwarded, uncommitted: uncommittedBytes, unsynced, held, unapplied: unappliedBytes };
}
