/**
 * Real processes: killed at any moment, again and again, they lose nothing that was acknowledged; the lock
 * dies with its holder and with nothing less, and of many who want it one gets it.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileStorage } from '../../src/adapters/file-storage/index.js';
import { amount } from '../amount.js';
import { callOf } from './file-storage-calls.js';
import { randomFrom } from './file-storage-disks.js';
import { expectSame, Model, text } from './storage-laws.js';

const ROUNDS = amount(8, 20);
const TERMS = { segmentBytes: 32 * 1024 };

let folder = '';
let program = '';
let nth = 0;
const children = new Set<ChildProcess>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quorate-kill-'));
  program = join(folder, 'child.mjs');
  const source = fileURLToPath(new URL('./file-storage-child.ts', import.meta.url));
  await build({
    entryPoints: [source],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  });
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

interface Child {
  readonly process: ChildProcess;
  readonly lines: Interface;
  readonly ended: Promise<unknown>;
}

function start(mode: 'write' | 'hold' | 'cluster', dir: string): Child {
  const child = spawn(process.execPath, [program, mode, dir], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.add(child);
  const lines = createInterface({ input: child.stdout });
  const ended = Promise.all([
    new Promise((resolve) => child.once('close', resolve)),
    new Promise((resolve) => lines.once('close', resolve)),
  ]).then(() => children.delete(child));
  return { process: child, lines, ended };
}

function firstLine(child: Child): Promise<string> {
  return new Promise((resolve) => child.lines.once('line', resolve));
}

async function kill(child: Child): Promise<void> {
  child.process.kill('SIGKILL');
  await child.ended;
}

const newDir = (): string => join(folder, `data-${++nth}`);

/** Lets a writer live until it has said so many lines. @returns the last call that it said was done */
async function writeAndKill(dir: string, lifetime: number): Promise<number> {
  const child = start('write', dir);
  let acknowledged = 0;
  let said = 0;
  child.lines.on('line', (line) => {
    if (line !== 'open') acknowledged = Number(line);
    if (++said === lifetime) child.process.kill('SIGKILL');
  });
  await child.ended;
  expect(said).toBeGreaterThanOrEqual(lifetime);
  expect(acknowledged).not.toBeNaN();
  return acknowledged;
}

describe('fileStorage in processes that get killed', () => {
  test(`${ROUNDS} times in a row, all that was acknowledged is there, whole and in order`, async () => {
    const dir = newDir();
    const random = randomFrom(5);
    const model = new Model();
    let known = 0;
    for (let round = 0; round < ROUNDS; round++) {
      // Some die while they open, most while they write.
      const acknowledged = await writeAndKill(dir, 1 + Math.floor(random() * (round % 4 === 0 ? 2 : 150)));
      const storage = fileStorage(dir, TERMS);
      const opened = await storage.open();
      const calls = Number(text(opened.values.get('calls') ?? new Uint8Array(0)) || '0');
      expect(calls).toBeGreaterThanOrEqual(Math.max(known, acknowledged));
      while (known < calls) model.apply(callOf(++known));
      await expectSame(storage, opened, model);
      expect(opened.boot).toBe(2 * round + 2);
      await storage.close();
    }
    expect(known).toBeGreaterThan(10 * ROUNDS);
    expect((await readdir(dir)).length).toBeGreaterThan(1); // more than one segment
  });

  test('a living holder is never overruled, not even a stopped one; a dead one always', async () => {
    const dir = newDir();
    const child = start('hold', dir);
    expect(await firstLine(child)).toBe('open');
    await expect(fileStorage(dir).open()).rejects.toMatchObject({ code: 'ERR_STORAGE_LOCKED' });
    child.process.kill('SIGSTOP');
    await expect(fileStorage(dir).open()).rejects.toMatchObject({ code: 'ERR_STORAGE_LOCKED' });
    child.process.kill('SIGCONT');
    await kill(child);
    // What is left of it in the directory says nothing.
    expect((await readdir(dir)).filter((name) => name.startsWith('lock-'))).toHaveLength(1);
    const storage = fileStorage(dir);
    expect(await storage.open()).toMatchObject({ boot: 2 });
    await storage.close();
    expect((await readdir(dir)).filter((name) => name.startsWith('lock-'))).toEqual([]);
  });

  test('of many processes that find a dead lock, one gets it', async () => {
    const dir = newDir();
    for (let round = 0; round < 3; round++) {
      const many = Array.from({ length: 4 }, () => start('hold', dir));
      const said = await Promise.all(many.map(firstLine));
      expect(said.sort()).toEqual(['ERR_STORAGE_LOCKED', 'ERR_STORAGE_LOCKED', 'ERR_STORAGE_LOCKED', 'open']);
      await Promise.all(many.map(kill));
    }
  });

  test('the lock keeps no process alive', async () => {
    const dir = newDir();
    const child = start('hold', dir);
    expect(await firstLine(child)).toBe('open');
    const code = new Promise((resolve) => child.process.once('exit', resolve));
    child.process.stdin?.end();
    expect(await code).toBe(0);
  });

  test.each(['short', 'a name that is longer than the path of a socket may be'.repeat(3)])(
    'in a worker of node:cluster it dies with the worker, not with the primary (%#)',
    async (name) => {
      const dir = join(newDir(), name);
      const child = start('cluster', dir);
      expect(await firstLine(child)).toBe('open');
      await expect(fileStorage(dir).open()).rejects.toMatchObject({ code: 'ERR_STORAGE_LOCKED' });
      const said = firstLine(child);
      child.process.stdin?.end();
      expect(await said).toBe('dead');
      const storage = fileStorage(dir);
      expect(await storage.open()).toMatchObject({ boot: 2 });
      await storage.close();
      await kill(child);
    },
  );
});
