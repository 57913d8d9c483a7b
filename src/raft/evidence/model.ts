/** The model of Raft: what a rig needs to simulate it, to search its states and to print its traces. */

import type { Model } from '../../core/model.js';
import { describeMessage, describeState } from './describe.js';
import { digestMessage, digestState } from './digest.js';
import { isOutdated } from './outdated.js';
import type { RaftMessage } from '../messages.js';
import { cover, coveragePoints } from './coverage.js';
import { raftProtocol } from '../protocol.js';
import type { RaftGhost } from './ghost.js';
import { safety } from './safety.js';
import type { RaftState } from '../state.js';

/** For simulators, model checkers and traces. */
export const raftModel: Model<RaftState, RaftMessage, RaftGhost> = {
  protocol: raftProtocol,
  safety,
  digestState,
  digestMessage,
  isOutdated,
  // Peers are listed in the order of their names, but no decision depends on it.
  symmetric: true,
  describeMessage,
  describeState,
  coveragePoints,
  cover,
};
