/**
 * The demo: three processes keep one replicated state through SIGKILL of whichever leads, twice, and of all three
 * at once. Ends with a check, on every member, that every acknowledged write is there and none took effect twice.
 *
 *     npm run demo
 *     npm run demo -- --protocol=multipaxos
 *     npm run demo -- outage
 *     npm run demo -- transfer
 *     npm run demo -- partition
 *     npm run demo -- compact
 *     npm run demo -- --help
 */

import { parseArgs } from 'node:util';
import type { Acknowledged, Clients } from './clients.js';
import { prepare, type MemberProcess, type Needs } from './cluster.js';
import { compactNeeds, runCompact } from './compact.js';
import type { MemberSettings } from './messages.js';
import { runOutage } from './outage.js';
import { runPartition } from './partition.js';
import { begin, CLIENTS, playOn, tell, type Story } from './stage.js';
import { bold, dim, fact, headline, red, whenNobodyReads } from './terminal.js';
import { runTransfer } from './transfer.js';
import { leaderOf, pause, report, statusOf, until, verify } from './watching.js';

const WRITE_FOR = 1500;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

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

async function killAll(members: readonly MemberProcess[]): Promise<void> {
  await Promise.all(members.map((member) => member.kill()));
  fact(red('SIGKILL'), 'to all three at once');
  await Promise.all(members.map((member) => member.start()));
  const leader = await leaderOf(members);
  fact('restart', `all three are back, and ${bold(leader.id)} leads`);
  await pause(WRITE_FOR / 2);
}

async function run(protocol: MemberSettings['protocol'], members: readonly MemberProcess[]): Promise<boolean> {
  const stage = await begin(members, [], WRITE_FOR);
  const { clients } = stage;
  const failovers: number[] = [];
  await playOn(stage, async () => {
    for (const round of [1, 2]) {
      headline(`Kill the leader, ${round === 1 ? 'once' : 'and once more'}`);
      failovers.push(await killLeader(members, clients));
    }
    headline('Kill everything');
    await killAll(members);
  });
  headline(`What ${protocol === 'raft' ? 'Raft' : 'Multi-Paxos'} kept, by a linearizable read on every member`);
  return report(clients, await verify(members, clients), ['failover times', failovers]);
}

const USAGE = `usage: npm run demo [-- [outage|transfer|partition|compact] [--protocol=raft|multipaxos]]

Starts three processes that keep one replicated state, and twelve clients that write to it. Kills the process
that leads with SIGKILL, twice, and then all three at once; then checks on every member that every acknowledged
write is there, and that none took effect twice. Takes about ten seconds. Data goes to a temporary folder, which
is removed in the end.

  outage                  kills nobody: the paths between the three swallow every byte for a while, without a
                          reset, and come back; first all of them, then those to one member. Does it with both
                          protocols, unless one is named, and takes about fifteen seconds with each
  transfer                kills nobody: restarts one after the other in order, while clients write; no request fails
  partition               kills nobody: the leader hears nobody, though it is heard; then two of three hear nobody
  compact                 the log is trimmed behind snapshots; a member that was away for longer than the others
                          keep theirs pulls one, under load; a restart applies only what follows one
  --protocol=raft         the three keep their state by Raft (this is the default)
  --protocol=multipaxos   by Multi-Paxos
  --help                  prints this and ends

Exits with 0 if nothing was lost, 1 if something was, 2 if it was called in another way than this.`;

type ProtocolName = MemberSettings['protocol'];

const STORIES = {
  outage: { story: runOutage, needs: { isLinked: true } },
  transfer: { story: runTransfer, needs: {} },
  partition: { story: runPartition, needs: { isLinked: true } },
  compact: { story: runCompact, needs: compactNeeds },
} satisfies Record<string, { readonly story: Story; readonly needs: Needs }>;
type StoryName = keyof typeof STORIES;

function isStory(name: string | undefined): name is StoryName {
  return name !== undefined && Object.hasOwn(STORIES, name);
}

interface Asked {
  readonly help: boolean;
  /** `null`: the first one, which kills. */
  readonly story: StoryName | null;
  readonly protocols: readonly ProtocolName[];
}

/** What the command line asks for. @throws if it cannot be understood */
function asked(): Asked {
  const options = { protocol: { type: 'string' }, help: { type: 'boolean', default: false } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const { protocol, help } = values;
  if (protocol !== undefined && protocol !== 'raft' && protocol !== 'multipaxos') {
    throw new Error(`--protocol: expected raft or multipaxos, got "${protocol}"`);
  }
  const [name, ...others] = positionals;
  const story = isStory(name) ? name : null;
  const unknown = story === null ? name : others[0];
  if (unknown !== undefined) {
    throw new Error(`expected ${Object.keys(STORIES).join(', ')} or nothing, got "${unknown}"`);
  }
  const usual: readonly ProtocolName[] = story === null ? ['raft'] : ['raft', 'multipaxos'];
  return { help, story, protocols: protocol === undefined ? usual : [protocol] };
}

/** One story with one protocol. Gives the exit code. */
async function demonstrate(protocol: ProtocolName, name: StoryName | null): Promise<number> {
  const { story, needs } = name === null ? { story: null, needs: {} } : STORIES[name];
  const { members, links, directory, cleanUp } = await prepare(protocol, needs);
  const leave = (code: number): never => {
    cleanUp();
    process.exit(code);
  };
  for (const signal of SIGNALS) process.removeAllListeners(signal).once(signal, () => leave(130));
  whenNobodyReads(() => leave(0));
  headline(`Three processes, one state: ${protocol === 'raft' ? 'Raft' : 'Multi-Paxos'}`);
  fact('members', members.map(({ id, settings }) => `${bold(id)} ${dim(settings.members[id] ?? '')}`).join('  '));
  fact('data', dim(directory));
  try {
    const ok = story === null ? await run(protocol, members) : await tell(story, members, links);
    return ok ? 0 : 1;
  } catch (error) {
    console.error(red((error as Error).message));
    return 1;
  } finally {
    cleanUp();
  }
}

async function demonstrateAll(protocols: readonly ProtocolName[], story: StoryName | null): Promise<number> {
  for (const protocol of protocols) {
    const code = await demonstrate(protocol, story);
    if (code !== 0) return code;
  }
  return 0;
}

/** Reads the command line, and does what it asks for. Gives the exit code. */
function main(): number | Promise<number> {
  try {
    const { help, story, protocols } = asked();
    if (!help) return demonstrateAll(protocols, story);
    console.log(USAGE);
    return 0;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
}

process.exitCode = await main();
