/**
 * Space got ahead. Spare files of zeros lie ready: the log goes on in one when its file is used up, so that no write
 * waits for space, and no space runs out inside a group. They are made in the background, one piece and one sync after
 * the other, as fast as the log uses up its own file, so that a large one does not crowd out the writes.
 *
 * Invariants:
 * - Two are kept ready. The log takes one only while another one is left: that one is the reserve, with which the next
 *   start needs no free space (storage/restart-needs-no-space); but on a full disk it takes that one, too, to give back
 *   trimmed segments (storage/trimmed-goes-when-full).
 * - A spare file is ready when all its zeros are synced, and never before; one that a start finds has what a crash left
 *   in it, so it is filled anew.
 * - Snapshots take no space before the log has its two, or what they need at first (`secured`), or finds that there is
 *   none: then a snapshot is what lets the log go.
 * - A spare file that fails is removed; that is tried again and is never a fault of the log.
 */
import { ConsensusError } from '../../replica/errors.js';
import { letGo, writeZeros } from './disk-io.js';
import type { Disk, DiskFile } from './disk.js';
import { spareName } from './format.js';
import type { FoundSpare } from './space-found.js';
import { isNoSpace } from './shortages.js';
import type { Shortages } from './shortages.js';

/** The size of the first ones, and what a start needs at most. */
export const RESERVE = 1024 * 1024;
/** How many are kept. */
const KEPT = 2;
const PIECE = 1024 * 1024;
/** The next one is so many times as large as the file that the log fills, up to the limit. */
const GROWTH = 4;
/** The share of the log's file that is used when the next one shall be ready. */
const READY_AT = 0.8;

/** A file of zeros. */
export interface SpareFile {
  readonly path: string;
  /** Its number: the name is taken until `renamed`. */
  readonly number: number;
  readonly file: DiskFile;
  readonly size: number;
}

export interface SpareOptions {
  readonly disk: Disk;
  readonly dir: string;
  /** The largest size, in bytes. */
  readonly limit: number;
  readonly sync: boolean;
  readonly shortages: Shortages;
  /** Those that the start found. */
  readonly found: readonly FoundSpare[];
}

export class Spares {
  private readonly options: SpareOptions;
  private readonly found: FoundSpare[];
  private readonly ready: SpareFile[] = [];
  private readonly numbers = new Set<number>();
  private filling: Promise<void> | undefined;
  private urgent: (() => void)[] = [];
  private proceed: (() => void) | undefined;
  private used = 0;
  private space = RESERVE;
  private broken: unknown;
  private closed = false;
  /** Whether the one that is being made has its first bytes. */
  private isClaimed = false;
  /** Why there is no space for the one that is being made. */
  private lacking: unknown;
  private waiting: (() => void)[] = [];
  private isReleased = false;
  /** Bytes of the one that is being made. */
  private making = 0;

  constructor(options: SpareOptions) {
    this.options = options;
    this.found = [...options.found];
    for (const { number } of options.found) this.numbers.add(number);
  }

  /** Begins to make what is missing. */
  start(): void {
    if (this.closed || this.filling !== undefined) return;
    this.filling = this.fill().finally(() => {
      this.filling = undefined;
    });
  }

  /** How much of its file the log has used. */
  progress(used: number, space: number): void {
    this.used = used;
    this.space = space;
    this.proceed?.();
  }

  /** The largest one that may be taken now. */
  get available(): SpareFile | undefined {
    if (this.ready.length < KEPT) return undefined;
    return this.ready.reduce((a, b) => (b.size > a.size ? b : a));
  }

  /** The one that `takeLast` takes; with it the log gives back what is trimmed, where there is no space for more. */
  get last(): SpareFile | undefined {
    return this.ready[0];
  }

  /** Takes the last one, which there must be; more are made when there is space. */
  takeLast(): SpareFile {
    const spare = this.ready.shift() as SpareFile;
    this.start();
    return spare;
  }

  /** Bytes in those that there are, with the one that is being made. */
  get bytes(): number {
    return [...this.ready, ...this.found].reduce((sum, { size }) => sum + size, this.making);
  }

  /** Whether the log has the space that is kept for it; what is free before is not for others. */
  private get isSecured(): boolean {
    return this.ready.length + (this.isClaimed ? 1 : 0) >= KEPT;
  }

  /**
   * Resolves when the log has the space that is kept for it, or the disk has none for it; at once, nearly always.
   * @throws ConsensusError ERR_CLOSED
   */
  async secured(): Promise<void> {
    for (;;) {
      if (this.isReleased) throw new ConsensusError('the storage is closed', { code: 'ERR_CLOSED' });
      if (this.isSecured || this.lacking !== undefined || this.options.shortages.isFull) return;
      this.start();
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  private wake(): void {
    for (const wake of this.waiting.splice(0)) wake();
  }

  /** Those who wait to take one look again. */
  private wakeTakers(): void {
    for (const wake of this.urgent.splice(0)) wake();
  }

  /** Nobody waits for `secured` any more. */
  release(): void {
    this.isReleased = true;
    this.wake();
  }

  /**
   * Takes the largest one. Waits until there is one to take, or there was no space for one: then the result is
   * undefined. Rejects when it waits at close.
   */
  async take(): Promise<SpareFile | undefined> {
    for (let tries = 0; ; tries++) {
      const { available } = this;
      if (available !== undefined) {
        this.ready.splice(this.ready.indexOf(available), 1);
        this.start();
        return available;
      }
      if (this.broken !== undefined) throw this.broken;
      if (tries > 0 && this.lacking !== undefined) return undefined;
      this.start();
      await new Promise<void>((resolve) => {
        this.urgent.push(resolve);
        this.proceed?.();
      });
    }
  }

  /** A spare file that was taken has another name now, and its own can be used again. */
  renamed({ number }: SpareFile): void {
    this.numbers.delete(number);
  }

  private async fill(): Promise<void> {
    const { shortages } = this.options;
    while (!this.closed && this.ready.length < KEPT) {
      // Whatever goes wrong with a spare file, another one may do.
      const spare = await shortages
        .outlast(
          'getting space ahead',
          (isThere) => this.make(isThere),
          () => true,
        )
        .catch((error: unknown) => {
          this.broken = error; // nothing is tried again: the storage is being closed
        });
      if (spare !== undefined) {
        this.ready.push(spare);
        this.lacking = undefined;
      }
      this.isClaimed = false;
      this.making = 0;
      this.wake();
      this.wakeTakers();
      if (spare === undefined) return;
    }
  }

  private async make(isThere: () => void): Promise<SpareFile> {
    const { disk, dir } = this.options;
    const found = this.found.pop();
    const number = found?.number ?? this.freeNumber();
    this.making = found?.size ?? 0;
    const path = disk.join(dir, spareName(number));
    this.numbers.add(number);
    let file: DiskFile | undefined;
    try {
      file = found === undefined ? await disk.create(path) : await disk.open(path);
      const size = await this.zeros(file, this.nextSize(), isThere);
      return { path, number, file, size };
    } catch (error) {
      this.numbers.delete(number);
      if (file !== undefined) await letGo(file);
      await disk.unlink(path).catch(() => undefined);
      this.isClaimed = false;
      this.making = 0;
      if (isNoSpace(error)) this.lacking = error;
      this.wake();
      this.wakeTakers();
      throw error;
    }
  }

  /** Fills a file with synced zeros; fewer when there is no space for more, or somebody waits. @returns how many */
  private async zeros(file: DiskFile, size: number, isThere: () => void): Promise<number> {
    const { limit, sync } = this.options;
    this.making = await file.size();
    if (this.making > size) await file.truncate(size);
    this.making = Math.min(this.making, size);
    let filled = 0;
    while (filled < size) {
      if (filled >= Math.min(RESERVE, limit)) {
        this.claimed();
        isThere();
        await this.untilDue(filled / size);
        if (this.urgent.length > 0 || this.closed) break; // whoever waits takes what there is
      }
      const to = Math.min(size, filled + PIECE);
      try {
        await writeZeros(file, filled, to);
      } catch (error) {
        if (!this.isClaimed || !isNoSpace(error)) throw error;
        await file.truncate(filled);
        this.making = filled;
        break;
      }
      if (sync) await file.datasync();
      filled = to;
      this.making = Math.max(this.making, filled);
    }
    return filled;
  }

  /** The one that is being made has as much as any of them needs. */
  private claimed(): void {
    this.isClaimed = true;
    this.lacking = undefined;
    this.wake();
  }

  /** Resolves when so large a share of the next file is due. */
  private async untilDue(share: number): Promise<void> {
    while (!this.closed && this.urgent.length === 0 && this.used / this.space < share * READY_AT) {
      await new Promise<void>((resolve) => {
        this.proceed = resolve;
      });
    }
    this.proceed = undefined;
  }

  /** The first one is the reserve; the next is to be larger than what the log fills. */
  private nextSize(): number {
    const { limit } = this.options;
    const isReserve = this.ready.length === 0 || this.space < RESERVE;
    return Math.min(limit, isReserve ? RESERVE : Math.max(RESERVE, GROWTH * this.space));
  }

  private freeNumber(): number {
    let number = 1;
    while (this.numbers.has(number)) number++;
    return number;
  }

  /** Ends what is under way. The files stay, for the next start. */
  async close(): Promise<void> {
    this.closed = true;
    this.proceed?.();
    await this.filling;
    this.wakeTakers();
    for (const { file } of this.ready.splice(0)) await letGo(file);
  }
}
