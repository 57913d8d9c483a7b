/** The mutants of log time: stamps, and what a machine sees of them. */

import { edit, mutant, script, type Mutant } from './mutant.js';

const LOG_TIME = 'core/log-time.ts';
const APPLY = 'replica/driver/apply.ts';

const CARRIED = 'const carried = stamp === 0 ? 0 : stamp + Math.max(0, now - stampedAt);';

export const logTimeMutants: readonly Mutant[] = [
  mutant(
    'stamp-by-own-clock',
    'A leader stamps by its own wall clock.',
    ['time/majority-reached'],
    script('log time: clocks'),
    edit(LOG_TIME, 'reached: majorityReached([own, ...heard])', 'reached: own'),
  ),
  mutant(
    'unheard-clock-counts',
    'A leader takes a clock that it has not heard for one like its own.',
    ['time/majority-reached'],
    script('log time: unheard'),
    edit(
      LOG_TIME,
      'majorityReached([own, ...heard])',
      'majorityReached([own, ...heard.map((ahead) => (ahead === -Infinity ? own : ahead))])',
    ),
  ),
  mutant(
    'stamp-stands-still',
    'While the clocks are below the newest stamp, that one stays.',
    ['time/stamps-carry-on'],
    script('log time: a step back'),
    edit(LOG_TIME, CARRIED, 'const carried = stamp === 0 ? 0 : Math.min(stamp, stamp + stampedAt);'),
  ),
  mutant(
    'stamp-of-a-value-is-new',
    'A value that is proposed again gets a new stamp.',
    ['time/stamp-is-value', 'paxos/one-value-per-slot'],
    script('log time: proposed again'),
    edit('multipaxos/leader.ts', 'vote.kind, vote.time,', 'vote.kind, time,'),
  ),
  mutant(
    'far-clock-is-not-told',
    'A leader does not say that its clock is far from log time.',
    ['time/far-clock-is-told'],
    script('log time: a far clock'),
    edit(LOG_TIME, 'const isFar = Math.abs(ahead) > CLOCK_BOUND;', 'const isFar = ahead < -CLOCK_BOUND;'),
  ),
  mutant(
    'no-noop-to-wake',
    'A leader takes the newest stamp for one that wakes, though it is below.',
    ['time/wake-by-noop'],
    script('log time: a wake'),
    edit(LOG_TIME, "role.kind !== 'leader' || stamp >= wake.at", "role.kind !== 'leader' || stamp > 0"),
  ),
  mutant(
    'wakes-again-and-again',
    'A leader appends no-ops that wake, as often as the machine asks.',
    ['time/wake-by-noop'],
    script('log time: many wakes'),
    edit(LOG_TIME, 'notBefore: now + options.timing.heartbeat', 'notBefore: now + options.timing.heartbeat / 50'),
  ),
  mutant(
    'log-time-falls',
    'A machine sees the stamps as they are.',
    ['time/never-falls', 'time/woken-at-first-entry'],
    script('log time: a machine'),
    edit(APPLY, 'commands.push(command.time === time ? command : { ...command, time });', 'commands.push(command);'),
  ),
  mutant(
    'woken-by-commands-only',
    'A no-op wakes no machine.',
    ['time/woken-at-first-entry'],
    script('log time: a machine'),
    edit(APPLY, 'if (point === null || wakeAt > point.time)', 'if (point === null || wakeAt > 0)'),
  ),
  mutant(
    'woken-at-no-point-behind-commands',
    'Where a no-op follows a command in one run, the machine is not woken at it.',
    ['time/woken-at-first-entry'],
    script('log time: a machine'),
    edit(
      APPLY,
      'if (commands.length > 0 || wakeAt <= time) point',
      'if (commands.length === 0 && wakeAt <= time) point',
    ),
  ),
  mutant(
    'gaps-count-whole',
    'A gap between two entries counts as a whole for what expires.',
    ['time/gaps-count-little'],
    script('log time: gaps'),
    edit(APPLY, 'expiryTime += Math.min(entry.time - time, most);', 'expiryTime += entry.time - time;'),
  ),
];
