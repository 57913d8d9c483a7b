/**
 * The demo: three processes keep one replicated state through SIGKILL of whichever leads, twice, and of all three
 * at once. Ends with a check, on every member, that every acknowledged write is there and none took effect twice.
 *
 *     npm run demo
 *     npm run demo -- --protocol=multipaxos
 *     npm run demo -- --help
 */

import { parseArgs } from 'node:util';
import { Clients, judge, type Acknowledged, type Verdict } from './clients.js';
import { prepare, type MemberProcess } from './cluster.js';
import type { MemberSettings, MemberStatus } from './messages.js';
import { bold, dim, fact, green, headline, red, table, whenNobodyReads } from './terminal.js';

const CLIENTS = 12;
const WRITE_FOR = 1500;
const POLL = 25;
const PATIENCE = 15_000;

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function statusOf(member: MemberProcess): Promise<MemberStatus | null> {
  if (!member.running) return null;
  const answer = await member.ask({ kind: 'status' }).catch(() => null);
  return answer?.kind === 'status' ? answer.status : null;
}

/** Asks again and again until there is an answer. */
async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const end = performance.now() + PATIENCE;
  while (performance.now() < end) {
    const found = await look();
    if (found !== null) return found;
    await pause(POLL);
  }
  throw new Error(`waited ${PATIENCE / 1000} s in vain for ${what}`);
}

function leaderOf(members: readonly MemberProcess[]): Promise<MemberProcess> {
  return until('a leader', async () => {
    for (const member of members) if ((await statusOf(member))?.leading === true) return member;
    return null;
  });
}

/** Kills the leader while writes are in flight. Gives the time to the first acknowledged write begun after that. */
async function killLeader(members: readonly MemberProcess[], clients: Clients): Promise<number> {
  const leader = await leaderOf(members);
  const first = new Promise<Acknowledged>((resolve) => {
    clients.onAcknowledged = (write) => {
      if (write.begun >= killed && write.member !== leader.id) resolve(write);
    };
  });
  let killed = Infinity;
  const gone = leader.kill();
  killed = performance.now();
  await gone;
  fact(red('SIGKILL'), `to ${bold(leader.id)}, the leader, while ${CLIENTS} clients write`);
  const write = await first;
  const took = write.ended - killed;
  const next = await leaderOf(members.filter((member) => member !== leader));
  fact('leader', `${bold(next.id)} leads; first acknowledged write ${bold(`${took.toFixed(0)} ms`)} after the kill`);
  await pause(WRITE_FOR / 2);
  await leader.start();
  const target = (await statusOf(next))?.commit ?? 0;
  const began = performance.now();
  await until(`${leader.id} to catch up`, async () => ((await statusOf(leader))?.applied ?? 0) >= target || null);
  fact('restart', `${bold(leader.id)} is back, caught up to ${target} in ${(performance.now() - began).toFixed(0)} ms`);
  await pause(WRITE_FOR / 2);
  return took;
}

async function killAll(members: readonly MemberProcess[], clients: Clients): Promise<void> {
  await Promise.all(members.map((member) => member.kill()));
  fact(red('SIGKILL'), 'to all three at once');
  await Promise.all(members.map((member) => member.start()));
  const leader = await leaderOf(members);
  fact('restart', `all three are back, and ${bold(leader.id)} leads`);
  await pause(WRITE_FOR / 2);
  await clients.stop();
}

async function verify(members: readonly MemberProcess[], clients: Clients): Promise<readonly Verdict[]> {
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

function report(clients: Clients, verdicts: readonly Verdict[], failovers: readonly number[]): boolean {
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
    ['failover times', failovers.map((took) => `${took.toFixed(0)} ms`).join(', ')],
  ]);
  const verdict = ok ? green('every acknowledged write is on every member, once') : red('WRITES ARE WRONG');
  fact('verdict', bold(verdict));
  return ok;
}

async function run(protocol: MemberSettings['protocol'], members: readonly MemberProcess[]): Promise<boolean> {
  await Promise.all(members.map((member) => member.start()));
  const clients = new Clients(members, CLIENTS);
  const leader = await leaderOf(members);
  fact('leader', `${bold(leader.id)} leads`);
  clients.start();
  await pause(WRITE_FOR);
  const failovers: number[] = [];
  for (const round of [1, 2]) {
    headline(`Kill the leader, ${round === 1 ? 'once' : 'and once more'}`);
    failovers.push(await killLeader(members, clients));
  }
  headline('Kill everything');
  await killAll(members, clients);
  headline(`What ${protocol === 'raft' ? 'Raft' : 'Multi-Paxos'} kept, by a linearizable read on every member`);
  return report(clients, await verify(members, clients), failovers);
}

const USAGE = `usage: npm run demo [-- --protocol=raft|multipaxos]

Starts three processes that keep one replicated state, and twelve clients that write to it. Kills the process
that leads with SIGKILL, twice, and then all three at once; then checks on every member that every acknowledged
write is there, and that none took effect twice. Takes about ten seconds. Data goes to a temporary folder, which
is removed in the end.

  --protocol=raft         the three keep their state by Raft (this is the default)
  --protocol=multipaxos   by Multi-Paxos
  --help                  prints this and ends

Exits with 0 if nothing was lost, 1 if something was, 2 if it was called in another way than this.`;

/** What the command line asks for. @throws if it cannot be understood */
function asked(): { readonly help: boolean; readonly protocol: MemberSettings['protocol'] } {
  const options = { protocol: { type: 'string', default: 'raft' }, help: { type: 'boolean', default: false } } as const;
  const { protocol, help } = parseArgs({ options }).values;
  if (protocol !== 'raft' && protocol !== 'multipaxos') {
    throw new Error(`--protocol: expected raft or multipaxos, got "${protocol}"`);
  }
  return { help, protocol };
}

/** The whole demo. Gives the exit code. */
async function demonstrate(protocol: MemberSettings['protocol']): Promise<number> {
  const { members, directory, cleanUp } = await prepare(protocol);
  const leave = (code: number): never => {
    cleanUp();
    process.exit(code);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => leave(130));
  whenNobodyReads(() => leave(0));
  headline(`Three processes, one state: ${protocol === 'raft' ? 'Raft' : 'Multi-Paxos'}`);
  fact('members', members.map(({ id, settings }) => `${bold(id)} ${dim(settings.members[id] ?? '')}`).join('  '));
  fact('data', dim(directory));
  try {
    return (await run(protocol, members)) ? 0 : 1;
  } catch (error) {
    console.error(red((error as Error).message));
    return 1;
  } finally {
    cleanUp();
  }
}

/** Reads the command line, and does what it asks for. Gives the exit code. */
function main(): number | Promise<number> {
  try {
    const { help, protocol } = asked();
    if (!help) return demonstrate(protocol);
    console.log(USAGE);
    return 0;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
}

process.exitCode = await main();
