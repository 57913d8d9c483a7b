/** How bad the world is at present: probabilities, and longest times in milliseconds. */
export interface Weather {
  readonly loss: number;
  readonly duplicate: number;
  /** A message takes `lagFrom` to `lag`, and in the `lagging` part of cases up to `longLag`. */
  readonly lagFrom: number;
  readonly lag: number;
  readonly longLag: number;
  readonly lagging: number;
  /** Whether messages of one lane arrive in the order in which they left. */
  readonly inOrder: boolean;
  /** What each direction of a link carries, in bytes a millisecond; `Infinity`: whatever comes, at once. */
  readonly bandwidth: number;
  readonly diskFrom: number;
  readonly disk: number;
  readonly loadFrom: number;
  readonly load: number;
  /** What a machine takes for an entry; `null`: up to 5 ms for whatever it is handed, beside the loop. */
  readonly cost: number | null;
  /** At each boundary of a persist: when it is issued, while it is under way, when it is durable and not reported. */
  readonly crash: number;
  /** A crashed replica is down for up to so long. */
  readonly down: number;
  /** How late a tick may be. */
  readonly late: number;
}
