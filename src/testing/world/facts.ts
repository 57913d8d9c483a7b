/** The facts that an observer of a world gets, in order; a trace is made of them. */

import type { StepFact } from '../../core/model.js';
import type { Index, Milliseconds } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { Failure, ReplicaEvent } from '../../replica/driver/state.js';
import type { StoredResult } from '../../replica/driver/session-table.js';
import type { Action } from './actions.js';
import type { WorldCall } from './record.js';

/** One thing that happened in a world; `at` is true time in milliseconds. */
export type Fact = { readonly at: Milliseconds } &
  /** An action begins; all facts up to the next action follow from it. */
  (| { readonly kind: 'action'; readonly action: Action }
    /** A core took a step, or started. */
    | { readonly kind: 'step'; readonly fact: StepFact<unknown, unknown> }
    /**
     * `message` is the core's, `null` for one of the driver's own, which `own` names; `lost`: the link is cut, its
     * receiver is down, or the transport `refused` it, so that it never left.
     */
    | {
        readonly kind: 'send' | 'deliver' | 'drop';
        readonly from: ReplicaId;
        readonly to: ReplicaId;
        readonly message: unknown;
        readonly own: string;
        readonly lost: boolean;
        readonly refused: boolean;
      }
    /** The write under way became durable. */
    | { readonly kind: 'durable'; readonly replica: ReplicaId }
    | {
        readonly kind: 'asked';
        readonly replica: ReplicaId;
        readonly call: number;
        readonly asks: WorldCall['kind'];
        readonly command: unknown;
      }
    | {
        readonly kind: 'applied';
        readonly replica: ReplicaId;
        readonly index: Index;
        readonly command: unknown;
        readonly result: StoredResult;
      }
    | {
        readonly kind: 'answered';
        readonly replica: ReplicaId;
        readonly call: number;
        readonly index: Index;
        readonly result: StoredResult;
      }
    | { readonly kind: 'served'; readonly replica: ReplicaId; readonly call: number; readonly index: Index }
    | { readonly kind: 'transferred'; readonly replica: ReplicaId; readonly call: number; readonly leader: ReplicaId }
    | { readonly kind: 'failed'; readonly replica: ReplicaId; readonly call: number; readonly failure: Failure }
    | { readonly kind: 'event'; readonly replica: ReplicaId; readonly event: ReplicaEvent }
    | { readonly kind: 'ended'; readonly replica: ReplicaId; readonly why: 'crash' | 'stop' }
  );

/** Gets every fact as it happens, before any check of it. It must not change anything. */
export type Observer = (fact: Fact) => void;
