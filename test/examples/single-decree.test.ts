/** The example beside "Paxos Made Simple": it tells its story, and one value is chosen in whatever order messages come. */

import { expect, it, vi } from 'vitest';
import {
  Acceptor,
  Learner,
  Proposer,
  type Accept,
  type Accepted,
  type Prepare,
  type Promised,
  type Refused,
} from '../../examples/single-decree/paxos.js';
import { Dice } from '../../src/testing/random.js';
import { expectGolden } from '../golden.js';

it('tells the same story each time', async () => {
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  await import('../../examples/single-decree/main.js');
  log.mockRestore();
  expectGolden(new URL('single-decree.txt', import.meta.url), `${lines.join('\n')}\n`);
});

/** Forgets in its promises what it voted for. */
class ForgetfulAcceptor extends Acceptor {
  override receive(message: Prepare | Accept): Promised | Accepted | Refused {
    const answer = super.receive(message);
    return answer.kind === 'promise' ? { ...answer, vote: null } : answer;
  }
}

/** Lets two proposers try again and again while messages are lost, repeated and overtaken. Gives what was chosen. */
function chosenIn(dice: Dice, Kind: typeof Acceptor): ReadonlySet<string> {
  const acceptors = new Map(['a', 'b', 'c'].map((name) => [name, new Kind()]));
  const proposers = [new Proposer(1, 'red'), new Proposer(2, 'blue')] as const;
  const learner = new Learner();
  const chosen = new Set<string>();
  let flying: (() => void)[] = [];
  let highest = 0;

  const send = (proposer: Proposer, message: Prepare | Accept): void => {
    for (const [name, acceptor] of acceptors) flying.push(() => answer(proposer, name, acceptor.receive(message)));
  };
  const answer = (proposer: Proposer, from: string, given: Promised | Accepted | Refused): void => {
    if (given.kind === 'refused') highest = Math.max(highest, given.promised);
    else if (given.kind === 'accepted') flying.push(() => void chosen.add(learner.receive(from, given) ?? ''));
    else {
      flying.push(() => {
        const next = proposer.receive(from, given);
        if (next !== null) send(proposer, next);
      });
    }
  };
  for (let step = 0; step < 120; step++) {
    const proposer = dice.pick([...proposers]);
    if (flying.length === 0 || dice.chance(0.05)) send(proposer, proposer.prepare(dice.chance(0.5) ? highest : 0));
    const at = dice.between(0, flying.length - 1);
    const deliver = flying[at] as () => void;
    if (!dice.chance(0.1)) flying = flying.filter((_, place) => place !== at);
    if (!dice.chance(0.1)) deliver();
  }
  chosen.delete('');
  return chosen;
}

it('chooses one value, however messages come, unless an acceptor forgets', () => {
  const sizes = (Kind: typeof Acceptor): number[] =>
    Array.from({ length: 2000 }, (_, seed) => chosenIn(new Dice(seed), Kind).size);
  const sound = sizes(Acceptor);
  expect(Math.max(...sound)).toBe(1);
  expect(sound.filter((size) => size === 1).length).toBeGreaterThan(1000);
  expect(Math.max(...sizes(ForgetfulAcceptor))).toBe(2);
});
