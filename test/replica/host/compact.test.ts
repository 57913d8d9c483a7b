/** `compact`: a snapshot now, and the log trimmed behind it; each call ends once, whatever happens meanwhile. */

import { describe, expect, it } from 'vitest';
import { createReplica, memoryStorage, multipaxos, raft, type Replica, type ReplicaEvent, type Storage } from 'quorate';
import { aloneOptions } from './alone.js';
import { MINUTE, SimulatedCluster } from './cluster.js';

/** Counts, in chunks that it gives once it may. */
class Streaming {
  count = 0;
  applied = 0;
  snapshots = 0;
  /** Called before each snapshot streams. */
  hold: () => Promise<void> | void = () => undefined;
  apply(by: number): number {
    this.applied += 1;
    return (this.count += by);
  }
  async *snapshot(): AsyncGenerator<Uint8Array> {
    const { count } = this;
    this.snapshots += 1;
    await this.hold();
    yield new Uint8Array(new Float64Array([count]).buffer);
  }
  async restoreFrom(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of chunks) this.count = new Float64Array(chunk.slice().buffer)[0] as number;
  }
}

function told(events: readonly ReplicaEvent[], kind: string): number {
  return events.filter((event) => event.kind === 'snapshot' && event.event === kind).length;
}

/** A promise that is settled by hand. */
function byHand(): { readonly promise: Promise<void>; resolve(): void; reject(error: Error): void } {
  const by = { resolve: (): void => undefined, reject: (_: Error): void => undefined };
  const promise = new Promise<void>((resolve, reject) => Object.assign(by, { resolve, reject }));
  return Object.assign(by, { promise });
}

const PROTOCOLS = [['raft', raft] as const, ['multipaxos', multipaxos] as const];

describe.each(PROTOCOLS)('%s', (_, protocol) => {
  /** A cluster of one that takes no snapshot by itself. */
  async function started(storage: Storage = memoryStorage(), snapshots: false | { entries: number } = false) {
    const events: ReplicaEvent[] = [];
    const machine = new Streaming();
    const options = aloneOptions({ machine, storage, onEvent: (event) => events.push(event) });
    const replica: Replica<Streaming> = await createReplica({ ...options, protocol: protocol(), snapshots });
    const run = async (count: number): Promise<void> => {
      await Promise.all(replica.proposeAll(Array.from({ length: count }, () => 1)));
    };
    await replica.ready();
    return { replica, machine, events, run };
  }

  it('takes one now, lets the log begin behind the one before, and a start restores it', async () => {
    const storage = memoryStorage();
    const { replica, run } = await started(storage);
    await run(10);
    const first = await replica.compact();
    expect(first).toEqual({ index: replica.status().applied, first: 1 });
    expect(replica.status()).toMatchObject({ snapshots: [{ index: first.index }], first: 1 });
    await run(10);
    const second = await replica.compact();
    expect(second).toEqual({ index: first.index + 10, first: first.index + 1 });
    expect(replica.status()).toMatchObject({ first: first.index + 1 });
    await run(3);
    await replica.close();
    const again = await started(storage);
    expect(await again.replica.read(({ count }) => count)).toBe(23);
    expect(again.machine.applied).toBe(3);
    await again.replica.close();
  });

  it('keeps as many entries as it is asked to, and refuses more than there are', async () => {
    const { replica, run } = await started();
    await run(10);
    const { index } = await replica.compact();
    await expect(replica.compact({ keep: index + 1 })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await run(10);
    expect(await replica.compact({ keep: 15 })).toEqual({ index: index + 10, first: index - 4 });
    await run(10);
    const tooMany = replica.compact({ keep: 26 });
    await expect(tooMany).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT', outcome: 'none', retryable: false });
    expect(await replica.compact({ keep: 25 })).toEqual({ index: index + 20, first: index - 4 });
    await replica.close();
  });

  it('keeps what was asked for while another one is under way', async () => {
    const { replica, machine, run } = await started();
    await run(100);
    await replica.compact();
    await run(100);
    const held = byHand();
    machine.hold = () => held.promise;
    const earlier = replica.compact();
    await run(20);
    const kept = replica.compact({ keep: 150 });
    held.resolve();
    await earlier;
    const { index, first } = await kept;
    expect(index - first + 1).toBeGreaterThanOrEqual(150);
    await replica.close();
  });

  it('takes none if nothing was applied since, and one for all who ask together', async () => {
    const { replica, machine, events, run } = await started();
    await run(5);
    const [one, two] = await Promise.all([replica.compact(), replica.compact()]);
    expect(two).toEqual(one);
    expect(await replica.compact()).toEqual(one);
    expect([machine.snapshots, told(events, 'taken')]).toEqual([1, 1]);
    await replica.close();
  });

  it('joins the one that is being taken only if that holds what was applied at the call', async () => {
    const { replica, machine, run } = await started(memoryStorage(), { entries: 10 });
    const held = byHand();
    machine.hold = () => held.promise;
    await run(12);
    await run(2);
    expect(machine.snapshots).toBe(1);
    const { applied } = replica.status();
    const late = replica.compact();
    await run(3);
    held.resolve();
    const { index } = await late;
    expect(index).toBeGreaterThanOrEqual(applied);
    expect(machine.snapshots).toBe(2);
    await replica.close();
  });

  it('fails with the snapshot, once for all, and can be asked again', async () => {
    const { replica, machine, events, run } = await started();
    await run(5);
    const cause = new Error('no');
    machine.hold = () => Promise.reject(cause);
    const calls = await Promise.allSettled([replica.compact(), replica.compact({ keep: 2 })]);
    for (const call of calls) {
      const reason = { code: 'ERR_SNAPSHOT_FAILED', outcome: 'none', retryable: true, cause: { cause } };
      expect(call).toMatchObject({ status: 'rejected', reason });
    }
    machine.hold = () => undefined;
    const { applied } = replica.status();
    expect(await replica.compact()).toEqual({ index: applied, first: 1 });
    expect([told(events, 'failed'), told(events, 'taken')]).toEqual([1, 1]);
    await replica.close();
  });

  it('ends with its signal, and when the replica is closed', async () => {
    const { replica, machine, run } = await started();
    await run(5);
    machine.hold = () => new Promise<never>(() => undefined);
    const controller = new AbortController();
    const aborted = replica.compact({ signal: controller.signal });
    const waiting = replica.compact();
    controller.abort('enough');
    await expect(aborted).rejects.toMatchObject({ code: 'ERR_TIMEOUT', outcome: 'none', cause: 'enough' });
    await expect(replica.compact({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
    const closed = replica.close();
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_CLOSED', outcome: 'none' });
    await closed;
    expect(() => replica.compact()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  });

  it('ends with a halt', async () => {
    const { replica, machine, run } = await started();
    await run(5);
    machine.hold = () => new Promise<never>(() => undefined);
    machine.apply = () => {
      throw new Error('broken');
    };
    const waiting = replica.compact();
    await expect(replica.propose(1)).rejects.toMatchObject({ code: 'ERR_APPLY_FAILED' });
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_APPLY_FAILED', outcome: 'none' });
    await expect(replica.compact()).rejects.toMatchObject({ code: 'ERR_APPLY_FAILED', outcome: 'none' });
    await replica.close();
  });

  it('is answered by a snapshot of a peer that comes meanwhile', async () => {
    let slow = '';
    const cluster = new SimulatedCluster(protocol, {
      entries: 40,
      equip(process) {
        const machine = new Streaming();
        const long = () => new Promise<void>((resolve) => void process.clock.after(MINUTE / 2, resolve));
        machine.hold = () => (process.name === slow ? long() : Promise.resolve());
        return { clock: process.clock, machine: machine as never };
      },
    });
    const leader = await cluster.led();
    const away = cluster.replicas.find((replica) => replica !== leader) as Replica;
    const { id } = away.status();
    await cluster.until(Promise.all(leader.proposeAll([1, 1, 1])));
    await cluster.schedule.pass(100);
    slow = id;
    const { applied } = away.status();
    const waiting = away.compact();
    cluster.isolate(id);
    for (let round = 0; round < 8; round++) {
      await cluster.until(Promise.all(leader.proposeAll(Array.from({ length: 40 }, () => 1))));
    }
    cluster.network.heal();
    const { index, first } = await cluster.until(waiting);
    slow = '';
    expect(index).toBeGreaterThan(applied);
    expect(first).toBe(index + 1);
    expect(told(cluster.member(id).events, 'installed')).toBe(1);
    const isLevel = (): boolean => away.status().applied === leader.status().commit;
    expect(await cluster.schedule.run(isLevel, MINUTE)).toBe(true);
    await cluster.close();
  });
});

it('what can never work is refused at once', async () => {
  const memory = memoryStorage();
  const storage: Storage = {
    open: () => memory.open(),
    write: (ops) => memory.write(ops),
    read: (from, to, maxBytes) => memory.read(from, to, maxBytes),
    close: () => memory.close(),
  };
  const replica = await createReplica(aloneOptions({ machine: new Streaming(), storage }));
  const refused = (options: object): void =>
    expect(() => replica.compact(options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  for (const options of [{ keep: -1 }, { keep: 0.5 }, { keep: '1' }, { most: 1 }, { keep: 0 }]) refused(options);
  await replica.close();
});
