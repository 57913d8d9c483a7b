/** Clients that ask all the time, every member and several keys, and write down what they did and saw. */

import { pass, within, TooLate } from './conditions.js';
import type { Cluster } from './cluster.js';
import type { Input, Operation } from './history.js';
import { Gone, type MemberProcess } from './member-process.js';
import type { Answer, Question } from './messages.js';
import type { Random } from './random.js';

export interface LoadOptions {
  readonly clients: number;
  readonly keys: number;
  /** Milliseconds that a client thinks, at most, between two requests. */
  readonly pause: number;
  /** Milliseconds that a client waits, at most, before it goes on without the answer; that still counts. */
  readonly patience: number;
  /** How many of a hundred requests are linearizable reads. */
  readonly reads: number;
}

/** A general checker's work grows with what is under way on one key at a time. */
const MOST_ON_A_KEY = 8;
/** The most patient client waits so many times as long as the least patient one. */
const PATIENCES = 5;

/** What a replica may say to a client whatever happens around it. */
const EXPECTED = new Set(['ERR_OUTCOME_UNKNOWN', 'ERR_NO_LEADER', 'ERR_TIMEOUT', 'ERR_BUSY']);

interface Own {
  client: number;
  /** Index and place of the last write of this client that was acknowledged. */
  wrote: { readonly logIndex: number; readonly place: number };
}

export class Load {
  readonly operations: Operation[] = [];
  readonly failures = new Map<string, number>();
  readonly problems: string[] = [];
  acknowledged = 0;
  private readonly cluster: Cluster;
  private readonly options: LoadOptions;
  private readonly random: Random;
  private readonly underWay = new Map<string, number>();
  private readonly seen = new Map<string, string | null>();
  private readonly pending = new Set<Promise<void>>();
  private loops: Promise<void>[] = [];
  private clientCount = 0;
  private opCount = 0;
  private isOver = false;

  constructor(cluster: Cluster, options: LoadOptions, random: Random) {
    this.cluster = cluster;
    this.options = options;
    this.random = random;
  }

  start(): void {
    this.loops = Array.from({ length: this.options.clients }, () => this.run(this.random.fork()));
  }

  /** No more requests. What is under way may still be answered: see `settled`. */
  async stop(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.loops);
  }

  /** Every request has an end, which it has at the latest when the member's own time limit is over. */
  async settled(limit: number): Promise<void> {
    await within(limit, 'the end of every request', Promise.all(this.pending));
  }

  private async run(random: Random): Promise<void> {
    const own: Own = { client: ++this.clientCount, wrote: { logIndex: 0, place: 0 } };
    while (!this.isOver) {
      await pass(random.below(this.options.pause + 1));
      const up = this.cluster.members.filter((member) => member.isUp && random.chance(this.trust(member)));
      const keys = this.freeKeys();
      if (up.length === 0 || keys.length === 0) continue;
      const asked = this.request(own, random.pick(up), this.draw(random, random.pick(keys)));
      this.pending.add(asked);
      void asked.then(() => this.pending.delete(asked));
      const { patience } = this.options;
      try {
        await within(random.from(Math.ceil(patience / PATIENCES), patience), 'patience', asked);
      } catch (error) {
        if (!(error instanceof TooLate)) throw error;
        own.client = ++this.clientCount;
      }
    }
  }

  /** Of a member that has halted clients ask little: it says the same each time. */
  private trust(member: MemberProcess): number {
    return this.cluster.mayFail(member.id, 'ERR_CLOSED') ? 0.05 : 1;
  }

  private freeKeys(): string[] {
    const keys = Array.from({ length: this.options.keys }, (_, at) => `k${at}`);
    return keys.filter((key) => (this.underWay.get(key) ?? 0) < MOST_ON_A_KEY);
  }

  private draw(random: Random, key: string): Input {
    if (random.below(100) < this.options.reads) return { kind: 'read', key };
    const kind = random.pick(['stale', 'set', 'set', 'append', 'cas'] as const);
    if (kind === 'stale') return { kind, key };
    const op = `c${++this.opCount}`;
    if (kind === 'set') return { op, kind, key, value: op };
    if (kind === 'append') return { op, kind, key, value: `+${op}` };
    return { op, kind, key, expected: this.seen.get(key) ?? null, value: op };
  }

  private async request(own: Own, member: MemberProcess, input: Input): Promise<void> {
    const { key } = input;
    const { wrote } = own;
    const least = input.kind === 'stale' ? wrote.place : 0;
    const operation: Operation = {
      client: own.client,
      member: member.id,
      input,
      output: null,
      call: performance.now(),
      return: null,
      outcome: 'unknown',
      index: null,
      logIndex: null,
      least,
    };
    this.operations.push(operation);
    this.underWay.set(key, (this.underWay.get(key) ?? 0) + 1);
    try {
      this.took(own, operation, await member.ask(questionOf(input, wrote.logIndex)));
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
      if (!('op' in input)) operation.outcome = 'fail'; // a read has no effect
    } finally {
      this.underWay.set(key, (this.underWay.get(key) ?? 0) - 1);
    }
  }

  private took(own: Own, operation: Operation, answer: Answer): void {
    const { input } = operation;
    if (answer.kind === 'failed') return this.failed(operation, answer);
    if (answer.kind !== 'proposed' && answer.kind !== 'read') throw new Error(`an answer of kind ${answer.kind}`);
    const { position, output } = answer.result;
    Object.assign(operation, { return: performance.now(), outcome: 'ok', output, index: position });
    this.acknowledged++;
    if (answer.kind === 'proposed') {
      operation.logIndex = answer.index;
      if (position > own.wrote.place) own.wrote = { logIndex: answer.index, place: position };
    } else if (typeof output === 'string' || output === null) this.seen.set(input.key, output);
  }

  private failed(operation: Operation, { code, outcome, message }: Answer & { kind: 'failed' }): void {
    const name = code ?? 'not a ConsensusError';
    this.failures.set(name, (this.failures.get(name) ?? 0) + 1);
    const isExpected = code !== null && (EXPECTED.has(code) || this.cluster.mayFail(operation.member, code));
    if (!isExpected) this.problems.push(`${operation.member} answered with ${name}: ${message}`);
    operation.return = performance.now();
    operation.outcome = 'op' in operation.input && outcome === 'unknown' ? 'unknown' : 'fail';
    if (operation.outcome === 'unknown') operation.return = null;
  }
}

function questionOf(input: Input, logIndex: number): Question {
  switch (input.kind) {
    case 'read':
      return { kind: 'read', key: input.key };
    case 'stale':
      return { kind: 'stale', key: input.key, minIndex: logIndex };
    default:
      return { kind: 'propose', command: input };
  }
}
