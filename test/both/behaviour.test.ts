/** What a user relies on, in one body for both protocols: bare cores in the rig's world. */

import { describe, expect, it } from 'vitest';
import type { ScenarioRun, World } from 'quorate/testing';
import type { Inbound } from '../../src/core/protocol.js';
import type { CoreProcess } from '../../src/testing/world/core-process.js';
import { calls, committedIn, coreOf, each, leaderOf, models, play, statusOf } from '../play.js';
import { proposal, smallLimits, timing } from '../values.js';

const { electionMax } = timing;
const settings = (of: object): string =>
  Object.entries(of)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
const HEADER = [
  'program: core',
  `timing: ${settings(timing)}`,
  `limits: ${settings(smallLimits)}`,
  'constants: alpha=64',
];

/** Somebody leads, and all know it. */
const LED = `run ${10 * electionMax} until leaders one\nrun ${4 * timing.heartbeat}`;
const PATIENCE = 5 * electionMax;

const acknowledged = (from: number, to: number): string =>
  each(calls(from, to), (n) => `expect call ${n} acknowledged`);

function callOf({ record }: World, call: number) {
  const found = record.calls[call - 1];
  if (found === undefined) throw new Error(`nobody made call ${call}`);
  return found;
}

/** How a call that failed ended, and why. */
function failureOf(world: World, call: number): string {
  const { end } = callOf(world, call);
  return end?.kind === 'failed' ? `${end.failure.outcome} ${end.failure.message}` : String(end?.kind);
}

function appliedAt({ slots }: World): readonly number[] {
  return slots.map(({ effects }) => effects);
}

describe.each(models)('$protocol.name', (model) => {
  const { protocol } = model;
  const run = (script: string, size = 3): ScenarioRun =>
    play(model, script, { header: [`replicas: ${size}`, ...HEADER] });

  it('a single member elects itself, once its own vote is durable, and commits', () => {
    const { world } = run(
      `
      ${each(calls(1, 5), () => 'timeout n1')}
      expect leaders none
      quiesce
      expect leaders n1
      ${each(['a', 'b', 'c'], (word) => `propose n1 ${word}`)}
      quiesce
      ${acknowledged(1, 3)}
      read n1
      quiesce
      expect call 4 served
      crash n1 lose
      restart n1
      ${LED}
      propose n1 d
      quiesce
      expect call 5 acknowledged
      expect n1 applied a b c d`,
      1,
    );
    expect(statusOf(world, 'n1').role).toBe('leader');
  });

  it('asked to campaign, a single member leads without waiting for its timeout', () => {
    const { world } = run('campaign n1\nquiesce\nexpect leaders n1', 1);
    expect(world.now).toBe(0);
  });

  it('three elect one and commit what any of them is asked', () => {
    run(`
      ${LED}
      ${each(['n1', 'n2', 'n3'], (id) => `propose ${id} a\npropose ${id} b`)}
      run ${PATIENCE}
      ${acknowledged(1, 6)}
      ${each(['n1', 'n2', 'n3'], (id) => `read ${id}`)}
      run ${electionMax}
      ${each(calls(7, 9), (n) => `expect call ${n} served`)}`);
  });

  it('without a leader a proposal ends at once, without effect', () => {
    run('propose n1 a\npropose n1 b\nexpect call 1 failed none\nexpect call 2 failed none');
  });

  it('a crashed leader is replaced, and comes back as a follower that catches up', () => {
    const script = `
      elect n1
      propose n1 a
      propose n1 b
      quiesce
      ${acknowledged(1, 2)}
      crash n1 lose
      run ${PATIENCE} until leaders one`;
    const next = leaderOf(run(script).world);
    const { world } = run(`
      ${script}
      ${each(['c', 'd', 'e'], (word) => `propose ${next.id} ${word}`)}
      quiesce
      ${acknowledged(3, 5)}
      restart n1
      run ${PATIENCE}
      expect n1 follower
      expect n1 applied a b c d e`);
    expect([leaderOf(world).id, leaderOf(world).term]).toEqual([next.id, next.term]);
    expect(statusOf(world, 'n1').leader).toBe(next.id);
  });

  it('all crash at once and nothing acknowledged is lost', () => {
    const everybody = 'n1 n2 n3 n4 n5'.split(' ');
    const { world } = run(
      `
      elect n1
      ${each(calls(1, 12), (n) => `propose n1 ${n}`)}
      quiesce
      ${acknowledged(1, 12)}
      ${each(everybody, (id) => `crash ${id} lose`)}
      ${each(everybody, (id) => `restart ${id}`)}
      ${LED}
      ${each(everybody, (id) => `propose ${id} after`)}
      run ${PATIENCE}
      ${acknowledged(13, 17)}`,
      5,
    );
    expect(appliedAt(world)).toEqual(everybody.map(() => 17));
  });

  it('a follower that was away for long catches up through `load`', () => {
    const { actions, world } = run(`
      elect n1
      quiesce
      crash n2 lose
      ${each(calls(1, 48), (n) => `propose n1 ${n}\nrun 10`)}
      quiesce
      ${acknowledged(1, 48)}
      restart n2
      run ${PATIENCE}
      expect n1 leader`);
    const back = actions.findIndex(({ kind }) => kind === 'restart');
    const loads = actions.slice(back).filter((action) => action.kind === 'loaded' && action.replica === 'n1');
    expect(loads.length).toBeGreaterThan(0);
    expect(appliedAt(world)).toEqual([48, 48, 48]);
  });

  it('a forward that arrives twice is appended twice, and harms nothing (a bare core has no session table)', () => {
    const { world } = run(`
      elect n1
      quiesce
      propose n2 a
      expect message n2 n1
      duplicate n2 n1
      run ${electionMax}
      expect call 1 acknowledged`);
    const [noop, ...added] = committedIn(world);
    expect([noop?.kind, added.length]).toEqual(['noop', 2]);
    expect(added[1]).toEqual({ ...added[0], index: 3 });
    expect(appliedAt(world)).toEqual([2, 2, 2]);
  });

  it('a retry that is still in the leader’s log is not appended again', () => {
    const { world } = run('elect n1\nquiesce');
    const now = world.now + 1;
    const ask = (request: number, retry: boolean): Inbound<unknown> => {
      return { kind: 'propose', now, proposals: [{ ...proposal(request, 1), retry }], deadline: Infinity };
    };
    const [once] = protocol.step(coreOf(world, 'n1'), ask(1, false));
    const [twice] = protocol.step(once, ask(2, true));
    const [both] = protocol.step(once, ask(2, false));
    const last = (state: unknown): number => protocol.status(state).last;
    expect([once, twice, both].map(last)).toEqual([2, 2, 3]);
  });

  it('over its limit of uncommitted bytes a leader is busy, and then not any more', () => {
    const { world } = run(`
      elect n1
      quiesce
      ${each(calls(1, 160), (n) => `propose n1 ${'x'.repeat(30)}${n}`)}
      quiesce
      propose n1 after
      quiesce
      expect call 161 acknowledged`);
    const ends = calls(1, 160).map((call) => failureOf(world, call));
    expect(new Set(ends)).toEqual(new Set(['acknowledged', 'none busy']));
  });

  it.each([
    ['stop', 'stop n1', null],
    ['a storage that failed', 'fail-storage n1 lose', 'EIO'],
  ] as const)('%s stops a replica; the others go on', (_name, line, fault) => {
    const script = `
      elect n1
      quiesce
      propose n1 a
      propose n1 b
      read n1
      ${line}
      ${each(calls(1, 3), (n) => `expect call ${n} failed`)}`;
    const ended = run(script).world;
    expect(statusOf(ended, 'n1').fault ?? 'none').toContain(fault ?? 'none');
    expect(protocol.deadline(coreOf(ended, 'n1'))).toBe(Infinity);
    const replaced = `${script}\nrun ${PATIENCE} until leaders one`;
    run(`${replaced}\npropose ${leaderOf(run(replaced).world).id} c\nrun ${PATIENCE}\nexpect call 4 acknowledged`);
  });

  it('cancelled requests end at once', () => {
    run(`
      elect n1
      quiesce
      ${each(['a', 'b', 'c'], (word) => `propose n1 ${word}`)}
      read n1
      cancel 1 2 3 4 12345
      ${each(calls(1, 4), (n) => `expect call ${n} failed`)}`);
  });

  it('a request with a deadline ends by then when nobody answers', () => {
    run(`
      elect n1
      quiesce
      crash n2 lose
      crash n3 lose
      propose n1 a timeout=300
      read n1 timeout=300
      run 300
      expect call 1 failed unknown
      expect call 2 failed`);
  });

  it('what changes nothing gives the same state (law/values): repeated, stale or unknown input', () => {
    const { world } = run(`elect n1\n${each(['a', 'b', 'c'], (word) => `propose n1 ${word}`)}\nquiesce\n${LED}`);
    const beat = play(model, 'elect n1\nquiesce\ntimeout n1', { header: HEADER }).world.links[1]?.flights[0];
    const message = world.rules.program.message(beat?.payload ?? new Uint8Array(0));
    for (const { id, process, delivered } of world.slots) {
      const state = coreOf(world, id);
      const { durableSeq } = process as CoreProcess;
      const now = world.now + 1;
      const nothing: readonly Inbound<unknown>[] = [
        { kind: 'tick', now },
        { kind: 'persisted', now, persistSeq: durableSeq },
        { kind: 'persisted', now, persistSeq: 0 },
        { kind: 'applied', now, index: delivered },
        { kind: 'applied', now, index: 1 },
        { kind: 'loaded', now, id: 77, entries: [] },
        { kind: 'cancel', now, requests: [4711] },
        { kind: 'propose', now, proposals: [], deadline: Infinity },
        { kind: 'unreachable', now, peer: 'stranger' },
        { kind: 'disconnected', now, peer: 'stranger', lane: 'control' },
        { kind: 'receive', now, from: 'stranger', message },
      ];
      for (const inbound of nothing) {
        const [next, outbound] = protocol.step(state, inbound);
        expect([inbound.kind, next === state, outbound]).toEqual([inbound.kind, true, []]);
      }
      expect(() => protocol.step(state, { kind: 'persisted', now, persistSeq: 1e9 })).toThrow(RangeError);
      expect(() => protocol.step(state, { kind: 'applied', now, index: 1e9 })).toThrow(RangeError);
    }
  });

  it('an idle cluster keeps its leader and its term', () => {
    const first = leaderOf(run(LED, 5).world);
    const last = leaderOf(run(`${LED}\nrun ${20 * electionMax}`, 5).world);
    expect([last.id, last.term]).toEqual([first.id, first.term]);
  });

  describe('law/time-is-data: a stall of 1.3 × the largest election timeout, twenty times, elects nobody', () => {
    const stall = 1.3 * electionMax;

    function stalls(stalled: readonly string[], tickFirst: boolean): void {
      const { term } = leaderOf(run('elect n1\nquiesce').world);
      const round = `
        ${each(stalled, (id) => `pause ${id}`)}
        run ${stall}
        ${each(stalled, (id) => `resume ${id}`)}
        ${each(tickFirst ? stalled : [], (id) => `tick ${id}`)}
        run ${2 * electionMax}
        expect leaders n1`;
      const { world, trace } = run(`elect n1\nquiesce\n${each(calls(1, 20), () => round)}`);
      for (const id of ['n1', 'n2', 'n3']) expect(statusOf(world, id)).toMatchObject({ leader: 'n1', term });
      expect(trace.slice(trace.indexOf('pause'))).not.toContain('candidate');
    }

    it('of a follower that lets queued input in first', () => stalls(['n2'], false));
    it('of a follower whose tick comes first', () => stalls(['n2'], true));
    it('of all at once, as when the machine slept', () => stalls(['n1', 'n2', 'n3'], false));
    it('of all at once, ticks first', () => stalls(['n1', 'n2', 'n3'], true));
  });
});
