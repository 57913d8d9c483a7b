/**
 * The fingerprint of a world, computed from its parts. Numbers become ranks, and where the protocol allows it the
 * replicas are put into the order that gives the least fingerprint, so that worlds which differ only by the names of
 * replicas have the same one.
 */

import { Mixer, type Names, type Part } from './fingerprint.js';
import type { WorldParts } from './fingerprint-parts.js';

/** Every order of these places. */
function orders(places: readonly number[]): number[][] {
  if (places.length <= 1) return [places.slice()];
  return places.flatMap((first) => orders(places.filter((each) => each !== first)).map((rest) => [first, ...rest]));
}

/** Makes fingerprints, and keeps the last one in `a` and `b`. */
export class WorldPrinter {
  a = 0;
  b = 0;
  private readonly names: Names;
  private readonly size: number;
  private readonly symmetric: boolean;
  private readonly all: readonly (readonly number[])[];
  private readonly mixer = new Mixer();
  private readonly inner: Mixer[] = [];
  /** The numbers referred to, by group and ascending; emptied after each world. */
  private readonly numbers: number[][] = [];
  private readonly groups: number[] = [];
  /** The rank of each place in the order that is being tried. */
  private readonly rankOf: number[];
  private readonly signatures: number[];

  constructor(names: Names, symmetric: boolean) {
    this.names = names;
    this.size = names.size;
    this.symmetric = symmetric;
    const places = Array.from({ length: this.size }, (_, place) => place);
    this.all = symmetric ? orders(places) : [places];
    this.rankOf = places.slice();
    this.signatures = places.slice();
  }

  /** @param own the search's counters for each replica; `shared`: its counters for all */
  print(parts: WorldParts, own: readonly number[], shared: readonly number[]): void {
    this.gather(parts);
    if (this.symmetric) this.sign(parts, own);
    let found = false;
    for (const order of this.all) {
      if (this.symmetric && !this.isAscending(order)) continue;
      this.arrange(parts, own, shared, order);
      const { a, b } = this.mixer;
      if (found && (a > this.a || (a === this.a && b >= this.b))) continue;
      found = true;
      this.a = a;
      this.b = b;
    }
    for (const group of this.groups) (this.numbers[group] as number[]).length = 0;
    this.groups.length = 0;
  }

  /** Signs each replica by its own parts; only orders that are sorted by signature need be tried. */
  private sign(parts: WorldParts, own: readonly number[]): void {
    for (let place = 0; place < this.size; place++) {
      const { process, disk, pending } = parts.slots[place]!;
      const mixed = Math.imul(process.a ^ Math.imul(disk.b, 0x9e3779b1), 0x85ebca6b) ^ pending.a;
      this.signatures[place] = (mixed + Math.imul(own[place] as number, 0xc2b2ae35)) | 0;
    }
  }

  private isAscending(order: readonly number[]): boolean {
    for (let i = 1; i < order.length; i++) {
      if ((this.signatures[order[i]!] as number) < (this.signatures[order[i - 1]!] as number)) return false;
    }
    return true;
  }

  private arrange(
    parts: WorldParts,
    own: readonly number[],
    shared: readonly number[],
    order: readonly number[],
  ): void {
    const { mixer, rankOf, size } = this;
    for (let i = 0; i < size; i++) rankOf[order[i] as number] = i;
    mixer.reset();
    for (let i = 0; i < size; i++) {
      const place = order[i] as number;
      const { process, disk, pending } = parts.slots[place]!;
      this.mix(process, mixer, 0);
      this.mix(disk, mixer, 0);
      this.mix(pending, mixer, 0);
      mixer.add(own[place] as number);
    }
    this.mix(parts.ghost, mixer, 0);
    this.mix(parts.record, mixer, 0);
    for (let i = 0; i < shared.length; i++) mixer.add(shared[i] as number);
    this.mixFlights(parts.links);
    mixer.end();
  }

  /** Mixes messages as a sum, since messages under way have no order. */
  private mixFlights(links: readonly (readonly Part[])[]): void {
    const { mixer, rankOf, size } = this;
    const single = this.innerMixer(0);
    let [a, b] = [0, 0];
    for (let at = 0; at < links.length; at++) {
      const flights = links[at] as readonly Part[];
      if (flights.length === 0) continue;
      const from = rankOf[Math.floor(at / size)] as number;
      const to = rankOf[at % size] as number;
      for (let i = 0; i < flights.length; i++) {
        single.reset();
        single.add(from * size + to);
        this.mix(flights[i] as Part, single, 1);
        single.end();
        a = (a + single.a) | 0;
        b = (b + single.b) | 0;
      }
    }
    mixer.add(a);
    mixer.add(b);
  }

  private innerMixer(depth: number): Mixer {
    return (this.inner[depth] ??= new Mixer());
  }

  private mix(part: Part, mixer: Mixer, depth: number): void {
    const { places, references, unordered } = part;
    mixer.add(part.a);
    mixer.add(part.b);
    for (let i = 0; i < places.length; i++) {
      const place = places[i] as number;
      mixer.add(place < 0 ? -1 : (this.rankOf[place] as number));
    }
    for (let i = 0; i < references.length; i += 2) {
      const group = references[i] as number;
      const owner = group % this.size;
      mixer.add(this.names.kindOf(group));
      mixer.add(this.rankOf[owner] as number);
      mixer.add((this.numbers[group] as number[]).indexOf(references[i + 1] as number));
    }
    if (unordered.length === 0) return;
    const single = this.innerMixer(depth + 1);
    let [a, b] = [0, 0];
    for (let i = 0; i < unordered.length; i++) {
      single.reset();
      this.mix(unordered[i] as Part, single, depth + 1);
      single.end();
      a = (a + single.a) | 0;
      b = (b + single.b) | 0;
    }
    mixer.add(a);
    mixer.add(b);
  }

  // References: collecting the numbers.

  private gather({ slots, links, ghost, record }: WorldParts): void {
    for (let i = 0; i < slots.length; i++) {
      const { process, pending } = slots[i]!;
      this.note(process);
      this.note(pending);
    }
    for (let at = 0; at < links.length; at++) {
      const flights = links[at] as readonly Part[];
      for (let i = 0; i < flights.length; i++) this.note(flights[i] as Part);
    }
    this.note(ghost);
    this.note(record);
  }

  private note({ references, unordered }: Part): void {
    for (let i = 0; i < references.length; i += 2) {
      this.noteNumber(references[i] as number, references[i + 1] as number);
    }
    for (let i = 0; i < unordered.length; i++) this.note(unordered[i] as Part);
  }

  private noteNumber(group: number, number: number): void {
    const numbers = (this.numbers[group] ??= []);
    if (numbers.length === 0) this.groups.push(group);
    let at = numbers.length;
    while (at > 0 && (numbers[at - 1] as number) > number) at--;
    if (at > 0 && numbers[at - 1] === number) return;
    numbers.splice(at, 0, number);
  }
}
