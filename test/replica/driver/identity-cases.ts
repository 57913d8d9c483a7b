/**
 * What must hold of first starts, lost disks and stray starts, as functions that throw a violation: the tests run them,
 * and so do the mutants' killers.
 */

import { openEnvelope, sealIdentity } from '../../../src/replica/driver/envelope.js';
import { recordersNeeded } from '../../../src/replica/driver/first-start.js';
import { Dice } from '../../../src/testing/random.js';
import { idsOf } from '../../values.js';
import { Violation } from '../../violation.js';
import * as model from './identity-model.js';
import { phaseOf, type Model, type Start } from './identity-model.js';

function same(what: string, actual: unknown, expected: unknown): void {
  const [found, due] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (found !== due) throw new Violation(`${what}: ${found}, expected ${due}`);
}

/** Everything that is under way arrives, everything is written, and whoever waits asks again, until nothing changes. */
export function settle(
  start: Model,
  isHeard: (start: Start) => boolean = () => true,
  isKept: (flight: model.Flight) => boolean = () => true,
): Model {
  let now = start;
  for (let round = 0; round < 60; round++) {
    while (now.flights.length > 0 || now.starts.some(({ writing }) => writing !== null)) {
      now.starts.forEach((_, at) => (now = model.synced(now, at)));
      if (now.flights.length === 0) continue;
      const flight = now.flights[0] as model.Flight;
      const at = now.starts.findIndex((each) => each.id === flight.to && each.state !== null && isHeard(each));
      if (at < 0 || !isKept(flight)) now = { ...now, flights: now.flights.slice(1) };
      else now = model.deliver(now, 0, at);
    }
    if (!now.starts.some((each) => phaseOf(each) === 'establishing')) return now;
    now.starts.forEach((_, at) => (now = model.tick(now, at)));
  }
  return now;
}

export function started(size: number): Model {
  return idsOf(size).reduce((now, id, at) => model.fresh(now, id, at + 1), model.emptyModel(size));
}

const phases = ({ starts }: Model): string[] => starts.map(phaseOf);

const all = (size: number): string[] => Array.from({ length: size }, () => 'running');

export function atOnce(size: number): void {
  same('liveness/all-come-up', phases(settle(started(size))), all(size));
}

export function oneByOne(size: number): void {
  let now = model.emptyModel(size);
  idsOf(size).forEach((id, at) => {
    now = settle(model.fresh(now, id, at + 1));
    const phase = at >= recordersNeeded(size) ? 'running' : 'establishing';
    same(
      'liveness/all-come-up',
      phases(now),
      Array.from({ length: at + 1 }, () => phase),
    );
  });
}

/** The first question of everybody to everybody is lost. */
export function lostQuestions(size: number): void {
  let lost = 0;
  const now = settle(started(size), undefined, () => ++lost > size * (size - 1));
  same('liveness/all-come-up', phases(now), all(size));
}

/** All members, and before them one under the id of the first. */
function withStray(size: number): Model {
  const first = model.fresh(model.emptyModel(size), 'n1', 99);
  return idsOf(size).reduce((now, id, at) => model.fresh(now, id, at + 1), first);
}

const isConfirm = ({ from, bytes }: model.Flight): boolean => {
  const opened = openEnvelope(bytes);
  return from === 'n1' && opened.kind === 'identity' && opened.message.kind === 'confirm';
};

/** A stray start tells everybody, and hears nothing: the answers go to the place of the right one. */
export function stray(size: number): void {
  let now = settle(withStray(size), ({ id }) => id !== 'n1');
  now = settle(model.wipe(now, 0));
  same('identity/strays-lock-nobody-out', phases(now), all(size));
}

/** A start has its notes, but another one took them before it could ask to confirm: that comes too late. */
export function replaced(size: number): void {
  let now = settle(
    withStray(size),
    ({ incarnation }) => incarnation !== 1,
    (flight) => !isConfirm(flight),
  );
  now = settle(model.wipe(now, 0), undefined, (flight) => !isConfirm(flight));
  const round = 2 ** 32 + 1;
  const bytes = sealIdentity({ kind: 'confirm', round }, { from: 99, to: null });
  const flights = idsOf(size)
    .slice(1)
    .map((to) => ({ from: 'n1', to, bytes }));
  now = { ...now, flights };
  same('identity/strays-lock-nobody-out', phases(settle(now)), all(size));
}

/** The last member has never heard of n1, which takes part: its first message waits for the record. */
export function coreMessage(size: number): void {
  const last = `n${size}`;
  const heard = (now: Model): unknown => {
    const state = now.starts.at(-1)?.state;
    return state?.phase.kind === 'running' && (state.phase.core as { heard: readonly string[] }).heard;
  };
  let now = settle(started(size), undefined, ({ from, to }) => from !== 'n1' || to !== last);
  now = model.step(now, 0, { kind: 'campaign' });
  now = model.deliver(
    now,
    now.flights.findIndex(({ to }) => to === last),
    size - 1,
  );
  same('identity/known-before-it-votes', heard(now), []);
  same('identity/known-before-it-votes', heard(model.synced(now, size - 1)), ['n1']);
}

/** The replica of n1 that has started on an empty disk. */
const freshOf = ({ starts }: Model): Start => starts.find(({ incarnation }) => incarnation === 100) as Start;

/** As few members as possible know n1, and of those as many as may be lose their disks with it. */
export function minorityLost(size: number): void {
  const ids = idsOf(size);
  const lost = Math.max(1, Math.floor((size - 1) / 2));
  const knowing = ids.slice(1, 1 + recordersNeeded(size));
  const rule = 'identity/lost-disk-has-no-vote';
  let now = settle(started(size), ({ id, incarnation }) => incarnation === 1 || knowing.includes(id));
  same(rule, phases(now)[0], 'running');
  for (let at = 0; at < lost; at++) now = model.wipe(now, 0);
  for (let at = 0; at < lost; at++) now = model.fresh(now, ids[at] as string, 100 + at);
  // Those who have never heard of the first one cannot let it in, as long as the others are away.
  now = settle(now, ({ id, incarnation }) => incarnation >= 100 || !knowing.includes(id));
  same(rule, phaseOf(freshOf(now)), 'establishing');
  same(rule, phaseOf(freshOf(settle(now))), 'lostIdentity');
}

/** n1 is through, and loses its disk before anybody else is: the others need its answers. */
export function lostBeforeOthers(size: number): void {
  const rule = 'identity/first-starts-complete';
  let now = settle(started(size), undefined, ({ from, to }) => from === 'n1' || to === 'n1');
  same(rule, phases(now)[0], 'running');
  now = settle(model.fresh(model.wipe(now, 0), 'n1', 100));
  same(rule, [phaseOf(freshOf(now)), ...phases(now).slice(0, -1)], ['lostIdentity', ...all(size - 1)]);
}

/** A schedule: steps in any order, with losses, copies, crashes, wiped disks and stray starts. */
export class Schedule {
  readonly dice: Dice;
  readonly size: number;
  now: Model;
  /** The ids whose disks may be lost: not more than the others can make up for. */
  readonly victims: readonly string[];
  private next = 100;
  private readonly steps: number;

  constructor(seed: number) {
    this.dice = new Dice(seed);
    this.size = this.dice.between(2, 7);
    this.steps = this.dice.between(20, 60 * this.size);
    const ids = idsOf(this.size);
    this.victims = this.dice.shuffle(ids).slice(0, Math.max(1, Math.floor((this.size - 1) / 2)));
    this.now = started(this.size);
  }

  run(): void {
    for (let at = 0; at < this.steps; at++) this.act();
    // Only one start of each id goes on, and all of them are up: the newest, if there was a stray one.
    const { dice } = this;
    for (const id of idsOf(this.size)) {
      const own = this.now.starts.filter((each) => each.id === id);
      const kept = dice.pick(own);
      for (const each of own) if (each !== kept) this.now = model.wipe(this.now, this.now.starts.indexOf(each));
    }
    this.now.starts.forEach(({ state }, at) => {
      if (state === null) this.now = model.boot(this.now, at);
    });
    this.now = settle(this.now);
  }

  private act(): void {
    const { dice, now } = this;
    const at = dice.between(0, now.starts.length - 1);
    const start = now.starts[at] as Start;
    const roll = dice.between(0, 99);
    if (roll < 45) this.deliver(dice.chance(0.1));
    else if (roll < 48 && now.flights.length > 0) {
      const lost = dice.between(0, now.flights.length - 1);
      this.now = { ...now, flights: now.flights.filter((_, place) => place !== lost) };
    } else if (roll < 70) this.now = model.synced(now, at);
    else if (roll < 85) this.now = model.tick(now, at);
    else if (roll < 92) this.now = model.step(now, at, { kind: 'campaign' });
    else if (roll < 96) this.now = start.state === null ? model.boot(now, at) : model.crash(now, at, dice.chance(0.5));
    else this.disturb(at);
  }

  /** A message arrives at any start under its id, if there are several: the right one, or a stray. */
  private deliver(keep: boolean): void {
    const { dice, now } = this;
    if (now.flights.length === 0) return;
    const flight = dice.between(0, now.flights.length - 1);
    const { to } = now.flights[flight] as model.Flight;
    const places = now.starts.flatMap((each, at) => (each.id === to && each.state !== null ? [at] : []));
    const place = dice.pick(places);
    if (place !== undefined) this.now = model.deliver(now, flight, place, keep);
  }

  private disturb(at: number): void {
    const { dice, now, victims } = this;
    const { id } = now.starts[at] as Start;
    if (!victims.includes(id)) return;
    if (dice.chance(0.6)) this.now = model.wipe(now, at);
    const isStray = now.starts.filter((each) => each.id === id).length > 1;
    if (!isStray) this.now = model.fresh(this.now, id, this.next++);
  }
}

/** Runs a schedule to its end. Returns how many are kept out by another start of their id. */
export function runSchedule(seed: number): { lost: number; strays: number } {
  const schedule = new Schedule(seed);
  schedule.run();
  const { starts, asked } = schedule.now;
  let lost = 0;
  for (const { id, incarnation, ...each } of starts) {
    const phase = phaseOf({ id, incarnation, ...each });
    if (phase === 'running') continue;
    const rivals = [...asked].filter(([rival, of]) => of === id && rival !== incarnation);
    same(`identity/strays-lock-nobody-out: ${id}`, [phase, rivals.length > 0], ['lostIdentity', true]);
    lost++;
  }
  return { lost, strays: [...asked.keys()].filter((incarnation) => incarnation >= 100).length };
}
