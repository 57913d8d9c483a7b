/** What must hold of a replica whose storage is full, as a function that throws a violation. */

import type { AnyModel } from '../../../src/core/model.js';
import { play } from '../../play.js';
import { demand } from '../../violation.js';
import { BareDriver, driverIn } from '../bare-driver.js';

/** A leader's own session is renewed while its storage is full, and it is asked for a read. */
export function fullLeaderReads(model: AnyModel): void {
  const { world } = play(model, 'elect n1\nrun 1000', { header: ['replicas: 1'] });
  const bare = new BareDriver(model.protocol, driverIn(world, 'n1'), world.now);
  bare.step({ kind: 'storageFull', full: true });
  bare.step({ kind: 'propose', commands: [{ call: 100, deadline: Infinity, data: Uint8Array.of(1), renews: true }] });
  bare.read(101);
  const served = bare.wants('serve').flatMap(({ calls }) => calls);
  demand(served.includes(101), 'requests/full-takes-nothing: reads need no space', () => bare.effects);
  const { fullUntil, fullPause } = bare.state.calls;
  const next = fullUntil - bare.now;
  demand(fullPause > next, 'requests/full-takes-nothing: commands come no sooner for a read', () => [next, fullPause]);
}
