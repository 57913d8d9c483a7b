/** A lost message leaves no command, no read and no `openSession` entry waiting for ever. */

import { describe, expect, it } from 'vitest';
import { apply, type Action, type Happening, type World } from 'quorate/testing';
import { calls, models, pass, play, statusOf } from '../play.js';

const LED = 'elect n1\nrun 500';

describe.each(models)('what is lost on its way, over $protocol.name', (model) => {
  /** `n2` has just asked the leader to open its session. */
  const OPENING = `${LED}\ncrash n2 lose\nrestart n2\nrun 5000 until message n2 n1 Forward`;

  it('a command whose forward was lost is sent again, while the same leader leads', () => {
    play(
      model,
      `${LED}
       propose n2 x
       drop n2 *
       run 20000 until call 1 acknowledged
       expect n1 leader leading
       run 10000
       expect n1 applied x`,
    );
  });

  it('a read whose forward was lost is asked again', () => {
    play(model, `${LED}\nread n2\ndrop n2 *\nrun 20000 until call 1 served`);
  });

  it('a lost openSession entry does not keep a replica from proposing for ever', () => {
    play(model, `${OPENING}\ndrop n2 *\npropose n2 x\nrun 20000 until call 1 acknowledged`);
  });

  it('a lost openSession entry is not taken for that of another replica with the same id', () => {
    play(
      model,
      `elect n1 n1 n3
       run 100 until message n2 n1 Forward
       drop n2 *
       propose n2 x
       run 20000 until call 1 acknowledged`,
    );
  });

  it('what waits when the identity turns out to be lost ends at once, without effect', () => {
    play(
      model,
      `${LED}
       wipe n2
       propose n2 x
       read n2
       run 5000 until n2 lostIdentity
       expect call 1 failed none ERR_LOST_IDENTITY
       expect call 2 failed none ERR_LOST_IDENTITY`,
    );
  });

  it('a read that the end of the replica ends had no effect', () => {
    play(
      model,
      `${LED}
       read n2
       stop n2
       expect call 1 failed none ERR_CLOSED
       crash n3 lose
       read n1
       propose n1 x
       fail-storage n1 lose
       expect call 2 failed none ERR_STORAGE_FAILED`,
    );
  });

  it('a second copy of an opening right behind the place where the session is dropped leaves no command behind', () => {
    let world = play(model, OPENING, { header: ['constants: sessionBytes=1024'], machine: longForBig }).world;
    const act = (happening: Happening): void => {
      world = apply(world, { ...happening, at: world.now } as Action);
    };
    const propose = (replica: string, command: string): number => {
      act({ kind: 'propose', replica, command, timeout: 20_000 });
      return world.record.calls.length;
    };
    const endOf = (call: number) => world.record.calls[call - 1]?.end;
    const sessionOf = (call: number): number => {
      const { items, length } = world.record.effects;
      const index = world.record.calls[call - 1]?.effect;
      return items.slice(0, length).find(({ entry }) => entry.index === index)?.entry.id?.session ?? 0;
    };
    const last = (): number => statusOf(world, 'n1').last;
    const link = 1 * world.slots.length;
    const copy = world.links[link]?.flights.at(-1);
    world = pass(world, 500);
    const big = calls(1, 20).map((at) => propose('n2', `big ${at}`));
    world = pass(world, 500);
    for (const call of big) expect(endOf(call)?.kind).toBe('acknowledged');
    while (last() < 253) {
      propose('n1', `pad ${last()}`);
      world = pass(world, 20);
    }
    for (let at = 0; last() < 257; at++) propose('n1', `over ${at}`);
    const behind = propose('n2', 'behind');
    // The copy has been on its way all the time, and overtakes what was sent just now.
    const links = world.links.map((each, at) => {
      return at === link && copy !== undefined ? { ...each, flights: [copy, ...each.flights] } : each;
    });
    world = { ...world, links } satisfies World;
    act({ kind: 'deliver', from: 'n2', to: 'n1', pick: copy?.ordinal ?? 0 });
    world = pass(world, 5000);
    expect(endOf(behind)?.kind).toBe('acknowledged');
    expect(sessionOf(behind)).toBeGreaterThan(sessionOf(big[0] as number));
    for (const { id, effects } of world.slots) expect([id, effects]).toEqual([id, world.record.effects.length]);
  });
});

/** Long results of commands that say so, and short ones of the others. */
const longForBig = {
  create: () => ({
    apply: (command: string) => (command.startsWith('big') ? 'x'.repeat(600) : 1),
    snapshot: () => 0,
    restore: () => undefined,
  }),
};
