/**
 * A machine that keeps every command by its key: eight bytes, the highest first, and then the value. The bytes lie in
 * slabs, one after the other, and the maps hold numbers only. With millions of small objects that never die a collector
 * would measure itself.
 */

import type { StateMachine } from 'quorate';

const KEY = 8;
/** The keys are in so many maps: one map of a million moves all of them in one turn, when it grows. */
const MAPS = 1024;
const HALF = 2 ** 32;
const SLAB = 2 ** 24;
/** Where a command lies is told in units of so many bytes, as a number that V8 keeps without an object. */
const UNIT = 8;
/** Before each command, its length. */
const LENGTH = 4;

function u32(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [bytes[at] as number, bytes[at + 1] as number, bytes[at + 2] as number, bytes[at + 3] as number];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

export class Keys implements StateMachine<Uint8Array, number, number[][]> {
  private readonly maps = Array.from({ length: MAPS }, () => new Map<number, number>());
  private slabs: Buffer[] = [];
  private used = SLAB;
  size = 0;
  last: Uint8Array = new Uint8Array(KEY);

  apply(command: Uint8Array): number {
    const key = u32(command, 0) * HALF + u32(command, 4);
    const map = this.maps[key % MAPS] as Map<number, number>;
    const before = map.size;
    map.set(key, this.keep(command));
    this.size += map.size - before;
    this.last = command;
    return this.size;
  }

  /** Copies the command, of less than a slab, behind the others. Gives where it lies. */
  private keep(command: Uint8Array): number {
    if (this.used + LENGTH + command.length > SLAB) {
      this.slabs.push(Buffer.allocUnsafeSlow(SLAB));
      this.used = 0;
    }
    const slab = this.slabs[this.slabs.length - 1] as Buffer;
    const at = this.used;
    slab.writeUInt32BE(command.length, at);
    slab.set(command, at + LENGTH);
    this.used = Math.ceil((at + LENGTH + command.length) / UNIT) * UNIT;
    return ((this.slabs.length - 1) * SLAB + at) / UNIT;
  }

  private commandAt(place: number): Buffer {
    const slab = this.slabs[Math.floor((place * UNIT) / SLAB)] as Buffer;
    const at = (place * UNIT) % SLAB;
    return slab.subarray(at + LENGTH, at + LENGTH + slab.readUInt32BE(at));
  }

  snapshot(): number[][] {
    return this.maps.flatMap((map) => [...map.values()].map((place) => [...this.commandAt(place)]));
  }

  restore(commands: number[][]): void {
    for (const map of this.maps) map.clear();
    this.slabs = [];
    this.used = SLAB;
    this.size = 0;
    for (const command of commands) this.apply(Uint8Array.from(command));
  }
}
