/**
 * What it costs to keep the applied commands for those who follow the changes, whether anybody does or not: nanoseconds
 * for each command, beside decoding, applying and answering it with the JSON codec. And how many changes a consumer gets
 * a second.
 */

import type { Entry } from '../../src/core/protocol.js';
import type { StoredResult } from '../../src/replica/driver/session-table.js';
import { ChangesFeed } from '../../src/replica/host/changes-feed.js';
import { MachineRunner } from '../../src/replica/host/machine-runner.js';
import { jsonCodec, type StateMachine } from '../../src/replica/state-machine.js';
import { line, note, rounded } from './output.js';

const LIMIT = 16 * 1024 * 1024;
const RUN = 256;
const PAYLOADS = [16, 200, 2000];

const machine: StateMachine<string, number> = {
  apply: (text) => text.length,
  snapshot: () => 0,
  restore: () => undefined,
};
const codec = jsonCodec();
const runner = new MachineRunner(machine, codec, codec, 'halt');
const host = { now: 0, soon: (callback: () => void) => (setImmediate(callback), { cancel: () => undefined }) };

function entriesOf(payload: number, first: number): readonly Entry[] {
  return Array.from({ length: RUN }, (_, at) => {
    const data = codec.encode('x'.repeat(payload - 2));
    const id = { session: 1, sequence: first + at, firstIncomplete: first };
    return { index: first + at, term: 1, kind: 'command', time: 0, id, data };
  });
}

/** Nanoseconds a command, of all that is done with a command here: what keeping takes, and what applying takes. */
function keeping(payload: number, seconds: number): readonly [keep: number, apply: number] {
  const feed = new ChangesFeed(LIMIT, runner, host);
  let [commands, keep, apply] = [0, 0, 0];
  while ((keep + apply) / 1e3 < seconds) {
    const entries = entriesOf(payload, commands + 1);
    const begin = performance.now();
    const results = runner.run(entries) as readonly StoredResult[];
    const applied = performance.now();
    feed.applied(entries, results);
    keep += performance.now() - applied;
    apply += applied - begin;
    commands += RUN;
  }
  return [(keep * 1e6) / commands, (apply * 1e6) / commands];
}

/** Changes a second that one consumer gets which is always behind. */
async function following(payload: number, seconds: number): Promise<number> {
  const feed = new ChangesFeed(LIMIT, runner, host);
  const add = (): void => {
    const entries = entriesOf(payload, feed.buffer.last + 1);
    feed.applied(entries, runner.run(entries) as readonly StoredResult[]);
  };
  add();
  const [begin, end] = [performance.now(), performance.now() + seconds * 1e3];
  let [got, adding] = [0, 0];
  for await (const { index } of feed.follow(1, { signal: undefined, aborted: false })) {
    got += 1;
    if (index < feed.buffer.last) continue;
    const now = performance.now();
    if (now > end) break;
    add();
    adding += performance.now() - now;
  }
  return (got * 1e3) / (performance.now() - begin - adding);
}

export async function changes(quick: boolean): Promise<void> {
  const seconds = quick ? 0.7 : 3;
  for (const payload of PAYLOADS) {
    keeping(payload, seconds / 4);
    const [keep, apply] = keeping(payload, seconds);
    const perSecond = Math.round(await following(payload, seconds));
    line({
      system: 'quorate',
      mode: 'changes',
      payload,
      keep_ns: rounded(keep),
      apply_ns: rounded(apply),
      followed_per_s: perSecond,
    });
    note(
      `${payload} B: ${Math.round(keep)} ns to keep, ${Math.round(apply)} ns to apply, ${perSecond} followed a second`,
    );
  }
}
