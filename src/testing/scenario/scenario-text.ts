/** Reads a line of a scenario word by word, and the syntax error that names a line. */

import type { ReplicaId } from '../../core/members.js';

/** The error of a scenario that cannot be read. The message names line and reason. */
export class ScenarioSyntaxError extends Error {
  override readonly name = 'ScenarioSyntaxError';
  /** The number of the line, 1-based. */
  readonly line: number;
  readonly reason: string;

  constructor(line: number, reason: string) {
    super(`line ${line}: ${reason}`);
    this.line = line;
    this.reason = reason;
  }
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** `; did you mean …?` with the similar ones of `known`, or a list of all. */
export function suggestion(word: string, known: readonly string[]): string {
  const near = known.filter((each) => each.startsWith(word) || distance(word, each) <= 2);
  if (near.length > 0) return `; did you mean ${near.join(' or ')}?`;
  return `; there are ${known.join(', ')}`;
}

const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;

/** The words of one line, taken one after the other; a method throws ScenarioSyntaxError if its word is missing. */
export class Words {
  readonly line: number;
  private readonly ids: readonly ReplicaId[];
  private rest: string;

  constructor(line: number, text: string, ids: readonly ReplicaId[]) {
    this.line = line;
    this.rest = text.trim();
    this.ids = ids;
  }

  fail(reason: string): never {
    throw new ScenarioSyntaxError(this.line, reason);
  }

  get replicas(): readonly ReplicaId[] {
    return this.ids;
  }

  peek(): string {
    return /^\S*/.exec(this.rest)?.[0] ?? '';
  }

  get isEmpty(): boolean {
    return this.rest === '';
  }

  /** The next word. @param what the meaning of the word, for the error */
  word(what: string): string {
    const word = this.peek();
    if (word === '') this.fail(`${what} is missing`);
    this.rest = this.rest.slice(word.length).trimStart();
    return word;
  }

  /** The rest of the line, unchanged. */
  remainder(): string {
    const text = this.rest;
    this.rest = '';
    return text;
  }

  words(): string[] {
    const text = this.remainder();
    return text === '' ? [] : text.split(/\s+/);
  }

  end(): void {
    if (this.rest !== '') this.fail(`nothing was expected any more, got "${this.rest}"`);
  }

  known(word: string): ReplicaId {
    if (!this.ids.includes(word)) this.fail(`unknown replica "${word}"${suggestion(word, this.ids)}`);
    return word;
  }

  replica(): ReplicaId {
    return this.known(this.word('the name of a replica'));
  }

  /** One replica, or all for `*`. */
  some(): readonly ReplicaId[] {
    if (this.peek() !== '*') return [this.replica()];
    this.word('*');
    return this.ids;
  }

  /** The replicas named by the rest of the line. */
  allReplicas(): ReplicaId[] {
    return this.words().map((word) => this.known(word));
  }

  /** @param what the meaning of the number, for the error */
  number(what: string, text = this.word(what)): number {
    if (!NUMBER.test(text) || !Number.isFinite(Number(text))) this.fail(`${what}: expected a number, got "${text}"`);
    return Number(text);
  }

  whole(what: string, text = this.word(what), least = 0): number {
    const number = this.number(what, text);
    if (!Number.isSafeInteger(number) || number < least) {
      this.fail(`${what}: expected a whole number from ${least} on, got "${text}"`);
    }
    return number;
  }

  /** Takes `name=number` off the end of the line, if it is there. */
  option(name: string): number | null {
    // The pattern excludes JSON: a string may contain `name=…`, but then a quote follows.
    const at = new RegExp(`(?:^|\\s)${name}=([^\\s"\\]}]*)$`).exec(this.rest);
    if (at === null) return null;
    this.rest = this.rest.slice(0, at.index).trimEnd();
    return this.number(name, at[1] as string);
  }

  choice<T extends string>(what: string, choices: readonly T[]): T {
    const word = this.word(what);
    const found = choices.find((each) => each === word);
    return found ?? this.fail(`${what}: expected ${choices.join(' or ')}, got "${word}"`);
  }

  /** A JSON value, or a bare word, which is a string. */
  value(text: string): unknown {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      if (/^[A-Za-z_][\w.-]*$/.test(text)) return text;
      return this.fail(`a command is JSON or one word, got "${text}"`);
    }
  }
}
