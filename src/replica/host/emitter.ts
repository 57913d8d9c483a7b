/**
 * Listeners by kind of event. What a listener throws, or a promise of its own rejects with, reaches neither the host
 * nor the other listeners: the first time it becomes a `listenerFailed` event, after that it goes to `console.error`.
 *
 * Events of the start are kept until `open`, so that whoever listens as soon as it has the replica gets them, too.
 */

import type { ReplicaEvent } from '../driver/state.js';
import { invalidArgument, textOf } from '../errors.js';
import { isThenable } from './plug-ins.js';

export type Listener<K extends ReplicaEvent['kind']> = (event: Extract<ReplicaEvent, { kind: K }>) => void;

/** All kinds, so that a misspelt one is refused. */
const KINDS: Readonly<Record<ReplicaEvent['kind'], true>> = {
  role: true,
  leadership: true,
  established: true,
  lostIdentity: true,
  configurationMismatch: true,
  optionIgnored: true,
  dropped: true,
  fault: true,
  stalled: true,
  clock: true,
  peer: true,
  timing: true,
  listenerFailed: true,
  snapshot: true,
  storage: true,
  transport: true,
};

interface Registered {
  readonly listener: (event: ReplicaEvent) => unknown;
  failed: boolean;
}

interface ConsolePlatform {
  readonly console?: { error(...what: readonly unknown[]): void };
}

function report(of: string, error: unknown): void {
  try {
    (globalThis as unknown as ConsolePlatform).console?.error(`quorate: a listener of ${of} failed:`, error);
  } catch {
    // There is nobody else to tell.
  }
}

export class Emitter {
  private readonly onEvent: Registered | null;
  private readonly listeners = new Map<string, Set<Registered>>();
  /** The events of the start; `null` once they were delivered. */
  private early: ReplicaEvent[] | null = [];
  /** Those are being delivered. */
  private opening = false;

  /** @param onEvent gets every event at once */
  constructor(onEvent: ((event: ReplicaEvent) => void) | undefined) {
    this.onEvent = onEvent === undefined ? null : { listener: onEvent, failed: false };
  }

  /** Returns a function that removes the listener. */
  on<K extends ReplicaEvent['kind']>(kind: K, listener: Listener<K>): () => void {
    if (typeof kind !== 'string' || !Object.hasOwn(KINDS, kind))
      throw invalidArgument(`on: expected ${Object.keys(KINDS).join(', ')}`);
    if (typeof listener !== 'function') throw invalidArgument('on: expected a function of the event');
    const set = this.listeners.get(kind) ?? new Set();
    this.listeners.set(kind, set);
    const own: Registered = { listener: listener as (event: ReplicaEvent) => unknown, failed: false };
    set.add(own);
    return () => void set.delete(own);
  }

  emit(event: ReplicaEvent): void {
    if (this.onEvent !== null) this.call(this.onEvent, event);
    if (this.early !== null) this.early.push(event);
    else this.deliver(event);
  }

  /** Delivers the events of the start; from now on listeners get events as they come. */
  open(): void {
    const { early } = this;
    if (early === null || this.opening) return;
    this.opening = true;
    // What a listener causes meanwhile comes behind, be it the end of the replica.
    for (let at = 0; at < early.length; at++) this.deliver(early[at] as ReplicaEvent);
    this.early = null;
  }

  private deliver(event: ReplicaEvent): void {
    const listeners = this.listeners.get(event.kind);
    if (listeners === undefined) return;
    for (const each of [...listeners]) this.call(each, event);
  }

  private call(registered: Registered, event: ReplicaEvent): void {
    try {
      const result = registered.listener(event);
      if (isThenable(result)) Promise.resolve(result).catch((error: unknown) => this.failed(registered, event, error));
    } catch (error) {
      this.failed(registered, event, error);
    }
  }

  private failed(registered: Registered, { kind: of }: ReplicaEvent, cause: unknown): void {
    const isHeard = this.onEvent !== null || (this.listeners.get('listenerFailed')?.size ?? 0) > 0;
    // One that fails at this very event would be told of itself.
    if (registered.failed || of === 'listenerFailed' || !isHeard) report(of, cause);
    if (registered.failed || of === 'listenerFailed') return;
    registered.failed = true;
    this.emit({ kind: 'listenerFailed', of, reason: textOf(cause), cause });
  }
}
