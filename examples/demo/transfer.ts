/** A rolling restart under load: each member closes in order, which hands the leadership over, and starts again. */

import type { Stage } from './stage.js';
import { bold, fact, headline } from './terminal.js';
import { leaderOf, pause, statusOf, until } from './watching.js';

const WRITE_FOR = 1000;

/** Gives the slowest write of each restart. */
export async function runTransfer({ members, clients }: Stage): Promise<readonly [string, readonly number[]]> {
  const slowest: number[] = [];
  headline('Each is restarted, while clients write');
  for (const member of members) {
    let worst = 0;
    clients.onAcknowledged = ({ begun, ended }) => {
      worst = Math.max(worst, ended - begun);
    };
    const before = await leaderOf(members);
    // Its clients go elsewhere, as those of a server that is taken out of service; what it was asked it still answers.
    clients.avoided = member.id;
    await member.close();
    const next = await leaderOf(members);
    const handed = before === member ? `, which led: ${bold(next.id)} leads` : '';
    fact('close', `${bold(member.id)}${handed}`);
    await member.start();
    const target = (await statusOf(next))?.commit ?? 0;
    await until(`${member.id} to catch up`, async () => ((await statusOf(member))?.applied ?? 0) >= target || null);
    clients.avoided = null;
    await pause(WRITE_FOR);
    fact('restart', `${bold(member.id)} is back; slowest write meanwhile ${bold(`${worst.toFixed(0)} ms`)}`);
    slowest.push(worst);
  }
  const failed = clients.records.reduce((sum, { unknown, without }) => sum + unknown.size + without.size, 0);
  fact('requests', `${bold(String(failed))} failed or are unknown to their client`);
  if (failed > 0) throw new Error(`${failed} requests failed in a rolling restart`);
  return ['slowest writes', slowest];
}
