/** Killers of the mutants of the timing assumption. */

import { timingCases } from '../replica/driver/timing-cases.js';

type TimingScript = `timing: ${keyof typeof timingCases}`;

const named = Object.entries(timingCases).map(([name, check]) => [`timing: ${name}`, check] as const);

export const timingScripts = Object.fromEntries(named) as Readonly<Record<TimingScript, () => void>>;
