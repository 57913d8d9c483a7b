/** What a replica recovers from its storage. */

import { describe, expect, it } from 'vitest';
import { memoryNetwork, memoryStorage, multipaxos, raft } from 'quorate';
import { multipaxosProtocol } from '../../../src/multipaxos/index.js';
import { openData } from '../../../src/replica/host/recover.js';
import { checkOptions } from '../../../src/replica/options.js';

const machine = { apply: (): number => 1, snapshot: (): number => 1, restore: (): void => undefined };

function checked(storage: ReturnType<typeof memoryStorage>, protocol = multipaxos()) {
  const transport = memoryNetwork().transport();
  return checkOptions({ id: 'a', members: { a: 'x', b: 'y', c: 'z' }, protocol, transport, storage, machine });
}

describe('opening', () => {
  it('a log begins at 1, also where votes are stored for later slots only', async () => {
    const storage = memoryStorage();
    await storage.write((await openData(checked(storage))).format);
    const vote = { index: 3, term: 65_537, kind: 'noop', time: 0, id: null, data: new Uint8Array(0) } as const;
    const [data] = multipaxosProtocol.durable.encodeEntries([vote]);
    await storage.write([{ kind: 'put', entries: [{ index: 3, term: vote.term, data: data as Uint8Array }] }]);
    await storage.close();
    const { recovered, options } = await openData(checked(storage));
    expect(recovered).toMatchObject({ base: { index: 0, term: 0 }, last: 3, tail: [vote] });
    expect(options.boot).toBe(2);
    const [state] = multipaxosProtocol.init({ ...options, now: 0 }, recovered);
    expect(multipaxosProtocol.status(state)).toMatchObject({ commit: 0 });
  });

  it('refuses stored bytes that do not decode, naming what', async () => {
    const storage = memoryStorage();
    await storage.write((await openData(checked(storage, raft()))).format);
    await storage.write([{ kind: 'set', key: 'hard', value: new Uint8Array([9, 9]) }]);
    await storage.close();
    const opening = openData(checked(storage, raft()));
    await expect(opening).rejects.toMatchObject({
      code: 'ERR_STORAGE_CORRUPT',
      message: expect.stringContaining('hard state'),
    });
  });

  it.each([raft(), multipaxos()])('refuses a log that ends below the stored commit index (%#)', async (protocol) => {
    const storage = memoryStorage();
    await storage.write((await openData(checked(storage, protocol))).format);
    const entry = { index: 1, term: 65_537, kind: 'noop', time: 0, id: null, data: new Uint8Array(0) } as const;
    const { durable } = protocol.protocol;
    const [data] = durable.encodeEntries([entry]);
    const hard = (commit: number) => durable.encodeHard({ term: 65_537, vote: null, commit });
    await storage.write([
      { kind: 'put', entries: [{ index: 1, term: entry.term, data: data as Uint8Array }] },
      { kind: 'set', key: 'hard', value: hard(1) },
    ]);
    await storage.close();
    expect((await openData(checked(storage, protocol))).recovered).toMatchObject({ last: 1 });
    await storage.write([{ kind: 'set', key: 'hard', value: hard(2) }]);
    await storage.close();
    await expect(openData(checked(storage, protocol))).rejects.toMatchObject({
      code: 'ERR_STORAGE_CORRUPT',
      message: expect.stringContaining('the log ends at 1'),
    });
  });
});
