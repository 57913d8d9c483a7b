/**
 * The snapshots on a simulated disk, as one start of a replica has them: writing takes virtual time, chunk by chunk,
 * and fails where there is no space; a crash leaves whole files and no parts.
 */

import { joined } from '../../core/bytes.js';
import { ConsensusError } from '../../replica/errors.js';
import type { SnapshotStore } from '../../replica/storage.js';
import type { SimulatedDisk } from './storage.js';

/** Does it in the calling process, so many milliseconds later; never, if that is dead by then. */
type Later = <T>(delay: number, work: () => T) => Promise<T>;

export class SimulatedSnapshots implements SnapshotStore {
  private readonly disk: SimulatedDisk;
  private readonly later: Later;

  constructor(disk: SimulatedDisk, later: Later) {
    this.disk = disk;
    this.later = later;
  }

  list(): Promise<readonly string[]> {
    return this.later(this.disk.readDelay(), () => [...this.disk.contents.files.keys()]);
  }

  async write(file: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const { disk } = this;
    const pieces: Uint8Array[] = [];
    for await (const chunk of chunks) {
      await this.later(disk.delay() / 4, () => pieces.push(chunk.slice()));
      if (disk.shortage !== 'full') continue;
      disk.trace.cover('snapshot fails');
      throw new ConsensusError('simulated: no space for a snapshot', { code: 'ERR_STORAGE_FAILED' });
    }
    await this.later(disk.delay(), () => {
      disk.contents.files.set(file, joined(pieces));
      disk.trace.cover('snapshot written');
    });
  }

  read(file: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    const { disk } = this;
    return this.later(disk.readDelay() / 4, () => {
      const content = disk.contents.files.get(file);
      if (content !== undefined) return content.slice(offset, offset + maxBytes);
      throw new ConsensusError(`simulated: there is no file ${file}`, { code: 'ERR_STORAGE_CORRUPT' });
    });
  }

  async free(): Promise<number> {
    return this.disk.shortage === 'full' ? 0 : Infinity;
  }

  remove(file: string): Promise<void> {
    return this.later(this.disk.delay() / 4, () => void this.disk.contents.files.delete(file));
  }
}
