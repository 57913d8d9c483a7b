/** `status().bytes`: every byte that waits is found where it waits. */

import { describe, expect, it } from 'vitest';
import type { DriverStatus } from '../../../src/replica/driver/state.js';
import { driverOf } from '../../../src/replica/driver/driver.js';
import type { World } from 'quorate/testing';
import { models, play } from '../../play.js';
import { driverIn } from '../bare-driver.js';

const NOTHING = { queued: 0, forwarded: 0, uncommitted: 0, unsynced: 0, held: 0, unapplied: 0 };
const PADDING = 5000;
/** `expect.closeTo` takes digits: within 100. */
const WITHIN_100 = -Math.log10(200);

describe.each(models)('over $protocol.name', ({ protocol, ...rest }) => {
  const model = { protocol, ...rest };
  const bytesAt = ({ world }: { readonly world: World }, id: string): DriverStatus['bytes'] =>
    driverOf(protocol).status(driverIn(world, id)).bytes;
  /** So many bytes and up to 200 more, for what a command or an entry counts beside its own. */
  const about = (bytes: number): unknown => expect.closeTo(bytes + 100, WITHIN_100);

  it('nothing, when all is done', () => {
    const run = play(model, 'elect n1\nrun 500\npropose n2 a\nrun 1000 until call 1 acknowledged\nrun 500\nquiesce');
    for (const id of ['n1', 'n2', 'n3']) expect(bytesAt(run, id)).toEqual(NOTHING);
  });

  it('commands without a leader are queued', () => {
    const run = play(model, `propose n1 a padding=${PADDING}\npropose n1 b padding=${PADDING}`);
    expect(bytesAt(run, 'n1')).toMatchObject({ queued: about(2 * PADDING), forwarded: 0 });
  });

  it('a forward counts until the leader has answered', () => {
    const asked = `elect n1\nrun 500\nquiesce\npropose n2 a padding=${PADDING}`;
    expect(bytesAt(play(model, asked), 'n2')).toMatchObject({ queued: 0, forwarded: about(PADDING) });
    expect(bytesAt(play(model, `${asked}\nquiesce`), 'n2')).toEqual(NOTHING);
  });

  it('at a leader: uncommitted, on the way to the disk, and handed on to be applied', () => {
    const script = `elect n1\nrun 500\nquiesce\nisolate n1\npropose n1 a padding=${PADDING}`;
    const alone = play(model, script);
    expect(bytesAt(alone, 'n1')).toMatchObject({ uncommitted: about(PADDING), unsynced: about(PADDING), unapplied: 0 });
    const synced = play(model, `${script}\nwritten n1`);
    expect(bytesAt(synced, 'n1')).toMatchObject({ uncommitted: about(PADDING), unsynced: 0 });
    const given = `elect n1\nrun 500\nquiesce\npropose n1 a padding=${PADDING}\nwritten n1`;
    const committed = play(
      model,
      `${given}\n${['n2', 'n3'].map((id) => `deliver n1 ${id} A\nwritten ${id}\ndeliver ${id} n1 A`).join('\n')}`,
    );
    expect(bytesAt(committed, 'n1')).toMatchObject({ uncommitted: 0, unapplied: about(PADDING) });
  });

  it('an answer that waits for the disk is held', () => {
    const run = play(model, 'elect n1\nrun 500\nquiesce\npropose n1 a\ndeliver n1 n2 A');
    expect(bytesAt(run, 'n2').held).toBeGreaterThan(0);
    expect(bytesAt(run, 'n2').unsynced).toBeGreaterThan(0);
  });
});
