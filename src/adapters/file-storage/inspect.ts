/**
 * `inspectStorage` and `verifyStorage`: what is in a directory, and what of it does not verify, without changing a byte
 * and without the lock, so also beside a running replica. That one writes meanwhile: watermarks are read before the
 * groups that they vouch for, and a problem counts only if a second look finds it in the same place.
 */
import { Malformed } from '../../core/bytes.js';
import type { Member } from '../../core/members.js';
import { decodeIdentity, IDENTITY_KEY } from '../../replica/driver/stored-identity.js';
import { ConsensusError, invalidArgument, problemOf } from '../../replica/errors.js';
import type { StorageProblem } from '../../replica/errors.js';
import type { StoredRun } from '../../replica/storage.js';
import { BlockIndex } from './block-index.js';
import { failed, letGo } from './disk-io.js';
import type { Disk } from './disk.js';
import { LOG_START, segmentName, segmentOf } from './format.js';
import type { SegmentHeader } from './format.js';
import { lookAtSnapshots } from './inspect-snapshots.js';
import type { NamedSnapshot } from './inspect-snapshots.js';
import { nodeDisk } from './node-disk.js';
import { chainOf, readHeader, readWatermark, replayInto } from './recovery.js';
import type { ReplayedLog } from './recovery.js';
import { isSealedAt, scanDroppingTornTail, scanSealed } from './scan.js';
import { TermRuns } from './term-runs.js';

export type { StorageProblem };

/** One file of the log. */
export interface SegmentReport {
  readonly file: string;
  readonly bytes: number;
  /** Its first write group, and its last one that verifies. */
  readonly firstGroup: number;
  readonly lastGroup: number;
  /** Where its groups end. */
  readonly end: number;
  /** Whether it is complete and says so. */
  readonly sealed: boolean;
  /** The last write group that is known to have been synced; 0 if none is but the first. */
  readonly vouched: number;
}

/** Whose data it is; null in the report where none was written yet, or it cannot be read. */
export interface StoredOwner {
  readonly id: string;
  readonly incarnation: number;
  readonly cluster: string;
  readonly protocol: string;
  /** The members of the first configuration. */
  readonly members: readonly Member[];
}

/** What is in a directory of a file storage. */
export interface StorageReport {
  readonly directory: string;
  readonly owner: StoredOwner | null;
  /** How often it was opened. */
  readonly boot: number;
  /** The lowest and the highest stored index; 0 and 0 when there is no entry. */
  readonly first: number;
  readonly last: number;
  /** The terms (Multi-Paxos: ballots) of the entries, ascending by index. */
  readonly runs: readonly StoredRun[];
  /** The small values, by key. */
  readonly values: readonly { readonly key: string; readonly bytes: number }[];
  readonly segments: readonly SegmentReport[];
  /** Those that the log names, newest first. */
  readonly snapshots: readonly NamedSnapshot[];
  /** A last write group that is torn, or being written: nothing vouches for it. */
  readonly torn: StorageProblem | null;
  /** The first thing in each file that does not verify. */
  readonly problems: readonly StorageProblem[];
  /** All of it, for people. */
  readonly text: string;
}

/**
 * Whether all that was acknowledged verifies, in the log and in the snapshots that it names. Of groups above the last
 * watermark (`SegmentReport.vouched`) only what is there is known, not what is cut off.
 */
export interface StorageVerdict {
  readonly sound: boolean;
  readonly problems: readonly StorageProblem[];
  readonly torn: StorageProblem | null;
  readonly text: string;
}

const NO_CHAIN = { needed: [], faults: [] } as const;

/** How often a directory is looked at again that changes meanwhile. */
const LOOKS = 20;

type Look = Omit<StorageReport, 'text'>;

/** One look at the directory; undefined if the log moved on meanwhile. */
async function look(disk: Disk, directory: string): Promise<Look | undefined> {
  const names = await disk.readdir(directory);
  const numbers = names
    .map(segmentOf)
    .filter((number) => number !== undefined)
    .sort((a, b) => a - b);
  if (numbers.length === 0) throw invalidArgument(`${directory} holds no log of a file storage`);
  const replayed: ReplayedLog = { values: new Map(), index: new BlockIndex(), terms: new TermRuns(), boot: 0 };
  const problems: StorageProblem[] = [];
  const headers = new Map<number, SegmentHeader>();
  for (const number of numbers) {
    const header = await noting(problems, () => readHeader(disk, directory, number));
    if (header !== undefined) headers.set(number, header);
  }
  const segments: SegmentReport[] = [];
  let torn: StorageProblem | null = null;
  const { needed, faults } = headers.size === 0 ? NO_CHAIN : chainOf(disk, directory, [...headers.values()]);
  for (const fault of faults) {
    const problem = problemOf(fault) as StorageProblem;
    if (problems.every(({ file }) => file !== problem.file)) problems.push(problem);
  }
  for (const header of needed) {
    const next = headers.get(header.segment + 1);
    const isLast = header.segment === numbers[numbers.length - 1];
    const seen = await lookAtSegment(disk, directory, header, next, replayed, problems);
    if (seen === 'moved on' && isLast) return undefined;
    if (seen === 'moved on') continue;
    segments.push(seen.segment);
    torn ??= seen.torn;
  }
  const { terms, boot } = replayed;
  const values = [...replayed.values].map(([key, { length }]) => ({ key, bytes: length }));
  const owner = ownerIn(directory, replayed, problems);
  const { first, last } = terms;
  const isWhole = problems.length === 0;
  const seen = await lookAtSnapshots(disk, directory, replayed.values, owner, isWhole);
  problems.push(...seen.problems);
  const { snapshots } = seen;
  return { directory, owner, boot, first, last, runs: terms.runs(), values, segments, snapshots, torn, problems };
}

/** Runs `work`; what it finds damaged goes to the list. */
async function noting<T>(problems: StorageProblem[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const problem = problemOf(error);
    if (problem === undefined) throw error;
    problems.push(problem);
    return undefined;
  }
}

interface SegmentLook {
  readonly segment: SegmentReport;
  readonly torn: StorageProblem | null;
}

async function lookAtSegment(
  disk: Disk,
  dir: string,
  header: SegmentHeader,
  next: SegmentHeader | undefined,
  replayed: ReplayedLog,
  problems: StorageProblem[],
): Promise<SegmentLook | 'moved on'> {
  const path = disk.join(dir, segmentName(header.segment));
  const file = await disk.openToRead(path);
  try {
    const bytes = await file.size();
    const segment = { path, file, size: bytes, header };
    const from = { end: LOG_START, writeGroup: header.firstWriteGroup, boot: 0, checksum: 0 };
    const visit = replayInto(replayed, header.segment);
    const firstGroup = header.firstWriteGroup;
    const report = { file: path, bytes, firstGroup, lastGroup: firstGroup - 1, end: LOG_START };
    if (next !== undefined) {
      const until = { end: next.previousEnd, group: next.firstWriteGroup };
      const found = await noting(problems, () => scanSealed(segment, from, until, visit));
      const sealed = found !== undefined && (await isSealedAt(segment, found));
      const vouched = next.firstWriteGroup - 1;
      const { end, writeGroup } = found ?? from;
      return { segment: { ...report, lastGroup: writeGroup - 1, end, sealed, vouched }, torn: null };
    }
    const watermark = await noting(problems, () => readWatermark(segment));
    const damage: StorageProblem[] = [];
    const found = await noting(damage, () => scanDroppingTornTail(segment, from, watermark, visit));
    // Of a log that moved on since its names were read, the seal is there already, and the next segment before it.
    const number = header.segment + 1;
    if (found === undefined && (await disk.readdir(dir)).includes(segmentName(number))) {
      const later = await noting(problems, () => readHeader(disk, dir, number));
      if (later !== undefined) return await lookAtSegment(disk, dir, header, later, replayed, problems);
    }
    problems.push(...damage);
    const { end, writeGroup } = found?.position ?? from;
    const vouched = watermark?.writeGroup ?? 0;
    const what = 'the last write group does not verify, and nothing vouches for it: it is torn, or being written';
    const torn = found?.torn === undefined ? null : { file: path, offset: found.torn.offset, what };
    return { segment: { ...report, lastGroup: writeGroup - 1, end, sealed: false, vouched }, torn };
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return 'moved on';
    throw error;
  } finally {
    await letGo(file);
  }
}

/** Whose data it is: null where the log has no identity, or one that no start can read. */
function ownerIn(dir: string, { values }: ReplayedLog, problems: StorageProblem[]): StoredOwner | null {
  const bytes = values.get(IDENTITY_KEY);
  if (bytes === undefined) return null;
  try {
    const { id, incarnation, cluster, protocol, configuration } = decodeIdentity(bytes);
    return { id, incarnation, cluster, protocol, members: configuration.members };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    problems.push({ file: dir, offset: 0, what: `the identity cannot be read: ${error.message}` });
    return null;
  }
}

function key({ file, offset, what }: StorageProblem): string {
  return `${file} ${offset} ${what}`;
}

/** Looks until two looks at what does not verify agree, or else tells what two looks in a row found. */
async function examine(disk: Disk, dir: string): Promise<Look> {
  let before: Look | undefined;
  let twice: Look | undefined;
  for (let nth = 0; nth < LOOKS; nth++) {
    const seen = await look(disk, dir).catch((error: unknown) => {
      if ((error as { code?: unknown }).code === 'ENOENT' && nth + 1 < LOOKS) return undefined;
      throw failed(`inspecting ${dir} failed`, error);
    });
    if (seen === undefined) continue;
    if (seen.problems.length === 0) return seen;
    const known = new Set(before?.problems.map(key));
    const problems = seen.problems.filter((problem) => known.has(key(problem)));
    if (problems.length === seen.problems.length) return seen;
    if (problems.length > 0) twice = { ...seen, problems };
    before = seen;
  }
  if (twice !== undefined) return twice;
  throw new ConsensusError(`${dir} changes faster than it can be read`, { code: 'ERR_STORAGE_FAILED' });
}

function at({ file, offset, what }: StorageProblem): string {
  return `${file} at offset ${offset}: ${what}`;
}

function verdictText({ problems, torn }: Look): string[] {
  const lines = problems.map((problem) => `damaged: ${at(problem)}`);
  if (torn !== null) lines.push(`not acknowledged: ${at(torn)}`);
  return lines.length === 0 ? ['all that was acknowledged verifies'] : lines;
}

function textOf(seen: Look): string {
  const { directory, owner, boot, first, last, runs, values, segments } = seen;
  const lines = [`${directory}, opened ${boot} times`];
  if (owner !== null) {
    const { id, cluster, protocol, incarnation, members } = owner;
    lines.push(`replica ${id} (incarnation ${incarnation.toString(16)}) of cluster ${cluster}, ${protocol}`);
    for (const member of members) lines.push(`  member ${member.id} at ${member.address}`);
  }
  lines.push(last === 0 ? 'no entries' : `entries ${first} to ${last}`);
  for (const { from, term } of runs) lines.push(`  from ${from}: term ${term}`);
  for (const value of values) lines.push(`value ${JSON.stringify(value.key)}, ${value.bytes} bytes`);
  for (const { file, bytes, firstGroup, lastGroup, end, sealed, vouched } of segments) {
    const state = sealed ? 'sealed' : vouched === 0 ? 'no watermark' : `watermark at group ${vouched}`;
    lines.push(`${file}: ${bytes} bytes, groups ${firstGroup} to ${lastGroup} up to offset ${end}, ${state}`);
  }
  for (const { file, bytes, index, term, verifies } of seen.snapshots) {
    const state = verifies ? 'verifies' : 'does not verify';
    lines.push(`${file}: ${bytes} bytes, a snapshot up to index ${index} of term ${term}, ${state}`);
  }
  return [...lines, ...verdictText(seen)].join('\n');
}

/** @throws ConsensusError ERR_INVALID_ARGUMENT */
function checkArguments(dir: string, options: InspectOptions): void {
  if (typeof dir !== 'string' || dir === '' || dir.includes('\0')) {
    throw invalidArgument('inspectStorage: dir must be the path of a directory');
  }
  if (typeof options !== 'object' || options === null) throw invalidArgument('options: expected an object');
  const unknown = Object.keys(options).find((name) => name !== 'fs');
  if (unknown !== undefined) throw invalidArgument(`${unknown}: no such option`);
}

/** Options of `inspectStorage` and `verifyStorage`. */
export interface InspectOptions {
  /** The file system, for tests. Not part of the supported interface. */
  readonly fs?: Disk | undefined;
}

/**
 * What is in the directory of a file storage: whose it is, which entries with which terms, which snapshots, and what
 * does not verify and where. It reads all of the log and of the snapshots, changes nothing and takes no lock, so a
 * running replica is not disturbed; then it is a recent state.
 *
 * @returns rejects with a ConsensusError: ERR_INVALID_ARGUMENT where there is no log, ERR_STORAGE_MISMATCH for another
 * format version, ERR_STORAGE_FAILED when it cannot be read
 */
export async function inspectStorage(dir: string, options: InspectOptions = {}): Promise<StorageReport> {
  checkArguments(dir, options);
  const { fs = nodeDisk } = options;
  const seen = await examine(fs, fs.resolve(dir));
  return { ...seen, text: textOf(seen) };
}

/** Whether all that was acknowledged verifies, in the log and in its snapshots; for the rest as `inspectStorage`. */
export async function verifyStorage(dir: string, options: InspectOptions = {}): Promise<StorageVerdict> {
  checkArguments(dir, options);
  const { fs = nodeDisk } = options;
  const seen = await examine(fs, fs.resolve(dir));
  const { problems, torn } = seen;
  return { sound: problems.length === 0, problems, torn, text: verdictText(seen).join('\n') };
}
