/**
 * A protocol that is held to the laws of the contract at every step, whoever runs it: what no host can see from its own
 * side, or would put up with. Made for the simulator, which looks at what cluster and callers can see.
 */

import type { AnyModel } from '../../src/core/model.js';
import type {
  Inbound,
  Milliseconds,
  Outbound,
  RequestNumber,
  PersistSeq,
  Status,
  Step,
} from '../../src/core/protocol.js';
import { checkedStep, decode, encode } from '../laws.js';
import { demand } from '../violation.js';

type AnyProtocol = AnyModel['protocol'];

/** The requests of a core that have not ended, each with its deadline. */
type Open = ReadonlyMap<RequestNumber, Milliseconds>;

/** What a core has taken upon itself: its requests, and the last persist that it asked for. */
interface Book {
  readonly open: Open;
  readonly seq: PersistSeq;
}

const emptyBook: Book = { open: new Map(), seq: 0 };

function askedIn(inbound: Inbound<unknown>): readonly RequestNumber[] {
  if (inbound.kind === 'propose') return inbound.proposals.map(({ request }) => request);
  return inbound.kind === 'read' || inbound.kind === 'transfer' ? [inbound.request] : [];
}

function endedIn(outbound: Outbound<unknown>): readonly RequestNumber[] {
  if (outbound.kind === 'resolve') return outbound.requests;
  return outbound.kind === 'readReady' ? [outbound.request] : [];
}

/** law/one-end-per-request: every request ends exactly once, in time. */
function openAfter(before: Open, inbound: Inbound<unknown>, outbound: readonly Outbound<unknown>[]): Open {
  const open = new Map(before);
  for (const request of askedIn(inbound)) open.set(request, (inbound as { readonly deadline: Milliseconds }).deadline);
  for (const each of outbound) {
    if (each.kind === 'resolve') demand(each.requests.length > 0, 'a resolve names a request');
    for (const request of endedIn(each)) {
      demand(open.delete(request), 'law/one-end-per-request: a request ends exactly once', () => ({ request, each }));
    }
  }
  if (inbound.kind === 'stop')
    demand(open.size === 0, 'law/one-end-per-request: a stop ends every request', () => [...open.keys()]);
  return open;
}

/** Persists are numbered upwards and hold something; messages go to others, and have one form in bytes. */
function checkLane(
  protocol: AnyProtocol,
  self: Status['id'],
  last: PersistSeq,
  outbound: readonly Outbound<unknown>[],
): PersistSeq {
  let seq = last;
  for (const each of outbound) {
    if (each.kind === 'send') {
      demand(each.to !== self, 'nobody sends to itself');
      decode(protocol, encode(protocol, each.message));
    } else if (each.kind === 'persist') {
      demand(each.persistSeq > seq && each.ops.length > 0, 'persists are numbered upwards and hold something', () => [
        seq,
        each,
      ]);
      seq = each.persistSeq;
    }
  }
  return seq;
}

/** What a status says, against what it said before. */
function checkStatus(before: Status, after: Status, outbound: readonly Outbound<unknown>[]): void {
  const evidence = (): unknown => ({ before, after });
  demand(after.term >= before.term, 'raft/term-never-falls: the term is monotone', evidence);
  demand(after.commit >= before.commit, 'log/commit-never-falls: the commit index is monotone', evidence);
  demand(after.delivered >= before.delivered && after.delivered <= after.commit, 'delivered ≤ commit', evidence);
  demand(after.applied <= after.delivered, 'applied ≤ delivered', evidence);
  demand(after.durable <= after.last, 'durable ≤ last', evidence);
  demand(after.role !== 'leader' || after.leader === after.id, 'a leader knows that it leads', evidence);
  if (after.role === before.role || after.fault !== null) return;
  const said = outbound.filter((each) => each.kind === 'event' && each.event.kind === 'role').pop();
  const role = said?.kind === 'event' && said.event.kind === 'role' ? said.event.role : null;
  demand(role === after.role, 'a change of role is an event', evidence);
}

/** The model with every step of its protocol checked. @throws Violation from within a step, which names the law */
export function lawful(model: AnyModel): AnyModel {
  const plain = model.protocol;
  const books = new WeakMap<object, Book>();
  function init(...given: Parameters<AnyProtocol['init']>): Step<unknown, unknown> {
    const result = plain.init(...given);
    const seq = checkLane(plain, given[0].id, 0, result[1]);
    books.set(result[0] as object, { open: emptyBook.open, seq });
    return result;
  }
  function step(state: unknown, inbound: Inbound<unknown>): Step<unknown, unknown> {
    const result = checkedStep(plain, state, inbound);
    const [next, outbound] = result;
    const before = books.get(state as object) ?? emptyBook;
    const open = openAfter(before.open, inbound, outbound);
    const kept = next !== state || [...open.keys()].every((each) => before.open.has(each));
    demand(kept, 'law/one-end-per-request: what is asked is kept');
    const status = plain.status(next);
    books.set(next as object, { open, seq: checkLane(plain, status.id, before.seq, outbound) });
    checkStatus(plain.status(state), status, outbound);
    const due = plain.deadline(next);
    for (const [request, deadline] of status.fault === null && inbound.kind !== 'stop' ? open : []) {
      demand(due <= deadline, 'law/one-end-per-request: a request with a deadline is woken for', () => ({
        request,
        due,
        deadline,
      }));
    }
    return result;
  }
  return { ...model, protocol: { ...plain, init, step } } as AnyModel;
}
