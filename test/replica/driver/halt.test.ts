/** How a replica halts, and what it says to whoever asks later: with the code of its fault, and that nothing was done. */

import { describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../../src/core/assert.js';
import type { Inbound, Protocol, Step } from '../../../src/core/protocol.js';
import { multipaxosProtocol, type PaxosState } from '../../../src/multipaxos/index.js';
import { raftProtocol, type RaftState } from '../../../src/raft/index.js';
import type { DriverEvent } from '../../../src/replica/driver/state.js';
import { World, type Process } from '../world.js';

type AnyProtocol = Protocol<unknown, unknown>;
type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

const MINUTE = 60_000;
const shipped: readonly (readonly [name: string, protocol: AnyProtocol])[] = [
  ['raft', raftProtocol as AnyProtocol],
  ['multipaxos', multipaxosProtocol as AnyProtocol],
];

/** All have opened, and one leads. */
function led(protocol: AnyProtocol): { world: World; leader: Process; follower: Process } {
  const world = new World(protocol, 3);
  world.startAll();
  const all = [...world.running.values()];
  const isReady = (): boolean => world.leader() !== undefined && all.every((each) => each.state.session !== 0);
  expect(world.run(MINUTE, isReady)).toBe(true);
  const leader = world.leader() as Process;
  return { world, leader, follower: all.find((each) => each !== leader) as Process };
}

/** What is asked of a replica that has halted fails at once, with this code and without effect. */
function refuses(world: World, process: Process, code: string): void {
  expect(process.state).toMatchObject({ phase: 'halted', faultCode: code });
  const asked = [world.propose(process, 'late'), world.read(process)];
  for (const call of asked) expect(process.ended.get(call)?.failure).toMatchObject({ code, outcome: 'none' });
  expect(world.driver.deadline(process.state)).toBe(Infinity);
}

describe.each(shipped)('a halted replica over %s', (_, protocol) => {
  const faults: readonly (readonly [code: string, event: Untimed<DriverEvent>])[] = [
    ['ERR_STORAGE_FAILED', { kind: 'storageFailed', reason: 'EIO' }],
    ['ERR_APPLY_FAILED', { kind: 'applyFailed', code: 'ERR_APPLY_FAILED', reason: 'it threw' }],
    ['ERR_APPLY_ASYNC', { kind: 'applyFailed', code: 'ERR_APPLY_ASYNC', reason: 'a promise' }],
    ['ERR_STORAGE_CORRUPT', { kind: 'loaded', id: 1, entries: [{ index: 1, term: 1, data: Uint8Array.of(0xff) }] }],
    // Nothing is being applied: what is reported cannot be.
    ['ERR_INVARIANT', { kind: 'applied', results: [] }],
  ];
  it.each(faults)('answers with %s, the code of its fault', (code, event) => {
    const { world, leader } = led(protocol);
    world.step(leader, event);
    expect(leader.events.at(-1)).toMatchObject({ kind: 'leadership', leading: false });
    expect(leader.events.filter(({ kind }) => kind === 'fault')).toMatchObject([{ code }]);
    refuses(world, leader, code);
    world.step(leader, { kind: 'stop' });
    const call = world.read(leader);
    expect(leader.ended.get(call)?.failure).toMatchObject({ code: 'ERR_CLOSED', outcome: 'none' });
  });

  it('is what a replica becomes whose storage was set back behind its own later start', () => {
    const { world, leader, follower } = led(protocol);
    world.crash(follower.id);
    const later = world.start(follower.id);
    expect(world.run(MINUTE, () => later.state.session !== 0)).toBe(true);
    const call = world.propose(later, 'x');
    expect(world.run(MINUTE, () => later.ended.has(call))).toBe(true);
    world.crash(follower.id);
    const { last } = world.driver.status(leader.state);
    const earlier = world.start(follower.id, { boot: 1 });
    // It must not ask for ever to be let in: each time would be an entry.
    const isOver = (): boolean =>
      earlier.state.phase === 'halted' || world.driver.status(leader.state).last > last + 50;
    expect(world.run(MINUTE, isOver)).toBe(true);
    refuses(world, earlier, 'ERR_LOST_IDENTITY');
  });
});

/** The protocol, whose steps are changed behind its back from some moment on. */
function broken<State>(
  protocol: AnyProtocol,
  change: (state: State, inbound: Inbound<unknown>) => State,
): { protocol: AnyProtocol; arm(): void } {
  let armed = false;
  const step = (state: unknown, inbound: Inbound<unknown>): Step<unknown, unknown> => {
    const [next, outbound] = protocol.step(state, inbound);
    return [armed && next !== state ? change(next as State, inbound) : next, outbound];
  };
  return { protocol: { ...protocol, step }, arm: () => void (armed = true) };
}

const raftCase = broken<RaftState>(raftProtocol as AnyProtocol, (state) => ({ ...state, term: state.term - 1 }));
const paxosCase = broken<PaxosState>(multipaxosProtocol as AnyProtocol, (state) => ({ ...state, promised: 0 }));
const raftTick = broken<RaftState>(raftProtocol as AnyProtocol, (state, { kind }) =>
  kind === 'tick' ? { ...state, commit: state.log.last + 1 } : state,
);
const paxosTick = broken<PaxosState>(multipaxosProtocol as AnyProtocol, (state, { kind }) =>
  kind === 'tick' ? { ...state, durableSeq: state.persistSeq + 1 } : state,
);

describe('a law that breaks in production', () => {
  it.each([
    ['a term that falls, at the next step of Raft', raftCase, 'raft/term-never-falls: terms never fall'],
    [
      'a promise that falls, at the next step of Multi-Paxos',
      paxosCase,
      'paxos/promise-never-falls: a promise is never lowered',
    ],
    [
      'a commit beyond the log, at the next tick of Raft',
      raftTick,
      /^(raft\/commit-own-term|log\/delivery-in-bounds):/,
    ],
    [
      'a persist that was never issued, at the next tick of Multi-Paxos',
      paxosTick,
      'durability/persists-in-order: only what was issued is durable',
    ],
  ] as const)('halts the replica before anything is done of what the step wants: %s', (_, { protocol, arm }, rule) => {
    const { world, leader } = led(protocol);
    world.run(1000, () => false);
    world.flights = [];
    const before = leader.state.core;
    arm();
    world.now = world.driver.deadline(leader.state);
    world.step(leader, { kind: 'tick' });
    const fault: unknown = expect.objectContaining({
      code: 'ERR_INVARIANT',
      reason: expect.stringMatching(rule) as string,
    });
    expect(leader.events).toContainEqual(fault);
    expect(leader.state.core).toBe(before);
    expect(world.flights).toEqual([]);
    expect(leader.pendingWrite).toBeNull();
    refuses(world, leader, 'ERR_INVARIANT');
  });

  it('halts it at its start, if what was recovered contradicts itself', () => {
    for (const [name, protocol] of shipped) {
      const checkState = (): never => {
        throw new InvariantViolation('law/pure: nothing is right', { data: new Uint8Array(4096) });
      };
      const world = new World({ ...protocol, checkState }, 1);
      const process = world.start('a', { established: true });
      const reason = 'law/pure: nothing is right {"data":"4096 bytes"}';
      expect(process.events, name).toEqual([{ kind: 'fault', code: 'ERR_INVARIANT', reason }]);
      expect(process.pendingWrite).toBeNull();
      refuses(world, process, 'ERR_INVARIANT');
    }
  });
});
