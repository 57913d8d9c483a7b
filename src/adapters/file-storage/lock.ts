/**
 * The lock of a directory: a listening socket in it. The kernel closes the socket when its process ends in any way, so
 * a socket that refuses connections belonged to a dead holder. Every container that shares the volume sees the socket's
 * name, while process ids and abstract sockets are local to one. On Windows the lock is a named pipe of the real path.
 *
 * Every contender first listens under a random name that is never used again, then shows itself by renaming the socket
 * to `lock-…`, and only then looks at the others. It holds the lock when it has seen no other living one. There cannot
 * be two holders: the one that showed itself later would have seen the earlier one. As names are never used again, a
 * dead socket can be removed at any time, and no stale lock is ever taken over. Contenders that meet decide by name:
 * each answers 'h' (held) or 't' (trying) to the other; the lower name waits, the higher one yields.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, readdir, realpath, rename, rm, symlink, unlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DiskLock } from './disk.js';

const HIDDEN = 'lock-new-';
const SHOWN = 'lock-';
/** The longest path of a socket on every Unix, without the final zero (macOS: 104 with it, Linux: 108). */
const MAX_PATH_BYTES = 103;
/** Milliseconds without an answer after which a holder that accepts connections counts as alive but stopped. */
const ANSWER_MS = 1000;
const ASK_AGAIN_MS = 5;
/** Milliseconds that this contender waits for one that is stopped. */
const PATIENCE_MS = 2000;

type LockAnswer = 'held' | 'trying' | 'dead';

/** Locks `dir`; resolves with `undefined` when another contender holds it. */
export function lockDirectory(dir: string): Promise<DiskLock | undefined> {
  return process.platform === 'win32' ? lockByPipe(dir) : lockBySocket(dir);
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Exclusive: in a worker of node:cluster the primary would listen in its place, and the lock outlive its holder.
    server.listen({ path, exclusive: true }, () => {
      server.off('error', reject);
      server.on('error', () => undefined); // failing to accept a connection is the asker's trouble
      server.unref(); // the lock keeps no process alive
      resolve();
    });
  });
}

function closing(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

async function lockByPipe(dir: string): Promise<DiskLock | undefined> {
  const name = createHash('sha256')
    .update((await realpath(dir)).toLowerCase())
    .digest('hex');
  const server = createServer((socket) => socket.destroy());
  try {
    await listen(server, `\\\\.\\pipe\\quorate-${name}`);
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE' || codeOf(error) === 'EACCES') return undefined;
    throw error;
  }
  return { release: () => closing(server) };
}

async function lockBySocket(dir: string): Promise<DiskLock | undefined> {
  const id = randomBytes(12).toString('hex');
  let held = false;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.unref();
    socket.end(held ? 'h' : 't', () => socket.destroy());
  });
  const release = async () => {
    await unlink(join(dir, SHOWN + id)).catch(() => undefined); // a dead lock's name does no harm
    await closing(server);
  };
  const short = await shorten(dir);
  try {
    await listen(server, join(short.path, HIDDEN + id));
    if (await show(dir, id)) held = await outbid(dir, short.path, SHOWN + id);
  } catch (error) {
    await release();
    throw error;
  } finally {
    await short.release();
  }
  if (held) return { release };
  await release();
  return undefined;
}

/** @returns false when a holder removed our socket as a dead one, since it was bound but did not listen yet */
async function show(dir: string, id: string): Promise<boolean> {
  try {
    await rename(join(dir, HIDDEN + id), join(dir, SHOWN + id));
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** A path to `dir` that is short enough for a socket in it. */
async function shorten(dir: string): Promise<{ path: string; release(): Promise<void> }> {
  const longest = Buffer.byteLength(join(dir, HIDDEN + 'x'.repeat(24)));
  if (longest <= MAX_PATH_BYTES) return { path: dir, release: () => Promise.resolve() };
  if (process.platform === 'linux') {
    const handle = await open(dir, 'r');
    return { path: `/proc/self/fd/${handle.fd}`, release: () => handle.close() };
  }
  const link = await mkdtemp(join(tmpdir(), 'q-'));
  const release = () => rm(link, { recursive: true, force: true });
  await symlink(dir, join(link, 'd'));
  return { path: join(link, 'd'), release };
}

/** Asks all others until it is clear who holds the lock. @returns whether it is `own` */
async function outbid(dir: string, short: string, own: string): Promise<boolean> {
  const patience = performance.now() + PATIENCE_MS;
  for (;;) {
    const others = (await readdir(dir)).filter((name) => name.startsWith(SHOWN) && name !== own);
    const dead: string[] = [];
    let waiting = false;
    for (const other of others) {
      const answer = await ask(join(short, other));
      // A hidden one has not looked at the others yet, so it will see us.
      if (answer === 'dead') dead.push(other);
      else if (other.startsWith(HIDDEN)) continue;
      else if (answer === 'held' || other < own) return false;
      else waiting = true;
    }
    if (!waiting) {
      for (const name of dead) await unlink(join(dir, name)).catch(() => undefined);
      return true;
    }
    if (performance.now() > patience) return false;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

function ask(path: string): Promise<LockAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const timer = setTimeout(() => end('held'), ANSWER_MS);
    const end = (answer: LockAnswer) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.on('data', (bytes) => end(bytes[0] === 't'.charCodeAt(0) ? 'trying' : 'held'));
    // It closed without an answer: it is releasing its lock, or is no lock. Ask again, or yield.
    socket.on('end', () => end('trying'));
    socket.on('error', (error) => {
      const code = codeOf(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT' || code === 'ENOTSOCK') end('dead');
      // A full queue of connections belongs to somebody alive; one closed on us is asked again.
      else if (code === 'EAGAIN' || code === 'EACCES') end('held');
      else if (code === 'ECONNRESET' || code === 'EPIPE') end('trying');
      else {
        clearTimeout(timer);
        reject(error);
      }
    });
  });
}
