/** The peer messages that both protocols have, each with its one handler. A protocol handles its own before. */

import { unreachable } from './assert.js';
import type { AnyDraft } from './draft.js';
import type { CoreMessage, LogBegins } from './election-messages.js';
import type { ReadAnswer } from './forwarding.js';
import { onAskGrant, onGrant } from './lease-reads.js';
import type { ReplicaId } from './members.js';
import { onAskTakeOver, onPreVote, onPreVoteReply, type ElectionRules } from './pre-vote.js';
import { onForwardAccepted, onForwardProposals, onForwardRefused, type ProposalRules } from './proposals.js';
import { onForwardRead, type ReadRules } from './reads.js';
import { onCanTakeOver, onHandover, onHandoverRefused, type TransferRules } from './transfer.js';

/** What these handlers ask of a protocol. */
export interface CoreRules<D> {
  readonly election: ElectionRules<D>;
  readonly transfer: TransferRules<D>;
  readonly proposals: ProposalRules<D>;
  readonly reads: ReadRules<D>;
  /** A peer's log begins above what was asked for. */
  onLogBegins(draft: D, from: ReplicaId, message: LogBegins): void;
  /** The leader's answer to a forwarded read, which also carries its commit index. */
  onReadAnswer(draft: D, from: ReplicaId, message: ReadAnswer): void;
}

export function onCoreMessage<D extends AnyDraft>(
  draft: D,
  rules: CoreRules<D>,
  from: ReplicaId,
  message: CoreMessage,
): void {
  switch (message.kind) {
    case 'preVote':
      return onPreVote(draft, rules.election, from, message);
    case 'preVoteReply':
      return onPreVoteReply(draft, rules.election, from, message);
    case 'handover':
      return onHandover(draft, rules.transfer, from, message);
    case 'handoverRefused':
      return onHandoverRefused(draft, rules.transfer, from, message);
    case 'askTakeOver':
      return onAskTakeOver(draft, rules.election, from, message);
    case 'canTakeOver':
      return onCanTakeOver(draft, rules.transfer, from, message);
    case 'askGrant':
      return onAskGrant(draft, from, message);
    case 'grant':
      return onGrant(draft, from, message);
    case 'forwardProposals':
      return onForwardProposals(draft, rules.proposals, from, message);
    case 'forwardAccepted':
      return onForwardAccepted(draft, message);
    case 'forwardRefused':
      return onForwardRefused(draft, message);
    case 'forwardRead':
      return onForwardRead(draft, rules.reads, from, message);
    case 'logBegins':
      return rules.onLogBegins(draft, from, message);
    case 'readAnswer':
      return rules.onReadAnswer(draft, from, message);
    default:
      unreachable(message);
  }
}
