/**
 * This replica's own session, in which each of its proposals takes effect once (thesis 6.3). It is opened by an
 * `openSession` entry, proposed as soon as a leader is known, and used once that entry is applied here.
 *
 * The entry is recognised by its data: replica, incarnation, boot and a number drawn at the start. Its id is not unique
 * for certain, since another replica may give its own entry the same one; so a commit that the core reports by id opens
 * nothing, and an entry that is not applied in time is proposed again. The session table answers a second copy with the
 * first one's session.
 */

import { PlainEntryId } from '../../core/entries.js';
import type { Index, Milliseconds, Proposal, RequestNumber } from '../../core/protocol.js';
import { ConsensusError } from '../errors.js';
import type { EndedCalls } from './calls.js';
import type { DriverDraft } from './draft.js';
import { encodeSessionOpening, type SessionOpening } from './session-table.js';

export interface OpenSession {
  readonly kind: 'open';
  /** The index of the entry that opened it. */
  readonly id: Index;
  readonly nextSequence: number;
}

export type OwnSession =
  | { readonly kind: 'closed' }
  /** The core has an attempt with the `openSession` entry; after `deadline` there is another. */
  | { readonly kind: 'opening'; readonly request: RequestNumber; readonly deadline: Milliseconds }
  | OpenSession;

/** More starts than a replica has (`firstNumberOf`). */
const BOOTS = 2 ** 20;

export const closedSession: OwnSession = { kind: 'closed' };

export class SessionDraft {
  declare private readonly draft: DriverDraft;
  declare private current: OwnSession;

  constructor(draft: DriverDraft, session: OwnSession) {
    this.draft = draft;
    this.current = session;
  }

  get state(): OwnSession {
    return this.current;
  }

  /** Proposes the `openSession` entry, unless the session is open or an attempt is under way in time. */
  open(): void {
    const { draft, current } = this;
    if (current.kind === 'open' || (current.kind === 'opening' && draft.now < current.deadline)) return;
    const request = draft.freshRequest();
    const deadline = draft.calls.attemptDeadline;
    this.current = { kind: 'opening', request, deadline };
    const { id: replica, incarnation, boot, start } = draft.options;
    const data = encodeSessionOpening({ replica, incarnation, boot, start });
    // Of this start of this replica alone: the core recognises attempts by their ids.
    const sequence = (incarnation % 2 ** 32) * BOOTS + boot;
    const id = new PlainEntryId(0, sequence, 0);
    const proposal: Proposal = { request, kind: 'openSession', id, data, retry: false };
    draft.toCore({ kind: 'propose', now: draft.now, proposals: [proposal], deadline });
  }

  /** These attempts ended without success; if the `openSession` entry is among them, it will be proposed again. */
  ended(attempts: EndedCalls): void {
    if (this.current.kind === 'opening' && attempts.has(this.current.request)) this.current = closedSession;
  }

  /** An `openSession` entry was applied. `id` is its session, `null` if the table refused it. */
  applied(opening: SessionOpening, id: Index | null): void {
    const { options } = this.draft;
    const { replica, incarnation, boot, start } = opening;
    if (replica !== options.id || incarnation !== options.incarnation || boot !== options.boot) return;
    if (id === null || start !== options.start) {
      // A new attempt would be refused, too; and the later start's votes and promises are not on this disk.
      const message = 'another start of this replica is known to the cluster: its storage was set back, or copied';
      throw new ConsensusError(message, { code: 'ERR_LOST_IDENTITY' });
    }
    // A second copy of the entry leaves an open session as it is. If the table dropped it, `lost` was called before.
    if (this.current.kind !== 'open') this.current = { kind: 'open', id, nextSequence: 1 };
  }

  /** The next `count` sequences were given to commands. */
  advance(count: number): void {
    const { current } = this;
    if (current.kind !== 'open' || count === 0) return;
    this.current = { kind: 'open', id: current.id, nextSequence: current.nextSequence + count };
  }

  /** The session table has dropped the session. */
  lost(): void {
    this.current = closedSession;
  }
}
