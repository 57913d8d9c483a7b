/** The mutants of clients' sessions. */

import { edit, mutant, script, type Mutant } from './mutant.js';

const CLIENTS = 'replica/driver/client-sessions.ts';
const CALLS = 'replica/driver/calls.ts';
const APPLY = 'replica/driver/apply.ts';

export const sessionMutants: readonly Mutant[] = [
  mutant(
    'session-retry-applies-again',
    'A sequence that is known takes effect again.',
    ['sessions/retry-gets-the-first-result'],
    script('sessions: table'),
    edit(
      CLIENTS,
      'if (known !== undefined) {\n      if (known.digest',
      'if (known !== undefined && sequence < 0) {\n      if (known.digest',
    ),
  ),
  mutant(
    'session-copy-in-flight-is-answered',
    'A copy of a command that is being applied is applied, too.',
    ['sessions/retry-gets-the-first-result'],
    script('sessions: copies'),
    edit(APPLY, "if (client?.kind === 'propose' && clients.isPending(client)) break;", ''),
  ),
  mutant(
    'session-sequence-reused',
    'A known sequence is answered whatever its data.',
    ['sessions/sequence-is-one-command'],
    script('sessions: table'),
    edit(CLIENTS, 'if (known.digest !== digest)', 'if (known.digest === null)'),
  ),
  mutant(
    'session-not-fenced',
    'Commands of an older epoch count.',
    ['sessions/epoch-fences'],
    script('sessions: table'),
    edit(CLIENTS, "if (found.at !== epoch) return 'fenced';", ''),
  ),
  mutant(
    'session-lives-for-ever',
    'No session expires.',
    ['sessions/expires-by-log-time'],
    script('sessions: table'),
    edit(CLIENTS, 'if (now < earliestDeadline(sessions)) return;', 'if (now < Infinity) return;'),
  ),
  mutant(
    'session-sign-in-vain',
    'A sign of its client does not renew a session: it goes its time after it was opened.',
    ['sessions/expires-by-log-time'],
    script('sessions: table'),
    edit(
      'replica/driver/client-sessions.ts',
      'const renewed = { ...found, deadline };',
      'const renewed = { ...found };',
    ),
  ),
  mutant(
    'session-renewals-need-space',
    'A replica whose own storage is full refuses the renewals of its handles.',
    ['sessions/expires-by-log-time'],
    script('sessions: renewals while full'),
    edit(CALLS, 'proposals.queue(admitted.filter(isRenewal));', ''),
  ),
  mutant(
    'session-renewals-need-room',
    'A replica that is busy refuses the renewals of its handles.',
    ['sessions/expires-by-log-time'],
    script('sessions: renewals while busy'),
    edit(CALLS, 'return [...calls.slice(0, count), ...rest.filter(isRenewal)];', 'return calls.slice(0, count);'),
  ),
  mutant(
    'session-renewals-never-sooner',
    'A renewal that fails is made good with the next round.',
    ['sessions/expires-by-log-time'],
    script('sessions: renewals that fail'),
    edit('replica/host/client-handles.ts', 'const SOONER = 8;', 'const SOONER = 1;'),
  ),
  mutant(
    'session-renewals-put-off',
    'Each renewal that fails puts off the next round.',
    ['sessions/expires-by-log-time'],
    script('sessions: renewals that fail'),
    edit('replica/host/client-handles.ts', 'if (this.timer !== null && this.isSoon) return;', ''),
  ),
  mutant(
    'session-window-unbounded',
    'A session takes any sequence.',
    ['sessions/rooms-are-bounded'],
    script('sessions: table'),
    edit(CLIENTS, 'if (isBeyond || this.current.excess > 0)', 'if (this.current.excess > 0)'),
  ),
  mutant(
    'session-count-unbounded',
    'There may be any number of sessions.',
    ['sessions/rooms-are-bounded'],
    script('sessions: table'),
    edit(CLIENTS, 'excess > 0 || count >= this.constants.clientSessions', 'excess > 0'),
  ),
];
