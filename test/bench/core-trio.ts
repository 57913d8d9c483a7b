/** Three replicas of one protocol in one thread, driven as fast as they go. What they hand over is checked. */

import { Reader, Writer } from '../../src/core/bytes.js';
import { PlainEntryId } from '../../src/core/entries.js';
import { configurationOf } from '../../src/core/members.js';
import type * as core from '../../src/core/protocol.js';
import { defaultLimits, defaultTiming } from '../../src/core/tuning.js';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import { raftProtocol } from '../../src/raft/index.js';

export type AnyProtocol = core.Protocol<unknown, unknown>;

/** By the name that the lines carry. */
export const systems: readonly (readonly [system: string, protocol: AnyProtocol])[] = [
  ['quorate-raft', raftProtocol as AnyProtocol],
  ['quorate-multipaxos', multipaxosProtocol as AnyProtocol],
];

/** As the other libraries are set up: 1 MiB a message, 256 under way. */
const limits: core.Limits = { ...defaultLimits, messageBytes: 1 << 20, inflightMessages: 256 };
const COMPACT_EVERY = 10_000;
const STAY = 1000;
/** Memory that commands share. */
const SLAB = 64 * 1024;
const NOTHING = new Uint8Array(0);

/** One replica with its storage, which is instant and only remembers. */
export class Node {
  readonly id: string;
  state: unknown = null;
  inbox: core.Inbound<unknown>[] = [];
  durable = 0;
  reported = 0;
  handed = 0;
  applied = 0;
  /** Commands handed over and checked. */
  commands = 0;
  /** What is stored from `from` on. */
  stored: core.Entry[] = [];
  from = 1;

  constructor(id: string) {
    this.id = id;
  }

  write(ops: readonly core.PersistOp[]): void {
    for (const op of ops) {
      if (op.kind === 'truncate') this.stored.length = Math.max(0, op.from - this.from);
      if (op.kind !== 'put') continue;
      for (let i = 0; i < op.entries.length; i++) {
        const entry = op.entries[i] as core.Entry;
        const at = entry.index - this.from;
        if (at === this.stored.length) this.stored.push(entry);
        else this.stored[at] = entry;
      }
    }
    const over = this.handed - STAY - this.from;
    if (over < COMPACT_EVERY) return;
    this.stored = this.stored.slice(over);
    this.from += over;
  }

  /** Every entry in order, every command the next one, with the bytes that it was made with. */
  hand(entries: readonly core.Entry[]): void {
    for (let i = 0; i < entries.length; i++) {
      const { index, kind, data } = entries[i] as core.Entry;
      if (index !== ++this.handed) throw new Error(`${this.id}: expected entry ${this.handed}, got ${index}`);
      if (kind !== 'command') continue;
      const number = numberIn(data);
      if (number !== this.commands++) throw new Error(`${this.id}: expected command ${this.commands}, got ${number}`);
    }
  }
}

function numberIn(data: Uint8Array): number {
  const low = (data[0] as number) | ((data[1] as number) << 8) | ((data[2] as number) << 16);
  return low + (data[3] as number) * 0x100_0000;
}

export class Trio {
  readonly nodes: readonly Node[];
  readonly protocol: AnyProtocol;
  readonly #byId = new Map<string, Node>();
  readonly #coded: boolean;
  now = 0;
  #slab = new ArrayBuffer(0);
  #at = 0;
  #made = 0;
  /** Sees every step, for whoever wants to keep some. */
  spy:
    | ((
        node: Node,
        state: unknown,
        inbound: core.Inbound<unknown>,
        outbound: readonly core.Outbound<unknown>[],
      ) => void)
    | null = null;

  constructor(protocol: AnyProtocol, coded = false) {
    this.protocol = protocol;
    this.#coded = coded;
    const configuration = configurationOf({ a: 'a:1', b: 'b:1', c: 'c:1' });
    this.nodes = configuration.members.map(({ id }) => new Node(id));
    const recovered: core.Recovered = {
      hard: null,
      base: { index: 0, term: 0 },
      last: 0,
      runs: [],
      tail: [],
      snapshot: null,
    };
    for (const node of this.nodes) {
      this.#byId.set(node.id, node);
      const base = {
        id: node.id,
        boot: 1,
        configuration,
        seed: 7,
        now: 0,
        timing: defaultTiming,
        limits,
        preVote: true,
      };
      const [state, outbound] = protocol.init(base, recovered);
      node.state = state;
      this.#handle(node, outbound);
    }
    node0(this).inbox.push({ kind: 'campaign', now: 0 });
    this.deliver();
    for (let turn = 0; turn < 10; turn++) this.heartbeat();
    if (protocol.status(node0(this).state).role !== 'leader') throw new Error('nobody leads');
  }

  step(node: Node, inbound: core.Inbound<unknown>): void {
    const before = node.state;
    const [state, outbound] = this.protocol.step(before, inbound);
    node.state = state;
    if (this.spy !== null) this.spy(node, before, inbound, outbound);
    this.#handle(node, outbound);
  }

  #handle(node: Node, outbound: readonly core.Outbound<unknown>[]): void {
    for (let i = 0; i < outbound.length; i++) {
      const each = outbound[i] as core.Outbound<unknown>;
      if (each.kind === 'send') this.#send(node, each);
      else if (each.kind === 'persist') {
        node.write(each.ops);
        node.durable = each.persistSeq;
      } else if (each.kind === 'commit') node.hand(each.entries);
      else if (each.kind === 'load') {
        const entries = node.stored.slice(each.from - node.from, each.to - node.from + 1);
        node.inbox.push({ kind: 'loaded', now: this.now, id: each.id, entries });
      } else if (each.kind === 'resolve' && each.outcome.kind !== 'committed') {
        throw new Error(`a proposal ended as ${each.outcome.kind}: ${each.outcome.reason}`);
      }
    }
  }

  #send(node: Node, { to, message }: core.Send<unknown>): void {
    const target = this.#byId.get(to) as Node;
    if (!this.#coded) {
      target.inbox.push({ kind: 'receive', now: this.now, from: node.id, message });
      return;
    }
    const { codec } = this.protocol;
    const writer = new Writer(codec.sizeOf(message));
    codec.write(writer, message);
    const decoded = codec.read(new Reader(writer.finish()));
    target.inbox.push({ kind: 'receive', now: this.now, from: node.id, message: decoded });
  }

  /** In turn, each replica takes what has arrived, then hears what is durable and what is applied. */
  deliver(): void {
    for (let busy = true; busy; ) {
      busy = false;
      for (const node of this.nodes) {
        const { inbox } = node;
        if (inbox.length > 0) {
          busy = true;
          node.inbox = [];
          for (let i = 0; i < inbox.length; i++) this.step(node, inbox[i] as core.Inbound<unknown>);
        }
        if (node.reported < node.durable) {
          busy = true;
          node.reported = node.durable;
          this.step(node, { kind: 'persisted', now: this.now, persistSeq: node.durable });
        }
        if (node.applied < node.handed) {
          busy = true;
          node.applied = node.handed;
          this.step(node, { kind: 'applied', now: this.now, index: node.handed });
        }
      }
    }
  }

  /** Time goes on to the leader's next heartbeat. */
  heartbeat(): void {
    const leader = node0(this);
    this.now = Math.max(this.now, this.protocol.deadline(leader.state));
    this.step(leader, { kind: 'tick', now: this.now });
    this.deliver();
  }

  /** Bytes for one command. Many share their memory, as Node's small buffers do: to get some for each takes 1 µs. */
  #payload(bytes: number): Uint8Array {
    if (bytes <= 64) return new Uint8Array(bytes);
    if (this.#at + bytes > this.#slab.byteLength) {
      this.#slab = new ArrayBuffer(SLAB);
      this.#at = 0;
    }
    this.#at += bytes;
    return new Uint8Array(this.#slab, this.#at - bytes, bytes);
  }

  /** Hands a batch of fresh commands to the leader. */
  propose(batch: number, payload: number): void {
    const proposals: core.Proposal[] = new Array<core.Proposal>(batch);
    for (let i = 0; i < batch; i++) {
      const number = this.#made++;
      const data = payload === 0 ? NOTHING : this.#payload(payload);
      data[0] = number;
      data[1] = number >>> 8;
      data[2] = number >>> 16;
      data[3] = number >>> 24;
      const id = new PlainEntryId(1, number + 1, number + 1);
      proposals[i] = { request: number + 1, kind: 'command', id, data, retry: false };
    }
    this.step(node0(this), { kind: 'propose', now: this.now, proposals, deadline: Infinity });
  }

  /** Commands handed over on all three. */
  done(): number {
    const [a, b, c] = this.nodes as readonly [Node, Node, Node];
    return Math.min(a.commands, b.commands, c.commands);
  }

  get made(): number {
    return this.#made;
  }

  /** Keeps up to `depth` batches under way until `enough` says so. Gives how many commands that were. */
  work(batch: number, payload: number, depth: number, enough: () => boolean): number {
    const before = this.#made;
    while (!enough()) {
      while (this.#made - this.done() <= (depth - 1) * batch) this.propose(batch, payload);
      this.deliver();
      if (this.#made - this.done() > (depth - 1) * batch) this.heartbeat();
    }
    for (let turn = 0; this.done() < this.#made; turn++) {
      this.heartbeat();
      if (turn > 100) throw new Error('commands were lost');
    }
    return this.#made - before;
  }
}

function node0(trio: Trio): Node {
  return trio.nodes[0] as Node;
}
