/**
 * `node test/together.mjs <script> … [-- <script>]`: runs these scripts of package.json at the same time. What each has
 * said is printed when it is over; the one after `--` prints it at once. Exits with 1 if any failed.
 */

import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

async function run(script) {
  const child = spawn('npm', ['run', '--silent', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve, reject) => child.on('exit', resolve).on('error', reject));
  const [code, said, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { script, code, said, errors };
}

function runAloud(script) {
  const child = spawn('npm', ['run', '--silent', script], { stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => resolve({ script, code, said: '', errors: '' })).on('error', reject);
  });
}

function report({ script, code, said, errors }) {
  process.stdout.write(said);
  process.stderr.write(errors);
  if (code === 0) return;
  console.error(`npm run ${script} failed`);
  process.exitCode = 1;
}

const scripts = process.argv.slice(2);
const [aloud] = scripts.includes('--') ? scripts.splice(scripts.indexOf('--')).slice(1) : [];
const silent = scripts.map(run);
// What the others have said would be lost in the middle of what is printed meanwhile.
if (aloud !== undefined) report(await runAloud(aloud));
for (const each of silent) report(await each);
