/** Cores that are broken from outside, and the search for a run that shows it. */

import type { Core, Outbound } from './core.js';
import { findViolation } from './run.js';
import type { StormKind } from './storms.js';

/** What a broken core makes of one thing that a sound one wants done. */
export type Change = (outbound: Outbound) => readonly Outbound[];

export function changed(core: Core, change: Change): Core {
  const step: Core['step'] = (state, message) => {
    const [next, outbound] = core.step(state, message);
    return [next, outbound.flatMap(change)];
  };
  return { ...core, step };
}

/** The first violation. What is shown least is shown by one run in some hundred, so the bound leaves no room for luck. */
export function search(core: Core, storm: StormKind): string | null {
  for (let seed = 1; seed <= 1000; seed++) {
    const violation = findViolation(core, seed, storm);
    if (violation !== null) return violation;
  }
  return null;
}
