/**
 * Three drivers of one protocol in one thread, with the machine, the storage and the network at their simplest: a write
 * is durable and a run applied when the turn of its replica comes, and messages are bytes, as between hosts.
 */

import { configurationOf } from '../../src/core/members.js';
import { defaultLimits, defaultTiming } from '../../src/core/tuning.js';
import { driverOf, type Driver } from '../../src/replica/driver/driver.js';
import { noSnapshots } from '../../src/replica/driver/snapshots.js';
import type { DriverEffect, DriverEvent, DriverOptions, DriverState } from '../../src/replica/driver/state.js';
import type { StoredEntry } from '../../src/replica/storage.js';
import type { AnyProtocol } from './core-trio.js';

/** One replica, its storage and its machine, which counts. */
export class DriverNode {
  readonly id: string;
  state: DriverState;
  inbox: DriverEvent[] = [];
  writing = false;
  /** The commands that the machine was given and has not reported. */
  applying = 0;
  commands = 0;
  answered = 0;
  stored: StoredEntry[] = [];

  constructor(id: string, state: DriverState) {
    this.id = id;
    this.state = state;
  }
}

/** Sees every event of a driver, with what came of it. */
export type DriverSpy = (
  node: DriverNode,
  state: DriverState,
  event: DriverEvent,
  effects: readonly DriverEffect[],
) => void;

const KEPT = 20_000;

export class DriverTrio {
  readonly driver: Driver;
  readonly nodes: readonly DriverNode[];
  now = 0;
  spy: DriverSpy | null = null;
  #calls = 0;

  constructor(protocol: AnyProtocol) {
    this.driver = driverOf(protocol);
    const configuration = configurationOf({ a: 'a:1', b: 'b:1', c: 'c:1' });
    const ids = configuration.members.map(({ id }) => id);
    const started = ids.map((id, at) => {
      const options: DriverOptions = {
        id,
        incarnation: at + 1,
        boot: 1,
        cluster: 'bench',
        configuration,
        configurationHash: 'bench',
        timing: defaultTiming,
        limits: { ...defaultLimits, messageBytes: 1 << 20, inflightMessages: 256 },
        preVote: true,
        seed: 7,
        start: 7,
        now: 0,
        established: true,
        peers: ids.flatMap((peer, place) => (peer === id ? [] : [{ id: peer, incarnation: place + 1, final: true }])),
        maxWaiting: 100_000,
        maxWaitingBytes: 1 << 30,
        snapshotPolicy: null,
        storesSnapshots: false,
        snapshots: noSnapshots,
      };
      const [state, effects] = this.driver.init(options, {
        hard: null,
        base: { index: 0, term: 0 },
        last: 0,
        runs: [],
        tail: [],
        snapshot: null,
      });
      return { node: new DriverNode(id, state), effects };
    });
    this.nodes = started.map(({ node }) => node);
    for (const { node, effects } of started) this.#carryOut(node, effects);
    this.step(this.leader, { kind: 'campaign', now: 0 });
    this.deliver();
    for (let turn = 0; turn < 10; turn++) this.heartbeat();
    if (!this.driver.status(this.leader.state).leading) throw new Error('nobody leads');
    for (const { state } of this.nodes) {
      if (state.session.kind !== 'open') throw new Error('a session is not open');
    }
  }

  get leader(): DriverNode {
    return this.nodes[0] as DriverNode;
  }

  step(node: DriverNode, event: DriverEvent): void {
    const before = node.state;
    const [state, effects] = this.driver.step(before, event);
    node.state = state;
    if (this.spy !== null) this.spy(node, before, event, effects);
    this.#carryOut(node, effects);
  }

  #carryOut(node: DriverNode, effects: readonly DriverEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') {
        const target = this.nodes.find(({ id }) => id === effect.to) as DriverNode;
        target.inbox.push({ kind: 'message', now: this.now, from: node.id, bytes: effect.bytes });
      } else if (effect.kind === 'write') {
        node.writing = true;
        for (const op of effect.ops) if (op.kind === 'put') for (const entry of op.entries) node.stored.push(entry);
        if (node.stored.length > 2 * KEPT) node.stored = node.stored.slice(-KEPT);
      } else if (effect.kind === 'apply') node.applying = effect.entries.length;
      else if (effect.kind === 'answer') node.answered++;
      else if (effect.kind === 'load') {
        const entries = node.stored.filter(({ index }) => index >= effect.from && index <= effect.to);
        node.inbox.push({ kind: 'loaded', now: this.now, id: effect.id, entries });
      } else if (effect.kind === 'fail') throw new Error(effect.failure.message);
      else if (effect.kind === 'event' && effect.event.kind === 'fault') throw new Error(effect.event.reason);
    }
  }

  /** In turn, each replica takes what has arrived, then hears what is durable and what is applied. */
  deliver(): void {
    for (let busy = true; busy; ) {
      busy = false;
      for (const node of this.nodes) {
        const { inbox } = node;
        node.inbox = [];
        for (const event of inbox) this.step(node, event);
        const { writing, applying } = node;
        if (writing) {
          node.writing = false;
          this.step(node, { kind: 'written', now: this.now });
        }
        if (applying > 0) {
          node.applying = 0;
          const results = Array.from({ length: applying }, () => ({ rejected: false, value: ++node.commands }));
          this.step(node, { kind: 'applied', now: this.now, results });
        }
        busy ||= inbox.length > 0 || writing || applying > 0;
      }
    }
  }

  /** Time goes on to the leader's next heartbeat. */
  heartbeat(): void {
    this.now = Math.max(this.now, this.driver.deadline(this.leader.state));
    this.step(this.leader, { kind: 'tick', now: this.now });
    this.deliver();
  }

  /** Callers of this replica ask for `batch` commands in one turn. */
  propose(node: DriverNode, batch: number, payload: number): void {
    const commands = Array.from({ length: batch }, () => {
      return { call: ++this.#calls, deadline: this.now + 30_000, data: new Uint8Array(payload) };
    });
    this.step(node, { kind: 'propose', now: this.now, commands });
  }

  /** One batch after the other at this replica, each answered before the next, until `enough` says so. */
  work(node: DriverNode, batch: number, payload: number, enough: () => boolean): number {
    const before = this.#calls;
    while (!enough()) {
      this.propose(node, batch, payload);
      this.deliver();
      this.now += 0.1;
      for (let turn = 0; node.answered < this.#calls; turn++) {
        this.heartbeat();
        if (turn > 100) throw new Error('commands were not answered');
      }
    }
    return this.#calls - before;
  }
}
