/** Majorities, over plain values. Nothing but the list of members decides what a quorum is (camunda#57387). */

/** How many of `members` make a quorum: any two of that size share a member. */
export function majority(members: number): number {
  return Math.floor(members / 2) + 1;
}

/**
 * The highest value that a majority has reached: of what each member has, once each.
 * @param values one number a member, changed by sorting (insertion sort: there are at most seven)
 */
export function majorityReached(values: number[]): number {
  for (let i = 1; i < values.length; i++) {
    const value = values[i] as number;
    let at = i;
    while (at > 0 && (values[at - 1] as number) > value) {
      values[at] = values[at - 1] as number;
      at--;
    }
    values[at] = value;
  }
  return values[values.length - majority(values.length)] as number;
}
