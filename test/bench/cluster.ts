/**
 * The durable cluster: three processes on loopback, real fdatasync, default settings, but no snapshots
 * (`snapshots.ts`). Clients are closed loops in this process and reach the leader's over one TCP connection
 * (`cluster-wire.ts`); the `put-inside` lines have them inside the leader's own process. Afterwards every member must
 * hold as many keys as were acknowledged.
 */

import { measure, type Load, type Measured } from './cluster-load.js';
import { leaderOf, pause, withMembers, type Member } from './cluster-members.js';
import { GET, LOAD, PUT } from './cluster-wire.js';
import { line, note, quantile } from './output.js';

const CLIENTS = [1, 64, 256];
const PAYLOADS = [16, 256];
const FAILOVERS = 5;
/** Milliseconds of 64 clients before the first figure. */
const WARM = 4000;
/** How often clients inside the leader and inside a follower are measured, by turns. */
const ROUNDS = 3;
const KEY = 8;
const ROLLING_CLIENTS = 16;
/** Where lease reads are measured. */
const LEASE_READS = 900;

/** Keys are numbered through the whole run, so that each is written once. */
class Work {
  acknowledged = 0;
  nextKey = 0;
  private readonly members: readonly Member[];
  private readonly quick: boolean;
  private readonly system: string;

  constructor(system: string, members: readonly Member[], quick: boolean) {
    this.system = system;
    this.members = members;
    this.quick = quick;
  }

  private load(clients: number): Load {
    return this.quick ? { clients, warmMs: 300, lengthMs: 700 } : { clients, warmMs: 1000, lengthMs: 6000 };
  }

  command(payload: number): Uint8Array {
    const command = new Uint8Array(KEY + payload);
    new DataView(command.buffer).setBigUint64(0, BigInt(++this.nextKey));
    return command;
  }

  private print(mode: string, clients: number, payload: number, measured: Measured): void {
    line({ system: this.system, mode, clients, payload, ...measured });
  }

  /** What is measured is a process that has run for a while: its code is compiled. */
  async warm(): Promise<void> {
    const leader = await leaderOf(this.members);
    await measure({ clients: 64, warmMs: 0, lengthMs: this.quick ? 300 : WARM }, async () => {
      await leader.ask(PUT, this.command(16));
      this.acknowledged += 1;
    });
  }

  async put(clients: number, payload: number): Promise<void> {
    const leader = await leaderOf(this.members);
    const measured = await measure(this.load(clients), async () => {
      await leader.ask(PUT, this.command(payload));
      this.acknowledged += 1;
    });
    this.print('put', clients, payload, measured);
  }

  /**
   * Clients in the process of the leader and of a follower, by turns: a machine that grows slower in between would
   * be read as a difference of the two. The median round of each is printed.
   */
  async putFromBoth(clients: number, payload: number): Promise<void> {
    const rounds = { 'put-inside': [] as Measured[], 'put-follower': [] as Measured[] };
    for (let i = 0; i < (this.quick ? 1 : ROUNDS); i++) {
      rounds['put-inside'].push(await this.putFrom('put-inside', clients, payload));
      rounds['put-follower'].push(await this.putFrom('put-follower', clients, payload));
    }
    for (const mode of ['put-inside', 'put-follower'] as const) {
      const ascending = rounds[mode].sort((a, b) => a.per_s - b.per_s);
      this.print(mode, clients, payload, ascending[Math.floor(ascending.length / 2)] as Measured);
    }
  }

  private async putFrom(mode: 'put-inside' | 'put-follower', clients: number, payload: number): Promise<Measured> {
    const leader = await leaderOf(this.members);
    const follower = this.members.find((member) => member !== leader) as Member;
    const member = mode === 'put-inside' ? leader : follower;
    const before = (await member.status()).size;
    const first = this.nextKey;
    const body = Buffer.from(JSON.stringify({ ...this.load(clients), payload, first }));
    const measured = JSON.parse((await member.ask(LOAD, body)).toString()) as Measured;
    const written = (await member.status()).size - before;
    this.nextKey += written;
    this.acknowledged += written;
    return measured;
  }

  async get(clients: number): Promise<void> {
    const leader = await leaderOf(this.members);
    const measured = await measure(this.load(clients), async () => void (await leader.ask(GET)));
    this.print('linearizable-get', clients, 0, measured);
  }

  /** Clients that read in the process of the leader, or of a follower. */
  async read(mode: 'read-inside' | 'read-follower', consistency: string, clients: number): Promise<void> {
    const leader = await leaderOf(this.members);
    const follower = this.members.find((member) => member !== leader) as Member;
    const member = mode === 'read-inside' ? leader : follower;
    const body = Buffer.from(JSON.stringify({ ...this.load(clients), payload: 0, first: 0, read: consistency }));
    const measured = JSON.parse((await member.ask(LOAD, body)).toString()) as Measured;
    line({ system: this.system, mode, consistency, clients, ...measured });
  }

  /** SIGKILL of the leader to the first acknowledged write, begun after that, at another member. */
  async failover(): Promise<number> {
    const leader = await leaderOf(this.members);
    const others = this.members.filter((member) => member !== leader);
    await leader.kill();
    const began = performance.now();
    let won = false;
    const done = new Promise<number>((resolve) => {
      const attempt = (): void => {
        if (won) return;
        for (const member of others) {
          member.ask(PUT, this.command(16)).then(
            () => {
              this.acknowledged += 1;
              won = true;
              resolve(performance.now() - began);
            },
            () => undefined,
          );
        }
        setTimeout(attempt, 10);
      };
      attempt();
    });
    const took = await done;
    await leader.start();
    const next = await leaderOf(this.members);
    const target = (await next.status()).commit;
    while ((await leader.status()).applied < target) await pause(20);
    return took;
  }

  async verify(): Promise<void> {
    for (const member of this.members) {
      const until = performance.now() + 20_000;
      let { size } = await member.status();
      while (size < this.acknowledged && performance.now() < until) {
        await pause(20);
        ({ size } = await member.status());
      }
      if (size < this.acknowledged) {
        throw new Error(`member ${member.settings.id} holds ${size} keys of ${this.acknowledged} acknowledged`);
      }
    }
  }
}

async function run(protocol: string, quick: boolean): Promise<void> {
  await withMembers(protocol, {}, async (members) => {
    const work = new Work(`quorate-${protocol}`, members, quick);
    await work.warm();
    for (const payload of PAYLOADS) for (const clients of CLIENTS) await work.put(clients, payload);
    for (const clients of CLIENTS) await work.putFromBoth(clients, 16);
    for (const clients of CLIENTS) await work.get(clients);
    await work.verify();
    const rss = await Promise.all(members.map(async (member) => (await member.status()).rss));
    const mib = Math.round(Math.max(...rss) / 2 ** 20);
    line({ system: `quorate-${protocol}`, mode: 'member-memory', writes: work.acknowledged, rss_mib: mib });
    const times: number[] = [];
    for (let i = 0; i < (quick ? 1 : FAILOVERS); i++) times.push(await work.failover());
    await work.verify();
    times.sort((a, b) => a - b);
    const median = Math.round(times[Math.floor(times.length / 2)] as number);
    line({ system: `quorate-${protocol}`, mode: 'failover', times_ms: times.map(Math.round), median_ms: median });
  });
}

/** Writes of clients that are spread over the members, with how they ended, until `done`. */
async function spreadLoad(members: readonly Member[], work: Work, done: () => boolean): Promise<SpreadLoad> {
  const times: number[] = [];
  let failed = 0;
  const client = async (nth: number): Promise<void> => {
    while (!done()) {
      const command = work.command(16);
      const from = performance.now();
      // A member that closes takes nothing new: its client goes to the next one.
      for (let tries = 0; ; tries++) {
        const answer = await members[(nth + tries) % members.length]?.ask(PUT, command).then(Boolean, () => false);
        if (answer === true) break;
        if (tries > 200) {
          failed += 1;
          break;
        }
        if (tries % members.length === members.length - 1) await pause(1);
      }
      times.push(performance.now() - from);
      work.acknowledged += 1;
    }
  };
  await Promise.all(Array.from({ length: ROLLING_CLIENTS }, (_, nth) => client(nth)));
  return { failed, p999_ms: Math.round(quantile(times, 0.999)), worst_ms: Math.round(quantile(times, 1)) };
}

interface SpreadLoad {
  readonly failed: number;
  readonly p999_ms: number;
  readonly worst_ms: number;
}

/** A rolling restart of all three under load, beside the same load without one. */
export async function rolling(quick: boolean): Promise<void> {
  for (const protocol of ['raft', 'multipaxos']) {
    note(`rolling restart, ${protocol}`);
    for (let nth = 0; nth < (quick ? 1 : 5); nth++) {
      await withMembers(protocol, {}, async (members) => {
        const work = new Work(`quorate-${protocol}`, members, quick);
        await leaderOf(members);
        let isOver = false;
        const calm = spreadLoad(members, work, () => isOver);
        await pause(quick ? 1000 : 4000);
        isOver = true;
        const without = await calm;
        isOver = false;
        const busy = spreadLoad(members, work, () => isOver);
        await pause(500);
        for (const member of members) {
          await member.restart();
          await pause(1000);
        }
        isOver = true;
        const restarted = await busy;
        await work.verify();
        line({ system: `quorate-${protocol}`, mode: 'rolling-restart', clients: ROLLING_CLIENTS, without, restarted });
      });
    }
  }
}

/** What a read of each consistency costs, asked in the process of the leader, and in a follower's. */
export async function reads(quick: boolean): Promise<void> {
  for (const protocol of ['raft', 'multipaxos']) {
    note(`reads, ${protocol}`);
    await withMembers(protocol, { leaseReads: LEASE_READS }, async (members) => {
      const work = new Work(`quorate-${protocol}`, members, quick);
      await work.put(1, 16);
      for (const consistency of ['linearizable', 'lease', 'stale']) {
        for (const clients of [1, 64]) {
          await work.read('read-inside', consistency, clients);
          await work.read('read-follower', consistency, clients);
        }
      }
    });
  }
}

/** Both protocols, one after the other. */
export async function cluster(quick: boolean): Promise<void> {
  for (const protocol of ['raft', 'multipaxos']) {
    note(`durable cluster, ${protocol}`);
    await run(protocol, quick);
  }
}
