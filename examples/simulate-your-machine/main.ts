/**
 * Runs a small state machine under the simulator: whole clusters with loss, partitions, crashes and slow disks, from
 * seeds. It finds the bug that is planted in `bank.ts`, and prints the shortest run that shows it as a scenario; then
 * the mended bank goes through the same schedules. After `npm run build`:
 *
 *     node .build/simulate-your-machine/main.js [--protocol raft|multipaxos] [--seed 1] [--schedules 200]
 */

import { parseArgs } from 'node:util';
import { multipaxosModel } from 'quorate/multipaxos';
import { raftModel } from 'quorate/raft';
import { runScenario, simulate, SimulationFailure, type MachineSpec, type Random } from 'quorate/testing';
import { audit, Bank, MendedBank, type BankCommand } from './bank.js';

const { values } = parseArgs({
  options: {
    protocol: { type: 'string', default: 'raft' },
    seed: { type: 'string', default: '1' },
    schedules: { type: 'string', default: '200' },
  },
});
const models = [raftModel, multipaxosModel];
const model = models.find(({ protocol }) => protocol.name === values.protocol);
if (model === undefined) throw new RangeError(`--protocol: expected raft or multipaxos, got ${values.protocol}`);

/** The machine under test: how one is made, and what must hold of it. */
function machineOf(create: () => Bank): MachineSpec<BankCommand> {
  return { create, check: (machine) => audit(machine.snapshot()) };
}

/** What a caller asks for: few accounts, so that their fates cross. */
function command(random: Random): BankCommand {
  const account = (): string => random.pick(['ann', 'bob', 'cid']);
  switch (random.pick(['open', 'close', 'deposit', 'transfer', 'transfer'] as const)) {
    case 'open':
      return { kind: 'open', account: account() };
    case 'close':
      return { kind: 'close', account: account() };
    case 'deposit':
      return { kind: 'deposit', account: account(), amount: random.between(1, 9) };
    case 'transfer':
      return { kind: 'transfer', from: account(), to: account(), amount: random.between(1, 9) };
  }
}

/** Runs the schedules. Gives what breaks, `null` if nothing does. */
function search(machine: MachineSpec<BankCommand>): SimulationFailure | null {
  try {
    const seed = Number(values.seed);
    const schedules = Number(values.schedules);
    const report = simulate({ model: model!, machine, commands: command, seed, schedules });
    console.log(`${report.schedules} schedules, ${report.commands} commands took effect, nothing broke`);
    return null;
  } catch (error) {
    if (error instanceof SimulationFailure) return error;
    throw error;
  }
}

console.log(`The bank as it is, on ${values.protocol}:\n`);
const planted = machineOf(() => new Bank());
const failure = search(planted);
if (failure !== null) {
  console.log(`seed ${failure.seed} breaks it: ${failure.rule}\n`);
  const { trace } = runScenario(failure.scenario, model, { machine: planted });
  console.log(`The shortest run found, as a scenario to keep, with its trace:\n\n${trace}`);
}

console.log('The mended bank, on the same seeds:\n');
const mended = search(machineOf(() => new MendedBank()));
if (mended !== null) console.log(`seed ${mended.seed} breaks it: ${mended.rule}`);
process.exitCode = failure !== null && mended === null ? 0 : 1;
