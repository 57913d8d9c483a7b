/** Scripts from a seed. Each leaves out about half of the kinds of fault: what is rare together is seen so (swarm). */

import type { DiskKind } from './messages.js';
import type { Random } from './random.js';

const MEMBER_FAULTS = ['kill', 'kill all', 'stop', 'isolate', 'close', 'restart', 'sync', 'fill', 'slow'] as const;
const LINK_FAULTS = ['cut', 'hole', 'freeze', 'mute', 'delay', 'throttle', 'corrupt', 'truncate'] as const;
type Fault = (typeof MEMBER_FAULTS)[number] | (typeof LINK_FAULTS)[number];

/** Lines for `parseScript`. */
export function randomScript(random: Random, size: number, steps: number, disk: DiskKind): string {
  const all: readonly Fault[] = [...MEMBER_FAULTS, ...LINK_FAULTS];
  const possible = all.filter((fault) => isPossible(fault, disk));
  const chosen = possible.filter(() => random.chance(0.5));
  const faults = chosen.length > 0 ? chosen : [random.pick(possible)];
  const ids = Array.from({ length: size }, (_, at) => String.fromCharCode(97 + at));
  const who = (): string => random.pick(['leader', 'leader', 'follower', 'any', ...ids]);
  const lines: string[] = ['acks 20'];
  while (lines.length < steps) {
    const fault = random.pick(faults);
    lines.push(...lineOf(fault, random, who, ids), `run ${random.from(20, random.chance(0.3) ? 1500 : 400)}ms`);
    if (random.chance(0.5)) lines.push(...repair(random, ids));
  }
  return lines.join('\n');
}

/**
 * Leaders that are stopped again and again, for 0.1 to 5 s, while others read and write (etcd#20418). Before,
 * their links are made slow, so that answers wait in their sockets for the moment they wake up; some are cut off too.
 */
export function pausingScript(random: Random, _size: number, steps: number): string {
  const lines = ['acks 20'];
  while (lines.length < steps) {
    const link = random.pick(['*->leader', 'leader->*']);
    if (random.chance(0.5)) lines.push(`delay ${link} ${random.from(1, 150)}ms 50ms`);
    lines.push(`run ${random.from(0, 300)}ms`, `stop leader ${random.from(100, random.chance(0.2) ? 5000 : 1200)}ms`);
    if (random.chance(0.3)) lines.push(`run ${random.from(0, 300)}ms`, `${random.pick(['freeze', 'cut'])} leader<->*`);
    lines.push(`run ${random.from(0, 1500)}ms`, random.pick(['heal', 'heal', 'cont all', 'run 1ms']));
  }
  return lines.join('\n');
}

/** On the real disk only what the machine can break is broken. */
function isPossible(fault: Fault, disk: DiskKind): boolean {
  return fault !== 'slow' || disk !== 'real';
}

function lineOf(fault: Fault, random: Random, who: () => string, ids: readonly string[]): string[] {
  const link = linkOf(random, ids);
  switch (fault) {
    case 'kill all':
      return ['kill all', 'start all'];
    case 'stop':
      return [`stop ${who()} ${random.from(50, 3000)}ms`];
    case 'slow':
      return [`slow ${who()} ${random.from(1, 300)}ms`];
    case 'delay':
      return [`delay ${link} ${random.from(1, 300)}ms ${random.from(1, 300)}ms`];
    case 'throttle':
      return [`throttle ${link} ${random.from(500, 50_000)}`];
    case 'corrupt':
      return [`corrupt ${link} 1/${random.from(200, 20_000)}`];
    case 'truncate':
      return [`truncate ${link} ${random.from(50, 20_000)}`];
    case 'cut':
    case 'hole':
    case 'freeze':
    case 'mute':
      return [`${fault} ${link}`];
    default:
      return [`${fault} ${who()}`];
  }
}

function linkOf(random: Random, ids: readonly string[]): string {
  const ends = [...ids, 'leader', '*'];
  return `${random.pick(ends)}${random.chance(0.4) ? '<->' : '->'}${random.pick(ends)}`;
}

function repair(random: Random, ids: readonly string[]): string[] {
  switch (random.below(4)) {
    case 0:
      return ['heal'];
    case 1:
      return ['start all'];
    case 2:
      return ['cont all', 'heal', 'free all', 'start all'];
    default:
      return [`restart ${random.pick(ids)}`];
  }
}
