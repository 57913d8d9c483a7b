/**
 * The process rig from the command line; exits with 1 when it found something.
 *
 *     node .build/programs/process-rig.js [--seed 1] [--minutes 1 | --rounds 10] [--protocol both|raft|multipaxos]
 *       [--keep folder] [--json file]
 */

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeSummary, runProcessRig } from '../process-rig/rig.js';

const program = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    rounds: { type: 'string' },
    steps: { type: 'string' },
    protocol: { type: 'string', default: 'both' },
    keep: { type: 'string' },
    json: { type: 'string' },
  },
});
const { protocol, minutes, rounds, steps, keep } = values;
if (protocol !== 'both' && protocol !== 'raft' && protocol !== 'multipaxos') {
  throw new RangeError(`--protocol: expected both, raft or multipaxos, got ${protocol}`);
}
const summary = await runProcessRig({
  programs: { member: program('./process-rig-member.js'), reaper: program('./process-rig-reaper.js') },
  seed: Number(values.seed),
  protocol,
  ...(rounds === undefined ? { minutes: Number(minutes ?? '1') } : { rounds: Number(rounds) }),
  ...(steps === undefined ? {} : { steps: Number(steps) }),
  ...(keep === undefined ? {} : { keep }),
  progress: (line) => process.stdout.write(`${line}\n`),
});
process.stdout.write(`${describeSummary(summary)}\n`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(summary, null, 2)}\n`);
process.exitCode = summary.violations.length > 0 ? 1 : 0;
