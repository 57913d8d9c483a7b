/**
 * A protocol under observation. Every step of it is checked and noted, wherever it is taken from: the driver calls
 * it like the plain one. And messages can travel by reference instead of as bytes, which is faster and changes
 * nothing that a protocol can see.
 */

import type { AnyModel, StepFact } from '../../core/model.js';
import type { Codec, Inbound, Step } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { AnyProtocol } from '../../core/tuning.js';
import { deepFreeze, sameDeep } from './laws.js';

/** What was seen since it was last emptied, of whichever replica is on turn. */
export class Watch {
  /** Who is on turn. */
  replica: ReplicaId = '';
  readonly facts: StepFact<unknown, unknown>[] = [];
  /** The first thing that went wrong: programs may swallow it and halt. */
  error: Error | null = null;

  /** Somebody comes on turn. What a turn that ended in a violation left behind is not theirs. */
  begin(replica: ReplicaId): void {
    this.replica = replica;
    this.facts.length = 0;
    this.error = null;
  }
}

export interface ObserveOptions {
  /** Messages travel by reference, not as bytes. */
  readonly byReference: boolean;
  /** Purity and values too: every step is taken twice and must give the same, and what it gives is frozen. */
  readonly strict: boolean;
}

/** Carries a reference as if it were bytes: the number under which the message is kept. */
function referenceCodec(): Codec<unknown> {
  const messages: unknown[] = [];
  return {
    sizeOf: () => 8,
    write(writer, message) {
      writer.varint(messages.length);
      messages.push(message);
    },
    read: (reader) => messages[reader.varint()],
  };
}

const nothing = (): void => {};

/** The model's protocol, watched. A law broken inside it is thrown on, and kept in the watch. */
export function observed(model: AnyModel, watch: Watch, options: ObserveOptions): AnyProtocol {
  const { protocol } = model;

  function guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      watch.error ??= error as Error;
      throw error;
    }
  }

  function twice(first: Step<unknown, unknown>, again: () => Step<unknown, unknown>): void {
    if (!sameDeep(first, again())) throw new RangeError('law/pure: the same state and message gave two results');
    deepFreeze(first);
  }

  function note(before: unknown, inbound: Inbound<unknown> | null, [after, outbound]: Step<unknown, unknown>): void {
    if (after !== before) {
      protocol.checkState(after);
      if (before !== null && inbound !== null) protocol.checkStep(before, after, inbound);
    }
    watch.facts.push({ replica: watch.replica, before, after, inbound, outbound });
  }

  return {
    ...protocol,
    // Both checks have run on every step by the time that the driver would ask for them.
    checkState: nothing,
    checkStep: nothing,
    init: (given, recovered) =>
      guarded(() => {
        const result = protocol.init(given, recovered);
        if (options.strict) twice(result, () => protocol.init(given, recovered));
        note(null, null, result);
        return result;
      }),
    step: (state, inbound) =>
      guarded(() => {
        const result = protocol.step(state, inbound);
        if (options.strict) twice(result, () => protocol.step(state, inbound));
        note(state, inbound, result);
        return result;
      }),
    codec: options.byReference ? referenceCodec() : protocol.codec,
  };
}
