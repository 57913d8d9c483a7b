/** Closed-loop clients that add to counters through all members, and remember what they were told. */

import { Gone, type MemberProcess } from './cluster.js';
import { appliedOf, type TallyState } from './tally.js';

/** What one client was told of its operations, by number. */
export interface ClientRecord {
  readonly client: string;
  readonly acknowledged: Set<number>;
  readonly unknown: Set<number>;
  /** Told that they had no effect. */
  readonly without: Set<number>;
}

/** An acknowledged write: when it was asked for, and when it was answered. */
export interface Acknowledged {
  readonly begun: number;
  readonly ended: number;
  readonly member: string;
}

const COUNTERS = 5;
/** A client that was answered thinks a moment, so that what is shown is not how fast this machine is. */
const THINKING = 10;
/** A client that was refused waits longer, so that it does not spin. */
const REFUSED_PAUSE = 20;

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export class Clients {
  readonly records: readonly ClientRecord[];
  /** Told of every acknowledged write. */
  onAcknowledged: (write: Acknowledged) => void = () => undefined;
  /** The id of a member that is left alone. */
  avoided: string | null = null;
  private readonly members: readonly MemberProcess[];
  private going = false;
  private loops: Promise<void>[] = [];

  constructor(members: readonly MemberProcess[], count: number) {
    this.members = members;
    this.records = Array.from({ length: count }, (_, at) => ({
      client: `client-${at + 1}`,
      acknowledged: new Set<number>(),
      unknown: new Set<number>(),
      without: new Set<number>(),
    }));
  }

  start(): void {
    this.going = true;
    this.loops = this.records.map((record, at) => this.loop(record, at));
  }

  async stop(): Promise<void> {
    this.going = false;
    await Promise.all(this.loops);
  }

  private async loop(record: ClientRecord, offset: number): Promise<void> {
    for (let number = record.acknowledged.size + record.unknown.size + record.without.size + 1; this.going; number++) {
      const running = this.members.filter((member) => member.running && member.id !== this.avoided);
      const member = running[(number + offset) % Math.max(1, running.length)];
      if (member === undefined) {
        record.without.add(number);
        await pause(REFUSED_PAUSE);
        continue;
      }
      await this.add(record, number, member);
    }
  }

  private async add(record: ClientRecord, number: number, member: MemberProcess): Promise<void> {
    const begun = performance.now();
    const add = { client: record.client, number, counter: `counter-${(number % COUNTERS) + 1}` };
    try {
      const answer = await member.ask({ kind: 'add', add });
      if (answer.kind === 'added') {
        record.acknowledged.add(number);
        this.onAcknowledged({ begun, ended: performance.now(), member: member.id });
        return await pause(THINKING);
      }
      const certain = answer.kind === 'failed' && answer.outcome === 'none';
      (certain ? record.without : record.unknown).add(number);
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
      record.unknown.add(number);
    }
    await pause(REFUSED_PAUSE);
  }
}

/** What a member's state says of what the clients were told. */
export interface Verdict {
  readonly lost: number;
  readonly duplicates: number;
  /** Unknown to its client, and there. */
  readonly found: number;
  /** Told to have had no effect, and there. */
  readonly ghosts: number;
  /** The counters add up to what was applied. */
  readonly sound: boolean;
}

export function judge(records: readonly ClientRecord[], state: TallyState): Verdict {
  let lost = 0;
  let duplicates = 0;
  let found = 0;
  let ghosts = 0;
  let total = 0;
  for (const { client, acknowledged, unknown, without } of records) {
    const applied = appliedOf(state.applied[client] ?? []);
    for (const number of acknowledged) if (applied[number] === undefined) lost++;
    for (const number of unknown) if (applied[number] !== undefined) found++;
    for (const number of without) if (applied[number] !== undefined) ghosts++;
    for (const times of Object.values(applied)) {
      total += times;
      if (times > 1) duplicates += times - 1;
    }
  }
  const counted = Object.values(state.counters).reduce((sum, value) => sum + value, 0);
  return { lost, duplicates, found, ghosts, sound: counted === total };
}
