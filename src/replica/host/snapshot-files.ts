/**
 * Takes snapshots of the machine into the storage, reads them back, and restores the machine from one.
 *
 * Invariants: the point in time of a snapshot is the call of `snapshot()`, in the turn in which the driver asks for it;
 * what follows streams in slices that let input in, while applying goes on. A snapshot is reported only when it was
 * complete, durable and read back. Every byte is verified before the first one is given to the machine, and nothing
 * else touches the machine meanwhile.
 */

import { joined } from '../../core/bytes.js';
import type { SnapshotOutput } from '../driver/snapshot-events.js';
import type { StoredSnapshot } from '../driver/snapshots.js';
import type { DriverEffect, DriverEvent, DriverOptions, Untimed } from '../driver/state.js';
import { ConsensusError, textOf, typedError } from '../errors.js';
import type { AnyMachine, CheckedOptions } from '../options.js';
import type { StateMachine, StreamingStateMachine, ValueCodec } from '../state-machine.js';
import type { SnapshotStore } from '../storage.js';
import { SLICE, type SliceHost } from './apply-slices.js';
import { answered, isThenable, silence } from './plug-ins.js';
import { SnapshotPulls, type PullEvent } from './snapshot-pulls.js';
import {
  MOST_PAYLOAD,
  SnapshotFramer,
  type SnapshotScan,
  corruptSnapshot,
  encodeSnapshotHeader,
  readBeginning,
} from './snapshot-format.js';
import { demandSpace } from './snapshot-space.js';
import { begun, isStreaming, misfit, type SnapshotSource } from './snapshot-stream.js';
import { scanOf, verified, type SnapshotOwner } from './snapshot-verify.js';

type TakeSnapshot = Extract<DriverEffect, { readonly kind: 'takeSnapshot' }>;
type SnapshotEvent = Extract<
  DriverEvent,
  { readonly kind: 'restored' | 'snapshotTaken' | 'snapshotFailed' | 'failed' | PullEvent['kind'] }
>;

const SNAPSHOT_EFFECTS: ReadonlySet<string> = new Set<SnapshotOutput['kind']>([
  'takeSnapshot',
  'endTaking',
  'removeSnapshot',
  'restore',
  'readChunk',
  'pullSnapshot',
  'storeChunk',
  'completeSnapshot',
  'abandonSnapshot',
  'removePartial',
]);

/** Whether the effect is for `SnapshotFiles`. */
export function isSnapshotEffect(effect: DriverEffect): effect is SnapshotOutput {
  return SNAPSHOT_EFFECTS.has(effect.kind);
}

/** The part of the host that snapshots need. */
export interface SnapshotHost extends Pick<SliceHost, 'now' | 'soon'> {
  dispatch(event: Untimed<SnapshotEvent>): void;
}

export class SnapshotFiles {
  private readonly store: SnapshotStore | undefined;
  private readonly machine: AnyMachine;
  private readonly codec: ValueCodec;
  private readonly host: SnapshotHost;
  private pulls: SnapshotPulls | undefined;
  private readonly protocol: string;
  private owner: SnapshotOwner = { cluster: '', protocol: '' };
  private stopped = false;
  /** The file of the snapshot that is to end. */
  private ending = '';
  /** What waits for the machine or the storage: each is called when the replica is closed. */
  private readonly waits = new Set<() => void>();

  constructor(checked: CheckedOptions<AnyMachine>, host: SnapshotHost) {
    this.store = checked.storage.snapshots;
    this.machine = checked.machine;
    this.codec = checked.snapshotCodec;
    this.protocol = checked.protocol.protocol.name;
    this.host = host;
  }

  /** Removes the files that no list names: they were never complete, or are no longer needed. */
  begin({ cluster, snapshots, boot }: Pick<DriverOptions, 'cluster' | 'snapshots' | 'boot'>): void {
    const { store, protocol } = this;
    const { named } = snapshots;
    this.owner = { cluster, protocol };
    if (store === undefined) return;
    this.pulls = new SnapshotPulls(store, this.owner, this.host, (form) => misfit(this.machine, form));
    const rest = answered('ERR_STORAGE_FAILED', 'snapshots.list', () => store.list());
    // The list may come late: what this start has written by then is not an earlier one's.
    const isOwn = (file: string): boolean => file.split('-')[1] === String(boot);
    const isLeft = (file: string): boolean => !isOwn(file) && named.every((snapshot) => snapshot.file !== file);
    // What cannot be removed now stays until the next start.
    silence(rest.then((files) => files.filter(isLeft).forEach((file) => this.remove(file))));
    this.pulls.begin(snapshots.partial ?? null);
  }

  stop(): void {
    this.stopped = true;
    this.pulls?.stop();
    for (const end of this.waits) end();
  }

  /** What a machine or a storage promises may never come: closing does not wait for it. */
  private unlessStopped<T>(promise: PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (): void => reject(new ConsensusError('the replica takes no part any more', { code: 'ERR_CLOSED' }));
      const over = (then: () => void): void => {
        this.waits.delete(end);
        then();
      };
      this.waits.add(end);
      promise.then(
        (value) => over(() => resolve(value)),
        (error: unknown) => over(() => reject(error as Error)),
      );
      if (this.stopped) end();
    });
  }

  perform(effect: SnapshotOutput): void {
    if (effect.kind === 'takeSnapshot') this.take(effect);
    else if (effect.kind === 'endTaking') this.ending = effect.file;
    else if (effect.kind === 'restore') this.restore(effect.snapshot);
    else if (effect.kind === 'removeSnapshot') this.remove(effect.file);
    else this.pulls?.perform(effect);
  }

  private remove(file: string): void {
    const { store } = this;
    if (store !== undefined && !this.stopped) {
      silence(answered('ERR_STORAGE_FAILED', 'snapshots.remove', () => store.remove(file)));
    }
  }

  /** Takes a snapshot of the machine as it is in this turn. */
  private take(effect: TakeSnapshot): void {
    const { file } = effect;
    let source: SnapshotSource;
    try {
      source = this.source();
    } catch (error) {
      return this.failed(file, error);
    }
    this.write(effect, source).then(
      ({ checksum, bytes }) => {
        if (!this.stopped) this.host.dispatch({ kind: 'snapshotTaken', file, checksum, bytes });
      },
      (error: unknown) => this.failed(file, error),
    );
  }

  private failed(file: string, cause: unknown): void {
    if (!this.stopped) this.host.dispatch({ kind: 'snapshotFailed', file, reason: textOf(cause), cause });
  }

  private source(): SnapshotSource {
    const { machine } = this;
    const given: unknown = machine.snapshot();
    if (isThenable(given)) {
      silence(given);
      throw new TypeError('snapshot() gave a promise');
    }
    if (!isStreaming(machine)) return { form: 'value', bytes: this.codec.encode(given) };
    return begun(given as Partial<AsyncIterable<unknown> & Iterable<unknown>> | null);
  }

  private async write(effect: TakeSnapshot, source: SnapshotSource): Promise<{ checksum: number; bytes: number }> {
    const store = this.store as SnapshotStore;
    const { file, index, term, needed } = effect;
    try {
      await demandSpace(store, needed);
    } catch (error) {
      if (source.form === 'stream') source.end();
      throw error;
    }
    const framer = new SnapshotFramer();
    const isEnded = (): boolean => this.ending === file;
    const blocks = blocksOf(this.sliced(this.payloadsOf(effect, source), isEnded), framer);
    await answered('ERR_STORAGE_FAILED', 'snapshots.write', () => store.write(file, blocks));
    try {
      const read = await verified(store, { file, index, term }, this.owner);
      const isSame = read.checksum === framer.checksum && read.bytes === framer.size;
      if (!isSame) throw corruptSnapshot(file, 0, 'it was read back as something else');
      return read;
    } catch (error) {
      this.remove(file);
      throw error;
    }
  }

  private async *payloadsOf({ index, term, part }: TakeSnapshot, source: SnapshotSource): AsyncGenerator<Uint8Array> {
    const { form } = source;
    yield encodeSnapshotHeader({ form, ...this.owner, index, term, partBytes: part.length });
    yield part;
    if (source.form === 'value') {
      const { bytes } = source;
      for (let at = 0; at < bytes.length; at += MOST_PAYLOAD) yield bytes.subarray(at, at + MOST_PAYLOAD);
      return;
    }
    for await (const chunk of source.chunks) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError('a chunk of the snapshot is no Uint8Array');
      yield chunk;
    }
  }

  /** The same, with a turn of the event loop between slices of time. It throws once it is ended. */
  private async *sliced(
    payloads: AsyncIterable<Uint8Array>,
    isEnded: () => boolean = () => false,
  ): AsyncGenerator<Uint8Array> {
    let since = this.host.now;
    const iterator = payloads[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.unlessStopped(iterator.next());
        if (isEnded()) throw new Error('the machine is restored');
        if (next.done === true) return;
        yield next.value;
        if (isEnded()) throw new Error('the machine is restored');
        if (this.host.now - since < SLICE) continue;
        await this.turn();
        since = this.host.now;
      }
    } finally {
      if (iterator.return !== undefined) silence(iterator.return()); // it may wait behind what never comes
    }
  }

  private turn(): Promise<void> {
    return new Promise((resolve) => {
      if (this.host.soon(resolve) === null) resolve();
    });
  }

  /** Restores the machine. The snapshot was verified. */
  private restore({ file }: StoredSnapshot): void {
    this.restoreFrom(file).then(
      () => {
        if (!this.stopped) this.host.dispatch({ kind: 'restored' });
      },
      (error: unknown) => {
        if (this.stopped) return;
        const { code, message } = typedError(error, 'ERR_RESTORE_FAILED');
        const cause = error instanceof ConsensusError && error.cause !== undefined ? error.cause : error;
        this.host.dispatch({ kind: 'failed', code, reason: `the snapshot ${file}: ${message}`, cause });
      },
    );
  }

  private async restoreFrom(file: string): Promise<void> {
    const { machine } = this;
    const scan = scanOf(this.store as SnapshotStore, file);
    const { header } = await readBeginning(file, scan);
    const unfit = misfit(machine, header.form);
    if (unfit !== null) throw new ConsensusError(unfit, { code: 'ERR_RESTORE_FAILED' });
    let isRead = false;
    const chunks = this.sliced(chunksOf(scan, () => (isRead = true)));
    if (header.form === 'stream') {
      await this.answeredBy(() => (machine as StreamingStateMachine).restoreFrom(chunks));
      if (isRead || (await scan.next()) === null) return;
      throw new ConsensusError('restoreFrom ended before it had read all chunks', { code: 'ERR_RESTORE_FAILED' });
    }
    const pieces: Uint8Array[] = [];
    for await (const chunk of chunks) pieces.push(chunk);
    return this.answeredBy(() => (machine as StateMachine).restore(this.codec.decode(joined(pieces))));
  }

  /** Calls the machine; what it throws is ERR_RESTORE_FAILED, whatever it is. */
  private async answeredBy(call: () => unknown): Promise<void> {
    try {
      await call();
    } catch (error) {
      throw new ConsensusError(`restoring threw: ${textOf(error)}`, { code: 'ERR_RESTORE_FAILED', cause: error });
    }
  }
}

/** A file with these payloads. */
async function* blocksOf(payloads: AsyncIterable<Uint8Array>, framer: SnapshotFramer): AsyncGenerator<Uint8Array> {
  for await (const payload of payloads) yield* framer.take(payload);
  yield* framer.end();
}

async function* chunksOf(scan: SnapshotScan, ended: () => void): AsyncGenerator<Uint8Array> {
  for (let chunk = await scan.next(); chunk !== null; chunk = await scan.next()) yield chunk.slice();
  ended();
}
