/**
 * Real processes over TCP and files, under load: killed, stopped, cut off, fed with flipped bits, their disks failing.
 * Whatever happens, what clients saw is linearizable, no acknowledged write is missing, nothing takes effect twice, all
 * members end up equal, and every process ends by itself when it is closed. Run from what `npm run build` made, by
 * scripts; random ones for as long as one likes with `node .build/programs/process-rig.js`.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { builtPrograms } from './built.js';
import { SmallDisks, syncsCanFail } from './injection.js';
import { describeSummary, runProcessRig } from './rig.js';
import type { DiskKind, ProtocolName } from './messages.js';
import { Reaper } from './reaper.js';
import { runScript, type Run, type RunOptions } from './run.js';

const programs = builtPrograms();

const PROTOCOLS: readonly ProtocolName[] = ['raft', 'multipaxos'];
const LIMIT = 120_000;

function run(protocol: ProtocolName, script: string, options: Partial<RunOptions> = {}): Promise<Run> {
  return runScript({
    programs,
    protocol,
    script,
    size: 3,
    disk: 'real',
    readsLie: false,
    isSlow: false,
    scan: false,
    seed: 1,
    segmentBytes: 8 * 1024,
    snapshotEvery: 50,
    load: { clients: 6, keys: 6, pause: 3, patience: 300, reads: 40 },
    ...options,
  });
}

/** Two ways of making a fault: what the machine offers, and where it offers nothing the member's own facade. */
async function diskFor(canBreak: Promise<boolean>): Promise<DiskKind> {
  return (await canBreak) ? 'real' : 'facade';
}

async function disksCanBeSmall(): Promise<boolean> {
  const disks = await SmallDisks.of(['probe'], 1);
  await disks?.close();
  return disks !== null;
}

describe('processes that are tormented lose nothing', () => {
  it.concurrent.each(PROTOCOLS)(
    '%s: killed, stopped, cut off, misread, failed by the disk',
    async (protocol) => {
      const script = `
      acks 50
      restart leader
      acks 20
      restart any
      acks 20
      stop leader
      acks 50             # by the others
      cont all            # a replica that wakes up as a leader of the past serves no stale read
      isolate leader
      acks 30
      heal
      corrupt *->* 1/3000
      acks 100
      heal
      sync b              # the first failed sync is the last: b halts, the others go on
      halts b
      acks 30
    `;
      const { problems, faults, events, proxied, coverage, acknowledged } = await run(protocol, script, {
        disk: await diskFor(syncsCanFail()),
      });
      expect(problems).toEqual([]);
      expect(acknowledged).toBeGreaterThanOrEqual(300);
      expect(faults.get('sync by strace') ?? faults.get('sync by facade')).toBe(1);
      expect(events.get('fault ERR_STORAGE_FAILED')).toBe(1);
      expect(proxied.flips).toBeGreaterThan(0);
      expect(events.get('transport malformed')).toBeGreaterThan(0);
      expect(coverage.writesMeanwhile).toBeGreaterThan(0);
      expect(coverage.readsAtStopped).toBeGreaterThan(0);
    },
    LIMIT,
  );
});

describe('a full disk', () => {
  // On a disk that is full a member stays up, and a restart succeeds, too.
  const goesOn = `
    acks 20
    fill a
    run 1500ms
    acks 30
    restart a
    acks 30
    free a
    run 1500ms
    acks 30
  `;
  // A facade is full in the middle of a group, for which a member halts.
  const halts = `
    acks 20
    fill a
    halts a
    acks 30
    restart a   # it may refuse, and says why
    free a
    restart a
    acks 30
  `;

  it.concurrent.each<[ProtocolName, DiskKind]>([
    ['raft', 'real'],
    ['multipaxos', 'volatile'],
  ])(
    '%s on a disk that is %s: a member goes on or halts with a typed error, and comes back',
    async (protocol, disk) => {
      const isReal = disk === 'real' && (await disksCanBeSmall());
      const options = { disk: isReal || disk !== 'real' ? disk : 'facade', scan: true } as const;
      const { problems, faults, events } = await run(protocol, isReal ? goesOn : halts, options);
      expect(problems).toEqual([]);
      expect(events.get(isReal ? 'storage' : 'fault ERR_STORAGE_FAILED')).toBeGreaterThan(0);
      if (isReal) expect(events.get('fault ERR_STORAGE_FAILED')).toBeUndefined();
      expect(faults.get(isReal ? 'fill by tmpfs' : 'fill by facade')).toBe(1);
    },
    LIMIT,
  );
});

// Its links carry little, so that the snapshot is under way when it is killed, and when a source is.
it.concurrent.each(PROTOCOLS)(
  '%s: a member that was away for longer than the log is kept comes back under load, with kills',
  async (protocol) => {
    const script = `
      acks 50
      kill c
      acks 400            # the others trim what it lacks
      throttle *->c 20000
      start c
      run 150ms
      kill c
      acks 50
      start c
      run 150ms
      kill leader
      start all
      acks 100
      restart follower
      heal
      acks 50
    `;
    const { problems, events } = await run(protocol, script, { snapshotEvery: 30, scan: true });
    expect(problems).toEqual([]);
    for (const what of ['taken', 'trimmed', 'pulling', 'installed']) {
      expect(events.get(`snapshot ${what}`), what).toBeGreaterThan(0);
    }
  },
  LIMIT,
);

it(
  'a cluster of one comes back with all it acknowledged',
  async () => {
    const script = 'acks 20\nkill follower # there is none\nkill leader\nstart all\nacks 20';
    const { problems, faults } = await run('multipaxos', script, { size: 1, disk: 'volatile' });
    expect(problems).toEqual([]);
    expect(faults.get('kill')).toBe(1);
  },
  LIMIT,
);

describe('the rig notices', () => {
  it.concurrent(
    'reads that are called linearizable and are not',
    async () => {
      // The others go on while clients ask the one that hears nobody.
      const script = 'acks 50\nfreeze leader<->*\nacks 80\nheal\nacks 50';
      const { problems } = await run('raft', script, { readsLie: true });
      expect(problems.join('\n')).toMatch(
        /^history\/real-time-order: .*the first came back before the second was called/,
      );
    },
    LIMIT,
  );

  it.concurrent(
    'a disk that says synced and is not',
    async () => {
      const script = 'acks 300\nkill all\nstart all\nacks 20';
      const { problems } = await run('multipaxos', script, { disk: 'lying', segmentBytes: 1024 * 1024 });
      expect(problems.join('\n')).toMatch(/history\/acknowledged-is-kept: .* is not in the log/);
    },
    LIMIT,
  );
});

describe('random schedules', () => {
  it(
    'are drawn, run and summed up',
    async () => {
      const summary = await runProcessRig({ programs, seed: 7, protocol: 'both', rounds: 2, steps: 3 });
      expect(summary.violations, describeSummary(summary)).toEqual([]);
      expect(summary).toMatchObject({ seed: 7, schedules: 2, byProtocol: { raft: 1, multipaxos: 1 } });
      expect(summary.acknowledged).toBeGreaterThan(0);
      expect(describeSummary(summary)).toMatch(/^process rig: 2 schedules/);
    },
    LIMIT,
  );

  it('refuse to go on for ever, or from no seed', async () => {
    await expect(runProcessRig({ programs, seed: 1, protocol: 'both' })).rejects.toThrow(/rounds, minutes/);
    await expect(runProcessRig({ programs, seed: 0.5, protocol: 'both', rounds: 1 })).rejects.toThrow(/seed/);
  });
});

it('nothing outlives the rig: the reaper ends a stopped process and removes the folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-reaper-'));
  writeFileSync(join(folder, 'file'), 'x');
  const program = 'setInterval(() => undefined, 1000); process.stdout.write("up")';
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  child.kill('SIGSTOP');
  const reaper = new Reaper(programs.reaper);
  reaper.folder(folder);
  reaper.born(child.pid as number);
  await reaper.end();
  expect(await ended).toEqual([null, 'SIGKILL']);
  expect(existsSync(folder)).toBe(false);
});
