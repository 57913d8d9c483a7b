/** The oracle takes, pulls and installs snapshots, and speaks up where a core or a host does so wrongly. */

import { afterEach, describe, expect, it, vi } from 'vitest';
import { multipaxosProtocol } from 'quorate/multipaxos';
import { raftProtocol } from 'quorate/raft';
import { load } from '../mutants/load.mjs';
import { compactionOf } from './compaction.js';
import type { Core, PersistOp } from './core.js';
import { lifeOf } from './liveness.js';
import { OracleMachine } from './machine.js';
import { runOf } from './run.js';
import { changed, search, type Change } from './search.js';
import { STORMS } from './storms.js';

const CORES: Readonly<Record<string, Core>> = { raft: raftProtocol as Core, multipaxos: multipaxosProtocol as Core };

function persisting(change: (op: PersistOp) => readonly PersistOp[]): Change {
  return (each) => (each.kind === 'persist' ? [{ ...each, ops: each.ops.flatMap(change) }] : [each]);
}

const WITHOUT_PULLS: Change = (each) => (each.kind === 'pull' ? [] : [each]);

/** What a core that handles snapshots wrongly makes of what a sound one wants done, and what is said of it. */
const WRONG: Readonly<Record<string, readonly [Change, RegExp]>> = {
  'trims above its snapshot': [
    persisting((op) =>
      op.kind === 'trim' && op.base.index > 0 ? [{ ...op, base: { ...op.base, index: op.snapshot.index + 1 } }] : [op],
    ),
    /^n\d trims its log up to \d+, and its snapshot is at \d+$/,
  ],
  'does not write down what it installs': [
    persisting((op) => (op.kind === 'install' ? [] : [op])),
    /^the log is trimmed up to \d+, of which it has no such entry$/,
  ],
  'never restores what it installs': [
    (each) => (each.kind === 'restore' ? [] : [each]),
    /^n\d is handed index \d+ in place of \d+$/,
  ],
  'restores twice': [
    (each) => (each.kind === 'restore' ? [each, each] : [each]),
    /^n\d restores the snapshot at (\d+), and was handed \1$/,
  ],
  'never asks for a snapshot': [
    WITHOUT_PULLS,
    /^\d+ ms after the faults ended, (a new proposal or read at n\d comes to nothing|n\d is handed \d+ of \d+)$/,
  ],
};

/** In Multi-Paxos what stands above stays; here it goes from the disk. */
const dropsAbove = persisting((op) => [op.kind === 'install' ? { ...op, keepsAbove: false } : op]);

const COMPACTION = 'src/core/compaction.ts';
const PATCHES = {
  'a snapshot is installed at the commit index': [
    'raft',
    { file: COMPACTION, from: 'return index > commitIndex;', to: 'return index > commitIndex - 2;' },
    /^n\d restores the snapshot at \d+, and was handed \d+$/,
  ],
  'a snapshot that comes late is named': [
    'raft',
    { file: COMPACTION, from: 'if (isKnown(draft, snapshot, base)) return;', to: '' },
    /^n\d trims its log up to \d+, and its snapshot is at \d+$/,
  ],
  'a follower is left behind the base': [
    'raft',
    { file: 'src/raft/sending.ts', from: 'if (isBehind) probeAtBase(draft, peer);', to: '' },
    /^log\/delivery-in-bounds: only what is in the log is committed$/,
  ],
  'what was trimmed is loaded for a peer': [
    'multipaxos',
    {
      file: 'src/multipaxos/serving.ts',
      from: 'if (from < log.first) return tellLogBegins(draft, peer, number);',
      to: '',
    },
    /^n\d reads \d+ of a log that begins behind \d+$/,
  ],
} as const;

const both = Object.keys(CORES);

describe('the oracle with snapshots', () => {
  it.each(both)('trims logs of %s, installs snapshots, and starts from them', (name) => {
    const sum = { trimmed: 0, installed: 0, started: 0 };
    for (const storm of STORMS) {
      for (let seed = 1; seed <= 16; seed++) {
        const { violation, snapshots } = runOf(CORES[name] as Core, seed, storm, seed % 2 === 0);
        expect(violation).toBeNull();
        for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += snapshots[key];
      }
    }
    expect(Math.min(...Object.values(sum))).toBeGreaterThan(5);
  });

  const wrong = both.flatMap((name) => Object.keys(WRONG).map((how) => [name, how] as const));
  it.each(wrong)('tells when %s %s', (name, how) => {
    const [change, said] = WRONG[how] as (typeof WRONG)[string];
    expect(search(changed(CORES[name] as Core, change), 'divided')).toMatch(said);
  });

  it('tells when what stands above a snapshot that is installed goes with the rest', () => {
    const core = changed(CORES['multipaxos'] as Core, dropsAbove);
    expect(search(core, 'divided')).toMatch(/^the log is trimmed up to \d+, of which it has no such entry$/);
  });

  it.each(Object.entries(PATCHES))('tells when %s', (_, [name, patch, said]) => {
    const patched = load(`src/${name}/index.ts`, [patch]) as Readonly<Record<string, Core>>;
    expect(search(patched[`${name}Protocol`] as Core, 'divided')).toMatch(said);
  });

  it.each(both)('tells in a life when %s never asks for a snapshot', (name) => {
    const core = changed(CORES[name] as Core, WITHOUT_PULLS);
    for (const seed of [3, 7, 9]) {
      expect(compactionOf(seed)).not.toBeNull();
      expect(lifeOf(core, seed, 1).problems[0]).toMatch(/^n\d stands at \d+ of \d+ for \d+ ms$/);
      expect(lifeOf(CORES[name] as Core, seed, 1).problems).toEqual([]);
    }
  });
});

/** What a core is told of its machine, out of order: of entries behind a snapshot before it is restored. */
function toldTooSoon(core: Core, seed: number, timed: boolean): readonly string[] {
  const restoring = new Map<unknown, number>(); // by states
  const found: string[] = [];
  const step: Core['step'] = (state, message) => {
    let index = restoring.get(state) ?? Infinity;
    restoring.delete(state);
    if (message.kind === 'applied' && message.index > index) found.push(`${message.index} before ${index}`);
    if (message.kind === 'applied' && message.index >= index) index = Infinity;
    const [next, outbound] = core.step(state, message);
    for (const each of outbound) if (each.kind === 'restore') index = each.snapshot.index;
    restoring.set(next, index);
    return [next, outbound];
  };
  expect(runOf({ ...core, step }, seed, 'divided', timed).violation).toBeNull();
  return found;
}

describe('a host with snapshots', () => {
  afterEach(() => vi.restoreAllMocks());

  it.each(both)('has applied nothing behind a snapshot before it is restored (%s)', (name) => {
    for (let seed = 1; seed <= 24; seed++) {
      expect(toldTooSoon(CORES[name] as Core, seed, seed % 2 === 0)).toEqual([]);
    }
  });

  it('is found out when its machine is not restored', () => {
    vi.spyOn(OracleMachine.prototype, 'restore').mockImplementation(function (this: OracleMachine, { name }) {
      this.applied = name.index;
    });
    expect(search(CORES['raft'] as Core, 'divided')).toMatch(/^the snapshot of n\d at \d+ is not what was committed/);
  });

  it('is found out when it takes a snapshot of something else', () => {
    const sound = OracleMachine.prototype.snapshot;
    vi.spyOn(OracleMachine.prototype, 'snapshot').mockImplementation(function (this: OracleMachine) {
      const snapshot = sound.call(this);
      return { ...snapshot, kept: snapshot.kept.slice(1) };
    });
    expect(search(CORES['raft'] as Core, 'divided')).toMatch(/^the snapshot of n\d at \d+ is not what was committed/);
  });
});
