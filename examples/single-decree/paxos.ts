/**
 * Paxos for one value: proposer, acceptor and learner, as §2 of Lamport's "Paxos Made Simple" describes them. They send
 * nothing themselves: each takes a message and gives the one that follows from it, so a test can deliver in any order.
 * In a real system an acceptor has `promised` and `vote` on its disk before its answer leaves.
 */

import { ballotOf, roundOf } from 'quorate/multipaxos';

/** How many of the three acceptors are a majority: any two majorities have one of them in common. */
const MAJORITY = 2;

/** A value that an acceptor has accepted, with the number of its proposal. */
export interface Vote {
  readonly ballot: number;
  readonly value: string;
}

/** Phase 1 (a): will you answer to nobody below this number? */
export type Prepare = { readonly kind: 'prepare'; readonly ballot: number };
/** Phase 1 (b): I promise, and this is the vote of the highest number that I have cast. */
export type Promised = { readonly kind: 'promise'; readonly ballot: number; readonly vote: Vote | null };
/** Phase 2 (a): vote for this value. */
export type Accept = { readonly kind: 'accept' } & Vote;
/** Phase 2 (b): I have voted for it. It goes to the learners, too. */
export type Accepted = { readonly kind: 'accepted' } & Vote;
/** I have promised a higher number. Safety could do without this message. */
export type Refused = { readonly kind: 'refused'; readonly ballot: number; readonly promised: number };

export class Acceptor {
  private promised = 0;
  private vote: Vote | null = null;

  /** P1a: it answers to whatever number is not below what it has promised. */
  receive(message: Prepare | Accept): Promised | Accepted | Refused {
    const { ballot } = message;
    if (ballot < this.promised) return { kind: 'refused', ballot, promised: this.promised };
    this.promised = ballot; // to accept is to promise
    if (message.kind === 'prepare') return { kind: 'promise', ballot, vote: this.vote };
    this.vote = { ballot, value: message.value };
    return { kind: 'accepted', ballot, value: message.value };
  }
}

export class Proposer {
  private readonly number: number;
  private readonly wish: string;
  private readonly promises = new Map<string, Vote | null>();
  private ballot = 0;

  /** @param number 1 or more, and nobody else's: no two proposers ever use one ballot */
  constructor(number: number, wish: string) {
    this.number = number;
    this.wish = wish;
  }

  /** Begins anew with a number above its own last one, and above one that it was refused for. */
  prepare(above = 0): Prepare {
    this.promises.clear();
    this.ballot = ballotOf(roundOf(Math.max(this.ballot, above)) + 1, this.number);
    return { kind: 'prepare', ballot: this.ballot };
  }

  /** P2c: once a majority has promised it proposes the highest vote that it was told of, or else what it wishes. */
  receive(from: string, { ballot, vote }: Promised): Accept | null {
    if (ballot !== this.ballot || this.promises.has(from) || this.promises.size >= MAJORITY) return null;
    this.promises.set(from, vote);
    if (this.promises.size < MAJORITY) return null;
    let highest: Vote | null = null;
    for (const each of this.promises.values()) {
      if (each !== null && each.ballot > (highest?.ballot ?? 0)) highest = each;
    }
    return { kind: 'accept', ballot, value: highest?.value ?? this.wish };
  }
}

export class Learner {
  private readonly voters = new Map<number, Set<string>>();

  /** A value is chosen when a majority has voted for it in one ballot. Gives it then, and `null` before. */
  receive(from: string, { ballot, value }: Accepted): string | null {
    const voters = this.voters.get(ballot) ?? new Set();
    this.voters.set(ballot, voters.add(from));
    return voters.size >= MAJORITY ? value : null;
  }
}
