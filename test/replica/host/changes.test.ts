/** `Replica.changes`: what consumers get, in what order, how they end, and that nobody waits for them. */

import { afterEach, describe, expect, it } from 'vitest';
import {
  ChangesTrimmed,
  CommandRejected,
  ConsensusError,
  createReplica,
  jsonCodec,
  memoryStorage,
  multipaxos,
  raft,
  type Change,
  type ChangesOptions,
  type Replica,
  type ReplicaOptions,
} from 'quorate';
import { ChangesFeed } from '../../../src/replica/host/changes-feed.js';
import { MachineRunner } from '../../../src/replica/host/machine-runner.js';
import { aloneOptions, timing } from './alone.js';

interface Command {
  readonly name: string;
  readonly refuse?: string;
  readonly boom?: string;
  list?: number[];
}

/** Its results are objects, and it writes to the commands that it gets. */
class Machine {
  count = 0;

  apply(command: Command): { count: number; list: number[] } {
    if (command.boom !== undefined) throw new Error(command.boom);
    if (command.refuse !== undefined) throw new CommandRejected({ because: command.refuse });
    this.count += 1;
    const list = command.list ?? [];
    delete command.list;
    return { count: this.count, list };
  }

  snapshot(): number {
    return this.count;
  }

  restore(count: number): void {
    this.count = count;
  }
}

type Told = Change<Machine>;
type Iterator = AsyncGenerator<Told, void, undefined>;

const open: Replica<Machine>[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((replica) => replica.close()));
});

async function start(change: Partial<ReplicaOptions<Machine>> = {}): Promise<Replica<Machine>> {
  const replica = await createReplica(aloneOptions({ machine: new Machine(), ...change }));
  open.push(replica);
  return replica;
}

/** Proposes commands of these names, one after the other; gives their indexes. */
async function propose(replica: Replica<Machine>, ...names: string[]): Promise<number[]> {
  const given = replica.proposeAll(
    names.map((name) => ({ name })),
    { meta: true },
  );
  return (await Promise.all(given)).map(({ index }) => index);
}

/** The next so many. */
async function take(iterator: Iterator, count: number): Promise<Told[]> {
  const taken: Told[] = [];
  while (taken.length < count) {
    const { done, value } = await iterator.next();
    if (done === true) throw new Error(`it ended after ${taken.length}`);
    taken.push(value);
  }
  return taken;
}

/** All until it ends. */
async function rest(iterator: Iterator): Promise<Told[]> {
  const all: Told[] = [];
  for await (const change of iterator) all.push(change);
  return all;
}

const names = (changes: readonly Told[]): string[] => changes.map(({ command }) => command.name);

async function errorOf(waiting: Promise<unknown>): Promise<ConsensusError> {
  const error: unknown = await waiting.then(
    () => new Error('it was granted'),
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(ConsensusError);
  return error as ConsensusError;
}

/** It has ended: whoever asks again gets nothing. */
async function expectOver(iterator: Iterator): Promise<void> {
  expect(await iterator.next()).toEqual({ done: true, value: undefined });
}

describe.each([
  ['raft', raft],
  ['multipaxos', multipaxos],
] as const)('changes over %s', (_, protocol) => {
  it('are the commands that were applied, with results, and those that the machine refused, with reasons', async () => {
    const replica = await start({ protocol: protocol({ timing }) });
    const [first] = (await propose(replica, 'one')) as [number];
    const refused = await errorOf(replica.propose({ name: 'two', refuse: 'it is two' }));
    const [third] = (await propose(replica, 'three')) as [number];
    // The no-op and the opening of the session stand before the first one.
    expect(first).toBeGreaterThan(1);
    const all = replica.changes({ from: 1 });
    const changes = await take(all, 3);
    const times = changes.map(({ time }) => time);
    expect(times.every((time, at) => time > 1_700_000_000_000 && time >= (times[at - 1] ?? 0))).toBe(true);
    expect(changes.map(({ time: _, ...change }) => change)).toEqual([
      { kind: 'applied', index: first, command: { name: 'one' }, result: { count: 1, list: [] } },
      {
        kind: 'rejected',
        index: first + 1,
        command: { name: 'two', refuse: 'it is two' },
        reason: (refused as CommandRejected).reason,
        outcome: 'none',
      },
      { kind: 'applied', index: third, command: { name: 'three' }, result: { count: 2, list: [] } },
    ]);
    expect(third).toBe(first + 2);
    expect(names(await take(replica.changes({ from: third }), 1))).toEqual(['three']);
  });

  it('begin with the next one, unless an index is named, and a start applies the log again', async () => {
    const storage = memoryStorage();
    const first = await start({ storage, protocol: protocol({ timing }) });
    await propose(first, 'one', 'two');
    const next = first.changes();
    const indexes = await propose(first, 'three', 'four');
    expect((await take(next, 2)).map(({ index }) => index)).toEqual(indexes);
    await first.close();
    expect(names(await rest(next))).toEqual([]);
    const second = await start({ storage, protocol: protocol({ timing }) });
    const again = second.changes({ from: indexes[0] });
    await second.barrier();
    const after = second.changes();
    await propose(second, 'five');
    expect(names(await take(again, 3))).toEqual(['three', 'four', 'five']);
    expect(names(await take(after, 1))).toEqual(['five']);
  });

  it('are there on every member of a cluster, in one order', async () => {
    const { SimulatedCluster, MINUTE } = await import('./cluster.js');
    const cluster = new SimulatedCluster(protocol as typeof raft);
    await cluster.led();
    const seen = cluster.replicas.map((): unknown[] => []);
    const consumers = cluster.replicas.map(async (replica, at) => {
      for await (const change of replica.changes({ from: 1 })) seen[at]?.push(change);
    });
    let answered = 0;
    const refused: unknown[] = [];
    for (const [at, replica] of cluster.replicas.entries()) {
      for (let i = 0; i < 20; i++) {
        void replica.propose(`${at} ${i}`).then(
          () => (answered += 1),
          (error) => refused.push(error),
        );
      }
    }
    const isDone = (): boolean => answered + refused.length === 60 && seen.every(({ length }) => length === 60);
    expect(await cluster.schedule.run(isDone, MINUTE)).toBe(true);
    expect(refused).toEqual([]);
    await cluster.close();
    await Promise.all(consumers);
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
    const commands = (seen[0] as Change[]).map(({ command }) => command as string);
    expect(new Set(commands).size).toBe(60);
    expect((seen[0] as Change[]).map((change) => change.kind === 'applied' && change.result)).toEqual(
      commands.map((_, at) => at + 1),
    );
  });
});

describe('a consumer', () => {
  it('waits for what is not there yet, and is told once it is asked for, however often it asked ahead', async () => {
    const replica = await start();
    await replica.ready();
    const changes = replica.changes();
    const asked = [changes.next(), changes.next(), changes.next()];
    await propose(replica, 'one', 'two', 'three', 'four');
    expect((await Promise.all(asked)).map(({ value }) => (value as Told).command.name)).toEqual([
      'one',
      'two',
      'three',
    ]);
    expect(names(await take(changes, 1))).toEqual(['four']);
  });

  it('finds a command there as soon as its proposer has the result', async () => {
    const replica = await start({ changesBytes: 1000 });
    const changes = replica.changes();
    for (const name of ['one', 'two', 'three']) {
      await propose(replica, name);
      expect(names(await take(changes, 1))).toEqual([name]);
    }
  });

  it('may write to what it gets: no other one, nor the machine, sees it', async () => {
    const replica = await start();
    const indexes = await propose(replica, 'before');
    await replica.propose({ name: 'one', list: [1, 2] });
    const [left, right] = [replica.changes({ from: indexes[0] as number }), replica.changes({ from: 1 })];
    const [, mine] = (await take(left, 2)) as [Told, Told];
    (mine.command.list as number[]).push(3);
    (mine as { result: { list: number[] } }).result.list.push(4);
    const untouched = { command: { name: 'one', list: [1, 2] }, result: { count: 2, list: [1, 2] } };
    expect((await take(right, 2))[1]).toMatchObject(untouched);
    expect((await take(replica.changes({ from: mine.index }), 1))[0]).toMatchObject(untouched);
  });

  it('that asks while it reads goes on right behind what it read', async () => {
    const replica = await start();
    const many = Array.from({ length: 300 }, (_, at) => ({ name: `${at}` }));
    for (let times = 0; times < 20; times++) {
      const proposed = replica.proposeAll(many);
      const consistency = times % 2 === 0 ? 'linearizable' : 'stale';
      const reader = ({ count }: Machine) => ({ count, changes: replica.changes() });
      const { count, changes } = await replica.read(reader, { consistency });
      await replica.propose({ name: 'one more' });
      expect(await take(changes, 1)).toMatchObject([{ result: { count: count + 1 } }]);
      await Promise.all(proposed);
    }
  });

  it('that never pulls holds up nobody and nothing', async () => {
    const replica = await start({ changesBytes: 500 });
    const idle = replica.changes({ from: 1 });
    const busy = replica.changes({ from: 1 });
    for (let i = 0; i < 50; i++) {
      await propose(replica, `${i}`);
      expect(names(await take(busy, 1))).toEqual([`${i}`]);
    }
    expect((await errorOf(idle.next())).code).toBe('ERR_CHANGES_TRIMMED');
  });

  it('ends what it asked for when it returns, and frees its place at the signal', async () => {
    const replica = await start();
    await replica.ready();
    const { signal } = new AbortController();
    let listeners = 0;
    const counting = {
      get aborted() {
        return signal.aborted;
      },
      get reason(): unknown {
        return signal.reason;
      },
      addEventListener: () => void (listeners += 1),
      removeEventListener: () => void (listeners -= 1),
    } as unknown as AbortSignal;
    const [one, two, three] = [1, 2, 3].map(() => replica.changes({ signal: counting })) as [
      Iterator,
      Iterator,
      Iterator,
    ];
    expect(listeners).toBe(0);
    const asked = [one.next(), one.next(), two.next()];
    expect(listeners).toBe(2);
    expect(await one.return()).toEqual({ done: true, value: undefined });
    await expect(two.throw(new Error('mine'))).rejects.toThrow('mine');
    expect(await Promise.all(asked)).toEqual(asked.map(() => ({ done: true, value: undefined })));
    await propose(replica, 'one');
    for await (const { command } of three) {
      expect(command.name).toBe('one');
      break;
    }
    await three[Symbol.asyncDispose]();
    for (const each of [one, two, three]) await expectOver(each);
    expect(listeners).toBe(0);
  });

  it('ends when its signal aborts, also if it had before', async () => {
    const replica = await start();
    await propose(replica, 'one');
    for (const when of ['before', 'idle', 'waiting']) {
      const controller = new AbortController();
      const abort = (): void => controller.abort('enough');
      if (when === 'before') abort();
      const changes = replica.changes({ from: 1, signal: controller.signal });
      if (when !== 'before') expect(names(await take(changes, 1))).toEqual(['one']);
      if (when === 'idle') abort();
      const waiting = changes.next();
      if (when === 'waiting') abort();
      const error = await errorOf(waiting);
      expect(error).toMatchObject({ code: 'ERR_TIMEOUT', outcome: 'none', retryable: true, cause: 'enough' });
      await expectOver(changes);
    }
  });

  it.each([
    ['throws', () => fail('no')],
    ['aborts', (abort: () => void) => abort()],
    ['ends the iterator', (_: () => void, end: () => void) => end()],
  ])('has a signal that %s when it is listened to', async (what, added) => {
    const replica = await start();
    await propose(replica, 'one');
    const signal = {
      aborted: false,
      reason: 'mine',
      addEventListener: (_: 'abort', listener: () => void) => added(listener, () => void changes.return()),
      removeEventListener: () => fail('nor this'),
    };
    const changes: Iterator = replica.changes({ from: 1, signal: signal as unknown as AbortSignal });
    const first = changes.next();
    if (what === 'ends the iterator') expect(await first).toEqual({ done: true, value: undefined });
    else expect((await errorOf(first)).code).toBe(what === 'throws' ? 'ERR_INVALID_ARGUMENT' : 'ERR_TIMEOUT');
    await expectOver(changes);
  });

  it.each([
    [{ from: 0 }, /^from: expected an index, a whole number from 1, got 0/],
    [{ from: 1.5 }, /^from: expected/],
    [{ from: '1' }, /^from: expected/],
    [{ from: null }, /^from: expected/],
    [{ since: 1 }, /^since: no such option; there are from, signal/],
    [{ signal: 1 }, /^signal: expected an AbortSignal/],
    [null, /^options: expected an object/],
  ])('is refused at once: %o', async (options, message) => {
    const replica = await start();
    const ask = (): unknown => replica.changes(options as ChangesOptions);
    expect(ask).toThrow(message);
    expect(ask).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', outcome: 'none' }));
  });
});

function fail(what: unknown): never {
  throw what;
}

describe('the changes that are kept', () => {
  it('are the last changesBytes: who begins or falls below them is told where they begin', async () => {
    const replica = await start({ changesBytes: 400 });
    const slow = replica.changes({ from: 1 });
    const [first] = (await propose(replica, 'one')) as [number];
    expect(names(await take(slow, 1))).toEqual(['one']);
    const many = Array.from({ length: 20 }, (_, at) => `number ${at}`);
    await propose(replica, ...many);
    const error = (await errorOf(slow.next())) as ChangesTrimmed;
    expect(error).toBeInstanceOf(ChangesTrimmed);
    expect(error).not.toBeInstanceOf(CommandRejected);
    expect(error).toMatchObject({ code: 'ERR_CHANGES_TRIMMED', retryable: false, outcome: 'none' });
    const { firstIndex } = error;
    expect(firstIndex).toBeGreaterThan(first + 1);
    expect(error.message).toBe(
      `changes: those from index ${first + 1} on are no longer kept; the first index there is ${firstIndex}`,
    );
    await expectOver(slow);
    for (const from of [1, firstIndex - 1]) {
      expect(await errorOf(replica.changes({ from }).next())).toMatchObject({ firstIndex });
    }
    const kept = replica.changes({ from: firstIndex });
    await replica.close();
    const left = names(await rest(kept));
    expect(left).toEqual(many.slice(-left.length));
    const size = (name: string, count: number): number =>
      28 + JSON.stringify({ name }).length + JSON.stringify({ count, list: [] }).length;
    const bytes = (of: readonly string[]): number =>
      of.reduce((sum, name) => sum + size(name, 2 + many.indexOf(name)), 0);
    expect(bytes(left)).toBeLessThanOrEqual(400);
    expect(bytes(many.slice(-left.length - 1))).toBeGreaterThan(400);
  });

  it.each([0, 10])('are none with room for %i bytes, and commands are applied as ever', async (changesBytes) => {
    const replica = await start({ changesBytes });
    await replica.ready();
    const waiting = replica.changes();
    const asked = errorOf(waiting.next());
    const indexes = await propose(replica, 'one', 'two');
    expect(await asked).toMatchObject({ code: 'ERR_CHANGES_TRIMMED', firstIndex: (indexes[1] as number) + 1 });
    const next = replica.changes();
    await replica.close();
    expect(await rest(next)).toEqual([]);
  });
});

describe('the end', () => {
  it('by close: a consumer gets what was applied, then it is done', async () => {
    const replica = await start();
    await replica.ready();
    const [behind, waiting] = [replica.changes({ from: 1 }), replica.changes()];
    await propose(replica, 'one', 'two');
    await take(waiting, 2);
    const asked = waiting.next();
    await replica.close();
    expect(await asked).toEqual({ done: true, value: undefined });
    expect(names(await rest(behind))).toEqual(['one', 'two']);
    expect(() => replica.changes()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  });

  it('by a halt: a consumer gets what was applied, then the fault', async () => {
    const replica = await start();
    await replica.ready();
    const [behind, waiting] = [replica.changes({ from: 1 }), replica.changes()];
    const commands = [{ name: 'one' }, { name: 'two', boom: 'no two' }, { name: 'three' }];
    const given = replica.proposeAll(commands).map((each) => each.then(() => 'done').catch(() => 'failed'));
    expect(await Promise.all(given)).toEqual(['done', 'failed', 'failed']);
    const asked = errorOf(take(waiting, 2));
    expect(names(await take(behind, 1))).toEqual(['one']);
    const late = replica.changes();
    for (const error of [await asked, await errorOf(behind.next()), await errorOf(late.next())]) {
      expect(error).toMatchObject({ code: 'ERR_APPLY_FAILED', outcome: 'none', cause: { message: 'no two' } });
      expect(error.message).toMatch(/^the replica has halted: apply threw at index \d+: no two$/);
    }
    await replica.close();
    for (const each of [behind, waiting, late]) await expectOver(each);
  });

  it('by a clock that fails: nobody waits for ever', async () => {
    const { systemClock } = await import('../../../src/replica/clock.js');
    const clock = { ...systemClock() };
    const replica = await start({ clock });
    await propose(replica, 'one');
    const [behind, waiting] = [replica.changes({ from: 1 }), replica.changes()];
    const asked = errorOf(waiting.next());
    clock.now = clock.soon = () => fail(new Error('no time'));
    await errorOf(replica.propose({ name: 'two' }));
    expect(await asked).toMatchObject({ code: 'ERR_CLOCK_FAILED', cause: { message: 'no time' } });
    expect(names(await take(behind, 1))).toEqual(['one']);
    expect((await errorOf(behind.next())).code).toBe('ERR_CLOCK_FAILED');
  });

  it('by what cannot be decoded is for that consumer alone', async () => {
    let broken = '';
    const guarded = (which: string) => {
      const { encode, decode } = jsonCodec();
      return { encode, decode: (bytes: Uint8Array) => (broken === which ? fail('rotten') : (decode(bytes) as never)) };
    };
    const replica = await start({ codec: guarded('command'), resultCodec: guarded('result') });
    const [index] = await propose(replica, 'one');
    for (const [which, code] of [
      ['command', 'ERR_NOT_SERIALIZABLE'],
      ['result', 'ERR_RESULT_NOT_SERIALIZABLE'],
    ] as const) {
      broken = which;
      const changes = replica.changes({ from: 1 });
      const error = await errorOf(changes.next());
      expect(error).toMatchObject({ code, cause: 'rotten' });
      expect(error.message).toBe(`changes: the ${which} at index ${index} cannot be decoded: rotten`);
      await expectOver(changes);
      broken = '';
      expect(names(await take(replica.changes({ from: 1 }), 1))).toEqual(['one']);
    }
  });

  it('does not come by what the machine throws, if that is a result', async () => {
    const replica = await start({ constants: { onApplyError: 'reject' } });
    const changes = replica.changes({ from: 1 });
    await errorOf(replica.propose({ name: 'one', boom: 'no one' }));
    expect(await take(changes, 1)).toMatchObject([{ kind: 'rejected', reason: 'no one', outcome: 'unknown' }]);
  });
});

describe('handing over', () => {
  it('wakes who waits when the machine is restored beyond them', async () => {
    const turns: (() => void)[] = [];
    const host = { now: 0, soon: (callback: () => void) => (turns.push(callback), { cancel: () => undefined }) };
    const codec = jsonCodec();
    const feed = new ChangesFeed<Machine>(1000, new MachineRunner(new Machine(), codec, codec, 'halt'), host);
    const waiting = errorOf(feed.follow(null, { signal: undefined, aborted: false }).next());
    feed.skipTo(5000);
    turns.splice(0).forEach((turn) => turn());
    expect(await waiting).toMatchObject({ code: 'ERR_CHANGES_TRIMMED', firstIndex: 5001 });
  });

  it('lets the event loop turn when a slice of time is over', async () => {
    let now = 0;
    const turns: (() => void)[] = [];
    const host = {
      get now() {
        return (now += 1);
      },
      soon: (callback: () => void) => (turns.push(callback), { cancel: () => undefined }),
    };
    const codec = jsonCodec();
    const machine = new Machine();
    const feed = new ChangesFeed<Machine>(2 ** 20, new MachineRunner(machine, codec, codec, 'halt'), host);
    const commands = Array.from({ length: 100 }, (_, at) => ({
      index: at + 1,
      term: 1,
      kind: 'command' as const,
      time: 0,
      id: { session: 1, sequence: at, firstIncomplete: 1 },
      data: codec.encode({ name: `${at}` }),
    }));
    feed.applied(
      commands,
      commands.map(() => ({ rejected: false, value: 1 })),
    );
    const follow = (): Iterator => feed.follow(1, { signal: undefined, aborted: false });
    let told = 0;
    const consumers = [follow(), follow()].map(async (iterator) => {
      for await (const { index } of iterator) if (index > 0) told += 1;
    });
    const settle = async (): Promise<void> => {
      for (let turn = 0; turn < 1000; turn++) await null;
    };
    const each: number[] = [];
    while (told < 200) {
      const before = told;
      await settle();
      each.push(told - before);
      expect(turns).toHaveLength(1);
      turns.splice(0).forEach((turn) => turn());
    }
    // A millisecond goes by with each: of the 12 of a slice, one is the turn's beginning.
    expect(Math.max(...each)).toBeLessThanOrEqual(12);
    expect(each.length).toBeGreaterThanOrEqual(200 / 12);
    feed.end('closed');
    await settle();
    await Promise.all(consumers);
  });
});
