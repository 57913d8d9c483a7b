/** Raft with one rule taken out, from outside: for tests of what must find that. */

import type { AnyModel } from '../../../src/core/model.js';
import { raftModel } from '../../../src/raft/evidence/model.js';
import type { RaftState } from '../../../src/raft/state.js';

type RaftProtocol = typeof raftModel.protocol;

/**
 * `edit` gives the parts of the protocol that differ. What one state or step shows is not looked at. What is outdated
 * for the sound protocol may not be for this one.
 */
function broken(edit: (sound: RaftProtocol) => Partial<RaftProtocol>): AnyModel {
  const protocol = { ...raftModel.protocol, checkState() {}, checkStep() {}, ...edit(raftModel.protocol) };
  return { ...raftModel, isOutdated: undefined, protocol } as unknown as AnyModel;
}

/** Whom it voted for is not there after a restart. */
export const forgetful = broken(({ init }) => ({
  init: (options, recovered) => {
    const { hard } = recovered;
    return init(options, { ...recovered, hard: hard && { ...hard, vote: null } });
  },
}));

/** A vote was given, and another is. */
export const twofaced = broken(({ step }) => ({
  step: (state, inbound) => {
    const asked = inbound.kind === 'receive' && inbound.message.kind === 'requestVote';
    const free: RaftState = asked && state.role.kind === 'follower' ? { ...state, vote: null } : state;
    const [after, outbound] = step(free, inbound);
    return [after === free ? state : after, outbound];
  },
}));

/** Messages leave before what they rest on is durable. */
export const hasty = broken(({ step }) => ({
  step: (state, inbound) => {
    const [after, outbound] = step(state, inbound);
    return [after, outbound.map((each) => (each.kind === 'send' ? { ...each, after: 0 } : each))];
  },
}));

/** A snapshot of a peer takes the place of the log, and none of that is written down. */
export const rootless = broken(({ step }) => ({
  step: (state, inbound) => {
    const [after, outbound] = step(state, inbound);
    const written = outbound.map((each) =>
      each.kind === 'persist' ? { ...each, ops: each.ops.filter(({ kind }) => kind !== 'install') } : each,
    );
    return [after, written];
  },
}));

/** A refusal counts as a vote. */
export const credulous = broken(({ step }) => ({
  step: (state, inbound) => {
    if (inbound.kind !== 'receive' || inbound.message.kind !== 'requestVoteReply') return step(state, inbound);
    return step(state, { ...inbound, message: { ...inbound.message, granted: true } });
  },
}));
