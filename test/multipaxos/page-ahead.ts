/** A page of chosen entries that came before the ones below it, which own votes reach afterwards. */

import { demand } from '../violation.js';
import { Node, accept, b, value } from './support.js';

const RULE = 'paxos/learned-from-any-answer: ';

export function learnsPageAhead(): void {
  const node = new Node('n1');
  // Those that come in the page were voted for in an earlier ballot.
  const entries = ['a', 'b', 'c', 'd'].map((word, at) => value(at + 1, at < 2 ? b(2, 2) : b(1, 3), word));
  node.get('n2', accept(b(2, 2), entries.slice(0, 1)));
  node.get('n2', { kind: 'heartbeat', ballot: b(2, 2), commit: 1, readRound: 0 });
  node.get('n2', { kind: 'heartbeat', ballot: b(2, 2), commit: 4, readRound: 0 });
  const number = node.state.catchingUp?.questions[0]?.number ?? 0;
  node.get('n2', { kind: 'catchUpReply', number, commit: 4, rest: 0, entries: entries.slice(2) });
  const reached = (): number => node.w;
  demand(reached() === 1, `${RULE}what is missing below it is waited for`, reached);
  node.get('n2', accept(b(2, 2), entries.slice(1, 2), 4));
  demand(reached() === 4, `${RULE}then it is learned at once`, reached);
}
