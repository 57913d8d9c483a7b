/** All mutants, each with its killer. */

import { driverMutants } from './driver-mutants.js';
import { hostMutants } from './host-mutants.js';
import { livenessMutants } from './liveness-mutants.js';
import { logTimeMutants } from './log-time-mutants.js';
import type { Mutant } from './mutant.js';
import { multipaxosMutants } from './multipaxos-mutants.js';
import { raftMutants } from './raft-mutants.js';
import { requestMutants } from './request-mutants.js';
import { sessionMutants } from './session-mutants.js';
import { snapshots } from './snapshot-mutants.js';
import { storageMutants } from './storage-mutants.js';

export const mutants: readonly Mutant[] = [
  ...raftMutants,
  ...multipaxosMutants,
  ...requestMutants,
  ...driverMutants,
  ...livenessMutants,
  ...snapshots,
  ...logTimeMutants,
  ...sessionMutants,
  ...storageMutants,
  ...hostMutants,
];
