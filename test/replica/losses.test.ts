/** What the review of the host found: messages that were lost must not leave a request, a read or an opening waiting. */

import { describe, expect, it } from 'vitest';
import type { Protocol } from '../../src/core/protocol.js';
import { protocols } from '../support/protocols.js';
import { World, type Process } from './world.js';

const MINUTE = 60_000;

/** A world with a leader, and one of its followers. */
function led(
  protocol: Protocol<unknown, unknown>,
  opened = true,
): { world: World; leader: Process; follower: Process } {
  const world = new World(protocol, 3);
  world.startAll();
  const all = [...world.running.values()];
  const ready = (each: Process): boolean => (opened ? each.state.session !== 0 : each.state.leader !== null);
  expect(world.run(MINUTE, () => world.leader() !== undefined && all.every(ready))).toBe(true);
  const leader = world.leader() as Process;
  return { world, leader, follower: all.find((each) => each !== leader) as Process };
}

/** Nothing that `from` sends now arrives. */
function lose(world: World, from: Process): void {
  world.flights = world.flights.filter((flight) => flight.from !== from.id);
}

describe.each(protocols)('what is lost on its way, over %s', (_, anyProtocol) => {
  const protocol = anyProtocol as Protocol<unknown, unknown>;

  it('a command whose forward was lost is sent again, while the same leader leads', () => {
    const { world, leader, follower } = led(protocol);
    const call = world.propose(follower, 'x');
    lose(world, follower);
    expect(world.run(20_000, () => follower.ended.has(call))).toBe(true);
    expect(follower.ended.get(call)?.result).toBeDefined();
    expect(leader.state.leading).toBe(true);
    world.run(10_000, () => false);
    expect(leader.applied).toEqual(['x']);
  });

  it('a read whose forward was lost is asked again', () => {
    const { world, follower } = led(protocol);
    const call = world.read(follower);
    lose(world, follower);
    expect(world.run(20_000, () => follower.ended.has(call))).toBe(true);
    expect(follower.ended.get(call)?.served).toBeGreaterThan(0);
  });

  it('an opening that was lost does not keep a replica from proposing for ever', () => {
    const { world, follower } = led(protocol);
    world.crash(follower.id);
    const again = world.start(follower.id);
    const opening = (): boolean => again.state.openingRequest !== 0;
    expect(world.run(20_000, opening)).toBe(true);
    lose(world, again);
    const call = world.propose(again, 'x');
    expect(world.run(20_000, () => again.ended.has(call))).toBe(true);
    expect(again.ended.get(call)?.result).toBeDefined();
  });

  it('what waits when the identity turns out to be lost ends at once, without effect', () => {
    const { world, follower } = led(protocol);
    world.run(5000, () => false);
    world.crash(follower.id);
    world.wipe(follower.id);
    const again = world.start(follower.id);
    const command = world.propose(again, 'x');
    const read = world.read(again);
    expect(world.run(5000, () => again.state.phase === 'lostIdentity')).toBe(true);
    const failure = expect.objectContaining({ code: 'ERR_LOST_IDENTITY', outcome: 'none' });
    expect(again.ended.get(command)?.failure).toEqual(failure);
    expect(again.ended.get(read)?.failure).toEqual(failure);
  });

  it('a read that the end of the replica ends had no effect', () => {
    const { world, leader, follower } = led(protocol);
    const read = world.read(follower);
    world.step(follower, { kind: 'stop' });
    expect(follower.ended.get(read)?.failure).toMatchObject({ code: 'ERR_CLOSED', outcome: 'none' });
    for (const each of world.running.values()) if (each !== leader) world.crash(each.id);
    const other = world.read(leader);
    world.step(leader, { kind: 'storageFailed', reason: 'disk on fire' });
    expect(leader.ended.get(other)?.failure).toMatchObject({ code: 'ERR_STORAGE_FAILED', outcome: 'none' });
  });

  it('a second copy of an opening right behind the place where the origin is dropped leaves no command behind', () => {
    const world = new World(protocol, 3, { sessionBytes: 1024 });
    world.startAll();
    const all = [...world.running.values()];
    world.run(MINUTE, () => world.leader() !== undefined && all.every((each) => each.state.session !== 0));
    const leader = world.leader() as Process;
    world.crash((all.find((each) => each !== leader) as Process).id);
    const id = ['a', 'b', 'c'].find((each) => !world.running.has(each)) as string;
    const follower = world.start(id);
    let copy: Uint8Array | undefined;
    world.run(20_000, () => {
      if (follower.state.openingRequest !== 0 && follower.state.session === 0) {
        copy ??= world.flights.filter((flight) => flight.from === id && flight.bytes.length > 20).at(-1)?.bytes;
      }
      return follower.state.session !== 0 && world.leader() === leader;
    });
    const last = (): number => world.driver.status(leader.state).last;
    world.resultBytes = 600;
    const calls = Array.from({ length: 20 }, (_, at) => world.propose(follower, `big ${at}`));
    world.run(5000, () => calls.every((call) => follower.ended.has(call)));
    const dropped = follower.state.session;
    while (last() < 253) {
      const call = world.propose(leader, `pad ${last()}`);
      world.run(5000, () => leader.ended.has(call) && follower.state.applied === last());
    }
    for (let i = 0; last() < 257; i++) world.propose(leader, `over ${i}`);
    const call = world.propose(follower, 'behind');
    world.step(leader, { kind: 'message', from: id, bytes: copy as Uint8Array });
    for (let at = world.flights.length - 1; at >= 0; at--) if (world.flights[at]?.from === id) world.deliver(at);
    expect(world.run(20_000, () => follower.ended.has(call))).toBe(true);
    expect(follower.ended.get(call)?.result).toBeDefined();
    expect(follower.state.session).toBeGreaterThan(dropped);
    world.run(5000, () => false);
    expect(leader.applied.filter((name) => name === 'behind')).toHaveLength(1);
  });
});
