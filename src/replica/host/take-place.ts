/**
 * How a start takes its place in the cluster, in an order that leaves nothing behind when it fails: the transport takes
 * the address and answers nobody; then the identity of new data is written; then peers are answered.
 */

import { peersAtStart } from '../driver/peer-records.js';
import { invalidArgument, typedError } from '../errors.js';
import type { AnyMachine, CheckedOptions } from '../options.js';
import type { TransportHandler } from '../transport.js';
import { stopTransport } from './closing.js';
import { answered } from './plug-ins.js';
import type { OpenedData } from './recover.js';

/**
 * The stored members rule, but for the own address: a replica listens where its options say.
 * @throws ConsensusError ERR_TRANSPORT_FAILED, ERR_INVALID_ARGUMENT, or the error of the storage; then the transport
 * has stopped, or had its time to
 */
export async function takePlace(
  { id, clock, transport, storage, protocol, configuration: given }: CheckedOptions<AnyMachine>,
  { options, format }: OpenedData,
  handler: TransportHandler,
): Promise<void> {
  const { cluster, incarnation, configuration } = options;
  const isOwn = (member: { readonly id: string }): boolean => member.id === id;
  const self = given.members.find(isOwn);
  if (self === undefined || !configuration.members.some(isOwn)) {
    throw invalidArgument(`id: ${id} is no member of the stored configuration`);
  }
  const others = peersAtStart(options).filter((member) => !isOwn(member));
  const { address } = self;
  const { electionMax } = protocol.timing;
  await answered('ERR_TRANSPORT_FAILED', 'transport.start', () =>
    transport.start({ cluster, id, incarnation }, { id, address }, others, handler, { electionMax }),
  );
  try {
    if (format.length > 0) await answered('ERR_STORAGE_FAILED', 'storage.write', () => storage.write(format));
    transport.answer();
  } catch (error) {
    await Promise.allSettled([stopTransport({ clock, transport })]);
    throw typedError(error, 'ERR_TRANSPORT_FAILED');
  }
}
