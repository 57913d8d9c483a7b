/** Partial partitions: the leader hears nobody, though everybody hears it; then two of three hear nobody. */

import type { MemberProcess } from './cluster.js';
import type { Link } from './links.js';
import { acknowledgedBy, type Stage } from './stage.js';
import { bold, fact, headline, red } from './terminal.js';
import { leaderOf, pause, until } from './watching.js';

const WRITE_FOR = 1000;
const PARTITION = 5000;

function linkTo(links: readonly Link[], { id }: MemberProcess): Link {
  return links.find(({ to }) => to === id) as Link;
}

/** The leader becomes deaf. Gives the time until another one leads and a write is acknowledged. */
async function deafLeader({ members, links, clients }: Stage): Promise<number> {
  const leader = await leaderOf(members);
  const others = members.filter((member) => member !== leader);
  clients.avoided = leader.id;
  await pause(WRITE_FOR / 4);
  linkTo(links, leader).isDead = true;
  const cut = performance.now();
  fact(red('cut'), `the paths to ${bold(leader.id)}, which leads and is heard`);
  const next = await until('another leader', async () => {
    const found = await leaderOf(others).catch(() => null);
    return found;
  });
  const took = await new Promise<number>((resolve) => {
    clients.onAcknowledged = ({ ended }) => resolve(ended - cut);
  });
  fact('leader', `${bold(next.id)} leads; writes are acknowledged ${bold(`${took.toFixed(0)} ms`)} after the cut`);
  linkTo(links, leader).isDead = false;
  clients.avoided = null;
  await pause(WRITE_FOR);
  return took;
}

/** Two of three become deaf: nothing is acknowledged. Gives the time from the return to the first write. */
async function deafMajority({ members, links, clients }: Stage): Promise<number> {
  const leader = await leaderOf(members);
  const cut = members.filter((member) => member !== leader).map((member) => linkTo(links, member));
  for (const link of cut) link.isDead = true;
  await pause(WRITE_FOR / 4);
  const before = acknowledgedBy(clients);
  fact(red('cut'), `the paths to ${bold(cut.map(({ to }) => to).join(' and '))}`);
  await pause(PARTITION);
  fact(
    'partition',
    `${bold(String(acknowledgedBy(clients) - before))} writes were acknowledged in ${PARTITION / 1000} s`,
  );
  const first = new Promise<number>((resolve) => {
    clients.onAcknowledged = ({ ended }) => resolve(ended);
  });
  for (const link of cut) link.isDead = false;
  const back = performance.now();
  const took = (await first) - back;
  fact('return', `first acknowledged write ${bold(`${took.toFixed(0)} ms`)} after the paths came back`);
  await pause(WRITE_FOR);
  return took;
}

/** Gives how long each took. */
export async function runPartition(stage: Stage): Promise<readonly [string, readonly number[]]> {
  headline('The leader hears nobody');
  const one = await deafLeader(stage);
  headline('Two of three hear nobody');
  const two = await deafMajority(stage);
  return ['until writes went on', [one, two]];
}
