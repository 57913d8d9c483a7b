/** Clients' sessions: retries by other processes, on other replicas and after restarts get the first result. */

import { describe, expect, it } from 'vitest';
import { multipaxos, raft, ConsensusError, type ClientSession, type Replica } from 'quorate';
import { IDS, MINUTE, SimulatedCluster } from './cluster.js';
import { failingAreRenewedSooner, livesWhile, traffic } from './renewals.js';

const TIME = 3 * MINUTE;

const protocols = [
  ['raft', raft],
  ['multipaxos', multipaxos],
] as const;

/** The error of a promise that rejects. */
async function errorOf(promise: Promise<unknown>): Promise<ConsensusError> {
  const error = await promise.then(
    (value) => new Error(`resolved with ${String(value)}`),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConsensusError);
  return error as ConsensusError;
}

for (const [name, protocol] of protocols) {
  describe(`sessions over ${name}`, () => {
    it('answer retries with the first result, on every replica and after restarts', async () => {
      const cluster = new SimulatedCluster(protocol);
      await cluster.led();
      const [a, b] = cluster.replicas as [Replica, Replica];
      const first = await cluster.until(a.session('client 1'.replace(' ', '-')));
      expect(await cluster.until(first.propose('x', { sequence: 1 }))).toBe(1);
      const { index } = await cluster.until(first.propose('x', { sequence: 1, meta: true }));
      expect(await cluster.until(a.propose('other'))).toBe(2);
      const second = await cluster.until(b.session('client-1', { id: first.id }));
      expect(second.id).toBe(first.id);
      expect(await cluster.until(second.propose('x', { sequence: 1, meta: true }))).toEqual({ result: 1, index });
      // Many at once, and the same twice.
      const many = [2, 3, 3, 2].map((sequence) => second.propose(`n${sequence}`, { sequence }));
      expect(await cluster.until(Promise.all(many))).toEqual([3, 4, 4, 3]);
      const fenced = await errorOf(cluster.until(first.propose('y', { sequence: 9 })));
      expect(fenced).toMatchObject({ code: 'ERR_SESSION_FENCED', outcome: 'unknown' });
      for (const id of IDS) {
        await cluster.until((cluster.replicas.find((each) => each.status().id === id) as Replica).close());
      }
      for (const id of IDS) await cluster.restart(id);
      await cluster.led();
      for (const replica of cluster.replicas) {
        const again = await cluster.until(replica.session('client-1', { id: first.id }));
        expect(await cluster.until(again.propose('x', { sequence: 1 }))).toBe(1);
        expect(await cluster.until(again.propose('n3', { sequence: 3, meta: true }))).toMatchObject({ result: 4 });
        const reused = await errorOf(cluster.until(again.propose('z', { sequence: 1 })));
        expect(reused).toMatchObject({ code: 'ERR_SEQUENCE_REUSED', outcome: 'none' });
      }
      expect(await cluster.until((cluster.replicas[0] as Replica).propose('other'))).toBe(5);
      await cluster.close();
    }, 60_000);

    it('take any sequence as completed, and are renewed with it', async () => {
      const cluster = new SimulatedCluster(protocol, { constants: { clientSessionTime: TIME } });
      const leader = await cluster.led();
      const session = await cluster.until(leader.session('all'));
      for (const sequence of [0, 1.5, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER]) {
        expect(() => session.completed(sequence)).toThrow(/^sequence: expected a whole number from 1 to 2\^52, got/);
      }
      session.completed(2 ** 52);
      await traffic(cluster, leader, 2 * TIME);
      const late = await errorOf(cluster.until(session.close().then(() => leader.session('all', { id: session.id }))));
      expect(late.code).toBe('ERR_SESSION_EXPIRED');
      expect(leader.status().fault).toBeNull();
      await cluster.close();
    }, 60_000);

    it('live as long as a handle is open, and go when nobody gives a sign of life', async () => {
      const cluster = new SimulatedCluster(protocol, { constants: { clientSessionTime: TIME } });
      const leader = await cluster.led();
      const other = cluster.replicas.find((replica) => replica !== leader) as Replica;
      const kept = await cluster.until(leader.session('kept'));
      const lost = await cluster.until(other.session('lost'));
      await cluster.until(lost.propose('x', { sequence: 1 }));
      // An outage, and a jump of all clocks by a day, expire nobody.
      for (const { process } of cluster.members) process.wrong = () => 24 * 60 * MINUTE;
      await traffic(cluster, leader, 2 * MINUTE);
      expect(await cluster.until(lost.propose('x', { sequence: 1 }))).toBe(1);
      await cluster.until(other.close());
      await traffic(cluster, leader, 2 * TIME);
      expect(await cluster.until(kept.propose('y', { sequence: 1 }))).toBeGreaterThan(1);
      const gone = await errorOf(cluster.until(leader.session('lost', { id: lost.id })));
      expect(gone).toMatchObject({ code: 'ERR_SESSION_EXPIRED', outcome: 'none' });
      const anew = await cluster.until(leader.session('lost'));
      expect(anew.id).not.toBe(lost.id);
      await cluster.until(kept.close());
      expect((await errorOf(cluster.until(leader.session('kept', { id: kept.id })))).code).toBe('ERR_SESSION_EXPIRED');
      expect(() => kept.propose('z', { sequence: 2 })).toThrow('the session is closed');
      expect(() => kept.close()).toThrow('the session is closed');
      await cluster.close();
    }, 60_000);

    it.each([1000, 30_000, 80_000])(
      'of %d ms outlive any outage if a handle is open',
      async (clientSessionTime) => {
        const cluster = new SimulatedCluster(protocol, { constants: { clientSessionTime } });
        const leader = await cluster.led();
        const session = await cluster.until(leader.session('kept'));
        expect(await cluster.until(session.propose('x', { sequence: 1 }))).toBe(1);
        for (const pause of [0, 1, 4 / 3, 2, 40]) {
          await cluster.schedule.pass(pause * clientSessionTime);
          IDS.forEach((id) => cluster.isolate(id));
          await cluster.schedule.pass(1.5 * clientSessionTime + 5000);
          cluster.network.heal();
          expect(await cluster.until(session.propose('x', { sequence: 1 }))).toBe(1);
        }
        await cluster.close();
      },
      60_000,
    );

    it.each(['full', 'busy'] as const)(
      'live though the replica of their handle is %s all the time',
      (why) => livesWhile(why, protocol),
      60_000,
    );

    it('reject a sequence that is completed, at the handle that said so and at another', async () => {
      const cluster = new SimulatedCluster(protocol);
      const leader = await cluster.led();
      const first = await cluster.until(leader.session('client'));
      await cluster.until(first.propose('x', { sequence: 1 }));
      first.completed(1);
      const here = await errorOf(cluster.until(first.propose('x', { sequence: 1 })));
      await cluster.until(first.propose('y', { sequence: 2 }));
      const second = await cluster.until(leader.session('client'));
      const there = await errorOf(cluster.until(second.propose('x', { sequence: 1 })));
      const completed = { code: 'ERR_SEQUENCE_COMPLETED', outcome: 'unknown' };
      expect([here, there]).toMatchObject([completed, completed]);
      await cluster.close();
    });

    it('that are attached again and again are renewed once', async () => {
      const cluster = new SimulatedCluster(protocol, { constants: { clientSessionTime: TIME } });
      const leader = await cluster.led();
      const { id } = await cluster.until(leader.session('kept'));
      const attached = Array.from({ length: 100 }, () => leader.session('kept', { id }));
      const handles = await cluster.until(Promise.all(attached));
      const { applied } = leader.status();
      await cluster.schedule.pass(2.5 * TIME);
      expect(leader.status().applied - applied).toBeLessThan(9);
      expect(await cluster.until((handles[99] as ClientSession).propose('x', { sequence: 1 }))).toBe(1);
      await cluster.close();
    }, 60_000);

    it('have room for so many, and so many sequences, and refuse bad input', async () => {
      const cluster = new SimulatedCluster(protocol, { constants: { clientSessions: 2, sessionWindow: 4 } });
      const leader = await cluster.led();
      const session = await cluster.until(leader.session('a'));
      await cluster.until(leader.session('b'));
      expect(await errorOf(cluster.until(leader.session('c')))).toMatchObject({ code: 'ERR_BUSY', retryable: true });
      expect((await errorOf(cluster.until(session.propose('x', { sequence: 5 })))).code).toBe('ERR_BUSY');
      session.completed(3);
      expect(await cluster.until(session.propose('x', { sequence: 5 }))).toBe(1);
      const completed = { code: 'ERR_SEQUENCE_COMPLETED', outcome: 'unknown' };
      expect(await errorOf(cluster.until(session.propose('x', { sequence: 3 })))).toMatchObject(completed);
      for (const sequence of [0, -1, 0.5, NaN, '1' as never, undefined as never]) {
        expect(() => session.propose('x', { sequence })).toThrow('sequence: expected a whole number from 1');
        expect(() => session.completed(sequence)).toThrow('sequence: expected a whole number from 1');
      }
      for (const wrong of ['', ' ', 'ä', 'x'.repeat(129), 7 as never]) {
        expect(() => leader.session(wrong)).toThrow('name: expected 1 to 128 printable ASCII characters');
      }
      expect(() => leader.session('a', { id: 0 })).toThrow('id: expected the id of a session');
      expect(() => leader.session('a', null as never)).toThrow('options: expected an object');
      expect(() => session.close(null as never)).toThrow('options: expected an object');
      const aborted = AbortSignal.abort();
      expect((await errorOf(leader.session('a', { signal: aborted }))).code).toBe('ERR_TIMEOUT');
      expect((await errorOf(session.propose('y', { sequence: 6, signal: aborted }))).code).toBe('ERR_TIMEOUT');
      const waits = session.propose('z', { sequence: 7 });
      await cluster.close();
      await waits.catch((error: ConsensusError) => expect(error.code).toBe('ERR_CLOSED'));
      expect(() => leader.session('a')).toThrow('the replica is closed');
    }, 60_000);
  });
}

it('sessions are renewed soon again when a renewal fails, however many fail', failingAreRenewedSooner);
