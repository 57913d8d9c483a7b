/** What the demo looks at and tells: who leads, what is reached, and whether all that was acknowledged is there. */

import { judge, type Clients, type Verdict } from './clients.js';
import type { MemberProcess } from './cluster.js';
import type { MemberStatus } from './messages.js';
import { bold, fact, green, red, table } from './terminal.js';

const POLL = 25;
const PATIENCE = 30_000;

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export async function statusOf(member: MemberProcess): Promise<MemberStatus | null> {
  if (!member.running) return null;
  const answer = await member.ask({ kind: 'status' }).catch(() => null);
  return answer?.kind === 'status' ? answer.status : null;
}

/** Asks again and again until there is an answer. */
export async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const end = performance.now() + PATIENCE;
  while (performance.now() < end) {
    const found = await look();
    if (found !== null) return found;
    await pause(POLL);
  }
  throw new Error(`waited ${PATIENCE / 1000} s in vain for ${what}`);
}

export function leaderOf(members: readonly MemberProcess[]): Promise<MemberProcess> {
  return until('a leader', async () => {
    for (const member of members) if ((await statusOf(member))?.leading === true) return member;
    return null;
  });
}

export async function verify(members: readonly MemberProcess[], clients: Clients): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const member of members) {
    const state = await until(`a linearizable read on ${member.id}`, async () => {
      const answer = await member.ask({ kind: 'read' });
      return answer.kind === 'tally' ? answer.state : null;
    });
    verdicts.push(judge(clients.records, state));
  }
  return verdicts;
}

/** @param times what took how long, as a row of the table */
export function report(
  clients: Clients,
  verdicts: readonly Verdict[],
  times: readonly [string, readonly number[]],
): boolean {
  const sum = (pick: (record: Clients['records'][number]) => Set<number>): number =>
    clients.records.reduce((total, record) => total + pick(record).size, 0);
  const worst = (pick: (verdict: Verdict) => number): number => Math.max(...verdicts.map(pick));
  const unknown = sum((record) => record.unknown);
  const lost = worst((verdict) => verdict.lost);
  const duplicates = worst((verdict) => verdict.duplicates + verdict.ghosts);
  const sound = verdicts.every((verdict) => verdict.sound);
  const ok = lost === 0 && duplicates === 0 && sound;
  table([
    ['writes acknowledged', String(sum((record) => record.acknowledged))],
    ['unknown to their client', `${unknown} (${worst((verdict) => verdict.found)} took effect)`],
    ['lost', lost === 0 ? green('0') : red(String(lost))],
    ['duplicates', duplicates === 0 ? green('0') : red(String(duplicates))],
    [times[0], times[1].map((took) => `${took.toFixed(0)} ms`).join(', ')],
  ]);
  const verdict = ok ? green('every acknowledged write is on every member, once') : red('WRITES ARE WRONG');
  fact('verdict', bold(verdict));
  return ok;
}
