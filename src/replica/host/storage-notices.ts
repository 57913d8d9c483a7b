/**
 * What a storage tells by itself, on its way to the driver and to those who listen. It may tell before there is a host,
 * as while it opens: that waits until the host has begun.
 */

import type { ReplicaEvent } from '../driver/state.js';
import { textOf, typedError } from '../errors.js';
import type { StorageNotice } from '../storage.js';
import type { Host } from './host.js';

const KINDS: readonly unknown[] = ['waiting', 'full', 'resumed', 'dropped', 'failed'];

function isNotice(told: StorageNotice | null | undefined): told is StorageNotice {
  return KINDS.includes(told?.kind) && typeof told?.reason === 'string';
}

export class StorageNotices {
  private early: unknown[] | null = [];
  private host: Host | null = null;
  private tell: (event: ReplicaEvent) => void = () => undefined;

  /** The listener for `Storage.open`. It never throws. */
  readonly listener = (told: StorageNotice): void => {
    if (this.early === null) this.report(told);
    else this.early.push(told);
  };

  /** The host has begun, and takes what was told and what will be. */
  begin(host: Host, tell: (event: ReplicaEvent) => void): void {
    const early = this.early ?? [];
    this.early = null;
    this.host = host;
    this.tell = tell;
    for (const told of early) this.report(told as StorageNotice);
  }

  private report(told: StorageNotice): void {
    const { host } = this;
    try {
      if (!isNotice(told)) throw new TypeError('the storage told something that is no notice');
      const { kind, reason, cause } = told;
      this.tell({ kind: 'storage', event: kind, reason, cause });
      if (kind === 'full') host?.dispatch({ kind: 'storageFull', full: true });
      if (kind === 'resumed') host?.dispatch({ kind: 'storageFull', full: false });
      if (kind === 'failed') {
        host?.dispatch({ kind: 'storageFailed', code: typedError(cause, 'ERR_STORAGE_FAILED').code, reason, cause });
      }
    } catch (error) {
      host?.dispatch({ kind: 'failed', code: 'ERR_STORAGE_FAILED', reason: textOf(error), cause: error });
    }
  }
}
