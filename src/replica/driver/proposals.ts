/**
 * The queue of commands, for the question: which commands of this replica's own callers are to be proposed next, and
 * under which id? A command waits until the session is open, is proposed with the next sequence, and is answered when
 * it is applied here. If an attempt ends before that, the command is proposed again under the same id until its
 * deadline, which is safe because the session table lets it take effect once.
 *
 * A leader is given all commands at once. To another replica a window is open: so many bytes and messages that the
 * leader has not answered yet. What does not fit waits here, where it can be cancelled without a trace, and leaves in
 * larger messages.
 *
 * Invariants: every command is in one of the three books, keyed by its caller's number; sequences ascend with the keys;
 * no sequence below the lowest in `retrying` and `underway` is waited for; a command fails with outcome `none` only if
 * no attempt of it can take effect.
 */

import {
  highestKey,
  itemAtOrBelow,
  itemNumbered,
  itemsOf,
  lowestItem,
  lowestItems,
  splitAfter,
  withItem,
  withNewest,
  withoutItem,
  withoutItems,
  type Book,
} from '../../core/book.js';
import type { Mutable } from '../../core/draft.js';
import { PlainEntryId } from '../../core/entries.js';
import type { Entry, Proposal, RequestNumber } from '../../core/protocol.js';
import type { CallChoice, EndedCalls } from './calls.js';
import {
  ascending,
  commandBytes,
  endedBy,
  expected,
  sequenceOf,
  type NumberedCommand,
  type ProposalsState,
  type ProposedCommand,
  type QueuedCommand,
} from './commands.js';
import { isOpen, withAnswer, withGroup, withoutEnded } from './leader-window.js';
import { PartDraft } from './part-draft.js';
import type { OpenSession } from './session.js';
import type { StoredResult } from './session-table.js';
import type { Failure, PendingCommand } from './state.js';

/** A message takes no more commands than this, however small they are. */
const MOST_COMMANDS = 4096;

export class ProposalsDraft extends PartDraft<ProposalsState> {
  protected override copy(state: ProposalsState): Mutable<ProposalsState> {
    return {
      queued: state.queued,
      retrying: state.retrying,
      underway: state.underway,
      window: state.window,
      count: state.count,
      bytes: state.bytes,
    };
  }

  /** The highest number of a caller that waits. */
  get newest(): number {
    const { queued, retrying, underway } = this.state;
    return Math.max(highestKey(queued), highestKey(retrying), highestKey(underway));
  }

  /** Their callers are newer than all that wait. */
  queue(commands: readonly PendingCommand[]): void {
    if (commands.length === 0) return;
    const next = this.edit();
    next.count += commands.length;
    for (let at = 0; at < commands.length; at++) next.bytes += commandBytes(commands[at] as PendingCommand);
    if (this.canLeave(commands)) return this.leave(commands);
    const items = commands.map(({ call, deadline, data, kind = 'command' }) => {
      return { key: call, deadline, at: Infinity, data, kind };
    });
    next.queued = withNewest(next.queued, items);
  }

  /** Whether nothing waits before these commands, and one message takes all of them. */
  private canLeave(commands: readonly PendingCommand[]): boolean {
    const { draft } = this;
    const { queued, retrying, window } = this.state;
    const session = draft.session.state;
    if (session.kind !== 'open' || queued !== null || retrying !== null || !draft.calls.takesCommands) return false;
    const { configuration, limits } = draft.options;
    const { nextSequence } = session;
    const end = this.firstIncomplete(nextSequence) + configuration.constants.sessionWindow;
    if (nextSequence + commands.length > end) return false;
    if (this.leads) return true;
    if (commands.length > MOST_COMMANDS || !isOpen(window, limits)) return false;
    let bytes = 0;
    for (const command of commands) bytes += commandBytes(command);
    return bytes <= limits.messageBytes;
  }

  /** Proposes commands that need not wait. */
  private leave(commands: readonly PendingCommand[]): void {
    const { draft } = this;
    const session = draft.session.state as OpenSession;
    const { nextSequence } = session;
    const chosen = new Array<ProposedCommand>(commands.length);
    for (let at = 0; at < commands.length; at++) {
      const { call, deadline, data, kind = 'command' } = commands[at] as PendingCommand;
      const sequence = nextSequence + at;
      const request = draft.freshRequest();
      chosen[at] = { key: call, deadline, at: Infinity, data, kind, sequence, mayHaveTakenEffect: false, request };
    }
    const firstIncomplete = this.firstIncomplete(nextSequence);
    const next = this.edit();
    next.underway = withNewest(next.underway, chosen);
    draft.session.advance(chosen.length);
    this.pass(chosen, session.id, firstIncomplete);
  }

  /** This replica leads, as far as it knows. */
  private get leads(): boolean {
    const { leadership, options } = this.draft;
    return leadership.state.leader === options.id;
  }

  /** The lowest sequence that a caller still waits for; the next one if there is none. */
  private firstIncomplete(nextSequence: number): number {
    const { retrying, underway } = this.state;
    const retried = lowestItem(retrying)?.sequence ?? Infinity;
    return Math.min(lowestItem(underway)?.sequence ?? Infinity, retried, nextSequence);
  }

  /** Proposes as many commands as the windows of session and leader have room for, those proposed before first. */
  feed(): void {
    const session = this.draft.session.state;
    const { queued, retrying } = this.state;
    if (session.kind !== 'open' || (queued === null && retrying === null)) return;
    const firstIncomplete = this.firstIncomplete(session.nextSequence);
    while (this.proposeGroup(session.id, firstIncomplete));
  }

  /** Proposes what fits into one message to the leader; at a leader everything. Gives whether it did. */
  private proposeGroup(session: number, firstIncomplete: number): boolean {
    const { draft } = this;
    const { queued, retrying, window } = this.state;
    if (queued === null && retrying === null) return false;
    const { limits, configuration } = draft.options;
    const { leads } = this;
    if (!leads && !isOpen(window, limits)) return false;
    const most = leads ? Infinity : limits.messageBytes;
    const { nextSequence } = draft.session.state as OpenSession;
    const chosen = this.takeNext(nextSequence, firstIncomplete + configuration.constants.sessionWindow, most);
    if (chosen.length === 0) return false;
    this.pass(chosen, session, firstIncomplete);
    return true;
  }

  /** Passes commands under way to the core together. */
  private pass(chosen: readonly ProposedCommand[], session: number, firstIncomplete: number): void {
    const { draft, leads } = this;
    const proposals = new Array<Proposal>(chosen.length);
    const calls = new Array<number>(chosen.length);
    let bytes = 0;
    for (let at = 0; at < chosen.length; at++) {
      const command = chosen[at] as ProposedCommand;
      const { key, data, kind, sequence, mayHaveTakenEffect, request } = command;
      const proposalId = new PlainEntryId(session, sequence, firstIncomplete);
      proposals[at] = { request, kind, id: proposalId, data, retry: mayHaveTakenEffect };
      calls[at] = key;
      if (!leads) bytes += commandBytes(command);
    }
    const next = this.edit();
    next.window = withGroup(next.window, (chosen[0] as ProposedCommand).request, calls, bytes);
    draft.toCore({ kind: 'propose', now: draft.now, proposals, deadline: Infinity });
  }

  /** Moves commands to `underway`: those proposed before, then queued ones, with the next sequences up to `end`. */
  private takeNext(nextSequence: number, end: number, mostBytes: number): readonly ProposedCommand[] {
    const { draft } = this;
    const chosen: ProposedCommand[] = [];
    let bytes = 0;
    const takeFrom = <C extends QueuedCommand>(
      book: Book<C>,
      most: number,
      number: (command: C) => number,
    ): Book<C> => {
      let last = -1;
      for (const command of lowestItems(book, mostBytes === Infinity ? most : Math.min(most, MOST_COMMANDS))) {
        bytes += commandBytes(command);
        if (chosen.length > 0 && bytes > mostBytes) break;
        const { key, deadline, data, kind } = command;
        const mayHaveTakenEffect = 'mayHaveTakenEffect' in command && command.mayHaveTakenEffect === true;
        const request = draft.freshRequest();
        const sequence = number(command);
        chosen.push({ key, deadline, at: Infinity, data, kind, sequence, mayHaveTakenEffect, request });
        last = key;
      }
      return last < 0 ? book : splitAfter(book, last)[1];
    };
    const next = this.edit();
    next.retrying = takeFrom(next.retrying, Infinity, sequenceOf);
    for (const command of chosen) next.underway = withItem(next.underway, command);
    if (next.retrying !== null) return chosen;
    const retried = chosen.length;
    next.queued = takeFrom(next.queued, end - nextSequence, () => nextSequence + chosen.length - retried);
    const fresh = retried === 0 ? chosen : chosen.slice(retried);
    next.underway = withNewest(next.underway, fresh); // callers are numbered as they come
    draft.session.advance(fresh.length);
    return chosen;
  }

  /** The leader has these in its log: its window is free for others. */
  taken(requests: readonly RequestNumber[]): void {
    const { window } = this.state;
    const after = withAnswer(window, requests);
    if (after !== window) this.edit().window = after;
  }

  /** These requests are committed: their commands wait until they are applied. */
  committed(requests: readonly RequestNumber[]): void {
    this.ends(requests, () => undefined);
  }

  /** The core has ended these requests: the window no longer holds them. */
  private ends(requests: readonly RequestNumber[], each: (request: RequestNumber, call: number) => void): void {
    const { window } = this.state;
    const after = withoutEnded(window, requests, each);
    if (after !== window) this.edit().window = after;
  }

  /** The core has ended these requests without success. Gives the commands that were waiting for them. */
  private resolved(requests: readonly RequestNumber[]): readonly ProposedCommand[] {
    const { underway } = this.state;
    const commands: ProposedCommand[] = [];
    this.ends(requests, (request, key) => {
      const command = itemAtOrBelow(underway, key);
      if (command?.key === key && command.request === request) commands.push(command);
    });
    return commands;
  }

  /** These attempts ended without success: their commands will be proposed again. */
  ended(attempts: EndedCalls): void {
    for (const command of this.resolved([...attempts.keys()].sort((a, b) => a - b))) {
      const { key, deadline, at, data, kind, sequence, request } = command;
      const mayHaveTakenEffect = attempts.get(request) === true || command.mayHaveTakenEffect;
      const next = this.edit();
      next.underway = withoutItem(next.underway, key);
      next.retrying = withItem(next.retrying, { key, deadline, at, data, kind, sequence, mayHaveTakenEffect });
    }
  }

  /** These commands were applied: the callers of this replica that wait for one of them are answered. */
  applied(commands: readonly Entry[], results: readonly StoredResult[]): void {
    const { draft } = this;
    const { underway, retrying } = this.state;
    const session = draft.session.state;
    if (session.kind !== 'open' || (underway === null && retrying === null)) return;
    const ends = { underway: [] as NumberedCommand[], retrying: [] as NumberedCommand[] };
    const repeated: RequestNumber[] = [];
    const likely = expected(underway, commands, session.id);
    let next = 0;
    for (let i = 0; i < commands.length; i++) {
      const { id, index } = commands[i] as Entry;
      if (id === null || id.session !== session.id) continue;
      const ahead = likely[next]?.sequence === id.sequence ? likely[next++] : undefined;
      const proposed = ahead ?? itemNumbered(underway, sequenceOf, id.sequence);
      const command = proposed ?? itemNumbered(retrying, sequenceOf, id.sequence);
      if (command === undefined) continue;
      draft.answer(command.key, results[i] as StoredResult, index);
      ends[proposed === undefined ? 'retrying' : 'underway'].push(command);
      if (proposed?.mayHaveTakenEffect === true) repeated.push(proposed.request);
    }
    this.drop('underway', ends.underway);
    this.drop('retrying', ends.retrying);
    // The applied entry may be an earlier attempt's, and the attempt under way might then never end.
    if (repeated.length > 0) draft.toCore({ kind: 'cancel', now: draft.now, requests: repeated });
  }

  /** These commands of one book have ended. */
  private drop(book: 'queued' | 'retrying' | 'underway', commands: readonly QueuedCommand[]): void {
    if (commands.length === 0) return;
    const next = this.edit();
    const keys = ascending(commands.map(({ key }) => key));
    if (book === 'queued') next.queued = withoutItems(next.queued, keys);
    else if (book === 'retrying') next.retrying = withoutItems(next.retrying, keys);
    else next.underway = withoutItems(next.underway, keys);
    next.count -= keys.length;
    for (const command of commands) next.bytes -= commandBytes(command);
  }

  /**
   * The session table dropped this replica's session, by an entry applied here: commands that are not applied by now
   * can never take effect under their ids, so all of them are proposed anew in the next session.
   */
  startOver(): void {
    const { draft } = this;
    const { queued, retrying, underway } = this.state;
    const proposed = itemsOf(underway);
    const requests = proposed.map(({ request }) => request);
    if (requests.length > 0) draft.toCore({ kind: 'cancel', now: draft.now, requests });
    const next = this.edit();
    next.queued = queued;
    for (const { key, deadline, at, data, kind } of [...proposed, ...itemsOf(retrying)]) {
      next.queued = withItem(next.queued, { key, deadline, at, data, kind });
    }
    next.retrying = null;
    next.underway = null;
  }

  /**
   * A snapshot in whose table the session is gone took the place of entries that were never seen here: whoever may have
   * taken effect by them does not learn it, and all others are proposed anew.
   */
  lost(): void {
    const { underway, retrying } = this.state;
    const again = itemsOf(retrying).filter(({ mayHaveTakenEffect }) => mayHaveTakenEffect);
    const proposed = itemsOf(underway);
    const requests = proposed.map(({ request }) => request);
    if (requests.length > 0) this.draft.toCore({ kind: 'cancel', now: this.draft.now, requests });
    const calls = [...proposed, ...again].map(({ key }) => key);
    this.draft.fail(ascending(calls), endedBy(true, true, false, true));
    this.drop('underway', proposed);
    this.drop('retrying', again);
    this.startOver();
  }

  /** Fails the chosen commands. Returns the requests to the core that no caller waits for any more. */
  end(choice: CallChoice, failure: Failure | null, cancelled: boolean): readonly RequestNumber[] {
    const { queued, retrying, underway } = this.state;
    const leaderKnown = this.draft.leadership.state.leader !== null;
    const proposed = choice(underway);
    const fail = ({ key }: QueuedCommand, sent: boolean, mayHaveTakenEffect: boolean): void => {
      const own = endedBy(sent, mayHaveTakenEffect, cancelled, leaderKnown);
      const { delay } = this.draft.identity;
      const late = delay === '' ? own : { ...own, message: own.message + delay };
      this.draft.fail([key], failure === null ? late : { ...failure, outcome: own.outcome });
    };
    for (const command of proposed) fail(command, true, command.mayHaveTakenEffect);
    const again = choice(retrying);
    for (const command of again) fail(command, false, command.mayHaveTakenEffect);
    const never = choice(queued);
    for (const command of never) fail(command, false, false);
    this.drop('underway', proposed);
    this.drop('retrying', again);
    this.drop('queued', never);
    return proposed.map(({ request }) => request);
  }
}
