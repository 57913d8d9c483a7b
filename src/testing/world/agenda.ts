/** A priority queue of tasks by time; tasks of the same time come in the order of their insertion. */

interface Item<T> {
  readonly at: number;
  readonly order: number;
  readonly task: T;
}

function before<T>(a: Item<T>, b: Item<T>): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

export class Agenda<T> {
  private readonly heap: Item<T>[] = [];
  private entered = 0;

  /** The time of the next task; `Infinity` if there is none. */
  get nextAt(): number {
    return this.heap[0]?.at ?? Infinity;
  }

  add(at: number, task: T): void {
    const { heap } = this;
    const item = { at, order: this.entered++, task };
    let place = heap.length;
    heap.push(item);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!before(item, heap[parent] as Item<T>)) break;
      heap[place] = heap[parent] as Item<T>;
      place = parent;
    }
    heap[place] = item;
  }

  /** Removes and returns the next task; there must be one. */
  take(): T {
    const { heap } = this;
    const first = heap[0] as Item<T>;
    const last = heap.pop() as Item<T>;
    if (heap.length > 0) this.sink(last);
    return first.task;
  }

  private sink(item: Item<T>): void {
    const { heap } = this;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Item<T>, heap[child] as Item<T>)) child += 1;
      if (!before(heap[child] as Item<T>, item)) break;
      heap[place] = heap[child] as Item<T>;
      place = child;
    }
    heap[place] = item;
  }
}
