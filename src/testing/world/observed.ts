/**
 * Wraps a protocol so that every step is checked and recorded; the driver calls it like the plain one. The wrapper can
 * also let messages travel by reference instead of as bytes, which is faster and invisible to the protocol.
 */

import type { AnyModel, StepFact } from '../../core/model.js';
import type { Codec, Inbound, Step } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { AnyProtocol } from '../../core/tuning.js';
import { deepFreeze, sameDeep } from './laws.js';

/** The steps of the current replica since the watch was last emptied. */
export class Watch {
  /** The current replica. */
  replica: ReplicaId = '';
  readonly facts: StepFact<unknown, unknown>[] = [];
  /** The first error, kept because a program may catch it and halt. */
  error: Error | null = null;

  /** Makes a replica the current one, and drops what an earlier turn that broke a rule left behind. */
  begin(replica: ReplicaId): void {
    this.replica = replica;
    this.facts.length = 0;
    this.error = null;
  }
}

export interface ObserveOptions {
  /** Messages travel by reference, not as bytes. */
  readonly byReference: boolean;
  /** Also checks law/pure and law/values: every step is taken twice with equal results, and these are frozen. */
  readonly strict: boolean;
}

/** A codec whose bytes are the number under which the message itself is kept. */
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

/** The model's protocol with its steps recorded in `watch`. An error inside a step is kept there and thrown on. */
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
  }

  function note(before: unknown, inbound: Inbound<unknown> | null, result: Step<unknown, unknown>): void {
    // A core does not spend a third of its time on freezing; here whoever edits a value of an older step is caught.
    deepFreeze(result);
    const [after, outbound] = result;
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
