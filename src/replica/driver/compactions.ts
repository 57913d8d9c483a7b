/**
 * Compaction that a caller asks for: a snapshot of at least what was applied at the call, and a log that is trimmed.
 *
 * A call is satisfied by whichever snapshot holds all that was applied here when it came: one that is there, that is
 * being taken, one of a peer, or else one that is taken for it, whatever the policy says of when. Invariants: every
 * call ends exactly once; one attempt is made for it, and if that fails so does the call.
 */

import type { Mutable } from '../../core/draft.js';
import type { Index } from '../../core/protocol.js';
import { refusalOf } from './calls.js';
import { PartDraft } from './part-draft.js';
import type { Failure, PendingCall } from './state.js';

/** A caller wants a snapshot of what is applied here, and the log trimmed behind it. */
export interface CompactEvent {
  readonly kind: 'compact';
  readonly call: PendingCall;
  /** So many entries, up to the snapshot's, stay in the log at least. */
  readonly keep: number;
}

/** This caller's compaction is done: the newest snapshot is at `index`, and the log begins at `first`. */
export interface CompactedEffect {
  readonly kind: 'compacted';
  readonly call: number;
  readonly index: Index;
  readonly first: Index;
}

interface PendingCompaction {
  readonly call: number;
  readonly keep: number;
  /** What was applied at the call: the snapshot holds at least that. */
  readonly least: Index;
}

/** @see CompactionsDraft */
export interface CompactionsState {
  readonly pending: readonly PendingCompaction[];
}

export const noCompactions: CompactionsState = { pending: [] };

const CANCELLED: Failure = {
  code: 'ERR_TIMEOUT',
  outcome: 'none',
  message: 'the caller waits for no snapshot any more',
};

export class CompactionsDraft extends PartDraft<CompactionsState> {
  protected override copy({ pending }: CompactionsState): Mutable<CompactionsState> {
    return { pending };
  }

  /** A caller wants the log compacted. */
  compact({ call: { call }, keep }: CompactEvent): void {
    const { draft } = this;
    const refusal = refusalOf(draft.phase, draft.transfers.state.leaving !== null) ?? this.refusalOf(keep);
    if (refusal !== null) return draft.fail([call], refusal);
    const { applied: least } = draft.applying.state;
    this.edit().pending = [...this.state.pending, { call, keep, least }];
  }

  private refusalOf(keep: number): Failure | null {
    const { applying, snapshots, options } = this.draft;
    if (!options.storesSnapshots) {
      const message = 'compact: the storage of this replica keeps no snapshots';
      return { code: 'ERR_INVALID_ARGUMENT', outcome: 'none', message };
    }
    const { base } = snapshots.newest;
    const held = Math.max(0, applying.state.applied - base.index);
    if (keep <= held) return null;
    const message = `keep: expected at most ${held}, the entries that are applied and still in the log, got ${keep}`;
    return { code: 'ERR_INVALID_ARGUMENT', outcome: 'none', message };
  }

  /** Whether a snapshot is to be taken that is not yet there. */
  get wants(): boolean {
    const { pending } = this.state;
    if (pending.length === 0) return false;
    const reached = this.draft.snapshots.newestIndex;
    return pending.some(({ least }) => least > reached);
  }

  /**
   * How many entries up to a snapshot at this index are to stay. A call whose own snapshot comes later keeps `keep`
   * entries up to that one: so many fewer up to this one as lie between the two.
   */
  keepOf(index: Index): number {
    const kept = this.state.pending.map(({ least, keep }) => keep - Math.max(0, least - index));
    return kept.reduce((most, each) => Math.max(most, each), 0);
  }

  /** The snapshot at this index, which was being taken, failed. */
  failed(index: Index, reason: string, cause: unknown): void {
    const failed = this.state.pending.filter(({ least }) => least <= index);
    const message = `no snapshot could be taken: ${reason}`;
    this.fail(failed, { code: 'ERR_SNAPSHOT_FAILED', outcome: 'none', message, cause });
  }

  private fail(ended: readonly PendingCompaction[], failure: Failure): void {
    if (ended.length === 0) return;
    this.edit().pending = this.state.pending.filter((each) => !ended.includes(each));
    this.draft.fail(
      ended.map(({ call }) => call),
      failure,
    );
  }

  /** These callers wait no longer. */
  cancel(gone: readonly number[]): void {
    this.fail(
      this.state.pending.filter(({ call }) => gone.includes(call)),
      CANCELLED,
    );
  }

  /** Ends every call, since the replica stops or takes no part any more. */
  endAll(failure: Failure): void {
    this.fail(this.state.pending, { ...failure, outcome: 'none' });
  }

  /** At the end of every event: answers those whose snapshot is durably named, and has one taken for the others. */
  conclude(): void {
    const { draft } = this;
    const { pending } = this.state;
    if (pending.length === 0 || refusalOf(draft.phase) !== null) return;
    const { named, base } = draft.snapshots.state;
    const index = named[0]?.index ?? 0;
    const [done, left] = [pending.filter(({ least }) => least <= index), pending.filter(({ least }) => least > index)];
    if (done.length > 0) this.edit().pending = left;
    for (const { call } of done) draft.effect({ kind: 'compacted', call, index, first: base.index + 1 });
    if (this.wants) draft.snapshots.takeAtOnce();
  }
}
