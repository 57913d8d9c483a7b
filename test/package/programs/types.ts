/** What the types promise, beyond names: checked by the newest and the lowest TypeScript, as strictly as users may. */

import { readdirSync } from 'node:fs';
import {
  createReplica,
  memoryNetwork,
  memoryStorage,
  multipaxos,
  raft,
  type Change,
  type ChangesOptions,
  type Limits,
  type ReadOptions,
  type ReplicaOptions,
  type RequestOptions,
  type StateMachine,
  type Timing,
} from 'quorate';
import type { FileStorageOptions, TcpTransportOptions } from 'quorate/node';

/** Where a caller may or may not have a signal, it need not leave the property out. */
export function withSignal(signal: AbortSignal | undefined): RequestOptions & ReadOptions {
  return { signal, consistency: undefined, minIndex: undefined };
}

export const timing: Timing = { heartbeat: 50, electionMin: 200, electionMax: 400 };
export const limits: Partial<Limits> = { tailEntries: 100 };
export const choices = [raft({ timing, limits: undefined }), multipaxos({ limits, timing: { heartbeat: undefined } })];
export const file: FileStorageOptions = {};
export const tcp: TcpTransportOptions = {};

/** A machine with fields of its own, written where it is used, keeps its types. */
export async function inline(signal?: AbortSignal): Promise<number> {
  const replica = await createReplica({
    id: 'a',
    members: { a: 'a' },
    bootstrap: true,
    cluster: undefined,
    seed: undefined,
    protocol: raft(),
    transport: memoryNetwork().transport(),
    storage: memoryStorage(),
    machine: {
      total: 0,
      names: new Map<string, number>(),
      apply(command: { add: number; name: string }) {
        this.names.set(command.name, command.add);
        this.total += command.add;
        return { total: this.total };
      },
      validate({ add }: { add: number }) {
        if (!Number.isSafeInteger(add)) throw new RangeError('add: expected an integer');
      },
      snapshot() {
        return { total: this.total };
      },
      restore({ total }: { total: number }) {
        this.total = total;
      },
    },
  });
  const { total } = await replica.propose({ add: 1, name: 'x' }, { signal });
  const both = await Promise.all(replica.proposeAll([{ add: 1, name: 'y' }], { meta: true, signal }));
  const seen: number = await replica.read((machine) => machine.names.size + machine.total, { signal });
  for await (const change of replica.changes({ from: 1, signal })) {
    const { index, command }: { index: number; command: { add: number } } = change;
    if (change.kind === 'rejected') return index + command.add + String(change.reason).length;
    const { total: after }: { total: number } = change.result;
    // @ts-expect-error what took effect has no reason
    if (after === total) return change.reason as number;
  }
  // @ts-expect-error a command of another type
  await replica.propose({ subtract: 1 }).catch(() => undefined);
  await replica.close();
  return total + seen + (both[0]?.index ?? 0) + (both[0]?.result.total ?? 0) + readdirSync('.').length;
}

export const since: ChangesOptions = { from: undefined, signal: undefined };

/** A consumer that is written for one machine is none for another. */
export function follow(change: Change<Typed>): number {
  const command: string = change.command;
  return change.kind === 'applied' ? change.result : command.length;
}

export class Typed implements StateMachine<string, number, string> {
  private last = '';
  apply(command: string): number {
    this.last = command;
    return command.length;
  }
  snapshot(): string {
    return this.last;
  }
  restore(last: string): void {
    this.last = last;
  }
}

export function optionsOf(machine: Typed, onEvent?: ReplicaOptions<Typed>['onEvent']): Partial<ReplicaOptions<Typed>> {
  return { machine, onEvent };
}
