/**
 * The model of Multi-Paxos attached to a random cluster (test/support): everything that happens there is shown to the
 * safety and to the probes. Kept apart from `quorate/testing`, so that neither can hide a fault of the other.
 */

import { Reader } from '../../src/core/bytes.js';
import type { ClusterView, ReplicaView, SendFact, StepFact } from '../../src/core/model.js';
import type * as core from '../../src/core/protocol.js';
import { multipaxosModel, type PaxosGhost, type PaxosMessage, type PaxosState } from '../../src/multipaxos/index.js';
import type { Cluster } from '../support/cluster.js';
import type { AnyProtocol, Host } from '../support/host.js';
import { idsOf } from '../support/values.js';

type Protocol = core.Protocol<PaxosState, PaxosMessage>;
type Step = core.Step<PaxosState, PaxosMessage>;
type Inbound = core.Inbound<PaxosMessage>;

/** A disk of the cluster, decoded once for each record. */
class Disk {
  #host: Host | null = null;
  readonly #decoded = new WeakMap<Uint8Array, core.Entry>();
  readonly #protocol: Protocol;

  constructor(protocol: Protocol) {
    this.#protocol = protocol;
  }

  attach(host: Host): void {
    this.#host = host;
  }

  get hard(): core.HardState | null {
    const bytes = (this.#host?.disk as unknown as { hard: Uint8Array | null } | undefined)?.hard ?? null;
    return bytes === null ? null : this.#protocol.durable.decodeHard(bytes);
  }

  get last(): core.Index {
    return Math.max(0, ...(this.#host?.disk.cells.keys() ?? []));
  }

  entry(index: core.Index): core.Entry | undefined {
    const cell = this.#host?.disk.cells.get(index);
    if (cell === undefined) return undefined;
    const known = this.#decoded.get(cell.bytes) ?? this.#protocol.durable.decodeEntry(index, cell.term, cell.bytes);
    this.#decoded.set(cell.bytes, known);
    return known;
  }
}

export class ModelRig {
  readonly probes = new Map<string, number>();
  /** Every step, and every message, for tests that need a crowd of them. */
  see: ((fact: StepFact<PaxosState, PaxosMessage>) => void) | null = null;
  hear: ((fact: SendFact<PaxosMessage>) => void) | null = null;
  ghost: PaxosGhost = multipaxosModel.safety.initial;
  #view: ClusterView<PaxosState> | null = null;
  readonly #inner: Protocol;
  #newest: readonly [before: unknown, message: unknown] = [null, null];

  /** @param inner the protocol to watch, which may be a broken one */
  constructor(inner: Protocol = multipaxosModel.protocol) {
    this.#inner = inner;
  }

  /** The protocol to run the cluster with. @param size how many replicas it has */
  protocol(size: number): AnyProtocol {
    const inner = this.#inner;
    this.ghost = multipaxosModel.safety.initial;
    const disks = idsOf(size).map(() => new Disk(inner));
    const replicas: ReplicaView<PaxosState>[] = idsOf(size).map((id, at) => {
      return { id, state: null, disk: disks[at] as Disk };
    });
    const delivered: core.Entry[] = [];
    const committed = {
      get last(): core.Index {
        return delivered.length;
      },
      entry: (index: core.Index): core.Entry | undefined => delivered[index - 1],
    };
    this.#view = { replicas, committed };
    const observe = (before: PaxosState | null, inbound: Inbound | null, [after, outbound]: Step): void => {
      const fact = { replica: after.options.id, before, after, inbound, outbound };
      this.ghost = multipaxosModel.safety.step(this.ghost, fact, this.#view as ClusterView<PaxosState>);
      multipaxosModel.noteCoverage(fact, (name) => this.probes.set(name, (this.probes.get(name) ?? 0) + 1));
      for (const each of outbound) {
        if (each.kind === 'commit') for (const entry of each.entries) delivered[entry.index - 1] ??= entry;
      }
      this.see?.(fact);
    };
    return {
      ...inner,
      init: (options: core.ProtocolOptions, recovered: core.Recovered) => {
        const result = inner.init(options, recovered);
        inner.checkState(result[0]);
        observe(null, null, result);
        return result;
      },
      step: (state: PaxosState, message: Inbound) => {
        const result = inner.step(state, message);
        // Each step is taken twice, to see that it is pure.
        if (this.#newest[0] !== state || this.#newest[1] !== message) observe(state, message, result);
        this.#newest = [state, message];
        return result;
      },
    } as AnyProtocol;
  }

  /** Shows the rest: what leaves, and what becomes durable. */
  attach(cluster: Cluster): void {
    const view = this.#view as ClusterView<PaxosState>;
    const { safety, protocol } = multipaxosModel;
    cluster.hosts.forEach((host, at) => {
      (view.replicas[at]?.disk as Disk).attach(host);
      const sync = host.sync.bind(host);
      let turn = 0;
      host.sync = (count: number): void => {
        const pieces = turn++ % 2 === 0 ? [count] : new Array<number>(Math.min(count, host.unsynced.length)).fill(1);
        for (const piece of pieces) {
          sync(piece);
          this.ghost = safety.durable(this.ghost, host.id, view);
        }
      };
    });
    const push = cluster.flights.push.bind(cluster.flights);
    cluster.flights.push = (...flights): number => {
      for (const { from, to, bytes } of flights) {
        const message = protocol.codec.read(new Reader(bytes));
        const [sender, receiver] = [cluster.hosts[from] as Host, cluster.hosts[to] as Host];
        const fact = { from: sender.id, to: receiver.id, message };
        this.ghost = safety.send(this.ghost, fact, view);
        this.hear?.(fact);
      }
      return push(...flights);
    };
  }
}
