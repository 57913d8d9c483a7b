/** What is agreed on, and a client that pays each invoice once, whatever becomes of its process. */

import { readFile, rename, writeFile } from 'node:fs/promises';
import { ConsensusError, type Replica } from 'quorate';

export interface Payment {
  readonly invoice: string;
  readonly amount: number;
}

/** Adds up payments, and counts how often each invoice was paid. */
export class Payments {
  total = 0;
  private times: Record<string, number> = {};

  apply({ invoice, amount }: Payment): number {
    this.times[invoice] = (this.times[invoice] ?? 0) + 1;
    return (this.total += amount);
  }

  timesPaid(invoice: string): number {
    return this.times[invoice] ?? 0;
  }

  snapshot(): { total: number; times: Record<string, number> } {
    return { total: this.total, times: { ...this.times } };
  }

  restore({ total, times }: { total: number; times: Record<string, number> }): void {
    this.total = total;
    this.times = times;
  }
}

/** What the client has to know after a restart. */
interface Notes {
  /** Its session; none before it has one. */
  readonly session?: number;
  /** The sequence of the payment that it is not done with. */
  readonly next: number;
}

async function load(file: string): Promise<Notes> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Notes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { next: 1 };
    throw error;
  }
}

/** A process may be killed while it writes: the name stands for the old notes or for the new ones. */
async function save(file: string, notes: Notes): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify(notes), { flush: true });
  await rename(`${file}.new`, file);
}

/** Pays them in order. `paid` is called after each, and may be called for one again after a restart. */
export async function payAll(
  replica: Replica<Payments>,
  file: string,
  payments: readonly Payment[],
  paid: (sequence: number) => void,
): Promise<void> {
  let notes = await load(file);
  const session = await replica.session('payments', notes.session === undefined ? {} : { id: notes.session });
  if (notes.next > 1) session.completed(notes.next - 1); // the process before may not have said so
  await save(file, (notes = { ...notes, session: session.id }));
  while (notes.next <= payments.length) {
    const { next: sequence } = notes;
    try {
      await session.propose(payments[sequence - 1] as Payment, { sequence });
    } catch (error) {
      if (error instanceof ConsensusError && error.retryable) continue; // the same command, the same sequence
      throw error;
    }
    paid(sequence);
    session.completed(sequence);
    await save(file, (notes = { ...notes, next: sequence + 1 }));
  }
}
