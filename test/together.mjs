/**
 * `node test/together.mjs <script> …`: runs these scripts of package.json at the same time, and prints what each has
 * said when it is over. Exits with 1 if any failed.
 */

import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

async function run(script) {
  const child = spawn('npm', ['run', '--silent', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve, reject) => child.on('exit', resolve).on('error', reject));
  const [code, said, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  process.stdout.write(said);
  process.stderr.write(errors);
  if (code === 0) return;
  console.error(`npm run ${script} failed`);
  process.exitCode = 1;
}

await Promise.all(process.argv.slice(2).map(run));
