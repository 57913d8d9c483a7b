/** The demo's state machine: named counters, and which operations made them, so that loss and duplicates show. */

/** One client's one addition. Numbers of one client only grow. */
export interface Add {
  readonly client: string;
  readonly number: number;
  readonly counter: string;
}

/** How often each operation of one client took effect, by number. */
export type Applied = Record<number, number>;

/** Operations in a row that took effect equally often: the first number, the last one, and how often. */
export type AppliedRow = readonly [first: number, last: number, times: number];

export interface TallyState {
  readonly counters: Record<string, number>;
  /** By client, in ascending order: the state stays small however many operations there were. */
  readonly applied: Record<string, readonly AppliedRow[]>;
}

function rowsOf(applied: Applied): readonly AppliedRow[] {
  const rows: [number, number, number][] = [];
  // Keys that are whole numbers come in ascending order.
  for (const [key, times] of Object.entries(applied)) {
    const number = Number(key);
    const row = rows[rows.length - 1];
    if (row !== undefined && row[1] === number - 1 && row[2] === times) row[1] = number;
    else rows.push([number, number, times]);
  }
  return rows;
}

/** What `rows` tell, each operation for itself. */
export function appliedOf(rows: readonly AppliedRow[]): Applied {
  const applied: Applied = {};
  for (const [first, last, times] of rows) for (let at = first; at <= last; at++) applied[at] = times;
  return applied;
}

export class Tally {
  /** How many commands this process has applied, which is no part of the state. */
  commands = 0;
  private counters: Record<string, number> = {};
  private applied: Record<string, Applied> = {};

  apply({ client, number, counter }: Add): number {
    this.commands++;
    const own = (this.applied[client] ??= {});
    own[number] = (own[number] ?? 0) + 1;
    return (this.counters[counter] = (this.counters[counter] ?? 0) + 1);
  }

  snapshot(): TallyState {
    const clients = Object.entries(this.applied);
    const applied = Object.fromEntries(clients.map(([client, own]) => [client, rowsOf(own)]));
    return { counters: { ...this.counters }, applied };
  }

  restore(state: TallyState): void {
    this.counters = { ...state.counters };
    const clients = Object.entries(state.applied);
    this.applied = Object.fromEntries(clients.map(([client, rows]) => [client, appliedOf(rows)]));
  }
}
