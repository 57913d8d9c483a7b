/**
 * The connections that others have dialled: strangers, whose handshake is not finished, and those of peers.
 *
 * Invariants (transport/bounded-sockets): at most one connection per incarnation of a peer and lane, the newest, of at
 * most `MOST_INCARNATIONS`; strangers are bounded, in `Strangers`; before `begin` nobody is read or answered.
 */

import type { TransportLane } from '../../replica/transport.js';
import { Incoming, type IncomingOwner } from './incoming.js';
import type { Socket } from './sockets.js';
import { Strangers } from './strangers.js';

/** The most incarnations of one peer whose connections are open at a time, while none is known to be the right one. */
const MOST_INCARNATIONS = 2;

/** What the transport does about its incoming connections, beside what it does about each. */
export interface IncomingSideOwner extends Omit<IncomingOwner, 'accepted' | 'closed'> {
  /** A peer has dialled this replica, from this IP address. */
  dialledBy(peer: string, address: string): void;
  /** The connection of a peer ended. */
  ended(peer: string, lane: TransportLane): void;
  /** Whether a member has this IP address, as far as is known. */
  isOfMember(address: string): boolean;
}

export class IncomingConnections implements IncomingOwner {
  private readonly owner: IncomingSideOwner;
  private readonly all = new Set<Incoming>();
  private readonly strangers: Strangers<Incoming>;
  private isBegun = false;

  constructor(owner: IncomingSideOwner) {
    this.owner = owner;
    this.strangers = new Strangers((address) => owner.isOfMember(address));
  }

  add(socket: Socket): void {
    const connection = new Incoming(this, socket);
    this.all.add(connection);
    this.strangers.admit(connection);
    if (this.isBegun) connection.begin();
  }

  /** Reads and answers those who came before, too. */
  begin(): void {
    this.isBegun = true;
    for (const connection of this.all) connection.begin();
  }

  /** Ends the connections of a peer that is none any more, or not of the incarnation that it must have now. */
  keepOnly(incarnations: ReadonlyMap<string, number | undefined>): void {
    for (const { peer, incarnation, connection } of this.ofPeers()) {
      const isOther = !incarnations.has(peer) || (incarnations.get(peer) ?? incarnation) !== incarnation;
      if (isOther) connection.close();
    }
  }

  private ofPeers(): { readonly peer: string; readonly incarnation: number; readonly connection: Incoming }[] {
    return [...this.all].flatMap((connection) => {
      const { peer, incarnation } = connection;
      return peer === null ? [] : [{ peer, incarnation, connection }];
    });
  }

  /** How many bytes of messages that are not complete are held for a peer. */
  held(id: string): number {
    return this.ofPeers().reduce((sum, { peer, connection }) => sum + (peer === id ? connection.held : 0), 0);
  }

  check(): void {
    for (const connection of this.all) connection.check();
  }

  close(): void {
    for (const connection of this.all) connection.close();
  }

  // Callbacks of the connections.

  get identity(): IncomingOwner['identity'] {
    return this.owner.identity;
  }

  get settings(): IncomingOwner['settings'] {
    return this.owner.settings;
  }

  peerNamed(id: string): ReturnType<IncomingOwner['peerNamed']> {
    return this.owner.peerNamed(id);
  }

  deliver(from: string, message: Uint8Array): void {
    this.owner.deliver(from, message);
  }

  turnedAway(kind: 'refused' | 'malformed', peer: string | null, reason: string): void {
    this.owner.turnedAway(kind, peer, reason);
  }

  accepted(connection: Incoming): void {
    this.strangers.remove(connection);
    const { peer, lane, incarnation, from } = connection;
    // Another incarnation takes no connection away: if it were known which one is right, this one would be refused.
    let strays = 0;
    for (const other of this.all) {
      if (other === connection || other.peer !== peer || other.lane !== lane) continue;
      if (other.incarnation === incarnation || ++strays >= MOST_INCARNATIONS) other.close();
    }
    if (peer !== null) this.owner.dialledBy(peer, from);
  }

  closed(connection: Incoming): void {
    this.all.delete(connection);
    const { peer, lane } = connection;
    if (peer === null) this.strangers.remove(connection);
    else this.owner.ended(peer, lane);
  }
}
