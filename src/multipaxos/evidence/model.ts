/** The model of Multi-Paxos: what a rig needs to simulate it, to search its states and to print its traces. */

import type { Model } from '../../core/model.js';
import { describeMessage, describeState } from './describe.js';
import { digestMessage } from './digest-message.js';
import { digestState } from './digest.js';
import type { PaxosMessage } from '../messages.js';
import { cover, coveragePoints } from './coverage.js';
import { isOutdated } from './outdated.js';
import { multipaxosProtocol } from '../protocol.js';
import type { PaxosGhost } from './ghost.js';
import { safety } from './safety.js';
import type { PaxosState } from '../state.js';

/** For simulators, model checkers and traces. */
export const multipaxosModel: Model<PaxosState, PaxosMessage, PaxosGhost> = {
  protocol: multipaxosProtocol,
  safety,
  digestState,
  digestMessage,
  isOutdated,
  symmetric: false, // the order of members decides between ballots of one round
  describeMessage,
  describeState,
  coveragePoints,
  cover,
};
