/**
 * The memory of a search for an order: states by number, and the configurations (set of operations done, state) that it
 * has visited. It uses open addressing in typed arrays, is exact, and has no limit of 2^24 entries like a JavaScript
 * `Set` or `Map`.
 */

const EMPTY = 0;

/** Gives every state a number; states with the same text share one. */
export class StateTable<State> {
  readonly states: State[] = [];
  private readonly texts: string[] = [];
  private readonly encode: (state: State) => string;
  /** Number + 1 of the state in each slot. */
  private slots = new Int32Array(64);
  private hashes = new Int32Array(32);
  /** About how many bytes it holds. */
  bytes = 0;

  constructor(encode: (state: State) => string) {
    this.encode = encode;
  }

  numberOf(state: State): number {
    const text = this.encode(state);
    const hash = hashText(text);
    let slot = hash & (this.slots.length - 1);
    for (; this.slots[slot] !== EMPTY; slot = (slot + 1) & (this.slots.length - 1)) {
      const number = (this.slots[slot] as number) - 1;
      if (this.hashes[number] === hash && this.texts[number] === text) return number;
    }
    const number = this.states.length;
    this.slots[slot] = number + 1;
    this.hashes[number] = hash;
    this.states.push(state);
    this.texts.push(text);
    this.bytes += 2 * text.length + 64;
    if (2 * this.states.length >= this.slots.length) this.grow();
    return number;
  }

  private grow(): void {
    const hashes = new Int32Array(this.slots.length);
    hashes.set(this.hashes);
    this.hashes = hashes;
    this.slots = rehashed(2 * this.slots.length, this.hashes, this.states.length);
  }
}

/**
 * The operations done so far, as bits. Those of unknown outcome come first and are kept whole; the others stand in
 * the order of their calls, so that at any moment all below a window are done and none above it: only the window
 * is kept.
 */
export class DoneSet {
  readonly words: Uint32Array;
  /** How many words the operations of unknown outcome take. */
  readonly unknownWords: number;
  /** The window of the others: all below word `low` is done, nothing from `high` on is. */
  low: number;
  high: number;
  hash = 0;

  constructor(unknowns: number, others: number) {
    this.unknownWords = (unknowns + 31) >>> 5;
    // One word more than needed, never full: `low` stops there.
    this.words = new Uint32Array(this.unknownWords + (others >>> 5) + 1);
    this.low = this.high = this.unknownWords;
  }

  /** Where the bit of the n-th other operation stands. */
  placeOfOther(n: number): number {
    return 32 * this.unknownWords + n;
  }

  add(bit: number): void {
    const word = bit >>> 5;
    this.words[word] = (this.words[word] as number) | (1 << (bit & 31));
    this.hash ^= mix(bit + 1);
    if (word < this.unknownWords) return;
    if (word >= this.high) this.high = word + 1;
    while (this.words[this.low] === 0xffff_ffff) this.low++;
  }

  remove(bit: number): void {
    const word = bit >>> 5;
    this.words[word] = (this.words[word] as number) & ~(1 << (bit & 31));
    this.hash ^= mix(bit + 1);
    if (word < this.unknownWords) return;
    if (word < this.low) this.low = word;
    while (this.high > this.unknownWords && this.words[this.high - 1] === 0) this.high--;
  }

  has(bit: number): boolean {
    return ((this.words[bit >>> 5] as number) & (1 << (bit & 31))) !== 0;
  }
}

/** The configurations seen. Each is kept as state, `low`, and the words that are neither all done nor all to do. */
export class ConfigurationSet {
  size = 0;
  /** Number + 1 of the configuration in each slot. */
  private slots = new Int32Array(1024);
  private hashes = new Int32Array(512);
  /** Where each configuration starts in the arena; it ends where the next one starts. */
  private starts = new Float64Array(513);
  private arena = new Uint32Array(4096);

  /** How many bytes it holds. */
  get bytes(): number {
    return 4 * (this.slots.length + this.hashes.length + this.arena.length) + 8 * this.starts.length;
  }

  /** Whether it was new. */
  add(done: DoneSet, state: number): boolean {
    const hash = mix(done.hash ^ mix(state + 0x5bd1));
    const mask = this.slots.length - 1;
    let slot = hash & mask;
    for (; this.slots[slot] !== EMPTY; slot = (slot + 1) & mask) {
      const number = (this.slots[slot] as number) - 1;
      if (this.hashes[number] === hash && this.isAt(number, done, state)) return false;
    }
    this.slots[slot] = this.size + 1;
    this.hashes[this.size] = hash;
    this.keep(done, state);
    if (2 * this.size >= this.slots.length) this.grow();
    return true;
  }

  private isAt(number: number, done: DoneSet, state: number): boolean {
    const { arena } = this;
    let at = this.starts[number] as number;
    if ((this.starts[number + 1] as number) - at !== widthOf(done)) return false;
    if (arena[at++] !== state || arena[at++] !== done.low) return false;
    for (let word = 0; word < done.unknownWords; word++) if (arena[at++] !== done.words[word]) return false;
    for (let word = done.low; word < done.high; word++) if (arena[at++] !== done.words[word]) return false;
    return true;
  }

  private keep(done: DoneSet, state: number): void {
    let at = this.starts[this.size] as number;
    const length = widthOf(done);
    if (at + length > this.arena.length) {
      const arena = new Uint32Array(Math.max(2 * this.arena.length, at + length));
      arena.set(this.arena);
      this.arena = arena;
    }
    this.arena[at++] = state;
    this.arena[at++] = done.low;
    for (let word = 0; word < done.unknownWords; word++) this.arena[at++] = done.words[word] as number;
    for (let word = done.low; word < done.high; word++) this.arena[at++] = done.words[word] as number;
    this.starts[++this.size] = at;
  }

  private grow(): void {
    const length = 2 * this.slots.length;
    const hashes = new Int32Array(length / 2);
    hashes.set(this.hashes);
    this.hashes = hashes;
    const starts = new Float64Array(length / 2 + 1);
    starts.set(this.starts);
    this.starts = starts;
    this.slots = rehashed(length, hashes, this.size);
  }
}

/** How many words a configuration takes in the arena. */
function widthOf(done: DoneSet): number {
  return 2 + done.unknownWords + done.high - done.low;
}

/** Fresh slots for the numbers below `count`, by their hashes. */
function rehashed(length: number, hashes: Int32Array, count: number): Int32Array<ArrayBuffer> {
  const slots = new Int32Array(length);
  for (let number = 0; number < count; number++) {
    let slot = (hashes[number] as number) & (length - 1);
    while (slots[slot] !== EMPTY) slot = (slot + 1) & (length - 1);
    slots[slot] = number + 1;
  }
  return slots;
}

/** Spreads a whole number over 32 bits (the finalizer of MurmurHash3). */
function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mix(hash);
}
