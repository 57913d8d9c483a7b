/**
 * What snapshots cost: the same three processes as in `cluster.ts`, with a machine of one size (`table.ts`).
 *
 * - `compaction`: clients inside the leader's process, with snapshots by the default policy and without by turns.
 * - `catch-up`: half of what a closed loop of clients reaches is offered, at fixed times whether or not the answers
 *   come; a follower is killed, and started again once the others have trimmed what it lacks. A write's time counts from
 *   when it was due. Afterwards every member must hold the same bytes.
 */

import { statfsSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import { measure, type Load, type Measured } from './cluster-load.js';
import { leaderOf, pause, withMembers, type Member } from './cluster-members.js';
import { DIGEST, LOAD, PUT, STRAIN } from './cluster-wire.js';
import { line, note, quantile, rounded } from './output.js';
import type { StrainSeen } from './strain.js';

const PROTOCOLS = ['raft', 'multipaxos'];
const PAIRS = 5;
const CLIENTS = 64;
const PAYLOAD = 256;
const KEY = 8;
const MIB = 2 ** 20;
/**
 * Longer than the first snapshot takes to come. A process compiles what it runs often, and again when it first sees a
 * snapshot and what is trimmed behind it: that belongs to its start, and not to what snapshots cost one that runs.
 */
const WARM = 6000;

async function inside(members: readonly Member[], load: Load): Promise<Measured> {
  const leader = await leaderOf(members);
  const body = Buffer.from(JSON.stringify({ ...load, payload: PAYLOAD, first: 0 }));
  return JSON.parse((await leader.ask(LOAD, body)).toString()) as Measured;
}

/** Throughput with snapshots beside that without them, in pairs. */
export async function compaction(quick: boolean): Promise<void> {
  const load = quick
    ? { clients: CLIENTS, warmMs: 300, lengthMs: 1500 }
    : { clients: CLIENTS, warmMs: WARM, lengthMs: 20_000 };
  for (const protocol of PROTOCOLS) {
    const system = `quorate-${protocol}`;
    note(`compaction, ${protocol}`);
    const ratios: number[] = [];
    for (let pair = 0; pair < (quick ? 1 : PAIRS); pair++) {
      const rates = new Map<boolean, number>();
      // Each of the two is the first one by turns.
      for (const isOn of pair % 2 === 0 ? [true, false] : [false, true]) {
        const settings = { tableBytes: 4 * MIB, snapshots: isOn && (quick ? { entries: 4000 } : {}) };
        await withMembers(protocol, settings, async (members) => {
          const measured = await inside(members, load);
          const { snapshot } = await (await leaderOf(members)).status();
          if (isOn && snapshot === 0) throw new Error('no snapshot was taken');
          line({ system, mode: 'compaction', on: isOn, clients: CLIENTS, payload: PAYLOAD, snapshot, ...measured });
          rates.set(isOn, measured.per_s);
        });
      }
      ratios.push((rates.get(true) as number) / (rates.get(false) as number));
    }
    line({ system, mode: 'compaction-ratio', pairs: ratios.length, median: rounded(quantile(ratios, 0.5)) });
  }
}

interface Window {
  readonly seconds: number;
  readonly offered: number;
  /** Of those that were due, by when the window ended. */
  readonly completed_percent: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
}

/** Writes at fixed times to the leader, and how long they took, window by window. */
class Offered {
  private readonly target: Member;
  private readonly perMs: number;
  private readonly began = performance.now();
  private readonly timer: NodeJS.Timeout;
  private due = 0;
  private times: number[] = [];
  private counted = { from: performance.now(), due: 0 };
  /** Of those that were due in this window. */
  private doneInTime = 0;
  private done = 0;
  failed = 0;

  constructor(target: Member, perSecond: number) {
    this.target = target;
    this.perMs = perSecond / 1000;
    this.timer = setInterval(() => this.offer(), 2);
  }

  private offer(): void {
    const now = performance.now();
    for (; this.due < (now - this.began) * this.perMs; this.due++) {
      const number = this.due;
      const at = this.began + number / this.perMs;
      const command = new Uint8Array(KEY + PAYLOAD);
      new DataView(command.buffer).setUint32(4, Math.imul(this.due, 2_654_435_761) >>> 0);
      this.target.ask(PUT, command).then(
        () => {
          this.done++;
          if (number >= this.counted.due) this.doneInTime++;
          this.times.push(performance.now() - at);
        },
        () => this.failed++,
      );
    }
  }

  /** What was since the last call. */
  window(): Window {
    const { times, counted, due, doneInTime } = this;
    const now = performance.now();
    this.times = [];
    this.counted = { from: now, due };
    this.doneInTime = 0;
    const offered = due - counted.due;
    return {
      seconds: rounded((now - counted.from) / 1000),
      offered,
      completed_percent: rounded((100 * doneInTime) / Math.max(1, offered), 4),
      p50_ms: rounded(quantile(times, 0.5)),
      p99_ms: rounded(quantile(times, 0.99)),
    };
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    while (this.done + this.failed < this.due) await pause(10);
    if (this.failed > 0) throw new Error(`${this.failed} writes failed`);
  }
}

async function strainOf(members: readonly Member[]): Promise<StrainSeen[]> {
  return Promise.all(members.map(async (member) => JSON.parse((await member.ask(STRAIN)).toString()) as StrainSeen));
}

/** The highest of each. */
function worstOf(seen: readonly StrainSeen[]): StrainSeen {
  const most = (name: keyof StrainSeen): number => Math.max(...seen.map((each) => each[name]));
  return {
    peak_mib: most('peak_mib'),
    delay_p99_ms: most('delay_p99_ms'),
    delay_worst_ms: most('delay_worst_ms'),
    collection_worst_ms: most('collection_worst_ms'),
  };
}

async function allTheSame(members: readonly Member[]): Promise<void> {
  for (;;) {
    const sizes = await Promise.all(members.map(async (member) => (await member.status()).size));
    if (new Set(sizes).size === 1) break;
    await pause(50);
  }
  const digests = await Promise.all(members.map(async (member) => (await member.ask(DIGEST)).toString()));
  if (new Set(digests).size > 1) throw new Error(`the members hold different bytes: ${digests.join(', ')}`);
}

/** The most that a closed loop of clients over one connection reaches. */
async function highestRate(leader: Member, quick: boolean): Promise<number> {
  const load = { clients: CLIENTS, warmMs: 500, lengthMs: quick ? 1000 : 4000 };
  const command = new Uint8Array(KEY + PAYLOAD);
  return (await measure(load, async () => void (await leader.ask(PUT, command)))).per_s;
}

async function oneCatchUp(protocol: string, tableBytes: number, calmMs: number, quick: boolean): Promise<void> {
  const system = `quorate-${protocol}`;
  await withMembers(protocol, { tableBytes, snapshots: { entries: 20_000 } }, async (members) => {
    const leader = await leaderOf(members);
    const [away, other] = members.filter((member) => member !== leader) as [Member, Member];
    const sources = [leader, other];
    const rate = Math.floor((await highestRate(leader, quick)) / 2);
    const load = new Offered(leader, rate);
    await pause(1000);
    load.window();
    await strainOf(sources);
    await pause(calmMs);
    const [before, calm] = [load.window(), worstOf(await strainOf(sources))];
    const { applied } = await away.status();
    await away.kill();
    const firsts = async (): Promise<number> =>
      Math.min(...(await Promise.all(sources.map(async (member) => (await member.status()).first))));
    while ((await firsts()) <= applied + 1) await pause(50);
    load.window();
    await strainOf(sources);
    const began = performance.now();
    await away.start();
    const up = performance.now();
    let [installed, level] = [0, 0];
    while (level === 0) {
      const [theirs, own] = [await leader.status(), await away.status()];
      if (installed === 0 && own.snapshot > applied) installed = performance.now();
      if (own.applied >= theirs.applied - rate / 10) level = performance.now();
      else await pause(20);
    }
    const [during, busy] = [load.window(), worstOf(await strainOf(sources))];
    await load.stop();
    await allTheSame(members);
    const times = [up - began, installed - began, level - began].map((time) => rounded(time / 1000));
    const [started_s, installed_s, level_s] = times;
    const head = { system, mode: 'catch-up', state_mib: tableBytes / MIB, payload: PAYLOAD, offered_per_s: rate };
    line({ ...head, started_s, installed_s, level_s, before, during });
    const { bytes, took } = (await away.status()).pulled;
    const logged = (rate * (KEY + PAYLOAD)) / MIB;
    const pulled = bytes / MIB / (took / 1000);
    line({ system, mode: 'pull-rate', pulled_mib_per_s: rounded(pulled), log_mib_per_s: rounded(logged) });
    line({ system, mode: 'catch-up-strain', state_mib: tableBytes / MIB, before: calm, during: busy });
    const p99 = rounded(during.p99_ms / before.p99_ms);
    line({ system, mode: 'catch-up-ratio', p99, peak_memory: rounded(busy.peak_mib / calm.peak_mib) });
  });
}

/** A follower comes back by a snapshot under half of the load that the cluster takes. */
export async function catchUp(quick: boolean): Promise<void> {
  for (const protocol of PROTOCOLS) {
    note(`catch-up, ${protocol}`);
    await oneCatchUp(protocol, (quick ? 8 : 64) * MIB, quick ? 2000 : 10_000, quick);
  }
}

/** The same with 1 GiB, where memory and disk suffice. */
export async function catchUpLarge(quick: boolean): Promise<void> {
  const { bavail, bsize } = statfsSync(tmpdir());
  const [disk, memory] = [(bavail * bsize) / MIB, freemem() / MIB];
  if (disk < 16_000 || memory < 6000) {
    note(
      `catch-up-1g is left out: it needs 16,000 MiB of disk and 6,000 of memory; there are ${disk | 0} and ${memory | 0}`,
    );
    return;
  }
  for (const protocol of PROTOCOLS) {
    note(`catch-up with 1 GiB, ${protocol}`);
    await oneCatchUp(protocol, 1024 * MIB, 20_000, quick);
  }
}
