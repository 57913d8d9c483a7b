/**
 * What the machine offers to break a disk: strace fails system calls of a running process, and a name space of our own
 * holds file systems that are small. Where it offers neither, the member's own
 * facade does the same one layer higher (`faulty-disk.ts`).
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { within } from './conditions.js';

const LIMIT = 10_000;

/** Every sync of file data by one process fails with EIO, until `end`. */
export class FailingSync {
  private readonly strace: ChildProcess;
  private readonly ended: Promise<unknown>;

  private constructor(strace: ChildProcess, ended: Promise<unknown>) {
    this.strace = strace;
    this.ended = ended;
  }

  /** @returns null where strace is missing or may not look at this process */
  static async of(pid: number): Promise<FailingSync | null> {
    const calls = 'fdatasync,fsync';
    const args = ['-f', '-e', `trace=${calls}`, '-e', `inject=${calls}:error=EIO`, '-p', String(pid)];
    const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = once(strace, 'close').catch(() => undefined);
    const attached = new Promise<boolean>((resolve) => {
      let said = '';
      strace.stderr?.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-400);
        if (/Process \d+ attached/.test(said)) resolve(true);
      });
      void ended.then(() => resolve(false));
    });
    const failing = new FailingSync(strace, ended);
    if (await within(LIMIT, 'strace', attached)) return failing;
    await failing.end();
    return null;
  }

  async end(): Promise<void> {
    this.strace.kill('SIGTERM');
    await this.ended;
  }
}

let probed: Promise<boolean> | undefined;

/** Whether syncs can be failed here by strace: tried on a process that does nothing else. */
export function syncsCanFail(): Promise<boolean> {
  probed ??= probe();
  return probed;
}

const SYNCER = `
  const fs = require('node:fs');
  const fd = fs.openSync(process.argv[1], 'w');
  process.stdin.on('data', () => fs.fdatasync(fd, (error) => console.log(error === null ? 'ok' : error.code)));
`;

async function probe(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-probe-'));
  const child = spawn(process.execPath, ['-e', SYNCER, join(folder, 'file')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  try {
    const failing = await FailingSync.of(child.pid as number).catch(() => null);
    if (failing === null) return false;
    child.stdin.write('sync\n');
    const [said] = (await within(LIMIT, 'a probing sync', once(child.stdout, 'data'))) as [Buffer];
    await failing.end();
    return String(said).trim() === 'EIO';
  } finally {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

const MIB = 1024 * 1024;

/** One small file system for each member, in a name space that a process of ours holds; gone when that ends. */
export class SmallDisks {
  private readonly holder: ChildProcess;
  private readonly ended: Promise<unknown>;
  /** Where they are mounted in their own name space; empty in ours. */
  readonly folder: string;

  private constructor(holder: ChildProcess, ended: Promise<unknown>, folder: string) {
    this.holder = holder;
    this.ended = ended;
    this.folder = folder;
  }

  /** @returns null where the machine has no such thing */
  static async of(names: readonly string[], mebibytes: number): Promise<SmallDisks | null> {
    const mounts = names.map((name) => `mkdir $0/${name} && mount -t tmpfs -o size=${mebibytes}m quorate $0/${name}`);
    const script = ['mount -t tmpfs quorate $0', ...mounts, 'echo ready', 'exec cat'].join(' && ');
    const folder = mkdtempSync(join(tmpdir(), 'quorate-disks-'));
    const holder = spawn('unshare', ['-rm', 'sh', '-c', script, folder], { stdio: ['pipe', 'pipe', 'ignore'] });
    const ended = once(holder, 'close')
      .catch(() => undefined)
      .then(() => rmSync(folder, { recursive: true, force: true }));
    const said = once(holder.stdout, 'data').then(() => true);
    const ready = Promise.race([said, ended.then(() => false)]);
    const disks = new SmallDisks(holder, ended, folder);
    if ((await within(LIMIT, 'the mount', ready)) && disks.hasLimit(names[0] as string, mebibytes)) return disks;
    await disks.close();
    return null;
  }

  /** Tried, not believed. */
  private hasLimit(name: string, mebibytes: number): boolean {
    try {
      const taken = this.fill(name);
      this.free(name);
      return taken <= mebibytes * MIB;
    } catch {
      return false;
    }
  }

  directory(name: string): string {
    return join(`/proc/${this.holder.pid}/root`, this.folder, name);
  }

  /** Takes all the room that is left. @returns how many bytes that was */
  fill(name: string): number {
    const fd = openSync(join(this.directory(name), 'ballast'), 'a');
    let taken = 0;
    try {
      for (let size = MIB / 4; size > 0; size >>= 1) taken += this.writeWhile(fd, Buffer.alloc(size, 1));
    } finally {
      closeSync(fd);
    }
    return taken;
  }

  private writeWhile(fd: number, bytes: Buffer): number {
    for (let taken = 0; ; ) {
      try {
        taken += writeSync(fd, bytes);
        fdatasyncSync(fd);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return taken;
        throw error;
      }
      if (taken > 1024 * MIB) throw new Error('the small disk is not small');
    }
  }

  free(name: string): void {
    rmSync(join(this.directory(name), 'ballast'), { force: true });
  }

  async close(): Promise<void> {
    this.holder.stdin?.end();
    await this.ended;
  }
}
