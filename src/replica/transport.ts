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
  /**
   * The incarnation of its data, once that is known for good: from then on every other incarnation is refused
   * (transport/right-incarnation). Without it any is accepted.
   */
  readonly incarnation?: number;
}

/** What a transport may know of the replica's time, to derive its own from it. */
export interface TransportTiming {
  /** The longest election timeout, in milliseconds: a path that is dead for longer costs a leader. */
  readonly electionMax: number;
}

/** An event of a transport, for operators. */
export interface TransportEvent {
  /**
   * `refused`: this replica or the peer refused a handshake (no member, another cluster, version or incarnation).
   * `malformed`: a peer sent bytes that are no frame, and was disconnected.
   * `connected`, `disconnected`: a connection to `peer` opened or ended.
   * `unresolved`: the name in the address of `peer` could not be looked up; told once until the reason changes.
   */
  readonly kind: 'refused' | 'malformed' | 'connected' | 'disconnected' | 'unresolved';
  /** The id of the peer; `null` if it is not known. */
  readonly peer: string | null;
  readonly reason: string;
}

/** Bytes that a transport holds for a peer. */
export interface UnsentBytes {
  readonly peer: string;
  /** Of messages that it took and has not passed on, on both lanes, with what each counts for beside its own bytes. */
  readonly bytes: number;
}

/** The callbacks of a replica. They never throw, and a transport calls none before `answer` or after `stop`. */
export interface TransportHandler {
  /** A message from `from` arrived. The bytes belong to the handler: the transport never touches them again. */
  onMessage(from: string, bytes: Uint8Array): void;
  /**
   * A connection with a peer is lost, and perhaps what was under way on its lane, to the peer or from it. That is
   * evidence for trying again. It says nothing about the peer, which may be alive and connected again already. It is
   * called for each connection, so a peer that dies may be reported several times.
   */
  onDisconnected(peer: string, lane: TransportLane): void;
  /**
   * The control connection to a peer is lost, and one immediate attempt to connect again failed or was refused, as by a
   * process that was killed. It is a hint: the peer may be alive.
   */
  onUnreachable(peer: string): void;
  /**
   * A peer refused this replica, beside the event. `incarnation`: it expects another incarnation of this id, so this
   * replica's data is not that which the peer knows. Repeated at most until the reason changes.
   */
  onRefused(peer: string, why: 'incarnation' | 'other', reason: string): void;
  onEvent(event: TransportEvent): void;
}

/**
 * Duties of an implementation:
 *
 * - All but `start` and `stop` answer at once: a promise in place of the answer halts the replica.
 * - `checkAddress` throws `ERR_INVALID_ARGUMENT` for an address that the transport cannot use, without asking anybody
 *   whether it is there. It may be called at any time.
 * - `start` takes this replica's own address, so that nobody else can, and resolves; it answers and dials nobody yet.
 *   It rejects with `ERR_TRANSPORT_FAILED` when it cannot listen or was started before, `ERR_INVALID_ARGUMENT` when an
 *   address is malformed; then it leaves nothing open, and the replica may not call `stop`.
 * - `answer` is called once, after `start`: from then on peers can reach this replica. It does not wait for peers.
 * - Another incarnation of a peer than the one that is named is refused in both directions, is told so (`onRefused`),
 *   and never takes the place of the connection of the right one.
 * - `send` never throws and never waits. It gives false only when the message was dropped at once and will never leave:
 *   an unknown or unreachable peer, a full queue, a message above `maxMessageBytes`. True promises nothing. The bytes
 *   belong to the transport from then on. Memory per peer is bounded.
 * - `onDisconnected` is called for every connection with a peer that is lost, `onUnreachable` only as described there.
 *   A path that dies without a word counts as lost within the longest election timeout.
 * - `setPeers` replaces the list of peers; all others are disconnected and refused.
 * - The `from` of a message is authentic as far as the transport can tell: a stranger's message is never delivered.
 * - A slow or dead peer delays nobody else.
 * - `stop` closes everything, leaves no handle open, and may be called more than once.
 */
export interface Transport {
  checkAddress(address: string): void;
  start(
    identity: TransportIdentity,
    self: TransportPeer,
    peers: readonly TransportPeer[],
    handler: TransportHandler,
    timing?: TransportTiming,
  ): Promise<void>;
  answer(): void;
  send(to: string, bytes: Uint8Array, lane: TransportLane): boolean;
  setPeers(peers: readonly TransportPeer[]): void;
  stop(): Promise<void>;
  /** The ids of the peers that `send` can reach now, as far as is known. */
  connected(): readonly string[];
  /** What it holds for each peer, for operators; a transport that cannot tell leaves this out. */
  unsent?(): readonly UnsentBytes[];
  /** The largest message that `send` takes, in bytes. */
  readonly maxMessageBytes: number;
}
