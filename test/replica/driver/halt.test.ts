/** How a replica halts, and that later requests fail with the code of its fault and outcome `none`. */

import { coreOf } from '../../../src/replica/driver/draft.js';
import { describe, expect, it } from 'vitest';
import { apply, type Action, type World } from 'quorate/testing';
import { InvariantViolation } from '../../../src/core/assert.js';
import type { AnyModel } from '../../../src/core/model.js';
import type { Inbound, Step } from '../../../src/core/protocol.js';
import type { PaxosState } from '../../../src/multipaxos/index.js';
import type { RaftState } from '../../../src/raft/index.js';
import type { DriverEvent } from '../../../src/replica/driver/state.js';
import { driverOf } from '../../../src/replica/driver/driver.js';
import { models, nextAction, play, statusOf } from '../../play.js';
import { BareDriver, driverIn } from '../bare-driver.js';

type AnyProtocol = AnyModel['protocol'];
type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

const [raftModel, multipaxosModel] = models as [AnyModel, AnyModel];
const LED = 'elect n1\nrun 1000';

/** The driver of a leader, out of its world. @param protocol which it runs from now on */
function leader(model: AnyModel, protocol: AnyProtocol = model.protocol): BareDriver {
  const { world } = play(model, LED);
  return new BareDriver(protocol, driverIn(world, 'n1'), world.now);
}

/** What is asked of a replica that has halted fails at once, with this code and without effect. */
function refuses(bare: BareDriver, code: string): void {
  expect(bare.driver.status(bare.state)).toMatchObject({ phase: 'halted', leading: false });
  bare.propose(101);
  expect(bare.failure(101)).toMatchObject({ code, outcome: 'none' });
  bare.read(102);
  expect(bare.failure(102)).toMatchObject({ code, outcome: 'none' });
  expect(bare.driver.deadline(bare.state)).toBe(Infinity);
}

describe.each(models)('a halted replica over $protocol.name', (model) => {
  const faults: readonly (readonly [code: string, event: Untimed<DriverEvent>])[] = [
    ['ERR_STORAGE_FAILED', { kind: 'storageFailed', reason: 'EIO' }],
    ['ERR_APPLY_FAILED', { kind: 'failed', code: 'ERR_APPLY_FAILED', reason: 'it threw' }],
    ['ERR_APPLY_ASYNC', { kind: 'failed', code: 'ERR_APPLY_ASYNC', reason: 'a promise' }],
    ['ERR_STORAGE_CORRUPT', { kind: 'loaded', id: 1, entries: [{ index: 1, term: 1, data: Uint8Array.of(0xff) }] }],
    // Nothing is being applied: what is reported cannot be.
    ['ERR_INVARIANT', { kind: 'applied', results: [] }],
  ];
  it.each(faults)('answers with %s, the code of its fault', (code, event) => {
    const bare = leader(model);
    expect(bare.driver.status(bare.state).leading).toBe(true);
    bare.step(event);
    expect(bare.events.at(-1)).toMatchObject({ kind: 'leadership', leading: false });
    expect(bare.events.filter(({ kind }) => kind === 'fault')).toMatchObject([{ code }]);
    refuses(bare, code);
    bare.step({ kind: 'stop' });
    bare.read(103);
    expect(bare.failure(103)).toMatchObject({ code: 'ERR_CLOSED', outcome: 'none' });
  });

  it('is what a replica becomes whose storage was set back behind its own later start', () => {
    const { world } = play(
      model,
      `${LED}
       crash n2 lose
       restart n2
       run 500
       propose n2 x
       run 2000 until call 1 acknowledged
       crash n2 lose`,
    );
    const { last } = statusOf(world, 'n1');
    const slots = world.slots.map((slot) => (slot.id === 'n2' ? { ...slot, disk: { ...slot.disk, boot: 0 } } : slot));
    let after = apply({ ...world, slots }, { kind: 'restart', at: world.now, replica: 'n2' });
    const wait = (): void => {
      for (let left = 20_000; left > 0; left--) after = apply(after, nextAction(after));
    };
    // To the rig no replica may halt that has its own disk.
    expect(wait).toThrow('n2 halted: another start of this replica is known to the cluster');
    const bare = new BareDriver(model.protocol, driverIn(after, 'n2'), after.now);
    bare.step(messageOf(after, nextAction(after)));
    refuses(bare, 'ERR_LOST_IDENTITY');
    // It must not ask for ever to be let in: each time would be an entry.
    expect(statusOf(after, 'n1').last).toBeLessThan(last + 50);
  });
});

describe.each(models)('callers whose numbers do not ascend, over $protocol.name', (model) => {
  const commands = (...calls: number[]): Untimed<DriverEvent> => {
    const data = Uint8Array.of(1);
    return { kind: 'propose', commands: calls.map((call) => ({ call, deadline: Infinity, data })) };
  };
  const reads = (...calls: number[]): Untimed<DriverEvent> => {
    return { kind: 'read', calls: calls.map((call) => ({ call, deadline: Infinity })), minIndex: null };
  };

  it.each([
    ['commands below one that waits', commands(4), 4],
    ['commands in disorder', commands(7, 6), 6],
    ['the command of a caller that waits', commands(5), null],
    ['a command twice', commands(6, 6), 6],
    ['reads in disorder', reads(7, 6), 6],
  ])('%s: the replica halts before the books lose anything, and every call ends', (_, event, refused) => {
    const bare = leader(model);
    bare.propose(5);
    bare.step(event);
    expect(bare.failure(5)).toMatchObject({ code: 'ERR_INVARIANT', outcome: 'unknown' });
    if (refused !== null) expect(bare.failure(refused)).toMatchObject({ code: 'ERR_INVARIANT', outcome: 'none' });
    expect(bare.wants('send')).toEqual([]);
    const faults = bare.events.filter(({ kind }) => kind === 'fault');
    expect(faults).toMatchObject([{ reason: expect.stringContaining('requests/callers-ascend') as string }]);
    refuses(bare, 'ERR_INVARIANT');
  });

  it('may do so across kinds, which are booked apart', () => {
    const bare = leader(model);
    bare.step(commands(3, 5));
    bare.step(reads(2, 4));
    bare.step({ kind: 'read', calls: [{ call: 1, deadline: Infinity }], minIndex: 2 ** 30 });
    expect(bare.driver.status(bare.state).phase).toBe('running');
  });
});

/** What arrives by a delivery. */
function messageOf({ links, rules }: World, action: Action): Untimed<DriverEvent> {
  if (action.kind !== 'deliver') throw new Error('no delivery');
  const { from, to, pick } = action;
  const [sender, receiver] = [rules.ids.indexOf(from), rules.ids.indexOf(to)];
  const flight = links[sender * rules.ids.length + receiver]?.flights.find(({ ordinal }) => ordinal === pick);
  return { kind: 'message', from, bytes: flight?.payload as Uint8Array };
}

/** The protocol, whose steps are changed behind its back. */
function broken<State>(model: AnyModel, change: (state: State, inbound: Inbound<unknown>) => State): BareDriver {
  const { protocol } = model;
  const step = (state: unknown, inbound: Inbound<unknown>): Step<unknown, unknown> => {
    const [next, outbound] = protocol.step(state, inbound);
    return [next === state ? next : change(next as State, inbound), outbound];
  };
  return leader(model, { ...protocol, step });
}

const raftCase = (): BareDriver => broken<RaftState>(raftModel, (state) => ({ ...state, term: state.term - 1 }));
const paxosCase = (): BareDriver => broken<PaxosState>(multipaxosModel, (state) => ({ ...state, promised: 0 }));
const raftTick = (): BareDriver =>
  broken<RaftState>(raftModel, (state, { kind }) =>
    kind === 'tick' ? { ...state, commit: state.log.last + 1 } : state,
  );
const paxosTick = (): BareDriver =>
  broken<PaxosState>(multipaxosModel, (state, { kind }) =>
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
      'durability/persists-in-order: no persist is waited for that was not issued',
    ],
  ] as const)('halts the replica before anything is done of what the step wants: %s', (_, make, rule) => {
    const bare = make();
    const before = coreOf(bare.state.phase);
    bare.now = bare.driver.deadline(bare.state);
    bare.step({ kind: 'tick' });
    const fault: unknown = expect.objectContaining({
      code: 'ERR_INVARIANT',
      reason: expect.stringMatching(rule) as string,
    });
    expect(bare.events).toContainEqual(fault);
    expect(coreOf(bare.state.phase)).toBe(before);
    expect([...bare.wants('send'), ...bare.wants('write')]).toEqual([]);
    refuses(bare, 'ERR_INVARIANT');
  });

  it.each(models)('halts it at its start, if what was recovered contradicts itself: $protocol.name', (model) => {
    const checkState = (): never => {
      throw new InvariantViolation('law/pure: nothing is right', { data: new Uint8Array(4096) });
    };
    const protocol = { ...model.protocol, checkState };
    const { options } = driverIn(play(model, 'wait', { header: ['replicas: 1'] }).world, 'n1');
    const [state, effects] = driverOf(protocol).init(options, {
      hard: null,
      base: { index: 0, term: 0 },
      last: 0,
      runs: [],
      tail: [],
      snapshot: null,
    });
    const reason = 'law/pure: nothing is right {"data":"4096 bytes"}';
    expect(effects).toEqual([{ kind: 'event', event: { kind: 'fault', code: 'ERR_INVARIANT', reason } }]);
    refuses(new BareDriver(protocol, state, 0), 'ERR_INVARIANT');
  });
});
