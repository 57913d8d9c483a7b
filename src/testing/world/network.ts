/**
 * The network of a world: messages leave or are refused, wait on their link, and arrive, arrive twice or never. A
 * connection that is lost takes with it what it has under way.
 */

import type { ReplicaId } from '../../core/members.js';
import type { Lane } from '../../core/protocol.js';
import type { Action, MessagePick } from './actions.js';
import type { WorldDraft } from './draft.js';
import type { ProcessEffect, ProcessEvent, Payload } from './process.js';
import type { Flight, Link } from './state.js';

type MessageAction = Extract<Action, { readonly kind: 'deliver' | 'duplicate' | 'drop' }>;

const NOTHING_REFUSED: Link['refuses'] = { control: false, bulk: false };

/** Removes one message, without the array that `splice` would return. */
function remove(flights: Flight[], at: number): void {
  for (let i = at + 1; i < flights.length; i++) flights[i - 1] = flights[i] as Flight;
  flights.pop();
}

export class Network {
  private readonly draft: WorldDraft;

  constructor(draft: WorldDraft) {
    this.draft = draft;
  }

  cut(from: ReplicaId, to: ReplicaId, cut: boolean): void {
    const { draft } = this;
    const link = draft.ownLink(draft.placeOf(from), draft.placeOf(to));
    link.cut = cut;
    if (!cut) link.refuses = NOTHING_REFUSED;
  }

  refuse({ kind, from, to, lane }: Extract<Action, { readonly kind: 'refuse' | 'accept' }>): void {
    const { draft } = this;
    const link = draft.ownLink(draft.placeOf(from), draft.placeOf(to));
    link.refuses = { ...link.refuses, [lane]: kind === 'refuse' };
  }

  /** What is under way on this lane is lost. */
  lose(place: number, to: number, lane: Lane): void {
    const { draft } = this;
    const { flights } = draft.link(place, to);
    const lost = flights.filter((flight) => flight.lane === lane);
    if (lost.length === 0) return;
    draft.ownLink(place, to).flights = flights.filter((flight) => flight.lane !== lane);
    const { ids } = draft.rules;
    for (const flight of lost) this.tell('drop', ids[place] as ReplicaId, ids[to] as ReplicaId, flight.payload, true);
  }

  private tell(
    kind: 'send' | 'deliver' | 'drop',
    from: ReplicaId,
    to: ReplicaId,
    payload: Payload,
    lost: boolean,
    refused = false,
  ): void {
    if (!this.draft.observed) return;
    const { program } = this.draft.rules;
    const message = program.message(payload);
    const own = message === null ? program.describe(payload) : '';
    this.draft.tell({ kind, from, to, message, own, lost, refused });
  }

  send(from: number, effect: Extract<ProcessEffect, { kind: 'send' }>): void {
    const { draft } = this;
    const { ids, program } = draft.rules;
    const message = program.message(effect.bytes);
    const sender = ids[from] as ReplicaId;
    if (message !== null) draft.sending({ from: sender, to: effect.to, message });
    const to = draft.placeOf(effect.to);
    const link = draft.ownLink(from, to);
    if (link.refuses[effect.lane]) return this.refused(from, effect);
    link.sent += 1;
    this.tell('send', sender, effect.to, effect.bytes, link.cut);
    if (link.cut) return;
    const flight = { ordinal: link.sent, sentAt: draft.now, lane: effect.lane, payload: effect.bytes };
    (link.flights as Flight[]).push(flight);
    draft.watcher?.sent(from, to, flight);
  }

  /** It never leaves. Of a forward the sender is told. */
  private refused(from: number, { to, bytes, forward }: Extract<ProcessEffect, { kind: 'send' }>): void {
    const { draft } = this;
    this.tell('send', draft.rules.ids[from] as ReplicaId, to, bytes, true, true);
    if (forward === undefined) return;
    draft.pending.push({ place: from, event: { kind: 'unsent', now: draft.local(from), forward } });
  }

  /** Moves a message that is under way. Returns its receiver's event; `null` if it reaches nobody. */
  move({ kind, from, to, pick }: MessageAction): ProcessEvent | null {
    const { draft } = this;
    const [source, target] = [draft.placeOf(from), draft.placeOf(to)];
    const at = this.find(draft.link(source, target).flights, pick);
    const { process, paused } = draft.slot(target);
    if (at < 0 || (kind !== 'drop' && paused)) return null;
    const flights = draft.ownLink(source, target).flights as Flight[];
    const flight = flights[at] as Flight;
    if (kind !== 'duplicate') remove(flights, at);
    const lost = kind === 'drop' || process === null;
    this.tell(lost ? 'drop' : 'deliver', from, to, flight.payload, lost);
    return lost ? null : { kind: 'message', now: draft.local(target), from, bytes: flight.payload };
  }

  // Choosing a message.

  private find(flights: readonly Flight[], pick: MessagePick): number {
    if (typeof pick === 'number') {
      let at = flights.length - 1;
      while (at >= 0 && (flights[at] as Flight).ordinal !== pick) at--;
      return at;
    }
    const [, text = pick, nth = '1'] = /^(.*) #(\d+)$/s.exec(pick) ?? [];
    const described = flights.map((flight) => this.describe(flight));
    const fits = described.includes(text)
      ? (each: string): boolean => each === text
      : (each: string): boolean => each.startsWith(text);
    let left = Number(nth);
    return described.findIndex((each) => fits(each) && --left === 0);
  }

  /** A message in words. */
  describe({ payload }: Flight): string {
    const { program, model } = this.draft.rules;
    const message = program.message(payload);
    return message === null ? program.describe(payload) : model.describeMessage(message);
  }

  /**
   * The action, with a message that is not under way replaced by the oldest of its kind (the first word of the
   * description) on that link. `null` if there is none.
   */
  fitting(action: Action): Action | null {
    if (action.kind !== 'deliver' && action.kind !== 'duplicate' && action.kind !== 'drop') return action;
    const [from, to] = [this.draft.placeOf(action.from), this.draft.placeOf(action.to)];
    const { flights } = this.draft.link(from, to);
    if (this.find(flights, action.pick) >= 0) return action;
    const [kind = ''] = String(action.pick).split(' ', 1);
    const other = flights[this.find(flights, kind)];
    return other === undefined ? null : { ...action, pick: this.pickOf(from, to, other.ordinal) };
  }

  /** The description by which `MessagePick` chooses this message among those under way. */
  pickOf(from: number, to: number, ordinal: number): MessagePick {
    const { flights } = this.draft.link(from, to);
    const at = flights.findIndex((flight) => flight.ordinal === ordinal);
    if (at < 0) return ordinal;
    const described = flights.slice(0, at + 1).map((flight) => this.describe(flight));
    const text = described[at] as string;
    const nth = described.filter((each) => each === text).length;
    return nth === 1 && !/ #\d+$/.test(text) ? text : `${text} #${nth}`;
  }
}
