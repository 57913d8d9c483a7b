/**
 * The phases of a run: a storm of faults in which no check may fail; then a majority is healed and must work while the
 * rest stays broken; then everything heals and all replicas must become equal; then all lose power at once, and nothing
 * that was acknowledged may be missing.
 */

import { InvariantViolation, type RuleText } from '../../core/assert.js';
import { sameValue } from '../../core/entries.js';
import type { Milliseconds } from '../../core/protocol.js';
import { sameDeep } from '../world/laws.js';
import { resume, unleash } from './nemeses.js';
import type { Weather } from './options.js';
import { slowestExchange } from './pace.js';
import type { SimulatedRun } from './run.js';

/** No faults: everything is fast, or takes what the pace says. */
function calm({ plan }: SimulatedRun): Weather {
  if (plan.pace !== null) {
    const { delay, write, load } = plan.pace;
    return { network: { ...delay, fifo: true }, disk: write, load, apply: 0 };
  }
  const disk = { min: 1, max: 2 };
  return { network: { min: 1, max: 4, fifo: false }, disk, load: disk, apply: 0 };
}

function demand(holds: boolean, text: RuleText, evidence?: () => unknown): void {
  if (!holds) throw new InvariantViolation(text, evidence?.());
}

/** Of linearizable reads that follow each other; where there is no lease or quorum read, the leader confirms them. */
const READ_WAYS = [undefined, 'lease', undefined, 'lease', 'quorum'] as const;

/** Calls at random times, by the plan, while the run is stormy. */
function callers(run: SimulatedRun, commands: (call: number) => unknown): void {
  const dice = run.dice.fork('callers');
  const { every, reads, stale, timeout, most } = run.plan.clients;
  const again = (): void => {
    if (!run.stormy) return;
    run.later(dice.wait(every), again);
    const { pace } = run.plan;
    const come = pace !== null && dice.chance(0.05) ? dice.between(1, pace.burst) : 1;
    if (come > 1) run.tally.bursts += 1;
    const place = dice.between(0, run.size - 1);
    for (let caller = 0; caller < come; caller++) ask(place, come === 1 ? most : Infinity);
  };
  const ask = (place: number, bound: number): void => {
    const { process, waiting } = run.turn.slot(place);
    if (process === null || waiting.length >= bound) return;
    const replica = run.id(place);
    if (!dice.chance(reads)) {
      const command = commands(run.turn.record.callCount + 1);
      return run.propose(place, command, timeout, dice);
    }
    const minIndex = dice.chance(stale) ? dice.between(0, run.turn.slot(place).delivered + 1) : null;
    const read = {
      kind: 'read',
      at: run.now,
      replica,
      minIndex,
      timeout: timeout === Infinity ? 1000 : timeout,
    } as const;
    const by = minIndex === null ? READ_WAYS[run.turn.record.callCount % READ_WAYS.length] : undefined;
    run.act(by === undefined ? read : { ...read, by });
  };
  run.later(dice.wait(every), again);
}

/** The first phase: callers and faults together; no check may fail. */
export function storm(run: SimulatedRun, commands: (call: number) => unknown): void {
  const { prefix, loose } = run.plan;
  for (const given of prefix) {
    const action = loose ? run.turn.network.fitting(given) : given;
    if (action !== null) run.act(action);
  }
  if (loose) return run.endStorm();
  if (run.plan.faults.reorder !== undefined) run.fault('reorder');
  callers(run, commands);
  unleash(run);
  const { length } = run.plan;
  while (run.tally.actions < length && run.step(Infinity));
  run.endStorm();
}

function describe(run: SimulatedRun): unknown {
  return run.places().map((place) => {
    const { id, process, waiting, delivered, position } = run.turn.slot(place);
    const health = process === null ? 'down' : run.turn.rules.program.health(process);
    return { id, health, handed: delivered, position, waiting, status: run.status(place) };
  });
}

function cancelTransfers(run: SimulatedRun, place: number): void {
  const { record } = run.turn;
  const calls = run.turn.slot(place).waiting.filter((call) => record.call(call)?.kind === 'transfer');
  if (calls.length > 0) run.act({ kind: 'cancel', at: run.now, calls });
}

/** They make whoever they reach campaign: a Handover at once; a Nack by a promise that a crash may have undone. */
const UNSETTLING: ReadonlySet<string | undefined> = new Set(['handover', 'nack']);

/** Drops what the storm holds up and would change the leader at rest: what comes of one comes within a round trip. */
function dropUnsettling(run: SimulatedRun, place: number): void {
  const { rules } = run.turn;
  for (const to of run.places()) {
    if (to === place) continue;
    for (const { ordinal, payload } of run.turn.link(place, to).flights) {
      const message = rules.program.message(payload) as { readonly kind?: string } | null;
      const flight = { from: run.id(place), to: run.id(to), pick: ordinal };
      if (UNSETTLING.has(message?.kind)) run.act({ kind: 'drop', at: run.now, ...flight });
    }
  }
}

function heal(run: SimulatedRun, places: readonly number[], apart: readonly number[]): void {
  for (const from of run.places()) {
    for (const to of run.places()) {
      if (from === to) continue;
      const broken = apart.includes(from) || apart.includes(to);
      const kind = broken ? 'cut' : 'heal';
      const { cut, refuses } = run.turn.link(from, to);
      if (cut !== broken || refuses.control || refuses.bulk) {
        run.act({ kind, at: run.now, from: run.id(from), to: run.id(to) });
      }
    }
  }
  for (const place of places) {
    resume(run, place);
    // What was asked for in the storm is over: a transfer that goes on would change the leader at rest.
    cancelTransfers(run, place);
    dropUnsettling(run, place);
    if (run.isLeaving(place)) run.act({ kind: 'stop', at: run.now, replica: run.id(place) });
    // A disk whose next write will fail counts as failed.
    const replica = run.id(place);
    run.act({ kind: 'free', at: run.now, replica });
    if (run.turn.slot(place).failing !== null) run.act({ kind: 'crash', at: run.now, replica, keep: false });
    run.revive(place);
    run.act({ kind: 'rate', at: run.now, replica, rate: 1 });
  }
}

/** Whether all these replicas know the same leader, and it leads. */
function agreed(run: SimulatedRun, places: readonly number[]): boolean {
  const statuses = places.map((place) => run.status(place));
  const leader = statuses[0]?.leader ?? null;
  if (leader === null) return false;
  return statuses.every((status) => status?.leader === leader && (status.id !== leader || status.role === 'leader'));
}

/**
 * A new command of each replica must be committed. A bare core tries a proposal once and might wait for ever for an
 * attempt that was lost, so there the command has a deadline and is proposed again.
 */
function newCommands(run: SimulatedRun, places: readonly number[], limit: Milliseconds, command: unknown): void {
  const end = run.now + limit;
  const { program, timing } = run.turn.rules;
  const timeout = program.kind === 'core' ? timing.electionMax : Infinity;
  let left = places;
  while (left.length > 0) {
    const asked = left.map((place) => {
      run.propose(place, command, timeout, run.dice);
      return { place, call: run.turn.record.callCount };
    });
    const { record } = run.turn;
    const ended = run.until(Math.max(0, end - run.now), () => asked.every(({ call }) => !record.isOpen(call)));
    demand(ended, 'liveness/new-command-commits: a new command of everybody is committed', () => describe(run));
    left = asked.filter(({ call }) => record.call(call)?.end?.kind !== 'acknowledged').map(({ place }) => place);
    const goesOn = left.length === 0 || run.now < end;
    demand(goesOn, 'liveness/new-command-commits: a new command of everybody is committed in time', () =>
      describe(run),
    );
    if (left.length > 0) run.until(run.turn.rules.timing.electionMin, () => false);
  }
}

/**
 * The limit for liveness, which grows with the entries that a replica may have to catch up with, and with the calls
 * that wait: where a session's window or α is 1, they are served one after the other.
 */
function patience(run: SimulatedRun): Milliseconds {
  const { pace } = run.plan;
  const waiting = run.places().reduce((sum, place) => sum + run.turn.slot(place).waiting.length, 0);
  const last = run.turn.record.view.last + waiting;
  const each = pace === null ? 40 : 2 * slowestExchange(pace) + 2 * pace.cost;
  const sending = pace === null ? 0 : (4 * run.size * run.padded) / pace.bandwidth;
  return 20 * run.turn.rules.timing.electionMax + each * last + sending + 2000;
}

/** The second phase: a majority heals; the rest stays broken and cut off. */
export function coreAtWork(run: SimulatedRun, command: unknown): void {
  const { dice } = run;
  // At its first start a replica needs nearly all others (identity/known-before-it-votes): it is no part of a core
  // that may be one vote above half.
  const sound = participants(run).filter((place) => run.isKnown(place));
  const quorum = (run.size >> 1) + 1;
  if (sound.length < quorum) return;
  const order = dice.shuffle(sound);
  const core = order.slice(0, dice.between(quorum, sound.length)).sort((a, b) => a - b);
  run.weather = calm(run);
  heal(
    run,
    core,
    run.places().filter((place) => !core.includes(place)),
  );
  const limit = patience(run);
  demand(
    run.until(limit, () => agreed(run, core)),
    'liveness/leader-found: a majority that is healed finds a leader',
    () => describe(run),
  );
  newCommands(run, core, limit, command);
}

/** Whether all these replicas have delivered and applied all committed entries. */
function level(run: SimulatedRun, places: readonly number[]): boolean {
  const { last } = run.turn.record.view;
  return places.every((place) => {
    const { delivered, applying } = run.turn.slot(place);
    return delivered === last && applying === null && run.status(place)?.commit === last;
  });
}

function participants(run: SimulatedRun): number[] {
  return run.places().filter((place) => run.turn.slot(place).wiped === null);
}

/** A replica whose disk was wiped after the others had recorded it must lose its identity, and with it its vote. */
function demandOutsiders(run: SimulatedRun): void {
  // A script may wipe a replica that the others had not recorded, or a bare core, which has no identity.
  if (run.plan.prefix.length > 0) return;
  const back = run.places().filter((place) => run.turn.slot(place).wiped !== null && run.status(place) !== null);
  demand(back.length === 0, 'identity/lost-disk-has-no-vote: a disk that is lost takes its vote with it', () =>
    describe(run),
  );
}

/** The snapshots of all machines must be equal. */
function demandEqualMachines(run: SimulatedRun, places: readonly number[]): void {
  const seen = places.map((place) => run.turn.machine(place).snapshot() as unknown);
  const differs = seen.findIndex((snapshot) => !sameDeep(snapshot, seen[0]));
  if (differs < 0) return;
  const id = run.id(places[differs] as number);
  const rule = 'liveness/all-become-equal: the machines are equal';
  demand(false, `${rule}: ${id} differs from ${run.id(places[0] as number)}`, () => seen);
}

/** The third phase: everything heals, becomes equal, and comes to rest with every call ended. */
export function allAtRest(run: SimulatedRun, command: unknown): void {
  const places = participants(run);
  if (places.length * 2 <= run.size) return;
  run.weather = calm(run);
  heal(run, run.places(), []);
  const limit = patience(run);
  demand(
    run.until(limit, () => agreed(run, places)),
    'liveness/leader-found: a healed cluster finds a leader',
    () => describe(run),
  );
  newCommands(run, places, limit, command);
  demand(
    run.until(limit, () => level(run, places)),
    'liveness/all-become-equal: all become equal',
    () => describe(run),
  );
  demandEqualMachines(run, places);
  // A bare core tries once and may wait for ever for an attempt that was lost, so its calls are cancelled.
  const waiting = run.places().flatMap((place) => run.turn.slot(place).waiting);
  const bare = run.turn.rules.program.kind === 'core';
  if (bare && waiting.length > 0) run.act({ kind: 'cancel', at: run.now, calls: waiting });
  const idle = (): boolean => run.places().every((place) => run.turn.slot(place).waiting.length === 0);
  demand(run.until(limit, idle), 'liveness/every-call-ends: every call ends', () => describe(run));
  demandOutsiders(run);
  // A write that the storm has slowed is a fault that goes on: its leader gives way.
  run.until(limit, () => run.places().every((place) => run.turn.slot(place).writing === null));
  demand(comesToRest(run, places), 'liveness/terms-at-rest: terms are at rest', () => describe(run));
}

/**
 * Whether the terms stay as they are. Without pre-votes a replica whose election timer had nearly expired may still
 * campaign once.
 */
function comesToRest(run: SimulatedRun, places: readonly number[]): boolean {
  const highest = (): number => Math.max(...places.map((place) => run.status(place)?.term ?? 0));
  const most = run.turn.rules.preVote ? 1 : 3;
  for (let windows = 0; windows < most; windows++) {
    const term = highest();
    run.until(2 * run.turn.rules.timing.electionMax, () => false);
    if (highest() === term) return true;
  }
  return false;
}

/** The fourth phase: all lose power; all that was acknowledged must be there again. */
export function durabilityScan(run: SimulatedRun): void {
  const places = participants(run);
  if (places.length * 2 <= run.size) return;
  const { turn } = run;
  for (const place of run.places()) {
    run.act({ kind: 'crash', at: run.now, replica: run.id(place), keep: false });
    run.act({ kind: 'restart', at: run.now, replica: run.id(place) });
  }
  const { seen } = turn.finish().record;
  const limit = patience(run);
  demand(
    run.until(limit, () => agreed(run, places)),
    'liveness/leader-found: a cluster that lost power finds a leader',
    () => describe(run),
  );
  demand(
    run.until(limit, () => level(run, places)),
    'history/acknowledged-is-kept: everything is there after a loss of power',
    () => describe(run),
  );
  for (let index = 1; index <= seen; index++) {
    const entry = turn.record.view.entry(index);
    const holders = places.filter((place) => {
      const stored = turn.diskView(place).entry(index);
      return entry !== undefined && stored !== undefined && sameValue(stored, entry);
    });
    demand(
      holders.length * 2 > run.size,
      `history/acknowledged-is-kept: what was acknowledged is durable: index ${index}`,
      () => entry,
    );
  }
}
