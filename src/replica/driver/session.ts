/**
 * This replica's own session: the source of its proposals, under which each takes effect once. It is opened by an
 * entry of the log, as soon as a leader is known, and used only after that entry was applied here.
 *
 * What opens it is known by what the entry says: replica, incarnation and boot. Its id does not tell, since another
 * replica may number its own entry alike; so the core's word that such an id is committed opens nothing, and what was
 * not applied in time is proposed again. The session table answers a second copy with the session of the first.
 */

import type { Index, Milliseconds, Proposal, RequestNumber } from '../../core/protocol.js';
import { ConsensusError } from '../errors.js';
import type { EndedCalls } from './calls.js';
import type { DriverDraft } from './draft.js';
import { encodeSessionOpening, type SessionOpening } from './session-table.js';

export type OwnSession =
  | { readonly kind: 'closed' }
  /** The core has an attempt at opening it; after `deadline` there is another. */
  | { readonly kind: 'opening'; readonly request: RequestNumber; readonly deadline: Milliseconds }
  /** `id` is the index of the entry that opened it. */
  | { readonly kind: 'open'; readonly id: Index; readonly nextSequence: number };

export const closedSession: OwnSession = { kind: 'closed' };

export class SessionDraft {
  private readonly draft: DriverDraft;
  private current: OwnSession;

  constructor(draft: DriverDraft, session: OwnSession) {
    this.draft = draft;
    this.current = session;
  }

  get state(): OwnSession {
    return this.current;
  }

  /** Proposes the entry that opens it, unless that is done, or under way in time. */
  open(): void {
    const { draft, current } = this;
    if (current.kind === 'open' || (current.kind === 'opening' && draft.now < current.deadline)) return;
    const request = draft.freshRequest();
    const deadline = draft.calls.attemptDeadline;
    this.current = { kind: 'opening', request, deadline };
    const { id: replica, incarnation, boot } = draft.options;
    const data = encodeSessionOpening({ replica, incarnation, boot });
    const id = { session: 0, sequence: request, firstIncomplete: 0 };
    const proposal: Proposal = { request, kind: 'openSession', id, data, retry: false };
    draft.toCore({ kind: 'propose', now: draft.now, proposals: [proposal], deadline });
  }

  /** These attempts ended: if the opening is among them, there will be another. */
  ended(attempts: EndedCalls): void {
    if (this.current.kind === 'opening' && attempts.has(this.current.request)) this.current = closedSession;
  }

  /** An entry that opens a session was applied: under this id, or for nothing. */
  applied(opening: SessionOpening, id: Index | null): void {
    const { options } = this.draft;
    const { replica, incarnation, boot } = opening;
    if (replica !== options.id || incarnation !== options.incarnation || boot !== options.boot) return;
    if (id === null) {
      // Opening again would be refused again; and what the later start promised and voted is not on this disk.
      const message = 'a later start of this replica is known to the cluster: its storage was set back, or copied';
      throw new ConsensusError(message, { code: 'ERR_LOST_IDENTITY' });
    }
    // A second copy of the entry, after the session was dropped in this very run: `lost` comes first.
    if (this.current.kind !== 'open') this.current = { kind: 'open', id, nextSequence: 1 };
  }

  /** So many commands were given the next sequences. */
  advance(count: number): void {
    const { current } = this;
    if (current.kind !== 'open' || count === 0) return;
    this.current = { kind: 'open', id: current.id, nextSequence: current.nextSequence + count };
  }

  /** The table has dropped it. */
  lost(): void {
    this.current = closedSession;
  }
}
