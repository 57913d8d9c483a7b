/**
 * The log is trimmed: a cluster that has grown without snapshots gets them, and its files shrink; a member that was
 * away for longer than the others keep their log comes back by snapshot, under load; a restart applies only what
 * follows one.
 */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { MemberProcess, Needs } from './cluster.js';
import type { MemberStatus, SnapshotTold } from './messages.js';
import type { Stage } from './stage.js';
import { bold, dim, fact, headline, red } from './terminal.js';
import { leaderOf, statusOf, until } from './watching.js';

/** Entries from one snapshot to the next: few, so that it shows within seconds. */
const EVERY = 300;
/** Entries of the log before there are snapshots: several times what is kept with them. */
const GROWN = 6 * EVERY;

/** The members begin without snapshots, with a log of small files. */
export const compactNeeds: Needs = { settings: { snapshotEvery: null, segmentBytes: 8 * 1024 } };

/** What each member told of its snapshots, in order. */
type Told = ReadonlyMap<MemberProcess, SnapshotTold[]>;

function takenBy(told: Told, member: MemberProcess): number {
  return told.get(member)?.filter(({ event }) => event === 'taken').length ?? 0;
}

/** Keeps what the members tell from now on. */
function listen(members: readonly MemberProcess[]): Told {
  const told = new Map(members.map((member) => [member, [] as SnapshotTold[]]));
  for (const [member, list] of told) member.onSnapshot = (each) => void list.push(each);
  return told;
}

/** The status of a member that runs, once it is as it shall be. */
function statusWhen(
  member: MemberProcess,
  what: string,
  isSo: (status: MemberStatus) => boolean,
): Promise<MemberStatus> {
  return until(`${member.id} ${what}`, async () => {
    const status = await statusOf(member);
    return status !== null && isSo(status) ? status : null;
  });
}

function bytesOn({ settings }: MemberProcess): number {
  let bytes = 0;
  for (const name of readdirSync(settings.directory)) {
    // What is listed may be gone by now.
    bytes += statSync(join(settings.directory, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(0)} kB`;
}

/** Tells what a member keeps. Gives the bytes of its directory. */
function tellKept(member: MemberProcess, { first, last, snapshots }: MemberStatus): number {
  const bytes = bytesOn(member);
  const kept = `${snapshots.length} snapshots${snapshots.length === 0 ? '' : dim(` at ${snapshots.join(' and ')}`)}`;
  fact('disk', `${bold(member.id)} has the log from ${first} to ${last}, ${kept}: ${bold(kilobytes(bytes))}`);
  return bytes;
}

/** Lets the log grow, and then restarts each member with snapshots, under load. */
async function shrink({ members, clients }: Stage, told: Told): Promise<void> {
  headline('The log grows without snapshots, and shrinks with them');
  const before = new Map<MemberProcess, { readonly last: number; readonly bytes: number }>();
  for (const member of members) {
    const status = await statusWhen(member, `to have ${GROWN} entries`, ({ last }) => last >= GROWN);
    if (status.first !== 1) throw new Error(`${member.id} has lost its log up to ${status.first}, without snapshots`);
    before.set(member, { last: status.last, bytes: tellKept(member, status) });
  }
  for (const member of members) {
    clients.avoided = member.id;
    await member.close();
    member.settings = { ...member.settings, snapshotEvery: EVERY };
    await member.start();
    const target = (await statusOf(await leaderOf(members)))?.commit ?? 0;
    const { commands, applied } = await statusWhen(member, 'to catch up', (status) => status.applied >= target);
    clients.avoided = null;
    const replayed = `${bold(String(commands))} commands to reach ${applied}`;
    fact('restart', `${bold(member.id)} takes one every ${EVERY} entries from now on; it applied ${replayed}`);
  }
  for (const [member, { last, bytes }] of before) {
    // Files go when the log goes on in a new one, so a little later than entries do.
    const isTrimmed = ({ first, snapshots }: MemberStatus): boolean =>
      first > last && snapshots.length === 2 && takenBy(told, member) >= 2 && bytesOn(member) < (2 / 3) * bytes;
    tellKept(member, await statusWhen(member, 'to keep two snapshots and a third less on disk', isTrimmed));
  }
}

/** Kills a follower until nobody has the log that it would need. Gives how long it then takes until it is level. */
async function comeBack({ members }: Stage, told: Told): Promise<number> {
  headline('A member is away for longer than the others keep their log');
  const leader = await leaderOf(members);
  const away = members.find((member) => member !== leader) as MemberProcess;
  const others = members.filter((member) => member !== away);
  await away.kill();
  // It has nothing that the leader does not have.
  const { last } = await statusWhen(leader, 'to answer', () => true);
  fact(red('SIGKILL'), `to ${bold(away.id)}, whose log ends at ${last} at most`);
  const before = new Map(others.map((member) => [member, takenBy(told, member)]));
  for (const [member, taken] of before) {
    const since = (): number => takenBy(told, member) - taken;
    const isTrimmed = ({ first }: MemberStatus): boolean => first > last + 1 && since() >= 2;
    const { first } = await statusWhen(member, 'to trim what the other one needs', isTrimmed);
    fact('trimmed', `${bold(member.id)} took ${since()} snapshots meanwhile; its log begins at ${bold(String(first))}`);
  }
  const heard = told.get(away) as SnapshotTold[];
  heard.length = 0;
  const began = performance.now();
  await away.start();
  const target = (await statusWhen(await leaderOf(others), 'to answer', () => true)).commit;
  const level = await statusWhen(away, 'to be level', ({ applied }) => applied >= target);
  const took = performance.now() - began;
  const pulling = heard.find(({ event }) => event === 'pulling');
  const installed = heard.find(({ event }) => event === 'installed');
  if (pulling === undefined || installed === undefined || installed.index <= last) {
    throw new Error(`${away.id} is level without a snapshot of a peer`);
  }
  fact('pulling', `${bold(away.id)} pulls the snapshot at ${pulling.index} from ${bold(pulling.peer ?? '')}`);
  const { index, bytes, took: pulled } = installed;
  fact('installed', `it has the one at ${index}, ${kilobytes(bytes)}, ${pulled.toFixed(0)} ms after it asked for one`);
  const applied = `applied ${level.commands} commands to reach ${level.applied}`;
  fact('level', `${bold(`${took.toFixed(0)} ms`)} after its process was started, under load; it ${applied}`);
  return took;
}

/** Kills all, and starts them again. Gives how long each took until it was level. */
async function restart({ members, clients }: Stage, told: Told): Promise<readonly number[]> {
  headline('A restart applies only what follows the snapshot');
  // A member that is behind those that went on may pull another snapshot: with nobody writing it has only its own.
  await clients.stop();
  const target = (await statusWhen(await leaderOf(members), 'to answer', () => true)).commit;
  for (const member of members) await statusWhen(member, 'to have it all', ({ applied }) => applied >= target);
  await Promise.all(members.map((member) => member.kill()));
  fact(red('SIGKILL'), 'to all three at once');
  for (const list of told.values()) list.length = 0;
  const began = performance.now();
  await Promise.all(members.map((member) => member.start()));
  const took: number[] = [];
  for (const member of members) {
    const status = await statusWhen(member, `to reach ${target}`, ({ applied }) => applied >= target);
    took.push(performance.now() - began);
    const restored = told.get(member)?.find(({ event }) => event === 'restored');
    const most = status.applied - (restored?.index ?? 0);
    if (restored === undefined || status.commands > most) {
      throw new Error(`${member.id} applied ${status.commands} commands, ${most} lie behind its snapshot`);
    }
    const { commands, applied } = status;
    const then = `applied ${bold(String(commands))} commands to reach ${applied}`;
    fact('restart', `${bold(member.id)} restored the snapshot at ${restored.index}, and ${then}`);
  }
  return took;
}

/** Gives how long who came back took until it was level: the one that was away, and all after a restart. */
export async function runCompact(stage: Stage): Promise<readonly [string, readonly number[]]> {
  const told = listen(stage.members);
  await shrink(stage, told);
  const away = await comeBack(stage, told);
  return ['until level', [away, ...(await restart(stage, told))]];
}
