/** The language of scenarios: what is written down is read back, and what cannot be read is refused with its line. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvariantViolation } from '../../../src/core/assert.js';
import { multipaxosModel } from '../../../src/multipaxos/index.js';
import { raftModel } from '../../../src/raft/index.js';
import type { Action, Happening } from '../../../src/testing/world/actions.js';
import { commandNames } from '../../../src/testing/scenario/scenario-commands.js';
import { formatActions, formatHappening } from '../../../src/testing/scenario/scenario-format.js';
import { headerOf, worldOptionsOf, type ScenarioHeader } from '../../../src/testing/scenario/scenario-header.js';
import { ScenarioSyntaxError } from '../../../src/testing/scenario/scenario-text.js';
import { actionsOf, parseScenario, runScenario } from '../../../src/testing/scenario/scenario.js';
import { traceOf } from '../../../src/testing/world/trace.js';
import type { Fact } from '../../../src/testing/world/facts.js';
import { Turn } from '../../../src/testing/world/turn.js';
import type { WorldOptions } from '../../../src/testing/world/options.js';
import { actions, createWorld } from '../../../src/testing/world/world.js';

const MODELS = [raftModel, multipaxosModel];
const IDS = ['n1', 'n2', 'n3'];
const replica = fc.constantFrom(...IDS);
const millis = fc.integer({ min: 0, max: 10_000 });
const duration = fc.oneof(millis, fc.constant(Infinity));
const pick = fc.oneof(
  fc.integer({ min: 1, max: 99 }),
  fc.constantFrom('', 'RequestVote t1', '#5', '*', '"quoted"', ' blank ', 'a\nb', 'a  b', 'x → y', 'all'),
  fc.string(),
  fc.string({ unit: 'binary' }),
);
const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (number === 0 ? 0 : number));
/** JSON has no -0. */
const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const command = fc.oneof(fc.string(), fc.constantFrom('timeout=5', 'a timeout=5', ''), json);

const lane = fc.constantFrom('control', 'bulk');

const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({ kind: fc.constantFrom('deliver', 'duplicate', 'drop'), from: replica, to: replica, pick }),
  fc.record({ kind: fc.constantFrom('tick', 'timeout', 'sync', 'written', 'applied', 'loaded'), replica }),
  fc.record({ kind: fc.constantFrom('compact', 'restored'), replica }),
  fc.record({ kind: fc.constant('snapshotted'), replica, fails: fc.boolean() }),
  fc.record({ kind: fc.constant('fill'), replica, room: fc.nat() }),
  fc.record({ kind: fc.constantFrom('free', 'restart', 'wipe', 'pause', 'resume', 'campaign', 'stop'), replica }),
  fc.record({ kind: fc.constantFrom('crash', 'failStorage'), replica, keep: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('cut', 'heal'), from: replica, to: replica }).filter(({ from, to }) => from !== to),
  fc.record({ kind: fc.constant('leap'), replica, by: finite.map(Math.abs) }),
  fc.record({ kind: fc.constant('rate'), replica, rate: finite.map((rate) => Math.abs(rate) + 0.5) }),
  fc.record({ kind: fc.constant('propose'), replica, command, timeout: duration }),
  fc.record({ kind: fc.constant('read'), replica, minIndex: fc.option(millis), timeout: duration }),
  fc.record({ kind: fc.constant('cancel'), calls: fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1 }) }),
  fc
    .record({ kind: fc.constantFrom('refuse', 'accept'), from: replica, to: replica, lane })
    .filter(({ from, to }) => from !== to),
  fc.record({ kind: fc.constant('disconnect'), replica, peer: replica, lane }),
  fc.record({ kind: fc.constantFrom('unreachable', 'install'), replica, peer: replica }),
  fc.record({ kind: fc.constant('wait') }),
) as fc.Arbitrary<Happening>;

const action: fc.Arbitrary<Action> = fc.tuple(happening, millis).map(([what, at]) => ({ ...what, at }));

/** A world has no times: they are a scenario's own. */
const NO_TIMES = { latency: 5, bandwidth: Infinity, write: 0, load: 0, cost: 0 };

const header: fc.Arbitrary<ScenarioHeader> = fc
  .record({
    protocol: fc.constantFrom('raft', 'multipaxos'),
    replicas: fc.constantFrom(IDS, ['a', 'b'], ['n1'], ['n1', 'n3']),
    program: fc.constantFrom('driver', 'core'),
    seed: fc.maxSafeInteger(),
    established: fc.boolean(),
    preVote: fc.boolean(),
    eager: fc.record({ written: fc.boolean(), applied: fc.boolean(), loaded: fc.boolean() }),
    timing: fc.constantFrom({}, { heartbeat: 10 }, { electionMin: 100, electionMax: 101 }),
    limits: fc.constantFrom({}, { tailEntries: 4, messageBytes: 64 }),
    constants: fc.constantFrom({}, { alpha: 4 }, { onApplyError: 'reject' as const }),
    maxWaiting: fc.integer({ min: 1, max: 2000 }),
    snapshots: fc.nat({ max: 200 }),
    latency: fc.integer({ min: 1, max: 100 }),
    bandwidth: fc.constantFrom(Infinity, 1, 64),
    write: fc.nat({ max: 9 }),
    load: fc.nat({ max: 9 }),
    cost: fc.constantFrom(0, 0.5, 3),
  })
  .map((head) => ({
    ...head,
    // What is eager takes no time.
    write: head.eager.written ? 0 : head.write,
    load: head.eager.loaded ? 0 : head.load,
    cost: head.eager.applied ? 0 : head.cost,
  }));

function syntaxError(text: string): ScenarioSyntaxError {
  try {
    parseScenario(text);
  } catch (error) {
    expect(error).toBeInstanceOf(ScenarioSyntaxError);
    return error as ScenarioSyntaxError;
  }
  throw new Error(`read without complaint: ${text}`);
}

/** A run of a world in which anything may happen, as actions. */
function randomRun(options: WorldOptions, choices: readonly number[]): { done: Action[]; turn: Turn; facts: Fact[] } {
  const facts: Fact[] = [];
  const turn = new Turn(createWorld(options), (fact) => facts.push(fact));
  const done: Action[] = [];
  for (const choice of choices) {
    const id = IDS[choice % 3] as string;
    const found: Action[] = [...actions(turn.finish())];
    found.push({ kind: 'propose', at: turn.now, replica: id, command: { choice }, timeout: 500 });
    found.push({ kind: 'read', at: turn.now, replica: id, minIndex: null, timeout: Infinity });
    found.push({ kind: 'timeout', at: turn.now, replica: id });
    if (choice % 7 === 0) found.push({ kind: 'crash', at: turn.now, replica: id, keep: choice % 2 === 0 });
    if (choice % 5 === 0) found.push({ kind: 'restart', at: turn.now, replica: id });
    let next = found[choice % found.length] as Action;
    if (next.kind === 'deliver' && choice % 2 === 0) {
      const [from, to] = [next.from, next.to].map((each) => IDS.indexOf(each)) as [number, number];
      const flight = turn.link(from, to).flights.find(({ ordinal }) => ordinal === (next as { pick: unknown }).pick);
      if (flight !== undefined) next = { ...next, pick: turn.network.describe(flight) };
    }
    turn.run(next);
    done.push(next);
  }
  return { done, turn, facts };
}

describe('what is written is read back', () => {
  test('actions, with their times and picks', () => {
    fc.assert(
      fc.property(header, fc.array(action), (head, list) => {
        const given = { ...head, replicas: IDS };
        const text = formatActions(given, list);
        const scenario = parseScenario(text);
        expect(scenario.header).toEqual(given);
        expect(actionsOf(scenario)).toEqual(list);
        expect(formatActions(scenario.header, actionsOf(scenario))).toBe(text);
      }),
    );
  });

  test('headers', () => {
    fc.assert(
      fc.property(header, (head) => {
        const read = parseScenario(formatActions(head, [])).header;
        expect(read).toEqual(head);
        const model = raftModel;
        expect(headerOf(worldOptionsOf(head, model, undefined))).toEqual({ ...head, protocol: 'raft', ...NO_TIMES });
      }),
    );
  });

  test.each(MODELS.map((model) => [model.protocol.name, model] as const))('a run of %s replays exactly', (_, model) => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 9999 }), { maxLength: 150 }), fc.boolean(), (choices, bare) => {
        const options: WorldOptions = { model, program: bare ? 'core' : 'driver' };
        const { done, turn, facts } = randomRun(options, choices);
        const run = runScenario(formatActions(headerOf(options), done), MODELS);
        expect(run.failure).toBe(null);
        const world = turn.finish();
        expect(run.world.now).toBe(world.now);
        expect(run.world.record).toEqual(world.record);
        expect(run.world.links).toEqual(world.links);
        expect(run.world.slots.map(({ process, disk }) => [process, disk])).toEqual(
          world.slots.map(({ process, disk }) => [process, disk]),
        );
        // The trace is there again when the scenario that was printed with it is read.
        expect(runScenario(run.trace, MODELS).trace).toBe(run.trace);
        expect(traceOf(model, facts).join('\n')).not.toContain('undefined');
      }),
      { numRuns: 30 },
    );
  });

  test('a command that is no JSON is refused', () => {
    const proposed = (given: unknown): Happening => ({ kind: 'propose', replica: 'n1', command: given, timeout: 1 });
    const bad = (given: unknown) => () => formatHappening(proposed(given));
    for (const given of [undefined, NaN, { at: undefined }, new Map(), 10n]) expect(bad(given)).toThrow('is JSON');
  });
});

/** Every command at least once, with what it stands for when it is a plain action. */
const EXAMPLES: readonly (readonly [string, ...Happening[]])[] = [
  ['deliver n1 n2 RequestVote t1', { kind: 'deliver', from: 'n1', to: 'n2', pick: 'RequestVote t1' }],
  ['deliver n1 n2', { kind: 'deliver', from: 'n1', to: 'n2', pick: '' }],
  ['duplicate n1 n2 #7', { kind: 'duplicate', from: 'n1', to: 'n2', pick: 7 }],
  ['drop n1 n2 "#7"', { kind: 'drop', from: 'n1', to: 'n2', pick: '#7' }],
  ['tick n1', { kind: 'tick', replica: 'n1' }],
  ['timeout n1 n2', { kind: 'timeout', replica: 'n1' }, { kind: 'timeout', replica: 'n2' }],
  ['sync n1', { kind: 'sync', replica: 'n1' }],
  ['written n1', { kind: 'written', replica: 'n1' }],
  ['applied n1', { kind: 'applied', replica: 'n1' }],
  ['loaded n1', { kind: 'loaded', replica: 'n1' }],
  ['compact n1', { kind: 'compact', replica: 'n1' }],
  ['install n2 n1', { kind: 'install', replica: 'n2', peer: 'n1' }],
  ['snapshotted n1', { kind: 'snapshotted', replica: 'n1', fails: false }],
  ['snapshotted n1 fails', { kind: 'snapshotted', replica: 'n1', fails: true }],
  ['restored n1', { kind: 'restored', replica: 'n1' }],
  ['crash n1', { kind: 'crash', replica: 'n1', keep: false }],
  ['crash n1 keep', { kind: 'crash', replica: 'n1', keep: true }],
  ['restart n1', { kind: 'restart', replica: 'n1' }],
  ['wipe n1', { kind: 'wipe', replica: 'n1' }],
  ['fill n1', { kind: 'fill', replica: 'n1', room: 0 }],
  ['fill n1 3', { kind: 'fill', replica: 'n1', room: 3 }],
  ['free n1', { kind: 'free', replica: 'n1' }],
  ['fail-storage n1 lose', { kind: 'failStorage', replica: 'n1', keep: false }],
  ['cut n1 *', { kind: 'cut', from: 'n1', to: 'n2' }, { kind: 'cut', from: 'n1', to: 'n3' }],
  ['heal n1 n2', { kind: 'heal', from: 'n1', to: 'n2' }],
  [
    'isolate n3',
    { kind: 'cut', from: 'n3', to: 'n1' },
    { kind: 'cut', from: 'n3', to: 'n2' },
    { kind: 'cut', from: 'n1', to: 'n3' },
    { kind: 'cut', from: 'n2', to: 'n3' },
  ],
  ['partition n1 | n2', { kind: 'cut', from: 'n1', to: 'n2' }, { kind: 'cut', from: 'n2', to: 'n1' }],
  ['pause n1', { kind: 'pause', replica: 'n1' }],
  ['resume n1', { kind: 'resume', replica: 'n1' }],
  ['leap n1 250', { kind: 'leap', replica: 'n1', by: 250 }],
  ['rate n1 1.5', { kind: 'rate', replica: 'n1', rate: 1.5 }],
  ['wall n1 -5000', { kind: 'wall', replica: 'n1', ahead: -5000 }],
  ['propose n1 x', { kind: 'propose', replica: 'n1', command: 'x', timeout: Infinity }],
  ['propose n1 {"a": [1]} timeout=5', { kind: 'propose', replica: 'n1', command: { a: [1] }, timeout: 5 }],
  ['read n2', { kind: 'read', replica: 'n2', minIndex: null, timeout: Infinity }],
  ['read n2 min=3 timeout=9', { kind: 'read', replica: 'n2', minIndex: 3, timeout: 9 }],
  ['cancel 1 2', { kind: 'cancel', calls: [1, 2] }],
  ['transfer n1 n2 timeout=50', { kind: 'transfer', replica: 'n1', to: 'n2', timeout: 50 }],
  ['transfer n1', { kind: 'transfer', replica: 'n1', to: null, timeout: Infinity }],
  ['leave n1 timeout=50', { kind: 'leave', replica: 'n1', timeout: 50 }],
  ['campaign n1', { kind: 'campaign', replica: 'n1' }],
  ['stop n1', { kind: 'stop', replica: 'n1' }],
  ['refuse n1 n2 bulk', { kind: 'refuse', from: 'n1', to: 'n2', lane: 'bulk' }],
  [
    'accept n1 n2',
    { kind: 'accept', from: 'n1', to: 'n2', lane: 'control' },
    { kind: 'accept', from: 'n1', to: 'n2', lane: 'bulk' },
  ],
  ['disconnect n1 n2 control', { kind: 'disconnect', replica: 'n1', peer: 'n2', lane: 'control' }],
  ['unreachable n1 n2', { kind: 'unreachable', replica: 'n1', peer: 'n2' }],
  ['wait', { kind: 'wait' }],
];

const MACROS = [
  'quiesce',
  'quiesce n1 n2',
  'elect n1',
  'elect n1 n2',
  'run 5',
  'run 5 until leaders none',
  'expect n1 x',
];

describe('time', () => {
  const timed = (header: string, ...commands: string[]) =>
    runScenario(`protocol: raft\n${header}\nelect n1\ntimeout n1\nquiesce\n${commands.join('\n')}`, MODELS);

  test.each([
    ['latency: 20', 40],
    ['latency: 20\nwrite: 30', 70],
    ['latency: 20\ncost: 7', 47],
    ['latency: 20\nbandwidth: 1000', 66 + 41],
  ])('a command of 65,536 bytes with %j takes %i ms', (header, time) => {
    const propose = 'propose n1 a padding=65536';
    const until = (limit: number) => timed(header, propose, `run ${limit} until call 1 acknowledged`).failure;
    expect(until(time)).toBeNull();
    expect(until(time - 1)?.kind).toBe('expectation');
  });

  test('a refused forward never left, and a lost connection loses one lane of one direction', () => {
    const { world, failure } = timed(
      '',
      'refuse n2 n1 control',
      'propose n2 a',
      'expect no message n2 n1',
      'accept n2 n1 bulk',
      'propose n2 b',
      'expect no message n2 n1',
      'heal n2 n1',
      'propose n3 c',
      'expect message n3 n1 Forward',
      'disconnect n3 n1 bulk',
      'expect message n3 n1 Forward',
      'disconnect n1 n3 control',
      'expect message n3 n1 Forward',
    );
    expect(failure).toBeNull();
    expect(world.links[3]?.refuses).toEqual({ control: false, bulk: false });
  });
});

describe('commands', () => {
  test.each(EXAMPLES.map(([text, ...expected]) => [text, expected] as const))('%s', (text, expected) => {
    const found = actionsOf(parseScenario(`protocol: raft\n${text}`));
    expect(found).toEqual(expected.map((each) => ({ ...each, at: 0 })));
  });

  test('there are no others', () => {
    const shown = [...EXAMPLES.map(([text]) => text), ...MACROS].map((text) => text.split(' ')[0]);
    expect([...new Set(shown)].sort()).toEqual([...commandNames].sort());
    for (const text of MACROS) {
      const scenario = parseScenario(`protocol: raft\n${text}`);
      expect(() => actionsOf(scenario)).toThrow('is not a plain action');
    }
  });

  test('times carry on until another is said', () => {
    const scenario = parseScenario('protocol: raft\ntick n1\n@5 tick n1\ntick n2\n@3 wait\nwait');
    const times = actionsOf(scenario).map(({ at }) => at);
    expect(times).toEqual([0, 5, 5, 3, 5]);
  });

  test('those for many messages take what is under way now, and nothing that comes of it', () => {
    const script = `protocol: raft
preVote: no
program: core
eager: written
timeout n1
expect message n1 n2 RequestVote
deliver n1 * RequestVote
expect no message n1 n2
expect message n2 n1 RequestVote t1 granted
expect n1 candidate votes=1
drop all RequestVote t1 granted
expect no message n2 n1
timeout n1
deliver all
duplicate n2 * RequestVote t2
expect leaders n1
expect message n2 n1 RequestVote t2 granted
expect message n1 n2 AppendEntries`;
    expect(runScenario(script, MODELS).failure).toBe(null);
  });
});

describe('what is wrong is said with its line', () => {
  const H = 'protocol: raft\n';
  const BAD: readonly (readonly [string, number, RegExp])[] = [
    ['', 1, /does not say which protocol/],
    ['# prose\nreplicas: 3\ntimeout n1', 3, /does not say which protocol/],
    ['protocl: raft', 1, /unknown field "protocl"; did you mean protocol\?/],
    [`${H}protocol: raft`, 2, /stands there twice/],
    [`${H}replicas: 9`, 2, /expected 1 to 7, got 9/],
    [`${H}replicas: 0`, 2, /whole number from 1/],
    [`${H}replicas:`, 2, /how many/],
    [`${H}replicas: a a`, 2, /a name stands there twice/],
    [`${H}replicas: a ü`, 2, /"ü" cannot be a name/],
    [`${H}program: kernel`, 2, /expected driver or core, got "kernel"/],
    [`${H}seed: x`, 2, /expected a number, got "x"/],
    [`${H}established: maybe`, 2, /expected yes or no/],
    [`${H}eager: writen`, 2, /did you mean written/],
    [`${H}timing: hartbeat=5`, 2, /did you mean heartbeat/],
    [`${H}timing: heartbeat=5 heartbeat=6`, 2, /stands there twice/],
    [`${H}limits: tailEntries`, 2, /expected a number, got ""/],
    [`${H}latency: 0`, 2, /whole number from 1/],
    [`${H}bandwidth: 0`, 2, /whole number from 1/],
    [`${H}write: 1.5`, 2, /whole number from 0/],
    [`${H}cost: -1`, 2, /^cost: expected 0 milliseconds or more, got -1$/],
    [`${H}load: 5\neager: loaded\ntick n1`, 4, /^load: takes no time, since "loaded" is eager$/],
    [`${H}refuse n1 n2 fast`, 2, /^the lane: expected control or bulk, got "fast"$/],
    [`${H}disconnect n1`, 2, /the name of a replica is missing/],
    [`${H}\ndelivr n1 n2`, 3, /unknown command "delivr"; did you mean deliver\?/],
    [`${H}frobnicate`, 2, /unknown command "frobnicate"; there are deliver, /],
    [`${H}constructor n1`, 2, /unknown command "constructor"/],
    [`${H}toString: n1`, 2, /unknown field "toString"/],
    [`${H}tick n9`, 2, /unknown replica "n9"; did you mean n1 or n2 or n3\?/],
    [`${H}tick`, 2, /the name of a replica is missing/],
    [`${H}deliver n1`, 2, /the name of a replica is missing/],
    [`${H}deliver n1 n2 #x`, 2, /expected a number, got "x"/],
    [`${H}deliver n1 n2 #0`, 2, /whole number from 1/],
    [`${H}deliver n1 n2 "x`, 2, /in quotes/],
    [`${H}crash n1 maybe`, 2, /expected keep or lose, got "maybe"/],
    [`${H}crash n1 keep it`, 2, /nothing was expected any more, got "it"/],
    [`${H}leap n1 soon`, 2, /expected a number, got "soon"/],
    [`${H}leap n1 1e999`, 2, /expected a number/],
    [`${H}rate n1 0`, 2, /more than 0/],
    [`${H}wall n1 0.5`, 2, /whole number/],
    [`${H}propose n1`, 2, /which command/],
    [`${H}propose n1 {"a":`, 2, /JSON or one word/],
    [`${H}propose n1 x timeout=`, 2, /timeout: expected a number/],
    [`${H}cancel`, 2, /which calls/],
    [`${H}cancel x`, 2, /expected a number/],
    [`${H}partition n1 n2`, 2, /expected a b \| c/],
    [`${H}partition n1 | n1`, 2, /stands there twice/],
    [`${H}run`, 2, /how many milliseconds is missing/],
    [`${H}run 0`, 2, /more than 0/],
    [`${H}run 5 til leaders one`, 2, /expected until/],
    [`${H}expect`, 2, /the name of a replica is missing/],
    [`${H}expect n1`, 2, /what is expected of n1/],
    [`${H}expect leaders`, 2, /none, one, or who/],
    [`${H}expect call x open`, 2, /expected a number/],
    [`${H}expect no massage n1 n2`, 2, /expected message/],
    [`${H}@x tick n1`, 2, /the time: expected a number/],
    [`${H}@5`, 2, /a command is missing/],
    [`${H}wait long`, 2, /nothing was expected/],
  ];

  test.each(BAD)('%j', (text, line, reason) => {
    const error = syntaxError(text);
    expect(error.line).toBe(line);
    expect(error.reason).toMatch(reason);
    expect(error.message).toBe(`line ${line}: ${error.reason}`);
  });

  test('so is a world that cannot be', () => {
    const run = (text: string) => () => runScenario(text, MODELS);
    expect(run('# prose\nprotocol: zab')).toThrow('line 2: unknown protocol "zab"; there are raft, multipaxos');
    expect(run(`${H}timing: electionMin=10`)).toThrow(/line 1: timing.electionMin/);
  });

  test('any text is read or refused, and nothing else', () => {
    const first = fc.constantFrom(...commandNames, '@5', '#', 'protocol:');
    const line = fc.tuple(first, fc.string()).map((each) => each.join(' '));
    fc.assert(
      fc.property(fc.array(fc.oneof(line, fc.string())), (lines) => {
        try {
          parseScenario([H, ...lines].join('\n'));
        } catch (error) {
          expect(error).toBeInstanceOf(ScenarioSyntaxError);
        }
      }),
    );
  });
});

describe('what is not as expected ends a scenario with its line', () => {
  const START = 'protocol: raft\nprogram: core\neager: written applied\nelect n1\ncut n1 n3\npropose n1 a\nquiesce\n';
  const UNMET: readonly (readonly [string, string])[] = [
    ['expect n1 follower', 'expected n1 follower; it is: leader t1 log=1-2@1 commit=2'],
    ['expect n1 not leader', 'expected n1 not leader; it is: leader t1 log=1-2@1 commit=2'],
    ['expect n1 commit=2 leader', 'expected n1 commit=2 leader; it is: leader t1 log=1-2@1 commit=2'],
    ['expect n1 applied b', 'expected n1 to have applied "b"; it has applied "a"'],
    ['expect n3 applied a', 'expected n3 to have applied "a"; it has applied nothing'],
    ['expect call 1 open', 'expected call 1 open; it is acknowledged index=2 result=1'],
    ['expect call 2 open', 'expected call 2 open; it is not made'],
    ['expect leaders none', 'expected nobody to lead; leading: n1'],
    ['expect leaders n2', 'expected n2 to lead; leading: n1'],
    ['expect committed 5', 'expected committed 5; it is 2'],
    ['expect message n1 n2', 'expected message from n1 to n2 that begins ""; under way: nothing'],
    ['run 100 until n2 leader', 'it is: follower t1 of n1 log=1-2@1 commit=2 (after 100 ms)'],
    ['cut n3 *\ncut * n3\nelect n3', 'expected n3 to lead; it does not after 10 timeouts'],
  ];

  test.each(UNMET)('%s', (text, reason) => {
    const run = runScenario(`${START}${text}\n# never`, MODELS);
    expect(run.failure?.kind).toBe('expectation');
    expect(run.failure?.line).toBe(7 + text.split('\n').length);
    expect(run.failure?.reason).toContain(reason);
    const [last, after] = run.trace.split('\n').slice(-2);
    expect(last?.replace(/\[\d+\] /, '')).toBe(`    expectation: ${run.failure?.reason}`);
    expect(after).toBe('# never');
  });

  test('a broken rule ends it too, and is named in the trace', () => {
    const broken = {
      ...raftModel,
      protocol: {
        ...raftModel.protocol,
        checkStep() {
          throw new InvariantViolation('law/pure: nothing ever happens');
        },
      },
    };
    const run = runScenario('protocol: raft\ntimeout n1\nexpect leaders one', broken);
    expect(run.failure).toMatchObject({ kind: 'violation', line: 2, reason: 'law/pure: nothing ever happens' });
    expect(run.trace).toContain('    violation: law/pure: nothing ever happens');
  });
});

describe('a trace', () => {
  const START = 'protocol: raft\npreVote: no\nprogram: core\neager: written applied\n';
  const linesOf = (script: string): string[] => {
    const run = runScenario(START + script, MODELS);
    expect(run.failure).toBe(null);
    return run.trace.split('\n').filter((line) => line.startsWith('    '));
  };

  test('has one line for a message: where it arrives, is lost, or is still under way when the section ends', () => {
    expect(linesOf('timeout n1').filter((line) => line.includes('RequestVote'))).toEqual([
      '    n1 ⇢ n2 RequestVote t1 last=0',
      '    n1 ⇢ n3 RequestVote t1 last=0',
    ]);
    const lines = linesOf('cut n1 n3\nelect n1 n2').filter((line) => line.includes('RequestVote'));
    expect(lines).toEqual([
      '    n1 ✗ n3 RequestVote t1 last=0',
      '    n1 → n2 RequestVote t1 last=0',
      '    n2 → n1 RequestVote t1 granted',
    ]);
    expect(linesOf('timeout n1\ncrash n2\ndeliver n1 n2\ndeliver n1 n2').slice(-2)).toEqual([
      '    n1 ✗ n2 RequestVote t1 last=0',
      '    no such message',
    ]);
  });

  test('says the time where it is another than before, and leaves out what repeats itself', () => {
    const lines = linesOf('elect n1 n2\ndrop all\n@40 tick n2\nrun 500');
    const timed = lines.filter((line) => line.includes('[55]'));
    expect(timed).toEqual(['    [55] n1 → n3 AppendEntries t1 prev=0 commit=1']);
    // Ten heartbeats went by; only the first told anybody anything.
    expect(lines.filter((line) => /AppendEntries t1 prev=(?:0|1@1) commit=1/.test(line))).toHaveLength(1);
  });

  test('tells of a call from its beginning to its end', () => {
    const lines = linesOf('elect n1\npropose n1 {"set": 1}\nquiesce\nread n1\nquiesce');
    expect(lines.filter((line) => /call|n1 applies/.test(line))).toEqual([
      '    call 1 at n1: propose {"set":1}',
      '    n1 applies 2: {"set":1} = 1',
      '    call 1 acknowledged index=2 result=1',
      '    call 2 at n1: read',
      '    call 2 served index=2',
    ]);
  });
});
