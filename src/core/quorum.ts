/** Majorities. What a quorum is depends on the list of members and on nothing else. */

/** How many of `members` make a quorum: any two quorums of this size share a member. */
export function majority(members: number): number {
  return Math.floor(members / 2) + 1;
}

/**
 * The highest value that a majority of members has reached.
 * @param values one value for each member; sorted in place (by insertion, since there are at most seven)
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
