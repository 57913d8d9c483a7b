/**
 * Fingerprints: hashes of 64 bits that identify a state in a search. A state is digested part by part, and an unchanged
 * part is not digested again. Names of replicas, and numbers that only identify something, are kept as holes, which are
 * filled in when all parts are known: a number by its rank, a name by its place in the order of replicas that gives the
 * least fingerprint.
 */

import type { Digest } from '../../core/model.js';
import type { ReplicaId } from '../../core/members.js';

/** A digested part, with holes for names and references in their order. */
export interface Part {
  readonly a: number;
  readonly b: number;
  /** Places of replicas, -1 for none. */
  readonly places: readonly number[];
  /** Two numbers a reference: its group (kind and owner) and its number. */
  readonly references: readonly number[];
  /** Parts whose order plays no role. */
  readonly unordered: readonly Part[];
}

const FIRST_A = 0x243f6a88;
const FIRST_B = 0x85a308d3 | 0;

/** Computes a hash of 64 bits: two halves that are mixed into each other with every value. */
export class Mixer {
  a = FIRST_A;
  b = FIRST_B;

  reset(): void {
    this.a = FIRST_A;
    this.b = FIRST_B;
  }

  /** Adds 32 bits. */
  add(value: number): void {
    let { a, b } = this;
    a = Math.imul(a ^ value, 0x239b961b);
    a = (((a << 15) | (a >>> 17)) + b) | 0;
    b = Math.imul(b ^ value ^ (a >>> 16), 0x38b34ae5);
    b = (((b << 13) | (b >>> 19)) + a) | 0;
    this.a = a;
    this.b = b;
  }

  /** Ends the hash: every input bit affects every output bit (the finalizer of MurmurHash3). */
  end(): void {
    let { a, b } = this;
    a = finish((a + b) | 0);
    b = finish((b + a) | 0);
    this.a = (a + b) | 0;
    this.b = (b + this.a) | 0;
  }
}

function finish(bits: number): number {
  let h = bits;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** The tags of values: each kind begins with its own, so that values of different kinds differ. */
const MARK = { float: 0x11, text: 0x22, bytes: 0x33, id: 0x44, reference: 0x55, unordered: 0x66 } as const;

/** Numbers for the names and words of one search. */
export class Names {
  readonly size: number;
  private readonly ids: ReadonlyMap<ReplicaId, number>;
  private readonly texts = new Map<string, number>();
  private readonly kinds = new Map<string, number>();
  private readonly kindBits: number[] = [];

  constructor(ids: readonly ReplicaId[]) {
    this.size = ids.length;
    this.ids = new Map(ids.map((id, place) => [id, place]));
  }

  place(id: ReplicaId): number {
    const place = this.ids.get(id);
    if (place === undefined) throw new RangeError(`a digest names ${id}, which is no replica`);
    return place;
  }

  /** The number that stands for a text, the same in every search. */
  text(text: string): number {
    let bits = this.texts.get(text);
    if (bits === undefined) this.texts.set(text, (bits = bitsOf(text)));
    return bits;
  }

  /** The group of a reference, its kind and owner, as a small number. */
  group(kind: string, owner: ReplicaId): number {
    let number = this.kinds.get(kind);
    if (number === undefined) {
      this.kinds.set(kind, (number = this.kinds.size));
      this.kindBits.push(bitsOf(kind));
    }
    return number * this.size + this.place(owner);
  }

  /** The number that stands for a group's kind, the same in every search. */
  kindOf(group: number): number {
    return this.kindBits[Math.floor(group / this.size)] as number;
  }
}

/** FNV-1a. Texts are the few words of a protocol's digest. */
function bitsOf(text: string): number {
  let bits = 0x811c9dc5 | 0;
  for (let i = 0; i < text.length; i++) bits = Math.imul(bits ^ text.charCodeAt(i), 0x01000193);
  return finish(bits);
}

const NO_NUMBERS: readonly number[] = [];
const NO_PARTS: readonly Part[] = [];

/** Digests one part. */
export class PartDigest implements Digest {
  private readonly names: Names;
  private mixer = new Mixer();
  private places: number[] = [];
  private references: number[] = [];
  private inner: Part[] = [];
  private readonly float = new Float64Array(1);
  private readonly halves = new Int32Array(this.float.buffer);

  constructor(names: Names) {
    this.names = names;
  }

  /** Returns the part digested since the last call. */
  take(): Part {
    const { mixer, places, references, inner } = this;
    const part: Part = {
      a: mixer.a,
      b: mixer.b,
      places: places.length === 0 ? NO_NUMBERS : places,
      references: references.length === 0 ? NO_NUMBERS : references,
      unordered: inner.length === 0 ? NO_PARTS : inner,
    };
    mixer.reset();
    if (places.length > 0) this.places = [];
    if (references.length > 0) this.references = [];
    if (inner.length > 0) this.inner = [];
    return part;
  }

  value(value: number | boolean): void {
    const number = Number(value);
    if ((number | 0) === number && !Object.is(number, -0)) return this.mixer.add(number);
    this.float[0] = number;
    this.mixer.add(MARK.float);
    this.mixer.add(this.halves[0] as number);
    this.mixer.add(this.halves[1] as number);
  }

  text(text: string): void {
    this.mixer.add(MARK.text);
    this.mixer.add(this.names.text(text));
  }

  bytes(bytes: Uint8Array): void {
    this.mixer.add(MARK.bytes);
    this.mixer.add(bytes.length);
    for (let i = 0; i < bytes.length; i++) this.mixer.add(bytes[i] as number);
  }

  id(id: ReplicaId | null): void {
    this.mixer.add(MARK.id);
    this.places.push(id === null ? -1 : this.names.place(id));
  }

  reference(kind: string, owner: ReplicaId, number: number): void {
    this.mixer.add(MARK.reference);
    this.references.push(this.names.group(kind, owner), number);
  }

  unordered<T>(items: readonly T[], each: (item: T) => void): void {
    const { mixer, places, references, inner } = this;
    const first = inner.length;
    for (let i = 0; i < items.length; i++) {
      this.mixer = new Mixer();
      this.places = [];
      this.references = [];
      this.inner = [];
      this.mixer.add(first);
      each(items[i] as T);
      inner.push(this.take());
    }
    this.mixer = mixer;
    this.places = places;
    this.references = references;
    this.inner = inner;
    mixer.add(MARK.unordered);
    mixer.add(items.length);
  }
}
