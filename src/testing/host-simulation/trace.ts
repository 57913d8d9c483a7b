/**
 * The trace of a host simulation: a digest of every fact in order, by which two runs are compared, the last lines for a
 * failure's message, the coverage, and the first broken rule. The host catches errors of its transport and storage, so
 * a broken rule is noted here, and the run stops at the next event.
 */

const LINES_KEPT = 60;

/** A rule did not hold. The message names rule, seed, step and the last lines of the trace. */
export class HostSimulationFailure extends Error {
  override readonly name = 'HostSimulationFailure';
  /** The first words of the message: the rule that was broken. */
  readonly rule: string;
  readonly seed: number;
  /** How many events had happened. */
  readonly step: number;
  /** The last facts before it, oldest first. */
  readonly trace: readonly string[];

  constructor(rule: string, what: string, seed: number, step: number, trace: readonly string[]) {
    super(`${rule}: ${what} (seed ${seed}, step ${step})\n${trace.join('\n')}`);
    this.rule = rule;
    this.seed = seed;
    this.step = step;
    this.trace = trace;
  }
}

export class Trace {
  /** Virtual milliseconds, and events so far: the schedule keeps them up to date. */
  now = 0;
  step = 0;
  readonly coverage = new Map<string, number>();
  private readonly seed: number;
  private readonly lines: string[] = [];
  private low = 0x811c9dc5;
  private high = 0x01234567;
  private failure: HostSimulationFailure | null = null;

  constructor(seed: number) {
    this.seed = seed;
  }

  /** A fact. */
  tell(line: string): void {
    const full = `${this.now.toFixed(3)} ${line}`;
    for (let at = 0; at < full.length; at++) {
      const code = full.charCodeAt(at);
      this.low = Math.imul(this.low ^ code, 0x01000193);
      this.high = Math.imul(this.high ^ code, 0x5bd1e995) ^ (this.high >>> 15);
    }
    if (this.lines.length >= 2 * LINES_KEPT) this.lines.splice(0, LINES_KEPT);
    this.lines.push(full);
  }

  /** Something that a search must have met. */
  cover(name: string): void {
    this.coverage.set(name, (this.coverage.get(name) ?? 0) + 1);
  }

  /** A rule is broken; only the first is kept. Does not throw: see the opening comment. */
  violate(rule: string, what: string): void {
    if (this.failure !== null) return;
    this.failure = new HostSimulationFailure(rule, what, this.seed, this.step, this.lines.slice(-LINES_KEPT));
  }

  /** @throws HostSimulationFailure when a rule was broken */
  check(): void {
    if (this.failure !== null) throw this.failure;
  }

  /** Of all facts, in 16 hexadecimal digits. */
  hash(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');
    return hex(this.high) + hex(this.low);
  }
}
