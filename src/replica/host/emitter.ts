/** Listeners by kind of event. The error of a listener that throws becomes an uncaught exception in a later turn. */

import type { ReplicaEvent } from '../driver/state.js';

export type Listener<K extends ReplicaEvent['kind']> = (event: Extract<ReplicaEvent, { kind: K }>) => void;

interface MicrotaskPlatform {
  queueMicrotask(callback: () => void): void;
}

/** Throws the error in a later turn of the event loop, so that it cannot interrupt the host. */
export function rethrowApart(error: unknown): void {
  (globalThis as unknown as MicrotaskPlatform).queueMicrotask(() => {
    throw error;
  });
}

export class Emitter {
  private readonly listeners = new Map<string, Set<(event: ReplicaEvent) => void>>();

  /** Returns a function that removes the listener. */
  on<K extends ReplicaEvent['kind']>(kind: K, listener: Listener<K>): () => void {
    const set = this.listeners.get(kind) ?? new Set();
    this.listeners.set(kind, set);
    const own = (event: ReplicaEvent): void => listener(event as Extract<ReplicaEvent, { kind: K }>);
    set.add(own);
    return () => void set.delete(own);
  }

  emit(event: ReplicaEvent): void {
    for (const listener of this.listeners.get(event.kind) ?? []) {
      try {
        listener(event);
      } catch (error) {
        rethrowApart(error);
      }
    }
  }
}
