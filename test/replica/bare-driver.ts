/** A driver without a host: it takes one event after the other and collects the effects, which nobody carries out. */

import type { World } from 'quorate/testing';
import type { AnyModel } from '../../src/core/model.js';
import type { DriverEffect, DriverEvent, DriverState, Failure, ReplicaEvent } from '../../src/replica/driver/state.js';
import { driverOf, type Driver } from '../../src/replica/driver/driver.js';

type AnyProtocol = AnyModel['protocol'];
type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;
type Of<K extends DriverEffect['kind']> = Extract<DriverEffect, { readonly kind: K }>;

/** The driver of a replica of a world. */
export function driverIn({ slots }: World, id: string): DriverState {
  return slots.find((slot) => slot.id === id)?.process as DriverState;
}

/** The world in which a replica's driver has this state, behind the world's back. */
export function withDriver(world: World, id: string, process: DriverState): World {
  return { ...world, slots: world.slots.map((slot) => (slot.id === id ? { ...slot, process } : slot)) };
}

export class BareDriver {
  readonly driver: Driver;
  state: DriverState;
  now: number;
  /** What the last step wants done. */
  effects: readonly DriverEffect[] = [];
  /** What all steps told people. */
  readonly events: ReplicaEvent[] = [];

  constructor(protocol: AnyProtocol, state: DriverState, now: number) {
    this.driver = driverOf(protocol);
    this.state = state;
    this.now = now;
  }

  step(event: Untimed<DriverEvent>): void {
    [this.state, this.effects] = this.driver.step(this.state, { ...event, now: this.now } as DriverEvent);
    this.events.push(...this.wants('event').map((effect) => effect.event));
  }

  wants<K extends DriverEffect['kind']>(kind: K): readonly Of<K>[] {
    return this.effects.filter((effect): effect is Of<K> => effect.kind === kind);
  }

  /** How the last step ended a call without a result. */
  failure(call: number): Failure | undefined {
    return this.wants('fail').find(({ calls }) => calls.includes(call))?.failure;
  }

  propose(call: number): void {
    this.step({ kind: 'propose', commands: [{ call, deadline: Infinity, data: Uint8Array.of(1) }] });
  }

  read(call: number): void {
    this.step({ kind: 'read', calls: [{ call, deadline: Infinity }], minIndex: null });
  }
}
