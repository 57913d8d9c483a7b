/**
 * The space that a start finds: spare files of the process before, and temporary files that a crash left behind. A
 * start takes the largest for the file that it makes, so it needs no free space (storage/restart-needs-no-space): one
 * may have been only begun when the process ended. What is in them is unknown, and is overwritten.
 */
import { letGo } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';
import { spareName } from './format.js';

/** How many spare files are kept. */
const KEPT = 2;

/** A spare file of the process before. */
export interface FoundSpare {
  readonly number: number;
  readonly size: number;
}

/** A file under way to its name. */
export interface TemporaryFile {
  readonly path: string;
  readonly file: DiskFile;
  /** Gives its space back: as a spare file if it was one, else by removing it. */
  giveBack(): Promise<void>;
}

export class SpaceFound {
  private readonly disk: Disk;
  private readonly dir: string;
  /** Of the spare files. */
  private readonly numbers: number[];
  private readonly temporary: readonly string[];

  constructor(disk: Disk, dir: string, spares: readonly number[], temporary: readonly string[]) {
    this.disk = disk;
    this.dir = dir;
    this.numbers = [...spares].sort((a, b) => a - b);
    this.temporary = temporary;
  }

  /** The spare files that are left: their numbers, and their sizes in bytes. */
  async spares(): Promise<readonly FoundSpare[]> {
    // One that cannot be measured now is measured when it is used.
    const sizeOf = (number: number): Promise<number> => this.sizeOf(number).catch(() => 0);
    return Promise.all(this.numbers.map(async (number) => ({ number, size: await sizeOf(number) })));
  }

  private pathOf(number: number): string {
    return this.disk.join(this.dir, spareName(number));
  }

  private freeNumber(): number {
    let number = 1;
    while (this.numbers.includes(number)) number++;
    return number;
  }

  /**
   * Temporary files become spare files while those are few, and are removed otherwise.
   * @param isNew whether there is no segment yet, and so no spare file either
   */
  async keepOrRemove(isNew: boolean): Promise<void> {
    for (const name of this.temporary) {
      const path = this.disk.join(this.dir, name);
      if (!isNew && this.numbers.length < KEPT) await this.keep(path);
      else await this.disk.unlink(path);
    }
  }

  private async keep(path: string): Promise<void> {
    const number = this.freeNumber();
    await this.disk.rename(path, this.pathOf(number));
    this.numbers.push(number);
  }

  private async sizeOf(number: number): Promise<number> {
    const file = await this.disk.openToRead(this.pathOf(number));
    try {
      return await file.size();
    } finally {
      await letGo(file);
    }
  }

  /** Takes the largest spare file off the list. */
  private async largest(): Promise<number | undefined> {
    const { numbers } = this;
    let [found, most] = [0, -1];
    if (numbers.length > 1) {
      for (const [at, number] of numbers.entries()) {
        const size = await this.sizeOf(number);
        if (size >= most) [found, most] = [at, size];
      }
    }
    return numbers.splice(found, 1)[0];
  }

  /** A file to write to under the name `path`: the largest spare one if there is any. */
  async take(path: string): Promise<TemporaryFile> {
    const { disk } = this;
    const number = await this.largest();
    if (number === undefined) {
      const file = await disk.create(path);
      return { path, file, giveBack: () => disk.unlink(path) };
    }
    const spare = this.pathOf(number);
    await disk.rename(spare, path);
    const giveBack = async (): Promise<void> => {
      await disk.rename(path, spare);
      this.numbers.push(number);
    };
    return { path, file: await disk.open(path), giveBack };
  }
}
