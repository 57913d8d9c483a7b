/** A pull, by itself: what is asked of whom, and what becomes of the answers. */

import { describe, it } from 'vitest';
import { blamesItself, resumesOnTheSame, startsAgain } from './pulling-cases.js';

describe('a pull that an earlier start began', () => {
  it('goes on with the same snapshot, whoever has it', resumesOnTheSame);
  it('blames nobody for what was stored before', blamesItself);
  it('begins anew when nobody has it', startsAgain);
});
