/**
 * Two proposers want different values, three acceptors choose one. Read it beside §2 of "Paxos Made Simple":
 *
 *     node main.js
 *
 * It tells two stories that differ in one message. In both n1 gets a vote for red at a, and is slow then. If a is among
 * those that n2 asks, n2 has to give up blue, since for all it knows red may be chosen already. If a is not among them,
 * red is not chosen in that ballot and never will be: b has promised not to vote for it any more.
 */

import { numberOf, roundOf } from 'quorate/multipaxos';
import { Acceptor, Learner, Proposer, type Accept, type Prepare } from './paxos.js';

const shown = (ballot: number): string => `${roundOf(ballot)}.${numberOf(ballot)}`;

function tell(who: string, what: string): void {
  console.log(`  ${who.padEnd(7)} ${what}`);
}

function story(title: string, asked: readonly string[]): void {
  console.log(title);
  const acceptors = new Map(['a', 'b', 'c'].map((name) => [name, new Acceptor()]));
  const proposers = { n1: new Proposer(1, 'red'), n2: new Proposer(2, 'blue') };
  const learner = new Learner();
  let refusedBy = 0;

  /** One message goes to these acceptors, and their answers go back. Gives what the proposer sends next. */
  function send(from: 'n1' | 'n2', message: Prepare | Accept, to: readonly string[]): Accept | null {
    let next: Accept | null = null;
    for (const name of to) {
      const value = message.kind === 'accept' ? ` ${message.value}` : '';
      tell(`${from} → ${name}`, `${message.kind} ${shown(message.ballot)}${value}`);
      const answer = (acceptors.get(name) as Acceptor).receive(message);
      if (answer.kind === 'refused') {
        tell(`${name} → ${from}`, `refused: it has promised ${shown(answer.promised)}`);
        refusedBy = Math.max(refusedBy, answer.promised);
      } else if (answer.kind === 'promise') {
        const { vote } = answer;
        const report = vote === null ? 'no vote yet' : `its vote is ${vote.value} of ${shown(vote.ballot)}`;
        tell(`${name} → ${from}`, `promise ${shown(answer.ballot)}, ${report}`);
        next = proposers[from].receive(name, answer) ?? next;
        if (next !== null) tell(from, `has the promise of a majority, and proposes ${next.value}`);
      } else {
        tell(`${name} → l`, `accepted ${shown(answer.ballot)} ${answer.value}`);
        const learned = learner.receive(name, answer);
        if (learned !== null) tell('l', `learns that ${learned} is chosen`);
      }
    }
    return next;
  }

  const first = send('n1', proposers.n1.prepare(), ['a', 'b']) as Accept;
  send('n1', first, ['a']);
  tell('n1', 'is slow: its accept for b is still under way');
  const second = send('n2', proposers.n2.prepare(), asked) as Accept;
  send('n1', first, ['b']);
  send('n2', second, ['b', 'c']);
  tell('n1', `tries again, above ${shown(refusedBy)}`);
  const third = send('n1', proposers.n1.prepare(refusedBy), ['b', 'c']) as Accept;
  send('n1', third, ['a', 'b']);
}

story('n2 asks a, who has voted, and b:', ['a', 'b']);
story('n2 asks b and c, who have not:', ['b', 'c']);
