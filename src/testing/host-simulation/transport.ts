/**
 * The transport of one start of a member in the host simulation. It fulfils the duties of a `Transport`, also that what
 * is sent where nobody answers is refused, and checks those of the host.
 */

import { ConsensusError } from '../../replica/errors.js';
import type {
  Transport,
  TransportHandler,
  TransportIdentity,
  TransportLane,
  TransportPeer,
} from '../../replica/transport.js';
import type { SimulatedProcess } from './clock.js';
import type { SimulatedNetwork } from './network.js';

/** One start's way into the network. */
export class SimulatedTransport implements Transport {
  readonly maxMessageBytes: number;
  private readonly network: SimulatedNetwork;
  private readonly process: SimulatedProcess;
  private identity: TransportIdentity | null = null;
  private handler: TransportHandler | null = null;
  private peers: ReadonlyMap<string, number | null> = new Map();
  /** Those that could not be reached when their connection was lost. */
  private readonly gone = new Set<string>();
  private phase: 'new' | 'starting' | 'bound' | 'up' | 'stopped' = 'new';

  constructor(network: SimulatedNetwork, process: SimulatedProcess) {
    this.network = network;
    this.process = process;
    this.maxMessageBytes = network.maxMessageBytes;
  }

  get isUp(): boolean {
    return this.phase === 'up' && this.process.alive;
  }

  checkAddress(): void {}

  start(
    identity: TransportIdentity,
    _self: TransportPeer,
    peers: readonly TransportPeer[],
    handler: TransportHandler,
  ): Promise<void> {
    const { network, process } = this;
    if (this.phase !== 'new') network.trace.violate('transport/calls-in-order', `${identity.id}: started twice`);
    this.phase = 'starting';
    return new Promise((resolve, reject) => {
      const fails = network.nextStart;
      network.nextStart = false;
      network.schedule.after(network.dice.within(0, 5), () => {
        process.input(() => {
          if (fails) {
            network.trace.cover('transport cannot start');
            this.phase = 'stopped';
            return reject(new ConsensusError('simulated: the port is taken', { code: 'ERR_TRANSPORT_FAILED' }));
          }
          this.phase = 'bound';
          this.identity = identity;
          this.handler = handler;
          this.setPeers(peers);
          resolve();
        });
      });
    });
  }

  answer(): void {
    const { network, identity } = this;
    if (this.phase !== 'bound' || identity === null) {
      return network.trace.violate('transport/calls-in-order', `answer while the transport is ${this.phase}`);
    }
    this.phase = 'up';
    network.join(this, identity.id);
  }

  connected(): readonly string[] {
    return this.phase === 'up' ? [...this.peers.keys()] : [];
  }

  send(to: string, bytes: Uint8Array, lane: TransportLane): boolean {
    if (!this.process.alive || this.identity === null) return false;
    const { id } = this.identity;
    if (this.phase !== 'up') {
      this.network.trace.violate('transport/calls-in-order', `${id}: send while the transport is ${this.phase}`);
    }
    return (
      this.peers.has(to) &&
      this.isConnected(id, to) &&
      this.network.send(this.identity, to, bytes, lane, this.process.lag)
    );
  }

  /** It dials again and again: what was refused once may be there by now. */
  private isConnected(id: string, to: string): boolean {
    if (!this.gone.has(to)) return true;
    if (this.network.reaches(id, to)) return this.gone.delete(to);
    this.network.trace.cover('refused, nobody is there');
    return false;
  }

  setPeers(peers: readonly TransportPeer[]): void {
    this.peers = new Map(peers.map(({ id, incarnation }) => [id, incarnation ?? null]));
  }

  stop(): Promise<void> {
    const was = this.phase;
    this.phase = 'stopped';
    if (this.identity !== null && was === 'up') this.network.leave(this, this.identity.id);
    return new Promise((resolve) => {
      this.network.schedule.after(this.network.dice.within(0, 5), () => this.process.input(resolve));
    });
  }

  /** Whether it holds nothing: stopped, or never started. */
  get isReleased(): boolean {
    return this.phase === 'stopped' || this.phase === 'new';
  }

  /** Returns false if it refuses the sender for its incarnation. */
  arrive(from: string, bytes: Uint8Array, cluster: string, incarnation: number): boolean {
    if (!this.isUp || cluster !== this.identity?.cluster || !this.peers.has(from)) return true;
    const expected = this.peers.get(from) ?? null;
    if (expected !== null && expected !== incarnation) return false;
    this.process.input(() => {
      if (this.phase === 'up') this.handler?.onMessage(from, bytes);
    });
    return true;
  }

  /** A peer refused what this incarnation sent. */
  refused(peer: string, incarnation: number): void {
    this.process.input(() => {
      if (this.phase !== 'up' || this.identity?.incarnation !== incarnation) return;
      this.network.trace.cover('incarnation refused');
      this.handler?.onRefused(peer, 'incarnation', 'simulated: it expects another incarnation');
    });
  }

  lost(peer: string, lanes: readonly TransportLane[]): void {
    this.process.input(() => {
      if (this.phase !== 'up' || !this.peers.has(peer)) return;
      this.network.trace.cover('disconnected');
      this.handler?.onEvent({ kind: 'disconnected', peer, reason: 'simulated' });
      for (const lane of lanes) this.handler?.onDisconnected(peer, lane);
      if (lanes.includes('control')) this.network.schedule.after(this.network.roundTrip, () => this.redialled(peer));
    });
  }

  private redialled(peer: string): void {
    const id = this.identity?.id;
    if (id === undefined || this.network.reaches(id, peer)) return;
    this.process.input(() => {
      if (this.phase !== 'up' || !this.peers.has(peer)) return;
      this.network.trace.cover('unreachable');
      this.gone.add(peer);
      this.handler?.onUnreachable(peer);
    });
  }
}
