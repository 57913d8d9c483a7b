/** The laws of the contract, for one step of one core: what must hold whatever the protocol, and whoever runs it. */

import { Reader, Writer } from '../src/core/bytes.js';
import type * as core from '../src/core/protocol.js';
import { deepFreeze, sameDeep } from '../src/testing/world/laws.js';
import { demand } from './violation.js';

type AnyProtocol = core.Protocol<unknown, unknown>;

const timeless = (state: unknown): object => ({ ...(state as object), now: 0 });

/** One step, taken twice: pure, the old state unchanged, and the same reference when nothing changed (law/pure, law/values). */
export function checkedStep(
  protocol: AnyProtocol,
  state: unknown,
  message: core.Inbound<unknown>,
): core.Step<unknown, unknown> {
  deepFreeze(state);
  deepFreeze(message);
  const [next, outbound] = protocol.step(state, message);
  const again = protocol.step(state, message);
  demand(sameDeep([next, outbound], again), 'law/pure: the same input gives the same result');
  deepFreeze(next);
  deepFreeze(outbound);
  const idle = next === state || !sameDeep(timeless(next), timeless(state));
  demand(idle, 'law/values: a step that changes nothing gives the same reference', () => message);
  protocol.checkState(next);
  protocol.checkStep(state, next, message);
  const due = protocol.deadline(state);
  const after = protocol.deadline(next);
  demand(!Number.isNaN(after), 'the deadline is a number');
  if (message.kind === 'tick' && message.now >= due) demand(after > message.now, 'a tick leaves nothing due');
  if (message.kind === 'tick' && message.now < due)
    demand(next === state, 'law/time-is-data: an early tick changes nothing');
  return [next, outbound];
}

/** A message on its way: bytes, and back only in one form. */
export function encode({ codec }: AnyProtocol, message: unknown): Uint8Array {
  const bound = codec.sizeOf(message);
  const writer = new Writer(bound);
  codec.write(writer, message);
  const bytes = writer.finish();
  demand(bytes.length <= bound, 'sizeOf is an upper bound', () => [bound, bytes.length, message]);
  return bytes;
}

export function decode(protocol: AnyProtocol, bytes: Uint8Array): unknown {
  const message = protocol.codec.read(new Reader(bytes));
  demand(sameDeep(encode(protocol, message), bytes), 'a message has one form in bytes');
  return message;
}
