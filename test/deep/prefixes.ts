/** The scenarios as beginnings of simulated runs: what a script reaches, chance may go on from. */

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { multipaxosModel } from 'quorate/multipaxos';
import { raftModel } from 'quorate/raft';
import { parseScenario, runScenario, type Prefix } from 'quorate/testing';

/** @param folder of the scenarios, as a URL that ends in a slash */
export function prefixesOf(protocol: string, folder: URL): readonly Prefix[] {
  return readdirSync(fileURLToPath(folder)).flatMap((name): readonly Prefix[] => {
    if (!name.endsWith('.scenario')) return [];
    const { header, ...scenario } = parseScenario(readFileSync(new URL(name, folder), 'utf8'));
    if (header.protocol !== protocol) return [];
    const { actions } = runScenario({ header, ...scenario }, [raftModel, multipaxosModel]);
    const { replicas, program, established, timing, limits, constants } = header;
    return [{ world: { replicas, program, established, constants, tuning: { timing, limits } }, actions }];
  });
}
