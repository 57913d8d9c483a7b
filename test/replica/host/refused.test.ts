/** A leader that refused its own callers takes them when there is room, not when a pause is over. */

import { it } from 'vitest';
import { refusedAreTaken } from './refused.js';

it.each(['raft', 'multipaxos'] as const)(
  '%s: commands without room are taken as others are committed',
  refusedAreTaken,
);
