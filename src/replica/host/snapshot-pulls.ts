/**
 * The host's part of a pull: it writes the chunks of a peer's snapshot into a file, in order, and reads chunks of its
 * own snapshots for peers.
 *
 * Invariants: a pulled file is reported only when it was complete, durable, and verified from its first byte to its
 * last; nothing is left of one that was abandoned; what waits to be written is bounded by the driver's window. One file
 * is written at a time, so what is left of one is gone before the next begins. When the replica stops, what was pulled
 * stays for its next start, if the storage can keep it.
 */

import type { PullEffect } from '../driver/snapshot-events.js';
import type { OfferedSnapshot, PartialSnapshot } from '../driver/snapshot-messages.js';
import type { DriverEvent, Untimed } from '../driver/state.js';
import { ConsensusError, textOf } from '../errors.js';
import type { PartialSnapshots, SnapshotStore } from '../storage.js';
import { keepPartial, removePartial, writePartial } from './partial-pulls.js';
import { answered, silence } from './plug-ins.js';
import type { SnapshotForm } from './snapshot-format.js';
import { demandSpace } from './snapshot-space.js';
import { verifiedFile, type SnapshotOwner } from './snapshot-verify.js';

export type PullEvent = Extract<
  DriverEvent,
  { readonly kind: 'chunkRead' | 'chunkStored' | 'snapshotPulled' | 'pullFailed' }
>;

/** The part of the host that pulls need. */
export interface PullHost {
  dispatch(event: Untimed<PullEvent>): void;
}

type PullFile = Extract<PullEffect, { readonly kind: 'pullSnapshot' }>;

/** Chunks on their way into a file. */
class ChunkQueue {
  private readonly chunks: Uint8Array[] = [];
  private end: 'open' | 'complete' | 'abandoned' = 'open';
  private wake: () => void = () => undefined;
  private readonly stored: (bytes: number) => void;

  constructor(stored: (bytes: number) => void) {
    this.stored = stored;
  }

  get isAbandoned(): boolean {
    return this.end === 'abandoned';
  }

  push(chunk: Uint8Array): void {
    this.chunks.push(chunk);
    this.wake();
  }

  close(end: 'complete' | 'abandoned'): void {
    if (this.end === 'open') this.end = end;
    this.wake();
  }

  /** The storage asks for the next one when it has written the last one. */
  async *read(): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for (;;) {
      if (this.isAbandoned) throw new ConsensusError('the pull was abandoned', { code: 'ERR_CLOSED' });
      const chunk = this.chunks.shift();
      if (chunk !== undefined) {
        yield chunk;
        bytes += chunk.length;
        this.stored(bytes);
      } else if (this.end === 'complete') return;
      else await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}

export class SnapshotPulls {
  private readonly store: SnapshotStore;
  private readonly owner: SnapshotOwner;
  private readonly host: PullHost;
  /** Why the machine cannot restore a snapshot of a form. */
  private readonly misfit: (form: SnapshotForm) => string | null;
  /** By file. */
  private readonly queues = new Map<string, ChunkQueue>();
  private stopped = false;
  /** What was begun last has ended. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(store: SnapshotStore, owner: SnapshotOwner, host: PullHost, misfit: SnapshotPulls['misfit']) {
    this.store = store;
    this.owner = owner;
    this.host = host;
    this.misfit = misfit;
  }

  /** Removes what an earlier start has pulled, but for that which this one may go on with. */
  begin(partial: PartialSnapshot | null): void {
    this.inOrder((parts) => keepPartial(parts, partial));
  }

  /** Removes something once what is written has ended. What cannot be removed stays until the next start. */
  private inOrder(remove: (parts: PartialSnapshots) => Promise<void>): void {
    const { partial: parts } = this.store;
    if (parts === undefined) return;
    this.last = this.last.then(() => (this.stopped ? undefined : remove(parts))).catch(() => undefined);
  }

  /** Nothing is reported any more, and what is being written ends. */
  stop(): void {
    this.stopped = true;
    for (const queue of this.queues.values()) queue.close('abandoned');
  }

  perform(effect: PullEffect): void {
    if (this.stopped) return;
    switch (effect.kind) {
      case 'readChunk':
        return this.readChunk(effect);
      case 'pullSnapshot':
        return this.pull(effect);
      case 'storeChunk':
        return this.queues.get(effect.file)?.push(effect.data);
      case 'completeSnapshot':
        return this.queues.get(effect.file)?.close('complete');
      case 'abandonSnapshot':
        return this.queues.get(effect.file)?.close('abandoned');
      case 'removePartial':
        return this.inOrder((parts) => removePartial(parts, effect.snapshot));
    }
  }

  private tell(event: Untimed<PullEvent>): void {
    if (!this.stopped) this.host.dispatch(event);
  }

  private readChunk(effect: Extract<PullEffect, { readonly kind: 'readChunk' }>): void {
    const { to, number, file, snapshot, offset, length } = effect;
    const tell = (data: Uint8Array | null): void =>
      this.tell({ kind: 'chunkRead', to, number, snapshot, offset, data });
    answered('ERR_STORAGE_FAILED', 'snapshots.read', () => this.store.read(file, offset, length)).then(
      (data) => tell(data instanceof Uint8Array && data.length === length ? data : null),
      () => tell(null),
    );
  }

  private pull(effect: PullFile): void {
    const { file, from } = effect;
    const queue = new ChunkQueue((bytes) => this.tell({ kind: 'chunkStored', file, bytes: from + bytes }));
    this.queues.set(file, queue);
    const written = this.last.then(() => this.write(effect, queue));
    this.last = written.catch(() => undefined);
    written.then(
      ({ index, term, checksum, part }) => {
        this.queues.delete(file);
        this.tell({ kind: 'snapshotPulled', file, index, term, checksum, part });
      },
      (error: unknown) => {
        this.queues.delete(file);
        const isDamaged = error instanceof ConsensusError && error.code === 'ERR_STORAGE_CORRUPT';
        if (!queue.isAbandoned) this.tell({ kind: 'pullFailed', file, reason: textOf(error), isDamaged });
      },
    );
  }

  private async write({ file, snapshot, from }: PullFile, queue: ChunkQueue): ReturnType<typeof verifiedFile> {
    const { store } = this;
    const { partial: parts } = store;
    await demandSpace(store, snapshot.bytes - from);
    const remove = (): void => silence(answered('ERR_STORAGE_FAILED', 'snapshots.remove', () => store.remove(file)));
    if (parts === undefined)
      await answered('ERR_STORAGE_FAILED', 'snapshots.write', () => store.write(file, queue.read()));
    else await this.writeParts(parts, writePartial(parts, snapshot, from, file, queue.read()), snapshot);
    try {
      if (queue.isAbandoned) throw new ConsensusError('the pull was abandoned', { code: 'ERR_CLOSED' });
      const verified = await verifiedFile(store, file, this.owner);
      const unfit = this.misfit(verified.form);
      if (unfit !== null) throw new ConsensusError(unfit, { code: 'ERR_STORAGE_CORRUPT' });
      return verified;
    } catch (error) {
      if (!this.stopped) remove();
      throw error;
    }
  }

  private async writeParts(parts: PartialSnapshots, written: Promise<void>, snapshot: OfferedSnapshot): Promise<void> {
    try {
      await written;
    } catch (error) {
      if (!this.stopped) await removePartial(parts, snapshot).catch(() => undefined);
      throw error;
    }
  }
}
