/** The timers (law/time-is-data): election timer, pauses of the host, quorum timer, heartbeats. */

import { describe, expect, it } from 'vitest';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { accepted, b, messages, Node, prepare, promise, sends, settled, timing } from './support.js';

const { heartbeat, electionMin, electionMax } = timing;

function beat(node: Node, at: number): void {
  node.now = at;
  node.get('n1', { kind: 'heartbeat', ballot: b(1, 1), commit: 0, readRound: 0 });
}

describe('a follower', () => {
  it('campaigns when its election timer expires, within the bounds and not before', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const node = new Node('n2', { seed });
      const due = multipaxosProtocol.deadline(node.state);
      expect(due).toBeGreaterThanOrEqual(electionMin);
      expect(due).toBeLessThanOrEqual(electionMax);
      node.tick(due - 1);
      expect(node.role).toBe('follower');
      node.tick(due);
      expect(node.role).toBe('candidate');
    }
  });

  it('is not silent for it while it hears the leader', () => {
    const node = new Node('n2');
    for (let at = 0; at < 20_000; at += 900) {
      beat(node, at);
      node.pass(0);
    }
    expect(node.role).toBe('follower');
  });

  it('takes a very late tick for a pause of its own, once', () => {
    const node = new Node('n2');
    beat(node, 0);
    node.sync();
    node.tick(1.3 * electionMax + electionMin);
    expect(node.role).toBe('follower');
    node.tick(node.state.electionTimer.deadline + 10 * electionMax);
    expect(node.role).toBe('candidate');
  });

  it('and again once a message of the leader came', () => {
    const node = new Node('n2');
    let now = 0;
    for (let turn = 0; turn < 20; turn++) {
      beat(node, now);
      now += 1.3 * electionMax + electionMin;
      node.tick(now);
      expect(node.role).toBe('follower');
    }
  });

  it('an early tick changes nothing, and an idle one needs none', () => {
    const node = new Node('n2');
    const { state } = node;
    node.tick(1);
    expect(node.state).toBe(state);
  });

  it('a promise to a candidate starts the election timer again, and the first one puts off the own campaign', () => {
    const node = new Node('n2');
    node.now = 900;
    node.get('n3', prepare(b(1, 3)));
    const { timeout } = node.state.electionTimer;
    expect(node.state.electionTimer.deadline).toBe(900 + timeout + electionMin / 2);
    node.get('n3', prepare(b(2, 3)));
    expect(node.state.electionTimer.deadline).toBe(900 + timeout);
  });
});

describe('an acceptor (liveness/phase1-is-borne)', () => {
  it('waits longer for a Phase 1 that makes progress, and not for a first Prepare that is repeated', () => {
    const node = new Node('n2');
    node.get('n3', prepare(b(1, 3)));
    const { deadline, timeout } = node.state.electionTimer;
    node.now = 900;
    node.get('n3', prepare(b(1, 3)));
    expect(node.state.electionTimer.deadline).toBe(deadline);
    node.get('n3', prepare(b(1, 3), { from: 5, first: false }));
    expect(node.state.electionTimer.deadline).toBe(900 + timeout);
    node.now = 1000;
    expect(node.get('n3', prepare(b(1, 3), { first: false, pages: 0 }))).toEqual([]);
    expect(node.state.electionTimer.deadline).toBe(1000 + timeout);
  });

  it('bears Phase 1s for four election timeouts in all, and twice as long when it had to end one', () => {
    const node = new Node('n2');
    /** For how long it waits for a candidate that makes progress for ever. */
    const borne = (ballot: number): number => {
      const since = node.now;
      for (; node.role === 'follower' && node.now < since + 100 * electionMax; node.pass(100)) {
        node.get('n3', prepare(ballot, { first: false }));
        node.sync();
      }
      return node.now - since;
    };
    const span = 4 * electionMax;
    const first = borne(b(1, 3));
    expect(first).toBeGreaterThanOrEqual(span);
    expect(first).toBeLessThanOrEqual(span + 2 * electionMax);
    expect(borne(b(5, 3))).toBe(0); // a candidate, until it promises
    node.get('n3', prepare(b(5, 3)));
    const second = borne(b(5, 3));
    expect(second).toBeGreaterThanOrEqual(2 * span);
    expect(second).toBeLessThanOrEqual(2 * span + 4 * electionMax);
    node.get('n3', { kind: 'heartbeat', ballot: b(9, 3), commit: 0, readRound: 0 });
    expect(node.state.bearing).toEqual({ until: Infinity, span });
  });
});

describe('a candidate', () => {
  it('campaigns again in a higher ballot', () => {
    const node = new Node('n2');
    node.campaign();
    node.sync();
    node.pass(node.state.electionTimer.timeout);
    expect(node.state.promised).toBe(b(2, 2));
    expect(node.role).toBe('candidate');
  });

  it('that is refused waits for a new timeout, then takes a higher ballot', () => {
    const node = new Node('n2');
    node.campaign();
    node.sync();
    node.get('n3', { kind: 'nack', ballot: b(1, 2), promised: b(6, 3), commit: 0 });
    expect(node.role).toBe('follower');
    expect(node.state.electionTimer.deadline).toBeGreaterThanOrEqual(node.now + electionMin);
    node.pass(electionMax);
    expect(node.state.promised).toBe(b(7, 2));
  });

  it('no round above the highest: it never campaigns, and nothing breaks', () => {
    const node = new Node('n2');
    node.campaign();
    node.sync();
    node.get('n3', { kind: 'nack', ballot: b(1, 2), promised: b(2 ** 37 - 1, 3), commit: 0 });
    node.pass(5 * electionMax);
    expect([node.role, node.state.promised]).toEqual(['follower', b(1, 2)]);
  });
});

describe('a leader', () => {
  it('says so at once, and every heartbeat', () => {
    const node = settled();
    expect(messages(node.all, 'heartbeat').length).toBe(2);
    const out = node.pass(3 * heartbeat);
    expect(sends(out, 'heartbeat').map(({ to }) => to)).toEqual(['n2', 'n3', 'n2', 'n3', 'n2', 'n3']);
  });

  it('steps down when no majority has answered for the longest election timeout', () => {
    const node = settled({ size: 5 });
    node.get('n3', accepted(b(1, 1), 1));
    node.pass(electionMax - 1);
    expect(node.role).toBe('leader');
    node.pass(1);
    expect(node.role).toBe('follower');
    expect(node.state.role).toMatchObject({ leader: null });
  });

  it('not while a majority answers, and one peer of five is none', () => {
    const node = settled({ size: 5 });
    const answer = (peer: string) => {
      node.get(peer, { kind: 'heartbeatReply', wall: 0, ballot: b(1, 1), readRound: 0, commit: 0, durable: 0 });
    };
    for (let turn = 0; turn < 30; turn++) {
      node.pass(heartbeat);
      answer('n2');
      answer('n4');
    }
    expect(node.role).toBe('leader');
    for (let turn = 0; turn < 30; turn++) {
      node.pass(heartbeat);
      answer('n2');
    }
    expect(node.role).not.toBe('leader');
  });

  it('of four needs two beside itself', () => {
    const node = settled({ size: 4 });
    for (let turn = 0; turn < 30; turn++) {
      node.pass(heartbeat);
      node.get('n2', { kind: 'heartbeatReply', wall: 0, ballot: b(1, 1), readRound: 0, commit: 0, durable: 0 });
    }
    expect(node.role).not.toBe('leader');
  });

  it('takes a very late tick for a pause of its own, once', () => {
    const node = settled();
    node.tick(5 * electionMax);
    expect(node.role).toBe('leader');
    expect(messages(node.all, 'heartbeat').length).toBe(4);
    node.pass(electionMax);
    expect(node.role).toBe('follower');
  });

  it('alone has no timer at all', () => {
    const node = new Node('n1', { size: 1 });
    node.sync();
    node.sync();
    expect(node.role).toBe('leader');
    expect(multipaxosProtocol.deadline(node.state)).toBe(Infinity);
  });

  it('after a refusal tries again soon, but lets whoever it was come first', () => {
    const node = settled();
    node.get('n2', { kind: 'nack', ballot: b(1, 1), promised: b(2, 3), commit: 0 });
    node.get('n3', prepare(b(2, 3)));
    node.pass(electionMin - 1);
    expect(node.state.promised).toBe(b(2, 3));
  });
});

it('asked to campaign, a follower does so without waiting, and a leader stays', () => {
  const node = new Node('n1');
  node.campaign();
  node.sync();
  node.get('n2', promise(b(1, 1)));
  const { state } = node;
  node.campaign();
  expect(node.state).toBe(state);
});
