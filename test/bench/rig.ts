/**
 * `npm run bench:rig [--quick]`: how fast the test rig is, one JSON line a figure. `delivered`: messages that reached a
 * running replica, with every check on; whatever else happens (writes, ticks, applying) is in the time and not in the
 * count. All on one core.
 */

import { multipaxosModel } from 'quorate/multipaxos';
import { raftModel } from 'quorate/raft';
import { checkModel, fingerprintTableBytes, simulate, type SimulateOptions } from 'quorate/testing';
import { deepScopes } from '../testing/checker/scopes.js';
import { line, rounded } from './output.js';

const seconds = process.argv.includes('--quick') ? 2 : 10;

/** Runs slices of schedules until the time is over; the first slices are for the compiler. */
function simulated(name: string, options: SimulateOptions, slice: number): void {
  const model = options.model.protocol.name;
  let seed = 1;
  const warm = performance.now() + 1000;
  for (; performance.now() < warm; seed += slice) simulate({ ...options, seed, schedules: slice });
  const begun = performance.now();
  let [delivered, actions, virtual, schedules] = [0, 0, 0, 0];
  for (; performance.now() < begun + seconds * 1000; seed += slice) {
    const report = simulate({ ...options, seed, schedules: slice });
    // Those that are run twice are counted once.
    delivered += report.delivered;
    actions += report.actions;
    virtual += report.virtualTime;
    schedules += slice;
  }
  const elapsed = performance.now() - begun;
  line({
    system: 'quorate',
    bench: 'rig/simulate',
    mode: name,
    protocol: model,
    deliveredPerSecond: rounded((delivered / elapsed) * 1000),
    actionsPerSecond: rounded((actions / elapsed) * 1000),
    timesRealTime: rounded(virtual / elapsed),
    schedulesPerSecond: rounded((schedules / elapsed) * 1000),
  });
}

function checked(name: keyof typeof deepScopes): void {
  const begun = performance.now();
  const result = checkModel({ scope: deepScopes[name].scope, stop: () => performance.now() > begun + seconds * 1000 });
  const elapsed = performance.now() - begun;
  line({
    system: 'quorate',
    bench: 'rig/check',
    scope: name,
    generatedPerSecond: rounded((result.generated / elapsed) * 1000),
    distinctPerSecond: rounded((result.distinct / elapsed) * 1000),
    distinct: result.distinct,
    complete: result.complete,
  });
}

for (const model of [raftModel, multipaxosModel]) {
  simulated('storm', { model }, 10);
  simulated('storm, three replicas, long', { model, replicas: 3, length: 20_000 }, 1);
  simulated('calm, three replicas, long', { model, replicas: 3, length: 20_000, calm: true }, 1);
}
for (const scope of Object.keys(deepScopes) as (keyof typeof deepScopes)[]) checked(scope);
line({
  system: 'quorate',
  bench: 'rig/fingerprints',
  count: 100_000_000,
  gigabytes: fingerprintTableBytes(100_000_000) / 1e9,
});
