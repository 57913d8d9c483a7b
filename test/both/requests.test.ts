/**
 * The way of a request in both protocols: the leader's answer is waited for with patience, every change of leader ends
 * what was asked of the last one, and a follower hears of its own commits without a heartbeat.
 */

import { describe, expect, it } from 'vitest';
import type { AnyModel } from '../../src/core/model.js';
import type { Inbound, Outbound, Proposal, Resolve, Send, Status } from '../../src/core/protocol.js';
import { calls, coreOf, each, models, play } from '../play.js';
import { timing } from '../values.js';

const { heartbeat, electionMin, electionMax } = timing;
const TIMING = `timing: heartbeat=${heartbeat} electionMin=${electionMin} electionMax=${electionMax}`;
const HEADER = ['program: core', 'eager: written applied loaded', TIMING];
const PATIENCE = electionMin / 2;

/** Everything that a transport says of a connection that is lost. */
const LOSSES = [
  { kind: 'disconnected', lane: 'control' },
  { kind: 'disconnected', lane: 'bulk' },
  { kind: 'unreachable' },
] as const;

/** A core of a settled cluster that `n1` leads, by itself from here on. */
class Alone {
  now: number;
  private state: unknown;
  private readonly model: AnyModel;
  private requests = 0;

  constructor(model: AnyModel, id: string) {
    this.model = model;
    const { world } = play(model, 'elect n1\nrun 1000 until leaders n1\nquiesce', { header: HEADER });
    this.state = coreOf(world, id);
    this.now = (this.state as { readonly now: number }).now;
  }

  step(inbound: Inbound<unknown>): readonly Outbound<unknown>[] {
    const [state, outbound] = this.model.protocol.step(this.state, inbound);
    this.model.protocol.checkState(state);
    this.state = state;
    return outbound;
  }

  tick(now: number): readonly Outbound<unknown>[] {
    this.now = now;
    return this.step({ kind: 'tick', now });
  }

  /** It hears its leader no longer, and is told to campaign. */
  loseLeader(): readonly Outbound<unknown>[] {
    this.now += electionMin;
    return this.step({ kind: 'campaign', now: this.now });
  }

  get term(): number {
    return this.model.protocol.status(this.state).term;
  }

  /** What it takes itself and the leader for. */
  get status(): Pick<Status, 'role' | 'term' | 'leader'> {
    const { role, term, leader } = this.model.protocol.status(this.state);
    return { role, term, leader };
  }

  get deadline(): number {
    return this.model.protocol.deadline(this.state);
  }

  get patience(): number {
    return (this.state as { readonly patience: number }).patience;
  }

  /** Gives the number of the forward. */
  propose(count = 1, deadline = Infinity): number {
    const proposals = Array.from({ length: count }, (): Proposal => {
      const request = ++this.requests;
      const id = { session: 1, sequence: request, firstIncomplete: 1 };
      return { request, kind: 'command', id, data: new Uint8Array(3), retry: false };
    });
    return forwardIn(this.step({ kind: 'propose', now: this.now, proposals, deadline }));
  }

  read(deadline = Infinity): number {
    return forwardIn(this.step({ kind: 'read', now: this.now, request: ++this.requests, deadline }));
  }

  hear(message: object, from = 'n1'): readonly Outbound<unknown>[] {
    return this.step({ kind: 'receive', now: this.now, from, message });
  }

  accepted(number: number, first: number, count = 1): readonly Outbound<unknown>[] {
    return this.hear({ kind: 'forwardAccepted', term: this.term, number, places: [{ first, count }] });
  }
}

function forwardIn(outbound: readonly Outbound<unknown>[]): number {
  const sent = outbound.find((each): each is Send<unknown> => each.kind === 'send' && each.forward !== undefined);
  return sent?.forward ?? 0;
}

function endsIn(outbound: readonly Outbound<unknown>[]): readonly string[] {
  return outbound
    .filter((each): each is Resolve => each.kind === 'resolve')
    .flatMap(({ requests, outcome }) => {
      const how = outcome.kind === 'committed' ? 'committed' : `${outcome.kind} ${outcome.reason}`;
      return requests.map((request) => `${request} ${how}`);
    });
}

describe.each(models)('$protocol.name', (model) => {
  it('a follower that proposes again and again never waits for a heartbeat', () => {
    const rounds = each(calls(1, 20), (n) => `propose n2 ${n}\nquiesce\nexpect call ${n} acknowledged`);
    const { world: before } = play(model, 'elect n1\nquiesce', { header: HEADER });
    const { world } = play(model, `elect n1\nquiesce\n${rounds}`, { header: HEADER });
    expect(world.now).toBe(before.now);
  });

  it('nor does another follower, whose reads wait for what the first one proposed', () => {
    const rounds = each(calls(1, 10), (n) => {
      return `propose n2 ${n}\nread n3\nquiesce\nexpect call ${2 * n - 1} acknowledged\nexpect call ${2 * n} served`;
    });
    const { world: before } = play(model, 'elect n1\nquiesce', { header: HEADER });
    const { world } = play(model, `elect n1\nquiesce\n${rounds}`, { header: HEADER });
    expect(world.now).toBe(before.now);
  });

  it('an answer that is overdue ends the attempt, and the next one is waited for twice as long, up to a bound', () => {
    const core = new Alone(model, 'n2');
    const waits: number[] = [];
    for (let round = 1; round <= 6; round++) {
      core.propose();
      const since = core.now;
      const { patience } = core;
      // The leader is heard of all the while, or the follower would stand for election.
      const beat =
        model.protocol.name === 'raft'
          ? { kind: 'commit', term: core.term, commit: 1 }
          : { kind: 'heartbeat', ballot: core.term, commit: 1, readRound: 0 };
      while (core.now + heartbeat < since + patience) {
        core.now += heartbeat;
        core.hear(beat);
        expect(endsIn(core.tick(core.now))).toEqual([]);
      }
      expect(endsIn(core.tick(since + patience))).toEqual([`${round} unknown unanswered`]);
      waits.push(patience);
      core.hear(beat);
    }
    const most = 4 * electionMax;
    expect(waits).toEqual([1, 2, 4, 8, 16, 32].map((factor) => Math.min(factor * PATIENCE, most)));
  });

  it('a read that is overdue after three exchanges ends without effect, and a late answer to it serves nobody', () => {
    const core = new Alone(model, 'n2');
    const number = core.read();
    const out = core.tick(core.now + 3 * PATIENCE);
    expect(endsIn(out)).toEqual(['1 none unanswered']);
    const late = core.hear({ kind: 'readAnswer', term: core.term, number, index: 1, commit: 1 });
    expect(late.filter(({ kind }) => kind === 'readReady')).toEqual([]);
  });

  it('a slow answer makes the next wait longer, a quick one makes it short again', () => {
    const core = new Alone(model, 'n2');
    const slow = core.propose();
    core.now += PATIENCE - 10;
    core.accepted(slow, 2);
    expect(core.patience).toBe(Math.min(2 * (PATIENCE - 10), electionMax));
    core.accepted(core.propose(), 3);
    expect(core.patience).toBe(PATIENCE);
  });

  it('a deadline of the host comes before the patience', () => {
    const core = new Alone(model, 'n2');
    core.propose(1, core.now + 50);
    expect(endsIn(core.tick(core.now + 50))).toEqual(['1 unknown deadline']);
    expect(core.patience).toBe(PATIENCE);
  });

  it.each(LOSSES)('$kind $lane ends what the leader has not answered, and nothing else', (loss) => {
    const core = new Alone(model, 'n2');
    core.accepted(core.propose(), 2);
    core.propose(2);
    core.read();
    expect(endsIn(core.step({ ...loss, now: core.now, peer: 'n3' }))).toEqual([]);
    const out = core.step({ ...loss, now: core.now, peer: 'n1' });
    const lost = ['2 unknown disconnected', '3 unknown disconnected', '4 none disconnected'];
    // What the leader has accepted waits on, until it is another leader's turn: at once if its process is gone.
    const [atOnce, later] =
      loss.kind === 'unreachable' ? [['1 unknown leaderChanged'], []] : [[], ['1 unknown leaderChanged']];
    expect(endsIn(out)).toEqual([...lost, ...atOnce]);
    expect(endsIn(core.loseLeader())).toEqual(later);
  });

  it.each(LOSSES.slice(0, 2))('$kind $lane deposes nobody, and no timer is shortened by it', (loss) => {
    for (const [id, peers] of [['n1', ['n2', 'n3']] as const, ['n2', ['n1', 'n3']] as const]) {
      const core = new Alone(model, id);
      const before = [core.status, core.deadline];
      for (const peer of peers) core.step({ ...loss, now: core.now, peer });
      expect([core.status, core.deadline]).toEqual(before);
    }
  });

  it('a change of leader ends all, and answers of the last one change nothing', () => {
    const core = new Alone(model, 'n2');
    const { term } = core;
    core.accepted(core.propose(), 2);
    const [open, read] = [core.propose(), core.read()];
    const ends = endsIn(core.loseLeader());
    expect(ends).toEqual(['1 unknown leaderChanged', '2 unknown leaderChanged', '3 none leaderChanged']);
    const late = [
      { kind: 'forwardAccepted', term, number: open, places: [{ first: 3, count: 1 }] },
      { kind: 'forwardRefused', term, number: open, reason: 'busy', leader: null },
      { kind: 'readAnswer', term, number: read, index: 1, commit: 1 },
    ];
    for (const message of late) {
      const out = core.hear(message);
      expect([endsIn(out), out.filter(({ kind }) => kind === 'readReady' || kind === 'forwardTaken')]).toEqual([
        [],
        [],
      ]);
    }
  });

  it('an answer counts once, and its proposals are told to be taken', () => {
    const core = new Alone(model, 'n2');
    const number = core.propose(2);
    expect(core.accepted(number, 2, 2)).toEqual([{ kind: 'forwardTaken', requests: [1, 2] }]);
    expect(core.accepted(number, 2, 2)).toEqual([]);
    expect(core.hear({ kind: 'forwardRefused', term: core.term, number, reason: 'busy', leader: 'n1' })).toEqual([]);
    expect(core.step({ kind: 'unsent', now: core.now, number })).toEqual([]);
  });

  it('what was refused is tried again by the host; what never left has no effect', () => {
    const core = new Alone(model, 'n2');
    const [refused, unsent, read] = [core.propose(), core.propose(), core.read()];
    const why = { kind: 'forwardRefused', term: core.term, number: refused, reason: 'busy', leader: 'n1' };
    expect(endsIn(core.hear(why))).toEqual(['1 unknown busy']);
    expect(endsIn(core.step({ kind: 'unsent', now: core.now, number: unsent }))).toEqual(['2 none unsent']);
    expect(endsIn(core.step({ kind: 'unsent', now: core.now, number: read }))).toEqual(['3 none unsent']);
  });

  it('a leader of another term refuses a forward as a whole, a read as well', () => {
    const core = new Alone(model, 'n1');
    const proposals = [
      { kind: 'command', id: { session: 1, sequence: 1, firstIncomplete: 1 }, data: new Uint8Array(1), retry: false },
    ];
    for (const message of [
      { kind: 'forwardProposals', term: core.term - 1, number: 8, proposals },
      { kind: 'forwardRead', term: core.term - 1, number: 9, byLease: false },
    ]) {
      const out = core.hear(message, 'n2');
      expect(out).toMatchObject([
        { kind: 'send', to: 'n2', message: { kind: 'forwardRefused', number: message.number, reason: 'notLeader' } },
      ]);
    }
  });

  it.each(['core', 'driver'])('what is asked of a stopped %s ends at once', (program) => {
    const asked = 'stop n3\npropose n3 a\nread n3\ntransfer n3 timeout=300\nstop n3\n';
    const script = `${asked}${each(calls(1, 3), (n) => `expect call ${n} failed`)}`;
    play(model, script, { header: [`program: ${program}`] });
  });

  it('an aborted read strands nobody who waits behind it', () => {
    const core = new Alone(model, 'n1');
    const { now } = core;
    const asks = (out: readonly Outbound<unknown>[]): unknown[] =>
      out.flatMap((each) => (each.kind === 'send' ? each.to : []));
    expect(asks(core.step({ kind: 'read', now, request: 1, deadline: Infinity }))).toEqual(['n2', 'n3']);
    expect(asks(core.step({ kind: 'read', now, request: 2, deadline: now + 90 }))).toEqual([]);
    expect(asks(core.step({ kind: 'read', now, request: 3, deadline: Infinity }))).toEqual([]);
    const out = core.step({ kind: 'cancel', now, requests: [1] });
    expect([endsIn(out), asks(out)]).toEqual([['1 none cancelled'], ['n2', 'n3']]);
    expect(endsIn(core.tick(now + 90))).toEqual(['2 none deadline']);
  });
});
