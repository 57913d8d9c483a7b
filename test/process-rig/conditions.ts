/** Waiting for what must come: a condition with a generous limit, and what it was when the limit is over. */

/** A limit is over. */
export class TooLate extends Error {}

/** The promise, unless it takes longer than `limit` milliseconds. @throws TooLate */
export async function within<T>(limit: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TooLate(`${what}: not within ${limit} ms`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const LOOK_EVERY = 10;

/** Looks again and again until `look` gives something else than `undefined`. @throws TooLate after `limit` ms */
export async function until<T>(
  limit: number,
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const end = performance.now() + limit;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new TooLate(`${what}: not within ${limit} ms`);
    await pass(LOOK_EVERY);
  }
}

/** Lets time pass, for what is a matter of time: how long a fault lasts, how often a client asks. */
export function pass(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
