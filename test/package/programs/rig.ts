/**
 * What a user tests with the packed package: a machine of their own under the simulator, a scenario, a small scope, a
 * history, the whole host. Installed and run like `program.ts`.
 */

import assert from 'node:assert/strict';
import { CommandRejected, ConsensusError, raft } from 'quorate';
import { multipaxosModel } from 'quorate/multipaxos';
import { raftModel } from 'quorate/raft';
import {
  actions,
  apply,
  checkLinearizable,
  checkModel,
  createWorld,
  keyValueModel,
  machineModel,
  parseHistory,
  runScenario,
  simulate,
  SimulationFailure,
  simulateHost,
  type MachineSpec,
  type SimulateOptions,
} from 'quorate/testing';

class Stock {
  left = 10;
  apply({ take }: { readonly take: number }): number {
    if (take > this.left) throw new CommandRejected('not enough');
    return (this.left -= take);
  }
  snapshot(): number {
    return this.left;
  }
  restore(left: number): void {
    this.left = left;
  }
}

class Careless extends Stock {
  override apply({ take }: { readonly take: number }): number {
    return (this.left -= take);
  }
}

function specOf(create: () => Stock): MachineSpec<{ readonly take: number }, number, number> {
  return {
    create,
    check(stock) {
      if (stock.snapshot() < 0) throw new Error('nothing is sold twice');
    },
  };
}

const SCENARIO = `protocol: multipaxos
replicas: 3
eager: written

elect n1
propose n2 {"take":4}
run 500 until call 1 acknowledged
expect call 1 acknowledged
expect n2 applied {"take":4}
`;

function machines(): void {
  for (const model of [raftModel, multipaxosModel]) {
    const options: Omit<SimulateOptions<{ readonly take: number }>, 'machine'> = {
      model,
      commands: (random) => ({ take: random.between(1, 3) }),
      schedules: 10,
    };
    const sequential = machineModel(() => new Stock());
    const report = simulate({ ...options, machine: specOf(() => new Stock()), sequential });
    assert.equal(report.schedules, 10);
    assert.ok(report.commands > 0);

    const careless = specOf(() => new Careless());
    assert.throws(
      () => simulate({ ...options, machine: careless }),
      (error) => {
        assert.ok(error instanceof SimulationFailure);
        const { failure } = runScenario(error.scenario, model, { machine: careless });
        assert.match(failure?.reason ?? '', /nothing is sold twice/);
        return true;
      },
    );
  }
}

function pieces(): void {
  const { failure } = runScenario(SCENARIO, [raftModel, multipaxosModel], { machine: specOf(() => new Stock()) });
  assert.equal(failure, null);

  const scope = { model: raftModel, replicas: 3, network: 'set', maxTerm: 1, electionsEach: 1 } as const;
  assert.equal(checkModel({ scope }).complete, true);

  let world = createWorld({ model: raftModel });
  for (let step = 0; step < 50; step++) world = apply(world, actions(world)[0]!);
  assert.ok(world.now > 0);

  const history = parseHistory('a invoke put x 1\na ok\nb invoke get x\nb ok 2\n');
  assert.equal(checkLinearizable(history, keyValueModel()).kind, 'violation');
  // One identity of errors over all subpaths.
  assert.throws(() => simulate({ model: raftModel, schedules: 0 }), ConsensusError);
}

async function main(): Promise<void> {
  machines();
  pieces();
  const { digest } = await simulateHost({ seed: 3, protocol: raft, size: 3, steps: 3 });
  assert.equal((await simulateHost({ seed: 3, protocol: raft, size: 3, steps: 3 })).digest, digest);
  console.log('agreed');
}

void main();
