/** Performs a script on a cluster under load, then heals everything and looks whether all was well. */

import { Cluster, type ClusterOptions, type Route } from './cluster.js';
import { Load, type LoadOptions } from './clients.js';
import { pass, TooLate, until } from './conditions.js';
import { problemsOf, type Operation } from './history.js';
import type { Contents } from './machine.js';
import type { MemberProcess } from './member-process.js';
import type { Policy, ProxyCounts } from './proxy.js';
import { Random } from './random.js';
import { parseScript, type Step } from './script.js';

export interface RunOptions extends Omit<ClusterOptions, 'smallDisks' | 'namespaces'> {
  readonly seed: number;
  readonly script: string;
  readonly load: LoadOptions;
  /** After the close all start once more from what is on disk, and must hold the same. */
  readonly scan: boolean;
}

/** What was run and found. */
export interface Run {
  readonly operations: readonly Operation[];
  readonly acknowledged: number;
  readonly milliseconds: number;
  /** Milliseconds from the heal until all members hold the same; `null` when it did not come to that. */
  readonly recovery: number | null;
  /** Steps that did something, by verb; with `by strace`, `by tmpfs`, `by facade` where there is more than one way. */
  readonly faults: ReadonlyMap<string, number>;
  readonly events: ReadonlyMap<string, number>;
  /** Errors that clients were given, by code. */
  readonly failures: ReadonlyMap<string, number>;
  readonly proxied: ProxyCounts;
  /** What must have happened for a run to mean something. */
  readonly coverage: Coverage;
  readonly problems: readonly string[];
}

export interface Coverage {
  /** Linearizable reads that a member was asked while it stood still (SIGSTOP), and answered afterwards. */
  readonly readsAtStopped: number;
  /** Writes that others acknowledged meanwhile. */
  readonly writesMeanwhile: number;
}

const LEADER_LIMIT = 30_000;
const ACKS_LIMIT = 60_000;
const SETTLE_LIMIT = 60_000;

class Performance {
  readonly faults = new Map<string, number>();
  private readonly cluster: Cluster;
  private readonly load: Load;
  private readonly random: Random;
  private readonly later = new Set<Promise<void>>();

  constructor(cluster: Cluster, load: Load, random: Random) {
    this.cluster = cluster;
    this.load = load;
    this.random = random;
  }

  async perform(step: Step): Promise<void> {
    switch (step.kind) {
      case 'run':
        return pass(step.milliseconds);
      case 'acks': {
        // A problem that is there already will not go away by waiting.
        const wanted = this.load.acknowledged + step.count;
        await until(ACKS_LIMIT, `${step.count} more acknowledgements`, () =>
          this.load.acknowledged >= wanted || this.cluster.problems.length > 0 ? true : undefined,
        );
        return;
      }
      case 'member':
        for (const member of await this.resolve(step.who)) await this.toMember(step, member);
        return;
      case 'link':
        return this.toLink(step);
    }
  }

  /** Everything that was to happen later has happened. */
  async finish(): Promise<void> {
    await Promise.all(this.later);
  }

  private count(fault: string): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
  }

  private async resolve(who: string): Promise<readonly MemberProcess[]> {
    const { members } = this.cluster;
    if (who === '*' || who === 'all') return members;
    if (who === 'any') return [this.random.pick(members)];
    if (who !== 'leader' && who !== 'follower') return [this.cluster.member(who)];
    const leader = await this.leader();
    const others = members.filter((member) => member !== leader);
    if (who === 'follower') return others.length === 0 ? [] : [this.random.pick(others)]; // of one there is none
    return [leader ?? this.random.pick(members)];
  }

  /** Of a cluster that may have none: whoever leads within an election's time, if anybody. */
  private async leader(): Promise<MemberProcess | undefined> {
    const up = this.cluster.members.filter((member) => member.isUp && !member.isStopped).length;
    if (up <= this.cluster.members.length / 2) return this.cluster.leader();
    const { electionMax } = this.cluster.members[0]?.settings.timing ?? { electionMax: LEADER_LIMIT };
    try {
      return await until(electionMax, 'a leader', () => this.cluster.leader());
    } catch (error) {
      if (error instanceof TooLate) return undefined;
      throw error;
    }
  }

  private async toMember({ verb, amount }: Step & { kind: 'member' }, member: MemberProcess): Promise<void> {
    const by = (route: Route | null): void => {
      if (route !== null) this.count(`${verb} by ${route}`);
    };
    switch (verb) {
      case 'sync':
        return by(await this.cluster.failSyncs(member));
      case 'fill':
        return by(await this.cluster.fill(member));
      case 'slow':
        return by(await this.cluster.slow(member, amount));
      case 'free':
        return this.cluster.free(member);
      case 'halts':
        await until(ACKS_LIMIT, `the end of ${member.id}`, () => this.cluster.hasHalted(member));
        return;
      case 'start':
        if (!member.isUp) await this.cluster.start(member);
        return;
      case 'cont':
        return member.cont();
      default:
        return this.disturb(verb, member, amount);
    }
  }

  private async disturb(
    verb: 'kill' | 'restart' | 'close' | 'stop' | 'isolate',
    member: MemberProcess,
    amount: number,
  ): Promise<void> {
    if (verb === 'isolate') {
      return this.toLink({ kind: 'link', verb: 'cut', from: member.id, to: '*', both: true, amount: 0, jitter: 0 });
    }
    if (verb !== 'restart' && !member.isUp) return;
    this.count(verb);
    switch (verb) {
      case 'kill':
        return this.cluster.kill(member);
      case 'restart':
        return this.cluster.restart(member);
      case 'close':
        return this.cluster.close(member);
      case 'stop':
        member.stop();
        if (amount > 0) this.later.add(pass(amount).then(() => member.cont()));
    }
  }

  private async toLink({ verb, from, to, both, amount, jitter }: Step & { kind: 'link' }): Promise<void> {
    const policy = policyOf(verb, amount, jitter);
    const [sources, targets] = [await this.resolve(from), await this.resolve(to)];
    for (const source of sources) {
      for (const target of targets) {
        if (source === target) continue;
        const links = [`${source.id}->${target.id}`, ...(both ? [`${target.id}->${source.id}`] : [])];
        for (const link of links) {
          if (policy === null) this.cluster.proxies.heal(link);
          else this.cluster.proxies.set(link, policy);
        }
      }
    }
    if (policy !== null) this.count(verb);
  }
}

function policyOf(verb: (Step & { kind: 'link' })['verb'], amount: number, jitter: number): Policy | null {
  switch (verb) {
    case 'heal':
      return null;
    case 'cut':
    case 'hole':
    case 'freeze':
      return { way: verb };
    case 'mute':
      return { mute: true };
    case 'delay':
      return { delay: amount, jitter };
    case 'throttle':
      return { rate: amount };
    case 'corrupt':
      return { corrupt: amount };
    case 'truncate':
      return { truncate: amount };
  }
}

/** @throws ScriptError before anything is started; whatever goes wrong afterwards is among the problems */
export async function runScript(options: RunOptions): Promise<Run> {
  const steps = parseScript(options.script);
  const began = performance.now();
  const random = new Random(options.seed);
  const smallDisks = steps.some((step) => step.kind === 'member' && step.verb === 'fill');
  const cluster = await Cluster.open({ ...options, smallDisks, namespaces: false }, random.fork());
  const load = new Load(cluster, options.load, random.fork());
  const performed = new Performance(cluster, load, random.fork());
  const problems: string[] = [];
  let recovery: number | null = null;
  try {
    await cluster.startAll();
    if (cluster.problems.length === 0) load.start();
    else throw new Error('not every member started');
    for (const step of steps) await performed.perform(step);
    await performed.finish();
    const healing = performance.now();
    const finals = await recover(cluster, load);
    recovery = performance.now() - healing;
    problems.push(...problemsOf(load.operations, finals), ...(await close(cluster, finals, options.scan)));
  } catch (error) {
    problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    await load.stop().finally(() => cluster.cleanUp());
  }
  return {
    operations: load.operations,
    acknowledged: load.acknowledged,
    milliseconds: performance.now() - began,
    recovery,
    faults: performed.faults,
    events: cluster.events,
    failures: load.failures,
    proxied: cluster.proxies.counts,
    coverage: coverageOf(cluster, load.operations),
    problems: [...problems, ...load.problems, ...cluster.problems],
  };
}

function coverageOf(cluster: Cluster, operations: readonly Operation[]): Coverage {
  let [readsAtStopped, writesMeanwhile] = [0, 0];
  for (const { id, pauses } of cluster.members) {
    for (const { from, to } of pauses) {
      const end = to ?? Infinity;
      for (const { member, input, outcome, call, return: returned } of operations) {
        if (outcome !== 'ok' || call < from || returned === null) continue;
        if (member === id && input.kind === 'read' && call < end && returned > end) readsAtStopped++;
        if (member !== id && 'op' in input && returned < end) writesMeanwhile++;
      }
    }
  }
  return { readsAtStopped, writesMeanwhile };
}

/** Heals, lets every request come to its end, and reads all members. */
async function recover(cluster: Cluster, load: Load): Promise<ReadonlyMap<string, Contents>> {
  await cluster.heal();
  await load.stop();
  await load.settled(SETTLE_LIMIT);
  return cluster.finals();
}

/** Closes all members, and reads their disks once more. */
async function close(cluster: Cluster, finals: ReadonlyMap<string, Contents>, scan: boolean): Promise<string[]> {
  await cluster.closeAll();
  if (!scan) return [];
  await cluster.startAll();
  const again = await cluster.finals();
  await cluster.closeAll();
  const isSame = JSON.stringify([...again]) === JSON.stringify([...finals]);
  return isSame ? [] : ['after a restart of all it is not the same'];
}
