/** The oracle takes, pulls and installs snapshots, and speaks up where a core or a host does so wrongly. */

import { afterEach, describe, expect, it, vi } from 'vitest';
import { multipaxosProtocol } from 'quorate/multipaxos';
import { raftProtocol } from 'quorate/raft';
import { load } from '../mutants/load.mjs';
import type { Core, PersistOp } from './core.js';
import { OracleMachine } from './machine.js';
import { runOf } from './run.js';
import { changed, search, type Change } from './search.js';
import { STORMS } from './storms.js';

const CORES: Readonly<Record<string, Core>> = { raft: raftProtocol as Core, multipaxos: multipaxosProtocol as Core };

function persisting(change: (op: PersistOp) => readonly PersistOp[]): Change {
  return (each) => (each.kind === 'persist' ? [{ ...each, ops: each.ops.flatMap(change) }] : [each]);
}

/** What a core that handles snapshots wrongly makes of one thing that a sound one wants done. */
const WRONG: Readonly<Record<string, Change>> = {
  'trims above its snapshot': persisting((op) =>
    op.kind === 'trim' && op.base.index > 0 ? [{ ...op, base: { ...op.base, index: op.snapshot.index + 1 } }] : [op],
  ),
  'does not write down what it installs': persisting((op) => (op.kind === 'install' ? [] : [op])),
  'never restores what it installs': (each) => (each.kind === 'restore' ? [] : [each]),
  'restores twice': (each) => (each.kind === 'restore' ? [each, each] : [each]),
  'never asks for a snapshot': (each) => (each.kind === 'pull' ? [] : [each]),
};

/** In Multi-Paxos what stands above stays, so a crash in the middle shows sooner. */
const inTwo: Change = (each) =>
  each.kind === 'persist' && each.ops.some(({ kind }) => kind === 'install')
    ? [{ ...each, ops: [{ kind: 'truncate', from: 1 }] }, each]
    : [each];

const COMPACTION = 'src/core/compaction.ts';
const PATCHES = {
  'a snapshot is installed at the commit index': [
    'raft',
    { file: COMPACTION, from: 'return index > commitIndex;', to: 'return index > commitIndex - 2;' },
  ],
  'a snapshot that comes late is named': [
    'raft',
    { file: COMPACTION, from: 'if (isKnown(draft, snapshot, base)) return;', to: '' },
  ],
  'a follower is left behind the base': [
    'raft',
    { file: 'src/raft/sending.ts', from: 'if (isBehind) probeAtBase(draft, peer);', to: '' },
  ],
  'what was trimmed is loaded for a peer': [
    'multipaxos',
    {
      file: 'src/multipaxos/serving.ts',
      from: 'if (from < log.first) return tellLogBegins(draft, peer, number);',
      to: '',
    },
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
    expect(search(changed(CORES[name] as Core, WRONG[how] as Change), 'divided')).not.toBeNull();
  });

  it('tells when a snapshot is installed in two steps', () => {
    expect(search(changed(CORES['multipaxos'] as Core, inTwo), 'divided')).not.toBeNull();
  });

  it.each(Object.entries(PATCHES))('tells when %s', (_, [name, patch]) => {
    const patched = load(`src/${name}/index.ts`, [patch]) as Readonly<Record<string, Core>>;
    expect(search(patched[`${name}Protocol`] as Core, 'divided')).not.toBeNull();
  });
});

describe('a host with snapshots', () => {
  afterEach(() => vi.restoreAllMocks());

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
