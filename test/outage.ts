/**
 * Silent outages of a cluster, in real time: paths swallow everything for so long, without a reset, and live again. What
 * is promised afterwards holds for the timing that ships (transport/dead-path).
 */

import { pass, until } from './process-rig/conditions.js';

/** Milliseconds: of all paths until something commits; of a member until it is heard again, without another term. */
export const BOUNDS = { all: 6000, one: 2000 } as const;

const PATIENCE = 60_000;

/** What a member says of itself. */
export interface Hearing {
  readonly leading: boolean;
  readonly term: number;
  readonly leader: string | null;
  readonly connected: readonly string[];
}

type Awaitable<T> = T | Promise<T>;

/** A cluster whose paths can be silenced. */
export interface Silenceable {
  readonly ids: readonly string[];
  /** Of one that cannot say it now there is none. */
  hearings(): Awaitable<ReadonlyMap<string, Hearing>>;
  /** The paths from and to these are silent from now on. */
  silence(ids: readonly string[]): Awaitable<void>;
  heal(): Awaitable<void>;
  /** Resolves when something commits that is proposed from now on: there, or anywhere. */
  commits(at: string | null): Promise<unknown>;
}

/** @returns how many milliseconds after the heal something commits that is proposed then */
export async function allSilent(cluster: Silenceable, seconds: number): Promise<number> {
  await cluster.silence(cluster.ids);
  await pass(seconds * 1000);
  await until(PATIENCE, 'the loss of all paths', async () => {
    const said = [...(await cluster.hearings()).values()];
    return said.length === cluster.ids.length && said.every(({ connected }) => connected.length === 0)
      ? true
      : undefined;
  });
  await cluster.heal();
  const healed = performance.now();
  await cluster.commits(null);
  return performance.now() - healed;
}

/**
 * Silences one that does not lead.
 *
 * @returns how many milliseconds after the heal its leader hears it, and it its leader
 * @throws when that is another leader, or another term
 */
export async function oneSilent(cluster: Silenceable, seconds: number): Promise<number> {
  const [leader, { term }] = await until(PATIENCE, 'a leader', async () =>
    [...(await cluster.hearings())].find(([, { leading }]) => leading),
  );
  const silent = cluster.ids.find((id) => id !== leader) as string;
  /** Whether the two hear each other: `undefined` while only one of them says so. */
  const areJoined = async (): Promise<boolean | undefined> => {
    const said = await cluster.hearings();
    const isHeard = said.get(leader)?.connected.includes(silent);
    const follows = said.get(silent)?.leader === leader;
    return isHeard === follows ? follows : undefined;
  };
  const wait = (what: string, areSo: boolean): Promise<true> =>
    until(PATIENCE, what, async () => ((await areJoined()) === areSo ? true : undefined));
  await cluster.silence([silent]);
  await pass(seconds * 1000);
  await wait(`the loss of ${silent}`, false);
  await cluster.heal();
  const healed = performance.now();
  await wait(`the return of ${silent}`, true);
  const took = performance.now() - healed;
  await cluster.commits(silent);
  const now = (await cluster.hearings()).get(leader);
  if (now?.leading !== true || now.term !== term) throw new Error(`${silent} came back, and ${leader} was deposed`);
  return took;
}
