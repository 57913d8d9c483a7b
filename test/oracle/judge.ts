/**
 * What the oracle holds against a run, by what replicas hand over and answer, and by nothing that a core says about
 * itself: agreement, snapshots of what is committed and nothing else, the outcome of each request, linearizable reads,
 * and one end for each request.
 */

import type { Entry, Load, Outcome, PersistOp } from './core.js';
import type { OracleSnapshot } from './machine.js';

/** Bytes of a command above which its hash stands for it. */
const LONG = 200;

/** Why a host asks again. */
const AGAIN: ReadonlySet<string> = new Set(['busy', 'unanswered', 'restored']);

/** A promise of the contract was broken. */
export class Violation extends Error {}

/** A request that a replica was asked in its present start and has not answered. */
interface OpenRequest {
  /** Of a proposal: its name. Of a read: `null`. */
  readonly proposal: string | null;
  /** Of a read: the highest index that was handed over anywhere when it was asked. */
  readonly floor: number;
  readonly deadline: number;
}

/** All attempts at one proposal so far. */
interface Fate {
  readonly value: string;
  /** Attempts that ended `none`, and all. While these differ, the proposal may take effect. */
  none: number;
  attempts: number;
  committed: boolean;
}

function require(holds: boolean, promise: string): void {
  if (!holds) throw new Violation(promise);
}

function hashOf(data: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < data.length; at++) hash = Math.imul(hash ^ (data[at] as number), 0x01000193);
  return hash;
}

/** What an entry means, wherever and in whichever term it stands. */
function valueOf({ kind, id, data }: Pick<Entry, 'kind' | 'id' | 'data'>): string {
  const { byteLength, byteOffset, buffer } = data;
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  const text = byteLength > LONG ? `${byteLength} bytes ${hashOf(data)}` : bytes.toString('latin1');
  return `${kind} ${id === null ? '' : nameOf(id)} ${text}`;
}

export function nameOf({ session, sequence }: { readonly session: number; readonly sequence: number }): string {
  return `${session}.${sequence}`;
}

export class Judge {
  /** The committed log: what was first handed over at each index. */
  private readonly log: string[] = [];
  /** The bytes of its commands. */
  bytes = 0;
  /** By the names of the proposals in it: the first index of each. */
  private readonly logged = new Map<string, number>();
  private readonly fates = new Map<string, Fate>();
  /** Up to where each replica was handed entries in its present start. */
  private readonly handed = new Map<string, number>();
  private readonly open = new Map<string, Map<number, OpenRequest>>();
  /** How many reads each replica was allowed to serve, over all its starts. */
  private readonly reads = new Map<string, number>();
  /**
   * How many proposals ended so; apart (`busy`) those that were refused, whose answer was overdue, or that a snapshot
   * overtook which does not hold them: they are asked for again. How many reads may not be served.
   */
  readonly ends = { committed: 0, none: 0, unknown: 0, busy: 0, notServed: 0 };
  /** How often a log was trimmed, a snapshot of a peer installed, and one restored at a start. */
  readonly snapshots = { trimmed: 0, installed: 0, started: 0 };

  /** @param snapshot what its machine restores, behind which it is handed entries */
  started(replica: string, snapshot: OracleSnapshot | null = null): void {
    if (snapshot !== null) this.demandPrefix(replica, snapshot);
    if (snapshot !== null) this.snapshots.started++;
    this.handed.set(replica, snapshot?.name.index ?? 0);
    this.open.set(replica, new Map());
  }

  /** A snapshot holds the committed log up to its index. */
  demandPrefix(replica: string, { name, kept }: OracleSnapshot): void {
    const { index } = name;
    require(index <= this.log.length, `${replica} has a snapshot at ${index} of ${this.log.length} committed`);
    let same = 0;
    while (same < index && kept[same]?.value === this.log[same]) same++;
    require(same === index, `the snapshot of ${replica} at ${index} is not what was committed up to there`);
  }

  /** In place of entries: above what the replica was handed, so nothing is taken back. */
  restored(replica: string, snapshot: OracleSnapshot): void {
    const { index } = snapshot.name;
    const handed = this.handedTo(replica);
    require(index > handed, `${replica} restores the snapshot at ${index}, and was handed ${handed}`);
    this.demandPrefix(replica, snapshot);
    this.snapshots.installed++;
    this.handed.set(replica, index);
  }

  /**
   * What a replica does with a log that begins behind `base`. Returns what it begins behind afterwards: what a named
   * snapshot holds, no more, and that only of what is committed.
   */
  wrote(replica: string, op: PersistOp, base: number): number {
    if (op.kind === 'put') {
      const below = op.entries.find(({ index }) => index <= base);
      require(below === undefined, `${replica} writes ${below?.index} into a log that begins behind ${base}`);
    }
    if (op.kind !== 'trim' && op.kind !== 'install') return base;
    const { index } = op.snapshot;
    const through = op.kind === 'trim' ? op.base.index : index;
    require(index <= this.log.length, `${replica} names a snapshot at ${index} of ${this.log.length} committed`);
    require(through <= index, `${replica} trims its log up to ${through}, and its snapshot is at ${index}`);
    if (through > base) this.snapshots.trimmed++;
    require(through >= base, `the log of ${replica} begins behind ${through}, and began behind ${base}`);
    return through;
  }

  /** What is trimmed is not read. */
  loads(replica: string, { from }: Load, base: number): void {
    require(from > base, `${replica} reads ${from} of a log that begins behind ${base}`);
  }

  /**
   * Agreement: one value for each index, handed over without a gap, and nothing that nobody proposed.
   * @returns the values
   */
  handedOver(replica: string, entries: readonly Entry[]): readonly string[] {
    return entries.map((entry) => {
      const index = this.handedTo(replica) + 1;
      require(entry.index === index, `${replica} is handed index ${entry.index} in place of ${index}`);
      const value = valueOf(entry);
      if (index > this.log.length) this.commit(entry, value);
      const known = this.log[index - 1];
      require(known === value, `${replica} is handed "${value}" at ${index}, another one "${known}"`);
      this.handed.set(replica, index);
      return known as string; // one object for all, so that they are soon compared
    });
  }

  private commit({ id, kind, data }: Entry, value: string): void {
    if (id === null) require(kind === 'noop', 'an entry without an id is a no-op');
    else require(this.fates.get(nameOf(id))?.value === value, `"${value}" was never proposed`);
    this.log.push(value);
    if (id !== null && !this.logged.has(nameOf(id))) this.logged.set(nameOf(id), this.log.length);
    this.bytes += data.length;
  }

  proposed(
    replica: string,
    request: number,
    entry: Pick<Entry, 'kind' | 'data'> & { id: Entry['id'] & {} },
    deadline: number,
  ): void {
    const proposal = nameOf(entry.id);
    const fate = this.fates.get(proposal) ?? { value: valueOf(entry), none: 0, attempts: 0, committed: false };
    fate.attempts++;
    this.fates.set(proposal, fate);
    this.openAt(replica).set(request, { proposal, floor: 0, deadline });
  }

  readAsked(replica: string, request: number, deadline: number): void {
    this.openAt(replica).set(request, { proposal: null, floor: this.log.length, deadline });
  }

  /** One end for each request: the second one finds nothing open. */
  private close(replica: string, request: number): OpenRequest {
    const found = this.openAt(replica).get(request);
    if (found === undefined) throw new Violation(`${replica} ends request ${request}, which is not open`);
    this.openAt(replica).delete(request);
    return found;
  }

  resolved(replica: string, requests: readonly number[], outcome: Outcome): void {
    const { kind } = outcome;
    if (kind === 'transferred') throw new Violation(`${replica} transfers a leadership, and nobody asked`);
    for (const request of requests) {
      const { proposal } = this.close(replica, request);
      if (proposal === null) {
        this.ends.notServed++;
        require(kind === 'none', `a read ends ${kind}`);
        continue;
      }
      const isRestored = kind === 'unknown' && outcome.reason === 'restored';
      const isKnown = kind === 'committed' || (isRestored && this.standsIn(replica, proposal));
      const fate = this.fates.get(proposal) as Fate;
      if (isKnown) fate.committed = true;
      else if (kind === 'none') fate.none++;
      this.ends[isKnown ? 'committed' : AGAIN.has(outcome.reason) ? 'busy' : kind]++;
    }
  }

  /** Whether the replica was handed it, or a snapshot with it, which then has its result, too. */
  private standsIn(replica: string, proposal: string): boolean {
    return (this.logged.get(proposal) ?? Infinity) <= this.handedTo(replica);
  }

  /** Linearizable: a read sees whatever had been handed over anywhere before it was asked. */
  readReady(replica: string, request: number, index: number): void {
    const { proposal, floor } = this.close(replica, request);
    require(proposal === null, `the proposal ${proposal} ends as a read`);
    require(index >= floor, `a read at ${replica} is served at ${index}, but ${floor} was committed before it`);
    this.reads.set(replica, this.readsAt(replica) + 1);
  }

  /** Deadlines fire by the tick that follows them. */
  ticked(replica: string, now: number): void {
    for (const [request, { deadline }] of this.openAt(replica)) {
      require(deadline > now, `request ${request} of ${replica} is open after its deadline`);
    }
  }

  /** The outcomes against the whole log. Call it when every replica was handed all of it. */
  settled(): void {
    for (const [proposal, { none, attempts, committed }] of this.fates) {
      const logged = this.logged.has(proposal);
      require(logged || !committed, `${proposal} was said to be committed, and is not in the log`);
      require(!logged || none < attempts, `every attempt at ${proposal} ended none, and it is in the log`);
    }
  }

  openAt(replica: string): Map<number, OpenRequest> {
    return this.open.get(replica) as Map<number, OpenRequest>;
  }

  handedTo(replica: string): number {
    return this.handed.get(replica) as number;
  }

  readsAt(replica: string): number {
    return this.reads.get(replica) ?? 0;
  }

  hasCommitted(proposal: string): boolean {
    return this.fates.get(proposal)?.committed === true;
  }

  get length(): number {
    return this.log.length;
  }
}
