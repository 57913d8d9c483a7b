/**
 * The scopes that are searched: those of `quickScopes` for every change, each with how many states there are and how
 * deep, as an alarm on any change of behaviour; those of `deepScopes` for as long as `npm run test:deep` has time.
 *
 * Names say what is in them: n replicas, T terms, E elections (`each`: of every replica), p proposers, R proposals,
 * V pre-votes, Q reads, C crashes, B beats (timeouts that are no election), S snapshots that are taken, and trim the
 * log, I installs of one of a peer; `split`: a write is a move of its own, and a crash can lose it. Messages are a set.
 */

import { multipaxosModel } from 'quorate/multipaxos';
import { raftModel } from 'quorate/raft';
import type { Scope } from 'quorate/testing';

/** A scope that is exhausted, and what there is in it. */
export interface PinnedScope {
  readonly scope: Scope;
  readonly distinct: number;
  readonly depth: number;
}

/** A scope that may be too large to be exhausted. */
export type DeepScope = Pick<PinnedScope, 'scope'> & Partial<PinnedScope>;

type Limits = Omit<Scope, 'model' | 'replicas' | 'network'>;

function raft(replicas: number, limits: Limits): Scope {
  return { model: raftModel, replicas, network: 'set', ...limits };
}

function paxos(replicas: number, limits: Limits): Scope {
  return { model: multipaxosModel, replicas, network: 'set', ...limits };
}

/** As shipped. The other scopes search the papers' elections, of which each step is one of these, too. */
const PRE_VOTES = { tuning: { preVote: true } } as const;

const SNAPSHOT = { snapshots: 1, installs: 1 } as const;
const LOSSY = { crashes: 1, splitWrites: true } as const;

function pinned(scope: Scope, distinct: number, depth: number): PinnedScope {
  return { scope, distinct, depth };
}

/** Exhausted on every change: scopes of a few thousand states, and small killers of mutants. */
export const quickScopes = {
  'raft n2 E1 each': pinned(raft(2, { electionsEach: 1 }), 38, 12),
  'raft n3 T1': pinned(raft(3, { maxTerm: 1, electionsEach: 1 }), 49, 10),
  'raft n3 E1 R1': pinned(raft(3, { elections: 1, proposals: 1 }), 253, 15),
  'raft n3 E1 R1 B1': pinned(raft(3, { elections: 1, proposals: 1, beats: 1 }), 3772, 18),
  'raft n3 E1 R1 Q1': pinned(raft(3, { elections: 1, proposals: 1, reads: 1 }), 9534, 20),
  'raft n3 E1 R2': pinned(raft(3, { elections: 1, proposals: 2 }), 10375, 22),
  'raft n3 T2': pinned(raft(3, { maxTerm: 2, electionsEach: 2 }), 3370, 19),
  'raft n3 T2 E2': pinned(raft(3, { elections: 2, electionsEach: 1 }), 969, 18),
  'raft n2 T3 E3 each C1': pinned(raft(2, { maxTerm: 3, electionsEach: 3, crashes: 1 }), 2091, 20),
  'raft n2 E2 R1 C1': pinned(raft(2, { elections: 2, proposals: 1, crashes: 1 }), 873, 17),
  'raft n2 E2 R2 C1': pinned(raft(2, { elections: 2, proposals: 2, crashes: 1 }), 4395, 21),
  'raft n2 E1 each C1 split': pinned(raft(2, { electionsEach: 1, crashes: 1, splitWrites: true }), 707, 21),
  'raft n2 E1 R1 C1 split': pinned(raft(2, { elections: 1, proposals: 1, crashes: 1, splitWrites: true }), 299, 18),
  'raft n3 E1 R1 C1 split': pinned(raft(3, { elections: 1, proposals: 1, crashes: 1, splitWrites: true }), 9960, 27),
  'raft n3 V E2': pinned(raft(3, { ...PRE_VOTES, elections: 2, electionsEach: 1 }), 8433, 24),
  'raft n2 V E1 each C1': pinned(raft(2, { ...PRE_VOTES, electionsEach: 1, crashes: 1 }), 459, 17),
  'paxos n3 V E1': pinned(paxos(3, { ...PRE_VOTES, elections: 1 }), 364, 12),
  'paxos n2 V E1 each C1': pinned(paxos(2, { ...PRE_VOTES, electionsEach: 1, crashes: 1 }), 1694, 20),
  'paxos n3 E1': pinned(paxos(3, { elections: 1 }), 118, 9),
  'paxos n3 E1 R1': pinned(paxos(3, { elections: 1, proposals: 1 }), 3052, 15),
  'paxos n2 E1 each C1': pinned(paxos(2, { electionsEach: 1, crashes: 1 }), 918, 16),
  'paxos n2 2p E1 each R1': pinned(paxos(2, { candidates: 2, electionsEach: 1, proposals: 1 }), 1071, 16),
  'paxos n2 E1 each R1 C1': pinned(paxos(2, { electionsEach: 1, proposals: 1, crashes: 1 }), 6257, 19),
  'paxos n2 E1 R1 Q1': pinned(paxos(2, { elections: 1, proposals: 1, reads: 1 }), 591, 14),
  'paxos n2 E1 each C1 split': pinned(paxos(2, { electionsEach: 1, crashes: 1, splitWrites: true }), 2396, 24),
  'raft n3 E1 R1 S1 I1': pinned(raft(3, { elections: 1, proposals: 1, ...SNAPSHOT }), 2565, 17),
  'raft n3 E1 S1 I1 C1': pinned(raft(3, { elections: 1, ...SNAPSHOT, crashes: 1 }), 767, 13),
  'raft n3 E1 S1 I1 split': pinned(raft(3, { elections: 1, ...SNAPSHOT, splitWrites: true }), 442, 19),
  'raft n3 E2 S1 I1': pinned(raft(3, { elections: 2, ...SNAPSHOT }), 7437, 20),
  'raft n2 E2 R1 S1 I1 C1': pinned(raft(2, { elections: 2, proposals: 1, ...SNAPSHOT, crashes: 1 }), 3619, 19),
  'raft n2 E1 R1 S1 I1 C1 split': pinned(raft(2, { elections: 1, proposals: 1, ...SNAPSHOT, ...LOSSY }), 1559, 21),
  'paxos n3 E1 S1 I1 C1': pinned(paxos(3, { elections: 1, ...SNAPSHOT, crashes: 1 }), 3113, 12),
  'paxos n2 E1 each S1 I1': pinned(paxos(2, { electionsEach: 1, ...SNAPSHOT }), 2133, 24),
  'paxos n2 E1 R1 S1 I1 C1': pinned(paxos(2, { elections: 1, proposals: 1, ...SNAPSHOT, crashes: 1 }), 782, 13),
  'paxos n2 E1 R1 S1 I1 split': pinned(
    paxos(2, { elections: 1, proposals: 1, ...SNAPSHOT, splitWrites: true }),
    519,
    19,
  ),
  'paxos n2 E1 R1 S1 I1 C1 split': pinned(paxos(2, { elections: 1, proposals: 1, ...SNAPSHOT, ...LOSSY }), 3094, 22),
} as const satisfies { readonly [name: string]: PinnedScope };

/** What takes a quarter of a minute to hours: with what there is in it where it was exhausted once. */
export const deepScopes = {
  'raft n3 T1 R2': pinned(raft(3, { maxTerm: 1, electionsEach: 1, proposals: 2 }), 17267, 22),
  'raft n2 T3 R2 C1': pinned(raft(2, { maxTerm: 3, electionsEach: 3, proposals: 2, crashes: 1 }), 44787, 27),
  'paxos n2 E1 each R1 Q1': pinned(paxos(2, { electionsEach: 1, proposals: 1, reads: 1 }), 13215, 21),
  'paxos n3 E1 R1 C1': pinned(paxos(3, { elections: 1, proposals: 1, crashes: 1 }), 27002, 17),
  'paxos n3 2p E1 each': pinned(paxos(3, { candidates: 2, electionsEach: 1 }), 40410, 23),
  'raft n3 E1 R1 S1 I1 C1': pinned(raft(3, { elections: 1, proposals: 1, ...SNAPSHOT, crashes: 1 }), 20529, 19),
  'raft n3 E1 R1 S1 I1 split': pinned(
    raft(3, { elections: 1, proposals: 1, ...SNAPSHOT, splitWrites: true }),
    23004,
    29,
  ),
  'raft n2 E1 each R1 S2 I1 C1 split': pinned(
    raft(2, { electionsEach: 1, proposals: 1, snapshots: 2, installs: 1, ...LOSSY }),
    82649,
    34,
  ),
  'paxos n2 E1 each S1 I1 C1': pinned(paxos(2, { electionsEach: 1, ...SNAPSHOT, crashes: 1 }), 18338, 28),
  'paxos n2 E1 each R1 S1 I1': pinned(paxos(2, { electionsEach: 1, proposals: 1, ...SNAPSHOT }), 26910, 28),
  'raft n3 E2 R1 S1 I1 C1': { scope: raft(3, { elections: 2, proposals: 1, ...SNAPSHOT, crashes: 1 }) },
  'raft n3 E2 R2 S2 I1 split': {
    scope: raft(3, { elections: 2, proposals: 2, snapshots: 2, installs: 1, splitWrites: true }),
  },
  'paxos n3 E1 R1 S1 I1': { scope: paxos(3, { elections: 1, proposals: 1, ...SNAPSHOT }) },
  'paxos n3 2p E1 each S1 I1 C1': { scope: paxos(3, { candidates: 2, electionsEach: 1, ...SNAPSHOT, crashes: 1 }) },
  'raft n3 T2 R1 C1': { scope: raft(3, { maxTerm: 2, electionsEach: 2, proposals: 1, crashes: 1 }) },
  'raft n3 E2 R1 C1 split': { scope: raft(3, { elections: 2, proposals: 1, crashes: 1, splitWrites: true }) },
  'raft n4 T2 R1': { scope: raft(4, { maxTerm: 2, electionsEach: 2, proposals: 1 }) },
  'raft n5 T2 R1': { scope: raft(5, { maxTerm: 2, electionsEach: 2, proposals: 1 }) },
  'paxos n3 2p E1 each C1': { scope: paxos(3, { candidates: 2, electionsEach: 1, crashes: 1 }) },
  'paxos n3 3p E1 each': { scope: paxos(3, { electionsEach: 1 }) },
  'paxos n3 2p E2 each R2': { scope: paxos(3, { candidates: 2, electionsEach: 2, proposals: 2 }) },
  'paxos n3 2p E1 each C1 split': {
    scope: paxos(3, { candidates: 2, electionsEach: 1, crashes: 1, splitWrites: true }),
  },
  'paxos n3 2p E1 each R1': { scope: paxos(3, { candidates: 2, electionsEach: 1, proposals: 1 }) },
} as const satisfies { readonly [name: string]: DeepScope };
