/**
 * A crash at every write of every replica, in a run that has two elections, commands that nobody hears of, and a
 * conflict. The write is lost; then all goes on. The rig's world checks every step on the way.
 */

import { describe, expect, it } from 'vitest';
import { apply, createWorld, type Action, type World } from 'quorate/testing';
import type { AnyModel } from '../../src/core/model.js';
import type { Entry } from '../../src/core/protocol.js';
import { recovered } from '../../src/testing/world/disk.js';
import { committedIn, each, leaderOf, models, pass, play } from '../play.js';
import { wideLimits } from '../values.js';

const IDS = ['n1', 'n2', 'n3'];
const SCRIPT = `
  elect n1
  ${each(['a', 'b', 'c'], (word) => `propose n1 ${word}`)}
  quiesce
  isolate n1
  propose n1 only-here
  propose n1 and-this
  quiesce n1
  campaign n2
  quiesce n2 n3
  expect n2 leader
  ${each(['d', 'e', 'f'], (word) => `propose n2 ${word}`)}
  quiesce n2 n3
  heal
  propose n3 g
  quiesce
  run 1500`;
const HEADER = ['program: core', 'preVote: no', 'limits: messageBytes=120', 'constants: alpha=4'];

const wordOf = ({ kind, data }: Entry): string => (kind === 'command' ? Buffer.from(data).toString() : kind);

/** The world after each action of the script, and where a replica is told that it wrote. */
function course(model: AnyModel): { worlds: World[]; acts: readonly Action[]; writes: (readonly [string, number])[] } {
  const { actions: acts } = play(model, SCRIPT, { header: HEADER });
  const limits = { messageBytes: 120 };
  const worlds = [createWorld({ model, program: 'core', tuning: { limits, preVote: false }, constants: { alpha: 4 } })];
  for (const act of acts) worlds.push(apply(worlds.at(-1) as World, act));
  const writes = acts.flatMap((act, at) => (act.kind === 'written' ? [[act.replica, at] as const] : []));
  return { worlds, acts, writes };
}

describe.each(models)('$protocol.name', (model) => {
  const { worlds, acts, writes } = course(model);
  const last = worlds.at(-1) as World;

  it('has a script worth its name: everything committed, two leaders, a conflict', () => {
    const words = committedIn(last).map(wordOf);
    expect(words.filter((word) => word !== 'noop').map((word) => word.replace(/[^a-z-]/g, ''))).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
      'f',
      'g',
    ]);
    const values = (index: number): readonly string[] => {
      const found = worlds.flatMap(({ slots }) => slots.map(({ disk }) => disk.cells[index]?.stored.data));
      return [...new Set(found.filter((data) => data !== undefined).map((data) => Buffer.from(data).toString('hex')))];
    };
    expect(Math.max(...words.map((_, at) => values(at + 1).length))).toBeGreaterThan(1);
    expect(writes.length).toBeGreaterThan(20);
  });

  it('has nothing on a disk, at any moment, that contradicts what its hard state says is committed', () => {
    const committed = committedIn(last).map(wordOf);
    let checked = 0;
    for (const [id, at] of writes) {
      const disk = (worlds[at + 1] as World).slots[IDS.indexOf(id)]?.disk;
      if (disk === undefined) throw new Error('no disk');
      const { hard, tail } = recovered(disk, model.protocol.durable, wideLimits);
      const commit = hard?.commit ?? 0;
      const there = new Map(tail.map((entry) => [entry.index, wordOf(entry)]));
      for (let index = 1; index <= commit; index++, checked++) expect(there.get(index)).toBe(committed[index - 1]);
    }
    expect(checked).toBeGreaterThan(0);
  });

  it.each(writes)('%s loses the write of action %i', (replica, at) => {
    let world = worlds[at] as World;
    world = apply(world, { kind: 'crash', at: world.now, replica, keep: false });
    world = apply(world, { kind: 'restart', at: world.now, replica });
    for (const act of acts.slice(at + 1)) world = apply(world, act);
    world = pass(world, 3000);
    // With something new behind it, what was overwritten ends, too.
    for (const id of IDS)
      world = apply(world, { kind: 'propose', at: world.now, replica: id, command: id, timeout: 2000 });
    world = pass(world, 3000);
    const leader = leaderOf(world);
    const committed = committedIn(world);
    expect(leader.commit).toBe(committed.length);
    for (const { id, effects, process } of world.slots) {
      const status = model.protocol.status(world.rules.program.core(process));
      expect([id, status.commit, effects]).toEqual([id, committed.length, world.record.effects.length]);
    }
    expect(world.record.calls.filter(({ end }) => end === null)).toEqual([]);
  });
});
