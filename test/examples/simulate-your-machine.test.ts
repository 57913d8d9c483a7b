/** The example that users copy: it finds the bug planted in it, and shows it in a run that can be kept. */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { multipaxosModel } from 'quorate/multipaxos';
import { raftModel } from 'quorate/raft';
import { parseScenario, runScenario } from 'quorate/testing';
import { audit, Bank, MendedBank } from '../../examples/simulate-your-machine/bank.js';

const PROGRAM = fileURLToPath(new URL('../../.build/simulate-your-machine/main.js', import.meta.url));

function run(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [PROGRAM, ...args], (_, out, errors) => {
      resolve({ code: child.exitCode, output: out + errors });
    });
  });
}

/** The scenario in what it printed: from its header to the violation. */
function scenarioIn(output: string): string {
  return output.slice(output.indexOf('protocol: '), output.indexOf('The mended bank'));
}

describe('simulate-your-machine', () => {
  it('is built', () => expect(existsSync(PROGRAM), 'run `npm run build` first').toBe(true));

  it.each([
    ['raft', raftModel],
    ['multipaxos', multipaxosModel],
  ] as const)(
    'with %s finds the planted bug, and none once it is mended',
    async (protocol, model) => {
      const { code, output } = await run(['--protocol', protocol, '--schedules', '12']);
      expect(output).toMatch(/^seed \d+ breaks it: .*money is conserved: the accounts hold \d+, the bank \d+$/m);
      expect(output).toMatch(/^12 schedules, \d+ commands took effect, nothing broke$/m);
      expect(code).toBe(0);
      const scenario = scenarioIn(output);
      const machine = (create: () => Bank) => ({ create, check: (bank: Bank) => audit(bank.snapshot()) });
      expect(runScenario(scenario, model, { machine: machine(() => new Bank()) }).failure?.kind).toBe('violation');
      expect(runScenario(scenario, model, { machine: machine(() => new MendedBank()) }).failure).toBeNull();
      // An account, money on it, and a transfer to where there is none: nothing else.
      const commands = parseScenario(scenario).lines.filter(({ text }) => text.startsWith('propose'));
      const kinds = new Set(commands.map(({ text }) => /"kind":"(\w+)"/.exec(text)?.[1]));
      expect([...kinds]).toEqual(['open', 'deposit', 'transfer']);
      expect(commands.length).toBeLessThan(5);
    },
    120_000,
  );

  it('refuses what it does not know', async () => {
    expect((await run(['--protocol', 'zab'])).code).toBe(1);
  });
});
