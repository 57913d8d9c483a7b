/** The application's own state machine as the model that its histories are checked against. */

import { CommandRejected } from '../../replica/errors.js';
import type { ApplyContext, StateMachine } from '../../replica/state-machine.js';
import { refused, unknown, type SequentialModel } from './models.js';
import { sameData } from '../plain-data.js';

/** A history says nothing of log time. */
const UNTIMED: ApplyContext = { index: 0, time: 0, wakeAt: () => undefined };

interface ClonePlatform {
  structuredClone<T>(value: T): T;
}

/** What a history gives as the output of a command that the machine refused with `CommandRejected`. */
export interface Rejected {
  readonly rejected: unknown;
}

/**
 * A model whose inputs are the machine's commands and whose states are its snapshots; it shares no data with either
 * side. An output fits if it says the same as the machine's result, and that of a refused command is
 * `{rejected: reason}`. An output of `undefined` fits only a result of `undefined`.
 *
 * Each step restores a snapshot and takes one, so the time it takes grows with the state: give a `partition` where
 * the machine has one, as in `{...machineModel(create), partition: ({ key }) => key}`.
 *
 * @param create makes a fresh machine; one is made and used for all steps
 * @throws whatever the machine throws beside `CommandRejected`, from `step`
 */
export function machineModel<Command, Result>(
  create: () => StateMachine<Command, Result, any>,
): SequentialModel<unknown, Command, Result | Rejected> {
  const { structuredClone: copy } = globalThis as unknown as ClonePlatform;
  const machine = create();
  return {
    name: 'state machine',
    initial: copy(machine.snapshot() as unknown),
    step(state, command, output) {
      machine.restore(copy(state));
      let result: Result | Rejected;
      try {
        result = machine.apply(copy(command), UNTIMED);
      } catch (error) {
        if (!(error instanceof CommandRejected)) throw error;
        return output === unknown || sameData(output, { rejected: error.reason }) ? state : refused;
      }
      return output === unknown || sameData(output, result) ? copy(machine.snapshot() as unknown) : refused;
    },
  };
}
