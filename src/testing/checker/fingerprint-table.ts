/**
 * The set of fingerprints that a search has met: open addressing in one typed array, 8 bytes a place. A JavaScript
 * `Set` holds at most 2^24 members and takes several times the memory.
 *
 * Two states with the same 64 bits are taken for one. The odds that this has happened among n states are about
 * n² / 2^65: 3 in 10,000 for 100 million.
 */

import { shown } from '../../core/shown.js';
import { invalidArgument } from '../../replica/errors.js';

/** The share of taken places above which the table doubles its size. */
const MAX_LOAD = 0.75;
const MIN_PLACES = 1 << 10;
const MAX_PLACES = 2 ** 30;

/** The number of places for so many fingerprints. */
function placesFor(expected: number): number {
  if (!Number.isSafeInteger(expected) || expected < 0 || expected > MAX_PLACES * MAX_LOAD) {
    throw invalidArgument(`fingerprints expected: a whole number from 0 to 800 million, got ${shown(expected)}`);
  }
  let places = MIN_PLACES;
  while (places * MAX_LOAD < expected) places *= 2;
  return places;
}

/**
 * The bytes of a table that is made for `expected` fingerprints.
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` unless that is a whole number from 0 to 800 million
 */
export function tableBytes(expected: number): number {
  return placesFor(expected) * 8;
}

export class FingerprintTable {
  /** The number of fingerprints in the table. */
  size = 0;
  private words: Uint32Array;
  private mask: number;
  private room: number;

  /**
   * @param expected how many fingerprints it will hold; up to then it does not grow, which would need a second array
   * @throws ConsensusError `ERR_INVALID_ARGUMENT` unless that is a whole number from 0 to 800 million
   */
  constructor(expected = 0) {
    const places = placesFor(expected);
    this.words = new Uint32Array(places * 2);
    this.mask = places - 1;
    this.room = Math.floor(places * MAX_LOAD);
  }

  /** The bytes that the table takes. */
  get bytes(): number {
    return this.words.byteLength;
  }

  /** Adds a fingerprint, given as two halves of 32 bits. Returns whether it is new. */
  add(a: number, b: number): boolean {
    const high = a >>> 0;
    // 0 marks a free place, so fingerprint 0 is stored as another one.
    const low = high === 0 && b === 0 ? 1 : b >>> 0;
    if (!this.place(high, low)) return false;
    this.size += 1;
    if (this.size > this.room) this.grow();
    return true;
  }

  private place(a: number, b: number): boolean {
    const { words, mask } = this;
    for (let at = (a ^ Math.imul(b, 0x9e3779b1)) & mask; ; at = (at + 1) & mask) {
      const high = words[at * 2] as number;
      const low = words[at * 2 + 1] as number;
      if (high === a && low === b) return false;
      if (high !== 0 || low !== 0) continue;
      words[at * 2] = a;
      words[at * 2 + 1] = b;
      return true;
    }
  }

  private grow(): void {
    const { words } = this;
    const places = (this.mask + 1) * 2;
    if (places > MAX_PLACES) throw new RangeError('a search met more than 800 million states');
    this.words = new Uint32Array(places * 2);
    this.mask = places - 1;
    this.room = Math.floor(places * MAX_LOAD);
    for (let i = 0; i < words.length; i += 2) {
      const a = words[i] as number;
      const b = words[i + 1] as number;
      if (a !== 0 || b !== 0) this.place(a, b);
    }
  }
}

/** The odds that among so many random fingerprints of 64 bits two were the same. */
export function collisionOdds(count: number): number {
  return Math.min(1, (count * count) / 2 ** 65);
}
