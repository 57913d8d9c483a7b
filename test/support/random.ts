/**
 * Random runs in the rig's world, from a seed, for what a model itself must show: that its rules are quiet on its
 * protocol as it is, and that its probes fire. The simulator does this at length, and better.
 */

import type { Constants } from '../../src/core/members.js';
import type { AnyModel } from '../../src/core/model.js';
import type { Action, Happening } from '../../src/testing/world/actions.js';
import type { Observer } from '../../src/testing/world/facts.js';
import { Turn } from '../../src/testing/world/turn.js';
import { actions, createWorld } from '../../src/testing/world/world.js';
import { Dice } from './dice.js';
import { smallLimits } from './values.js';

export interface RandomRun {
  readonly model: AnyModel;
  readonly seed: number;
  readonly length: number;
  /** How many replicas; drawn from the seed unless given. */
  readonly size?: number;
  /** As a scope that is searched: room for everything, and timeouts without spread. */
  readonly scope?: boolean;
  readonly constants?: Partial<Constants>;
  readonly observer?: Observer;
}

type Deliver = Action & { readonly kind: 'deliver' };

/** How often something is done to the cluster, in 1000; each of the faults is off in half of the runs. */
const FAULTS = {
  crash: 12,
  cut: 14,
  pause: 6,
  leap: 8,
  drop: 30,
  duplicate: 30,
  failStorage: 2,
  unreachable: 10,
  campaign: 8,
  stop: 1,
} as const;
type Fault = keyof typeof FAULTS;
const FAULT_NAMES = Object.keys(FAULTS) as Fault[];

/** One run in progress. */
class Run {
  private readonly turn: Turn;
  private readonly dice: Dice;
  private readonly ids: readonly string[];
  private readonly faults: ReadonlySet<Fault>;
  private readonly fifo: number;
  private commands = 0;

  constructor({ model, seed, size, scope = false, constants = {}, observer }: RandomRun) {
    const dice = new Dice(seed);
    this.dice = dice;
    const replicas = size ?? ([1, 2, 3, 3, 3, 3, 4, 5, 5] as const)[dice.roll(9)] ?? 3;
    const limits = dice.roll(3) > 0 && !scope ? { ...smallLimits, tailEntries: 1 + dice.roll(8) } : {};
    const timing = scope ? { heartbeat: 50, electionMin: 200, electionMax: 200 } : {};
    this.fifo = dice.roll(4);
    this.faults = new Set(FAULT_NAMES.filter(() => dice.roll(2) === 0));
    const world = createWorld({ model, replicas, seed, constants, tuning: { limits, timing } }, observer);
    this.ids = world.rules.ids;
    this.turn = new Turn(world, observer);
  }

  private one(): string {
    return this.ids[this.dice.roll(this.ids.length)] as string;
  }

  private run(happening: Happening): void {
    this.turn.run({ ...happening, at: this.turn.now } as Action);
  }

  private fault(fault: Fault): void {
    const { dice } = this;
    const [replica, other] = [this.one(), this.one()];
    switch (fault) {
      case 'crash':
      case 'failStorage':
        return this.run({ kind: fault, replica, keep: dice.roll(2) === 0 });
      case 'cut':
        if (replica !== other) this.run({ kind: 'cut', from: replica, to: other });
        if (replica !== other && dice.roll(2) === 0) this.run({ kind: 'cut', from: other, to: replica });
        return;
      case 'leap':
        return this.run({ kind: 'leap', replica, by: [3, 90, 400, 2000][dice.roll(4)] as number });
      case 'drop':
      case 'duplicate': {
        const found = this.deliveries();
        const picked = found[dice.roll(Math.max(1, found.length))];
        return picked === undefined ? undefined : this.turn.run({ ...picked, kind: fault });
      }
      case 'unreachable':
        return replica === other ? undefined : this.run({ kind: fault, replica, peer: other });
      default:
        return this.run({ kind: fault, replica });
    }
  }

  private deliveries(): Deliver[] {
    return actions(this.turn.finish()).filter((action): action is Deliver => action.kind === 'deliver');
  }

  private mend(): void {
    const { dice } = this;
    if (dice.roll(2) === 0) this.run({ kind: 'restart', replica: this.one() });
    if (dice.roll(2) === 0) this.run({ kind: 'resume', replica: this.one() });
    if (dice.roll(3) > 0) return;
    for (const from of this.ids) for (const to of this.ids) if (from !== to) this.run({ kind: 'heal', from, to });
  }

  private call(): void {
    const { dice } = this;
    const timeout = dice.roll(5) === 0 ? Infinity : 100 + dice.roll(2000);
    if (dice.roll(3) === 0) this.run({ kind: 'read', replica: this.one(), minIndex: null, timeout });
    else this.run({ kind: 'propose', replica: this.one(), command: ++this.commands, timeout });
  }

  /** What happens of itself: mostly the oldest, or whatever may come first; time passes when nothing else can. */
  private natural(): void {
    const { dice } = this;
    const found = actions(this.turn.finish());
    const ready = found.filter((action) => action.at <= this.turn.now);
    const ticks = found.filter((action) => action.kind === 'tick').sort((a, b) => a.at - b.at);
    const next = ready[dice.roll(4) < this.fifo ? 0 : dice.roll(Math.max(1, ready.length))];
    const tick = ticks[dice.roll(5) === 0 ? dice.roll(Math.max(1, ticks.length)) : 0];
    const action = next === undefined || dice.roll(30) === 0 ? (tick ?? next) : next;
    if (action === undefined) return this.mend();
    this.turn.run(action);
  }

  go(): void {
    const drawn = this.dice.roll(1000);
    let left = drawn;
    for (const fault of FAULT_NAMES) {
      left -= FAULTS[fault];
      if (left >= 0) continue;
      return this.faults.has(fault) ? this.fault(fault) : this.natural();
    }
    if (drawn >= 980) return this.mend();
    return drawn >= 930 ? this.call() : this.natural();
  }
}

/** @throws whatever the world or the model finds */
export function runRandom(options: RandomRun): void {
  const run = new Run(options);
  for (let left = options.length; left > 0; left--) run.go();
}
