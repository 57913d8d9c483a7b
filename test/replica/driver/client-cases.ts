/** What the tests and the mutants of clients' sessions have in common: the table against a simple model. */

import fc from 'fast-check';
import { defaultConstants } from '../../../src/core/members.js';
import type { Entry } from '../../../src/core/protocol.js';
import { encodeClientCommand, type ClientCommand } from '../../../src/replica/driver/client-commands.js';
import { ClientTableDraft, noClients } from '../../../src/replica/driver/client-sessions.js';
import type { StoredResult } from '../../../src/replica/driver/session-table.js';
import { demand } from '../../violation.js';
import { callsOf, logOf } from './wake-cases.js';

const TIME = 5000;
const WINDOW = 4;
const MOST = 2;
export const constants = { ...defaultConstants, sessionWindow: WINDOW, clientSessions: MOST, clientSessionTime: TIME };
const NAMES = ['a', 'b', 'c'];

/** A session as one would write it down. */
interface Known {
  name: string;
  id: number;
  epoch: number;
  from: number;
  until: number;
  readonly done: Map<number, { readonly data: string; readonly result: number; readonly index: number }>;
}

/** What a client does next; sessions and epochs are picked from all that there ever were. */
export const move = fc.oneof(
  fc.record({
    kind: fc.constant('open' as const),
    name: fc.constantFrom(...NAMES),
    pick: fc.nat(9),
    byId: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('propose' as const),
    pick: fc.nat(9),
    sequence: fc.integer({ min: 1, max: 9 }),
    completed: fc.integer({ min: 1, max: 5 }),
    data: fc.constantFrom('x', 'x', 'x', 'y'),
  }),
  fc.record({ kind: fc.constant('renew' as const), pick: fc.nat(9), completed: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant('close' as const), pick: fc.nat(9) }),
  fc.record({ kind: fc.constant('wait' as const), by: fc.integer({ min: 100, max: 3000 }) }),
);

type ClientMove = typeof move extends fc.Arbitrary<infer T> ? T : never;

export const say = ({ refusal, value }: StoredResult): string => refusal ?? String(value);

function same(told: unknown, expected: unknown): void {
  demand(told === expected, 'sessions/retry-gets-the-first-result: as the model says', () => ({ told, expected }));
}

/** Plays these moves on the table and on the model. */
export function answersAsTheModel(moves: readonly ClientMove[]): void {
  const known: Known[] = [];
  const attached: { session: number; epoch: number }[] = [];
  let table = noClients;
  let now = 0;
  moves.forEach((each, at) => {
    const index = at + 1;
    if (each.kind === 'wait') return void (now += each.by);
    const draft = new ClientTableDraft(table, constants);
    draft.expire(now);
    for (const session of [...known]) if (session.until <= now) known.splice(known.indexOf(session), 1);
    if (each.kind === 'open') {
      const id = each.byId ? (attached[each.pick % Math.max(1, attached.length)]?.session ?? 99) : 0;
      const found = known.find(({ name }) => name === each.name);
      let expected: string;
      if (found === undefined) {
        expected = id !== 0 ? 'expired' : known.length >= MOST ? 'busy' : String(index);
        if (expected === String(index)) {
          known.push({ name: each.name, id: index, epoch: index, from: 1, until: now + TIME, done: new Map() });
          attached.push({ session: index, epoch: index });
        }
      } else if (id !== 0 && id !== found.id) expected = 'expired';
      else {
        expected = String(found.id);
        Object.assign(found, { epoch: index, until: now + TIME });
        attached.push({ session: found.id, epoch: index });
      }
      same(say(draft.apply({ kind: 'open', name: each.name, id }, index, now)), expected);
      table = draft.finish();
      return;
    }
    const handle = attached[each.pick % Math.max(1, attached.length)] ?? { session: 77, epoch: 77 };
    const found = known.find(({ id }) => id === handle.session);
    const gone = found === undefined ? 'expired' : found.epoch !== handle.epoch ? 'fenced' : null;
    if (found !== undefined && gone === null) found.until = now + TIME;
    if (each.kind !== 'propose') {
      const command = { ...each, ...handle, firstIncomplete: each.kind === 'renew' ? each.completed : 1 };
      same(say(draft.apply(command as never, index, now)), gone ?? 'undefined');
      if (found !== undefined && gone === null) {
        if (each.kind === 'close') known.splice(known.indexOf(found), 1);
        else found.from = Math.max(found.from, each.completed);
      }
      table = draft.finish();
      return;
    }
    const { sequence, data, completed } = each;
    const command = { kind: 'propose', ...handle, sequence, firstIncomplete: completed } as const;
    const verdict = draft.admit({ ...command, data: Buffer.from(data) }, index, now);
    let expected = gone ?? '';
    if (found !== undefined && gone === null) {
      found.from = Math.max(found.from, Math.min(completed, sequence));
      const first = found.done.get(sequence);
      if (sequence < found.from) expected = 'completed';
      else if (first !== undefined) expected = first.data === data ? `${first.result} at ${first.index}` : 'reused';
      else if (sequence >= found.from + WINDOW) expected = 'busy';
      else {
        expected = 'new';
        found.done.set(sequence, { data, result: 1000 + index, index });
        same(draft.isPending({ ...command, data: Buffer.from(data) }), true);
        draft.record(handle.session, sequence, { rejected: false, value: 1000 + index });
      }
    }
    const { kind } = verdict;
    const { refusal, value } = verdict.kind === 'answer' ? verdict.result : { value: 0 };
    const told = kind !== 'answer' ? kind : (refusal ?? `${String(value)} at ${verdict.index}`);
    same(told, expected);
    table = draft.finish();
  });
}

/** Copies of one command in one delivery: the machine applies it once, wherever the deliveries are cut. */
export function copiesTakeEffectOnce(): void {
  const [opening] = logOf([]) as [Entry];
  const commands: readonly ClientCommand[] = [
    { kind: 'open', name: 'a', id: 0 },
    ...[1, 1, 2, 1, 2].map((sequence): ClientCommand => {
      const data = new TextEncoder().encode(String(sequence));
      return { kind: 'propose', session: 2, epoch: 2, sequence, firstIncomplete: 1, data };
    }),
  ];
  const entries = commands.map((command, at): Entry => {
    const id = { session: 1, sequence: at + 1, firstIncomplete: 1 };
    return { index: at + 2, term: 1, kind: 'session', time: 0, id, data: encodeClientCommand(command) };
  });
  for (const size of [1, 2, 3, 9]) {
    const calls = callsOf([opening, ...entries], [size], 2)
      .filter((call) => call.startsWith('apply'))
      .join(', ');
    const rule = 'sessions/retry-gets-the-first-result: each takes effect once';
    demand(calls === 'apply 3 at 0, apply 5 at 0', rule, () => ({ size, calls }));
  }
}
