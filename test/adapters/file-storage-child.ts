/**
 * A process that holds a file storage: `write <dir>` goes on with the calls of file-storage-calls.ts, a few
 * at a time, and says the number of each that is done; `hold <dir>` says `open` or an error's code. Both stay
 * until killed. `cluster <dir>` holds it in a worker of node:cluster, which dies when the input ends; then it says `dead`.
 */
import cluster from 'node:cluster';
import { writeSync } from 'node:fs';
import { fileStorage } from '../../src/adapters/file-storage/index.js';
import { callOf } from './file-storage-calls.js';

const DEPTH = 5;

const [, , mode, dir = ''] = process.argv;
const say = (line: string): number => writeSync(1, `${line}\n`);
const storage = fileStorage(dir, { segmentBytes: 32 * 1024 });

if (mode === 'cluster' && cluster.isPrimary) {
  const worker = cluster.fork();
  process.stdin.on('end', () => worker.process.kill('SIGKILL')).resume();
  worker.on('exit', () => say('dead'));
  setInterval(() => undefined, 1000); // the primary outlives its worker
  await new Promise(() => undefined);
}

try {
  const { values } = await storage.open();
  say('open');
  let nth = Number(Buffer.from(values.get('calls') ?? []).toString() || '0');
  const go = async (): Promise<void> => {
    for (;;) {
      const mine = ++nth;
      await storage.write(callOf(mine));
      say(String(mine));
    }
  };
  if (mode === 'write') await Promise.all(Array.from({ length: DEPTH }, go));
} catch (error) {
  say(String((error as { code?: unknown }).code));
}
// From here on only the input keeps the process alive, so it ends with its parent.
if (mode !== 'cluster') process.stdin.resume();
