/**
 * Multi-Paxos replicas driven by hand: one message at a time, with a disk that keeps what was synced. Every step is
 * taken through `checkedStep`, and so held to the laws and to `checkState` and `checkStep`.
 */

import type * as core from '../../src/core/protocol.js';
import { ballotOf } from '../../src/multipaxos/ballot.js';
import { multipaxosProtocol } from '../../src/multipaxos/index.js';
import type { PaxosMessage, PaxosState } from '../../src/multipaxos/index.js';
import { storageOps, type LaneOp } from '../../src/replica/driver/persist-lane.js';
import { newDisk, read, recovered, written, type WorldDisk } from '../../src/testing/world/disk.js';
import { checkedStep } from '../laws.js';
import { clusterOf, timing, wideLimits } from '../values.js';

export const protocol = multipaxosProtocol as core.Protocol<unknown, unknown>;
export { timing };

export type Outbound = core.Outbound<PaxosMessage>;
export type Send = core.Send<PaxosMessage>;
export type Of<K extends PaxosMessage['kind']> = Extract<PaxosMessage, { kind: K }>;

export interface NodeOptions {
  readonly size?: number;
  readonly alpha?: number;
  readonly limits?: Partial<core.Limits>;
  readonly disk?: WorldDisk;
  readonly boot?: number;
  readonly now?: number;
  readonly seed?: number;
}

/** Ballot of round `n` of the member `n1`, `n2`, … of that number. */
export const b = (n: number, number: number): core.Term => ballotOf(n, number);

/** A command whose value is one word. */
export function value(index: core.Index, term: core.Term, word: string): core.Entry {
  const sequence = [...word].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) % 100_000;
  return {
    index,
    term,
    kind: 'command',
    time: 0,
    id: { session: 9, sequence, firstIncomplete: 1 },
    data: Buffer.from(word),
  };
}

export function noop(index: core.Index, term: core.Term): core.Entry {
  return { index, term, kind: 'noop', time: 0, id: null, data: new Uint8Array(0) };
}

/** What an entry says: the word, or `-` for a noop. */
export function word(entry: core.Entry): string {
  return entry.kind === 'noop' ? '-' : Buffer.from(entry.data).toString();
}

/** `slot:word@round.number` of each. */
export function words(entries: readonly core.Entry[]): readonly string[] {
  return entries.map((entry) => `${entry.index}:${word(entry)}`);
}

/** The disk after these writes of a core. */
export function persisted(disk: WorldDisk, ops: readonly LaneOp[]): WorldDisk {
  return written(disk, storageOps(ops, multipaxosProtocol.durable));
}

/** A disk on which nothing but this was ever written. */
export function diskOf(...ops: readonly LaneOp[]): WorldDisk {
  return persisted(newDisk(1), ops);
}

export class Node {
  readonly id: string;
  readonly options: NodeOptions;
  disk: WorldDisk;
  state: PaxosState;
  now: number;
  /** Everything that was ever sent, persisted, committed and resolved, in order. */
  readonly all: Outbound[] = [];
  readonly persists: core.Persist[] = [];
  durable = 0;
  /** What `init` wanted done. */
  readonly first: readonly Outbound[];

  constructor(id: string, options: NodeOptions = {}) {
    this.id = id;
    this.options = options;
    this.disk = options.disk ?? newDisk(1);
    this.now = options.now ?? 0;
    const limits = { ...wideLimits, ...options.limits };
    const configuration = clusterOf(options.size ?? 3, { alpha: options.alpha ?? 8 });
    const { boot = 1, seed = 7 } = options;
    const [state, outbound] = multipaxosProtocol.init(
      { id, boot, configuration, seed, now: this.now, timing, limits, preVote: false },
      recovered(this.disk, multipaxosProtocol.durable, limits),
    );
    multipaxosProtocol.checkState(state);
    this.state = state;
    this.first = this.take(outbound);
  }

  private take(outbound: readonly Outbound[]): readonly Outbound[] {
    this.all.push(...outbound);
    for (const each of outbound) if (each.kind === 'persist') this.persists.push(each);
    return outbound;
  }

  step(inbound: core.Inbound<PaxosMessage>): readonly Outbound[] {
    const [state, outbound] = checkedStep(protocol, this.state, inbound);
    this.state = state as PaxosState;
    return this.take(outbound as readonly Outbound[]);
  }

  get(from: string, message: PaxosMessage): readonly Outbound[] {
    return this.step({ kind: 'receive', now: this.now, from, message });
  }

  campaign(): readonly Outbound[] {
    return this.step({ kind: 'campaign', now: this.now });
  }

  /** Everything issued becomes durable (or everything up to `persistSeq`), and is reported. */
  sync(persistSeq = this.state.persistSeq): readonly Outbound[] {
    for (const persist of this.persists) {
      if (persist.persistSeq > this.durable && persist.persistSeq <= persistSeq)
        this.disk = persisted(this.disk, persist.ops as readonly LaneOp[]);
    }
    this.durable = Math.max(this.durable, persistSeq);
    return this.step({ kind: 'persisted', now: this.now, persistSeq });
  }

  tick(now = multipaxosProtocol.deadline(this.state)): readonly Outbound[] {
    this.now = now;
    return this.step({ kind: 'tick', now });
  }

  /** Ticks on time, as often as it is due within the next `ms`. */
  pass(ms: number): readonly Outbound[] {
    const out: Outbound[] = [];
    const end = this.now + ms;
    for (let due = multipaxosProtocol.deadline(this.state); due <= end; due = multipaxosProtocol.deadline(this.state)) {
      out.push(...this.tick(due));
    }
    this.now = end;
    return out;
  }

  applied(index = this.state.delivery.delivered): readonly Outbound[] {
    return this.step({ kind: 'applied', now: this.now, index });
  }

  /** Answers a load from the disk. */
  answer({ id, from, to, maxBytes }: core.Load): readonly Outbound[] {
    const stored = read(this.disk, from, to, maxBytes);
    const { durable } = multipaxosProtocol;
    const entries = stored.map(({ index, term, data }) => durable.decodeEntry(index, term, data));
    return this.step({ kind: 'loaded', now: this.now, id, entries });
  }

  propose(texts: readonly string[], deadline = Infinity, retry = false): readonly Outbound[] {
    const proposals = texts.map((text) => {
      const { id, data } = value(1, 1, text) as { id: core.EntryId; data: Uint8Array };
      return { request: requestOf(text), kind: 'command' as const, id, data, retry };
    });
    return this.step({ kind: 'propose', now: this.now, proposals, deadline });
  }

  read(request: number, deadline = Infinity): readonly Outbound[] {
    return this.step({ kind: 'read', now: this.now, request, deadline });
  }

  /** The same replica after a crash: what was not synced is gone. */
  restart(): Node {
    return new Node(this.id, { ...this.options, disk: this.disk, boot: (this.options.boot ?? 1) + 1, now: this.now });
  }

  get role(): string {
    return this.state.role.kind;
  }

  get w(): core.Index {
    return this.state.log.last;
  }
}

/** The request number that `propose` gives a word. */
export function requestOf(text: string): number {
  return value(1, 1, text).id?.sequence ?? 0;
}

/** Sends of one kind, perhaps to one peer. */
export function sends<K extends PaxosMessage['kind']>(
  outbound: readonly Outbound[],
  kind: K,
  to?: string,
): readonly (Send & { readonly message: Of<K> })[] {
  return outbound.filter((each): each is Send & { readonly message: Of<K> } => {
    return each.kind === 'send' && each.message.kind === kind && (to === undefined || each.to === to);
  });
}

/** The messages of one kind. */
export function messages<K extends PaxosMessage['kind']>(
  outbound: readonly Outbound[],
  kind: K,
  to?: string,
): readonly Of<K>[] {
  return sends(outbound, kind, to).map((send) => send.message);
}

export function resolves(outbound: readonly Outbound[]): readonly string[] {
  return outbound.flatMap((each) => {
    if (each.kind !== 'resolve') return [];
    const { outcome } = each;
    const text = outcome.kind === 'committed' ? 'committed' : `${outcome.kind} ${outcome.reason}`;
    return each.requests.map((request) => `${request} ${text}`);
  });
}

/** Words delivered to the application. */
export function deliveries(outbound: readonly Outbound[]): readonly string[] {
  return outbound.flatMap((each) => (each.kind === 'commit' ? words(each.entries) : []));
}

/** What is proposed to a peer, by slot. */
export function proposed(outbound: readonly Outbound[], to: string): readonly string[] {
  return messages(outbound, 'accept', to).flatMap((accept) => words(accept.entries));
}

export function promise(ballot: core.Term, fields: Partial<Of<'promise'>> = {}): Of<'promise'> {
  return { kind: 'promise', wall: 0, ballot, from: 1, commit: 0, next: 0, rest: 0, votes: [], ...fields };
}

export function prepare(ballot: core.Term, fields: Partial<Of<'prepare'>> = {}): Of<'prepare'> {
  return { kind: 'prepare', ballot, from: 1, first: true, pages: 8, handover: false, held: [], ...fields };
}

export function accepted(ballot: core.Term, from: number, to = from, commit = 0): Of<'accepted'> {
  return { kind: 'accepted', ballot, from, to, commit };
}

export function accept(ballot: core.Term, entries: readonly core.Entry[], commit = 0): Of<'accept'> {
  return { kind: 'accept', ballot, commit, entries };
}

/** `n1` leads by the promises of the next members, which report these votes. Its first no-op is proposed. */
export function elected(options: NodeOptions = {}, fields: Partial<Of<'promise'>> = {}): Node {
  const node = new Node('n1', options);
  return elect(node, fields);
}

/** Makes a follower lead, by a bare majority of promises. */
export function elect(node: Node, fields: Partial<Of<'promise'>> = {}): Node {
  node.campaign();
  node.sync();
  const others = node.state.options.others.slice(0, Math.ceil(node.state.options.others.length / 2));
  for (const { id } of others) node.get(id, promise(node.state.promised, { from: node.w + 1, ...fields }));
  return node;
}

/** A leader of three whose no-op at slot 1 is chosen. */
export function settled(options: NodeOptions = {}): Node {
  const node = elected(options);
  node.sync();
  node.get('n2', accepted(node.state.promised, 1));
  return node;
}
