/** law/timing-assumption at the driver; through a whole replica it is in test/replica/host/timing.test.ts. */

import { it } from 'vitest';
import { timingCases } from './timing-cases.js';

it.each(Object.entries(timingCases))('%s', (_, check) => check());
