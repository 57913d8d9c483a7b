/** Many random schedules on real processes, one after another, until the rounds or the minutes are over. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Programs } from './cluster.js';
import type { DiskKind, ProtocolName } from './messages.js';
import { Random } from './random.js';
import { pausingScript, randomScript } from './random-script.js';
import { runScript, type Run, type RunOptions } from './run.js';

export interface RigOptions {
  readonly programs: Programs;
  /** The first schedule's; the others count on from it. A 32-bit integer. */
  readonly seed: number;
  /** The protocol, or both by turns. */
  readonly protocol: ProtocolName | 'both';
  /** How long: so many schedules, or no new one after so many minutes; whichever comes first. */
  readonly rounds?: number;
  readonly minutes?: number;
  /** Steps with a fault in each script; drawn if absent. */
  readonly steps?: number;
  /** Where to leave script and history of a schedule that failed. */
  readonly keep?: string;
  readonly progress?: (line: string) => void;
}

/** A schedule that failed, and how to see it again. */
export interface Failure {
  readonly seed: number;
  readonly protocol: ProtocolName;
  readonly disk: DiskKind;
  readonly size: number;
  readonly script: string;
  readonly problems: readonly string[];
}

/** What was run and found. */
export interface RigSummary {
  readonly seed: number;
  schedules: number;
  seconds: number;
  /** The longest time from a heal until all members held the same, in seconds. */
  slowestRecovery: number;
  operations: number;
  acknowledged: number;
  /** Requests that nobody answered, or whose outcome was said to be unknown. */
  unknown: number;
  readonly byProtocol: Record<string, number>;
  readonly faults: Record<string, number>;
  readonly events: Record<string, number>;
  /** Errors that clients were given, by code. */
  readonly errors: Record<string, number>;
  readonly proxied: Record<string, number>;
  readonly coverage: Record<string, number>;
  readonly violations: Failure[];
}

/** The schedule that a seed stands for. */
export function scheduleOf(seed: number, protocol: ProtocolName, steps?: number): Omit<RunOptions, 'programs'> {
  const random = new Random(seed);
  const size = random.pick([1, 2, 3, 3, 3, 3, 3, 4, 5]);
  const disk = random.pick<DiskKind>(['real', 'real', 'facade', 'volatile', 'volatile']);
  const clients = random.from(2, 8);
  const script = random.chance(0.2) ? pausingScript : randomScript;
  return {
    seed,
    protocol,
    size,
    disk,
    readsLie: false,
    scan: random.chance(0.5),
    isSlow: random.chance(0.1),
    segmentBytes: random.pick([8, 32, 256]) * 1024,
    snapshotEvery: random.pick([20, 60, 500]),
    load: {
      clients,
      keys: random.from(1, 12),
      pause: random.pick([0, 3, 10]),
      patience: random.pick([200, 600, 1500]),
      reads: random.pick([20, 50, 80]),
    },
    script: script(random, size, steps ?? random.from(6, 24), disk),
  };
}

/** @throws RangeError when there is neither a number of rounds nor of minutes */
export async function runProcessRig(options: RigOptions): Promise<RigSummary> {
  const { rounds = Infinity, minutes = Infinity, seed, protocol } = options;
  if (!Number.isInteger(seed)) throw new RangeError(`seed: expected a whole number, got ${seed}`);
  if (!(rounds >= 0) || !(minutes >= 0) || Math.min(rounds, minutes) === Infinity) {
    throw new RangeError('rounds, minutes: expected one of them, not negative');
  }
  const began = performance.now();
  const summary: RigSummary = {
    seed,
    schedules: 0,
    seconds: 0,
    slowestRecovery: 0,
    operations: 0,
    acknowledged: 0,
    unknown: 0,
    byProtocol: {},
    faults: {},
    events: {},
    errors: {},
    proxied: {},
    coverage: {},
    violations: [],
  };
  const protocols: readonly ProtocolName[] = protocol === 'both' ? ['raft', 'multipaxos'] : [protocol];
  while (summary.schedules < rounds && performance.now() - began < minutes * 60_000) {
    const name = protocols[summary.schedules % protocols.length] as ProtocolName;
    const schedule = scheduleOf((seed + summary.schedules) | 0, name, options.steps);
    const run = await runScript({ ...schedule, programs: options.programs });
    add(summary, schedule, run);
    if (run.problems.length > 0) keep(options, schedule, run);
    summary.seconds = (performance.now() - began) / 1000;
    const { size, disk, load, isSlow } = schedule;
    options.progress?.(
      `seed ${schedule.seed} ${name} of ${size} on ${disk}${isSlow ? ', slow' : ''}, ${load.clients} clients: ` +
        `${run.acknowledged} of ${run.operations.length} answered in ${(run.milliseconds / 1000).toFixed(1)} s, ` +
        `recovered in ${((run.recovery ?? NaN) / 1000).toFixed(1)} s` +
        run.problems.map((problem) => `\n  ${problem}`).join(''),
    );
  }
  return summary;
}

function add(summary: RigSummary, schedule: Omit<RunOptions, 'programs'>, run: Run): void {
  const { seed, protocol, disk, size, script } = schedule;
  summary.schedules++;
  summary.operations += run.operations.length;
  summary.slowestRecovery = Math.max(summary.slowestRecovery, (run.recovery ?? 0) / 1000);
  summary.acknowledged += run.acknowledged;
  summary.unknown += run.operations.filter(({ outcome }) => outcome === 'unknown').length;
  summary.byProtocol[protocol] = (summary.byProtocol[protocol] ?? 0) + 1;
  const sums: [Record<string, number>, Iterable<[string, number]>][] = [
    [summary.faults, run.faults],
    [summary.events, run.events],
    [summary.errors, run.failures],
    [summary.proxied, Object.entries(run.proxied)],
    [summary.coverage, Object.entries(run.coverage)],
  ];
  for (const [sum, counts] of sums) for (const [name, count] of counts) sum[name] = (sum[name] ?? 0) + count;
  if (run.problems.length > 0) summary.violations.push({ seed, protocol, disk, size, script, problems: run.problems });
}

function keep({ keep: folder }: RigOptions, schedule: Omit<RunOptions, 'programs'>, run: Run): void {
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${schedule.protocol}-${schedule.seed}.json`);
  writeFileSync(path, JSON.stringify({ schedule, problems: run.problems, operations: run.operations }, null, 1));
}

/** What a person wants to know of it. */
export function describeSummary(summary: RigSummary): string {
  const list = (counts: Record<string, number>): string =>
    Object.entries(counts)
      .sort()
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  const lines = [
    `process rig: ${summary.schedules} schedules (${list(summary.byProtocol)}) from seed ${summary.seed} ` +
      `in ${summary.seconds.toFixed(0)} s`,
    `slowest recovery: ${summary.slowestRecovery.toFixed(1)} s`,
    `requests: ${summary.operations}, answered ${summary.acknowledged}, unknown ${summary.unknown}`,
    `faults: ${list(summary.faults)}`,
    `links: ${list(summary.proxied)}`,
    `coverage: ${list(summary.coverage)}`,
    `events: ${list(summary.events)}`,
    `errors: ${list(summary.errors)}`,
    `violations: ${summary.violations.length}`,
  ];
  for (const { seed, protocol, problems } of summary.violations) {
    const more = problems.length > 1 ? ` and ${problems.length - 1} more` : '';
    lines.push(`  seed ${seed} ${protocol}: ${problems[0]}${more}`);
  }
  return lines.join('\n');
}
