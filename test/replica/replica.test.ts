import { describe, expect, it } from 'vitest';
import {
  CommandRejected,
  ConsensusError,
  createReplica,
  memoryNetwork,
  memoryStorage,
  multipaxos,
  raft,
  type Replica,
  type ReplicaEvent,
  type ReplicaOptions,
  type Storage,
} from 'quorate';

class Counter {
  value = 0;
  apply(command: { add: number } | { fail: string } | { crash: true } | { later: true }): number | object {
    if ('fail' in command) throw new CommandRejected({ because: command.fail });
    if ('crash' in command) throw new Error('the machine broke');
    if ('later' in command) return Promise.resolve(1);
    return (this.value += command.add);
  }
  snapshot(): number {
    return this.value;
  }
  restore(value: number): void {
    this.value = value;
  }
}

const protocols = { raft, multipaxos };
const IDS = ['a', 'b', 'c'];
const MEMBERS = { a: 'a', b: 'b', c: 'c' };
const timing = { heartbeat: 30, electionMin: 200, electionMax: 400 };

type Options = ReplicaOptions<Counter>;

/** A cluster in this process. Closes itself. */
async function cluster(
  protocol: keyof typeof protocols,
  work: (replicas: Replica<Counter>[], options: Options[], network: ReturnType<typeof memoryNetwork>) => Promise<void>,
  change: Partial<Options> = {},
): Promise<void> {
  const network = memoryNetwork();
  const options = IDS.map(
    (id): Options => ({
      id,
      members: MEMBERS,
      protocol: protocols[protocol]({ timing }),
      transport: network.transport(),
      storage: memoryStorage(),
      machine: new Counter(),
      ...change,
    }),
  );
  const replicas = await Promise.all(options.map((each) => createReplica(each)));
  try {
    await work(replicas, options, network);
  } finally {
    await Promise.all(replicas.map((replica) => replica.close()));
  }
}

async function leaderOf(replicas: Replica<Counter>[]): Promise<Replica<Counter>> {
  await Promise.all(replicas.map((replica) => replica.ready()));
  return new Promise((resolve) => {
    for (const replica of replicas) {
      if (replica.status().leading) resolve(replica);
      replica.on('leadership', ({ leading }) => leading && resolve(replica));
    }
  });
}

describe.each(Object.keys(protocols) as (keyof typeof protocols)[])('replica over %s', (protocol) => {
  it('resolves a proposal of any member with the result of its machine, and reads see it everywhere', () =>
    cluster(protocol, async (replicas) => {
      const results = await Promise.all(replicas.map((replica) => replica.propose({ add: 2 })));
      expect([...results].sort()).toEqual([2, 4, 6]);
      for (const replica of replicas) expect(await replica.read((counter) => counter.value)).toBe(6);
    }));

  it('gives the index with meta, and a stale read waits for it', () =>
    cluster(protocol, async ([a, b]) => {
      const { result, index } = await (a as Replica<Counter>).propose({ add: 5 }, { meta: true });
      expect(result).toBe(5);
      const seen = await (b as Replica<Counter>).read((counter) => counter.value, {
        consistency: 'stale',
        minIndex: index,
      });
      expect(seen).toBe(5);
    }));

  it('a refusal of the machine is a result: the proposer gets it, and everybody goes on', () =>
    cluster(protocol, async (replicas) => {
      for (const replica of replicas) {
        const error = await replica.propose({ fail: replica.status().id }).catch((caught: unknown) => caught);
        expect(error).toBeInstanceOf(CommandRejected);
        expect(error).toMatchObject({ code: 'ERR_COMMAND_REJECTED', reason: { because: replica.status().id } });
      }
      expect(await replicas[0]?.propose({ add: 1 })).toBe(1);
    }));

  it('halts on an exception of the machine, naming the index', () =>
    cluster(protocol, async (replicas) => {
      const [a] = replicas as [Replica<Counter>];
      const fault = new Promise<ReplicaEvent>((resolve) => a.on('fault', resolve));
      await expect(a.propose({ crash: true })).rejects.toMatchObject({ code: 'ERR_APPLY_FAILED', outcome: 'unknown' });
      expect(await fault).toMatchObject({
        code: 'ERR_APPLY_FAILED',
        reason: expect.stringMatching(/index \d+: the machine broke/),
      });
      expect(a.status().phase).toBe('halted');
      await expect(a.propose({ add: 1 })).rejects.toMatchObject({ code: 'ERR_APPLY_FAILED', outcome: 'none' });
    }));

  it('takes an exception for a result where the cluster was made so', () =>
    cluster(
      protocol,
      async ([a]) => {
        await expect(a?.propose({ crash: true })).rejects.toMatchObject({
          code: 'ERR_COMMAND_REJECTED',
          reason: 'the machine broke',
          outcome: 'unknown', // it may have changed before it threw
        });
        expect(await a?.propose({ add: 1 })).toBe(1);
      },
      { constants: { onApplyError: 'reject' } },
    ));

  it('halts when apply returns a promise', () =>
    cluster(protocol, async ([a]) => {
      await expect(a?.propose({ later: true })).rejects.toMatchObject({ code: 'ERR_APPLY_ASYNC' });
    }));

  it('leadership: the signal aborts when it ends, and the next fence is larger', () => {
    // Without pre-votes a follower that is told to campaign deposes the leader.
    const change = { protocol: protocols[protocol]({ timing, preVote: false }) };
    const work = async (replicas: Replica<Counter>[]): Promise<void> => {
      const first = await leaderOf(replicas);
      const iterator = first.leadership();
      let state = (await iterator.next()).value;
      while (state !== undefined && !state.leading) state = (await iterator.next()).value;
      expect(state).toMatchObject({ leading: true, leader: first.status().id });
      const others = replicas.filter((replica) => replica !== first);
      for (const other of others) await other.read(() => 0); // so that their logs are as good as the leader's
      const taken = new Promise<number>((resolve) => {
        for (const other of others) other.on('leadership', ({ leading, fence }) => leading && resolve(fence));
      });
      others[0]?.campaign();
      expect(await taken).toBeGreaterThan(state?.fence as number);
      expect(state?.signal.aborted).toBe(true);
      await first.close();
      let last = await iterator.next();
      while (last.done !== true) last = await iterator.next();
    };
    return cluster(protocol, work, change);
  });

  it('goes on after its leader is gone, and catches up after a restart', () =>
    cluster(protocol, async (replicas, options, network) => {
      const leader = await leaderOf(replicas);
      for (let i = 0; i < 50; i++) await leader.propose({ add: 1 });
      const at = replicas.indexOf(leader);
      await leader.close();
      const other = replicas[(at + 1) % 3] as Replica<Counter>;
      expect(await other.propose({ add: 1 })).toBe(51);
      const again = { ...(options[at] as Options), transport: network.transport(), machine: new Counter() };
      replicas[at] = await createReplica(again);
      expect(await replicas[at]?.read((counter) => counter.value)).toBe(51);
      expect(replicas[at]?.status().boot).toBe(2);
    }));

  it('an aborted signal ends the wait, and says what is known of the outcome', () =>
    cluster(protocol, async (replicas) => {
      const leader = await leaderOf(replicas);
      for (const replica of replicas) if (replica !== leader) await replica.close();
      const aborted = AbortSignal.abort('why');
      await expect(leader.propose({ add: 1 }, { signal: aborted })).rejects.toMatchObject({
        code: 'ERR_TIMEOUT',
        outcome: 'none',
        cause: 'why',
      });
      await expect(leader.read(() => 0, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
        code: 'ERR_TIMEOUT',
      });
      const controller = new AbortController();
      const proposal = leader.propose({ add: 1 }, { signal: controller.signal });
      setImmediate(() => setImmediate(() => controller.abort()));
      await expect(proposal).rejects.toMatchObject({
        code: expect.stringMatching(/ERR_OUTCOME_UNKNOWN|ERR_TIMEOUT|ERR_NO_LEADER/),
      });
    }));

  it('a storage that fails halts the replica, and the others go on', () =>
    cluster(protocol, async (replicas, options) => {
      const leader = await leaderOf(replicas);
      await leader.propose({ add: 1 });
      const storage = (options[replicas.indexOf(leader)] as Options).storage as Storage;
      storage.write = () => Promise.reject(new Error('no space left'));
      await expect(leader.propose({ add: 1 })).rejects.toMatchObject({
        code: 'ERR_STORAGE_FAILED',
        outcome: 'unknown',
      });
      expect(leader.status()).toMatchObject({ phase: 'halted', fault: 'no space left' });
      const other = replicas.find((replica) => replica !== leader) as Replica<Counter>;
      expect([2, 3]).toContain(await other.propose({ add: 1 }));
    }));

  it('close ends every request, more than once, and misuse afterwards throws at once', () =>
    cluster(protocol, async (replicas) => {
      const [a] = replicas as [Replica<Counter>];
      const waiting = a.propose({ add: 1 });
      const closed = a.close({ timeout: 0 });
      await expect(waiting).rejects.toMatchObject({ code: 'ERR_CLOSED' });
      await closed;
      await a[Symbol.asyncDispose]();
      expect(() => a.propose({ add: 1 })).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
      expect(() => a.read(() => 1)).toThrow(ConsensusError);
      expect(() => a.ready()).toThrow(ConsensusError);
    }));

  it('many proposals at once each take effect once', () =>
    cluster(protocol, async (replicas) => {
      const all = replicas.flatMap((replica) => Array.from({ length: 1000 }, () => replica.propose({ add: 1 })));
      const results = await Promise.all(all);
      expect(new Set(results).size).toBe(3000);
      expect(await replicas[2]?.read((counter) => counter.value)).toBe(3000);
    }));
});
