/**
 * Makes a failing run shorter (Zeller's ddmin, with the coarse cuts first): whole kinds of actions go, then runs of
 * them, as long as the same rule still breaks. Replays are counted, not timed, so that shrinking is deterministic.
 */

import type { Action } from './actions.js';
import { Turn } from './turn.js';
import { createWorld, type WorldOptions } from './world.js';

/** The rule of a violation, without its particulars: what two failures must share to count as one. */
export function ruleOf(error: Error): string {
  const [rule = ''] = error.message.split(/[:(]/, 1);
  return `${error.name}: ${rule.replaceAll(/\d+/g, '#')}`;
}

/** What a run broke, and the actions up to there, as they happened. */
export interface Replayed {
  readonly error: Error;
  readonly actions: readonly Action[];
}

/**
 * Runs these actions and nothing else; `null` if nothing breaks.
 * @param loose a message that is not under way is replaced by another of its kind, or the action left out
 */
export function replay(world: WorldOptions, actions: readonly Action[], loose = false): Replayed | null {
  const happened: Action[] = [];
  const turn = new Turn(createWorld(world));
  for (const given of actions) {
    const action = loose ? turn.fitting(given) : given;
    if (action === null) continue;
    happened.push(action);
    try {
      turn.run(action);
    } catch (error) {
      return { error: error as Error, actions: happened };
    }
  }
  return null;
}

/** What a failure is shrunk with: runs a shorter list. */
export type Trial = (actions: readonly Action[]) => Replayed | null;

class Shrinker {
  private best: readonly Action[];
  private readonly rule: string;
  private readonly trial: Trial;
  private left: number;

  constructor(actions: readonly Action[], rule: string, trial: Trial, budget: number) {
    this.best = actions;
    this.rule = rule;
    this.trial = trial;
    this.left = budget;
  }

  /** Gives whether these break the same rule; they are then the best so far. */
  private try(actions: readonly Action[]): boolean {
    if (this.left <= 0) return false;
    this.left -= actions.length + 50;
    const found = this.trial(actions);
    if (found === null || ruleOf(found.error) !== this.rule) return false;
    this.best = found.actions;
    return true;
  }

  /** Without true time, what is left out delays nothing: each replica's clock leaps to its own deadlines. */
  private stopTheClock(): void {
    this.try(this.best.map((action) => (action.kind === 'tick' ? { ...action, kind: 'timeout' } : action)));
    this.try(this.best.map((action) => ({ ...action, at: 0 })));
  }

  private dropKinds(): void {
    for (const kind of new Set(this.best.map((action) => action.kind))) {
      this.try(this.best.filter((action) => action.kind !== kind));
    }
  }

  private dropReplicas(): void {
    const replicas = new Set(this.best.flatMap((action) => ('replica' in action ? [action.replica] : [])));
    for (const id of replicas) {
      this.try(
        this.best.filter((action) => {
          if ('replica' in action) return action.replica !== id;
          return !('from' in action) || (action.from !== id && action.to !== id);
        }),
      );
    }
  }

  /** Tries to leave out every run of this many, each overlapping the next by half. Gives whether anything went. */
  private dropRuns(size: number): boolean {
    let gone = false;
    const stride = Math.max(1, size >> 1);
    for (let end = this.best.length; end > 0; ) {
      const from = Math.max(0, end - size);
      const went = this.try([...this.best.slice(0, from), ...this.best.slice(end)]);
      gone ||= went;
      end = Math.min(went ? from : end - stride, this.best.length);
    }
    return gone;
  }

  run(): readonly Action[] {
    this.stopTheClock();
    this.dropKinds();
    this.dropReplicas();
    for (let before = Infinity; this.best.length < before && this.left > 0; ) {
      before = this.best.length;
      for (let size = this.best.length >> 1; size >= 1; size >>= 1) this.dropRuns(size);
      this.stopTheClock();
    }
    return this.best;
  }
}

/**
 * The shortest list found that breaks the same rule.
 * @param budget how many actions may be replayed in all
 */
export function shrink(actions: readonly Action[], error: Error, trial: Trial, budget = 2_000_000): readonly Action[] {
  return new Shrinker(actions, ruleOf(error), trial, budget).run();
}
