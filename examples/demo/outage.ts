/** A silent outage and its end: the paths swallow every byte, without a reset, and come back. Nobody is killed. */

import type { Clients } from './clients.js';
import type { MemberProcess } from './cluster.js';
import type { Link } from './links.js';
import { acknowledgedBy, type Stage } from './stage.js';
import { bold, fact, headline, red } from './terminal.js';
import { leaderOf, pause, statusOf, until } from './watching.js';

const WRITE_FOR = 1000;
/** Long enough to be noticed, and shorter than a request is waited for. */
const OUTAGE = 4000;

/** Cuts all paths. Gives the time from their return to the first acknowledged write. */
async function cutAll(links: readonly Link[], clients: Clients): Promise<number> {
  for (const link of links) link.isDead = true;
  // What had arrived is still answered.
  await pause(WRITE_FOR / 4);
  const before = acknowledgedBy(clients);
  fact(red('cut'), `all paths swallow every byte; ${bold(String(before))} writes are acknowledged`);
  await pause(OUTAGE);
  const first = new Promise<number>((resolve) => {
    clients.onAcknowledged = ({ ended }) => resolve(ended);
  });
  fact('outage', `${bold(String(acknowledgedBy(clients) - before))} more were acknowledged in ${OUTAGE / 1000} s`);
  for (const link of links) link.isDead = false;
  const back = performance.now();
  const took = (await first) - back;
  fact('return', `first acknowledged write ${bold(`${took.toFixed(0)} ms`)} after the paths came back`);
  await pause(WRITE_FOR);
  return took;
}

/** Cuts the paths to one follower, which hears nobody and is heard. Gives the time until it has caught up. */
async function cutOne(members: readonly MemberProcess[], links: readonly Link[], clients: Clients): Promise<number> {
  const leader = await leaderOf(members);
  const follower = members.find((member) => member !== leader) as MemberProcess;
  const link = links.find(({ to }) => to === follower.id) as Link;
  // Whoever asked it would wait until the paths are back.
  clients.avoided = follower.id;
  await pause(WRITE_FOR / 4);
  const before = acknowledgedBy(clients);
  link.isDead = true;
  fact(red('cut'), `the paths to ${bold(follower.id)} swallow every byte, while ${bold(leader.id)} leads`);
  await pause(OUTAGE);
  fact('outage', `${bold(String(acknowledgedBy(clients) - before))} more were acknowledged in ${OUTAGE / 1000} s`);
  const target = (await statusOf(leader))?.commit ?? 0;
  link.isDead = false;
  const back = performance.now();
  await until(`${follower.id} to catch up`, async () => ((await statusOf(follower))?.applied ?? 0) >= target || null);
  const took = performance.now() - back;
  clients.avoided = null;
  const now = await leaderOf(members);
  fact('return', `${bold(follower.id)} caught up in ${bold(`${took.toFixed(0)} ms`)}; ${bold(now.id)} leads`);
  return took;
}

/** Gives the times after the return. */
export async function runOutage({ members, links, clients }: Stage): Promise<readonly [string, readonly number[]]> {
  headline('All paths die without a word');
  const all = await cutAll(links, clients);
  headline('The paths to one member die without a word');
  const one = await cutOne(members, links, clients);
  return ['after the return', [all, one]];
}
