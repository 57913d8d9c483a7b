/** What must hold of snapshots that make room, as functions that throw a violation: the tests run them, and killers. */

import type { AnyModel } from '../../../src/core/model.js';
import type { StoredSnapshot } from '../../../src/replica/driver/snapshot-list.js';
import { calls, coreOf, each, play } from '../../play.js';
import { demand } from '../../violation.js';
import { BareDriver, driverIn } from '../bare-driver.js';

const RULE = 'snapshots/make-room-when-full: ';
const GOES = 'snapshots/older-goes-when-full: ';
const TICK = 100;
/** Milliseconds by which the driver's own clock may be ahead of the world's. */
const LATER = 5000;

/**
 * A disk hovers at its limit: every tenth of a second it is full, and has space again. Each snapshot takes so long, and
 * fails.
 */
export function sparing(model: AnyModel, took: number): void {
  const { world } = play(model, 'elect n1\nrun 1000');
  const state = driverIn(world, 'n1');
  const options = { ...state.options, storesSnapshots: true, snapshotPolicy: { entries: 1e6, bytes: 1e9 } };
  const bare = new BareDriver(
    model.protocol,
    { ...state, options, snapshots: { ...state.snapshots, entries: 1 } },
    world.now + LATER,
  );
  const begun: number[] = [];
  let ends: { readonly file: string; readonly at: number } | null = null;
  const step = (event: Parameters<BareDriver['step']>[0]): void => {
    bare.step(event);
    for (const { file } of bare.wants('takeSnapshot')) {
      begun.push(bare.now);
      ends = { file, at: bare.now + took };
    }
  };
  const until = bare.now + 40 * took + 20_000;
  for (let full = true; bare.now < until; full = !full, bare.now += TICK / 2) {
    const ended = ends as { readonly file: string; readonly at: number } | null;
    if (ended !== null && bare.now >= ended.at) {
      ends = null;
      step({ kind: 'snapshotFailed', file: ended.file, reason: 'no space' });
    }
    step({ kind: 'storageFull', full });
  }
  const gaps = begun.slice(1).map((at, nth) => at - (begun[nth] as number));
  demand(begun.length > 4, `${RULE}it is tried again and again`, () => begun);
  demand(Math.min(...gaps) >= took + Math.max(1000, 4 * took), `${RULE}a fifth of the time at most`, () => gaps);
}

/** A full storage is given the list without the older snapshot, while what the lane has written waits for space. */
export function madeBesideTheLane(model: AnyModel): void {
  const { world } = play(model, `elect n1\n${each(calls(1, 12), (call) => `propose n1 ${call}`)}\nrun 1000`);
  const state = driverIn(world, 'n1');
  const { term } = model.protocol.status(coreOf(world, 'n1'));
  const named = [10, 5].map((index): StoredSnapshot => {
    return { index, term, checksum: 1, time: 0, file: `s-${index}`, bytes: 100 };
  });
  const storing = { ...state, options: { ...state.options, storesSnapshots: true } };
  const bare = new BareDriver(model.protocol, { ...storing, snapshots: { ...state.snapshots, named } }, world.now);
  bare.step({ kind: 'storageFull', full: true });
  demand(bare.wants('makeRoom').length === 1, `${GOES}the storage is told at once`, () => bare.effects);
  const before = bare.state.snapshots.named.length;
  bare.step({ kind: 'roomMade' });
  const told = bare.events.map((event) => (event.kind === 'snapshot' ? `${event.event} ${event.index}` : event.kind));
  demand(
    before === 2 && told.includes('givenUp 5') && told.includes('trimmed 10'),
    `${GOES}and that it is done`,
    () => told,
  );
  demand(
    bare.wants('removeSnapshot').some(({ file }) => file === 's-5'),
    `${GOES}the older one goes, whatever waits in the lane`,
    () => bare.effects,
  );
}
