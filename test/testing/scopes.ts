/**
 * The scopes that are searched: those of `quickScopes` for every change, each with how many states there are and how
 * deep, as an alarm on any change of behaviour; those of `deepScopes` for as long as `npm run test:deep` has time.
 *
 * Names say what is in them: n replicas, T terms, E elections (`each`: of every replica), p proposers, R proposals,
 * Q reads, C crashes, B beats (timeouts that are no election); `split`: a write is a move of its own, and a crash can
 * lose it. Messages are a set, but where writes are split: there what arrives again would queue up without end.
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

type Limits = Omit<Scope, 'model' | 'replicas' | 'network'>;

function raft(replicas: number, limits: Limits): Scope {
  return { model: raftModel, replicas, network: limits.splitWrites === true ? 'consume' : 'set', ...limits };
}

function paxos(replicas: number, limits: Limits): Scope {
  return { model: multipaxosModel, replicas, network: limits.splitWrites === true ? 'consume' : 'set', ...limits };
}

function pinned(scope: Scope, distinct: number, depth: number): PinnedScope {
  return { scope, distinct, depth };
}

/** Exhausted on every change. The larger half is the tier for pull requests of reliability-anchors 4.4, as far as it fits. */
export const quickScopes = {
  'raft n2 E1 each': pinned(raft(2, { electionsEach: 1 }), 161, 14),
  'raft n3 T1': pinned(raft(3, { maxTerm: 1, electionsEach: 1 }), 191, 12),
  'raft n3 E1 R1': pinned(raft(3, { elections: 1, proposals: 1 }), 353, 15),
  'raft n3 T1 R2': pinned(raft(3, { maxTerm: 1, electionsEach: 1, proposals: 2 }), 147884, 30),
  'raft n3 T2 E2': pinned(raft(3, { elections: 2, electionsEach: 1 }), 69683, 23),
  'raft n2 T3 E3 each C1': pinned(raft(2, { maxTerm: 3, electionsEach: 3, crashes: 1 }), 83625, 25),
  'raft n2 E2 R1 C1': pinned(raft(2, { elections: 2, proposals: 1, crashes: 1 }), 5503, 20),
  'raft n2 E1 each C1 split': pinned(raft(2, { electionsEach: 1, crashes: 1, splitWrites: true }), 619, 19),
  'raft n2 E1 R1 C1 split': pinned(raft(2, { elections: 1, proposals: 1, crashes: 1, splitWrites: true }), 216, 15),
  'paxos n3 E1': pinned(paxos(3, { elections: 1 }), 913, 12),
  'paxos n2 E1 each C1': pinned(paxos(2, { electionsEach: 1, crashes: 1 }), 8717, 21),
  'paxos n2 E1 each C1 split': pinned(paxos(2, { electionsEach: 1, crashes: 1, splitWrites: true }), 12712, 25),
} as const satisfies { readonly [name: string]: PinnedScope };

/** What takes minutes to hours. Whether one was exhausted is in the result. */
export const deepScopes = {
  'raft n3 E1 R1 B1': raft(3, { elections: 1, proposals: 1, beats: 1 }),
  'raft n3 E1 R1 Q1': raft(3, { elections: 1, proposals: 1, reads: 1 }),
  'raft n3 T2': raft(3, { maxTerm: 2, electionsEach: 2 }),
  'raft n2 T3 R2 C1': raft(2, { maxTerm: 3, electionsEach: 3, proposals: 2, crashes: 1 }),
  'raft n3 T2 R1 C1': raft(3, { maxTerm: 2, electionsEach: 2, proposals: 1, crashes: 1 }),
  'raft n3 E2 R1 C1 split': raft(3, { elections: 2, proposals: 1, crashes: 1, splitWrites: true }),
  'raft n4 T2 R1': raft(4, { maxTerm: 2, electionsEach: 2, proposals: 1 }),
  'raft n5 T2 R1': raft(5, { maxTerm: 2, electionsEach: 2, proposals: 1 }),
  'paxos n3 E1 R1': paxos(3, { elections: 1, proposals: 1 }),
  'paxos n2 E1 each R1 Q1': paxos(2, { electionsEach: 1, proposals: 1, reads: 1 }),
  'paxos n3 2p E1 each': paxos(3, { candidates: 2, electionsEach: 1 }),
  'paxos n3 2p E1 each C1': paxos(3, { candidates: 2, electionsEach: 1, crashes: 1 }),
  'paxos n3 3p E1 each': paxos(3, { electionsEach: 1 }),
  'paxos n3 2p E2 each R2': paxos(3, { candidates: 2, electionsEach: 2, proposals: 2 }),
  'paxos n3 2p E1 each C1 split': paxos(3, { candidates: 2, electionsEach: 1, crashes: 1, splitWrites: true }),
} as const satisfies { readonly [name: string]: Scope };
