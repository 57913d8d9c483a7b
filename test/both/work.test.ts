/**
 * What a step of either core costs, in work that is counted and never in time; and the rules of requests that both
 * share, where the two protocols once differed.
 */

import { describe, expect, it } from 'vitest';
import type { AnyModel } from '../../src/core/model.js';
import type {
  Commit,
  Entry,
  EntryId,
  Inbound,
  Limits,
  Load,
  Milliseconds,
  Outbound,
  Proposal,
  Recovered,
  Resolve,
  Send,
} from '../../src/core/protocol.js';
import { coreOf, models, play } from '../play.js';
import { clusterOf, command, timing, wideLimits } from '../values.js';

const MANY = 4000;

interface Watched {
  readonly read: { count: number };
  readonly proposals: readonly Proposal[];
}

/** Proposals that count how often anybody looks at whose they are. */
function watched(count: number, retry: boolean, read = { count: 0 }): Watched {
  const proposals = Array.from({ length: count }, (_, at): Proposal => {
    const id: EntryId = {
      get session(): number {
        read.count += 1;
        return 1;
      },
      sequence: at + 1,
      firstIncomplete: 1,
    };
    return { request: at + 1, kind: 'command', id, data: new Uint8Array(8), retry };
  });
  return { read, proposals };
}

function plain(count: number, bytes = 8): readonly Proposal[] {
  return Array.from({ length: count }, (_, at): Proposal => {
    const id = { session: 1, sequence: at + 1, firstIncomplete: 1 };
    return { request: at + 1, kind: 'command', id, data: new Uint8Array(bytes), retry: false };
  });
}

function ofKind<K extends Outbound<unknown>['kind']>(
  outbound: readonly Outbound<unknown>[],
  kind: K,
): readonly Extract<Outbound<unknown>, { kind: K }>[] {
  return outbound.filter((each): each is Extract<Outbound<unknown>, { kind: K }> => each.kind === kind);
}

function bytesIn(entries: readonly Entry[]): number {
  return entries.reduce((sum, { data }) => sum + data.length + 48, 0);
}

/** A core, and what its last step wanted done. */
class Bare {
  state: unknown;
  now: Milliseconds;
  private readonly model: AnyModel;

  constructor(model: AnyModel, state: unknown) {
    this.model = model;
    this.state = state;
    this.now = (state as { readonly now: Milliseconds }).now;
  }

  step(inbound: Inbound<unknown>): readonly Outbound<unknown>[] {
    const [state, outbound] = this.model.protocol.step(this.state, inbound);
    this.state = state;
    return outbound;
  }

  propose(proposals: readonly Proposal[], deadline = Infinity): readonly Outbound<unknown>[] {
    return this.step({ kind: 'propose', now: this.now, proposals, deadline });
  }

  receive(from: string, message: unknown): readonly Outbound<unknown>[] {
    return this.step({ kind: 'receive', now: this.now, from, message });
  }
}

/** The leader of three, as it is when it was just elected and its no-op is committed. */
function leaderOf(model: AnyModel, limits: Partial<Limits> = {}): Bare {
  const header = ['program: core', 'eager: written applied loaded'];
  const given = Object.entries(limits).map(([name, value]) => `${name}=${value}`);
  if (given.length > 0) header.push(`limits: ${given.join(' ')}`);
  const { world } = play(model, 'elect n1\nrun 1000 until leaders n1', { header });
  return new Bare(model, coreOf(world, 'n1'));
}

/** A single member that starts with a long log, all of it committed and none of it in memory. */
function restarted(model: AnyModel, entries: number, limits: Partial<Limits>): [Bare, readonly Outbound<unknown>[]] {
  const recovered: Recovered = {
    hard: { term: 65_537, vote: null, commit: entries },
    base: { index: 0, term: 0 },
    last: entries,
    runs: [{ from: 1, term: 65_537 }],
    tail: [],
    snapshot: null,
  };
  const start = { id: 'n1', boot: 1, seed: 1, now: 0, timing, preVote: true, limits: { ...wideLimits, ...limits } };
  const [state, outbound] = model.protocol.init({ ...start, configuration: clusterOf(1) }, recovered);
  return [new Bare(model, state), outbound];
}

function newestPersist(state: unknown): number {
  return (state as { readonly persistSeq: number }).persistSeq;
}

describe.each(models)('$protocol.name', (model) => {
  it('goes through what is uncommitted once for a message, however many of it are retries', () => {
    const leader = leaderOf(model);
    const first = watched(MANY, false);
    leader.propose(first.proposals);
    first.read.count = 0;
    const again = watched(MANY, true, first.read);
    const out = leader.propose(again.proposals);
    expect(ofKind(out, 'send')).toEqual([]); // nothing was appended
    expect(first.read.count).toBeLessThan(4 * MANY);
  });

  it('the same for retries that a follower passes on', () => {
    const leader = leaderOf(model);
    const first = watched(MANY, false);
    leader.propose(first.proposals);
    first.read.count = 0;
    const { proposals } = watched(MANY, true, first.read);
    const { term } = model.protocol.status(leader.state);
    leader.receive('n2', { kind: 'forwardProposals', term, number: 7, proposals });
    expect(first.read.count).toBeLessThan(4 * MANY);
  });

  it.each([MANY / 4, MANY])('looks for a retry at a cost that grows with what is new, of %i uncommitted', (many) => {
    const leader = leaderOf(model, { uncommittedBytes: 1 << 30 });
    const { proposals, read } = watched(many, false);
    for (let from = 0; from < many; from += 1000) leader.propose(proposals.slice(from, from + 1000));
    const { term } = model.protocol.status(leader.state);
    const ask = (number: number, ...asked: readonly Proposal[]): readonly Outbound<unknown>[] =>
      leader.receive('n2', { kind: 'forwardProposals', term, number, proposals: asked });
    const retryOf = (at: number): Proposal => ({ ...(proposals[at] as Proposal), retry: true });
    ask(1, retryOf(0));
    expect(read.count).toBeLessThan(4 * many);
    read.count = 0;
    for (let at = 1; at <= 100; at++) {
      const [{ message }] = ofKind(ask(at + 1, retryOf((at * many) / 100 - 1)), 'send') as readonly [Send<unknown>];
      expect(message).toMatchObject({ kind: 'forwardAccepted', places: [{ count: 1 }] });
    }
    expect(read.count).toBeLessThan(1000);
  });

  it('forgets where proposals stood once all of them are committed and nobody tries again', () => {
    const [leader] = restarted(model, 5, {});
    const numbered = (first: number, retry: boolean): readonly Proposal[] =>
      plain(10).map((each) => ({ ...each, request: first + each.request, retry }));
    const commitAll = (): void => {
      leader.step({ kind: 'persisted', now: 0, persistSeq: newestPersist(leader.state) });
    };
    const standing = (): unknown => (leader.state as { role: { standing: unknown } }).role.standing;
    commitAll();
    commitAll();
    leader.propose(numbered(0, false));
    const { last } = model.protocol.status(leader.state);
    leader.propose(numbered(20, true));
    expect(model.protocol.status(leader.state).last).toBe(last);
    expect(standing()).not.toBeNull();
    commitAll();
    expect(model.protocol.status(leader.state).commit).toBe(last);
    leader.propose(numbered(40, true)); // their session table tells them apart
    expect(model.protocol.status(leader.state).last).toBe(last + 10);
    commitAll();
    leader.propose(numbered(60, false));
    expect(standing()).toBeNull();
  });

  it('loads and delivers after a restart no more than may be applied', () => {
    const applyBytes = 2000;
    const [core, outbound] = restarted(model, 5000, { applyBytes, loadBytes: 60_000 });
    const [load] = ofKind(outbound, 'load') as readonly [Load];
    expect(load.maxBytes).toBeLessThanOrEqual(applyBytes);
    const entries: Entry[] = [];
    for (let index = load.from; bytesIn(entries) < load.maxBytes; index++) entries.push(command(index, 65_537, 100));
    const out = core.step({ kind: 'loaded', now: 0, id: load.id, entries });
    const delivered = ofKind(out, 'commit').flatMap((each: Commit) => each.entries);
    expect(delivered.length).toBe(entries.length);
    // One entry may go beyond, and what was loaded by that bound is all that is delivered until it is applied.
    expect(bytesIn(delivered)).toBeLessThan(applyBytes + 200);
    expect(ofKind(out, 'load')).toEqual([]);
  });

  it('halts when the storage gives nothing of what is committed', () => {
    const [core, outbound] = restarted(model, 100, { applyBytes: 2000 });
    const [load] = ofKind(outbound, 'load') as readonly [Load];
    const out = core.step({ kind: 'loaded', now: 0, id: load.id, entries: [] });
    const reason = 'the storage lost committed entries';
    expect(ofKind(out, 'event').map(({ event }) => event)).toContainEqual({ kind: 'fault', reason });
    expect(model.protocol.status(core.state).fault).toBe(reason);
    expect(ofKind(out, 'load')).toEqual([]);
  });

  it('takes of its own proposals those for which there is room, and refuses the rest without effect', () => {
    const leader = leaderOf(model, { uncommittedBytes: 500 });
    const out = leader.propose(plain(10, 52)); // 100 bytes each, as they are counted
    const resolved = ofKind(out, 'resolve') as readonly Resolve[];
    const outcome = { kind: 'none', reason: 'busy', leader: 'n1' };
    expect(resolved).toEqual([{ kind: 'resolve', requests: [6, 7, 8, 9, 10], outcome }]);
  });

  it('takes of those that are passed on what there is room for, and says that it was not all', () => {
    const leader = leaderOf(model, { uncommittedBytes: 500 });
    const { term, last } = model.protocol.status(leader.state);
    const proposals = plain(10, 52);
    const out = leader.receive('n2', { kind: 'forwardProposals', term, number: 7, proposals });
    expect(model.protocol.status(leader.state).last).toBe(last + 5);
    const answers = (ofKind(out, 'send') as readonly Send<{ kind: string }>[]).filter(({ message }) =>
      message.kind.startsWith('forward'),
    );
    const places = [
      { first: last + 1, count: 5 },
      { first: 0, count: 5 },
    ];
    expect(answers).toMatchObject([
      { to: 'n2', after: 0, message: { kind: 'forwardAccepted', term, number: 7, places } },
    ]);
    const none = leader.receive('n2', { kind: 'forwardProposals', term, number: 8, proposals });
    expect(ofKind(none, 'send')).toMatchObject([
      { to: 'n2', message: { kind: 'forwardRefused', number: 8, reason: 'busy', leader: 'n1' } },
    ]);
  });

  it('refuses a read that was passed on when the leadership ends', () => {
    const leader = leaderOf(model);
    const { term } = model.protocol.status(leader.state);
    leader.receive('n2', { kind: 'forwardRead', term, number: 7 });
    // Nobody answers: the quorum timer ends the leadership, and the read is refused with it.
    const told: unknown[] = [];
    for (let ticks = 0; ticks < 100 && model.protocol.status(leader.state).role === 'leader'; ticks++) {
      leader.now = model.protocol.deadline(leader.state);
      for (const each of ofKind(leader.step({ kind: 'tick', now: leader.now }), 'send')) {
        if ((each.message as { kind: string }).kind === 'forwardRefused') told.push([each.to, each.message]);
      }
    }
    expect(told).toMatchObject([['n2', { number: 7, reason: 'notLeader', leader: null }]]);
  });

  it('gives a read that was passed on up after two of the longest election timeouts', () => {
    const leader = leaderOf(model);
    const { term } = model.protocol.status(leader.state);
    leader.receive('n2', { kind: 'forwardRead', term, number: 7 });
    leader.now += 2 * 2000; // the longest election timeout of the defaults
    const out = leader.step({ kind: 'tick', now: leader.now });
    expect(
      ofKind(out, 'send').filter(({ message }) => (message as { kind: string }).kind === 'forwardRefused'),
    ).toMatchObject([{ to: 'n2', message: { number: 7, reason: 'busy' } }]);
  });

  it('finds a retry whatever the memory of the log is bounded to', () => {
    const leader = leaderOf(model, { tailEntries: 8, tailBytes: 1000 });
    leader.propose(plain(100));
    const { last } = model.protocol.status(leader.state);
    leader.step({ kind: 'persisted', now: leader.now, persistSeq: newestPersist(leader.state) });
    leader.propose(plain(100).map((each) => ({ ...each, retry: true })));
    expect(model.protocol.status(leader.state).last).toBe(last);
  });

  it('remembers of those who wait to hear of a commit one index for each peer', () => {
    const leader = leaderOf(model);
    const { term, last } = model.protocol.status(leader.state);
    for (let number = 1; number <= 500; number++) {
      const id = { session: 1, sequence: number, firstIncomplete: 1 };
      const proposals = [{ kind: 'command', id, data: new Uint8Array(1), retry: false }];
      leader.receive(number % 2 === 0 ? 'n2' : 'n3', { kind: 'forwardProposals', term, number, proposals });
    }
    const { forwarded } = (leader.state as { role: { forwarded: readonly number[] } }).role;
    expect(forwarded).toEqual([last + 500, last + 499]);
  });
});
