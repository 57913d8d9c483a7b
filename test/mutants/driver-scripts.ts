/** The driver's schedules that chance hardly ever finds, over Raft. */

import { demand } from '../support/checks.js';
import { protocols } from '../support/protocols.js';
import { openEnvelope } from '../../src/replica/envelope.js';
import { wideLimits } from '../support/values.js';
import { World, type Process } from '../replica/world.js';

const [, protocol] = protocols[0] as (typeof protocols)[number];
const MINUTE = 60_000;

function kindOf(bytes: Uint8Array): string {
  const opened = openEnvelope(bytes);
  const message = opened.kind === 'core' ? protocol.codec.read(opened.reader) : opened.message;
  return (message as { readonly kind: string }).kind;
}

/** Delivers the oldest message of a kind from one to another. */
function pass(world: World, from: Process, to: Process, kind: string): void {
  const at = world.flights.findIndex((each) => {
    return each.from === from.id && each.to === to.id && kindOf(each.bytes) === kind;
  });
  demand(at >= 0, `the script has a message: ${kind} from ${from.id} to ${to.id}`);
  world.deliver(at);
}

/** `candidate` wins the vote of `voter`, and nothing of its leading has arrived yet. */
function win(world: World, candidate: Process, voter: Process): void {
  world.flights = [];
  world.step(candidate, { kind: 'campaign' });
  world.sync(candidate);
  pass(world, candidate, voter, 'requestVote');
  world.sync(voter);
  pass(world, voter, candidate, 'requestVoteReply');
  world.sync(candidate);
}

/**
 * A command is in the log of a leader that is deposed by its own caller; as leader the caller is too busy for it, which
 * proves nothing about the first attempt; its time is over; and the first leader comes back and commits it (d12).
 */
function busyAfterUnknown(): void {
  const world = new World(protocol, 3);
  for (const id of ['a', 'b', 'c']) world.start(id, { limits: { ...wideLimits, uncommittedBytes: 1 } });
  const all = [...world.running.values()];
  const settled = (): boolean => {
    const leader = world.leader();
    return leader !== undefined && all.every(({ state }) => state.origin !== 0 && state.leader === leader.id);
  };
  demand(world.run(MINUTE, settled), 'the script begins');
  const caller = world.leader() as Process;
  const [old, other] = all.filter((each) => each !== caller) as [Process, Process];
  world.propose(other, 'y');
  const late = world.flights.filter((each) => each.from === other.id && kindOf(each.bytes) === 'forwardProposals');
  win(world, old, other);
  world.run(MINUTE, () => settled() && world.leader() === old && caller.applied.includes('y'));
  world.flights = [];
  const call = world.propose(caller, 'x', world.now + 30);
  pass(world, caller, old, 'forwardProposals');
  world.sync(old);
  win(world, caller, other);
  world.flights = [...late];
  world.deliver(0);
  for (const later of [25, 5]) {
    world.now += later;
    world.step(caller, { kind: 'tick' });
  }
  demand(caller.ended.has(call), 'a call ends when its time is over');
  world.crash(caller.id);
  world.flights = [];
  demand(world.run(MINUTE, () => other.applied.includes('x')), 'the script ends with the command in effect');
  const outcome = caller.ended.get(call)?.failure?.outcome;
  demand(outcome !== 'none', 'law 5: none means without effect', () => caller.ended.get(call));
}

/** A leader wakes up long after its deadline: others may have elected someone since (d17). */
function longPause(): void {
  const world = new World(protocol, 3);
  world.startAll();
  demand(world.run(MINUTE, () => world.leader() !== undefined), 'the script begins');
  const leader = world.leader() as Process;
  world.now += MINUTE;
  world.step(leader, { kind: 'tick' });
  demand(!leader.state.leading, 'after a pause leading is not claimed before a majority has answered');
}

/** Both witnesses of a first start lose power after they have answered; then the replica loses its disk (R16c). */
function forgetfulWitnesses(): void {
  const world = new World(protocol, 3);
  world.startAll();
  const [first, ...witnesses] = [...world.running.values()] as [Process, ...Process[]];
  for (const witness of witnesses) {
    pass(world, first, witness, 'introduce');
    if (!world.flights.some((each) => each.from === witness.id && kindOf(each.bytes) === 'recorded')) continue;
    pass(world, witness, first, 'recorded');
  }
  for (let turn = 0; turn < 3; turn++) world.sync(first);
  const took = first.state.phase === 'running';
  for (const { id } of [first, ...witnesses]) world.crash(id);
  world.flights = [];
  world.wipe(first.id);
  const again = world.start(first.id);
  for (const { id } of witnesses) world.start(id);
  world.run(MINUTE, () => again.state.phase !== 'establishing');
  const takes = again.state.phase === 'running';
  demand(!(took && takes), 'R16: a replica that lost its disk takes no part under its old name');
}

/** By name, for the tables. */
export const driverScripts = {
  'driver: long pause': longPause,
  'driver: forgetful witnesses': forgetfulWitnesses,
  'driver: busy after unknown': busyAfterUnknown,
} as const;
