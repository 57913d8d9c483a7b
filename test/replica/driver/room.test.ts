/** Snapshots of a storage that hovers between full and not. */

import { describe, it } from 'vitest';
import { models } from '../../play.js';
import { madeBesideTheLane, sparing } from './room-cases.js';

describe.each(models)('over $protocol.name', ({ ...model }) => {
  it.each([0, 50, 3000])('a snapshot of %i ms is taken to make room a fifth of the time at most', (took) => {
    sparing(model, took);
  });

  it('the older snapshot goes from a full storage, whatever waits in the lane', () => madeBesideTheLane(model));
});
