/**
 * The queue of commands, for the question: which commands of this replica's own callers are to be proposed next, and
 * under which id? A command waits until the session is open, is proposed with the next sequence, and is answered when
 * it is applied here. If an attempt ends before that, the command is proposed again under the same id until its
 * deadline, which is safe because the session table lets it take effect once.
 *
 * Invariants: each list is in the order of the callers' numbers, which is that of the sequences, too; no sequence
 * below the lowest in `retrying` and `underway` is waited for; a command fails with outcome `none` only if no attempt
 * of it can take effect.
 */

import { assert } from '../../core/assert.js';
import type { Mutable } from '../../core/draft.js';
import type { Entry, Proposal, RequestNumber } from '../../core/protocol.js';
import type { CallChoice, EndedCalls } from './calls.js';
import { PartDraft } from './part-draft.js';
import type { StoredResult } from './session-table.js';
import { ascending, merged, positionOf, without } from './sorted-list.js';
import type { Failure, PendingCall, PendingCommand } from './state.js';

/** An upper bound of the bytes of a proposal beside its data in a message to the leader. */
const FORWARD_OVERHEAD = 48;

/** A command that was proposed before. */
export interface NumberedCommand extends PendingCommand {
  /** Its number in this replica's session. */
  readonly sequence: number;
  /** An earlier attempt may still take effect. */
  readonly mayHaveTakenEffect: boolean;
}

/** A command that the core has an attempt of. */
export interface ProposedCommand extends NumberedCommand {
  /** The number of the request to the core. */
  readonly request: RequestNumber;
}

/** @see ProposalsDraft */
export interface ProposalsState {
  /** Never proposed in this session. */
  readonly queued: readonly PendingCommand[];
  /** Proposed before; they are proposed again before any queued one. */
  readonly retrying: readonly NumberedCommand[];
  readonly underway: readonly ProposedCommand[];
}

export const noProposals: ProposalsState = { queued: [], retrying: [], underway: [] };

const sequenceOf = (command: NumberedCommand): number => command.sequence;

/** The failure of a command whose deadline has passed or whose caller waits no longer. */
function endedBy(sent: boolean, mayHaveTakenEffect: boolean, cancelled: boolean, leaderKnown: boolean): Failure {
  if (sent || mayHaveTakenEffect) {
    const message = 'the wait has ended, and the command may still take effect';
    return { code: 'ERR_OUTCOME_UNKNOWN', outcome: 'unknown', message };
  }
  if (cancelled) return { code: 'ERR_TIMEOUT', outcome: 'none', message: 'the command was never sent' };
  if (leaderKnown) {
    // It waited behind others, for a session, or for a leader that takes no more.
    const message = 'the command waited here until its time was over, and was never sent to the leader';
    return { code: 'ERR_TIMEOUT', outcome: 'none', message };
  }
  return { code: 'ERR_NO_LEADER', outcome: 'none', message: 'no leader was known in time; the command was never sent' };
}

export class ProposalsDraft extends PartDraft<ProposalsState> {
  protected override copy(state: ProposalsState): Mutable<ProposalsState> {
    return { queued: state.queued, retrying: state.retrying, underway: state.underway };
  }

  queue(commands: readonly PendingCommand[]): void {
    const [first] = commands;
    if (first === undefined) return;
    const next = this.edit();
    assert(
      (next.queued[next.queued.length - 1]?.call ?? -Infinity) < first.call,
      'requests/told-its-result: callers are numbered as they come',
    );
    next.queued = next.queued.length === 0 ? commands : next.queued.concat(commands);
  }

  /** The lowest sequence that a caller still waits for; the next one if there is none. */
  private firstIncomplete(nextSequence: number): number {
    const { retrying, underway } = this.state;
    const retried = retrying[0]?.sequence ?? Infinity;
    return Math.min(underway[0]?.sequence ?? Infinity, retried, nextSequence);
  }

  /** Proposes as many commands as the session's window has room for, those proposed before first. */
  feed(): void {
    const { draft } = this;
    const { queued, retrying, underway } = this.state;
    const session = draft.session.state;
    if (session.kind !== 'open' || queued.length + retrying.length === 0) return;
    let { nextSequence } = session;
    const firstIncomplete = this.firstIncomplete(nextSequence);
    const end = firstIncomplete + draft.options.configuration.constants.sessionWindow;
    const fresh = Math.min(queued.length, end - nextSequence);
    const proposals: Proposal[] = [];
    const sent: ProposedCommand[] = [];
    const send = ({ call, deadline, data }: PendingCommand, sequence: number, mayHaveTakenEffect: boolean): void => {
      const request = draft.freshRequest();
      const id = { session: session.id, sequence, firstIncomplete };
      sent.push({ call, deadline, data, sequence, mayHaveTakenEffect, request });
      proposals.push({ request, kind: 'command', id, data, retry: mayHaveTakenEffect });
    };
    for (const command of retrying) send(command, command.sequence, command.mayHaveTakenEffect);
    for (let i = 0; i < fresh; i++) send(queued[i] as PendingCommand, nextSequence++, false);
    if (sent.length === 0) return;
    const next = this.edit();
    next.queued = queued.slice(fresh);
    next.retrying = [];
    next.underway = merged(underway, sent, sequenceOf);
    draft.session.advance(fresh);
    this.propose(proposals);
  }

  /** Proposes all at once if this replica leads; else in groups that fit into a message to the leader. */
  private propose(proposals: readonly Proposal[]): void {
    const { draft } = this;
    const { now, options, leadership, calls } = draft;
    const most = leadership.state.role === 'leader' ? Infinity : options.limits.messageBytes;
    const deadline = calls.attemptDeadline;
    for (let from = 0; from < proposals.length; ) {
      let bytes = 0;
      let to = from;
      do bytes += FORWARD_OVERHEAD + (proposals[to++] as Proposal).data.length;
      while (to < proposals.length && bytes + FORWARD_OVERHEAD + (proposals[to] as Proposal).data.length <= most);
      const part = from === 0 && to === proposals.length ? proposals : proposals.slice(from, to);
      draft.toCore({ kind: 'propose', now, proposals: part, deadline });
      from = to;
    }
  }

  /** These attempts ended without success: their commands will be proposed again. */
  ended(attempts: EndedCalls): void {
    const left: ProposedCommand[] = [];
    const back: NumberedCommand[] = [];
    for (const command of this.state.underway) {
      const unknown = attempts.get(command.request);
      if (unknown === undefined) left.push(command);
      else {
        const { call, deadline, data, sequence } = command;
        back.push({ call, deadline, data, sequence, mayHaveTakenEffect: unknown || command.mayHaveTakenEffect });
      }
    }
    if (back.length === 0) return;
    const next = this.edit();
    next.underway = left;
    next.retrying = merged(next.retrying, back, sequenceOf);
  }

  /** These commands were applied: the callers of this replica that wait for one of them are answered. */
  applied(commands: readonly Entry[], results: readonly StoredResult[]): void {
    const { draft } = this;
    const { underway, retrying } = this.state;
    const session = draft.session.state;
    if (session.kind !== 'open' || underway.length + retrying.length === 0) return;
    const ends = { underway: [] as number[], retrying: [] as number[] };
    const repeated: RequestNumber[] = [];
    let expected = 0;
    for (let i = 0; i < commands.length; i++) {
      const { id, index } = commands[i] as Entry;
      if (id === null || id.session !== session.id) continue;
      const result = results[i] as StoredResult;
      const at =
        underway[expected]?.sequence === id.sequence ? expected : positionOf(underway, sequenceOf, id.sequence);
      const again = at < 0 ? positionOf(retrying, sequenceOf, id.sequence) : -1;
      if (at >= 0) {
        const command = underway[at] as ProposedCommand;
        draft.answer(command, result, index);
        ends.underway.push(at);
        expected = at + 1;
        if (command.mayHaveTakenEffect) repeated.push(command.request);
      } else if (again >= 0) {
        draft.answer(retrying[again] as NumberedCommand, result, index);
        ends.retrying.push(again);
      }
    }
    const next = this.edit();
    next.underway = without(underway, ends.underway.sort(ascending));
    next.retrying = without(retrying, ends.retrying.sort(ascending));
    // The applied entry may be an earlier attempt's, and the attempt under way might then never end.
    if (repeated.length > 0) draft.toCore({ kind: 'cancel', now: draft.now, requests: repeated });
  }

  /**
   * The session table dropped this replica's session, by an entry applied here: commands that are not applied by now
   * can never take effect under their ids, so all of them are proposed anew in the next session.
   */
  startOver(): void {
    const { draft } = this;
    const { queued, retrying, underway } = this.state;
    const requests = underway.map(({ request }) => request);
    if (requests.length > 0) draft.toCore({ kind: 'cancel', now: draft.now, requests });
    const numbered = merged<NumberedCommand>(underway, retrying, sequenceOf);
    const next = this.edit();
    next.queued = [...numbered.map(({ call, deadline, data }) => ({ call, deadline, data })), ...queued];
    next.retrying = [];
    next.underway = [];
  }

  /** Fails the chosen commands. Returns the requests to the core that no caller waits for any more. */
  end(choice: CallChoice, failure: Failure | null, cancelled: boolean): RequestNumber[] {
    const { queued, retrying, underway } = this.state;
    const chosen = { queued: choice(queued), retrying: choice(retrying), underway: choice(underway) };
    if (chosen.queued.length + chosen.retrying.length + chosen.underway.length === 0) return [];
    const requests: RequestNumber[] = [];
    const leaderKnown = this.draft.leadership.state.leader !== null;
    const fail = (call: PendingCall, sent: boolean, mayHaveTakenEffect: boolean): void => {
      const own = endedBy(sent, mayHaveTakenEffect, cancelled, leaderKnown);
      this.draft.fail([call], failure === null ? own : { ...failure, outcome: own.outcome });
    };
    for (const at of chosen.underway) {
      const command = underway[at] as ProposedCommand;
      requests.push(command.request);
      fail(command, true, command.mayHaveTakenEffect);
    }
    for (const at of chosen.retrying) {
      const command = retrying[at] as NumberedCommand;
      fail(command, false, command.mayHaveTakenEffect);
    }
    for (const at of chosen.queued) fail(queued[at] as PendingCommand, false, false);
    const next = this.edit();
    next.underway = without(underway, chosen.underway);
    next.retrying = without(retrying, chosen.retrying);
    next.queued = without(queued, chosen.queued);
    return requests;
  }
}
