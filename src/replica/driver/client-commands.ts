/** The commands of clients' sessions: what an entry of the kind `session` holds. */

import { Malformed, Reader, Writer } from '../../core/bytes.js';
import type { Index } from '../../core/protocol.js';

/** Which attach of which session speaks. */
export interface ClientEpoch {
  /** Index of the entry that opened the session. */
  readonly session: Index;
  /** Index of the entry by which it was attached. */
  readonly epoch: Index;
}

/** A command for the state machine, by the client's own sequence, 1-based. */
export interface ClientPropose extends ClientEpoch {
  readonly kind: 'propose';
  readonly sequence: number;
  /** The client is done with all sequences below. */
  readonly firstIncomplete: number;
  readonly data: Uint8Array;
}

export type ClientCommand =
  /** Opens the session of this name, or attaches the one that there is; only that of this id, unless it is 0. */
  | { readonly kind: 'open'; readonly name: string; readonly id: Index }
  | ClientPropose
  /** The client lives, and is done with all sequences below `firstIncomplete`. */
  | ({ readonly kind: 'renew'; readonly firstIncomplete: number } & ClientEpoch)
  | ({ readonly kind: 'close' } & ClientEpoch);

const KINDS = ['open', 'propose', 'renew', 'close'] as const;
/** The longest name, in characters. */
export const MAX_NAME = 128;

/** Bytes of a command beside its data. */
const OVERHEAD = 48 + MAX_NAME;

export function encodeClientCommand(command: ClientCommand): Uint8Array {
  const writer = new Writer(OVERHEAD + (command.kind === 'propose' ? command.data.length : 0));
  writer.u8(KINDS.indexOf(command.kind));
  if (command.kind === 'open') {
    writer.ascii(command.name);
    writer.varint(command.id);
    return writer.finish();
  }
  writer.varint(command.session);
  writer.varint(command.epoch);
  if (command.kind !== 'close') writer.varint(command.firstIncomplete);
  if (command.kind === 'propose') {
    writer.varint(command.sequence);
    writer.bytes(command.data);
  }
  return writer.finish();
}

function read(reader: Reader): ClientCommand {
  const kind = KINDS[reader.u8()];
  if (kind === undefined) throw new Malformed('a command of a session is of an unknown kind');
  if (kind === 'open') return { kind, name: reader.ascii(MAX_NAME), id: reader.varint() };
  const [session, epoch] = [reader.varint(), reader.varint()];
  if (kind === 'close') return { kind, session, epoch };
  const firstIncomplete = reader.varint();
  if (kind === 'renew') return { kind, session, epoch, firstIncomplete };
  return { kind, session, epoch, firstIncomplete, sequence: reader.varint(), data: reader.bytes() };
}

/** `null` for what `encodeClientCommand` does not give: such an entry does nothing, on any replica. */
export function decodeClientCommand(data: Uint8Array): ClientCommand | null {
  try {
    const reader = new Reader(data);
    const command = read(reader);
    reader.end();
    return command;
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}
