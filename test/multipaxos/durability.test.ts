/** What is on disk before something leaves: one test for each kind of message (durability/send-after-sync). */

import { describe, expect, it } from 'vitest';
import {
  prepare,
  accept,
  accepted,
  b,
  elected,
  deliveries,
  messages,
  Node,
  resolves,
  sends,
  settled,
  value,
} from './support.js';

describe('before this leaves, this is durable', () => {
  it('Prepare: the candidate’s own promise', () => {
    const node = new Node('n1');
    const out = node.campaign();
    const [persist] = node.persists;
    expect(persist?.ops).toEqual([{ kind: 'hard', hard: { term: b(1, 1), vote: null, commit: 0 } }]);
    expect(sends(out, 'prepare').every(({ after }) => after === persist?.persistSeq)).toBe(true);
  });

  it('Promise: the promise, and every vote that it reports or omits', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
    node.get('n2', accept(b(1, 2), [value(2, b(1, 2), 'y')]));
    const raised = sends(node.get('n3', prepare(b(2, 3))), 'promise');
    expect(raised[0]?.after).toBe(3);
    node.sync(2);
    expect(sends(node.get('n3', prepare(b(2, 3))), 'promise')[0]?.after).toBe(3);
    node.sync(3);
    expect(sends(node.get('n3', prepare(b(2, 3))), 'promise')[0]?.after).toBe(0);
  });

  it('Accepted: votes and promise, in one persist, whichever step issued it', () => {
    const node = new Node('n1');
    const message = accept(b(1, 2), [value(1, b(1, 2), 'x'), value(2, b(1, 2), 'y')]);
    const [first] = sends(node.get('n2', message), 'accepted');
    expect(node.persists).toHaveLength(1);
    expect(node.persists[0]?.ops.map(({ kind }) => kind).sort()).toEqual(['hard', 'put']);
    expect(first?.after).toBe(1);
    node.get('n2', accept(b(1, 2), [value(3, b(1, 2), 'z')]));
    expect(sends(node.get('n2', message), 'accepted')[0]?.after).toBe(1); // a duplicate waits for the first copy
    node.sync(1);
    expect(sends(node.get('n2', message), 'accepted')[0]?.after).toBe(0);
  });

  it('a late report vouches for no vote that was overwritten', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
    node.get('n3', accept(b(2, 3), [value(1, b(2, 3), 'y')]));
    node.sync(1);
    const [again] = sends(node.get('n3', accept(b(2, 3), [value(1, b(2, 3), 'y')])), 'accepted');
    expect(again?.after).toBe(2);
  });

  it('a leader counting itself: its own vote', () => {
    const node = settled({ size: 2 });
    node.propose(['a']);
    node.get('n2', accepted(b(1, 1), 2));
    expect(node.w).toBe(1);
    expect(deliveries(node.sync())).toEqual(['2:a']);
  });

  it('a cluster of one: its promise before it leads, its vote before anything is chosen', () => {
    const node = new Node('n1', { size: 1 });
    expect(node.role).toBe('candidate');
    const lead = node.sync();
    expect(node.role).toBe('leader');
    expect(deliveries(lead)).toEqual([]);
    expect(deliveries(node.sync())).toEqual(['1:-']);
    node.propose(['a']);
    expect(node.w).toBe(1);
    expect(resolves(node.sync())[0]).toMatch(/committed/);
  });
});

describe('and this waits for nothing', () => {
  it('Accept, in parallel with the leader’s own disk', () => {
    const out = settled().propose(['a']);
    expect(sends(out, 'accept').map(({ to, after }) => [to, after])).toEqual([
      ['n2', 0],
      ['n3', 0],
    ]);
    expect(out[0]?.kind).toBe('persist');
  });

  it('commits, refusals, heartbeats and their answers', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
    const out = node.get('n2', { kind: 'heartbeat', ballot: b(1, 2), commit: 1, readRound: 3 });
    expect(deliveries(out)).toEqual(['1:x']); // not durable here, but chosen
    const [reply] = sends(out, 'heartbeatReply');
    expect([reply?.after, reply?.message.durable, reply?.message.readRound]).toEqual([0, 0, 3]);
    const refused = node.get('n3', prepare(b(1, 2) - 1));
    expect(refused.length === 0 || sends(refused, 'nack')[0]?.after === 0).toBe(true);
  });
});

describe('the commit index on disk is a hint', () => {
  it('persisted with other records, and never alone', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x')]));
    expect(node.get('n2', { kind: 'commit', ballot: b(1, 2), commit: 1 }).some(({ kind }) => kind === 'persist')).toBe(
      false,
    );
    node.get('n2', accept(b(1, 2), [value(2, b(1, 2), 'y')], 1));
    expect(node.persists[1]?.ops).toContainEqual({ kind: 'hard', hard: { term: b(1, 2), vote: null, commit: 1 } });
    expect(node.state.hardSeq).toBe(1); // nobody waits for it
  });

  it('as it is at the end of the step', () => {
    const node = new Node('n1');
    node.get('n2', { kind: 'commit', ballot: b(1, 2), commit: 2 });
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'x'), value(2, b(1, 2), 'y')]));
    expect(node.w).toBe(2);
    node.sync();
    expect(node.restart().w).toBe(2);
  });

  it('in the very persist that puts a chosen value which was not the own vote', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'mine'), value(2, b(1, 2), 'lost')]));
    node.get('n3', { kind: 'heartbeat', ballot: b(2, 3), commit: 3, readRound: 0 });
    const { number } = node.state.catchingUp?.questions[0] as { number: number };
    const entries = [value(1, b(1, 2), 'mine'), value(2, b(2, 3), 'won'), value(3, b(2, 3), 'more')];
    node.get('n3', { kind: 'catchUpReply', number, commit: 3, rest: 0, entries });
    const last = node.persists[node.persists.length - 1];
    expect(last?.ops).toEqual([
      { kind: 'put', entries: entries.slice(1) },
      { kind: 'hard', hard: { term: b(2, 3), vote: null, commit: 3 } },
    ]);
  });
});

describe('what is in memory and not yet on disk stays in memory', () => {
  it('the tail lets go of durable entries only', () => {
    const node = elected({ size: 3, alpha: 400, limits: { tailEntries: 1, tailBytes: 1 } });
    node.sync();
    node.get('n2', accepted(b(1, 1), 1));
    for (let slot = 2; slot < 300; slot++) {
      node.propose([`v${slot}`]);
      node.get('n2', accepted(b(1, 1), slot));
      node.get('n3', accepted(b(1, 1), slot)); // chosen by the two of them
    }
    expect(node.w).toBe(299);
    expect(node.state.log.tailFrom).toBeLessThanOrEqual(2);
    node.sync();
    expect(node.state.log.tailFrom).toBeGreaterThan(200);
    expect(
      messages(node.get('n2', { kind: 'catchUp', number: 1, from: 1, to: 9, bytes: 1000 }), 'catchUpReply'),
    ).toEqual([]);
    expect(node.all.some((each) => each.kind === 'load' && each.from === 1)).toBe(true);
  });
});
