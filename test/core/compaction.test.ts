/** What a core does with a snapshot of its application: it names it in the persist lane, once, and never an older one. */

import { describe, expect, it } from 'vitest';
import type { Inbound, Outbound, Persist, SnapshotName } from '../../src/core/protocol.js';
import { ballotOf } from '../../src/multipaxos/ballot.js';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';
import { choose, type AnyProtocol } from '../../src/core/tuning.js';
import { checkedStep } from '../laws.js';
import { clusterOf } from '../values.js';

type UntimedInbound = Inbound<unknown> extends infer I ? (I extends unknown ? Omit<I, 'now'> : never) : never;

describe.each<[string, AnyProtocol]>([
  ['raft', raftProtocol],
  ['multipaxos', multipaxosProtocol],
])('%s', (_, protocol) => {
  /** A cluster of one that has applied so many no-ops and commands, and all of it durable. */
  function replica(commands: number) {
    const { timing, limits } = choose(protocol, {});
    const start = { id: 'n1', boot: 1, configuration: clusterOf(1), seed: 1, now: 0, timing, limits, preVote: true };
    let now = 0;
    let [state, outbound] = protocol.init(start, {
      hard: null,
      base: { index: 0, term: 0 },
      last: 0,
      runs: [],
      tail: [],
      snapshot: null,
    });
    const persists: Persist[] = [];
    const step = (inbound: UntimedInbound): readonly Outbound<unknown>[] => {
      now += 1;
      [state, outbound] = checkedStep(protocol, state, { ...inbound, now } as Inbound<unknown>);
      persists.push(...outbound.filter((each): each is Persist => each.kind === 'persist'));
      return outbound;
    };
    const persist = (seq: number): unknown => step({ kind: 'persisted', persistSeq: seq });
    for (let seq = 1; seq <= 3; seq++) if (protocol.status(state).durable < 1 || seq === 1) persist(seq);
    for (let at = 1; at <= commands; at++) {
      const id = { session: 1, sequence: at, firstIncomplete: at };
      const proposal = { request: at, kind: 'command', id, data: new Uint8Array(1), retry: false } as const;
      step({ kind: 'propose', proposals: [proposal], deadline: Infinity });
      persist((persists[persists.length - 1] as Persist).persistSeq);
    }
    const { delivered } = protocol.status(state);
    step({ kind: 'applied', index: delivered });
    const take = (snapshot: SnapshotName): readonly Outbound<unknown>[] =>
      step({ kind: 'snapshotTaken', snapshot, through: 0 });
    return { take, delivered, status: () => protocol.status(state) };
  }

  it('names it, with a commit index that is at least its index', () => {
    const { take, delivered } = replica(3);
    expect(delivered).toBe(4);
    const snapshot = { index: 3, term: ballotOf(1, 1), checksum: 9, time: 0 };
    const [persist, ...rest] = take(snapshot) as readonly [Persist];
    expect(rest).toEqual([]);
    expect(persist.ops).toMatchObject([
      { kind: 'trim', snapshot },
      { kind: 'hard', hard: { commit: 4 } },
    ]);
  });

  it('ignores one that is not newer, and refuses one of what was never applied', () => {
    const { take, delivered } = replica(3);
    take({ index: 3, term: 1, checksum: 9, time: 0 });
    expect(take({ index: 3, term: 1, checksum: 8, time: 0 })).toEqual([]);
    expect(take({ index: 2, term: 1, checksum: 7, time: 0 })).toEqual([]);
    expect(() => take({ index: delivered + 1, term: 1, checksum: 6, time: 0 })).toThrow(RangeError);
  });
});
