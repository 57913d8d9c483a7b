/** The host's calls of the storage's log: what it answers, throws or rejects with becomes an event of the driver. */

import type { DriverEffect, DriverEvent, Untimed } from '../driver/state.js';
import { typedError } from '../errors.js';
import type { Storage, StoredEntry } from '../storage.js';
import { areEntries, awaited } from './plug-ins.js';

type LogEvent = Extract<DriverEvent, { readonly kind: 'written' | 'roomMade' | 'loaded' | 'storageFailed' }>;
export class StorageCalls {
  private readonly storage: Storage;
  private readonly dispatch: (event: Untimed<LogEvent>) => void;

  constructor(storage: Storage, dispatch: (event: Untimed<LogEvent>) => void) {
    this.storage = storage;
    this.dispatch = dispatch;
  }

  write({ kind, ops }: Extract<DriverEffect, { readonly kind: 'write' | 'makeRoom' }>): void {
    this.call('write', () => this.storage.write(ops), kind === 'write' ? this.written : this.roomMade);
  }

  load({ id, from, to, maxBytes }: Extract<DriverEffect, { readonly kind: 'load' }>): void {
    const loaded = (entries: readonly StoredEntry[]): void => this.loaded(id, entries);
    this.call('read', () => this.storage.read(from, to, maxBytes), loaded);
  }

  private readonly written = (): void => this.dispatch({ kind: 'written' });
  private readonly roomMade = (): void => this.dispatch({ kind: 'roomMade' });

  private loaded(id: number, entries: readonly StoredEntry[]): void {
    if (areEntries(entries)) this.dispatch({ kind: 'loaded', id, entries });
    else this.failed(new TypeError('storage.read gave something else than entries'));
  }

  /** If the storage throws, rejects or gives no promise, the driver gets `storageFailed`. */
  private call<T>(what: string, work: () => Promise<T>, then: (value: T) => void): void {
    awaited(`storage.${what}`, work, then, (error) => this.failed(error));
  }

  private failed(cause: unknown): void {
    const { code, message } = typedError(cause, 'ERR_STORAGE_FAILED');
    this.dispatch({ kind: 'storageFailed', code, reason: message, cause });
  }
}
