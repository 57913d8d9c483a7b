/** The demo's state machine: named counters, and which operations made them, so that loss and duplicates show. */

/** One client's one addition. Numbers of one client only grow. */
export interface Add {
  readonly client: string;
  readonly number: number;
  readonly counter: string;
}

/** How often each operation took effect: by client, then by number. */
export type Applied = Record<string, Record<number, number>>;

export interface TallyState {
  readonly counters: Record<string, number>;
  readonly applied: Applied;
}

export class Tally {
  private counters: Record<string, number> = {};
  private applied: Applied = {};

  apply({ client, number, counter }: Add): number {
    const own = (this.applied[client] ??= {});
    own[number] = (own[number] ?? 0) + 1;
    return (this.counters[counter] = (this.counters[counter] ?? 0) + 1);
  }

  snapshot(): TallyState {
    return structuredClone({ counters: this.counters, applied: this.applied });
  }

  restore(state: TallyState): void {
    this.counters = { ...state.counters };
    this.applied = structuredClone(state.applied);
  }
}
