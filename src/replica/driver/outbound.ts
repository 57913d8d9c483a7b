/** What the core wants done becomes effects of the driver, and changes of its parts. */

import { unreachable } from '../../core/assert.js';
import type { CoreEvent, Outbound, Persist, Send } from '../../core/protocol.js';
import type { AnyProtocol } from '../../core/tuning.js';
import type { DriverDraft } from './draft.js';
import { sealCore } from './envelope.js';

/** Carries out the outbound effects of a core's step, in order. */
export function doAll(draft: DriverDraft, protocol: AnyProtocol, outbound: readonly Outbound<unknown>[]): void {
  for (let i = 0; i < outbound.length; i++) onOutbound(draft, protocol, outbound[i] as Outbound<unknown>);
  draft.calls.takeBack();
}

function onSend(draft: DriverDraft, protocol: AnyProtocol, send: Send<unknown>): void {
  const bytes = sealCore(protocol.codec, send.message, draft.identity.addressOf(send.to));
  draft.lane.sendAfter(send.to, bytes, send.lane, send.after, send.forward);
}

function onPersist({ lane, snapshots }: DriverDraft, { persistSeq, ops }: Persist): void {
  snapshots.queued(ops, lane.persist(persistSeq, snapshots.inLane(ops)));
}

function onOutbound(draft: DriverDraft, protocol: AnyProtocol, message: Outbound<unknown>): void {
  switch (message.kind) {
    case 'send':
      return onSend(draft, protocol, message);
    case 'persist':
      return onPersist(draft, message);
    case 'commit':
      return draft.applying.deliver(message.entries);
    case 'resolve':
      return draft.calls.attemptsEnded(message.requests, message.outcome);
    case 'forwardTaken':
      draft.calls.goOn();
      return draft.proposals.taken(message.requests);
    case 'readReady':
      draft.calls.goOn(true);
      draft.leadership.confirmed(message.request);
      return draft.reads.ready(message.request, message.index);
    case 'restore':
      return draft.snapshots.restore();
    case 'pull':
      return draft.pulling.needs(message.least);
    case 'load':
      draft.timing.loadBegins(message.id);
      return draft.effect(message);
    case 'members':
      return draft.effect({ kind: 'peers', members: draft.identity.reachable(message.members) });
    case 'event':
      return onCoreEvent(draft, message.event);
    default:
      unreachable(message);
  }
}

function onCoreEvent(draft: DriverDraft, event: CoreEvent): void {
  switch (event.kind) {
    case 'fault':
      return draft.halt(draft.storageFault ?? { code: 'ERR_STORAGE_FAILED', reason: event.reason });
    case 'stalled':
      return draft.event({ kind: 'stalled', waited: draft.now - event.since });
    case 'clock':
      return draft.event(event);
    case 'role':
      return draft.leadership.follow(event);
  }
}
