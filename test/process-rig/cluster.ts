/**
 * A cluster of processes, behind proxies or in name spaces, with its data in a temporary folder, and how to leave
 * nothing behind.
 */

import { mkdtempSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './conditions.js';
import { FailingSync, SmallDisks, syncsCanFail } from './injection.js';
import type { Contents } from './machine.js';
import { Gone, MemberProcess, Refused, type Listener } from './member-process.js';
import type { DiskFault, DiskKind, MemberSettings, MemberStatus, ProtocolName } from './messages.js';
import { Namespaces } from './namespaces.js';
import { placesBehind } from './places.js';
import { Proxies } from './proxy.js';
import type { Random } from './random.js';
import { Reaper } from './reaper.js';

/** Where the built programs are. */
export interface Programs {
  readonly member: string;
  readonly reaper: string;
}

export interface ClusterOptions {
  readonly programs: Programs;
  readonly protocol: ProtocolName;
  readonly size: number;
  readonly disk: DiskKind;
  /** Every member's data on a file system of 2 MiB, or on a facade where the machine cannot make one. */
  readonly smallDisks: boolean;
  /** Every member in a network of its own and without proxies, where the machine can make that. */
  readonly namespaces: boolean;
  /** A canary: reads that are called linearizable are not. */
  readonly readsLie: boolean;
  /** Larger timeouts, as by default in production; otherwise ones that fit a short test. */
  readonly isSlow: boolean;
  /** Of the storage: small ones turn over soon. */
  readonly segmentBytes: number;
  /** Entries between two snapshots: a few, so that whoever is away for a moment needs one. */
  readonly snapshotEvery: number;
}

const NO_FAULT: DiskFault = { sync: false, full: false, slow: 0 };
const SMALL_DISK = 2;
/** Generous: two cores may be busy with other things. */
const RECOVERY_LIMIT = 60_000;

/** How a fault was made: by the machine, or by the member's own facade. */
export type Route = 'strace' | 'tmpfs' | 'facade';

export class Cluster implements Listener {
  readonly members: MemberProcess[] = [];
  readonly events = new Map<string, number>();
  readonly problems: string[] = [];
  readonly proxies: Proxies;
  private readonly reaper: Reaper;
  private readonly faulted = new Set<string>();
  private readonly strace = new Map<string, FailingSync>();
  private smallDisks: SmallDisks | null = null;
  private namespaces: Namespaces | null = null;
  private isClosing = false;

  private constructor(reaper: Reaper, proxies: Proxies) {
    this.reaper = reaper;
    this.proxies = proxies;
  }

  /** Prepares everything; no member is started yet. */
  static async open(options: ClusterOptions, random: Random): Promise<Cluster> {
    const cluster = new Cluster(new Reaper(options.programs.reaper), new Proxies(random.fork()));
    try {
      await cluster.prepare(options);
      return cluster;
    } catch (error) {
      await cluster.cleanUp();
      throw error;
    }
  }

  private async prepare(options: ClusterOptions): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'quorate-rig-'));
    this.reaper.folder(folder);
    const ids = Array.from({ length: options.size }, (_, at) => String.fromCharCode(97 + at));
    if (options.smallDisks && options.disk === 'real') this.smallDisks = await SmallDisks.of(ids, SMALL_DISK);
    if (this.smallDisks !== null) this.reaper.folder(this.smallDisks.folder);
    // A facade stands in for what the machine lacks.
    const lacks = options.smallDisks && this.smallDisks === null;
    const disk = options.disk === 'real' && lacks ? 'facade' : options.disk;
    if (options.namespaces) this.namespaces = await Namespaces.of(ids);
    if (this.namespaces !== null) this.reaper.folder(this.namespaces.folder);
    const places = this.namespaces?.places ?? (await placesBehind(this.proxies, ids));
    const members = Object.fromEntries([...places].map(([id, { dialled }]) => [id, dialled]));
    for (const [id, { listen, launcher }] of places) {
      const parent = this.smallDisks?.directory(id) ?? folder;
      const directory = join(parent, `data-${id}`);
      mkdirSync(directory, { recursive: true });
      const settings: MemberSettings = {
        id,
        members,
        listen,
        directory,
        protocol: options.protocol,
        disk,
        segmentBytes: options.segmentBytes,
        snapshotEvery: options.snapshotEvery,
        readsLie: options.readsLie,
        ...(options.isSlow ? SLOW : QUICK),
      };
      this.members.push(new MemberProcess(settings, options.programs.member, launcher, this.reaper, this));
    }
  }

  member(id: string): MemberProcess {
    const found = this.members.find((member) => member.id === id);
    if (found === undefined) throw new RangeError(`no member ${id}`);
    return found;
  }

  // What members tell.

  event(member: string, event: string, detail: string): void {
    this.events.set(event, (this.events.get(event) ?? 0) + 1);
    // Timeouts that fit a short test are soon too short for a disk or a process that is slowed down.
    // A storage that waits, or drops what a kill has torn, says so.
    // A pull over a link that is disturbed fails, until a member comes level by one that does not.
    const isOrdinary = /^(role|transport|snapshot) |^(leadership|established|timing|storage|stalled|peer)$/.test(event);
    const isOwed = event === 'fault ERR_STORAGE_FAILED' && this.faulted.has(member);
    if (!isOrdinary && !isOwed) this.problems.push(`${member}: ${event}: ${detail}`);
  }

  died(member: string, how: string): void {
    if (!this.isClosing) this.problems.push(`${member} ended by itself: ${how}`);
  }

  /** Whether this code is owed to what was done to the member. One that has halted says why it did. */
  mayFail(member: string, code: string): boolean {
    if (code === 'ERR_CLOSED') return this.faulted.has(member) || !this.member(member).isUp;
    return /^ERR_STORAGE_(?:FAILED|FULL)$/.test(code) && this.faulted.has(member);
  }

  // What is done to members.

  async startAll(): Promise<void> {
    await Promise.all(this.members.map((member) => this.start(member)));
  }

  /** A member whose disk is broken may refuse to start, and must say why. @returns whether it is up */
  async start(member: MemberProcess): Promise<boolean> {
    try {
      await member.start();
      if (!this.smallDisks) this.faulted.delete(member.id);
      return true;
    } catch (error) {
      if (error instanceof Refused && error.code !== null && this.mayFail(member.id, error.code)) return false;
      if (error instanceof Refused) this.problems.push(`${member.id} refused to start: ${error.code} ${error.message}`);
      else if (!(error instanceof Gone)) throw error;
      return false;
    }
  }

  async kill(member: MemberProcess): Promise<void> {
    await member.kill();
    await this.detach(member);
  }

  /** Orderly. @throws when it does not end by itself and well */
  async close(member: MemberProcess): Promise<void> {
    await member.close();
    await this.detach(member);
  }

  async restart(member: MemberProcess): Promise<void> {
    await this.kill(member);
    await this.start(member);
  }

  /** @returns how it was done */
  async failSyncs(member: MemberProcess): Promise<Route | null> {
    if (!member.isUp || this.strace.has(member.id)) return null;
    this.faulted.add(member.id);
    if (member.settings.disk !== 'real') return this.tell(member, { ...NO_FAULT, sync: true });
    const failing = (await syncsCanFail()) ? await FailingSync.of(member.pid) : null;
    if (failing === null) return null;
    this.strace.set(member.id, failing);
    return 'strace';
  }

  async fill(member: MemberProcess): Promise<Route | null> {
    if (this.smallDisks === null && (!member.isUp || member.settings.disk === 'real')) return null;
    this.faulted.add(member.id);
    if (this.smallDisks === null) return this.tell(member, { ...NO_FAULT, full: true });
    this.smallDisks.fill(member.id);
    return 'tmpfs';
  }

  /** The room is back. A member that has halted stays so until it is restarted. */
  async free(member: MemberProcess): Promise<void> {
    if (this.smallDisks !== null) this.smallDisks.free(member.id);
    else if (member.settings.disk !== 'real' && member.isUp) await this.tell(member, NO_FAULT);
  }

  async slow(member: MemberProcess, milliseconds: number): Promise<Route | null> {
    if (!member.isUp || member.settings.disk === 'real') return null;
    return this.tell(member, { ...NO_FAULT, slow: milliseconds });
  }

  private async tell(member: MemberProcess, fault: DiskFault): Promise<Route | null> {
    // A stopped member hears it when it goes on.
    const told = member.ask({ kind: 'disk', fault }).catch(() => null);
    if (!member.isStopped) await told;
    return 'facade';
  }

  private async detach(member: MemberProcess): Promise<void> {
    const failing = this.strace.get(member.id);
    this.strace.delete(member.id);
    await failing?.end();
  }

  // What members are asked.

  /** `null` of one that is down, stopped or busy dying. */
  async status(member: MemberProcess): Promise<MemberStatus | null> {
    if (!member.isUp || member.isStopped) return null;
    const answer = await member.ask({ kind: 'status' }).catch(() => null);
    return answer?.kind === 'status' ? answer.status : null;
  }

  /** `true` once it takes no part any more, `undefined` before. */
  async hasHalted(member: MemberProcess): Promise<true | undefined> {
    const status = await this.status(member);
    return !member.isUp || (status !== null && status.fault !== null) ? true : undefined;
  }

  /** The member that claims to lead. */
  async leader(): Promise<MemberProcess | undefined> {
    let found: MemberProcess | undefined;
    let term = -1;
    for (const member of this.members) {
      const status = await this.status(member);
      if (status?.leading !== true || status.term <= term) continue;
      [found, term] = [member, status.term];
    }
    return found;
  }

  /** All that is sent from or to these is lost, and no connection is reset, until paths are healed. */
  async silence(silent: readonly string[]): Promise<void> {
    if (this.namespaces !== null) return this.namespaces.silence(silent);
    const ids = this.members.map(({ id }) => id);
    for (const from of ids) {
      for (const to of ids.filter((id) => id !== from && [from, id].some((end) => silent.includes(end)))) {
        this.proxies.set(`${from}->${to}`, { way: 'hole' });
      }
    }
  }

  async healPaths(): Promise<void> {
    this.proxies.healAll();
    await this.namespaces?.heal();
  }

  /** All links pass, all disks work, all members are up and take part. */
  async heal(): Promise<void> {
    await this.healPaths();
    for (const member of this.members) {
      member.cont();
      await this.free(member);
    }
    await Promise.all(this.members.map((member) => this.revive(member)));
  }

  private async revive(member: MemberProcess): Promise<void> {
    await this.detach(member);
    const status = await this.status(member);
    // A failed sync may not be reported yet: a member that was broken is started anew in any case.
    if (status === null || status.fault !== null || this.faulted.has(member.id)) {
      await member.kill();
      if (!(await this.start(member))) this.problems.push(`${member.id} does not start although all is healed`);
      this.faulted.delete(member.id);
    } else if (member.settings.disk !== 'real') await this.tell(member, NO_FAULT);
  }

  /** What every member holds, once all hold the same. @throws TooLate when that does not come */
  finals(): Promise<Map<string, Contents>> {
    return until(RECOVERY_LIMIT, 'the same contents at every member', async () => {
      const finals = new Map<string, Contents>();
      // One that did not come back is a problem already, and no reason not to look at the others.
      for (const member of this.members.filter(({ isUp }) => isUp)) {
        const answer = await member.ask({ kind: 'contents' });
        if (answer.kind !== 'contents') return undefined;
        finals.set(member.id, answer.contents);
      }
      const [first, ...others] = [...finals.values()];
      const shortest = Math.min(...[...finals.values()].map(({ ledger }) => ledger.length));
      const prefix = first?.ledger.slice(0, shortest).join();
      // A late command may still arrive at some; a different past will never be the same.
      const isSplit = others.some(({ ledger }) => ledger.slice(0, shortest).join() !== prefix);
      const isSame = others.every((contents) => JSON.stringify(contents) === JSON.stringify(first));
      return isSplit || isSame ? finals : undefined;
    });
  }

  /** Every member closes in an orderly way, and its process ends by itself. */
  async closeAll(): Promise<void> {
    await Promise.all(
      this.members.map((member) => this.close(member).catch((error: Error) => void this.problems.push(error.message))),
    );
  }

  /** Leaves nothing behind, whatever state it is in. */
  async cleanUp(): Promise<void> {
    this.isClosing = true;
    await Promise.allSettled(this.members.map((member) => this.kill(member)));
    await this.proxies.close();
    await this.smallDisks?.close();
    await this.namespaces?.close();
    await this.reaper.end();
  }
}

const QUICK = {
  timing: { heartbeat: 40, electionMin: 200, electionMax: 400 },
  requestTimeout: 4000,
};

const SLOW = {
  timing: { heartbeat: 150, electionMin: 1000, electionMax: 2000 },
  requestTimeout: 10_000,
};
