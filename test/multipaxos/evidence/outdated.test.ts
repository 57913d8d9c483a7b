/**
 * What the model calls outdated is: once it is, it stays so through whatever a random schedule does, crashes included:
 * whenever it arrives it does nothing but make the receiver answer, and the answer does nothing, now or later.
 */

import { expect, test } from 'vitest';
import type { SendFact } from '../../../src/core/model.js';
import { multipaxosModel, type PaxosMessage, type PaxosState } from '../../../src/multipaxos/index.js';
import { isOutdated } from '../../../src/multipaxos/evidence/outdated.js';
import { decisionsOf, trial } from '../../support/schedule.js';
import { ModelRig } from '../model-rig.js';

interface Held extends SendFact<PaxosMessage> {
  outdated: boolean;
}

/** Any message may arrive again at any time: so many are kept, the oldest go. */
const KEPT = 80;
const KINDS = ['accept', 'accepted', 'catchUpReply', 'heartbeat', 'heartbeatReply', 'nack', 'prepare', 'promise'];

/** Delivers what is outdated, and what it is answered. Gives the answers. */
function deliver({ message, from, to }: SendFact<PaxosMessage>, states: ReadonlyMap<string, PaxosState>): Held[] {
  const receiver = states.get(to) as PaxosState;
  const { now } = receiver;
  const [after, outbound] = multipaxosModel.protocol.step(receiver, { kind: 'receive', now, from, message });
  expect(after, message.kind).toBe(receiver);
  return outbound.flatMap((each) => {
    if (each.kind !== 'send' || each.to !== from) throw new Error(`${message.kind} leads to ${each.kind}`);
    const answer = { from: to, to: from, message: each.message, outdated: true };
    return [answer, ...deliver(answer, states)];
  });
}

test('what is outdated stays so, and does nothing', () => {
  const found = new Map<string, number>();
  for (let seed = 1; seed <= 12; seed++) {
    const size = seed % 3 === 0 ? 5 : 3;
    const rig = new ModelRig();
    const states = new Map<string, PaxosState>();
    const held: Held[] = [];
    rig.hear = (fact) => {
      held.push({ ...fact, outdated: false });
      held.splice(0, held.length - KEPT);
    };
    rig.see = ({ replica, before, after }) => {
      if (before === after) return;
      states.set(replica, after);
      const late: Held[] = [];
      for (const each of held) {
        const [sender, receiver] = [states.get(each.from), states.get(each.to)];
        if (sender === undefined || receiver === undefined) continue;
        // A promise that is not durable yet makes it hesitate; what was outdated before is so all the same.
        const fresh = !each.outdated;
        each.outdated ||= isOutdated(each.message, sender, receiver);
        if (!each.outdated) continue;
        found.set(each.message.kind, (found.get(each.message.kind) ?? 0) + 1);
        if (!fresh && each.from !== replica && each.to !== replica) continue;
        const answers = deliver(each, states);
        if (fresh) late.push(...answers);
      }
      held.push(...late);
    };
    const error = trial({ protocol: rig.protocol(size), size, seed, length: 300 }, decisionsOf(seed, 300), (cluster) =>
      rig.attach(cluster),
    );
    if (error !== null) throw error;
  }
  expect([...found.keys()].sort()).toEqual(KINDS);
  expect(Math.min(...found.values())).toBeGreaterThan(100);
});
