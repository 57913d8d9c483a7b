/**
 * What always holds. The proofs that safety is already broken, recognised on receipt and thrown (law 4); and checks of
 * a state and of a step for tests and tools (2.11, as far as one replica can see it).
 */

import { assert, InvariantViolation } from '../core/assert.js';
import { durableIndex } from '../core/durability.js';
import { entryAt, termAt, type TermRun } from '../core/log.js';
import type { Entry, EntryId, Inbound, Index, ReplicaId } from '../core/protocol.js';
import { numberOf } from './ballot.js';
import type { PaxosMessage } from './messages.js';
import { chosenOf, type Leading, type PaxosState } from './state.js';
import { voteAt, type VoteRun } from './window.js';

function sameId(a: EntryId | null, b: EntryId | null): boolean {
  if (a === b) return true;
  return a !== null && b !== null && a.origin === b.origin && a.counter === b.counter && a.lowest === b.lowest;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether two entries have the same value: all but the slot and the ballot. */
export function sameValue(a: Entry, b: Entry): boolean {
  return a === b || (a.kind === b.kind && sameId(a.id, b.id) && sameBytes(a.data, b.data));
}

/** @throws InvariantViolation when one slot has two values in one ballot (2.11, 2) */
export function checkOneValue(ours: Entry, theirs: Entry, from: ReplicaId): void {
  if (ours.term !== theirs.term || sameValue(ours, theirs)) return;
  throw new InvariantViolation('two values for one slot and ballot', { from, ours, theirs });
}

/** @throws InvariantViolation when a chosen value is not the one that was chosen before (2.11, 1) */
export function checkChosen(ours: Entry, theirs: Entry, from: ReplicaId): void {
  if (sameValue(ours, theirs)) return;
  throw new InvariantViolation('two values chosen for one slot', { from, ours, theirs });
}

/** What was voted for or chosen at `slot`, as far as it is in memory, must not contradict a proposal of its ballot. */
export function checkProposal(state: PaxosState, proposal: Entry, from: ReplicaId): void {
  const { index } = proposal;
  const ours = index <= chosenOf(state) ? entryAt(state.log, index) : voteAt(state.window, index);
  if (ours !== undefined) checkOneValue(ours, proposal, from);
}

function checkWindow(state: PaxosState): void {
  let last = chosenOf(state);
  for (const run of state.window.runs) {
    assert(run.entries.length > 0 && run.from > last, 'vote runs ascend above W and never overlap');
    run.entries.forEach((entry, at) => {
      assert(entry.index === run.from + at && entry.term === run.ballot, 'a vote stands under its slot and ballot');
    });
    assert(run.ballot <= state.promised, 'no vote is above the promise (2.11, 5)');
    last = run.from + run.entries.length - 1;
  }
}

function checkLeading(state: PaxosState, role: Leading): void {
  const { self, promised, window } = state;
  const chosen = chosenOf(state);
  const own = role.ballot === promised && numberOf(role.ballot) === self.number;
  assert(own, 'a leader has promised its own ballot (R4)');
  assert(state.hardSeq <= state.durableSeq, 'a leader’s ballot is durable (R5)');
  assert(role.next > role.floor && role.next > chosen && role.fence > role.floor, 'nothing chosen is proposed (R6)');
  for (let slot = Math.max(chosen, role.floor) + 1; slot < role.next; slot++) {
    assert(voteAt(window, slot)?.term === role.ballot, 'what a leader proposed, it has voted for');
  }
  assert(chosen < role.floor || role.next <= chosen + self.alpha + 1, 'nothing is proposed beyond W + α (R9)');
  let carried = role.next - 1;
  for (const { index } of role.carried) {
    assert(index > carried && index < role.fence, 'what is carried lies ahead, in order');
    carried = index;
  }
  role.peers.forEach((peer, at) => {
    assert(peer.id === self.others[at]?.id, 'progress is kept in the order of the others');
    assert(peer.match < role.next && peer.next <= role.next, 'nobody accepts what was not proposed');
    let last = peer.match;
    for (const { from, to } of peer.beyond) {
      assert(from > last && from <= to && to < role.next, 'what was accepted beyond a gap is kept as apart ranges');
      last = to;
    }
  });
}

/** @throws InvariantViolation when a state contradicts itself */
export function checkState(state: PaxosState): void {
  const { log, role, delivery, self, unsynced } = state;
  assert(state.durableSeq <= state.seq && state.hardSeq <= state.seq, 'only what was issued is durable');
  assert(log.tailFrom <= log.last + 1 && log.tailFrom >= log.first, 'the tail is a part of the log');
  assert(log.tailFrom - 1 <= durableIndex(unsynced, log.last), 'nothing leaves memory before it is durable');
  for (let index = log.tailFrom; index <= log.last; index++) {
    const entry = entryAt(log, index);
    assert(entry?.index === index && entry.term === termAt(log, index), 'the tail agrees with its terms');
  }
  assert(log.runs.every((run: TermRun) => run.from <= log.last), 'no term lies beyond W');
  assert(delivery.applied <= delivery.handed && delivery.handed <= log.last, 'only what is chosen is handed over');
  assert(unsynced.every((run) => run.seq > state.durableSeq && run.seq <= state.seq), 'unsynced runs are on their way');
  checkWindow(state);
  if (role.kind === 'leader') checkLeading(state, role);
  if (role.kind !== 'candidate') return;
  assert(role.ballot === state.promised && numberOf(role.ballot) === self.number, 'a candidate has promised itself');
  assert(role.promises.length === self.others.length, 'promises are kept in the order of the others');
}

/** Same-ballot votes never disappear unless their slot is chosen (2.11, 12). */
function checkVotesKept(before: PaxosState, after: PaxosState): void {
  const chosen = chosenOf(after);
  before.window.runs.forEach((run: VoteRun) => {
    for (const entry of run.entries) {
      if (entry.index <= chosen) continue;
      const now = voteAt(after.window, entry.index);
      assert(now !== undefined && now.term >= entry.term, 'a vote is replaced by a later ballot’s only');
      assert(now.term > entry.term || sameValue(now, entry), 'a vote is never changed within its ballot');
    }
  });
}

/** What may raise a promise: see messages.ts. A candidate raises its own by campaigning. */
function mayPromise(message: Inbound<PaxosMessage>): boolean {
  if (message.kind !== 'receive') return message.kind === 'tick' || message.kind === 'campaign';
  const { kind } = message.message;
  return kind === 'prepare' || kind === 'accept' || kind === 'heartbeat';
}

function commonIndex(a: PaxosState, b: PaxosState): Index {
  return Math.min(chosenOf(a), chosenOf(b));
}

/**
 * @param message what the step took, to check what it was allowed to change
 * @throws InvariantViolation when a step broke what must hold between two states
 */
export function checkStep(before: PaxosState, after: PaxosState, message?: Inbound<PaxosMessage>): void {
  assert(after.promised >= before.promised, 'a promise is never lowered (2.11, 5)');
  const allowed = after.promised === before.promised || message === undefined || mayPromise(message);
  assert(allowed, 'only Prepare, Accept and Heartbeat promise');
  assert(chosenOf(after) >= chosenOf(before), 'W never falls (2.11, 10)');
  assert(after.seq >= before.seq && after.durableSeq >= before.durableSeq, 'the persist lane goes forward');
  const index = commonIndex(before, after);
  const old = entryAt(before.log, index);
  const now = entryAt(after.log, index);
  assert(old === undefined || now === undefined || old === now, 'a chosen entry is never changed');
  checkVotesKept(before, after);
}
