/**
 * Somebody who compacts the log of a member now and then, through the promises of its replica: each call ends, with a
 * snapshot of all that was applied before it, or by an error that its page names.
 */

import { ConsensusError } from '../../replica/errors.js';
import type { Compaction } from '../../replica/replica.js';
import type { Dice } from '../random.js';
import type { SimulatedProcess } from './clock.js';
import type { SimulatedMember, Surroundings } from './member.js';

/** The most entries that a call keeps, now and then more than there are. */
const MOST_KEPT = 60;
const CODES = ['ERR_CLOSED', 'ERR_INVALID_ARGUMENT', 'ERR_LOST_IDENTITY', 'ERR_SNAPSHOT_FAILED', 'ERR_STORAGE_FAILED'];

export class SimulatedCompactor {
  private readonly member: SimulatedMember;
  private readonly world: Surroundings;
  private readonly dice: Dice;
  private readonly open = new Set<SimulatedProcess>();
  private stopped = false;

  constructor(member: SimulatedMember, world: Surroundings, dice: Dice) {
    this.member = member;
    this.world = world;
    this.dice = dice;
  }

  /** Asks until it is stopped. */
  start(): this {
    const { plan, schedule } = this.world;
    if (plan.compactEvery > 0 && !this.stopped) {
      schedule.after(this.dice.within(0, plan.compactEvery), () => {
        this.ask();
        this.start();
      });
    }
    return this;
  }

  /** Asks nothing new. */
  stop(): void {
    this.stopped = true;
  }

  /** Whether all calls have ended whose process was not killed. */
  get hasEnded(): boolean {
    return [...this.open].every(({ alive }) => !alive);
  }

  private ask(): void {
    const { reachable, run } = this.member;
    if (this.stopped || reachable === null || run === null || this.open.has(run.process)) return;
    const { process } = run;
    const keep = this.dice.chance(0.5) ? 0 : this.dice.between(0, MOST_KEPT);
    const { applied } = reachable.status();
    this.open.add(process);
    const ended = (then: () => void): void => {
      this.open.delete(process);
      if (process.alive) then();
    };
    reachable.compact({ keep }).then(
      (done) => ended(() => this.compacted(done, applied)),
      (error: unknown) => ended(() => this.failed(error, keep)),
    );
  }

  private compacted({ index, first }: Compaction, applied: number): void {
    const { trace } = this.world;
    const { id } = this.member;
    trace.tell(`${id} compacted: ${index}, from ${first}`);
    trace.cover(index > 0 ? 'compacted' : 'nothing to compact');
    if (index < applied || first > index + 1) {
      const what = `${id} had applied ${applied}, and compacts to ${index}, from ${first}`;
      trace.violate('snapshots/compact-holds-the-applied', what);
    }
  }

  private failed(error: unknown, keep: number): void {
    const { trace } = this.world;
    const code = error instanceof ConsensusError ? error.code : '';
    trace.tell(`${this.member.id} did not compact: ${String(error)}`);
    trace.cover(`compact: ${code}`);
    const fits = CODES.includes(code) && (code !== 'ERR_INVALID_ARGUMENT' || keep > 0);
    if (!fits) trace.violate('host/typed-errors', `${this.member.id}: compact failed with ${String(error)}`);
  }
}
