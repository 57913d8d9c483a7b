/** A program that gets the library by import, and one that gets it by require, hand replicas and errors to each other. */

import type * as byImport from 'quorate' with { 'resolution-mode': 'import' };
import type * as byRequire from 'quorate' with { 'resolution-mode': 'require' };

type Machine = { apply(command: { add: number }): number; snapshot(): number; restore(total: number): void };

export function there(
  replica: byImport.Replica<Machine>,
  error: byImport.ConsensusError,
  rejected: byImport.CommandRejected,
  options: byImport.ReplicaOptions<Machine>,
): [
  byRequire.Replica<Machine>,
  byRequire.ConsensusError,
  byRequire.CommandRejected,
  byRequire.ReplicaOptions<Machine>,
] {
  return [replica, error, rejected, options];
}

export function back(
  replica: byRequire.Replica<Machine>,
  error: byRequire.ConsensusError,
  rejected: byRequire.CommandRejected,
  options: byRequire.ReplicaOptions<Machine>,
): [byImport.Replica<Machine>, byImport.ConsensusError, byImport.CommandRejected, byImport.ReplicaOptions<Machine>] {
  return [replica, error, rejected, options];
}

export type Errors = [typeof byImport.ConsensusError, typeof byRequire.ConsensusError];
export const same = (classes: Errors): Errors => [classes[1], classes[0]];
