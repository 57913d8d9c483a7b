/**
 * What an observer who sees everything remembers of a Multi-Paxos cluster: which values were ever proposed in which
 * ballots, and which replicas have durably voted for them. From that follows what is chosen. Immutable plain data;
 * `GhostDraft` makes the next ghost, and throws when a proposal or a vote breaks a rule.
 */

import { InvariantViolation, type RuleText } from '../../core/assert.js';
import { sameValue } from '../../core/entries.js';
import { digestEntry, type CommittedView, type Digest } from '../../core/model.js';
import type { Entry, Index } from '../../core/protocol.js';
import type { Ballot } from '../ballot.js';

/** A value that was proposed for a slot in a ballot. */
export interface Tried {
  readonly ballot: Ballot;
  readonly entry: Entry;
  /** The replicas that have durably voted for it: one bit each, in the order of the configuration. */
  readonly by: number;
}

/** What was proposed in one slot, and what is chosen there. */
export interface SlotGhost {
  /** Ascending by ballot. */
  readonly tried: readonly Tried[];
  /** The value that a majority has voted for in one ballot. */
  readonly chosen: Entry | null;
}

/** What one replica has durably done, even if its disk forgets it. */
export interface ReplicaGhost {
  /** The highest promise that was ever durable. */
  readonly promised: Ballot;
  /** The highest ballot in which a Prepare left. */
  readonly prepared: Ballot;
  /** The highest commit index of a hard state that was ever durable. */
  readonly commit: Index;
}

export interface PaxosGhost {
  /** Every disk holds everything up to here as chosen; the ghost has forgotten these slots. */
  readonly base: Index;
  /** The slots from `base` + 1 on. */
  readonly slots: readonly SlotGhost[];
  /** Every slot up to here is chosen. */
  readonly chosenTo: Index;
  /** In the order of the configuration; shorter while the rest has done nothing. */
  readonly replicas: readonly ReplicaGhost[];
  /** The newest commit index of a leader that was checked, and its ballot. */
  readonly leaderCommitBallot: Ballot;
  readonly leaderCommit: Index;
}

export const noGhost: PaxosGhost = {
  base: 0,
  slots: [],
  chosenTo: 0,
  replicas: [],
  leaderCommitBallot: 0,
  leaderCommit: 0,
};

const NEW_SLOT: SlotGhost = { tried: [], chosen: null };
const NEW_REPLICA: ReplicaGhost = { promised: 0, prepared: 0, commit: 0 };

export function violated(text: RuleText, evidence: unknown): never {
  throw new InvariantViolation(text, evidence);
}

export function replicaAt(ghost: PaxosGhost, at: number): ReplicaGhost {
  return ghost.replicas[at] ?? NEW_REPLICA;
}

/** The ghost of a slot above `base`. */
export function slotAt(ghost: PaxosGhost, slot: Index): SlotGhost {
  return ghost.slots[slot - ghost.base - 1] ?? NEW_SLOT;
}

/** What is chosen in a slot, if anything is; forgotten slots have all been delivered somewhere. */
export function chosenAt(ghost: PaxosGhost, slot: Index, committed: CommittedView): Entry | undefined {
  if (slot <= ghost.base) return committed.entry(slot);
  return slotAt(ghost, slot).chosen ?? undefined;
}

/** What was tried in exactly this ballot. */
export function triedIn({ tried }: SlotGhost, ballot: Ballot): Tried | undefined {
  for (let i = tried.length - 1; i >= 0; i--) if ((tried[i] as Tried).ballot === ballot) return tried[i];
  return undefined;
}

/** The highest ballot below `ballot` in which that replica voted; 0 if in none. */
export function highestVote({ tried }: SlotGhost, at: number, below: Ballot): Ballot {
  for (let i = tried.length - 1; i >= 0; i--) {
    const { ballot, by } = tried[i] as Tried;
    if (ballot < below && (by >> at) % 2 === 1) return ballot;
  }
  return 0;
}

function count(bits: number): number {
  let n = 0;
  for (let left = bits; left !== 0; left &= left - 1) n++;
  return n;
}

/** Whether these are more than half. Not by `majority`: a check must not use the function that it checks. */
function isMajority(bits: number, size: number): boolean {
  return 2 * count(bits) > size;
}

/** One bit for each replica whose durable promise is at least `ballot`. */
function promisers(ghost: PaxosGhost, ballot: Ballot): number {
  let bits = 0;
  ghost.replicas.forEach(({ promised }, at) => {
    if (promised >= ballot) bits |= 1 << at;
  });
  return bits;
}

/**
 * P2c of "Paxos Made Simple" (§2.2): a majority has promised `ballot`, and either none of these replicas has voted in
 * the slot below it, or their vote in the highest ballot below it is for this value. It implies that no other value is
 * or will be chosen below, and is broken long before two values are chosen.
 */
function checkSafeAt(ghost: PaxosGhost, size: number, ballot: Ballot, entry: Entry): void {
  const { tried } = slotAt(ghost, entry.index);
  let left = promisers(ghost, ballot);
  if (!isMajority(left, size))
    violated('paxos/phase1-majority: a value is proposed before a majority has promised', { proposed: entry });
  for (let i = tried.length - 1; i >= 0; i--) {
    const below = tried[i] as Tried;
    if (below.ballot >= ballot) continue;
    if ((below.by & left) !== 0 && sameValue(below.entry, entry)) return;
    left &= ~below.by;
    if (isMajority(left, size)) continue;
    const rule =
      entry.kind === 'noop'
        ? 'paxos/noop-only-in-free-slot: a no-op in place of'
        : 'paxos/highest-ballot-value: a value in place of';
    violated(`${rule} one that may be chosen`, { proposed: entry, voted: tried });
  }
}

/** The next ghost, as one event makes it. */
export class GhostDraft {
  private readonly before: PaxosGhost;
  private readonly size: number;
  private ghost: PaxosGhost;

  /** @param size how many replicas the cluster has */
  constructor(ghost: PaxosGhost, size: number) {
    this.before = ghost;
    this.ghost = ghost;
    this.size = size;
  }

  get now(): PaxosGhost {
    return this.ghost;
  }

  private setSlot(slot: Index, value: SlotGhost): void {
    const { ghost, before } = this;
    const slots = ghost.slots === before.slots ? ghost.slots.slice() : (ghost.slots as SlotGhost[]);
    const at = slot - ghost.base - 1;
    while (slots.length < at) slots.push(NEW_SLOT);
    slots[at] = value;
    this.ghost = { ...ghost, slots };
  }

  setReplica(at: number, replica: ReplicaGhost): void {
    const replicas = this.ghost.replicas.slice();
    while (replicas.length < at) replicas.push(NEW_REPLICA);
    replicas[at] = replica;
    this.ghost = { ...this.ghost, replicas };
  }

  setLeaderCommit(leaderCommitBallot: Ballot, leaderCommit: Index): void {
    this.ghost = { ...this.ghost, leaderCommitBallot, leaderCommit };
  }

  /** A value is proposed, or somebody has voted for it. */
  propose(entry: Entry): void {
    const { index, term } = entry;
    if (index <= this.ghost.base) return;
    const known = slotAt(this.ghost, index);
    const same = triedIn(known, term);
    if (same !== undefined) {
      if (!sameValue(same.entry, entry))
        violated('paxos/one-value-per-ballot: two values in one ballot', { first: same.entry, second: entry });
      return;
    }
    checkSafeAt(this.ghost, this.size, term, entry);
    const tried = [...known.tried, { ballot: term, entry, by: 0 }].sort((a, b) => a.ballot - b.ballot);
    this.setSlot(index, { ...known, tried });
  }

  /** That replica has durably voted for it. */
  vote(at: number, entry: Entry): void {
    const { index, term } = entry;
    if (index <= this.ghost.base) return;
    this.propose(entry);
    const known = slotAt(this.ghost, index);
    const { by } = triedIn(known, term) as Tried;
    const votes = by | (1 << at);
    if (votes === by) return;
    const tried = known.tried.map((each) => (each.ballot === term ? { ...each, by: votes } : each));
    const chosen = isMajority(votes, this.size) ? entry : null;
    const clash = chosen !== null && known.chosen !== null && !sameValue(chosen, known.chosen);
    if (clash)
      violated('paxos/one-value-per-slot: two values are chosen for one slot', { first: known.chosen, second: chosen });
    this.setSlot(index, { tried, chosen: known.chosen ?? chosen });
    if (chosen !== null) this.extend();
  }

  private extend(): void {
    let { chosenTo } = this.ghost;
    while (slotAt(this.ghost, chosenTo + 1).chosen !== null) chosenTo++;
    if (chosenTo > this.ghost.chosenTo) this.ghost = { ...this.ghost, chosenTo };
  }

  /** Forgets the slots up to `base`, which every disk holds as chosen: nobody proposes or votes there any more. */
  forget(base: Index): void {
    const { ghost } = this;
    if (base <= ghost.base) return;
    this.ghost = { ...ghost, base, slots: ghost.slots.slice(base - ghost.base) };
  }
}

function digestTried(ballot: number, entry: Entry, by: number, digest: Digest): void {
  digest.value(ballot);
  digestEntry(entry, digest);
  digest.value(by);
}

/** @see Safety.digest */
export function digestGhost(ghost: PaxosGhost, digest: Digest): void {
  digest.value(ghost.base);
  digest.value(ghost.replicas.length);
  for (const { promised, prepared, commit } of ghost.replicas) {
    digest.value(promised);
    digest.value(prepared);
    digest.value(commit);
  }
  digest.value(ghost.slots.length);
  for (const { tried, chosen } of ghost.slots) {
    digest.value(chosen !== null);
    digest.value(tried.length);
    for (const { ballot, entry, by } of tried) digestTried(ballot, entry, by, digest);
  }
}
