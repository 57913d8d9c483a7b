/**
 * A member that was away for longer than the others keep their log: it pulls a snapshot, and goes on as if it had never
 * been away, its callers too.
 */

import { describe, expect, it } from 'vitest';
import { multipaxos, raft, type Replica } from 'quorate';
import { openEnvelope } from '../../../src/replica/driver/envelope.js';
import type { AskChunk } from '../../../src/replica/driver/snapshot-messages.js';
import { MINUTE, SimulatedCluster } from './cluster.js';
import { endsWhatIsTaken, snapshotsIn } from './restore-cases.js';

/** Keeps all that it was given; `w*9` stands for nine letters, so small commands make a large state. */
class Words {
  words: string[] = [];
  apply(word: string): number {
    const [letter = '', times] = word.split('*');
    return this.words.push(times === undefined ? word : letter.repeat(Number(times)));
  }
  snapshot(): string[] {
    return this.words;
  }
  restore(words: string[]): void {
    this.words = words;
  }
}

const ENTRIES = 40;
/** The size of a large state, in letters. */
const LARGE = 900_000;

describe.each([['raft', raft] as const, ['multipaxos', multipaxos] as const])('%s', (_, protocol) => {
  async function begun(
    way = { min: 1, max: 20 },
    bandwidth = Infinity,
    onSend?: (from: string, to: string, bytes: Uint8Array) => void,
  ) {
    const machines: Words[] = [];
    const equip: ConstructorParameters<typeof SimulatedCluster>[1] = {
      way,
      bandwidth,
      entries: ENTRIES,
      ...(onSend === undefined ? {} : { onSend }),
      equip(process) {
        const machine = new Words();
        machines.push(machine);
        return { clock: process.clock, machine: machine as never };
      },
    };
    const cluster = new SimulatedCluster(protocol, equip);
    const leader = await cluster.led();
    const away = cluster.replicas.find((replica) => replica !== leader) as Replica;
    const { id } = away.status();
    const run = async (count: number, text: string): Promise<void> => {
      const all = Array.from({ length: count }, (__, at) => leader.propose(`${text}${at}`));
      await cluster.until(Promise.all(all));
    };
    const isLevel = (replica: Replica): boolean => replica.status().applied === leader.status().commit;
    return { cluster, leader, away, id, machines, run, isLevel, member: cluster.member(id) };
  }

  it('a member that was cut off comes back by snapshot, and the logs of all begin above 1', async () => {
    const { cluster, leader, away, id, run, isLevel, member } = await begun();
    cluster.isolate(id);
    for (let round = 0; round < 8; round++) await run(ENTRIES, `r${round} `);
    cluster.network.heal();
    expect(await cluster.schedule.run(() => isLevel(away), MINUTE)).toBe(true);
    const told = snapshotsIn(member.events);
    expect(told).toContain('pulling');
    expect(told).toContain('installed');
    expect(told).toContain('restored');
    const own = await cluster.until(away.read((machine) => (machine as unknown as Words).words.slice()));
    const theirs = await cluster.until(leader.read((machine) => (machine as unknown as Words).words.slice()));
    expect(own).toEqual(theirs);
    expect(theirs).toHaveLength(8 * ENTRIES);
    await run(ENTRIES, 'after ');
    expect(await cluster.schedule.run(() => isLevel(away), MINUTE)).toBe(true);
    await cluster.close();
  });

  it('a snapshot that is being taken ends before the machine is restored (snapshots/restore-ends-taking)', async () => {
    await endsWhatIsTaken(protocol);
  });

  it('one that was closed does, and one that restarts applies no more than lies behind its snapshot', async () => {
    const { cluster, away, id, run, isLevel, member, machines } = await begun();
    await run(ENTRIES, 'first ');
    await cluster.until(away.close());
    for (let round = 0; round < 8; round++) await run(ENTRIES, `r${round} `);
    const back = await cluster.restart(id);
    expect(await cluster.schedule.run(() => isLevel(back), MINUTE)).toBe(true);
    expect(snapshotsIn(member.events)).toContain('installed');
    const { length } = (machines.at(-1) as Words).words;
    expect(length).toBe(9 * ENTRIES);
    await cluster.until(back.close());
    const again = await cluster.restart(id);
    expect(await cluster.schedule.run(() => isLevel(again), MINUTE)).toBe(true);
    expect((machines.at(-1) as Words).words).toHaveLength(length);
    await cluster.close();
  });

  it('a call that waits there gets its first result, though its entry is never seen there', async () => {
    const { cluster, leader, away, id, run, isLevel, machines } = await begun({ min: 20, max: 20 });
    await cluster.until(away.propose('opens the session'));
    const call = away.propose('forwarded', { meta: true });
    await cluster.schedule.pass(30); // it is with the leader, and nothing has come back
    cluster.isolate(id);
    for (let round = 0; round < 8; round++) await run(ENTRIES, `r${round} `);
    const late = away.propose('never left');
    await cluster.schedule.pass(100);
    cluster.network.heal();
    expect(await cluster.schedule.run(() => isLevel(away), MINUTE)).toBe(true);
    const { result, index } = await cluster.until(call);
    const words = await cluster.until(leader.read((machine) => (machine as unknown as Words).words.slice()));
    expect(words.indexOf('forwarded') + 1).toBe(result);
    expect(words.filter((word) => word === 'forwarded')).toHaveLength(1);
    expect(index).toBeLessThan(40);
    await cluster.until(late);
    const ends = await cluster.until(leader.read((machine) => (machine as unknown as Words).words.slice()));
    expect(ends.filter((word) => word === 'never left')).toHaveLength(1);
    expect(machines).toHaveLength(3);
    await cluster.close();
  });

  // There is a new snapshot every 500 ms, and one takes 4 s; or every 1.3 s, and a chunk takes so long that it is asked for again.
  it.each([
    ['many intervals of the policy', 50, 200_000, '12345678'],
    ['a chunk is waited for', 11, 90_000, '123'],
  ])('a member whose pull takes longer than %s comes level under load', async (_what, bandwidth, size, load) => {
    const { cluster, leader, away, id, run, isLevel, member } = await begun({ min: 1, max: 5 }, bandwidth);
    cluster.isolate(id);
    await cluster.until(leader.propose(`w*${size}`));
    for (let round = 0; round < 4; round++) await run(ENTRIES, `r${round} `);
    cluster.network.heal();
    let ended = false;
    const pause = (delay: number) => new Promise<void>((resolve) => cluster.schedule.after(delay, resolve));
    const work = async (): Promise<void> => {
      for (; !ended; await pause(100)) await Promise.all(Array.from(load, (word) => leader.propose(word)));
    };
    const loaded = work();
    expect(await cluster.schedule.run(() => away.status().applied >= leader.status().commit - 100, MINUTE)).toBe(true);
    ended = true;
    await cluster.until(loaded);
    expect(await cluster.schedule.run(() => isLevel(away), MINUTE)).toBe(true);
    expect(snapshotsIn(member.events).filter((event) => event === 'pulling')).toHaveLength(1);
    await cluster.close();
  });

  // The same bytes are asked of whoever has them; what the crash left may be damaged, or nobody has that snapshot any more.
  it.each(['all of it', 'damaged bytes', 'nothing that anybody has'])(
    'a puller whose process ends in the middle goes on where it was, if its disk kept %s',
    async (kept) => {
      const asked: AskChunk[] = [];
      const heard = (_from: string, _to: string, bytes: Uint8Array): void => {
        const opened = openEnvelope(bytes);
        if (opened.kind === 'snapshot' && opened.message.kind === 'askChunk') asked.push(opened.message);
      };
      const { cluster, leader, away, id, run, isLevel, member } = await begun({ min: 1, max: 5 }, 50, heard);
      cluster.isolate(id);
      await cluster.until(leader.propose(`w*${LARGE}`));
      for (let round = 0; round < 4; round++) await run(ENTRIES, `r${round} `);
      cluster.network.heal();
      const stored = (): number => away.status().pulling?.stored ?? 0;
      expect(await cluster.schedule.run(() => stored() > LARGE / 2, MINUTE)).toBe(true);
      const before = stored();
      const index = away.status().pulling?.index;
      cluster.crash(id);
      const { parts } = member.disk.contents;
      const [[name, content] = ['', new Uint8Array()]] = [...member.disk.contents.parts];
      expect(content.length).toBeGreaterThan(0);
      const whole = content.slice();
      if (kept === 'damaged bytes') whole.fill(0, 1000, 2000);
      if (kept === 'nothing that anybody has') parts.delete(name);
      parts.set(kept === 'nothing that anybody has' ? name.replace(/-\d+-(\d+)$/, '-7-$1') : name, whole);
      asked.length = 0;
      const back = await cluster.restart(id);
      expect(await cluster.schedule.run(() => isLevel(back), MINUTE)).toBe(true);
      const bytes = asked.reduce((sum, { length }) => sum + length, 0);
      if (kept === 'all of it') {
        expect(asked[0]).toMatchObject({ index, offset: expect.toSatisfy((offset: number) => offset > LARGE / 3) });
        expect(bytes).toBeLessThan(1.2 * (LARGE - before) + 3 * 65536);
      } else expect(bytes).toBeGreaterThan(LARGE);
      expect(snapshotsIn(member.events)).toContain('installed');
      expect(member.disk.contents.parts.size).toBe(0);
      await cluster.close();
    },
  );
});
