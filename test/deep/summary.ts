/** Sums up the answers of the workers, and formats the summary as text. */

import type { Answer, Found, ProtocolName } from './jobs.js';
import type { LengthyReport } from './lengthy.js';
import type { OutageReport, OutageSummary } from './outages.js';

export interface ScopeSummary {
  readonly scope: string;
  readonly generated: number;
  readonly distinct: number;
  readonly depth: number;
  /** Everything in the scope was looked at. */
  readonly complete: boolean;
}

export interface SimulatedSummary {
  schedules: number;
  actions: number;
  delivered: number;
  virtualHours: number;
  commands: number;
  repeated: number;
  readonly faults: Record<string, number>;
  readonly coverage: Record<string, number>;
  /** How many views of the cluster from afar were new in each thousand schedules. */
  readonly newAbstractStates: number[];
}

export interface HostSummary {
  schedules: number;
  events: number;
  virtualHours: number;
  readonly coverage: Record<string, number>;
}

export interface Summary {
  readonly seed: number;
  readonly minutes: number;
  readonly workers: number;
  readonly simulated: Record<ProtocolName, SimulatedSummary>;
  readonly host: Record<ProtocolName, HostSummary>;
  /** Lives of the oracle at the bound of the timing assumption. */
  readonly lives: Record<ProtocolName, number>;
  readonly scopes: ScopeSummary[];
  /** By protocol and length; and how many were left out, for lack of time. */
  outages: readonly OutageSummary[];
  outagesLeftOut: number;
  /** Files of tests: those that ran to their end, and those for which there was no time. */
  lengthy: Pick<LengthyReport, 'done' | 'leftOut'>;
  processes: unknown;
  /** Coverage points that were never met and faults that never happened: a search that misses them means less. */
  missed: string[];
  readonly violations: Found[];
}

const HOUR = 3_600_000;

function addCounts(sum: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count;
}

function newSimulated(): SimulatedSummary {
  const counts = { schedules: 0, actions: 0, delivered: 0, virtualHours: 0, commands: 0, repeated: 0 };
  return { ...counts, faults: {}, coverage: {}, newAbstractStates: [] };
}

function newHost(): HostSummary {
  return { schedules: 0, events: 0, virtualHours: 0, coverage: {} };
}

export class Tally {
  readonly summary: Summary;
  private readonly states: Record<ProtocolName, Set<number>> = { raft: new Set(), multipaxos: new Set() };

  constructor(seed: number, minutes: number, workers: number) {
    this.summary = {
      seed,
      minutes,
      workers,
      simulated: { raft: newSimulated(), multipaxos: newSimulated() },
      host: { raft: newHost(), multipaxos: newHost() },
      lives: { raft: 0, multipaxos: 0 },
      scopes: [],
      outages: [],
      outagesLeftOut: 0,
      lengthy: { done: [], leftOut: [] },
      processes: null,
      missed: [],
      violations: [],
    };
  }

  add(protocol: ProtocolName | null, answer: Answer): void {
    if (answer.found !== null) this.summary.violations.push(answer.found);
    if (answer.kind === 'check') {
      const { scope, generated, distinct, depth, complete } = answer;
      this.summary.scopes.push({ scope, generated, distinct, depth, complete });
    } else if (answer.kind === 'lives') this.summary.lives[protocol as ProtocolName] += answer.lives;
    else if (answer.kind === 'host') this.addHost(protocol as ProtocolName, answer);
    else this.addSimulated(protocol as ProtocolName, answer);
  }

  addOutages({ outages, found, leftOut }: OutageReport): void {
    this.summary.outages = outages;
    this.summary.outagesLeftOut = leftOut;
    this.summary.violations.push(...found);
  }

  addLengthy({ done, leftOut, found }: LengthyReport): void {
    this.summary.lengthy = { done, leftOut };
    this.summary.violations.push(...found);
  }

  private addHost(protocol: ProtocolName, answer: Extract<Answer, { kind: 'host' }>): void {
    const host = this.summary.host[protocol];
    host.schedules += answer.schedules;
    host.events += answer.events;
    host.virtualHours += answer.milliseconds / HOUR;
    addCounts(host.coverage, answer.coverage);
  }

  private addSimulated(protocol: ProtocolName, { report, states }: Extract<Answer, { kind: 'simulate' }>): void {
    if (report === null) return;
    const simulated = this.summary.simulated[protocol];
    const known = this.states[protocol];
    const before = known.size;
    for (const state of states) known.add(state);
    const thousand = Math.floor(simulated.schedules / 1000);
    const { newAbstractStates } = simulated;
    newAbstractStates[thousand] = (newAbstractStates[thousand] ?? 0) + known.size - before;
    simulated.schedules += report.schedules;
    simulated.actions += report.actions;
    simulated.delivered += report.delivered;
    simulated.virtualHours += report.virtualTime / HOUR;
    simulated.commands += report.commands;
    simulated.repeated += report.repeated;
    addCounts(simulated.faults, report.faults);
    addCounts(simulated.coverage, report.coverage);
  }

  /** No more to come. */
  finish(): Summary {
    const { simulated } = this.summary;
    for (const [protocol, { coverage, faults }] of Object.entries(simulated)) {
      for (const [name, count] of [...Object.entries(coverage), ...Object.entries(faults)]) {
        if (count === 0) this.summary.missed.push(`${protocol}: ${name}`);
      }
    }
    return this.summary;
  }
}

function counts(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, count]) => `    ${name}: ${count}`)
    .join('\n');
}

/** For people. */
export function tell(summary: Summary): string {
  const lines = [`deep suite: seed ${summary.seed}, ${summary.minutes} minutes, ${summary.workers} workers`];
  for (const [protocol, each] of Object.entries(summary.simulated)) {
    const { schedules, actions, delivered, virtualHours, commands, repeated } = each;
    lines.push(
      `${protocol}: ${schedules} schedules, ${actions} actions, ${delivered} messages delivered, ` +
        `${virtualHours.toFixed(1)} virtual hours, ${commands} commands, ${repeated} repeated with the same result`,
      '  faults',
      counts(each.faults),
      '  coverage',
      counts(each.coverage),
      `  new abstract states per 1,000 schedules: ${each.newAbstractStates.join(' ')}`,
    );
  }
  for (const [protocol, { schedules, events, virtualHours }] of Object.entries(summary.host)) {
    lines.push(
      `host of ${protocol}: ${schedules} schedules, ${events} events, ${virtualHours.toFixed(1)} virtual hours`,
    );
  }
  for (const [protocol, lives] of Object.entries(summary.lives)) {
    lines.push(`lives of ${protocol} at the bound of the timing assumption: ${lives}`);
  }
  for (const { scope, generated, distinct, depth, complete } of summary.scopes) {
    const end = complete ? 'exhausted' : 'cut by time';
    lines.push(`scope ${scope}: ${distinct} distinct of ${generated} states, depth ${depth}, ${end}`);
  }
  for (const { protocol, cut, seconds, took } of summary.outages) {
    const until = cut === 'all' ? 'something committed' : 'it was heard, and nobody deposed';
    lines.push(`outage of ${cut}, ${seconds} s, ${protocol}: ${took} ms until ${until}`);
  }
  if (summary.outagesLeftOut > 0) lines.push(`outages left out for lack of time: ${summary.outagesLeftOut}`);
  for (const path of summary.lengthy.done) lines.push(`at length: ${path}`);
  for (const path of summary.lengthy.leftOut) lines.push(`at length, left out for lack of time: ${path}`);
  if (summary.processes !== null) lines.push(`processes: ${JSON.stringify(summary.processes)}`);
  lines.push(
    `coverage points and faults never met: ${summary.missed.length === 0 ? 'none' : summary.missed.join('; ')}`,
  );
  lines.push(`violations: ${summary.violations.length}`);
  for (const { what, rule } of summary.violations) lines.push(`  ${what}: ${rule}`);
  return `${lines.join('\n')}\n`;
}
