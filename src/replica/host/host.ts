/**
 * The host: the loop that connects the driver with clock, transport, storage and state machine. It carries out the
 * driver's effects in order and reports what happened as events; it decides nothing.
 *
 * Events go through one queue, so the driver is never re-entered. Before every tick the host waits two turns of the
 * event loop for queued input, since timers run before sockets are polled.
 *
 * The loop is the one boundary for exceptions: whatever a plug-in or our own code throws becomes the fault with which
 * the driver halts, which ends every request. Nothing that calls the host sees an exception.
 */

import type { Entry } from '../../core/protocol.js';
import { exchangeBound } from '../../core/tuning.js';
import type { Cancellable } from '../clock.js';
import { callsIn } from '../driver/calls.js';
import { driverOf, type Driver } from '../driver/driver.js';
import type { DriverEffect, DriverEvent, DriverState, Fault, ReplicaStatus, Untimed } from '../driver/state.js';
import { ApplySlices } from './apply-slices.js';
import type { Audience } from './audience.js';
import type { MachineRunner } from './machine-runner.js';
import { ClockWatch } from './clock-watch.js';
import { endPlugIns } from './closing.js';
import { SnapshotFiles, isSnapshotEffect } from './snapshot-files.js';
import { StorageCalls } from './storage-calls.js';
import { notStored, storedStatus, unsentOf } from './plug-ins.js';
import type { OpenedData } from './recover.js';
import { typedError, type ErrorCode } from '../errors.js';
import type { AnyMachine, CheckedOptions } from '../options.js';
import type { StoredResult } from '../driver/session-table.js';
import type { TransportHandler } from '../transport.js';

export class Host {
  readonly handler: TransportHandler;
  private readonly checked: CheckedOptions<AnyMachine>;
  private readonly driver: Driver;
  private readonly slices: ApplySlices;
  private readonly log: StorageCalls;
  private readonly snapshots: SnapshotFiles;
  private readonly audience: Audience;
  private current: DriverState | null = null;
  private events: DriverEvent[] = [];
  /** True while the driver runs, and before it exists. */
  private working = true;
  private stopped = false;
  /** The first thing that went wrong here; the driver halts with it. */
  private fault: Fault | null = null;
  private faultTold = false;
  private timer: Cancellable | null = null;
  private timerAt = Infinity;
  private lastNow = 0;
  private clockWatch: ClockWatch | null = null;
  /** Called when the driver says that the replica has left. */
  private left: (() => void) | null = null;

  constructor(checked: CheckedOptions<AnyMachine>, runner: MachineRunner, audience: Audience) {
    this.checked = checked;
    this.driver = driverOf(checked.protocol.protocol);
    this.slices = new ApplySlices(runner, this);
    this.log = new StorageCalls(checked.storage, (event) => this.dispatch(event));
    this.snapshots = new SnapshotFiles(checked, this);
    this.audience = audience;
    this.handler = {
      onMessage: (from, bytes) => this.guard('ERR_TRANSPORT_FAILED', () => this.receive(from, bytes)),
      onDisconnected: (peer, lane) => this.dispatch({ kind: 'disconnected', peer, lane }),
      onUnreachable: (peer) => this.dispatch({ kind: 'unreachable', peer }),
      onRefused: (peer, why, reason) => this.dispatch({ kind: 'refused', peer, why, reason }),
      onEvent: (event) =>
        this.guard('ERR_TRANSPORT_FAILED', () => {
          const { kind, peer, reason } = event;
          audience.tell({ kind: 'transport', event: kind, peer, reason });
        }),
    };
  }

  /** Monotonic milliseconds; the last known ones if the clock fails, for which the replica halts. */
  get now(): number {
    try {
      this.lastNow = this.checked.clock.now();
    } catch (error) {
      this.broke(error, 'ERR_CLOCK_FAILED');
    }
    return this.lastNow;
  }

  /** Calls back in a coming turn. `null` if the clock failed: the replica halts, and calls nothing back. */
  soon(callback: () => void): Cancellable | null {
    try {
      return this.checked.clock.soon(() => this.guard('ERR_INVARIANT', callback));
    } catch (error) {
      this.broke(error, 'ERR_CLOCK_FAILED');
      return null;
    }
  }

  /** The driver's state; there is none before `begin`. */
  get state(): DriverState {
    return this.current as DriverState;
  }

  status(): ReplicaStatus {
    const connected = this.asked('ERR_TRANSPORT_FAILED', () => [...this.checked.transport.connected()], []);
    const unsent = this.asked('ERR_TRANSPORT_FAILED', () => unsentOf(this.checked.transport), null);
    const { checked, state } = this;
    const stored = this.asked('ERR_STORAGE_FAILED', () => storedStatus(checked, state.snapshots), notStored);
    return { ...this.driver.status(state), connected, unsent, ...stored };
  }

  /** What a plug-in says of itself; `otherwise` if it throws, for which the replica halts. */
  private asked<T>(code: ErrorCode, ask: () => T, otherwise: T): T {
    let told = otherwise;
    this.guard(code, () => (told = ask()));
    return told;
  }

  /** Starts the driver, which then handles the events that arrived before. */
  begin({ options, recovered }: OpenedData): void {
    // Opening the data and taking the address took their time.
    this.clockWatch = new ClockWatch(options, this.checked.clock);
    const [state, effects] = this.driver.init({ ...options, ...this.clockWatch.atStart(this.now) }, recovered);
    this.current = state;
    this.snapshots.begin(options);
    for (const effect of effects) this.carryOut(effect);
    this.work();
  }

  /** Reports an event to the driver, which owns it from then on, and carries out the effects. */
  dispatch(event: Untimed<DriverEvent>, now = this.now): void {
    this.clockWatch?.tell(now, this.events);
    this.events.push(Object.assign(event, { now }));
    if (!this.working) this.work();
  }

  private receive(from: string, bytes: Uint8Array): void {
    if (!ArrayBuffer.isView(bytes)) throw new TypeError('the transport gave a message that is no Uint8Array');
    this.dispatch({ kind: 'message', from, bytes });
  }

  /** Runs what comes from outside the loop. */
  private guard(code: ErrorCode, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.broke(error, code);
      if (!this.working) this.work();
    }
  }

  /** Notes why the replica must halt; the loop does it before it handles another event. */
  private broke(thrown: unknown, code: ErrorCode): void {
    if (this.fault !== null) return;
    const typed = typedError(thrown, code);
    const cause = typed === thrown && typed.cause !== undefined ? typed.cause : thrown;
    this.fault = { code: typed.code, reason: typed.message, cause };
  }

  private work(): void {
    this.working = true;
    try {
      this.audience.works();
    } catch (error) {
      this.broke(error, 'ERR_INVARIANT');
    }
    do {
      // Events are taken in batches: removing the first item of a long array takes time linear in its length.
      const batch = this.events;
      this.events = [];
      for (let at = 0; at < batch.length; at++) {
        if (this.fault !== null) this.halt(this.fault);
        this.handle(batch[at] as DriverEvent);
      }
      if (this.events.length === 0) this.arm();
      if (this.fault !== null) this.halt(this.fault);
    } while (this.events.length > 0);
    this.working = false;
  }

  private handle(event: DriverEvent): void {
    let effects: readonly DriverEffect[];
    try {
      [this.current, effects] = this.driver.step(this.state, event);
    } catch (error) {
      this.broke(error, 'ERR_INVARIANT');
      this.halt(this.fault as Fault);
      return this.refuse(event);
    }
    for (let i = 0; i < effects.length; i++) this.carryOut(effects[i] as DriverEffect);
    const { kind } = this.state.phase;
    if (kind !== 'running' && kind !== 'establishing') this.endWork();
  }

  /** The machine is not touched any more. */
  private endWork(): void {
    this.slices.stop();
    this.snapshots.stop();
  }

  /** Halts the driver, once. If it cannot even halt, everybody who waits gets the fault, and the state says it. */
  private halt(fault: Fault): void {
    if (this.faultTold) return;
    this.faultTold = true;
    try {
      const [state, effects] = this.driver.step(this.state, { kind: 'failed', ...fault, now: this.lastNow });
      this.current = state;
      for (const effect of effects) this.carryOut(effect);
    } catch {
      const { code, reason, cause } = fault;
      this.current = { ...this.state, phase: { kind: 'halted', fault, core: null } };
      this.audience.failAll({ code, outcome: 'unknown', message: `the replica has halted: ${reason}`, cause });
      this.audience.tell({ kind: 'fault', ...fault });
    }
    this.endWork();
    this.left?.();
  }

  /** Ends the calls of an event that the driver could not handle: they never left this replica. */
  private refuse(event: DriverEvent): void {
    const { code, reason, cause } = this.fault as Fault;
    this.audience.fail(callsIn(event), { code, outcome: 'none', message: `the replica has halted: ${reason}`, cause });
  }

  /** A timer that fires early does no harm, so one is only replaced by an earlier one. */
  private arm(): void {
    try {
      const due = this.stopped ? Infinity : this.driver.deadline(this.state);
      if (due === Infinity || (this.timer !== null && this.timerAt <= due)) return;
      this.timer?.cancel();
      this.timerAt = due;
      this.timer = this.checked.clock.after(due - this.now, () => this.guard('ERR_INVARIANT', () => this.onTimer()));
    } catch (error) {
      this.broke(error, 'ERR_INVARIANT');
    }
  }

  /** The timer fired. That it was late is told only where it matters, since every one is, a little. */
  private onTimer(): void {
    const late = this.now - this.timerAt;
    if (late >= exchangeBound(this.checked.protocol.timing) / 10) this.dispatch({ kind: 'late', by: late });
    this.letInputIn(2);
  }

  private letInputIn(turns: number): void {
    if (turns > 0) {
      this.timer = this.soon(() => this.letInputIn(turns - 1));
      if (this.timer === null) this.work();
      return;
    }
    this.timer = null;
    this.timerAt = Infinity;
    if (this.now >= this.driver.deadline(this.state)) return this.dispatch({ kind: 'tick' });
    this.arm();
    if (this.fault !== null) this.work();
  }

  /** Carries out one effect. What it throws halts the replica; the other effects of the step are still carried out. */
  private carryOut(effect: DriverEffect): void {
    try {
      this.perform(effect);
    } catch (error) {
      const isTransport = effect.kind === 'send' || effect.kind === 'peers';
      this.broke(error, isTransport ? 'ERR_TRANSPORT_FAILED' : 'ERR_INVARIANT');
    }
  }

  private perform(effect: DriverEffect): void {
    const { transport, id } = this.checked;
    if (isSnapshotEffect(effect)) {
      if (effect.kind === 'restore') this.audience.restores(effect.snapshot.index);
      return this.snapshots.perform(effect);
    }
    switch (effect.kind) {
      case 'send':
        return this.send(effect);
      case 'write':
      case 'makeRoom':
        return this.log.write(effect);
      case 'load':
        return this.log.load(effect);
      case 'apply':
        return this.slices.apply(effect.entries, effect.wakeAt);
      case 'wake':
        return this.slices.wake(effect.index, effect.time);
      case 'answer':
        return this.audience.answer(effect.call, effect.result, effect.index);
      case 'serve':
        return this.audience.serve(effect.calls, effect.index);
      case 'transferred':
        return this.audience.transferred(effect.call, effect.leader);
      case 'compacted':
        return this.audience.compacted(effect.call, effect.index, effect.first);
      case 'left':
        return this.left?.();
      case 'fail':
        return this.audience.fail(effect.calls, effect.failure);
      case 'peers':
        return transport.setPeers(effect.members.filter((member) => member.id !== id));
      case 'event':
        return this.audience.tell(effect.event);
    }
  }

  private send({ to, bytes, lane, forward }: Extract<DriverEffect, { kind: 'send' }>): void {
    const isLeaving = this.checked.transport.send(to, bytes, lane);
    if (!isLeaving && forward !== undefined) this.dispatch({ kind: 'unsent', forward });
  }

  /** The machine has applied the first of these commands, and failed at the one after them if there is a fault. */
  applied(commands: readonly Entry[], results: readonly StoredResult[], fault: Fault | null): void {
    this.audience.applied(commands, results);
    if (results.length > 0) this.dispatch({ kind: 'applied', results, wakeAt: this.slices.wakeAt });
    if (fault !== null) this.dispatch({ kind: 'failed', ...fault });
  }

  woken(fault: Fault | null): void {
    this.dispatch(fault === null ? { kind: 'woken', wakeAt: this.slices.wakeAt } : { kind: 'failed', ...fault });
  }

  /**
   * Lets the replica leave: it takes nothing new, hands over if it leads, and ends the requests of its own callers.
   * Resolves when it has, or at the deadline.
   */
  leave(deadline: number): Promise<void> {
    return new Promise((resolve) => {
      this.left = resolve;
      this.dispatch({ kind: 'leave', deadline });
    });
  }

  /** A replica that leaves has left by this deadline, if it is sooner than the one before. */
  hasten(deadline: number): void {
    if (this.left !== null && !this.stopped) this.dispatch({ kind: 'leave', deadline });
  }

  /** Stops the driver, which ends every request, then stops the transport and closes the storage. */
  async stop(): Promise<void> {
    this.dispatch({ kind: 'stop' });
    this.stopped = true;
    this.endWork();
    try {
      this.timer?.cancel();
    } catch {
      // A clock that cannot cancel calls back into a driver that has stopped.
    }
    this.timer = null;
    await endPlugIns(this.checked);
  }
}
