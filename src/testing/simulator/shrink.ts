/**
 * Shrinks a failing run (Zeller's ddmin, with coarse cuts first): all faults if the calls alone break the rule, else
 * whole kinds of actions, then runs of actions, as long as the same rule still breaks. The budget counts replayed
 * actions and not time, so that shrinking is deterministic.
 */

import type { ReplicaId } from '../../core/members.js';
import { errorFrom } from '../../replica/errors.js';
import type { Action } from '../world/actions.js';
import { checkAction } from '../world/check-action.js';
import { callOf } from '../world/machine.js';
import { Turn } from '../world/turn.js';
import type { WorldOptions } from '../world/options.js';
import { isWritable } from '../world/state.js';
import { createWorld } from '../world/world.js';

/** The rule of a violation without its particulars. Two failures of the same rule count as one. */
export function ruleOf(error: Error): string {
  const [rule = ''] = error.message.split(/[:(]/, 1);
  return `${error.name}: ${rule.replaceAll(/\d+/g, '#')}`;
}

/** The violation of a run, and the actions up to it, as they happened. */
export interface Replayed {
  readonly error: Error;
  readonly actions: readonly Action[];
  /** The actions that proposed the commands committed by then, in the order of the log. */
  readonly committed: readonly Action[];
}

/** The proposals of the delivered entries. */
function committedOf(turn: Turn, calls: readonly Action[]): readonly Action[] {
  const { view } = turn.record;
  const found = new Set<Action>();
  for (let index = 1; index <= view.last; index++) {
    const entry = view.entry(index);
    const call = entry?.kind === 'command' ? calls[callOf(entry.data) - 1] : undefined;
    if (call !== undefined) found.add(call);
  }
  return [...found];
}

/** Whether an action finishes work of a disk or a machine that has none under way. */
function isVain(turn: Turn, action: Action): boolean {
  if (action.kind !== 'written' && action.kind !== 'applied' && action.kind !== 'loaded') return false;
  const slot = turn.slot(turn.rules.places.get(action.replica) as number);
  if (action.kind === 'written') return !isWritable(slot);
  return action.kind === 'applied' ? slot.applying === null : slot.loads.length === 0;
}

/**
 * Runs exactly these actions on a new world; returns `null` if no rule breaks.
 * @param loose whether a message that is not under way is replaced by another of its kind, and actions that have no
 *   effect are left out
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` or RangeError for invalid world options or an invalid action
 */
export function replay(world: WorldOptions, actions: readonly Action[], loose = false): Replayed | null {
  const happened: Action[] = [];
  const calls: Action[] = [];
  const turn = new Turn(createWorld(world));
  // Shrinking replays thousands of parts of a list that was checked once.
  if (!loose) actions.forEach((action, at) => checkAction(`action ${at}`, action, turn.rules.ids));
  for (const given of actions) {
    const action = loose ? turn.network.fitting(given) : given;
    if (action === null || (loose && isVain(turn, action))) continue;
    happened.push(action);
    const { callCount } = turn.record;
    try {
      turn.run(action);
    } catch (error) {
      return { error: errorFrom(error), actions: happened, committed: committedOf(turn, calls) };
    }
    if (turn.record.callCount > callCount) calls.push(action);
  }
  return null;
}

/** Runs a shorter list of actions while a failure is shrunk; returns `null` if no rule breaks. */
export type Trial = (actions: readonly Action[]) => Replayed | null;

/** The rounds that messages and disks get after an election (until all sessions are open), and after a call. */
const ROUNDS = { elected: 16, called: 5 };

/** The actions that finish all work of disks and machines and deliver the oldest message on each link. */
function round(ids: readonly ReplicaId[]): Action[] {
  const work = ids.flatMap((replica) => (['written', 'loaded', 'applied'] as const).map((kind) => ({ kind, replica })));
  const links = ids.flatMap((from) => ids.filter((to) => to !== from).map((to) => ({ from, to })));
  return [...work, ...links.map((link) => ({ ...link, kind: 'deliver' as const, pick: '' }))].map((happening) => {
    return { ...happening, at: 0 };
  });
}

/** The actions that make one replica lead, and then carry out these actions, each with rounds of work after it. */
function calmly(ids: readonly ReplicaId[], leader: ReplicaId, doings: readonly Action[]): Action[] {
  const rest = round(ids);
  const rests = (times: number): Action[] => Array.from({ length: times }, () => rest).flat();
  // A leader whose time is out sends a heartbeat; a replica that does not lead stands for election.
  const lead: Action = { kind: 'timeout', at: 0, replica: leader };
  const tell = (doing: Action): Action[] => [{ ...doing, at: 0 }, ...rests(ROUNDS.called), lead, ...rests(2)];
  return [lead, ...rests(ROUNDS.elected), ...doings.flatMap(tell)];
}

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

  /** Runs a shorter list. If it breaks the same rule, it is the best so far; returns whether it does. */
  private try(actions: readonly Action[]): boolean {
    if (this.left <= 0) return false;
    this.left -= actions.length + 50;
    const found = this.trial(actions);
    if (found === null || ruleOf(found.error) !== this.rule) return false;
    this.best = found.actions;
    return true;
  }

  /** Replaces the passing of time by leaps of each replica's clock, so that removing an action delays no other. */
  private stopTheClock(): void {
    this.try(this.best.map((action) => (action.kind === 'tick' ? { ...action, kind: 'timeout' } : action)));
    this.try(this.best.map((action) => ({ ...action, at: 0 })));
  }

  /**
   * A fault in a state machine seldom needs faults of the cluster, only calls in their order. So this tries the
   * committed calls one at a time, at a leader or where they were proposed; at last all calls with the crashes between
   * them.
   */
  private calm(): void {
    const ids = [...new Set(this.best.flatMap((action) => ('replica' in action ? [action.replica] : [])))].sort();
    const [leader] = ids;
    if (leader === undefined) return;
    const committed = this.trial(this.best)?.committed ?? [];
    const fates = this.best.filter(({ kind }) => ['propose', 'read', 'crash', 'restart'].includes(kind));
    for (const doings of [committed.map((call) => ({ ...call, replica: leader })), committed, fates]) {
      const breaks = (some: readonly Action[]): boolean => this.try(calmly(ids, leader, some));
      if (doings.length > 0 && breaks(doings)) return this.dropFrom(doings, breaks);
    }
  }

  /** Tries to leave out every run of these actions. */
  private dropFrom(doings: readonly Action[], breaks: (some: readonly Action[]) => boolean): void {
    let left = doings;
    for (let size = left.length >> 1; size >= 1; size >>= 1) {
      for (let end = left.length; end > 0; end -= size) {
        const some = [...left.slice(0, Math.max(0, end - size)), ...left.slice(end)];
        if (breaks(some)) left = some;
      }
    }
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

  /** Tries to leave out every run of `size` actions, each overlapping the next by half. Returns whether any went. */
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
    this.calm();
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
 * @param actions of a run that breaks it, as `replay` gives them with `error`
 * @param trial runs a shorter list: `(some) => replay(world, some, true)`, or more than that
 * @param budget how many actions may be replayed in all
 */
export function shrink(actions: readonly Action[], error: Error, trial: Trial, budget = 2_000_000): readonly Action[] {
  return new Shrinker(actions, ruleOf(error), trial, budget).run();
}
