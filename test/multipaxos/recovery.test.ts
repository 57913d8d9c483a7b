/** Restart at every persist boundary; the recovered W; and that the two stores are never mixed on disk. */

import { describe, expect, it } from 'vitest';
import type * as core from '../../src/core/protocol.js';
import { majority } from '../../src/core/quorum.js';
import { voteAt } from '../../src/multipaxos/window.js';
import { Disk } from '../support/host.js';
import { wideLimits } from '../support/values.js';
import {
  accept,
  accepted,
  b,
  elect,
  handed,
  messages,
  Node,
  promise,
  proposed,
  protocol,
  value,
  word,
  words,
} from './support.js';

describe('a restart', () => {
  it('finds its promise, its votes with gaps, and W as the hint says', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'a'), value(2, b(1, 2), 'b')]));
    node.get('n2', accept(b(1, 2), [value(3, b(1, 2), 'c'), value(5, b(1, 2), 'e')].slice(0, 1), 2));
    node.get('n2', accept(b(1, 2), [value(5, b(1, 2), 'e')]));
    node.get('n3', { kind: 'prepare', ballot: b(4, 3), from: 1 });
    node.sync();
    const again = node.restart();
    expect(again.state.promised).toBe(b(4, 3));
    expect(again.w).toBe(2);
    expect(handed(again.first)).toEqual(['1:a', '2:b']); // handed over at once
    expect([3, 4, 5].map((slot) => voteAt(again.state.window, slot)?.term)).toEqual([b(1, 2), undefined, b(1, 2)]);
  });

  it('with a hint that lags finds votes where it knew chosen entries, and learns them again', () => {
    const node = new Node('n1');
    node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'a')]));
    node.get('n2', { kind: 'commit', ballot: b(1, 2), commit: 1 });
    node.sync();
    const again = node.restart();
    expect([again.w, voteAt(again.state.window, 1)?.index]).toEqual([0, 1]);
    expect(handed(again.get('n2', { kind: 'heartbeat', ballot: b(1, 2), commit: 1, readRound: 0 }))).toEqual(['1:a']);
  });

  it('promises at least what it has voted in, whatever the hard state says', () => {
    const disk = new Disk(protocol);
    disk.apply(disk.encode([{ kind: 'put', entries: [value(1, b(3, 2), 'x')] }]));
    disk.apply(disk.encode([{ kind: 'hard', hard: { term: b(1, 2), vote: null, commit: 0 } }]));
    const node = new Node('n1', { disk });
    expect(node.state.promised).toBe(b(3, 2));
    expect(messages(node.get('n3', { kind: 'prepare', ballot: b(2, 3), from: 1 }), 'nack')).toHaveLength(1);
  });

  it('keeps a bounded tail below W and every vote above it', () => {
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
    const all: string[] = [...handed(again.first)];
    expect(all).toEqual([]);
    for (let turn = 0; turn < 20 && all.length < 8; turn++) {
      const load = again.all.filter((each): each is core.Load => each.kind === 'load').pop();
      expect(load?.to).toBeLessThanOrEqual(8);
      const page = again.disk.read(load?.from ?? 0, load?.to ?? 0, load?.maxBytes ?? 0);
      all.push(...handed(again.step({ kind: 'loaded', now: 0, id: load?.id ?? 0, entries: page })));
      all.push(...handed(again.applied()));
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
    expect(() => again.step({ kind: 'loaded', now: 0, id: loading, entries: beyond })).toThrow('nothing above W');
    expect(() => again.step({ kind: 'loaded', now: 0, id: loading, entries: beyond.slice(1, 2) })).toThrow('follows');
  });

  it('serves others from storage what it no longer holds, and nothing above W', () => {
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
      const out = again.get('n3', { kind: 'catchUp', number, from: 2 });
      return out.find((each): each is core.Load => each.kind === 'load') as core.Load;
    };
    const load = ask(1);
    expect([load.from, load.to]).toEqual([2, 3]);
    expect(ask(1)).toBeUndefined(); // one load a peer
    expect(ask(2)).toBeUndefined(); // whose answer is for the newest question
    const entries = [2, 3].map((slot) => value(slot, b(1, 2), `v${slot}`));
    const served = again.step({ kind: 'loaded', now: 0, id: load.id, entries });
    expect(messages(served, 'catchUpReply', 'n3')).toEqual([{ kind: 'catchUpReply', number: 2, commit: 4, entries }]);
    const beyond = [2, 3, 4, 5].map((slot) => value(slot, b(1, 2), `v${slot}`));
    expect(again.step({ kind: 'loaded', now: 0, id: ask(3).id, entries: beyond })).toEqual([]);
    expect(messages(again.get('n3', { kind: 'catchUp', number: 4, from: 4 }), 'catchUpReply')[0]?.entries).toHaveLength(
      1,
    );
    expect(messages(again.get('n3', { kind: 'catchUp', number: 5, from: 9 }), 'catchUpReply')[0]?.entries).toEqual([]);
  });

  it('refuses stores that contradict each other, and a replica that is no member', () => {
    const disk = new Disk(protocol);
    disk.apply(disk.encode([{ kind: 'hard', hard: { term: b(1, 2), vote: null, commit: 3 } }]));
    expect(() => new Node('n1', { disk })).toThrow();
    expect(() => new Node('n8')).toThrow(RangeError);
  });
});

/** Everyone's messages, delivered in order, each host syncing as it goes; one may crash at a persist of its own. */
class Net {
  readonly nodes = new Map<string, Node>();
  readonly queue: { readonly from: string; readonly to: string; readonly message: never }[] = [];
  readonly committed = new Map<number, string>();
  /** How often each replica is down for the next messages. */
  readonly down = new Map<string, number>();
  readonly crashAt: number;
  readonly victim: string;
  crashes = 0;

  constructor(victim: string, crashAt: number) {
    this.victim = victim;
    this.crashAt = crashAt;
    for (const id of ['n1', 'n2', 'n3']) this.nodes.set(id, new Node(id, { alpha: 4, limits: { messageBytes: 120 } }));
  }

  private record(node: Node): void {
    for (const each of node.all) {
      if (each.kind !== 'commit') continue;
      for (const entry of each.entries) {
        const known = this.committed.get(entry.index);
        if (known !== undefined) expect([entry.index, word(entry)]).toEqual([entry.index, known]);
        this.committed.set(entry.index, word(entry));
      }
    }
  }

  /** Carries out what a node wants: syncs unless it crashes, then sends. */
  run(id: string, work: (node: Node) => void): void {
    const node = this.nodes.get(id) as Node;
    const from = node.all.length;
    work(node);
    let sent = from;
    const send = (): void => {
      for (; sent < node.all.length; sent++) {
        const each = node.all[sent];
        if (each?.kind === 'send') this.queue.push({ from: id, to: each.to, message: each.message as never });
      }
    };
    this.record(node);
    if (
      id === this.victim &&
      this.crashes === 0 &&
      node.state.persistSeq >= this.crashAt &&
      node.durable < node.state.persistSeq
    ) {
      // It crashes with this persist lost; what rested on it never left.
      for (const each of node.all.slice(from)) {
        if (each.kind === 'send' && each.after === 0)
          this.queue.push({ from: id, to: each.to, message: each.message as never });
      }
      this.crashes++;
      this.nodes.set(id, node.restart());
      this.record(this.nodes.get(id) as Node);
      return;
    }
    while (node.durable < node.state.persistSeq) node.sync();
    this.record(node);
    send();
  }

  settle(): void {
    for (let left = 3000; left > 0; left--) {
      const next = this.queue.shift();
      if (next === undefined) return;
      this.run(next.to, (node) => node.get(next.from, next.message));
    }
    throw new Error('it never settles');
  }

  /** Time passes for everyone, on time. */
  pass(ms: number): void {
    for (let turn = 0; turn < ms / 50; turn++) {
      for (const id of ['n1', 'n2', 'n3']) this.run(id, (node) => node.pass(50));
      this.settle();
    }
  }

  /** Two elections, values proposed by each leader, one member cut off from some of them. */
  script(): void {
    this.run('n1', (node) => node.campaign());
    this.settle();
    for (const text of ['a', 'b', 'c']) this.run('n1', (node) => node.propose([text]));
    this.settle();
    this.run('n1', (node) => node.propose(['only-here', 'and-this']));
    this.queue.length = 0; // nobody hears of these two
    this.run('n2', (node) => node.campaign());
    this.queue.splice(0, this.queue.length, ...this.queue.filter(({ to }) => to !== 'n1'));
    this.settle();
    this.run('n2', (node) => node.propose(['d', 'e', 'f']));
    this.settle();
    this.run('n3', (node) => node.propose(['g']));
    this.settle();
    this.pass(6000);
  }
}

/** After every persist of a replica: what would be recovered if it crashed right there. */
function checkDisks(net: Net, node: Node, persists: readonly core.Persist[]): void {
  const disk = new Disk(protocol);
  for (const persist of persists) {
    disk.apply(disk.encode(persist.ops));
    const { hard, tail } = disk.recover(wideLimits);
    for (const entry of tail) {
      if (entry.index > (hard?.commit ?? 0)) continue;
      expect([node.id, persist.persistSeq, entry.index, word(entry)]).toEqual([
        node.id,
        persist.persistSeq,
        entry.index,
        net.committed.get(entry.index),
      ]);
    }
    for (const entry of tail) expect(entry.term).toBeLessThanOrEqual(Math.max(hard?.term ?? 0, entry.term));
    const held = new Set(tail.map(({ index }) => index));
    for (let index = 1; index <= (hard?.commit ?? 0); index++) expect(held.has(index)).toBe(true);
  }
}

describe('a crash at any persist', () => {
  const quiet = new Net('nobody', 0);
  quiet.script();

  it('has a script worth its name: everything chosen, a foreign value put, two leaders', () => {
    expect([...quiet.committed.values()].filter((text) => text !== '-').sort()).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
      'f',
      'g',
    ]);
    const overwritten = [...quiet.nodes.values()].some(({ persists }) => {
      const seen = new Map<number, string>();
      return persists.some(({ ops }) =>
        ops.some(
          (op) =>
            op.kind === 'put' &&
            op.entries.some((entry) => {
              const known = seen.get(entry.index);
              seen.set(entry.index, word(entry));
              return known !== undefined && known !== word(entry);
            }),
        ),
      );
    });
    expect(overwritten).toBe(true);
  });

  it('leaves chosen entries up to the recovered W, and only votes above it', () => {
    for (const node of quiet.nodes.values()) checkDisks(quiet, node, node.persists);
  });

  const boundaries = [...quiet.nodes].flatMap(([id, { persists }]) =>
    persists.map(({ persistSeq }) => [id, persistSeq] as const),
  );

  it.each(boundaries)('%s loses persist %i', (victim, seq) => {
    const net = new Net(victim, seq);
    net.script();
    expect(net.crashes).toBe(1);
    net.pass(8000);
    const prefixes = [...net.nodes.values()].map(({ w }) => w);
    expect(new Set(prefixes).size).toBe(1);
    expect(prefixes[0]).toBeGreaterThanOrEqual(net.committed.size);
    expect(net.committed.size).toBe(prefixes[0]);
    for (const [index] of net.committed) {
      const holders = [...net.nodes.values()].filter(({ disk }) => disk.cells.has(index));
      expect(holders.length).toBeGreaterThanOrEqual(majority(3));
    }
  });
});

it('a vote of an older ballot is reported by what is on disk, not by what was overwritten', () => {
  const node = new Node('n1');
  node.get('n2', accept(b(1, 2), [value(1, b(1, 2), 'old')]));
  node.sync();
  node.get('n3', accept(b(2, 3), [value(1, b(2, 3), 'new')])); // never synced
  const again = node.restart();
  const [reply] = messages(again.get('n2', { kind: 'prepare', ballot: b(3, 2), from: 1 }), 'promise');
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
