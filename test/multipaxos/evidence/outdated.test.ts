/**
 * What the model calls outdated is: once it is, it stays so through whatever a random schedule does, crashes included:
 * whenever it arrives it does nothing but make the receiver answer, and the answer does nothing, now or later.
 */

import { expect, test } from 'vitest';
import type { SendFact } from '../../../src/core/model.js';
import { simulate } from 'quorate/testing';
import { multipaxosModel, type PaxosMessage, type PaxosState } from '../../../src/multipaxos/index.js';
import { isOutdated } from '../../../src/multipaxos/evidence/outdated.js';
import { smallLimits } from '../../values.js';

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

/** One schedule, in which every message is held and looked at again after each step. */
class Watch {
  readonly #found: Map<string, number>;
  readonly #states = new Map<string, PaxosState>();
  readonly #held: Held[] = [];

  /** @param found counts what was seen to be outdated, by kind */
  constructor(found: Map<string, number>) {
    this.#found = found;
  }

  hear(fact: SendFact<PaxosMessage>): void {
    this.#held.push({ ...fact, outdated: false });
    this.#held.splice(0, this.#held.length - KEPT);
  }

  see(replica: string, after: PaxosState): void {
    this.#states.set(replica, after);
    const late: Held[] = [];
    for (const each of this.#held) {
      const [sender, receiver] = [this.#states.get(each.from), this.#states.get(each.to)];
      if (sender === undefined || receiver === undefined) continue;
      // A promise that is not durable yet makes it hesitate; what was outdated before is so all the same.
      const fresh = !each.outdated;
      each.outdated ||= isOutdated(each.message, sender, receiver);
      if (!each.outdated) continue;
      this.#found.set(each.message.kind, (this.#found.get(each.message.kind) ?? 0) + 1);
      if (!fresh && each.from !== replica && each.to !== replica) continue;
      const answers = deliver(each, this.#states);
      if (fresh) late.push(...answers);
    }
    this.#held.push(...late);
  }
}

test('what is outdated stays so, and does nothing', () => {
  const found = new Map<string, number>();
  for (let seed = 1; seed <= 16; seed++) {
    const watch = new Watch(found);
    simulate({
      model: multipaxosModel,
      program: 'core',
      replicas: seed % 3 === 0 ? 5 : 3,
      seed,
      length: 300,
      tuning: { limits: smallLimits },
      observer(fact) {
        if (fact.kind === 'send') watch.hear(fact as never);
        if (fact.kind !== 'step') return;
        const { replica, before, after } = fact.fact;
        if (before !== after) watch.see(replica, after as PaxosState);
      },
    });
  }
  expect([...found.keys()].sort()).toEqual(KINDS);
  expect(Math.min(...found.values())).toBeGreaterThan(50);
});
