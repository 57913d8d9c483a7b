/**
 * The snapshots on a simulated disk, as one start of a replica has them: writing takes virtual time, chunk by chunk,
 * and fails where there is no space; a crash leaves whole files and no parts.
 */

import { joined } from '../../core/bytes.js';
import { ConsensusError } from '../../replica/errors.js';
import type { PartialFile, PartialSnapshots, SnapshotStore } from '../../replica/storage.js';
import type { Dice } from '../random.js';
import type { SimulatedDisk } from './storage.js';

/** Does it in the calling process, so many milliseconds later; never, if that is dead by then. */
type Later = <T>(delay: number, work: () => T) => Promise<T>;

export class SimulatedSnapshots implements SnapshotStore {
  readonly partial: PartialSnapshots;
  private readonly disk: SimulatedDisk;
  private readonly later: Later;

  constructor(disk: SimulatedDisk, later: Later) {
    this.disk = disk;
    this.later = later;
    this.partial = new SimulatedParts(disk, later);
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

/** What is pulled, until it is complete: a crash takes its last bytes, or puts others in their place. */
class SimulatedParts implements PartialSnapshots {
  private readonly disk: SimulatedDisk;
  private readonly later: Later;

  constructor(disk: SimulatedDisk, later: Later) {
    this.disk = disk;
    this.later = later;
  }

  list(): Promise<readonly PartialFile[]> {
    const { disk } = this;
    return this.later(disk.readDelay() / 4, () =>
      [...disk.contents.parts].map(([name, content]) => ({ name, bytes: content.length })),
    );
  }

  write(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    const { disk } = this;
    const own = bytes.slice();
    return this.later(disk.delay() / 4, () => {
      const before = offset === 0 ? new Uint8Array(0) : (disk.contents.parts.get(name) ?? new Uint8Array(0));
      if (disk.shortage === 'full') {
        throw new ConsensusError('simulated: no space for a snapshot', { code: 'ERR_STORAGE_FAILED' });
      }
      if (offset > before.length) disk.trace.violate('storage/calls-in-order', `${disk.name}: a gap in ${name}`);
      disk.contents.parts.set(name, joined([before.slice(0, offset), own]));
    });
  }

  complete(name: string, file: string): Promise<void> {
    const { disk } = this;
    return this.later(disk.delay(), () => {
      const { parts, files } = disk.contents;
      files.set(file, parts.get(name) as Uint8Array);
      parts.delete(name);
      disk.trace.cover('snapshot pulled');
    });
  }

  remove(name: string): Promise<void> {
    return this.later(this.disk.delay() / 4, () => void this.disk.contents.parts.delete(name));
  }
}

/** A crash: of each partial file something stays, and its end may be other bytes. */
export function crashParts({ contents, trace }: SimulatedDisk, dice: Dice): void {
  for (const [name, content] of contents.parts) {
    const left = content.slice(0, dice.chance(0.5) ? content.length : dice.between(0, content.length));
    if (left.length > 0 && dice.chance(0.25)) left.fill(0, dice.between(0, left.length - 1));
    contents.parts.set(name, left);
    trace.cover('crash of a puller');
  }
}
