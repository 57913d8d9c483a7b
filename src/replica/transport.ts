/**
 * The interface by which replicas reach each other: one-way datagrams of bytes that may be lost, delayed, reordered
 * and duplicated, but are never altered, and whose sender is known. A transport knows no protocol.
 */

/** The lane of a message. `control` is for small, urgent messages, which never wait behind `bulk`. */
export type TransportLane = 'control' | 'bulk';

/** The replica that a transport works for. */
export interface TransportIdentity {
  /** The name of the cluster; a handshake with a replica of another cluster is refused. */
  readonly cluster: string;
  /** The id of this replica. */
  readonly id: string;
  /** Names this replica's data, to tell it from the data of an earlier replica with the same id; a safe integer ≥ 0. */
  readonly incarnation: number;
}

/** A member to reach. */
export interface TransportPeer {
  readonly id: string;
  /** In the transport's own form, for TCP `host:port`. */
  readonly address: string;
}

/** An event of a transport, for operators. */
export interface TransportEvent {
  /**
   * `refused`: this replica or the peer refused a handshake (no member, another cluster, another version).
   * `malformed`: a peer sent bytes that are no frame, and was disconnected.
   * `connected`, `disconnected`: a connection to `peer` opened or ended.
   */
  readonly kind: 'refused' | 'malformed' | 'connected' | 'disconnected';
  /** The id of the peer; `null` if it is not known. */
  readonly peer: string | null;
  readonly reason: string;
}

/** The callbacks of a replica. They never throw, and a transport calls none before `start` or after `stop`. */
export interface TransportHandler {
  /** A message from `from` arrived. The bytes belong to the handler: the transport never touches them again. */
  onMessage(from: string, bytes: Uint8Array): void;
  /** The connection to a peer is lost. It is a hint: the peer may be alive. */
  onUnreachable(peer: string): void;
  onEvent(event: TransportEvent): void;
}

/**
 * Duties of an implementation:
 *
 * - `start` resolves when peers can reach this replica; it does not wait for peers. It rejects with
 *   `ERR_TRANSPORT_FAILED` when it cannot listen or was started before, `ERR_INVALID_ARGUMENT` when an address is
 *   malformed; then it leaves nothing open, and the replica may not call `stop`.
 * - `send` never throws and never waits. It gives false when the message was dropped at once and never will leave: an
 *   unknown or unreachable peer, a full queue, a message above `maxMessageBytes`. True promises nothing. The bytes
 *   belong to the transport from then on. Memory per peer is bounded.
 * - `setPeers` replaces the list of peers; all others are disconnected and refused.
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
  /** The largest message that `send` takes, in bytes. */
  readonly maxMessageBytes: number;
}
