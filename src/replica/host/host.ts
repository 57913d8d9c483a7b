/**
 * The host: the loop that connects the driver with clock, transport, storage and state machine. It carries out the
 * driver's effects in order and reports what happened as events; it decides nothing.
 *
 * Events go through one queue, so the driver is never re-entered. Before every tick the host waits two turns of the
 * event loop for queued input, since timers run before sockets are polled.
 */

import type { Cancellable } from '../clock.js';
import { driverOf, type Driver } from '../driver/driver.js';
import type { DriverEffect, DriverEvent, DriverState, Failure, ReplicaEvent, ReplicaStatus } from '../driver/state.js';
import { rethrowApart } from './emitter.js';
import type { MachineRunner } from './machine-runner.js';
import type { OpenedData } from './recover.js';
import type { AnyMachine, CheckedOptions } from '../options.js';
import type { StoredResult } from '../driver/session-table.js';
import type { StorageOp, StoredEntry } from '../storage.js';
import type { TransportHandler } from '../transport.js';

/** The callbacks of the host: ends of calls, and events. */
export interface Audience {
  answer(call: number, result: StoredResult, index: number): void;
  serve(calls: readonly number[], index: number): void;
  fail(calls: readonly number[], failure: Failure): void;
  tell(event: ReplicaEvent): void;
}

/** An event without its time. */
type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

export class Host {
  readonly handler: TransportHandler;
  private readonly checked: CheckedOptions<AnyMachine>;
  private readonly driver: Driver;
  private readonly runner: MachineRunner;
  private readonly audience: Audience;
  private current: DriverState | null = null;
  private events: DriverEvent[] = [];
  /** True while the driver runs, and before it exists. */
  private working = true;
  private stopped = false;
  private timer: Cancellable | null = null;
  private timerAt = Infinity;

  constructor(checked: CheckedOptions<AnyMachine>, runner: MachineRunner, audience: Audience) {
    this.checked = checked;
    this.driver = driverOf(checked.protocol.protocol);
    this.runner = runner;
    this.audience = audience;
    this.handler = {
      onMessage: (from, bytes) => this.dispatch({ kind: 'message', from, bytes }),
      // What was under way counts as lost, on either lane, whether or not the peer can be reached again.
      onDisconnected: (peer) => this.dispatch({ kind: 'unreachable', peer }),
      onUnreachable: (peer) => this.dispatch({ kind: 'unreachable', peer }),
      onRefused: (peer, why, reason) => this.dispatch({ kind: 'refused', peer, why, reason }),
      onEvent: ({ kind, peer, reason }) => audience.tell({ kind: 'transport', event: kind, peer, reason }),
    };
  }

  get now(): number {
    return this.checked.clock.now();
  }

  /** The driver's state; there is none before `begin`. */
  get state(): DriverState {
    return this.current as DriverState;
  }

  status(): ReplicaStatus {
    return { ...this.driver.status(this.state), connected: this.checked.transport.connected() };
  }

  /** Starts the driver, which then handles the events that arrived before. */
  begin({ options, recovered }: OpenedData): void {
    const [state, effects] = this.driver.init(options, recovered);
    this.current = state;
    for (const effect of effects) this.perform(effect);
    this.work();
  }

  /** Reports an event to the driver and carries out the effects. */
  dispatch(event: Untimed<DriverEvent>): void {
    this.events.push({ ...event, now: this.now });
    if (!this.working) this.work();
  }

  private work(): void {
    this.working = true;
    while (this.events.length > 0) {
      // Events are taken in batches: removing the first item of a long array takes time linear in its length.
      const batch = this.events;
      this.events = [];
      for (let at = 0; at < batch.length; at++) {
        const [state, effects] = this.driver.step(this.state, batch[at] as DriverEvent);
        this.current = state;
        for (let i = 0; i < effects.length; i++) this.perform(effects[i] as DriverEffect);
      }
    }
    this.working = false;
    this.arm();
  }

  /** A timer that fires early does no harm, so one is only replaced by an earlier one. */
  private arm(): void {
    const due = this.stopped ? Infinity : this.driver.deadline(this.state);
    if (due === Infinity || (this.timer !== null && this.timerAt <= due)) return;
    this.timer?.cancel();
    this.timerAt = due;
    this.timer = this.checked.clock.after(due - this.now, () => this.letInputIn(2));
  }

  private letInputIn(turns: number): void {
    if (turns > 0) {
      this.timer = this.checked.clock.soon(() => this.letInputIn(turns - 1));
      return;
    }
    this.timer = null;
    this.timerAt = Infinity;
    if (this.now >= this.driver.deadline(this.state)) this.dispatch({ kind: 'tick' });
    else this.arm();
  }

  private perform(effect: DriverEffect): void {
    switch (effect.kind) {
      case 'send':
        return this.send(effect);
      case 'write':
        return this.write(effect.ops);
      case 'load':
        return this.load(effect.id, effect.from, effect.to, effect.maxBytes);
      case 'apply': {
        const results = this.runner.run(effect.entries);
        return this.dispatch('code' in results ? { kind: 'applyFailed', ...results } : { kind: 'applied', results });
      }
      case 'answer':
        return this.audience.answer(effect.call, effect.result, effect.index);
      case 'serve':
        return this.audience.serve(effect.calls, effect.index);
      case 'fail':
        return this.audience.fail(effect.calls, effect.failure);
      case 'peers': {
        const others = effect.members.filter((member) => member.id !== this.checked.id);
        return this.reach(() => this.checked.transport.setPeers(others));
      }
      case 'event':
        return this.audience.tell(effect.event);
    }
  }

  private send({ to, bytes, lane, forward }: Extract<DriverEffect, { kind: 'send' }>): void {
    this.reach(() => {
      const isLeaving = this.checked.transport.send(to, bytes, lane);
      if (!isLeaving && forward !== undefined) this.dispatch({ kind: 'unsent', forward });
    });
  }

  /** Calls the transport. If it throws, against its duties, the message is lost and the loop goes on. */
  private reach(work: () => void): void {
    try {
      work();
    } catch (error) {
      rethrowApart(error);
    }
  }

  private write(ops: readonly StorageOp[]): void {
    const written = (): void => this.dispatch({ kind: 'written' });
    this.stored(() => this.checked.storage.write(ops), written);
  }

  private load(id: number, from: number, to: number, maxBytes: number): void {
    const loaded = (entries: readonly StoredEntry[]): void => this.dispatch({ kind: 'loaded', id, entries });
    this.stored(() => this.checked.storage.read(from, to, maxBytes), loaded);
  }

  /** Calls the storage. If it rejects or throws, the driver gets `storageFailed`. */
  private stored<T>(work: () => Promise<T>, then: (value: T) => void): void {
    const failed = (error: unknown): void => {
      const reason = error instanceof Error ? error.message : String(error);
      this.dispatch({ kind: 'storageFailed', reason });
    };
    let done: Promise<T>;
    try {
      done = work();
    } catch (error) {
      return failed(error);
    }
    done.then(then, failed);
  }

  /** Stops the driver, which ends every request, then stops the transport and closes the storage. */
  async stop(): Promise<void> {
    this.dispatch({ kind: 'stop' });
    this.stopped = true;
    this.timer?.cancel();
    this.timer = null;
    try {
      await this.checked.transport.stop();
    } finally {
      await this.checked.storage.close();
    }
  }
}
