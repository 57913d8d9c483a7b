/**
 * What must hold when a machine is restored from a peer's snapshot, as functions that throw a violation: the tests run
 * them, and so do the mutants' killers.
 */

import type { raft, Replica, ReplicaEvent } from 'quorate';
import { demand } from '../../violation.js';
import { MINUTE, SimulatedCluster } from './cluster.js';

const ENTRIES = 40;
const ENDS = 'snapshots/restore-ends-taking: ';
const ALONE = 'snapshots/alone-while-restoring: ';

/** What is told of snapshots. */
export function snapshotsIn(events: readonly ReplicaEvent[]): readonly string[] {
  return events.flatMap((event) => (event.kind === 'snapshot' ? [event.event] : []));
}

/** It streams its words, and waits after each one. It notes what is done with it. */
class Slow {
  readonly told: string[] = [];
  private words: string[] = [];
  private readonly wait: () => Promise<void>;

  constructor(wait: () => Promise<void>) {
    this.wait = wait;
  }

  apply(word: string): number {
    return this.words.push(word);
  }

  async *snapshot(): AsyncGenerator<Uint8Array> {
    const { words } = this;
    try {
      for (const word of [...words]) {
        this.told.push('read');
        yield new TextEncoder().encode(`${word}\n`);
        await this.wait();
      }
    } finally {
      this.told.push('end');
    }
  }

  async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.told.push('restore');
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk.slice());
    this.words = Buffer.concat(parts).toString().split('\n').slice(0, -1);
    this.told.push('restored');
  }
}

/** Nothing of a snapshot is read while the machine is restored. */
function demandAlone(told: readonly string[]): void {
  let reading = false;
  let restoring = false;
  for (const what of told) {
    const meets = (what === 'restore' && reading) || (what === 'read' && restoring);
    demand(!meets, `${ALONE}no snapshot is taken meanwhile`, () => told);
    reading = what === 'read' || (reading && what !== 'end');
    restoring = what === 'restore' || (restoring && what !== 'restored');
  }
}

/** A member is at a snapshot that takes it an hour while it is cut off, and comes back by another one's in minutes. */
export async function endsWhatIsTaken(protocol: typeof raft): Promise<void> {
  const machines: Slow[] = [];
  let slow = '';
  const cluster = new SimulatedCluster(protocol, {
    way: { min: 1, max: 20 },
    entries: ENTRIES,
    equip({ name, clock }) {
      const wait = () => new Promise<void>((end) => void clock.after(name === slow ? MINUTE : 1, end));
      const machine = new Slow(wait);
      machines.push(machine);
      return { clock, machine: machine as never };
    },
  });
  const leader = await cluster.led();
  const away = cluster.replicas.find((replica) => replica !== leader) as Replica;
  const { id } = away.status();
  const run = async (count: number): Promise<void> => {
    await cluster.until(Promise.all(Array.from({ length: count }, (_, at) => leader.propose(`${at}`))));
  };
  const isLevel = (): boolean => away.status().applied === leader.status().commit;
  slow = id;
  await run(ENTRIES + 5);
  demand(await cluster.schedule.run(isLevel, MINUTE), 'all are level');
  cluster.isolate(id);
  for (let round = 0; round < 8; round++) {
    await run(ENTRIES);
    await cluster.schedule.pass(1000);
  }
  cluster.network.heal();
  const told = (): readonly string[] => snapshotsIn(cluster.member(id).events);
  demand(await cluster.schedule.run(isLevel, 3 * MINUTE), `${ENDS}it is level long before its own is taken`, told);
  demand(told().includes('installed'), `${ENDS}it has installed one of a peer`, told);
  for (const machine of machines) demandAlone(machine.told);
  const restored = machines.filter((machine) => machine.told.includes('restore'));
  demand(restored.length === 1, `${ENDS}one machine is restored`, () => restored.length);
  await cluster.close();
}
