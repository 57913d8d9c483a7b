/**
 * Where a peer is: its address as it was given, and the IP addresses that are known for its host. Both lanes share it.
 *
 * Invariants: one lookup at a time (transport/one-lookup); every dial asks anew, since names move; the addresses of the
 * last lookup that found any stay known, for when a later one fails.
 */

import { isIP } from 'node:net';
import type { SocketAddress } from './address.js';
import type { Lookups } from './lookups.js';
import { plainAddress } from './strangers.js';

export class Place {
  readonly host: string;
  readonly port: number;
  /** Whether there is nothing to look up. */
  readonly isFixed: boolean;
  private readonly lookups: Lookups;
  private underWay: Promise<readonly string[]> | null = null;
  private addresses: readonly string[];

  constructor({ host, port }: SocketAddress, lookups: Lookups) {
    this.host = host;
    this.port = port;
    this.isFixed = isIP(host) > 0;
    this.lookups = lookups;
    this.addresses = this.isFixed ? [host] : [];
  }

  /** The addresses to dial, in this order; none before the first lookup. */
  get known(): readonly string[] {
    return this.addresses;
  }

  /** Looks the name up, or waits for the lookup that is under way. Rejects with its error. */
  lookUp(): Promise<readonly string[]> {
    this.underWay ??= this.lookups
      .addressesOf(this.host)
      .then((found) => (this.addresses = this.inOrder(found)))
      .finally(() => (this.underWay = null));
    return this.underWay;
  }

  /** The one that was first stays first, if it is still there: it was reached, or is next in turn. */
  private inOrder(found: readonly string[]): readonly string[] {
    const at = found.indexOf(this.addresses[0] ?? '');
    return at <= 0 ? found : [...found.slice(at), ...found.slice(0, at)];
  }

  /** Nobody fit is at this address: the next dial begins with the one after it. */
  avoid(address: string): void {
    const { addresses } = this;
    const at = addresses.indexOf(address) + 1;
    if (at > 0) this.addresses = [...addresses.slice(at), ...addresses.slice(0, at)];
  }

  /** The peer is at this address: the next dial begins with it. */
  prefer(address: string): void {
    const { addresses } = this;
    const at = addresses.indexOf(address);
    if (at > 0) this.addresses = [...addresses.slice(at), ...addresses.slice(0, at)];
  }

  has(address: string): boolean {
    return this.addresses.some((known) => plainAddress(known) === address);
  }
}
