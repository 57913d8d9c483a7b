/**
 * The identity of a replica. A first start and a start after the loss of the disk look the same to the replica itself.
 * So a replica that is not established asks the other members in two rounds, and takes part only once enough of them
 * hold a final record of its incarnation and its own flag `established` is durable.
 *
 * In the first round a member notes the incarnation, in place of an earlier note. With enough notes the replica asks
 * for the second: a member whose note still names it makes the note final. So a start that was stray, or was wiped
 * before it had enough notes, locks nobody out; a final record is never replaced, and refuses every other incarnation.
 * Two sets of final records share a member that has its disk (`recordersNeeded`), so no second one is established.
 *
 * Invariants: an answer counts in its own round, or for good if it is final; the core starts behind the durable flag;
 * whoever is established or out asks nothing.
 */

import type { ReplicaId } from '../../core/members.js';
import type { Milliseconds } from '../../core/protocol.js';
import { nextSeed, sample } from '../../core/random.js';
import { unreachable } from '../../core/assert.js';
import { sealIdentity, type EnvelopeAddress, type IdentityMessage, type RefusalReason } from './envelope.js';
import { describeFirstStart, explained, firstStartOf, recordersNeeded } from './first-start.js';
import { ASK_EVERY, PeerRecordsDraft, type Asking, type PeerIntroduction } from './peer-records.js';
import { ESTABLISHED_KEY, ESTABLISHED_VALUE } from './stored-identity.js';

/** The longest time between two questions to a member that does not answer. */
const LONGEST_WAIT: Milliseconds = 2000;

/** A random part of this time, at least half of it. */
function jittered(wait: Milliseconds, seed: number): Milliseconds {
  return Math.ceil(wait * (0.5 + sample(seed) / 2));
}

export class IdentityDraft extends PeerRecordsDraft {
  private get asking(): Asking | null {
    const { standing } = this.state;
    return this.draft.phase.kind === 'establishing' && standing.kind === 'asking' ? standing : null;
  }

  /** Whether enough members have noted this incarnation, so that it may ask for final records. */
  private get isNoted(): boolean {
    const { introducedTo } = this.state;
    return introducedTo.filter(({ answer }) => answer !== 'none').length >= recordersNeeded(introducedTo.length + 1);
  }

  /** Asks the members that have not answered, if it is time; goes on at once if no answer is needed. */
  ask(): void {
    const { asking } = this;
    const { now } = this.draft;
    if (asking === null || now < asking.askAt) return;
    for (const peer of this.state.introducedTo) this.askPeer(peer, asking.round);
    const { seed, wait } = asking;
    this.edit().standing = {
      ...asking,
      askedAt: now,
      askAt: now + jittered(wait, seed),
      wait: Math.min(2 * wait, LONGEST_WAIT),
      seed: nextSeed(seed),
    };
    this.markIfConfirmed();
  }

  private askPeer({ id, answer }: PeerIntroduction, round: number): void {
    const { draft } = this;
    const { configurationHash, incarnation } = draft.options;
    if (answer === 'confirmed' || (answer === 'noted' && !this.isNoted)) return;
    const question: IdentityMessage =
      answer === 'none' ? { kind: 'note', round, configurationHash } : { kind: 'confirm', round };
    const bytes = sealIdentity(question, { from: incarnation, to: null });
    draft.effect({ kind: 'send', to: id, bytes, lane: 'control' });
  }

  /** A peer that has not answered is up: it is asked soon, however long the wait has become. */
  private heard({ answer }: PeerIntroduction): void {
    const { asking } = this;
    if (asking === null || answer !== 'none') return;
    const askAt = Math.max(asking.notBefore, Math.min(asking.askAt, asking.askedAt + ASK_EVERY));
    if (askAt < asking.askAt) this.edit().standing = { ...asking, askAt, wait: ASK_EVERY };
    this.ask();
  }

  /** Another incarnation took a note away: notes are asked for again, later, so that one gets through. */
  private beginAgain(asking: Asking): void {
    const { now } = this.draft;
    const { round, seed } = asking;
    const wait = Math.min(2 * asking.wait, LONGEST_WAIT);
    const notBefore = now + jittered(wait, seed);
    const next = this.edit();
    next.introducedTo = next.introducedTo.map((peer) => (peer.answer === 'noted' ? { ...peer, answer: 'none' } : peer));
    next.standing = { ...asking, round: round + 1, askAt: notBefore, notBefore, wait, seed: nextSeed(seed) };
  }

  private accepted(id: ReplicaId, answer: 'noted' | 'confirmed', round: number): void {
    const wasNoted = this.isNoted;
    this.change(id, { answer, refusal: null });
    if (!this.isNoted) return;
    for (const peer of this.state.introducedTo)
      if (!wasNoted || peer.id === id) {
        if (peer.answer === 'noted') this.askPeer(peer, round);
      }
    this.markIfConfirmed();
  }

  private refused(peer: PeerIntroduction, reason: RefusalReason, round: number, asking: Asking): void {
    const { draft } = this;
    if (reason === 'replaced' && round !== asking.round) return;
    this.change(peer.id, { refusal: explained(reason) });
    if (reason === 'incarnation') draft.loseIdentity(peer.id);
    else if (reason === 'replaced') this.beginAgain(asking);
    else if (peer.refusal !== explained(reason)) draft.event({ kind: 'configurationMismatch', peer: peer.id });
  }

  /** The transport of a peer refused this replica. @param reason `incarnation` if the peer knows it by other data */
  refusedByTransport(from: ReplicaId, reason: 'incarnation' | 'other', text: string): void {
    const peer = this.peer(from);
    const { asking } = this;
    if (peer === undefined || asking === null) return;
    if (reason === 'incarnation') this.refused(peer, reason, asking.round, asking);
    else if (peer.answer === 'none') this.change(from, { refusal: text });
  }

  /** If enough members have final records of this replica, writes the flag; the core starts once that is durable. */
  private markIfConfirmed(): void {
    const { introducedTo } = this.state;
    const confirmed = introducedTo.filter(({ answer }) => answer === 'confirmed').length;
    if (this.asking === null || confirmed < recordersNeeded(introducedTo.length + 1)) return;
    const writeId = this.draft.lane.set(ESTABLISHED_KEY, ESTABLISHED_VALUE);
    this.edit().standing = { kind: 'marking', writeId };
  }

  /** Returns whether the flag has become durable since the last call, so that the core can start. */
  establish(): boolean {
    const { standing } = this.state;
    if (standing.kind !== 'marking' || standing.writeId > this.draft.lane.state.durableWriteId) return false;
    this.edit().standing = { kind: 'established' };
    this.tellTransport();
    return true;
  }

  /** What the errors of requests say that waited in vain for a first start; empty if it is complete. */
  get delay(): string {
    return this.draft.phase.kind === 'establishing' ? `: ${describeFirstStart(firstStartOf(this.state))}` : '';
  }

  // Messages.

  /** A message about identity arrived. The address of an answer repeats the incarnation that asked. */
  receive(from: ReplicaId, address: EnvelopeAddress, message: IdentityMessage): void {
    const peer = this.peer(from);
    const { phase, options } = this.draft;
    if (peer === undefined || phase.kind === 'halted' || phase.kind === 'stopped') return;
    const { round } = message;
    if (message.kind === 'note') {
      this.note(peer, address.from, round, message.configurationHash);
      return this.heard(peer);
    }
    if (message.kind === 'confirm') return this.confirm(peer, address.from, round);
    const { asking } = this;
    if (asking === null || address.to !== options.incarnation) return;
    switch (message.kind) {
      case 'noted':
        return round === asking.round && peer.answer === 'none' ? this.accepted(from, 'noted', round) : undefined;
      case 'confirmed':
        return this.accepted(from, 'confirmed', asking.round);
      case 'refused':
        return this.refused(peer, message.reason, round, asking);
      default:
        unreachable(message);
    }
  }
}
