/**
 * A world: a cluster as one immutable value, with processes, disks, messages under way, callers and their answers,
 * clocks, and faults in force. `apply(world, action)` returns the world after the action; the old one stays valid, so
 * that a search can try every action from the same state. `Turn` (`turn.ts`) does the work and suits long runs.
 *
 * Nothing here knows a protocol: the protocol's model is passed in and checks its own rules.
 */

import { configurationOf, defaultConstants, type ReplicaId } from '../../core/members.js';
import type { AnyModel } from '../../core/model.js';
import type { Milliseconds } from '../../core/protocol.js';
import { shown } from '../../core/shown.js';
import { choose } from '../../core/tuning.js';
import { invalidArgument } from '../../replica/errors.js';
import type { Action } from './actions.js';
import { checkAction } from './check-action.js';
import { coreProgram } from './core-program.js';
import { newDisk } from './disk.js';
import type { Observer } from './facts.js';
import { Machines, countingMachine } from './machine.js';
import { observed, Watch } from './observed.js';
import { checkWorldOptions, testTiming, type WorldOptions } from './options.js';
import { driverProgram, establishedValues } from './process.js';
import { emptyRecord } from './record.js';
import { Turn } from './turn.js';
import { FIRST_INCARNATION, isWritable, NO_PROCESS, trueTime } from './state.js';
import type { Link, Rules, Slot, World } from './state.js';

function namesOf(replicas: number | readonly ReplicaId[]): readonly ReplicaId[] {
  if (typeof replicas !== 'number') return [...replicas].sort();
  if (!Number.isSafeInteger(replicas) || replicas < 1 || replicas > 7) {
    throw invalidArgument(`replicas: expected 1 to 7, got ${replicas}`);
  }
  return Array.from({ length: replicas }, (_, at) => `n${at + 1}`);
}

function rulesOf(options: WorldOptions): Rules {
  checkWorldOptions(options);
  const ids = namesOf(options.replicas ?? 3);
  const constants = { ...defaultConstants, ...options.constants };
  const addresses = Object.fromEntries(ids.map((id) => [id, id]));
  const configuration = configurationOf(addresses, constants);
  const model = options.model as AnyModel;
  const tuning = { ...options.tuning, timing: { ...testTiming, ...options.tuning?.timing } };
  const { timing, limits, preVote } = choose(model.protocol, tuning);
  const seed = options.seed ?? 1;
  if (!Number.isSafeInteger(seed)) throw invalidArgument(`seed: expected a safe integer, got ${shown(seed)}`);
  const watch = new Watch();
  const { byReference = false, strict = false, maxWaiting = 1000, snapshots = 0 } = options;
  const bare = options.program === 'core';
  const protocol = observed(model, watch, { byReference: byReference && !bare, strict });
  const programOptions = { configuration, timing, limits, preVote, maxWaiting, snapshots };
  return {
    model,
    program: bare ? coreProgram(protocol, programOptions) : driverProgram(protocol, programOptions),
    watch,
    machines: new Machines(options.machine ?? countingMachine, constants.onApplyError),
    configuration,
    ids,
    places: new Map(ids.map((id, at) => [id, at])),
    timing,
    limits,
    preVote,
    seed,
    eager: { written: false, applied: false, loaded: false, ...options.eager },
  };
}

function newSlot(rules: Rules, at: number, established: boolean): Slot {
  const peers = rules.ids
    .map((id, place) => ({ id, incarnation: FIRST_INCARNATION + place, final: true }))
    .filter((_, place) => place !== at);
  const values = established && rules.program.kind === 'driver' ? establishedValues(peers) : [];
  return {
    id: rules.ids[at] as ReplicaId,
    disk: newDisk(FIRST_INCARNATION + at, values),
    clock: { base: 0, since: 0, rate: 1 },
    ahead: null,
    ...NO_PROCESS,
    room: null,
    wiped: null,
  };
}

const EMPTY_LINK: Link = { sent: 0, cut: false, refuses: { control: false, bulk: false }, flights: [] };

/**
 * A world at time 0 in which every replica has just started.
 * @throws ConsensusError `ERR_INVALID_ARGUMENT`, RangeError when an option breaks its rule
 */
export function createWorld(options: WorldOptions, observer?: Observer): World {
  const rules = rulesOf(options);
  const established = options.established ?? true;
  const size = rules.ids.length;
  const world: World = {
    rules,
    now: 0,
    slots: rules.ids.map((_, at) => newSlot(rules, at, established)),
    links: Array.from({ length: size * size }, () => EMPTY_LINK),
    record: emptyRecord,
    ghost: rules.model.safety.initial,
    incarnations: size,
  };
  const turn = new Turn(world, observer);
  for (const replica of rules.ids) turn.run({ kind: 'restart', at: 0, replica });
  return turn.finish();
}

/**
 * The world after an action. An action that is not possible now changes only the time.
 * @throws InvariantViolation with the rule's name when a rule is broken; ConsensusError `ERR_INVALID_ARGUMENT` for a
 *   value that is no action of this world
 */
export function apply(world: World, action: Action, observer?: Observer): World {
  checkAction('action', action, world.rules.ids);
  const turn = new Turn(world, observer);
  turn.run(action);
  return turn.finish();
}

/** The true time at which a tick of this replica is due; `Infinity` if it is down or paused, or nothing is due. */
export function dueAt(rules: Rules, slot: Slot, now: Milliseconds): Milliseconds {
  if (slot.process === null || slot.paused) return Infinity;
  return trueTime(slot.clock, rules.program.deadline(slot.process), now);
}

/**
 * The actions that can happen without a caller or a fault, each at its earliest time: deliveries, the work under way at
 * disks and machines, timeouts. `propose`, `read` and faults are not among them.
 */
export function actions(world: World): readonly Action[] {
  const { rules, now, slots, links } = world;
  const found: Action[] = [];
  slots.forEach((slot) => {
    if (slot.process === null || slot.paused) return;
    const replica = slot.id;
    if (isWritable(slot)) found.push({ kind: 'written', at: now, replica });
    if (slot.applying !== null) found.push({ kind: 'applied', at: now, replica });
    if (slot.taking !== null) found.push({ kind: 'snapshotted', at: now, replica, fails: false });
    if (slot.restoring !== null) found.push({ kind: 'restored', at: now, replica });
    if (slot.loads.length > 0) found.push({ kind: 'loaded', at: now, replica });
    const due = dueAt(rules, slot, now);
    if (due < Infinity) found.push({ kind: 'tick', at: due, replica });
  });
  links.forEach(({ flights }, place) => {
    const from = rules.ids[Math.floor(place / slots.length)] as ReplicaId;
    const { id: to, paused } = slots[place % slots.length] as Slot;
    if (paused) return;
    for (const { ordinal } of flights) found.push({ kind: 'deliver', at: now, from, to, pick: ordinal });
  });
  return found;
}
