/** `proposeAll`: many commands, one promise each, one batch. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConsensusError, createReplica, memoryNetwork, memoryStorage, raft, type Replica } from 'quorate';
import type { Storage } from 'quorate';

class Numbers {
  readonly seen: number[] = [];
  validate(command: number): void {
    if (command < 0) throw new RangeError('expected no negative number');
  }
  apply(command: number): number {
    return this.seen.push(command);
  }
  snapshot(): readonly number[] {
    return this.seen;
  }
  restore(): void {}
}

let replica: Replica<Numbers>;
let storage: Storage;
let writes: number;

beforeEach(async () => {
  storage = memoryStorage();
  const { write } = storage;
  storage.write = (ops) => {
    if (ops.some(({ kind }) => kind === 'put')) writes += 1;
    return write.call(storage, ops);
  };
  replica = await createReplica({
    id: 'a',
    members: { a: 'a' },
    bootstrap: true,
    protocol: raft(),
    transport: memoryNetwork().transport(),
    storage,
    machine: new Numbers(),
    maxWaiting: 100,
  });
  await replica.propose(0);
  writes = 0;
});

afterEach(() => replica.close());

describe('proposeAll', () => {
  it('gives one promise for each command, in order, by one write', async () => {
    const promises = replica.proposeAll([1, 2, 3]);
    expect(promises).toHaveLength(3);
    expect(await Promise.all(promises)).toEqual([2, 3, 4]);
    expect(writes).toBe(1);
    expect(await replica.read(({ seen }) => [...seen])).toEqual([0, 1, 2, 3]);
  });

  it('gives the indexes with meta, and nothing for nothing', async () => {
    const [first, second] = await Promise.all(replica.proposeAll([1, 2], { meta: true }));
    expect(first?.result).toBe(2);
    expect(second?.index).toBe((first?.index as number) + 1);
    expect(replica.proposeAll([])).toEqual([]);
  });

  it('proposes nothing if one command can never succeed', async () => {
    const broken = 1n as unknown as number;
    const code = (expected: string): unknown => expect.objectContaining({ code: expected });
    expect(() => replica.proposeAll([1, broken])).toThrow(code('ERR_NOT_SERIALIZABLE'));
    expect(() => replica.proposeAll({} as number[])).toThrow(code('ERR_INVALID_ARGUMENT'));
    expect(() => replica.proposeAll([1], { sign: 1 } as object)).toThrow(code('ERR_INVALID_ARGUMENT'));
    expect(await replica.propose(7)).toBe(2);
  });

  it('what validate refuses ends alone, and rejections that nobody has seen yet end no process', async () => {
    const promises = replica.proposeAll([1, -1, 2]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await promises[0]).toBe(2);
    await expect(promises[1]).rejects.toMatchObject({
      code: 'ERR_COMMAND_REJECTED',
      outcome: 'none',
      cause: expect.any(RangeError) as unknown,
    });
    expect(await promises[2]).toBe(3);
  });

  it('fails those that there is no room for', async () => {
    const outcomes = await Promise.allSettled(replica.proposeAll(Array.from({ length: 150 }, (_, at) => at)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(100);
    const last = outcomes.at(-1) as PromiseRejectedResult;
    expect((last.reason as ConsensusError).code).toBe('ERR_BUSY');
  });

  it('ends all of them by one signal', async () => {
    const signal = AbortSignal.abort('why');
    for (const promise of replica.proposeAll([1, 2], { signal })) {
      await expect(promise).rejects.toMatchObject({ code: 'ERR_TIMEOUT', cause: 'why' });
    }
  });
});
