/** Expectations of a scenario: their syntax, and whether they hold in a world. */

import type { Index } from '../../core/protocol.js';
import type { ReplicaId } from '../../core/members.js';
import type { DriverState } from '../../replica/driver/state.js';
import type { Words } from './scenario-text.js';
import { describeCommand, describeResult } from '../world/trace.js';
import { sameData } from '../plain-data.js';
import type { WorldCall } from '../world/record.js';
import type { Turn } from '../world/turn.js';
import type { Slot } from '../world/state.js';

/** An expectation. Its words must occur in the description, in this order. */
export type Expectation =
  | { readonly kind: 'replica'; readonly replica: ReplicaId; readonly not: boolean; readonly words: readonly string[] }
  | { readonly kind: 'applied'; readonly replica: ReplicaId; readonly commands: readonly unknown[] }
  | { readonly kind: 'call'; readonly call: number; readonly words: readonly string[] }
  | { readonly kind: 'leaders'; readonly ids: readonly ReplicaId[] | 'one' }
  | { readonly kind: 'committed'; readonly last: Index }
  | {
      readonly kind: 'message';
      readonly not: boolean;
      readonly from: ReplicaId;
      readonly to: ReplicaId;
      readonly prefix: string;
    };

function someWords(words: Words, what: string): readonly string[] {
  const found = words.words();
  return found.length > 0 ? found : words.fail(`what is expected of ${what}?`);
}

function parseLeaders(words: Words): Expectation {
  const [first] = [words.peek()];
  if (first === 'none' || first === 'one') {
    words.word('who');
    words.end();
    return { kind: 'leaders', ids: first === 'one' ? 'one' : [] };
  }
  const ids = words.allReplicas();
  return ids.length > 0 ? { kind: 'leaders', ids: ids.sort() } : words.fail('expect leaders: none, one, or who?');
}

function parseReplica(words: Words): Expectation {
  const replica = words.replica();
  if (words.peek() === 'applied') {
    words.word('applied');
    const given = someWords(words, `what ${replica} applied`);
    const commands = given.length === 1 && given[0] === 'nothing' ? [] : given.map((text) => words.value(text));
    return { kind: 'applied', replica, commands };
  }
  const not = words.peek() === 'not';
  if (not) words.word('not');
  return { kind: 'replica', replica, not, words: someWords(words, replica) };
}

/** Reads what follows `expect` or `until`. */
export function parseExpectation(words: Words): Expectation {
  const first = words.peek();
  switch (first) {
    case 'call': {
      words.word('call');
      const call = words.whole('the number of a call', undefined, 1);
      return { kind: 'call', call, words: someWords(words, `call ${call}`) };
    }
    case 'leaders':
      words.word('leaders');
      return parseLeaders(words);
    case 'committed': {
      words.word('committed');
      const last = words.whole('the last index that is committed');
      words.end();
      return { kind: 'committed', last };
    }
    case 'no':
    case 'message': {
      const not = first === 'no';
      if (not) words.word('no');
      words.choice('expect', ['message']);
      const [from, to] = [words.replica(), words.replica()];
      return { kind: 'message', not, from, to, prefix: words.remainder() };
    }
    default:
      return parseReplica(words);
  }
}

/** The description of a replica for `expect`: the model's, and `leading` while its driver tells the application so. */
function describeReplica(turn: Turn, slot: Slot): string {
  const { program, model } = turn.rules;
  if (slot.process === null) return 'down';
  const health = program.health(slot.process);
  if (health !== 'running') return health;
  const core = program.core(slot.process);
  const words = [core === null ? 'establishing' : model.describeState(core)];
  if (program.kind === 'driver' && (slot.process as DriverState).leadership.leading) words.push('leading');
  if (slot.paused) words.push('paused');
  return words.join(' ');
}

/** The description of a call's end for `expect`. */
function describeEnd({ end }: WorldCall): string {
  if (end === null) return 'open';
  switch (end.kind) {
    case 'acknowledged':
      return `acknowledged index=${end.index} result=${describeResult(end.result)}`;
    case 'served':
      return `served index=${end.index} position=${end.position}`;
    case 'transferred':
      return `transferred leader=${end.leader}`;
    case 'failed':
      return `failed ${end.failure.outcome} ${end.failure.code}`;
    case 'lost':
      return 'lost';
  }
}

function holds(text: string, words: readonly string[]): boolean {
  const there = text.split(' ');
  let at = 0;
  for (const word of words) {
    at = there.indexOf(word, at) + 1;
    if (at === 0) return false;
  }
  return true;
}

/** Whether this replica's core says that it leads. */
export function isLeading(turn: Turn, slot: Slot): boolean {
  const { program, model } = turn.rules;
  if (slot.process === null || program.health(slot.process) !== 'running') return false;
  const core = program.core(slot.process);
  return core !== null && model.protocol.status(core).role === 'leader';
}

function slotOf(turn: Turn, replica: ReplicaId): Slot {
  return turn.slot(turn.rules.places.get(replica) as number);
}

function unmetReplica(turn: Turn, { replica, not, words }: Extract<Expectation, { kind: 'replica' }>): string | null {
  const text = describeReplica(turn, slotOf(turn, replica));
  if (holds(text, words) !== not) return null;
  return `expected ${replica} ${not ? 'not ' : ''}${words.join(' ')}; it is: ${text}`;
}

function unmetApplied(turn: Turn, { replica, commands }: Extract<Expectation, { kind: 'applied' }>): string | null {
  const { machines } = turn.rules;
  const entries = turn.record.history().commands().slice(0, slotOf(turn, replica).effects);
  const applied = entries.map(({ data }) => machines.decode(data));
  if (sameData(applied, commands)) return null;
  const list = (each: readonly unknown[]): string => each.map(describeCommand).join(' ') || 'nothing';
  return `expected ${replica} to have applied ${list(commands)}; it has applied ${list(applied)}`;
}

function unmetLeaders(turn: Turn, { ids }: Extract<Expectation, { kind: 'leaders' }>): string | null {
  const leading = turn.rules.ids.filter((id) => isLeading(turn, slotOf(turn, id)));
  if (ids === 'one' ? leading.length === 1 : sameData(leading, ids)) return null;
  const expected = ids === 'one' ? 'one leader' : `${ids.join(' and ') || 'nobody'} to lead`;
  return `expected ${expected}; leading: ${leading.join(' ') || 'nobody'}`;
}

function unmetMessage(turn: Turn, wanted: Extract<Expectation, { kind: 'message' }>): string | null {
  const { from, to, prefix, not } = wanted;
  const places = [from, to].map((id) => turn.rules.places.get(id) as number) as [number, number];
  const there = turn.link(...places).flights.map((flight) => turn.network.describe(flight));
  if (there.some((text) => text.startsWith(prefix)) !== not) return null;
  const what = `${not ? 'no ' : ''}message from ${from} to ${to} that begins "${prefix}"`;
  return `expected ${what}; under way: ${there.join(', ') || 'nothing'}`;
}

/** The reason for which an expectation does not hold; `null` if it does. */
export function unmet(turn: Turn, expectation: Expectation): string | null {
  switch (expectation.kind) {
    case 'replica':
      return unmetReplica(turn, expectation);
    case 'applied':
      return unmetApplied(turn, expectation);
    case 'call': {
      const call = turn.record.call(expectation.call);
      const text = call === undefined ? 'not made' : describeEnd(call);
      if (holds(text, expectation.words)) return null;
      return `expected call ${expectation.call} ${expectation.words.join(' ')}; it is ${text}`;
    }
    case 'leaders':
      return unmetLeaders(turn, expectation);
    case 'committed': {
      const { last } = turn.record.view;
      return last === expectation.last ? null : `expected committed ${expectation.last}; it is ${last}`;
    }
    case 'message':
      return unmetMessage(turn, expectation);
  }
}
