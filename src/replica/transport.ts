/**
 * How replicas reach each other: one-way datagrams of bytes that may be lost, delayed, reordered and duplicated,
 * but never altered, and whose sender is who it says. Nothing here knows a protocol.
 */

/** `control`: small and urgent, never waits behind `bulk`. */
export type TransportLane = 'control' | 'bulk';

/** Who a transport speaks for. */
export interface TransportIdentity {
  /** Compared in every handshake: who names another cluster is refused. */
  readonly cluster: string;
  readonly id: string;
  /** Tells this replica's data from that of an earlier one with the same id. */
  readonly incarnation: number;
}

/** A member to reach. */
export interface TransportPeer {
  readonly id: string;
  /** In the transport's own form, for TCP `host:port`. */
  readonly address: string;
}

/** What a transport reports that is worth a person's attention. */
export interface TransportEvent {
  /**
   * `refused`: a handshake failed, by us or by the peer (a stranger, another cluster, another version).
   * `malformed`: a peer sent what is not a frame, and was cut off.
   * `connected`, `disconnected`: a connection to `peer` came or went.
   */
  readonly kind: 'refused' | 'malformed' | 'connected' | 'disconnected';
  /** Who, as far as known. */
  readonly peer: string | null;
  readonly reason: string;
}

/** What a transport tells its replica. None of these may throw, and none is called before `start` or after `stop`. */
export interface TransportHandler {
  /** The bytes are the handler's: a transport never touches them again. */
  onMessage(from: string, bytes: Uint8Array): void;
  /** The connection to a peer is lost: a hint. */
  onUnreachable(peer: string): void;
  onEvent(event: TransportEvent): void;
}

/**
 * Duties of an implementation:
 *
 * - `start` resolves when peers can reach this replica; it does not wait for peers. It rejects with
 *   `ERR_TRANSPORT_FAILED` when it cannot listen or was started before, `ERR_INVALID_ARGUMENT` when an address is
 *   malformed; then it leaves nothing open, and `stop` may not follow.
 * - `send` never throws and never waits. It gives false when the message was dropped at once: an unknown or
 *   unreachable peer, a full queue, a message above `maxMessageBytes`. True promises nothing. The bytes are the
 *   transport's from then on. Memory per peer is bounded.
 * - `setPeers` says whom to reach from now on; others are disconnected and refused.
 * - The `from` of a message is authentic as far as the transport can tell: a stranger's message is never delivered.
 * - A slow or dead peer delays nobody else.
 * - `stop` closes everything, leaves no handle open, and may be called more than once.
 */
export interface Transport {
  start(
    identity: TransportIdentity,
    self: TransportPeer,
    peers: readonly TransportPeer[],
    handler: TransportHandler,
  ): Promise<void>;
  send(to: string, bytes: Uint8Array, lane: TransportLane): boolean;
  setPeers(peers: readonly TransportPeer[]): void;
  stop(): Promise<void>;
  /** The largest message that `send` takes. */
  readonly maxMessageBytes: number;
}
