/**
 * The disks of the host simulation: durable data, and writes under way. Each start of a replica gets a new `Storage` on
 * its disk. Writes and reads take virtual time and may fail, or wait until a shortage is over; a crash keeps or loses
 * the writes under way, and the host's duties towards a storage are checked.
 */

import { ConsensusError } from '../../replica/errors.js';
import type { Opened, Storage, StorageListener, StorageOp, StoredEntry } from '../../replica/storage.js';
import type { Dice } from '../random.js';
import type { Schedule, SimulatedProcess } from './clock.js';
import { copyOf, DiskContents, found, isUnchanged, makesRoom, mayPass } from './disk-contents.js';
import type { DiskHabits } from './plan.js';
import { SimulatedSnapshots, crashParts } from './snapshots.js';
import type { Trace } from './trace.js';

/** A batch that was written and is not durable yet. */
interface WriteBatch {
  /** As given, and as it was when it was given: the caller must not change it. */
  readonly given: readonly StorageOp[];
  readonly ops: readonly StorageOp[];
  lost: boolean;
}

export type DiskFault = 'EIO' | 'ENOSPC';

/** What a disk is short of: space, or something else that passes. */
type DiskShortage = 'full' | 'waiting';

function failure(reason: string): ConsensusError {
  return new ConsensusError(`simulated: ${reason}`, { code: 'ERR_STORAGE_FAILED', outcome: 'unknown' });
}

/** The disk of one member: it outlives crashes. */
export class SimulatedDisk {
  readonly name: string;
  readonly habits: DiskHabits;
  readonly dice: Dice;
  /** Armed by the adversary; each hits once, `ENOSPC` until there is room again. */
  nextWrite: DiskFault | null = null;
  nextRead: boolean = false;
  nextOpen: boolean = false;
  /** Everything takes so many times longer. */
  slowness = 1;
  /** What becomes of partial snapshots in a crash. */
  private readonly partDice: Dice;
  contents = new DiskContents();
  holder: SimulatedStorage | null = null;
  readonly schedule: Schedule;
  readonly trace: Trace;
  private batches: WriteBatch[] = [];
  /** What it is short of. */
  shortage: DiskShortage | null = null;
  /** How many writes end in spite of the shortage; the next ones wait here. */
  private room = 0;
  private waiting: ((fault: DiskFault | null) => void)[] = [];
  /** What waits for the write before it. */
  private behind: { readonly batch: WriteBatch; readonly report: (fault: DiskFault | null) => void }[] = [];
  /** Of a disk that lies: what a crash would leave. */
  private safe: DiskContents | null = null;

  constructor(name: string, schedule: Schedule, trace: Trace, dice: Dice, habits: DiskHabits) {
    this.name = name;
    this.schedule = schedule;
    this.trace = trace;
    this.dice = dice;
    this.habits = habits;
    this.partDice = dice.fork('parts');
    if (habits.lies) this.syncLate();
  }

  /** A lying disk makes things durable now and then, and says at once that they are. */
  private syncLate(): void {
    this.safe = this.contents.copy();
    this.schedule.after(this.dice.within(200, 1000), () => this.syncLate());
  }

  storage(process: SimulatedProcess): SimulatedStorage {
    return new SimulatedStorage(this, process);
  }

  get isBusy(): boolean {
    return this.batches.length > 0;
  }

  /** How long a write or an open takes, in milliseconds. */
  delay(): number {
    const { min, max } = this.habits;
    return this.dice.within(min, max) * this.slowness;
  }

  /** How long a read takes. */
  readDelay(): number {
    const { min, max } = this.habits.load;
    return this.dice.within(min, max) * this.slowness;
  }

  /** @param lag milliseconds until the process comes to it */
  write(given: readonly StorageOp[], lag: number, report: (fault: DiskFault | null) => void): void {
    const batch: WriteBatch = { given, ops: given.map(copyOf), lost: false };
    this.batches.push(batch);
    this.schedule.after(lag + this.delay(), () => this.due(batch, report));
  }

  /** A batch could be durable now, unless it has to wait for space, or for the one before it. */
  private due(batch: WriteBatch, report: (fault: DiskFault | null) => void): void {
    if (batch.lost) return;
    const isFirst = this.batches[0] === batch;
    const before = this.batches.slice(0, this.batches.indexOf(batch)).flatMap(({ ops }) => ops);
    const passes = !isFirst && this.waiting.length > 0 && mayPass(batch.ops, before) && this.dice.chance(0.5);
    if (passes) this.trace.cover('what trims passes a write that waits');
    if (passes || (isFirst && (this.shortage === null || makesRoom(batch.ops) || this.room-- > 0)))
      return this.finish(batch, this.nextWrite, report);
    if (!isFirst) return void this.behind.push({ batch, report });
    this.trace.cover('write waits for space');
    this.waiting.push((fault) => batch.lost || this.finish(batch, fault, report));
    this.retryBehind();
  }

  /** What waits for the write before it looks again whether that is over, or may be passed; if it failed, it fails. */
  private retryBehind(fault: DiskFault | null = null): void {
    for (const { batch, report } of this.behind.splice(0)) {
      if (fault === null) this.due(batch, report);
      else {
        this.batches.splice(this.batches.indexOf(batch), 1);
        report(fault);
      }
    }
  }

  /** Something runs short: a few more writes end, the next ones wait. The holder is told. */
  runShort(shortage: DiskShortage, room: number): void {
    if (this.shortage !== null) return;
    this.shortage = shortage;
    this.room = room;
    this.tellHolder();
  }

  /** The shortage is over: what waited ends. */
  replenish(): void {
    if (this.shortage === null) return;
    this.shortage = null;
    this.endWaiting(null);
    this.tellHolder();
  }

  /** What waits ends, well or in a fault. */
  endWaiting(fault: DiskFault | null): void {
    for (const end of this.waiting.splice(0)) end(fault);
  }

  private tellHolder(): void {
    this.trace.tell(`${this.name} disk ${this.shortage ?? 'resumed'}`);
    this.holder?.hear();
  }

  private finish(batch: WriteBatch, fault: DiskFault | null, report: (fault: DiskFault | null) => void): void {
    const unchanged = batch.given.every((op, at) => isUnchanged(op, batch.ops[at] as StorageOp));
    if (!unchanged) this.trace.violate('storage/bytes-unchanged', `${this.name} changed a batch before it was durable`);
    if (fault === 'EIO') this.nextWrite = null;
    const kept = fault === null || (fault === 'EIO' && this.dice.chance(0.5));
    this.batches.splice(this.batches.indexOf(batch), 1);
    if (kept) for (const op of batch.ops) this.contents.apply(op);
    this.trace.tell(`${this.name} disk ${fault ?? 'synced'}${fault !== null && kept ? ' after all' : ''}`);
    if (fault !== null) this.trace.cover(fault);
    report(fault);
    this.retryBehind(fault);
  }

  /** The process that holds it is gone. Of what is under way, `keep` batches have become durable, in order. */
  crash(keep: boolean): void {
    if (this.batches.length > 0) this.trace.cover(`crash ${keep ? 'keeps' : 'loses'} an unsynced write`);
    for (const batch of this.batches) {
      batch.lost = true;
      if (keep) for (const op of batch.ops) this.contents.apply(op);
    }
    this.batches = [];
    this.waiting = [];
    this.behind = [];
    this.holder = null;
    if (this.safe !== null) this.contents = this.safe.copy();
    crashParts(this, this.partDice);
  }

  /** A new, empty disk under the same name. */
  wipe(): void {
    this.crash(false);
    this.contents = new DiskContents();
    if (this.safe !== null) this.safe = new DiskContents();
  }

  /** No fault is armed any more, and there is room again. */
  heal(): void {
    this.nextWrite = null;
    this.nextRead = false;
    this.nextOpen = false;
    this.slowness = 1;
    this.replenish();
  }
}

/** A disk as one start of a replica has it. */
export class SimulatedStorage implements Storage {
  readonly snapshots: SimulatedSnapshots;
  private readonly disk: SimulatedDisk;
  private readonly process: SimulatedProcess;
  private phase: 'new' | 'opening' | 'open' | 'closed' = 'new';
  private failed = false;
  /** One write at a time, and beside it one that makes room for it on a full disk. */
  private readonly underWay = { write: 0, room: 0 };
  private closing: (() => void)[] = [];
  private listener: StorageListener | undefined;

  constructor(disk: SimulatedDisk, process: SimulatedProcess) {
    this.disk = disk;
    this.process = process;
    this.snapshots = new SimulatedSnapshots(disk, (delay, work) => this.later(delay, work));
  }

  /** Nothing of it is open or under way. */
  get isReleased(): boolean {
    return this.phase === 'closed' && this.disk.holder !== this && !this.isWriting;
  }

  private get isWriting(): boolean {
    return this.underWay.write + this.underWay.room > 0;
  }

  /** Resolves or rejects in the process that called; never, if that is dead by then. */
  private later<T>(delay: number, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.disk.schedule.after(this.process.lag + delay, () => {
        if (!this.process.alive) return;
        try {
          const value = work();
          this.process.input(() => resolve(value));
        } catch (error) {
          this.process.input(() => reject(error));
        }
      });
    });
  }

  private demand(call: string): void {
    const { trace, name } = this.disk;
    if (this.phase !== 'open')
      trace.violate('storage/calls-in-order', `${name}: ${call} while the storage is ${this.phase}`);
    if (this.failed && call === 'write')
      trace.violate('storage/calls-in-order', `${name}: ${call} after a write has failed`);
  }

  /** The process hears, when it comes to it, what the disk is short of by then. */
  hear(): void {
    const { disk, process, listener } = this;
    if (this.phase !== 'open') return;
    process.input(() => listener?.({ kind: disk.shortage ?? 'resumed', reason: 'simulated' }));
  }

  open(listener?: StorageListener): Promise<Opened> {
    const { disk } = this;
    this.listener = listener;
    if (this.phase !== 'new') disk.trace.violate('storage/calls-in-order', `${disk.name}: opened twice`);
    this.phase = 'opening';
    return this.later(disk.delay(), () => {
      if (disk.holder !== null) {
        this.phase = 'closed'; // what is refused holds nothing
        throw new ConsensusError('simulated: the disk is in use', { code: 'ERR_STORAGE_LOCKED' });
      }
      if (disk.nextOpen || disk.nextWrite === 'ENOSPC') {
        disk.nextOpen = false;
        disk.trace.cover('open fails');
        throw failure('the disk cannot be opened');
      }
      disk.holder = this;
      this.phase = 'open';
      disk.contents.boot += 1;
      if (disk.shortage !== null) this.hear();
      return disk.contents.opened();
    });
  }

  write(ops: readonly StorageOp[]): Promise<void> {
    this.demand('write');
    const { trace, name } = this.disk;
    const kind = makesRoom(ops) ? 'room' : 'write';
    if (this.underWay[kind] > 0)
      trace.violate('storage/calls-in-order', `${name}: a write before the last was reported`);
    this.underWay[kind] += 1;
    return new Promise((resolve, reject) => {
      this.disk.write(ops, this.process.lag, (fault) => {
        const complete = (): void => {
          this.underWay[kind] -= 1;
          if (fault === null) resolve();
          else reject(failure(fault));
          this.release();
        };
        if (fault !== null) this.failed = true;
        this.process.input(complete);
      });
    });
  }

  read(from: number, to: number, maxBytes: number): Promise<readonly StoredEntry[]> {
    this.demand('read');
    const { disk } = this;
    const seen = disk.dice.chance(0.5) ? disk.contents.copy() : null;
    disk.trace.cover('read from disk');
    return this.later(disk.readDelay(), () => {
      if (disk.nextRead) {
        disk.nextRead = false;
        disk.trace.cover('read fails');
        throw failure('EIO');
      }
      return found(seen ?? disk.contents, from, to, maxBytes);
    });
  }

  close(): Promise<void> {
    this.phase = 'closed';
    this.disk.endWaiting('ENOSPC'); // a closed storage waits no longer
    return new Promise((resolve) => {
      this.closing.push(resolve);
      this.release();
    });
  }

  /** Lets go of the disk once it is closed and nothing is under way. */
  private release(): void {
    if (this.phase !== 'closed' || this.isWriting) return;
    if (this.disk.holder === this) this.disk.holder = null;
    for (const resolve of this.closing.splice(0)) this.process.input(resolve);
  }
}
