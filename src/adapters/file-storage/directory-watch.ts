/**
 * Notices when the directory is deleted, or another one takes its name: what is written from then on would be gone with
 * the process, and the next start would find something else (storage/lost-directory-is-noticed).
 */
import { ConsensusError } from '../../replica/errors.js';
import type { Disk, DiskFile } from './disk.js';

/** Milliseconds between two looks: it is noticed within a second. */
const INTERVAL_MS = 500;

/** The file that is written, by its path. */
interface Watched {
  readonly current: { readonly path: string; readonly file: DiskFile };
}

/** Calls `lost` once, when `dir` or the file that is written is no longer what it was. @returns what ends it */
export function watchDirectory(
  disk: Disk,
  dir: string,
  identity: string,
  watched: Watched,
  lost: (error: ConsensusError) => void,
): () => void {
  let looking = false;
  const stop = disk.every(INTERVAL_MS, () => {
    if (looking) return;
    looking = true;
    void whatIsLost(disk, dir, identity, watched).then((what) => {
      looking = false;
      if (what === undefined) return;
      stop();
      lost(new ConsensusError(what, { code: 'ERR_STORAGE_FAILED' }));
    });
  });
  return stop;
}

async function whatIsLost(disk: Disk, dir: string, identity: string, watched: Watched): Promise<string | undefined> {
  if (!(await isStill(disk, dir, identity))) return `${dir} was deleted or replaced`;
  const { path, file } = watched.current;
  const own = await file.identity().catch(() => undefined);
  // A rotation may have closed it meanwhile.
  if (own === undefined || watched.current.file !== file || (await isStill(disk, path, own))) return undefined;
  return `${path} was deleted or replaced`;
}

/** Whether the path names what it did. What cannot be looked at now is looked at again. */
async function isStill(disk: Disk, path: string, identity: string): Promise<boolean> {
  try {
    return (await disk.identity(path)) === identity;
  } catch (error) {
    const { code } = error as { code?: unknown };
    return code !== 'ENOENT' && code !== 'ENOTDIR';
  }
}
