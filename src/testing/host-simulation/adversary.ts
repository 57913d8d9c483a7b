/**
 * The faults of a host simulation, drawn from the classes that its plan allows, and the supervisor that restarts ended
 * members. Half of the faults are aimed at the leader, since uniform noise misses much.
 */

import type { Dice } from '../random.js';
import type { SimulatedMember, Surroundings } from './member.js';
import type { HostFault } from './plan.js';

/** Milliseconds after a stall by which its length is noticed: the queued input and the tick have had their turn. */
const NOTICED = 0.1;

/** One thing that can go wrong. */
interface Mishap {
  readonly fault: HostFault;
  /** Gives whether it did anything. */
  run(): boolean;
}

export class Adversary {
  private readonly world: Surroundings;
  private readonly members: readonly SimulatedMember[];
  private readonly dice: Dice;
  private readonly mishaps: readonly Mishap[];
  private done = false;
  private resting = false;
  /** Members that lead and reach nobody: since when, on their own clock. */
  private readonly isolated = new Map<string, { readonly at: number; readonly stalls: number }>();

  constructor(world: Surroundings, members: readonly SimulatedMember[], dice: Dice) {
    this.world = world;
    this.members = members;
    this.dice = dice;
    const all: Record<string, () => boolean> = {
      cuts: () => this.cut(),
      crash: () => this.crash(),
      'power loss': () => this.powerLoss(),
      close: () => this.close(),
      stall: () => this.stall(false),
      suspend: () => this.stall(true),
      'clock rates': () => this.changeRate(),
      'slow disk': () => this.slowDisk(),
      EIO: () => this.failWrite('EIO'),
      ENOSPC: () => this.failWrite('ENOSPC'),
      shortage: () => this.shortage(),
      'failing read': () => this.armDisk('nextRead'),
      'failing open': () => this.armDisk('nextOpen'),
      'wiped disk': () => this.wipe(),
      'second open': () => this.startTwice(),
      'failing start': () => (world.network.nextStart = true),
      campaign: () => this.campaign(),
      reports: () => this.report(),
    };
    this.mishaps = [...world.plan.faults]
      .filter((fault) => all[fault] !== undefined)
      .map((fault) => ({ fault, run: all[fault] as () => boolean }));
  }

  /** One thing goes wrong, if anything can. */
  act(): void {
    if (this.mishaps.length === 0) return;
    const { fault, run } = this.dice.pick(this.mishaps);
    this.world.trace.tell(`adversary: ${fault}`);
    if (run()) this.world.trace.cover(`fault: ${fault}`);
  }

  /** What has ended is started again after a while, what has halted is closed; from now on, and for ever. */
  supervise(): void {
    if (this.resting) return;
    for (const member of this.members) {
      if (member.phase === 'down' && this.isTime()) member.start();
      this.checkIsolated(member);
      if (member.halted && member.reachable !== null && this.isTime()) member.close();
    }
    this.world.schedule.after(20, () => this.supervise());
  }

  /** Nothing is started any more. */
  rest(): void {
    this.resting = true;
  }

  /** A leader that is cut off from all others must step down in time (leadership/ends-without-quorum). */
  private checkIsolated(member: SimulatedMember): void {
    const { network, plan, trace } = this.world;
    const { process } = member;
    const now = process?.now ?? 0;
    const isAlone = plan.members.length > 1 && network.isIsolated(member.id, plan.members);
    const since = this.isolated.get(member.id);
    if (process === null || !isAlone || !member.leads || process.stalled) this.isolated.delete(member.id);
    else if (since?.stalls !== process.stalls) this.isolated.set(member.id, { at: now, stalls: process.stalls });
    else if (now - since.at > 3 * plan.timing.electionMax) {
      trace.violate('leadership/ends-without-quorum', `${member.id} is cut off from everybody, and leads on`);
    } else trace.cover('isolated leader');
  }

  private isTime(): boolean {
    return this.done || this.dice.chance(0.1);
  }

  /** Everything is well from now on: links, disks, clocks; what is stalled goes on. */
  heal(): void {
    this.done = true;
    const { network } = this.world;
    network.heal();
    network.healed = true;
    network.nextStart = false;
    for (const member of this.members) {
      member.disk.heal();
      member.setRate(1);
      this.resume(member);
    }
  }

  private resume(member: SimulatedMember): void {
    const process = member.process;
    if (process?.stalled !== true) return;
    const order = this.dice.pick(['timers', 'input', 'any'] as const);
    this.world.trace.tell(`${member.id} goes on, ${order} first`);
    process.resume(order, this.dice);
  }

  /** Any member, or the leader. */
  private pick(fits: (member: SimulatedMember) => boolean): SimulatedMember | undefined {
    const all = this.members.filter(fits);
    const leader = all.find((member) => member.leads);
    if (leader !== undefined && this.dice.chance(0.5)) return leader;
    return all.length === 0 ? undefined : this.dice.pick(all);
  }

  private runs(member: SimulatedMember): boolean {
    return member.run !== null && member.isAwake;
  }

  private cut(): boolean {
    const { network, plan, schedule } = this.world;
    const ids = this.dice.shuffle(plan.members);
    if (ids.length === 1) return false;
    const both = this.dice.chance(0.6);
    const some = ids.slice(0, this.dice.chance(0.5) ? 1 : 1 + this.dice.between(0, ids.length - 1 - 1));
    const others = ids.filter((id) => !some.includes(id) && (both || this.dice.chance(0.7)));
    for (const from of some) {
      for (const to of others) {
        const way = this.dice.between(0, 2);
        if (both || way !== 1) network.cut(from, to);
        if (both || way !== 0) network.cut(to, from);
      }
    }
    if (this.dice.chance(0.7)) schedule.after(this.dice.within(0, 8) * plan.timing.electionMax, () => network.heal());
    return others.length > 0;
  }

  private crash(): boolean {
    const member = this.pick((each) => each.run !== null);
    member?.crash(this.dice.chance(0.5));
    return member !== undefined;
  }

  /** All at once: what is not durable somewhere is nowhere. */
  private powerLoss(): boolean {
    for (const member of this.members) member.crash(this.dice.chance(0.5));
    return true;
  }

  private close(): boolean {
    const member = this.pick((each) => each.phase === 'up' && this.runs(each));
    member?.close();
    return member !== undefined;
  }

  private stall(suspended: boolean): boolean {
    const member = this.pick((each) => this.runs(each));
    const process = member?.process;
    if (member === undefined || process == null) return false;
    const { electionMin, electionMax } = this.world.plan.timing;
    const wasLeading = member.leads;
    const before = process.now;
    process.stall(suspended);
    if (wasLeading) this.world.trace.cover('stalled leader');
    const duration = this.dice.within(electionMin / 4, 3 * electionMax);
    this.world.schedule.after(duration, () => {
      if (!process.alive || !process.stalled) return;
      this.resume(member);
      const long = process.now > before + 2 * electionMax;
      if (wasLeading && long) this.expectProof(member);
    });
    return true;
  }

  /** After a pause longer than an election timeout a leader must ask a quorum; a cluster of one need not. */
  private expectProof(member: SimulatedMember): void {
    if (this.members.length === 1) return;
    const { signal } = member.leadership ?? {};
    const { process } = member;
    const look = (): void => {
      if (process?.alive !== true || process.stalled || signal === undefined) return;
      if (process.lag > 0) return this.world.schedule.after(process.lag + NOTICED, look);
      this.world.trace.cover('long pause of a leader');
      if (signal.aborted) return;
      this.world.trace.violate(
        'leadership/ended-by-a-pause',
        `${member.id} was stalled and the signal of its leadership goes on`,
      );
    };
    this.world.schedule.after(NOTICED, look);
  }

  private changeRate(): boolean {
    const member = this.dice.pick(this.members);
    const drawn = this.dice.pick([0.5, 0.9, 1, 1.1, 2]);
    // Lease reads rest on clocks that differ by less than 5 %.
    const isBounded = this.world.plan.constants.leaseReads > 0;
    member.setRate(isBounded ? Math.min(Math.max(drawn, 0.98), 1.02) : drawn);
    return true;
  }

  private slowDisk(): boolean {
    const { disk } = this.dice.pick(this.members);
    disk.slowness = this.dice.pick([5, 20, 100]);
    this.world.schedule.after(this.dice.within(100, 2000), () => (disk.slowness = 1));
    return true;
  }

  private failWrite(fault: 'EIO' | 'ENOSPC'): boolean {
    const { disk } = this.pick((each) => each.phase === 'up') ?? this.dice.pick(this.members);
    disk.nextWrite = fault;
    if (fault === 'ENOSPC') this.world.schedule.after(this.dice.within(100, 1500), () => (disk.nextWrite = null));
    return true;
  }

  /** Space runs out, or something else that passes; a few writes still end. */
  private shortage(): boolean {
    const { disk } = this.pick((each) => each.phase === 'up') ?? this.dice.pick(this.members);
    disk.runShort(this.dice.chance(0.8) ? 'full' : 'waiting', this.dice.pick([0, 0, 2, 30]));
    this.world.schedule.after(this.dice.within(50, 3000), () => disk.replenish());
    return true;
  }

  private armDisk(which: 'nextRead' | 'nextOpen'): boolean {
    this.dice.pick(this.members).disk[which] = true;
    return true;
  }

  /** Never so many that no majority knows what was acknowledged, and not before all have met. */
  private wipe(): boolean {
    const { members } = this;
    const wiped = members.filter((each) => each.wiped).length;
    if (!members.every((each) => each.established) || wiped >= Math.floor((members.length - 1) / 2)) return false;
    const member = this.pick((each) => !each.wiped);
    if (member === undefined) return false;
    member.crash(false);
    member.disk.wipe();
    member.wiped = true;
    return true;
  }

  private startTwice(): boolean {
    const member = this.pick((each) => each.phase === 'up' && this.runs(each) && !each.disk.isBusy);
    member?.startTwice();
    return member !== undefined;
  }

  private campaign(): boolean {
    const member = this.pick((each) => each.phase === 'up' && this.runs(each));
    member?.replica?.campaign();
    return member !== undefined;
  }

  private report(): boolean {
    const [from, to] = this.dice.shuffle(this.members);
    if (from === undefined || to === undefined) return false;
    this.world.network.report(from.id, to.id, this.dice.pick([['control'], ['bulk'], ['control', 'bulk']] as const));
    return true;
  }
}
