import { describe, expect, it } from 'vitest';
import type { Protocol } from '../../../src/core/protocol.js';
import { Dice } from '../../support/dice.js';
import { protocols } from '../../support/protocols.js';
import { World, type Process } from '../world.js';

const MINUTE = 60_000;
type AnyProtocol = Protocol<unknown, unknown>;

function all(world: World): Process[] {
  return [...world.running.values()];
}

function elected(protocol: AnyProtocol, size = 3): World {
  const world = new World(protocol, size);
  world.startAll();
  const open = (): boolean => world.leader() !== undefined && all(world).every((each) => each.state.session !== 0);
  expect(world.run(MINUTE, open)).toBe(true);
  return world;
}

describe.each(protocols)('driver over %s', (_, anyProtocol) => {
  const protocol = anyProtocol as AnyProtocol;

  it('answers a proposal of any member with the result of applying it there', () => {
    const world = elected(protocol);
    for (const process of all(world)) {
      const call = world.propose(process, `of ${process.id}`);
      expect(world.run(MINUTE, () => process.ended.has(call))).toBe(true);
      expect(process.applied).toContain(`of ${process.id}`);
      expect(process.ended.get(call)?.result?.value).toBe(process.applied.length);
    }
  });

  it('serves linearizable reads on every member, after everything acknowledged before', () => {
    const world = elected(protocol);
    const leader = world.leader() as Process;
    const write = world.propose(leader, 'x');
    world.run(MINUTE, () => leader.ended.has(write));
    for (const process of all(world)) {
      const read = world.read(process);
      expect(world.run(MINUTE, () => process.ended.has(read))).toBe(true);
      expect(process.ended.get(read)?.served).toBeGreaterThanOrEqual(leader.ended.get(write)?.index as number);
      expect(process.applied).toContain('x');
    }
  });

  describe('identity', () => {
    it('takes no part at the first start of three before both others have recorded it, and needs nobody later', () => {
      const world = new World(protocol, 3);
      world.start('a');
      world.start('b');
      expect(world.run(MINUTE, () => world.leader() !== undefined)).toBe(false);
      expect(all(world).map((each) => each.state.phase)).toEqual(['establishing', 'establishing']);
      world.start('c');
      expect(world.run(MINUTE, () => all(world).every((each) => each.state.phase === 'running'))).toBe(true);
      for (const id of ['a', 'b', 'c']) world.crash(id);
      world.flights = [];
      world.start('a');
      world.start('b');
      expect(world.run(MINUTE, () => world.leader() !== undefined)).toBe(true);
    });

    it('a replica that lost its disk says so and never takes part under its old name', () => {
      const world = elected(protocol);
      const victim = all(world).find((each) => each !== world.leader()) as Process;
      const call = world.propose(world.leader() as Process, 'kept');
      world.run(MINUTE, () => (world.leader() as Process).ended.has(call));
      world.crash(victim.id);
      world.wipe(victim.id);
      const again = world.start(victim.id);
      expect(world.run(MINUTE, () => again.state.phase === 'lostIdentity')).toBe(true);
      expect(again.events).toContainEqual(expect.objectContaining({ kind: 'lostIdentity' }));
      const refused = world.propose(again, 'never');
      expect(again.ended.get(refused)?.failure).toMatchObject({ code: 'ERR_LOST_IDENTITY', outcome: 'none' });
      // Two of three are left: one more lost, and nothing is decided any more, whatever the wiped one could vote.
      world.crash((world.leader() as Process).id);
      expect(world.run(MINUTE, () => all(world).some((each) => each.state.leading))).toBe(false);
    });

    it('a member that was given another configuration is not recorded', () => {
      const world = new World(protocol, 3);
      world.start('a');
      world.start('b');
      world.start('c', { configurationHash: 'another' });
      expect(world.run(MINUTE, () => world.leader() !== undefined)).toBe(false);
      expect((world.running.get('a') as Process).events).toContainEqual({ kind: 'configurationMismatch', peer: 'c' });
    });

    it('drops what another incarnation says in the name of a member', () => {
      const world = elected(protocol);
      const [a, b] = [world.running.get('a') as Process, world.running.get('b') as Process];
      world.run(10_000, () => false);
      const sent = world.flights.length;
      expect(sent).toBe(0);
      const forged = { ...b.state, options: { ...b.state.options, incarnation: 999 } };
      const before = a.state.core;
      b.state = forged;
      world.propose(b, 'forged');
      world.deliver(0);
      expect(a.state.core === before || all(world).length === 3).toBe(true);
      expect(all(world).flatMap((each) => each.events)).toContainEqual(
        expect.objectContaining({ kind: 'dropped', peer: 'b' }),
      );
    });

    it('a cluster of one needs nobody', () => {
      const world = elected(protocol, 1);
      const [only] = all(world) as [Process];
      const call = world.propose(only, 'x');
      expect(world.run(MINUTE, () => only.ended.has(call))).toBe(true);
    });
  });

  it('fails what never left with none, and what was sent with unknown, when its time is over', () => {
    const world = elected(protocol);
    const leader = world.leader() as Process;
    for (const process of all(world)) if (process !== leader) world.crash(process.id);
    const sent = world.propose(leader, 'sent', world.now + 500);
    expect(world.run(MINUTE, () => leader.ended.has(sent))).toBe(true);
    expect(leader.ended.get(sent)?.failure).toMatchObject({ code: 'ERR_OUTCOME_UNKNOWN', outcome: 'unknown' });
    world.run(10_000, () => leader.state.leader === null);
    const never = world.propose(leader, 'never', world.now + 500);
    expect(world.run(MINUTE, () => leader.ended.has(never))).toBe(true);
    expect(leader.ended.get(never)?.failure).toMatchObject({ code: 'ERR_NO_LEADER', outcome: 'none' });
  });

  it('refuses what is more than may wait, and nothing is lost of the rest', () => {
    const world = new World(protocol, 3);
    const process = world.start('a', { maxWaiting: 2 });
    const calls = [1, 2, 3].map((number) => world.propose(process, String(number)));
    expect(process.ended.get(calls[2] as number)?.failure).toMatchObject({ code: 'ERR_BUSY', outcome: 'none' });
    world.start('b');
    world.start('c');
    expect(world.run(MINUTE, () => process.ended.has(calls[1] as number))).toBe(true);
    expect(process.applied).toEqual(['1', '2']);
  });

  it('opens a new origin when the table dropped its own, and no command takes effect twice', () => {
    const world = new World(protocol, 3, { sessionBytes: 1024 });
    world.resultBytes = 600;
    world.startAll();
    expect(world.run(MINUTE, () => world.leader() !== undefined)).toBe(true);
    const [process] = all(world) as [Process];
    const sessions = new Set<number>();
    const calls: [number, string][] = [];
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 20; i++) {
        const name = `${round}.${i}`;
        calls.push([world.propose(process, name), name]);
      }
      expect(world.run(MINUTE, () => process.ended.has((calls[calls.length - 20] as [number, string])[0]))).toBe(true);
      sessions.add(process.state.session);
    }
    expect(world.run(10 * MINUTE, () => calls.every(([call]) => process.ended.has(call)))).toBe(true);
    expect(sessions.size).toBeGreaterThan(1);
    for (const [call, name] of calls) expect(process.ended.get(call)?.result, name).toBeDefined();
    expect(new Set(process.applied).size).toBe(process.applied.length);
    expect(process.applied.length).toBe(calls.length);
  });

  it('a failed storage halts the replica and ends every request', () => {
    const world = elected(protocol);
    const leader = world.leader() as Process;
    const call = world.propose(leader, 'x');
    world.step(leader, { kind: 'storageFailed', reason: 'disk on fire' });
    expect(leader.ended.get(call)?.failure).toMatchObject({ code: 'ERR_STORAGE_FAILED', outcome: 'unknown' });
    expect(leader.state.phase).toBe('halted');
    expect(leader.state.leading).toBe(false);
    world.flights = [];
    const after = world.propose(leader, 'y');
    expect(leader.ended.get(after)?.failure?.outcome).toBe('none');
    expect(world.flights).toEqual([]);
  });

  it('what a peer sends cannot stop it', () => {
    const world = elected(protocol);
    const leader = world.leader() as Process;
    const dice = new Dice(5);
    for (let i = 0; i < 2000; i++) {
      const bytes = Uint8Array.from({ length: dice.roll(40) }, (_, at) =>
        at === 0 ? 1 : at === 1 ? dice.roll(5) : dice.roll(256),
      );
      world.step(leader, { kind: 'message', from: ['a', 'b', 'c', 'stranger'][dice.roll(4)] as string, bytes });
    }
    expect(leader.state.phase).toBe('running');
    const call = world.propose(leader, 'still here');
    expect(world.run(MINUTE, () => leader.ended.has(call))).toBe(true);
  });

  it('loses no acknowledged write and applies none twice, through loss, repetition and crashes', () => {
    let acknowledged = 0;
    let lost = 0;
    for (let seed = 1; seed <= 25; seed++) {
      const dice = new Dice(seed * 104_729);
      const world = new World(protocol, 3 + 2 * (seed % 2), { sessionWindow: 8 });
      world.startAll();
      world.run(MINUTE, () => world.leader() !== undefined);
      const asked: [Process, number, string][] = [];
      for (let turn = 0; turn < 400; turn++) {
        const processes = all(world);
        const process = processes[dice.roll(processes.length)];
        switch (dice.roll(10)) {
          case 0:
          case 1:
            if (process === undefined) break;
            asked.push([process, world.propose(process, `${seed}.${turn}`, world.now + 20_000), `${seed}.${turn}`]);
            break;
          case 2:
            if (world.flights.length > 0 && dice.roll(3) === 0)
              (world.flights.splice(dice.roll(world.flights.length), 1), lost++);
            break;
          case 3:
            if (world.flights.length > 0) world.deliver(dice.roll(world.flights.length), true);
            break;
          case 4:
            if (process !== undefined && dice.roll(6) === 0) world.crash(process.id);
            break;
          case 5:
            for (const id of world.disks.keys()) if (!world.running.has(id) && dice.roll(2) === 0) world.start(id);
            break;
          case 6:
            world.run(dice.roll(400), () => dice.roll(8) === 0);
            break;
          default:
            if (process !== undefined && dice.roll(2) === 0) world.sync(process);
            if (world.flights.length > 0) world.deliver(dice.roll(world.flights.length));
        }
      }
      for (const id of world.disks.keys()) if (!world.running.has(id)) world.start(id);
      const level = (): boolean =>
        new Set(all(world).map((each) => each.state.applied)).size === 1 && world.leader() !== undefined;
      const ended = (): boolean =>
        asked.every(([process, call]) => world.running.get(process.id) !== process || process.ended.has(call));
      expect(
        world.run(5 * MINUTE, () => level() && ended()),
        `seed ${seed}`,
      ).toBe(true);
      for (const each of all(world)) {
        expect(new Set(each.applied).size, `seed ${seed}: none twice on ${each.id}`).toBe(each.applied.length);
        expect(each.applied).toEqual(all(world)[0]?.applied);
      }
      const there = new Set(all(world)[0]?.applied);
      for (const [process, call, name] of asked) {
        const end = process.ended.get(call);
        if (end?.result !== undefined) acknowledged++;
        if (end?.result !== undefined) expect(there.has(name), `seed ${seed}: ${name} is kept`).toBe(true);
        if (end?.failure?.outcome === 'none')
          expect(there.has(name), `seed ${seed}: ${name} had no effect`).toBe(false);
      }
    }
    expect(acknowledged).toBeGreaterThan(100);
    expect(lost).toBeGreaterThan(20);
  });
});
