/** What a pull does while nothing comes: its own disk is slow, what came is verified, or nobody has what it needs. */

import { choose } from '../../../src/core/tuning.js';
import type { Protocol } from '../../../src/core/protocol.js';
import { raftProtocol } from '../../../src/raft/index.js';
import { emptyPart, encodeDriverPart } from '../../../src/replica/driver/driver-part.js';
import type { AskChunk } from '../../../src/replica/driver/snapshot-messages.js';
import { demand } from '../../violation.js';
import { Puller } from './pulling-cases.js';

const { timing } = choose(raftProtocol as Protocol<unknown, unknown>);
/** For so long a member keeps its log for who is silent. */
const KEPT = 8 * timing.electionMax;

function snapshotOf(bytes: number) {
  return { index: 100, term: 3, checksum: 5, time: 0, bytes };
}

/** All that is asked for is answered. */
function answered(puller: Puller, bytes: number): void {
  for (let next = puller.asked.shift(); next !== undefined; next = puller.asked.shift()) {
    puller.answer('b', next.message, snapshotOf(bytes));
  }
}

const KEEPS = 'snapshots/kept-for-pullers: ';

/** The log is kept while the whole is verified, however long that takes, and for a while behind what was installed. */
export function holdsOn(): void {
  const puller = new Puller();
  puller.needs(90);
  answered(puller, 1000);
  const [{ file } = { file: '' }] = puller.wants('completeSnapshot');
  demand(file !== '', `${KEEPS}all of it is there`);
  puller.held.length = 0;
  puller.passes(10 * KEPT);
  const gap = (): number => {
    const times = puller.held.filter(({ index }) => index === 100).map(({ at }) => at);
    return Math.max(...times.map((at, place) => at - (times[place - 1] ?? at)));
  };
  demand(puller.held.length > 20 && gap() < KEPT / 2, `${KEEPS}while it is verified`, () => puller.held.length);
  const before = puller.held.length;
  puller.step({ kind: 'snapshotPulled', file, index: 100, term: 3, checksum: 5, part: encodeDriverPart(emptyPart) });
  puller.passes(KEPT / 2);
  demand(puller.held.length > before + 2, `${KEEPS}and behind it`);
  puller.passes(100 * KEPT);
  demand(puller.deadline === Infinity, `${KEEPS}not for ever`, () => puller.deadline);
}

/** The own disk stores nothing for long: the source is not blamed, and nothing is asked for again. */
export function waitsForItsDisk(): void {
  const puller = new Puller();
  puller.needs(90);
  const bytes = 100_000_000;
  answered(puller, bytes);
  puller.passes(10 * KEPT);
  demand(puller.asked.length === 0, 'snapshots/pauses-in-vain: nothing is asked for again', () => puller.asked);
  const stored = puller.wants('storeChunk').reduce((sum, { data }) => sum + data.length, 0);
  const [{ file } = { file: '' }] = puller.wants('storeChunk');
  puller.step({ kind: 'chunkStored', file, bytes: stored });
  const [next] = puller.asked;
  const goesOn = next?.to === 'b' && next.message.offset === stored;
  demand(goesOn, 'snapshots/pauses-in-vain: it goes on with the same source', () => next);
}

/** A member that is down has each pull wait once, and not for long. */
export function waitsOnceForASilentOne(): void {
  const puller = new Puller();
  puller.needs(90);
  const first = puller.asked.splice(0).map(({ to }) => to);
  puller.passes(timing.electionMax);
  const then = puller.asked.splice(0).map(({ to }) => to);
  demand(first.join() === 'b' && then.join() === 'c', 'snapshots/silent-sources: each once', () => [first, then]);
}

/** The only one that is up answers late: it is heard all the same, and what an earlier start has stored is of use. */
export function waitsForASlowOne(): void {
  const bytes = 10_000;
  const puller = new Puller({ index: 100, term: 3, checksum: 5, bytes, stored: bytes / 2 });
  puller.needs(90);
  const [asked] = puller.asked;
  puller.passes(3 * timing.electionMax);
  if (asked !== undefined) puller.answer('b', asked.message, snapshotOf(bytes));
  const [begun] = puller.wants('pullSnapshot');
  demand(begun?.from === bytes / 2, 'snapshots/silent-sources: it goes on behind what is stored', () => begun);
}

/** The only other one has none: one that was silent until then is heard all the same, and what is stored is of use. */
export function waitsThoughOneRefuses(): void {
  const bytes = 10_000;
  for (const partial of [undefined, { index: 100, term: 3, checksum: 5, bytes, stored: bytes / 2 }]) {
    const puller = new Puller(partial);
    puller.needs(90);
    const [first] = puller.asked;
    puller.passes(timing.electionMax);
    const second = puller.asked[1];
    demand(second?.to === 'c', 'snapshots/silent-sources: the next one is asked', () => puller.asked);
    puller.receive('c', { kind: 'noSnapshot', number: second?.message.number ?? 0 });
    puller.passes(2 * timing.electionMax);
    if (first !== undefined) puller.answer('b', first.message, snapshotOf(bytes));
    const [begun] = puller.wants('pullSnapshot');
    demand(begun?.from === (partial?.stored ?? 0), 'snapshots/silent-sources: a slow one is waited for', () => begun);
    const { window } = puller.state.pulling.pull ?? {};
    demand(window?.took === 0, 'snapshots/pull-by-evidence: whose question it was is not known', () => window);
  }
}

/** The only other one has none, and the silent one is down: the wait has an end, and what nobody else has goes. */
export function waitsNotForEver(): void {
  const puller = new Puller({ index: 100, term: 3, checksum: 5, bytes: 10_000, stored: 5_000 });
  puller.needs(90);
  puller.passes(timing.electionMax);
  const second = puller.asked.splice(0)[1];
  puller.receive('c', { kind: 'noSnapshot', number: second?.message.number ?? 0 });
  demand(puller.wants('removePartial').length === 0, 'snapshots/silent-sources: what is stored stays meanwhile');
  puller.passes(4 * timing.electionMax);
  const [again] = puller.asked;
  const isAnew = again !== undefined && again.message.offset === 0 && again.message.number !== second?.message.number;
  demand(isAnew && puller.wants('removePartial').length === 1, 'snapshots/silent-sources: it ends', () => again);
}

/** A source that has given a part says that it has the snapshot no longer: the next one is asked at once. */
export function leavesWhoRefuses(): void {
  const puller = new Puller();
  puller.needs(90);
  const [first] = puller.asked.splice(0);
  if (first !== undefined) puller.answer('b', first.message, snapshotOf(1_000_000));
  const [second] = puller.asked.splice(0);
  puller.receive('b', { kind: 'noSnapshot', number: second?.message.number ?? 0 });
  const then = puller.asked.map(({ to }) => to);
  demand(then.join() === 'c', 'snapshots/silent-sources: who refuses is left at once', () => then);
}

/** Nobody has one: all are asked again after pauses, which become longer up to a bound, and it is told once. */
export function pausesInVain(): void {
  const puller = new Puller();
  const tries: number[] = [];
  for (const end = puller.now + 100 * KEPT; puller.now < end; puller.passes(timing.heartbeat)) {
    puller.needs(90);
    if (puller.asked.length > 0) tries.push(puller.now);
    for (let next = puller.asked.shift(); next !== undefined; next = puller.asked.shift()) {
      const { number }: AskChunk = next.message;
      puller.receive(next.to as 'b' | 'c', { kind: 'noSnapshot', number });
    }
  }
  const pauses = tries.slice(1).map((at, place) => at - (tries[place] as number));
  const most = 16 * timing.electionMax + timing.heartbeat;
  const isSparing = pauses.length > 10 && pauses.length < 80 && pauses.every((pause) => pause <= most);
  demand(isSparing && (pauses[0] ?? 0) >= timing.electionMax, 'snapshots/pauses-in-vain: it pauses', () => pauses);
  const told = puller.wants('event').filter(({ event }) => event.kind === 'snapshot' && event.event === 'failed');
  demand(told.length === 1, 'snapshots/pauses-in-vain: it is told once', () => told);
}
