/**
 * The demo is a test too: three real processes over files and TCP, killed with SIGKILL while clients write. Here it runs
 * against the package that `npm run build` made; `npm run demo` has the package's sources in it.
 */

import { exec, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../tidy/files.js';

const DEMO = fileURLToPath(new URL('../../.build/demo/main.js', import.meta.url));

interface Run {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
  /** What it left in the directory for temporary files. */
  readonly left: readonly string[];
}

/** Runs it to its end. `last`: reads until this was printed, then closes the pipe. */
async function run(args: readonly string[], last?: string): Promise<Run> {
  const scratch = mkdtempSync(join(tmpdir(), 'quorate-demo-test-'));
  const env = { ...process.env, NO_COLOR: '1', TMPDIR: scratch };
  const child = spawn(process.execPath, [DEMO, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (printed: string) => {
    output += printed;
    if (last !== undefined && output.includes(last)) child.stdout.destroy();
  });
  // Its members hold the same standard error, so `close` means that they have ended as well.
  const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  const left = readdirSync(scratch);
  rmSync(scratch, { recursive: true, force: true });
  return { code: code as number | null, output, errors, left };
}

describe('the demo', () => {
  it('is built', () => expect(existsSync(DEMO), 'run `npm run build` first').toBe(true));

  it.each([
    ['raft', 'Raft', []],
    ['multipaxos', 'Multi-Paxos', ['--protocol=multipaxos']],
  ])(
    'loses nothing and applies nothing twice with %s',
    async (_, name, args) => {
      const { code, output, errors, left } = await run(args);
      expect(output).toContain(`Three processes, one state: ${name}`);
      expect(output).toMatch(/writes acknowledged +\| +[1-9]\d\d/);
      expect(output).toMatch(/lost +\| +0 /);
      expect(output).toMatch(/duplicates +\| +0 /);
      expect(output.match(/SIGKILL/g)).toHaveLength(3);
      expect({ code, errors, left }).toEqual({ code: 0, errors: '', left: [] });
    },
    120_000,
  );

  it('fails no request in a rolling restart under load, with both protocols', async () => {
    const { code, output, errors, left } = await run(['transfer']);
    expect(output.match(/ close +[abc](?:, which led: [abc] leads)?$/gm)).toHaveLength(6);
    expect(output.match(/which led/g)?.length).toBeGreaterThanOrEqual(2);
    expect(output.match(/requests +0 failed/g)).toHaveLength(2);
    expect(output.match(/lost +\| +0 /g)).toHaveLength(2);
    expect(output.match(/duplicates +\| +0 /g)).toHaveLength(2);
    expect({ code, errors, left }).toEqual({ code: 0, errors: '', left: [] });
  }, 120_000);

  // Of these two most of the time is silence.
  it.concurrent(
    'loses nothing in a silent outage, and goes on after it, with both protocols',
    async ({ expect }) => {
      const { code, output, errors, left } = await run(['outage']);
      expect(output.match(/Three processes, one state: (?:Raft|Multi-Paxos)/g)).toHaveLength(2);
      expect(output.match(/outage +0 more were acknowledged/g)).toHaveLength(2);
      expect(output.match(/first acknowledged write \d+ ms after the paths came back/g)).toHaveLength(2);
      expect(output.match(/outage +[1-9]\d* more were acknowledged/g)).toHaveLength(2);
      expect(output.match(/caught up in \d+ ms/g)).toHaveLength(2);
      expect(output.match(/lost +\| +0 /g)).toHaveLength(2);
      expect(output.match(/duplicates +\| +0 /g)).toHaveLength(2);
      expect({ code, errors, left }).toEqual({ code: 0, errors: '', left: [] });
    },
    120_000,
  );

  it.concurrent(
    'goes on beside a deaf leader, and after a partition without a majority, with both protocols',
    async ({ expect }) => {
      const { code, output, errors, left } = await run(['partition']);
      expect(output.match(/leader +[abc] leads; writes are acknowledged/g)).toHaveLength(2);
      expect(output.match(/partition +0 writes were acknowledged/g)).toHaveLength(2);
      expect(output.match(/lost +\| +0 /g)).toHaveLength(2);
      expect(output.match(/duplicates +\| +0 /g)).toHaveLength(2);
      expect({ code, errors, left }).toEqual({ code: 0, errors: '', left: [] });
    },
    120_000,
  );

  it('trims its log, brings a member back by snapshot, and replays nothing at a restart, with both protocols', async () => {
    const { code, output, errors, left } = await run(['compact']);
    const counts = (pattern: RegExp): number => output.match(pattern)?.length ?? 0;
    expect(counts(/disk +[abc] has the log from 1 to \d+, 0 snapshots: \d+ kB$/gm)).toBe(6);
    expect(counts(/disk +[abc] has the log from [1-9]\d{3,} to \d+, 2 snapshots at \d+ and \d+: \d+ kB$/gm)).toBe(6);
    expect(counts(/trimmed +[abc] took \d+ snapshots meanwhile; its log begins at \d+$/gm)).toBe(4);
    expect(counts(/pulling +[abc] pulls the snapshot at \d+ from [abc]$/gm)).toBe(2);
    expect(counts(/installed it has the one at \d+, \d+ kB, \d+ ms after it asked for one$/gm)).toBe(2);
    expect(counts(/level +\d+ ms after its process was started/g)).toBe(2);
    // The story itself fails if one applied more than what lies behind its snapshot.
    expect(counts(/restart +[abc] restored the snapshot at \d+, and applied \d+ commands to reach \d+$/gm)).toBe(6);
    expect(counts(/lost +\| +0 /g)).toBe(2);
    expect(counts(/duplicates +\| +0 /g)).toBe(2);
    expect({ code, errors, left }).toEqual({ code: 0, errors: '', left: [] });
  }, 240_000);

  it('says how it is called', async () => {
    const { code, output, errors } = await run(['--help']);
    expect(output).toContain('usage: npm run demo');
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
  });

  it.each([
    ['a protocol', ['--protocol=zab'], '--protocol: expected raft or multipaxos, got "zab"'],
    ['no protocol', ['--protocol'], '--protocol'],
    ['an option', ['--fast'], '--fast'],
    ['a word', ['raft'], 'expected outage, transfer, partition, compact or nothing, got "raft"'],
    ['a second word', ['outage', 'twice'], 'expected outage, transfer, partition, compact or nothing, got "twice"'],
  ])('refuses %s that it does not know, in a sentence', async (_, args, told) => {
    const { code, output, errors, left } = await run(args);
    expect(errors.split('\n')[0]).toContain(told);
    expect(errors).toContain('usage: npm run demo');
    expect(errors).not.toMatch(/^ +at /m);
    expect({ code, output, left }).toEqual({ code: 2, output: '', left: [] });
  });

  it.each([
    ['at once', 'Three'],
    ['while clients write', 'SIGKILL'],
  ])('ends quietly when nobody reads any more, %s', async (_, last) => {
    const { code, output, errors, left } = await run([], last);
    expect(output).not.toContain('Kill everything');
    expect({ code, errors, left }).toEqual({ code: 0, errors: '', left: [] });
  });

  it('is run by `npm run demo`, which builds it', async () => {
    const printed = await new Promise<string>((resolve, reject) => {
      exec('npm run --silent demo -- --help', { cwd: ROOT }, (error, out) => {
        if (error === null) resolve(out);
        else reject(error);
      });
    });
    expect(printed).toMatch(/^usage: npm run demo/);
  });
});
