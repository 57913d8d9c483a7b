/** A world is a value: forks see only their own past, nothing changes an old world, what fits nothing changes nothing. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DurableCodec } from '../../../src/core/protocol.js';
import { multipaxosModel } from '../../../src/multipaxos/evidence/model.js';
import { raftModel } from '../../../src/raft/evidence/model.js';
import type { StorageOp } from '../../../src/replica/storage.js';
import type { Action, Happening } from '../../../src/testing/world/actions.js';
import { LiveDiskView, newDisk, read, recovered, written, type WorldDisk } from '../../../src/testing/world/disk.js';
import { deepFreeze, sameDeep } from '../../../src/testing/world/laws.js';
import { appended, emptyLedger, type Ledger } from '../../../src/testing/world/ledger.js';
import type { MachineSpec } from '../../../src/testing/world/machine.js';
import { Turn } from '../../../src/testing/world/turn.js';
import type { Link, Slot, World } from '../../../src/testing/world/state.js';
import { actions, apply, createWorld, dueAt } from '../../../src/testing/world/world.js';
import { amount } from '../../amount.js';
import { play } from '../../play.js';

/** Remembers its commands in their order, so that it shows what a fork saw. */
const listing: MachineSpec<number> = {
  create() {
    const seen: number[] = [];
    return {
      apply: (command: number) => seen.push(command),
      snapshot: () => [...seen],
      restore: (snapshot: readonly number[]) => void seen.splice(0, Infinity, ...snapshot),
    };
  },
};

const WORLDS = [raftModel, multipaxosModel].flatMap((model) =>
  (['driver', 'core'] as const).map((program) => ({ name: `${model.protocol.name}, ${program}`, model, program })),
);

function itemsOf<T>({ items, length }: Ledger<T>): readonly T[] {
  return items.slice(0, length);
}

function diskOf({ incarnation, boot, values, last, cells }: WorldDisk): unknown {
  return { incarnation, boot, values, last, cells: cells.slice(0, last + 1).map((cell) => cell?.stored) };
}

/** Everything that can be seen of a world, as far as it may be compared. */
function viewOf(world: World): unknown {
  const { now, slots, links, record, ghost, incarnations } = world;
  const turn = new Turn(world);
  const seen = slots.map(({ machine: _, disk, wiped, ...rest }, place) => {
    return { ...rest, disk: diskOf(disk), wiped: wiped && diskOf(wiped), machine: turn.machine(place).snapshot() };
  });
  const { committed, effects, ...calls } = record;
  return { now, seen, links, ghost, incarnations, calls, committed: itemsOf(committed), effects: itemsOf(effects) };
}

/** A copy that shares nothing with what it was made of. */
function copyOf(view: unknown): unknown {
  return structuredClone(view);
}

/** All of a world but what forks share behind their backs: lists that only grow, machines, what was decoded already. */
function freeze(world: World): void {
  const { slots, links, record } = world;
  for (const slot of slots) {
    const { disk: _, wiped: _wiped, machine: _machine, ...rest } = slot;
    for (const value of Object.values(rest)) deepFreeze(value);
    Object.freeze(slot);
  }
  deepFreeze(links);
  deepFreeze(record.calls);
  for (const value of [slots, record, world]) Object.freeze(value);
}

/** What anybody could do here: what happens of itself, callers, and faults. */
function choices(world: World, step: number): readonly Action[] {
  const { now, rules } = world;
  const { ids } = rules;
  const each = ids.flatMap((replica): Happening[] => [
    { kind: 'timeout', replica },
    { kind: 'propose', replica, command: step, timeout: Infinity },
    { kind: 'read', replica, minIndex: null, timeout: Infinity },
    { kind: 'crash', replica, keep: step % 2 === 0 },
    { kind: 'restart', replica },
    { kind: 'failStorage', replica, keep: step % 3 === 0 },
    { kind: 'fill', replica, room: step % 2 },
    { kind: 'free', replica },
    { kind: 'leap', replica, by: 40 },
    { kind: step % 2 === 0 ? 'pause' : 'resume', replica },
  ]);
  const natural = actions(world).filter(({ kind }) => kind !== 'tick');
  // Mostly what happens of itself, or nothing would ever be committed.
  if (step % 9 > 1 && natural.length > 0) return natural;
  if (step % 9 === 1) return [{ kind: 'propose', at: now, replica: 'n1', command: step, timeout: Infinity }];
  return [...actions(world), ...each.map((happening): Action => ({ ...happening, at: now }))];
}

/** What makes n1 lead and brings everything to rest; no time passes. */
function beginning(first: World): readonly Action[] {
  const path: Action[] = [];
  let world = first;
  let next: Action | undefined = { kind: 'timeout', at: 0, replica: 'n1' };
  for (; next !== undefined; next = actions(world).find(({ kind }) => kind !== 'tick')) {
    path.push(next);
    world = apply(world, next);
  }
  return path;
}

describe.each(WORLDS)('a world ($name)', ({ model, program }) => {
  test('gives every fork its own past, and never changes', () => {
    const draw = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 40, maxLength: 150 });
    let committed = 0;
    fc.assert(
      fc.property(draw, fc.boolean(), (draws, eager) => {
        const options = { model, program, machine: listing, eager: { written: eager, applied: eager, loaded: eager } };
        const led = beginning(createWorld(options));
        const first = led.reduce((world, action) => apply(world, action), createWorld(options));
        const worlds = [{ world: first, path: led, view: copyOf(viewOf(first)) }];
        freeze(first);
        draws.forEach(([from, what], step) => {
          // Mostly on from the last one, now and then from any.
          const at = from % 4 === 0 ? from % worlds.length : worlds.length - 1;
          const { world, path } = worlds[at] as (typeof worlds)[number];
          const possible = choices(world, step);
          const action = possible[what % possible.length] as Action;
          const next = apply(world, action);
          freeze(next);
          worlds.push({ world: next, path: [...path, action], view: copyOf(viewOf(next)) });
        });
        for (const { world, path, view } of worlds) {
          expect(sameDeep(viewOf(world), view)).toBe(true);
          committed = Math.max(committed, world.record.committed.length);
          // By itself, in one turn, without any fork beside it.
          if (path.length % 7 !== 0) continue;
          const turn = new Turn(createWorld(options));
          for (const action of path) turn.run(action);
          expect(sameDeep(viewOf(turn.finish()), view)).toBe(true);
        }
      }),
      // Shorter ones would take minutes to find.
      { numRuns: amount(8, 25), seed: 4, endOnFailure: true },
    );
    expect(committed).toBeGreaterThan(2);
  }, 60_000);

  test('lists what can happen of itself: nothing that cannot, and nothing twice', () => {
    let world = createWorld({ model, program });
    for (let step = 0; step < 80; step++) {
      const { now, slots, links, rules } = world;
      const awake = slots.filter(({ process, paused }) => process !== null && !paused);
      const expected = [
        ...awake
          .filter(({ writing, durable, room }) => writing !== null && (durable || room !== 0))
          .map(({ id }) => `written ${id}`),
        ...awake.filter(({ applying }) => applying !== null).map(({ id }) => `applied ${id}`),
        ...awake.filter(({ loads }) => loads.length > 0).map(({ id }) => `loaded ${id}`),
        ...awake.filter((slot) => dueAt(rules, slot, now) < Infinity).map(({ id }) => `tick ${id}`),
        ...links.flatMap(({ flights }, at) => {
          const to = slots[at % 3] as Slot;
          const link = `deliver ${(slots[Math.floor(at / 3)] as Slot).id} ${to.id}`;
          return to.paused ? [] : flights.map(({ ordinal }) => `${link} ${ordinal}`);
        }),
      ];
      const listed = actions(world);
      const words = listed.map((action) => {
        if (action.kind === 'deliver') return `deliver ${action.from} ${action.to} ${action.pick}`;
        return 'replica' in action ? `${action.kind} ${action.replica}` : action.kind;
      });
      expect(words.sort()).toEqual(expected.sort());
      for (const action of listed) {
        expect(action.at).toBeGreaterThanOrEqual(now);
        const before = viewOf({ ...world, now: action.at });
        if (action.kind !== 'tick') expect(sameDeep(viewOf(apply(world, action)), before)).toBe(false);
      }
      const possible = choices(world, step);
      world = apply(world, possible[(Math.imul(step, 0x9e3779b1) >>> 16) % possible.length] as Action);
    }
  });

  test('is not changed by what fits nothing', () => {
    let world = createWorld({ model, program, eager: { written: true, applied: true, loaded: true } });
    const steps: readonly Happening[] = [
      { kind: 'crash', replica: 'n2', keep: false },
      { kind: 'pause', replica: 'n3' },
      { kind: 'cut', from: 'n1', to: 'n2' },
    ];
    for (const step of steps) world = apply(world, { ...step, at: 0 });
    for (const { from, to } of linksOf(world)) {
      while (linkOf(world, from, to).flights.length > 0)
        world = apply(world, { kind: 'drop', at: 0, from, to, pick: '' });
    }
    const [gone, still, link] = [{ replica: 'n2' }, { replica: 'n3' }, { from: 'n1', to: 'n3' }];
    const missing = (kind: 'deliver' | 'duplicate' | 'drop'): Happening[] =>
      [1, 'Append', '', 'nothing #2'].map((pick) => ({ kind, ...link, pick }));
    const idle: Record<Happening['kind'], readonly Happening[]> = {
      deliver: missing('deliver'),
      duplicate: missing('duplicate'),
      drop: missing('drop'),
      tick: [gone, still].map((who) => ({ kind: 'tick', ...who })),
      timeout: [gone, still].map((who) => ({ kind: 'timeout', ...who })),
      sync: [gone, still, { replica: 'n1' }].map((who) => ({ kind: 'sync', ...who })),
      written: [gone, still, { replica: 'n1' }].map((who) => ({ kind: 'written', ...who })),
      applied: [gone, still, { replica: 'n1' }].map((who) => ({ kind: 'applied', ...who })),
      loaded: [gone, still, { replica: 'n1' }].map((who) => ({ kind: 'loaded', ...who })),
      snapshotted: [gone, still].map((who) => ({ kind: 'snapshotted', ...who, fails: false })),
      restored: [gone, still].map((who) => ({ kind: 'restored', ...who })),
      compact: [gone, still].map((who) => ({ kind: 'compact', ...who })),
      install: [gone, still].map((who) => ({ kind: 'install', ...who, peer: 'n1' })),
      crash: [{ kind: 'crash', ...gone, keep: true }],
      restart: [
        { kind: 'restart', replica: 'n1' },
        { kind: 'restart', ...still },
      ],
      // There is always a disk to lose: nothing makes this idle.
      wipe: [],
      // A clock is set also where nothing runs.
      wall: [],
      failStorage: [{ kind: 'failStorage', ...gone, keep: true }],
      fill: [gone, still].map((who) => ({ kind: 'fill', ...who, room: 1 })),
      free: [gone, still, { replica: 'n1' }].map((who) => ({ kind: 'free', ...who })),
      cut: [{ kind: 'cut', from: 'n1', to: 'n2' }],
      heal: [{ kind: 'heal', ...link }],
      pause: [
        { kind: 'pause', ...gone },
        { kind: 'pause', ...still },
      ],
      resume: [
        { kind: 'resume', ...gone },
        { kind: 'resume', replica: 'n1' },
      ],
      leap: [{ kind: 'leap', replica: 'n1', by: 0 }],
      rate: [{ kind: 'rate', replica: 'n1', rate: 1 }],
      propose: [gone, still].map((who) => ({ kind: 'propose', ...who, command: 1, timeout: 5 })),
      read: [gone, still].map((who) => ({ kind: 'read', ...who, minIndex: null, timeout: 5 })),
      cancel: [{ kind: 'cancel', calls: [1, 7] }],
      campaign: [gone, still].map((who) => ({ kind: 'campaign', ...who })),
      stop: [gone, still].map((who) => ({ kind: 'stop', ...who })),
      transfer: [gone, still].map((who) => ({ kind: 'transfer', ...who, to: null, timeout: 5 })),
      leave: [gone, still].map((who) => ({ kind: 'leave', ...who, timeout: 5 })),
      // A transport can always begin to refuse.
      refuse: [],
      accept: [{ kind: 'accept', ...link, lane: 'bulk' }],
      disconnect: [gone, still].map((who) => ({ kind: 'disconnect', ...who, peer: 'n1', lane: 'bulk' })),
      unreachable: [gone, still].map((who) => ({ kind: 'unreachable', ...who, peer: 'n1' })),
      wait: [{ kind: 'wait' }],
    };
    const view = copyOf(viewOf(world));
    for (const happening of Object.values(idle).flat()) {
      expect({ happening, same: sameDeep(viewOf(apply(world, { ...happening, at: 0 })), view) }).toEqual({
        happening,
        same: true,
      });
    }
  });
});

function linksOf({ rules }: World): { from: string; to: string }[] {
  return rules.ids.flatMap((from) => rules.ids.filter((to) => to !== from).map((to) => ({ from, to })));
}

function linkOf({ rules, links }: World, from: string, to: string): Link {
  return links[rules.ids.indexOf(from) * rules.ids.length + rules.ids.indexOf(to)] as Link;
}

describe('after a violation', () => {
  const eager = { written: true, applied: true, loaded: true };

  test('another fork goes on from the world before, as if nothing had been', () => {
    // Whoever stands for election breaks a rule.
    const model = {
      ...raftModel,
      safety: {
        ...raftModel.safety,
        step(...[ghost, fact, cluster]: Parameters<typeof raftModel.safety.step>) {
          if (fact.inbound?.kind === 'campaign') throw new Error('campaigned');
          return raftModel.safety.step(ghost, fact, cluster);
        },
      },
    };
    const world = createWorld({ model, eager });
    expect(() => apply(world, { kind: 'campaign', at: 0, replica: 'n1' })).toThrow(/^campaigned$/);
    expect(world.rules.watch.facts).not.toEqual([]);
    const after = apply(world, { kind: 'tick', at: 1, replica: 'n2' });
    const alone = apply(createWorld({ model: raftModel, eager }), { kind: 'tick', at: 1, replica: 'n2' });
    expect(sameDeep(viewOf(after), viewOf(alone))).toBe(true);
  });

  test('a machine that failed half-way through a batch is none that another fork meets', () => {
    let healthy = false;
    const machine: MachineSpec<string> = {
      create() {
        const seen: string[] = [];
        return {
          apply(command: string) {
            if (command === 'bad' && !healthy) throw new Error('no');
            return seen.push(command);
          },
          snapshot: () => [...seen],
          restore: () => undefined,
        };
      },
    };
    const propose = (command: string): Action => ({
      kind: 'propose',
      at: 0,
      replica: 'n1',
      command,
      timeout: Infinity,
    });
    let world = createWorld({ model: raftModel, program: 'core', replicas: 1, machine });
    const happen = (action: Action): void => void (world = apply(world, action));
    const rest = (...kinds: string[]): void => {
      for (let next = find(kinds); next !== undefined; next = find(kinds)) happen(next);
    };
    const find = (kinds: string[]): Action | undefined => actions(world).find(({ kind }) => kinds.includes(kind));
    happen({ kind: 'timeout', at: 0, replica: 'n1' });
    rest('written', 'applied', 'loaded');
    // The machine is busy with the first while the others are committed: they come as one batch.
    happen(propose('first'));
    rest('written', 'loaded');
    for (const command of ['good', 'bad']) happen(propose(command));
    rest('written', 'loaded');
    happen({ kind: 'applied', at: 0, replica: 'n1' });
    expect(world.slots[0]?.applying).toHaveLength(2);
    const applied: Action = { kind: 'applied', at: 0, replica: 'n1' };
    expect(() => apply(world, applied)).toThrow(/^machine\/never-fails: the state machine failed at n1/);
    healthy = true;
    expect(new Turn(world).machine(0).snapshot()).toEqual(['first']);
    expect(new Turn(apply(world, applied)).machine(0).snapshot()).toEqual(['first', 'good', 'bad']);
  });

  test('a replica that gives up its identity with its disk in its hands is found out', () => {
    const first = createWorld({ model: raftModel, eager });
    const [slot, ...others] = first.slots as [Slot, ...Slot[]];
    // Another disk, behind the back of the world.
    let world: World = { ...first, slots: [{ ...slot, disk: newDisk(2001) }, ...others] };
    const run = (): void => {
      for (const kind of ['crash', 'restart'] as const)
        world = apply(world, { kind, at: 0, replica: 'n1', keep: false });
      for (let step = 0; step < 50; step++) {
        const next = actions(world).find(({ kind }) => kind === 'deliver');
        if (next !== undefined) world = apply(world, next);
      }
    };
    expect(run).toThrow(/^identity\/kept-with-its-disk: .*: n1 gave it up$/);
  });
});

describe('a disk', () => {
  const stored = fc.record({ term: fc.integer({ min: 1, max: 3 }), data: fc.uint8Array({ maxLength: 4 }) });
  const index = fc.integer({ min: 1, max: 12 });
  const op: fc.Arbitrary<StorageOp> = fc.oneof(
    fc.tuple(index, fc.array(stored, { minLength: 1, maxLength: 3 })).map(
      ([from, entries]): StorageOp => ({
        kind: 'put',
        entries: entries.map((each, at) => ({ ...each, index: from + at })),
      }),
    ),
    index.map((from): StorageOp => ({ kind: 'truncate', from })),
    fc
      .tuple(fc.constantFrom('a', 'b'), fc.uint8Array({ maxLength: 2 }))
      .map(([key, value]): StorageOp => ({ kind: 'set', key, value })),
  );
  const durable = {
    decodeEntry: (at: number, term: number, data: Uint8Array) => ({ index: at, term, kind: 'command', id: null, data }),
    decodeHard: () => null,
    tailFrom: () => 1,
  } as unknown as DurableCodec;

  /** What a disk holds, in the plainest way. */
  interface Plain {
    readonly values: ReadonlyMap<string, Uint8Array>;
    readonly entries: ReadonlyMap<number, { readonly index: number; readonly term: number; readonly data: Uint8Array }>;
  }

  function plainly({ values, entries }: Plain, ops: readonly StorageOp[]): Plain {
    const next = { values: new Map(values), entries: new Map(entries) };
    for (const each of ops) {
      if (each.kind === 'set') next.values.set(each.key, each.value);
      else if (each.kind === 'put') for (const entry of each.entries) next.entries.set(entry.index, entry);
      else if (each.kind === 'truncate') {
        for (const at of [...next.entries.keys()]) if (at >= each.from) next.entries.delete(at);
      }
    }
    return next;
  }

  test('is what was written to it, however many go on from it', () => {
    const writes = fc.array(fc.tuple(fc.nat(), fc.array(op, { minLength: 1, maxLength: 4 })), { maxLength: 40 });
    fc.assert(
      fc.property(writes, (given) => {
        const versions = [{ disk: newDisk(1), plain: { values: new Map(), entries: new Map() } as Plain }];
        for (const [from, ops] of given) {
          const at = from % 3 === 0 ? from % versions.length : versions.length - 1;
          const { disk, plain } = versions[at] as (typeof versions)[number];
          versions.push({ disk: written(disk, ops), plain: plainly(plain, ops) });
        }
        for (const { disk, plain } of versions) {
          const entries = [...plain.entries.values()].sort((a, b) => a.index - b.index);
          const last = entries.at(-1)?.index ?? 0;
          expect(disk.values).toEqual(plain.values);
          expect(read(disk, 1, 99, Infinity)).toEqual(entries);
          const view = new LiveDiskView(
            () => disk,
            durable,
            () => undefined,
          );
          expect(view.last).toBe(last);
          for (let at = 1; at <= 16; at++) expect(view.entry(at)?.data).toEqual(plain.entries.get(at)?.data);
          const { tail, runs } = recovered(disk, durable, {} as never);
          expect(tail.map((entry) => entry.index)).toEqual(entries.map((entry) => entry.index));
          const starts = entries.filter((entry, at) => entries[at - 1]?.term !== entry.term);
          expect(runs).toEqual(starts.map((entry) => ({ from: entry.index, term: entry.term })));
        }
      }),
      { numRuns: 300, seed: 4 },
    );
  });

  test('gives at least one entry and keeps within the bytes otherwise', () => {
    fc.assert(
      fc.property(
        fc.array(stored, { maxLength: 9 }),
        index,
        index,
        fc.nat({ max: 12 }),
        (entries, from, to, maxBytes) => {
          const all = entries.map((each, at) => ({ ...each, index: at + 1 }));
          const disk = written(newDisk(1), [{ kind: 'put', entries: all }]);
          const asked = all.filter((entry) => entry.index >= from && entry.index <= to);
          const given = read(disk, from, to, maxBytes);
          expect(given).toEqual(asked.slice(0, given.length));
          const bytes = (some: typeof all): number => some.reduce((sum, { data }) => sum + data.length, 0);
          if (given.length !== 1) expect(bytes(asked.slice(0, given.length))).toBeLessThanOrEqual(maxBytes);
          if (given.length < asked.length) expect(bytes(asked.slice(0, given.length + 1))).toBeGreaterThan(maxBytes);
          expect(given.length > 0).toBe(asked.length > 0);
        },
      ),
      { seed: 4 },
    );
  });
});

test('a ledger is what was appended to it, however many go on from it', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 80 }), (draws) => {
      const versions: { ledger: Ledger<number>; plain: readonly number[] }[] = [{ ledger: emptyLedger(), plain: [] }];
      draws.forEach((from, item) => {
        const at = from % 3 === 0 ? from % versions.length : versions.length - 1;
        const { ledger, plain } = versions[at] as (typeof versions)[number];
        versions.push({ ledger: appended(ledger, item), plain: [...plain, item] });
      });
      for (const { ledger, plain } of versions) expect(itemsOf(ledger)).toEqual(plain);
    }),
    { numRuns: 300, seed: 4 },
  );
});

test('what two machines show is compared all the way down, maps and sets too', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(3))), fc.array(fc.tuple(fc.nat(3), fc.nat(3))), (a, b) => {
      const [first, second] = [new Map(a), new Map(b)];
      const same = JSON.stringify([...first]) === JSON.stringify([...second]);
      expect(sameDeep({ first }, { first: second })).toBe(same);
      expect(sameDeep(new Set(first.keys()), new Set(second.keys()))).toBe(
        JSON.stringify([...first.keys()]) === JSON.stringify([...second.keys()]),
      );
      expect(sameDeep(new Map(a), a)).toBe(false);
    }),
    { seed: 4 },
  );
});

test.each([raftModel, multipaxosModel])(
  'a bare core of $protocol.name serves no read while its machine is restored',
  (model) => {
    const taken = 'elect n1\npropose n1 x\nquiesce\ncompact n1\nsnapshotted n1\nquiesce\ncrash n1 keep\nrestart n1';
    const header = ['program: core'];
    const { trace } = play(model, `${taken}\nread n1 min=0 timeout=2000\nrestored n1`, { header });
    expect(trace).toContain('restored n1');
    expect(trace.indexOf('call 2 served')).toBeGreaterThan(trace.indexOf('restored n1'));
  },
);
