/**
 * What must always hold, whatever the protocol: the laws of the contract at every step, and across the cluster
 * the rules of docs/rules.md that need no look at a protocol. A `Violation` says which.
 */

import { Reader, Writer } from '../../src/core/bytes.js';
import type * as core from '../../src/core/protocol.js';
import { majority } from '../../src/core/quorum.js';
import { deepFreeze } from './freeze.js';
import { nameOf, valueOf, type AnyProtocol, type Host } from './host.js';

export class Violation extends Error {
  override readonly name = 'Violation';
}

export function demand(holds: boolean, rule: string, evidence?: () => unknown): asserts holds {
  if (!holds) throw new Violation(evidence === undefined ? rule : `${rule}: ${JSON.stringify(evidence())}`);
}

/** Whether two plain values are equal all the way down, and, with `but`, apart from that field at the top. */
export function same(a: unknown, b: unknown, but?: string): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  }
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  for (const key of keys) {
    if (key === but) continue;
    if (!(key in b) || !same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key])) return false;
  }
  return true;
}

/** One step, taken twice: pure, the old state unchanged, and the same reference when nothing changed (law/pure, law/values). */
export function checkedStep(
  protocol: AnyProtocol,
  state: unknown,
  message: core.Inbound<unknown>,
): core.Step<unknown, unknown> {
  deepFreeze(state);
  deepFreeze(message);
  const [next, outbound] = protocol.step(state, message);
  const again = protocol.step(state, message);
  demand(same(next, again[0]) && same(outbound, again[1]), 'law/pure: the same input gives the same result');
  deepFreeze(next);
  deepFreeze(outbound);
  const idle = next === state || !same(next, state, 'now');
  demand(idle, 'law/values: a step that changes nothing gives the same reference', () => message);
  protocol.checkState(next);
  protocol.checkStep(state, next, message);
  const due = protocol.deadline(state);
  const after = protocol.deadline(next);
  demand(!Number.isNaN(after), 'the deadline is a number');
  if (message.kind === 'tick' && message.now >= due) demand(after > message.now, 'a tick leaves nothing due');
  if (message.kind === 'tick' && message.now < due)
    demand(next === state, 'law/time-is-data: an early tick changes nothing');
  return [next, outbound];
}

/** A message on its way: bytes, and back only in one form. */
export function encode({ codec }: AnyProtocol, message: unknown): Uint8Array {
  const bound = codec.sizeOf(message);
  const writer = new Writer(bound);
  codec.write(writer, message);
  const bytes = writer.finish();
  demand(bytes.length <= bound, 'sizeOf is an upper bound', () => [bound, bytes.length, message]);
  return bytes;
}

export function decode(protocol: AnyProtocol, bytes: Uint8Array): unknown {
  const message = protocol.codec.read(new Reader(bytes));
  demand(same(encode(protocol, message), bytes), 'a message has one form in bytes');
  return message;
}

/** What happened often enough to mean something. */
export const newCounters = () => ({
  steps: 0,
  elections: 0,
  conflicts: 0,
  crashes: 0,
  lostUnsynced: 0,
  loads: 0,
  catchUps: 0,
  forwarded: 0,
  duplicates: 0,
  reads: 0,
  superseded: 0,
  unknown: 0,
  busy: 0,
  commits: 0,
  heldSends: 0,
});
export type Counters = ReturnType<typeof newCounters>;

/** The observer of one cluster: its own record of what was ever committed, led, asked and answered. */
export class Observer {
  /** Whatever was handed over anywhere, from index 1 on: its value, and its term where that is the entry's own. */
  readonly committed: { readonly value: string; readonly term: core.Term }[] = [];
  /** Proposals that ended as committed, and reads that were served. */
  readonly acknowledged = new Set<core.RequestNumber>();
  readonly counters: Counters;
  /** In Raft an entry's term is part of it; in Multi-Paxos a value is voted for in many ballots. */
  private readonly termed: boolean;
  private readonly hosts: readonly Host[];
  private readonly protocol: AnyProtocol;
  private readonly leaders = new Map<core.Term, string>();
  private topLeader: core.Term = 0;
  private readonly names = new Map<string, { attempts: number; nones: number; committed: boolean }>();

  constructor(protocol: AnyProtocol, hosts: readonly Host[], sequences: Counters) {
    this.protocol = protocol;
    this.hosts = hosts;
    this.counters = sequences;
    this.termed = protocol.name.includes('raft');
  }

  asked(host: Host, request: core.RequestNumber, id: core.EntryId | null, deadline: core.Milliseconds): void {
    const name = id === null ? '' : nameOf(id);
    const kind = id === null ? 'read' : 'propose';
    const away = host.role !== 'leader';
    host.asked.set(request, { kind, deadline, name, floor: this.committed.length, away });
    if (id === null) return;
    const known = this.names.get(name) ?? { attempts: 0, nones: 0, committed: false };
    known.attempts++;
    this.names.set(name, known);
  }

  private answer(host: Host, request: core.RequestNumber): NonNullable<ReturnType<Host['asked']['get']>> {
    const asked = host.asked.get(request);
    demand(asked !== undefined, 'law/one-end-per-request: a request ends exactly once', () => ({
      host: host.id,
      request,
    }));
    host.asked.delete(request);
    return asked;
  }

  /** `none` only without effect, `committed` only when it was handed over here. */
  resolved(host: Host, { requests, outcome }: core.Resolve): void {
    demand(requests.length > 0, 'a resolve names a request');
    for (const request of requests) {
      const asked = this.answer(host, request);
      if (asked.kind === 'read') demand(outcome.kind !== 'committed', 'a read is not committed');
      if (outcome.kind === 'committed') {
        demand(host.names.has(asked.name), 'committed: it was handed over', () => asked);
        this.acknowledged.add(request);
        if (asked.away) this.counters.forwarded++;
        continue;
      }
      if (outcome.kind === 'unknown') this.counters.unknown++;
      if (outcome.reason === 'superseded') this.counters.superseded++;
      if (outcome.reason === 'busy') this.counters.busy++;
      const known = this.names.get(asked.name);
      if (outcome.kind !== 'none' || known === undefined) continue;
      known.nones++;
      demand(
        !known.committed || known.nones < known.attempts,
        'law/one-end-per-request: none means without effect',
        () => asked,
      );
    }
  }

  /** A read sees whatever anybody may have seen when it was asked. */
  readReady(host: Host, { request, index }: core.ReadReady): void {
    const asked = this.answer(host, request);
    demand(asked.kind === 'read', 'only a read is ready');
    demand(index >= asked.floor, 'reads/no-stale-read: a read is linearizable', () => ({ index, asked }));
    this.acknowledged.add(request);
    this.counters.reads++;
  }

  /** In order, once a start, the same everywhere and for ever; durable on a majority by then. */
  handedOver(host: Host, entries: readonly core.Entry[]): void {
    for (const entry of entries) {
      demand(entry.index === host.handed + 1, 'handed over in order, without a gap', () => [host.handed, entry.index]);
      host.handed = entry.index;
      if (entry.id !== null) host.names.add(nameOf(entry.id));
      const value = valueOf(entry);
      const known = this.committed[entry.index - 1];
      if (known !== undefined) {
        const equal = known.value === value && (!this.termed || known.term === entry.term);
        demand(equal, 'log/one-value-per-index: state machine safety', () => ({
          host: host.id,
          index: entry.index,
          known,
          value,
        }));
        continue;
      }
      this.committed.push({ value, term: entry.term });
      this.counters.commits++;
      this.checkDurable(entry.index);
      const name = entry.id === null ? undefined : this.names.get(nameOf(entry.id));
      if (name === undefined) continue;
      name.committed = true;
      demand(name.nones < name.attempts, 'law/one-end-per-request: none means without effect', () =>
        nameOf(entry.id as core.EntryId),
      );
    }
  }

  private checkDurable(index: core.Index): void {
    const known = this.committed[index - 1] as (typeof this.committed)[number];
    const holders = this.hosts.filter(({ disk }) => {
      const cell = disk.cells.get(index);
      return cell !== undefined && cell.value === known.value && (!this.termed || cell.term === known.term);
    });
    const evidence = (): unknown => ({ index, holders: holders.map((host) => host.id), known });
    demand(
      holders.length >= majority(this.hosts.length),
      'log/committed-on-majority: what is committed is durable on a majority',
      evidence,
    );
  }

  /** After a crash: nothing that was committed has gone. */
  checkAllDurable(): void {
    for (let index = 1; index <= this.committed.length; index++) this.checkDurable(index);
  }

  /** After every step of a host: what its status says, against what it said before and what the disks hold. */
  checkStatus(host: Host, before: core.Status, after: core.Status, events: readonly core.CoreEvent[]): void {
    const evidence = (): unknown => ({ before, after });
    demand(after.term >= before.term, 'raft/term-never-falls: the term is monotone', evidence);
    demand(after.commit >= before.commit, 'log/commit-never-falls: the commit index is monotone', evidence);
    demand(after.delivered === host.handed && after.delivered <= after.commit, 'handed over ≤ commit', evidence);
    demand(after.applied === host.applied && after.applied <= after.delivered, 'applied ≤ handed over', evidence);
    demand(after.durable <= after.last, 'durable ≤ last', evidence);
    demand(after.fault === null || host.silent, 'on a sound storage nobody halts', evidence);
    if (after.role !== before.role && !host.silent) {
      const last = events.filter((event) => event.kind === 'role').pop();
      demand(last !== undefined && last.role === after.role, 'a change of role is an event', evidence);
    }
    host.role = after.role;
    if (after.role !== 'leader') return;
    const who = `${host.id}@${host.boot}`;
    const known = this.leaders.get(after.term);
    if (known === undefined) this.counters.elections++;
    demand(known === undefined || known === who, 'raft/one-leader-per-term: election safety', () => ({
      known,
      who,
      term: after.term,
    }));
    this.leaders.set(after.term, who);
    this.topLeader = Math.max(this.topLeader, after.term);
    demand(after.leader === host.id, 'a leader knows that it leads', evidence);
    if (after.term < this.topLeader) return;
    for (const peer of after.peers) {
      const { disk } = this.hosts.find((each) => each.id === peer.id) as Host;
      demand(
        peer.match === 0 || disk.cells.has(peer.match),
        'raft/match-is-durable: what a peer acknowledged is on its disk',
        evidence,
      );
    }
  }

  /** A request is never waited for longer than its deadline, and one that has a deadline wakes the host. */
  checkWaiting(host: Host): void {
    const deadline = this.protocol.deadline(host.state);
    for (const [request, asked] of host.asked) {
      demand(deadline <= asked.deadline, 'law/one-end-per-request: a request with a deadline is woken for', () => ({
        request,
        asked,
      }));
    }
  }
}
