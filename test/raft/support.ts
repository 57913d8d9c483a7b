/** Raft replicas driven by hand: nothing is delivered, persisted or ticked unless the test says so. */

import { configurationOf } from '../../src/core/members.js';
import type { Entry, HardState, Inbound, Outbound, Persist, Recovered, Send } from '../../src/core/protocol.js';
import { defaultLimits, defaultTiming } from '../../src/core/tuning.js';
import { raftProtocol, type RaftMessage, type RaftState } from '../../src/raft/index.js';
import type { RaftProgress } from '../../src/raft/state.js';

type Untimed<T> = T extends unknown ? Omit<T, 'now'> : never;

export function entry(index: number, term: number, sequence = index): Entry {
  return {
    index,
    term,
    kind: 'command',
    time: 0,
    id: { session: 1, sequence, firstIncomplete: 1 },
    data: new Uint8Array([index]),
  };
}

/** A log with one entry for each term given, in order. */
export function logOf(...terms: number[]): Entry[] {
  return terms.map((term, at) => entry(at + 1, term));
}

export class Node {
  state: RaftState;
  now = 0;
  out: Outbound<RaftMessage>[] = [];

  constructor(id: string, size = 3, hard: HardState | null = null, tail: readonly Entry[] = [], preVote = false) {
    const ids = ['a', 'b', 'c', 'd', 'e'].slice(0, size);
    const configuration = configurationOf(Object.fromEntries(ids.map((each) => [each, each])));
    const runs: { from: number; term: number }[] = [];
    for (const { index, term } of tail) if (runs[runs.length - 1]?.term !== term) runs.push({ from: index, term });
    const recovered: Recovered = { hard, base: { index: 0, term: 0 }, last: tail.length, runs, tail, snapshot: null };
    const options = {
      id,
      boot: 1,
      configuration,
      seed: 7,
      now: 0,
      timing: defaultTiming,
      limits: defaultLimits,
      preVote,
    };
    const [state, out] = raftProtocol.init(options, recovered);
    this.state = state;
    this.out = [...out];
  }

  step(inbound: Untimed<Inbound<RaftMessage>>): Outbound<RaftMessage>[] {
    const before = this.state;
    const message = { ...inbound, now: this.now } as Inbound<RaftMessage>;
    const [state, out] = raftProtocol.step(before, message);
    raftProtocol.checkState(state);
    raftProtocol.checkStep(before, state, message);
    this.state = state;
    this.out = [...out];
    return this.out;
  }

  receive(from: string, message: RaftMessage): Outbound<RaftMessage>[] {
    return this.step({ kind: 'receive', from, message });
  }

  sync(): Outbound<RaftMessage>[] {
    return this.step({ kind: 'persisted', persistSeq: this.state.persistSeq });
  }

  get sends(): Send<RaftMessage>[] {
    return this.out.filter((each): each is Send<RaftMessage> => each.kind === 'send');
  }

  get persist(): Persist | undefined {
    return this.out.find((each): each is Persist => each.kind === 'persist');
  }

  /** The session that a leader's appends carry. */
  get session(): number {
    const { role } = this.state;
    if (role.kind !== 'leader') throw new Error('does not lead');
    return role.peers[0]?.viewId ?? 0;
  }

  get terms(): number[] {
    return this.state.log.chunks.flatMap((chunk) => chunk.entries.map((each) => each.term));
  }

  /** Wins the election of the next term by the votes of `voters`. */
  lead(...voters: string[]): void {
    this.step({ kind: 'campaign' });
    this.sync();
    const { term } = this.state;
    for (const voter of voters) this.receive(voter, { kind: 'requestVoteReply', wall: 0, term, granted: true });
    if (this.state.role.kind !== 'leader') throw new Error('not elected');
  }
}

/** What a leader knows of a peer. */
export function progressAt({ state: { role } }: Node, peer: string): RaftProgress {
  const found = role.kind === 'leader' ? role.peers.find(({ id }) => id === peer) : undefined;
  if (found === undefined) throw new Error(`does not lead ${peer}`);
  return found;
}
