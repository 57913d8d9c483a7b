/** What all stories but the first begin and end with: three members, clients that write, and the check at the end. */

import { Clients } from './clients.js';
import type { MemberProcess } from './cluster.js';
import type { Link } from './links.js';
import { bold, fact, headline } from './terminal.js';
import { leaderOf, pause, report, verify } from './watching.js';

export const CLIENTS = 12;

/** Members that run, and clients that write to them. */
export interface Stage {
  readonly members: readonly MemberProcess[];
  readonly links: readonly Link[];
  readonly clients: Clients;
}

/** What happens on a stage. Gives what took how long, as a row of the table. */
export type Story = (stage: Stage) => Promise<readonly [string, readonly number[]]>;

export function acknowledgedBy(clients: Clients): number {
  return clients.records.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
}

/** Starts the members, and clients that write for so many milliseconds before anything happens. */
export async function begin(
  members: readonly MemberProcess[],
  links: readonly Link[],
  writeFor: number,
): Promise<Stage> {
  await Promise.all(members.map((member) => member.start()));
  const clients = new Clients(members, CLIENTS);
  const leader = await leaderOf(members);
  fact('leader', `${bold(leader.id)} leads`);
  clients.start();
  await pause(writeFor);
  return { members, links, clients };
}

/** Does this on a stage, and lets the clients end, however that ends: nothing keeps the process from ending then. */
export async function playOn<T>({ clients }: Stage, play: () => Promise<T>): Promise<T> {
  try {
    return await play();
  } finally {
    await clients.stop();
  }
}

/** Tells a story from its beginning to the check. Gives whether all that was acknowledged is there, once. */
export async function tell(story: Story, members: readonly MemberProcess[], links: readonly Link[]): Promise<boolean> {
  const stage = await begin(members, links, 1000);
  const times = await playOn(stage, () => story(stage));
  headline('What is there, by a linearizable read on every member');
  return report(stage.clients, await verify(members, stage.clients), times);
}
