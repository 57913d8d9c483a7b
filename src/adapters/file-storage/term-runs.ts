/**
 * The terms of the stored indexes while a log is replayed, as ascending, disjoint intervals of one term each. Used
 * during `open` only.
 */
import type { StoredRun } from '../../replica/storage.js';

interface Interval {
  readonly from: number;
  readonly to: number;
  readonly term: number;
}

export class TermRuns {
  private intervals: Interval[] = [];

  put(from: number, count: number, term: number): void {
    const to = from + count - 1;
    const last = this.intervals[this.intervals.length - 1];
    if (last === undefined || from > last.to) {
      this.append({ from, to, term });
      return;
    }
    const start = this.find(from);
    let end = start;
    while ((this.intervals[end]?.from ?? Infinity) <= to) end++;
    const between: Interval[] = [{ from, to, term }];
    const first = this.intervals[start];
    const final = this.intervals[end - 1];
    if (end > start && first !== undefined && first.from < from) between.unshift({ ...first, to: from - 1 });
    if (end > start && final !== undefined && final.to > to) between.push({ ...final, from: to + 1 });
    // Adjacent intervals of one term are merged, so that entries put out of order do not make ever more of them.
    const [low, high] = [Math.max(0, start - 1), Math.min(this.intervals.length, end + 1)];
    const [left, right] = [this.intervals.slice(low, start), this.intervals.slice(end, high)];
    this.intervals.splice(low, high - low, ...joined([...left, ...between, ...right]));
  }

  private append(next: Interval): void {
    const last = this.intervals[this.intervals.length - 1];
    if (last === undefined || last.to + 1 < next.from || last.term !== next.term) this.intervals.push(next);
    else this.intervals[this.intervals.length - 1] = { ...last, to: next.to };
  }

  truncate(from: number): void {
    const at = this.find(from);
    const cut = this.intervals[at];
    this.intervals.length = Math.min(this.intervals.length, at);
    if (cut !== undefined && cut.from < from) this.intervals.push({ ...cut, to: from - 1 });
  }

  trim(through: number): void {
    const at = this.find(through + 1);
    const cut = this.intervals[at];
    this.intervals.splice(0, at);
    if (cut !== undefined && cut.from <= through) this.intervals[0] = { ...cut, from: through + 1 };
  }

  /** The first interval that ends at `index` or later. */
  private find(index: number): number {
    let [low, high] = [0, this.intervals.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.intervals[middle] as Interval).to < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get first(): number {
    return this.intervals[0]?.from ?? 0;
  }

  get last(): number {
    return this.intervals[this.intervals.length - 1]?.to ?? 0;
  }

  /** The runs for `Opened`, where a run continues over a gap. */
  runs(): StoredRun[] {
    const runs: StoredRun[] = [];
    for (const { from, term } of this.intervals) {
      if (runs[runs.length - 1]?.term !== term) runs.push({ from, term });
    }
    return runs;
  }
}

function joined(intervals: readonly Interval[]): Interval[] {
  const result: Interval[] = [];
  for (const next of intervals) {
    const last = result[result.length - 1];
    if (last === undefined || last.to + 1 < next.from || last.term !== next.term) result.push(next);
    else result[result.length - 1] = { ...last, to: next.to };
  }
  return result;
}
