/** What a restart finds on its disk, and what it does with it. (A crash at every write: test/both/crashes.test.ts.) */

import { describe, expect, it } from 'vitest';
import type * as core from '../../src/core/protocol.js';
import { voteAt } from '../../src/multipaxos/window.js';
import { wideLimits } from '../values.js';
import {
  accept,
  accepted,
  b,
  diskOf,
  elect,
  deliveries,
  messages,
  Node,
  prepare,
  promise,
  proposed,
  protocol,
  value,
  word,
  words,
} from './support.js';

describe('a restart', () => {
  it('finds its promise, its votes with gaps, and the commit index as the hint says', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'a'), value(2, b(1, 2), 'b')]));
    node.get('n2', accept(b(1, 2), [value(3, b(1, 2), 'c'), value(5, b(1, 2), 'e')].slice(0, 1), 2));
    node.get('n2', accept(b(1, 2), [value(5, b(1, 2), 'e')]));
    node.get('n3', prepare(b(4, 3)));
    node.sync();
    const again = node.restart();
    expect(again.state.promised).toBe(b(4, 3));
    expect(again.w).toBe(2);
    expect(deliveries(again.first)).toEqual(['1:a', '2:b']); // delivered at once
    expect([3, 4, 5].map((slot) => voteAt(again.state.window, slot)?.term)).toEqual([b(1, 2), undefined, b(1, 2)]);
  });

  it('with a hint that lags finds votes where it knew chosen entries, and learns them again', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'a')]));
    node.get('n2', { kind: 'commit', ballot: b(1, 2), commit: 1 });
    node.sync();
    const again = node.restart();
    expect([again.w, voteAt(again.state.window, 1)?.index]).toEqual([0, 1]);
    expect(deliveries(again.get('n2', { kind: 'heartbeat', ballot: b(1, 2), commit: 1, readRound: 0 }))).toEqual([
      '1:a',
    ]);
  });

  it('promises at least the highest ballot of its votes, even if the hard state has a lower one', () => {
    const disk = diskOf(
      { kind: 'put', entries: [value(1, b(3, 2), 'x')] },
      { kind: 'hard', hard: { term: b(1, 2), vote: null, commit: 0 } },
    );
    const node = new Node('n1', { disk });
    expect(node.state.promised).toBe(b(3, 2));
    expect(messages(node.get('n3', prepare(b(2, 3))), 'nack')).toHaveLength(1);
  });

  it('keeps a bounded tail below the commit index and every vote above it', () => {
    const { tailFrom } = protocol.durable;
    const limits = { ...wideLimits, tailEntries: 10 };
    expect(tailFrom({ term: 5, vote: null, commit: 100 }, 1, 500, limits)).toBe(91);
    expect(tailFrom({ term: 5, vote: null, commit: 4 }, 1, 500, limits)).toBe(1);
    expect(tailFrom(null, 1, 3, limits)).toBe(1);
  });

  it('loads what it no longer holds, and hands everything over again from 1 on', () => {
    const node = new Node('n1', { limits: { tailEntries: 2, applyBytes: 200, loadBytes: 150 } });
    const entries = Array.from({ length: 8 }, (_, at) => value(at + 1, b(1, 2), `v${at + 1}`));
    node.get('n2', accept(b(1, 2), entries));
    node.get('n2', accept(b(1, 2), [value(9, b(1, 2), 'v9')], 8));
    node.sync();
    const again = node.restart();
    const all: string[] = [...deliveries(again.first)];
    expect(all).toEqual([]);
    for (let turn = 0; turn < 20 && all.length < 8; turn++) {
      const load = again.all.filter((each): each is core.Load => each.kind === 'load').pop();
      expect(load?.to).toBeLessThanOrEqual(8);
      all.push(...deliveries(again.answer(load as core.Load)));
      all.push(...deliveries(again.applied()));
    }
    expect(all).toEqual(words(entries));
  });

  it('takes no answer to another load, and halts on one that is not what is chosen', () => {
    const node = new Node('n1', { limits: { tailEntries: 1 } });
    node.get(
      'n2',
      accept(
        b(1, 2),
        [1, 2, 3].map((slot) => value(slot, b(1, 2), `v${slot}`)),
      ),
    );
    node.get('n2', accept(b(1, 2), [value(4, b(1, 2), 'v4')], 3));
    node.sync();
    const again = node.restart();
    const { loading } = again.state.delivery;
    expect(again.step({ kind: 'loaded', now: 0, id: loading + 1, entries: [value(1, 7, 'x')] })).toEqual([]);
    const beyond = [1, 2, 3, 4].map((slot) => value(slot, b(1, 2), `v${slot}`));
    const halted = node.restart();
    expect(deliveries(again.step({ kind: 'loaded', now: 0, id: loading, entries: beyond }))).toEqual([
      '1:v1',
      '2:v2',
      '3:v3',
    ]);
    const strange = { kind: 'loaded', now: 0, id: halted.state.delivery.loading, entries: beyond.slice(1, 2) } as const;
    expect(deliveries(halted.step(strange))).toEqual([]);
    expect(halted.state).toMatchObject({ stopped: true, fault: 'the storage lost committed entries' });
  });

  it('serves others from storage what it no longer holds, and nothing above the commit index', () => {
    const node = new Node('n1', { limits: { tailEntries: 1 } });
    node.get(
      'n2',
      accept(
        b(1, 2),
        [1, 2, 3, 4].map((slot) => value(slot, b(1, 2), `v${slot}`)),
      ),
    );
    node.get('n2', accept(b(1, 2), [value(5, b(1, 2), 'v5')], 4));
    node.sync();
    const again = node.restart();
    const ask = (number: number): core.Load => {
      const out = again.get('n3', { kind: 'catchUp', number, from: 2, to: 9, bytes: 1000 });
      return out.find((each): each is core.Load => each.kind === 'load') as core.Load;
    };
    const load = ask(1);
    expect([load.from, load.to]).toEqual([2, 3]);
    expect(ask(1)).toBeUndefined(); // one load for the same slots
    expect(ask(2)).toBeUndefined(); // whose answer is for the newest question
    const entries = [2, 3].map((slot) => value(slot, b(1, 2), `v${slot}`));
    const inMemory = { ...value(4, b(1, 2), 'v4'), data: Uint8Array.from(Buffer.from('v4')) };
    const served = again.step({ kind: 'loaded', now: 0, id: load.id, entries });
    expect(messages(served, 'catchUpReply', 'n3')).toEqual([
      { kind: 'catchUpReply', number: 2, commit: 4, rest: 0, entries },
      { kind: 'catchUpReply', number: 2, commit: 4, rest: 0, entries: [inMemory] },
    ]);
    const beyond = [2, 3, 4, 5].map((slot) => value(slot, b(1, 2), `v${slot}`));
    expect(again.step({ kind: 'loaded', now: 0, id: ask(3).id, entries: beyond })).toEqual([]);
    expect(
      messages(again.get('n3', { kind: 'catchUp', number: 4, from: 4, to: 9, bytes: 1000 }), 'catchUpReply')[0]
        ?.entries,
    ).toHaveLength(1);
    expect(
      messages(again.get('n3', { kind: 'catchUp', number: 5, from: 9, to: 9, bytes: 1000 }), 'catchUpReply')[0]
        ?.entries,
    ).toEqual([]);
  });

  it('refuses stores that contradict each other, and a replica that is no member', () => {
    const disk = diskOf({ kind: 'hard', hard: { term: b(1, 2), vote: null, commit: 3 } });
    expect(() => new Node('n1', { disk })).toThrow();
    expect(() => new Node('n8')).toThrow(RangeError);
  });
});

it('a vote of an older ballot is reported by what is on disk, not by what was overwritten', () => {
  const node = new Node('n1');
  node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'old')]));
  node.sync();
  node.get('n3', accept(b(2, 3), [value(1, b(2, 3), 'new')])); // never synced
  const again = node.restart();
  const [reply] = messages(again.get('n2', prepare(b(3, 2))), 'promise');
  expect(reply?.votes.map((vote) => [word(vote), vote.term])).toEqual([['old', b(1, 2)]]);
});

it('a leader that restarts goes on only after a new Phase 1', () => {
  const node = new Node('n1');
  elect(node);
  node.propose(['lost', 'too']);
  node.sync();
  const again = node.restart();
  expect(again.role).toBe('follower');
  again.campaign();
  again.sync();
  expect(proposed(again.get('n3', promise(b(2, 1))), 'n2')).toEqual(['1:-', '2:lost', '3:too', '4:-']);
  again.sync();
  again.get('n3', accepted(b(2, 1), 1, 4));
  expect(again.w).toBe(4);
});
