/**
 * The side of a pull that asks: this replica needs entries that no log holds any more which it can reach, so it pulls a
 * snapshot, chunk by chunk, from any member that has one; followers are asked before the leader. The chunks go to the
 * host in order. When all are there the host verifies the whole, and the core installs it.
 *
 * Invariants: all chunks are of one snapshot, by index, term and checksum (snapshots/resumed-on-the-same); no more than
 * a window of bytes (pull-window.ts) is asked for and not yet stored; until the first answer the next member is asked,
 * too, and who answers first is the source; when all were, those that are silent are waited for
 * (snapshots/silent-sources). A source that becomes silent, or sends damage, is given up for the next member; a replica
 * that leads by the log alone, or has what it needs by now, drops the pull. A pull is outrun when the log behind its
 * snapshot is gone before it has come (snapshots/outrun-is-doubled).
 */

import type { Mutable } from '../../core/draft.js';
import type { ReplicaId } from '../../core/members.js';
import type { Index } from '../../core/protocol.js';
import { decodeDriverPart } from './driver-part.js';
import { sealSnapshotMessage } from './envelope.js';
import { PartDraft } from './part-draft.js';
import {
  type OfferedSnapshot,
  type PartialSnapshot,
  type SnapshotChunk,
  type SnapshotMessage,
} from './snapshot-messages.js';
import {
  heldFor,
  inOrder,
  isWanted,
  openPull,
  outrunAgain,
  pullNumber,
  questionOf,
  without,
  type PullUnderWay,
  type PullingState,
} from './pull-state.js';
import {
  answeredAt,
  askedAt,
  asksNothing,
  asks,
  boundsOf,
  firstAnswered,
  nextSpan,
  patienceOf,
  timedOut,
  type WindowBounds,
} from './pull-window.js';
import type { SnapshotInput } from './snapshot-events.js';

/** So often in a row a source is asked in vain. */
const MOST_STRIKES = 3;
/** The pause after all were asked in vain doubles so often. */
const MOST_PAUSES = 4;
/** When nobody is left to ask, a first answer is waited for so many times as long. */
const LAST_WAIT = 4;
const GONE = 'the log goes on behind it no longer';

export class PullingDraft extends PartDraft<PullingState> {
  protected override copy(state: PullingState): Mutable<PullingState> {
    const { pull, holdAt, retryAt, vain, last, outrun, partial } = state;
    return { pull, holdAt, retryAt, vain, last, outrun, partial };
  }

  private get bounds(): WindowBounds {
    return boundsOf(this.draft.options.timing, this.draft.options.limits);
  }

  send(to: ReplicaId, message: SnapshotMessage): void {
    const { draft } = this;
    const bytes = sealSnapshotMessage(message, draft.identity.addressOf(to));
    draft.effect({ kind: 'send', to, bytes, lane: message.kind === 'chunk' ? 'bulk' : 'control' });
  }

  private change(change: Partial<PullUnderWay>): PullUnderWay {
    const pull = { ...(this.state.pull as PullUnderWay), ...change };
    this.edit().pull = pull;
    return pull;
  }

  /** The core needs a snapshot of at least this index. */
  needs(least: Index): void {
    const { draft } = this;
    const { pull, retryAt } = this.state;
    if (draft.snapshots.isRestoring || draft.now < retryAt) return;
    if (!draft.options.storesSnapshots) return this.inVain(least, 'the storage of this member keeps no snapshots');
    if (pull === null) {
      this.noteOutrun(least);
      return this.begin(least);
    }
    if (pull.ending || least <= pull.least) return;
    this.change({ least });
    if (pull.offer === null && pull.partial !== null && pull.partial.index < least) return this.begin(least);
    if (pull.offer === null || pull.offer.index >= least) return;
    this.edit().outrun = outrunAgain(this.state.outrun);
    this.giveUp(GONE, [], 'outrun');
  }

  /** Whether the pull before was outrun: so soon after it another one is needed, since the log behind it is gone. */
  private noteOutrun(least: Index): void {
    const { draft } = this;
    const { last, outrun } = this.state;
    if (last === null) return;
    const isOutrun = draft.now <= last.until && least > last.index;
    const next = this.edit();
    next.last = null;
    next.outrun = isOutrun ? outrunAgain(outrun) : 0;
    if (isOutrun)
      draft.event({ kind: 'snapshot', event: 'outrun', index: last.index, bytes: 0, took: 0, reason: GONE });
  }

  /**
   * Asks the next member: followers first, the leader last. Ends when all were asked in vain.
   * @param tried who was asked before
   * @param silent who of these has not answered yet
   */
  private begin(least: Index, tried: readonly ReplicaId[] = [], silent: readonly ReplicaId[] = []): void {
    const { draft } = this;
    const left = this.untried(tried);
    const [source] = left;
    if ((this.state.partial?.index ?? least) < least) this.dropPartial();
    const { partial } = this.state;
    if (source === undefined && partial !== null && tried.length > silent.length) {
      this.dropPartial(); // nobody that answers has it any more
      return this.begin(least);
    }
    if (source === undefined) return this.inVain(least, 'no member gave one that serves');
    // The number stays, so that a silent one may still answer.
    const earlier = silent.length > 0 ? this.state.pull : null;
    const number = earlier?.number ?? pullNumber(draft.options.boot, draft.freshRequest());
    const retryAt = draft.now + (left.length === 1 ? LAST_WAIT : 1) * draft.options.timing.electionMax;
    const asked = { number, least, source, tried, silent, partial, retryAt };
    this.edit().pull = openPull({ ...asked, since: earlier?.since ?? draft.now }, this.bounds);
    this.askMore();
    this.hold(partial?.index ?? least, source);
  }

  /** Who was not asked yet, in the order in which they are: followers first, the leader last. */
  private untried(tried: readonly ReplicaId[]): readonly ReplicaId[] {
    const { id, configuration } = this.draft.options;
    const { leader } = this.draft.leadership.state;
    const members = configuration.members.map((member) => member.id);
    return inOrder(without(members, id, ...tried), leader);
  }

  /** There is no pull for a while; then the core says again what it needs. */
  private inVain(least: Index, reason: string): void {
    const { draft } = this;
    const { vain } = this.state;
    const next = this.edit();
    next.pull = null;
    next.vain = Math.min(MOST_PAUSES, vain + 1);
    next.retryAt = draft.now + draft.options.timing.electionMax * 2 ** vain;
    if (vain > 0) return;
    draft.event({ kind: 'snapshot', event: 'failed', index: least, bytes: 0, took: 0, reason });
  }

  private dropPartial(): void {
    this.draft.effect({ kind: 'removePartial', snapshot: this.state.partial as PartialSnapshot });
    this.edit().partial = null;
  }

  /** Asks for as much as the window has room for; before the peer has answered, for one chunk. */
  private askMore(): void {
    const { bounds, draft } = this;
    for (;;) {
      const pull = this.state.pull as PullUnderWay;
      const span = nextSpan(pull.window, bounds, pull.offer?.bytes ?? Infinity, pull.stored);
      if (span === null) return;
      this.send(pull.source, questionOf(pull, span, this.state.outrun));
      this.change({ window: asks(pull.window, span, draft.now) });
    }
  }

  /** Tells the leader and the source what this replica will need, now and then. */
  private hold(index: Index, source: ReplicaId): void {
    const { draft } = this;
    const { leader } = draft.leadership.state;
    const { holdAt, outrun } = this.state;
    if (holdAt < Infinity && draft.now < holdAt) return;
    this.edit().holdAt = draft.now + draft.options.timing.electionMax;
    for (const to of new Set([leader ?? source, source])) {
      if (to !== draft.options.id) this.send(to, { kind: 'holdLog', index, outrun });
    }
  }

  /** Goes on telling them: while what came is verified and restored, until the log behind it follows. */
  private holdOn(): void {
    const { holdAt } = this.state;
    const held = heldFor(this.state, this.draft.applying.state.applied, this.draft.now);
    if (held !== null) return this.hold(held.index, held.source);
    if (holdAt < Infinity) this.edit().holdAt = Infinity;
  }

  /** A message about snapshots arrived. */
  receive(from: ReplicaId, message: SnapshotMessage): void {
    const { draft } = this;
    if (draft.phase.kind !== 'running') return;
    if (message.kind === 'askChunk') return draft.sources.ask(from, message);
    if (message.kind === 'holdLog') return draft.sources.hold(from, message.index, message.outrun);
    const { pull } = this.state;
    if (pull === null || pull.ending || pull.number !== message.number) return;
    const isLate = pull.silent.includes(from) && pull.offer === null;
    if (pull.source !== from && !isLate) return;
    if (isLate) this.change({ silent: without(pull.silent, from) });
    if (message.kind === 'chunk' && isWanted(pull, message.snapshot)) this.chunk(pull, from, message);
    else if ((pull.offer === null || message.kind === 'noSnapshot') && !isLate) this.next(pull);
  }

  private chunk(pull: PullUnderWay, source: ReplicaId, { snapshot, offset, data }: SnapshotChunk): void {
    const { draft } = this;
    if (pull.offer === null) {
      this.edit().partial = null;
      draft.effect({ kind: 'pullSnapshot', file: pull.file, snapshot, from: pull.from });
      const { index, bytes } = snapshot;
      draft.event({ kind: 'snapshot', event: 'pulling', index, bytes, took: 0, peer: source });
      const window = firstAnswered(pull.window, this.bounds, pull.since, draft.now);
      this.change({ offer: snapshot, source, tried: without(pull.tried, source), silent: [], window });
    }
    this.keep(offset, data);
    this.give();
  }

  /** Keeps a chunk that was asked for. */
  private keep(offset: number, data: Uint8Array): void {
    const { draft, bounds } = this;
    const { ahead, offer, window: before } = this.state.pull as PullUnderWay;
    const length = Math.min(askedAt(before, offset)?.length ?? 0, (offer as OfferedSnapshot).bytes - offset);
    if (length === 0 || data.length !== length) return;
    const window = answeredAt(before, bounds, offset, draft.now);
    const retryAt = draft.now + patienceOf(window, bounds);
    this.change({ ahead: [...ahead, { offset, data }], window, strikes: 0, retryAt });
  }

  /** Gives the host what follows what it has. */
  private give(): void {
    const { draft } = this;
    for (;;) {
      const { ahead, given, file } = this.state.pull as PullUnderWay;
      const next = ahead.find(({ offset }) => offset === given);
      if (next === undefined) break;
      draft.effect({ kind: 'storeChunk', file, data: next.data });
      this.change({ ahead: ahead.filter((each) => each !== next), given: given + next.data.length });
    }
    const { given, offer, file } = this.state.pull as PullUnderWay;
    if (given < (offer as OfferedSnapshot).bytes) return this.askMore();
    this.change({ ending: true });
    draft.effect({ kind: 'completeSnapshot', file });
  }

  /** The host has stored so many bytes of the file. */
  stored(file: string, bytes: number): void {
    const { pull } = this.state;
    if (pull === null || pull.file !== file || bytes <= pull.stored) return;
    this.change({ stored: bytes });
    if (!pull.ending) this.askMore();
  }

  /** The source has nothing for this replica, is silent, or has sent something else: the next one is asked. */
  private next({ offer, file, least, tried, source, silent }: PullUnderWay, isSilent = false): void {
    const [awaited, ...others] = silent;
    if (!isSilent && awaited !== undefined && this.untried([...tried, source]).length === 0)
      return void this.change({ source: awaited, tried: [...without(tried, awaited), source], silent: others });
    if (offer !== null) this.draft.effect({ kind: 'abandonSnapshot', file });
    this.begin(least, [...tried, source], isSilent && offer === null ? [...silent, source] : silent);
  }

  /** The pull ends, or begins anew with the next one of those that were not tried. */
  private giveUp(
    reason: string,
    tried: readonly ReplicaId[] | null,
    event: 'failed' | 'outrun' | 'dropped' = 'failed',
  ): void {
    const { draft } = this;
    const pull = this.state.pull as PullUnderWay;
    const { offer, file, least, since, source: peer } = pull;
    if (offer !== null) {
      draft.effect({ kind: 'abandonSnapshot', file });
      const took = draft.now - since;
      draft.event({ kind: 'snapshot', event, index: offer.index, bytes: 0, took, reason, peer });
    }
    if (tried === null) this.edit().pull = null;
    else this.begin(least, tried);
  }

  /** Time has passed, or what is applied here has: the source is asked again, or the next one, or nobody any more. */
  conclude(isRaft: boolean): void {
    const { draft } = this;
    const { partial } = this.state;
    if (partial !== null && draft.applying.state.applied >= partial.index) this.dropPartial();
    this.tryOn(isRaft);
    if (draft.phase.kind === 'running') this.holdOn();
  }

  private tryOn(isRaft: boolean): void {
    const { draft } = this;
    const { pull } = this.state;
    if (pull === null || pull.ending) return;
    // Raft elects nobody who lacks what is committed.
    if (isRaft && draft.leadership.state.role === 'leader') return this.giveUp('this replica leads', null, 'dropped');
    if (draft.applying.state.applied >= pull.least) return this.giveUp('the entries came', null, 'dropped');
    if (draft.now < pull.retryAt) return;
    if (asksNothing(pull.window)) {
      this.change({ retryAt: draft.now + this.bounds.patience }); // what came waits for the own storage
      return this.askMore();
    }
    const strikes = pull.strikes + 1;
    // One that has never answered may be down: there are others.
    if (pull.offer === null || strikes >= MOST_STRIKES) return this.next(pull, true);
    const retryAt = draft.now + 2 ** strikes * patienceOf(pull.window, this.bounds);
    this.change({ strikes, retryAt, window: timedOut(pull.window, this.bounds, draft.now) });
    this.askMore();
  }

  /** The file is complete, durable and verified; or it is not what was offered. */
  pulled({ file, index, term, checksum, part }: Extract<SnapshotInput, { readonly kind: 'snapshotPulled' }>): void {
    const { draft } = this;
    const { pull } = this.state;
    if (pull === null || pull.file !== file || pull.offer === null)
      return draft.effect({ kind: 'removeSnapshot', file });
    const { offer, since } = pull;
    if (checksum !== offer.checksum || index !== offer.index || term !== offer.term) {
      draft.effect({ kind: 'removeSnapshot', file });
      return this.damaged(pull, 'it is another snapshot');
    }
    const next = this.edit();
    next.pull = null;
    const until = draft.now + Math.max(4 * this.bounds.patience, draft.now - since);
    next.last = { index, source: pull.source, until };
    next.vain = 0;
    draft.snapshots.pulled({ ...offer, time: decodeDriverPart(part).time, file }, part, since);
  }

  /** There is no such file. @param isDamaged what came was no snapshot; else the own storage failed */
  failed(file: string, reason: string, isDamaged: boolean): void {
    const { pull } = this.state;
    if (pull === null || pull.file !== file) return;
    if (isDamaged) return this.damaged(pull, reason);
    this.edit().retryAt = this.draft.now + 4 * this.bounds.patience;
    this.giveUp(reason, null);
  }

  private damaged(pull: PullUnderWay, reason: string): void {
    this.change({ ending: false });
    // What an earlier start has stored may be what is damaged: then it was not the source.
    this.giveUp(reason, pull.from > 0 ? pull.tried : [...pull.tried, pull.source]);
  }
}
