/**
 * What the model calls outdated is: once it is, it stays so through whatever a random schedule does, crashes included:
 * whenever it arrives it does nothing but make the receiver answer, and the answer does nothing, now or later.
 */

import { expect, test } from 'vitest';
import { multipaxosModel } from 'quorate/multipaxos';
import { raftModel } from 'quorate/raft';
import { simulate } from 'quorate/testing';
import type { AnyModel, SendFact } from '../../src/core/model.js';
import { smallLimits } from '../values.js';

/** The contract of messages and states, as far as this test looks at them. */
interface Message {
  readonly kind: string;
}
interface State {
  readonly now: number;
}

interface Held extends SendFact<Message> {
  outdated: boolean;
}

/** Any message may arrive again at any time: so many are kept, the oldest go. */
const KEPT = 80;

/** The kinds of messages of each protocol that are outdated one day. */
const MODELS: readonly (readonly [AnyModel, readonly string[]])[] = [
  [raftModel as AnyModel, ['appendAccepted', 'appendRejected', 'commit', 'requestVoteReply', 'roundConfirmed']],
  [
    multipaxosModel as AnyModel,
    ['accept', 'accepted', 'catchUpReply', 'heartbeat', 'heartbeatReply', 'nack', 'prepare', 'promise'],
  ],
];

/** One schedule, in which every message is held and looked at again after each step. */
class Watch {
  readonly #found: Map<string, number>;
  readonly #model: AnyModel;
  readonly #states = new Map<string, State>();
  readonly #held: Held[] = [];

  /** @param found counts what was seen to be outdated, by kind */
  constructor(model: AnyModel, found: Map<string, number>) {
    this.#model = model;
    this.#found = found;
  }

  hear(fact: SendFact<Message>): void {
    this.#held.push({ ...fact, outdated: false });
    this.#held.splice(0, this.#held.length - KEPT);
  }

  see(replica: string, after: State): void {
    this.#states.set(replica, after);
    const late: Held[] = [];
    for (const each of this.#held) {
      const [sender, receiver] = [this.#states.get(each.from), this.#states.get(each.to)];
      if (sender === undefined || receiver === undefined) continue;
      // A promise that is not durable yet makes it hesitate; what was outdated before is so all the same.
      const fresh = !each.outdated;
      each.outdated ||= this.#model.isOutdated?.(each.message, sender, receiver) === true;
      if (!each.outdated) continue;
      this.#found.set(each.message.kind, (this.#found.get(each.message.kind) ?? 0) + 1);
      if (!fresh && each.from !== replica && each.to !== replica) continue;
      const answers = this.#deliver(each);
      if (fresh) late.push(...answers);
    }
    this.#held.push(...late);
  }

  /** Delivers what is outdated, and what it is answered. Gives the answers. */
  #deliver({ message, from, to }: SendFact<Message>): Held[] {
    const receiver = this.#states.get(to) as State;
    const { now } = receiver;
    const [after, outbound] = this.#model.protocol.step(receiver, { kind: 'receive', now, from, message });
    expect(after, message.kind).toBe(receiver);
    return outbound.flatMap((each) => {
      if (each.kind !== 'send' || each.to !== from) throw new Error(`${message.kind} leads to ${each.kind}`);
      const answer = { from: to, to: from, message: each.message as Message, outdated: true };
      return [answer, ...this.#deliver(answer)];
    });
  }
}

test.each(MODELS.map(([model, kinds]) => [model.protocol.name, model, kinds] as const))(
  'what is outdated in %s stays so, and does nothing',
  (_, model, kinds) => {
    const found = new Map<string, number>();
    for (let seed = 1; seed <= 16; seed++) {
      const watch = new Watch(model, found);
      simulate({
        model,
        program: 'core',
        replicas: seed % 3 === 0 ? 5 : 3,
        seed,
        length: 300,
        tuning: { limits: smallLimits },
        observer(fact) {
          if (fact.kind === 'send') watch.hear(fact as never);
          if (fact.kind !== 'step') return;
          const { replica, before, after } = fact.fact;
          if (before !== after) watch.see(replica, after as State);
        },
      });
    }
    expect([...found.keys()].sort()).toEqual(kinds);
    expect(Math.min(...found.values())).toBeGreaterThan(50);
  },
);
