/** A replica whose storage is full. */

import { it } from 'vitest';
import { models } from '../../play.js';
import { fullLeaderReads } from './full-cases.js';

it.each(models)('$protocol.name: a leader serves reads though it refuses commands', ({ ...model }) => {
  fullLeaderReads(model);
});
