/**
 * Connections that have not finished their handshake. There is room for the newest: where one too many comes, the
 * oldest gives way, since whoever has something to say says it within a round trip.
 *
 * Invariants (transport/room-for-members): at most `MOST_STRANGERS` at a time, at most `MOST_PER_ADDRESS` from one
 * remote address, and of those from no address of a member at most `MOST_FOREIGN`, so that members find room whoever
 * else comes.
 */

export const MOST_STRANGERS = 64;
export const MOST_PER_ADDRESS = 16;
export const MOST_FOREIGN = MOST_STRANGERS - MOST_PER_ADDRESS;

/** A connection in its handshake. */
export interface Stranger {
  /** The IP address of the other end, without its port. */
  readonly from: string;
  /** Ends the connection. */
  giveWay(reason: string): void;
}

/** An IP address in the form in which addresses are compared: IPv4 within IPv6 as IPv4. */
export function plainAddress(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
}

export class Strangers<T extends Stranger> {
  /** The oldest first. */
  private readonly all = new Set<T>();
  private readonly isMember: (address: string) => boolean;

  /** @param isMember whether a member has this address, as far as is known */
  constructor(isMember: (address: string) => boolean) {
    this.isMember = isMember;
  }

  get size(): number {
    return this.all.size;
  }

  /** Gives room to a newcomer; another one, or the newcomer itself, may give way. */
  admit(newcomer: T): void {
    this.all.add(newcomer);
    this.bound(MOST_PER_ADDRESS, 'from one address', ({ from }) => from === newcomer.from);
    this.bound(MOST_FOREIGN, 'from no address of a member', ({ from }) => !this.isMember(from));
    // Still too many: they come from members' addresses.
    this.bound(MOST_STRANGERS, 'in all', () => true);
  }

  /** Of those that are meant, the oldest beyond so many give way, those from no address of a member first. */
  private bound(most: number, which: string, isMeant: (stranger: T) => boolean): void {
    if (this.all.size <= most) return;
    const meant = [...this.all].filter(isMeant);
    const foreign = meant.filter(({ from }) => !this.isMember(from));
    const others = meant.filter(({ from }) => this.isMember(from));
    for (const stranger of [...foreign, ...others].slice(0, Math.max(0, meant.length - most))) {
      this.all.delete(stranger);
      stranger.giveWay(`more than ${most} connections ${which} are in their handshake`);
    }
  }

  /** It has finished its handshake, or is gone. */
  remove(stranger: T): void {
    this.all.delete(stranger);
  }
}
