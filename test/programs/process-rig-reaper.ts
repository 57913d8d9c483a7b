/**
 * Ends what the process rig leaves behind when it dies without a word. It is told on its input `process <pid>`,
 * `gone <pid>` and `folder <path>`, and acts when the input ends, which it does however the rig ends. A member that is
 * stopped by SIGSTOP could not notice by itself.
 */

import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

const processes = new Set<number>();
const folders: string[] = [];

// Ctrl-C reaches the whole group: this one has work to do after it.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

for await (const line of createInterface({ input: process.stdin })) {
  const [word, rest = ''] = line.split(/ (.*)/, 2);
  if (word === 'process') processes.add(Number(rest));
  else if (word === 'gone') processes.delete(Number(rest));
  else if (word === 'folder') folders.push(rest);
}
for (const pid of processes) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
