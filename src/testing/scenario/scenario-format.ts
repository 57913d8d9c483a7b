/** Formats actions as a scenario, so that a run that was found can be read, kept and replayed. */

import { unreachable } from '../../core/assert.js';
import { shown } from '../../core/shown.js';
import { invalidArgument } from '../../replica/errors.js';
import type { Action, Happening, MessagePick } from '../world/actions.js';
import { sameData } from '../plain-data.js';
import { formatHeader, type ScenarioHeader } from './scenario-header.js';

function pickText(pick: MessagePick): string {
  if (pick === '') return '';
  if (typeof pick === 'number') return ` #${pick}`;
  const plain = pick === pick.trim() && !/^[#"*]|[\p{Cc}]/u.test(pick);
  return ` ${plain ? pick : JSON.stringify(pick)}`;
}

function jsonOf(command: unknown): string | undefined {
  try {
    return JSON.stringify(command) as string | undefined;
  } catch {
    return undefined;
  }
}

function commandText(command: unknown): string {
  const text = jsonOf(command);
  if (text === undefined || !sameData(JSON.parse(text), command)) {
    throw invalidArgument(`a command in a scenario is JSON, got ${text ?? shown(command)}`);
  }
  return text;
}

function option(name: string, value: number | null): string {
  return value === null || value === Infinity ? '' : ` ${name}=${value}`;
}

type CallHappening = Extract<Happening, { readonly kind: 'propose' | 'read' | 'cancel' | 'transfer' | 'leave' }>;

/** What a caller does. */
function formatCall(happening: CallHappening): string {
  switch (happening.kind) {
    case 'propose': {
      const { replica, command, timeout, padding = null } = happening;
      return `propose ${replica} ${commandText(command)}${option('timeout', timeout)}${option('padding', padding)}`;
    }
    case 'read': {
      const { by, minIndex, timeout } = happening;
      const way = by === undefined ? '' : ` ${by}`;
      return `read ${happening.replica}${way}${option('min', minIndex)}${option('timeout', timeout)}`;
    }
    case 'cancel':
      return `cancel ${happening.calls.join(' ')}`;
    case 'transfer': {
      const { replica, to, timeout } = happening;
      return `transfer ${replica}${to === null ? '' : ` ${to}`}${option('timeout', timeout)}`;
    }
    case 'leave':
      return `leave ${happening.replica}${option('timeout', happening.timeout)}`;
  }
}

/** One action as a command, without its time. */
export function formatHappening(happening: Happening): string {
  switch (happening.kind) {
    case 'deliver':
    case 'duplicate':
    case 'drop':
      return `${happening.kind} ${happening.from} ${happening.to}${pickText(happening.pick)}`;
    case 'cut':
    case 'heal':
      return `${happening.kind} ${happening.from} ${happening.to}`;
    case 'refuse':
    case 'accept':
      return `${happening.kind} ${happening.from} ${happening.to} ${happening.lane}`;
    case 'crash':
      return `crash ${happening.replica} ${happening.keep ? 'keep' : 'lose'}`;
    case 'failStorage':
      return `fail-storage ${happening.replica} ${happening.keep ? 'keep' : 'lose'}`;
    case 'fill':
      return `fill ${happening.replica} ${happening.room}`;
    case 'leap':
      return `leap ${happening.replica} ${happening.by}`;
    case 'wall':
      return `wall ${happening.replica} ${happening.ahead}`;
    case 'rate':
      return `rate ${happening.replica} ${happening.rate}`;
    case 'propose':
    case 'read':
    case 'cancel':
    case 'transfer':
    case 'leave':
      return formatCall(happening);
    case 'disconnect':
      return `disconnect ${happening.replica} ${happening.peer} ${happening.lane}`;
    case 'unreachable':
    case 'install':
      return `${happening.kind} ${happening.replica} ${happening.peer}`;
    case 'snapshotted':
      return `snapshotted ${happening.replica}${happening.fails ? ' fails' : ''}`;
    case 'wait':
      return 'wait';
    case 'tick':
    case 'timeout':
    case 'sync':
    case 'written':
    case 'applied':
    case 'loaded':
    case 'compact':
    case 'restored':
    case 'restart':
    case 'wipe':
    case 'free':
    case 'pause':
    case 'resume':
    case 'campaign':
    case 'stop':
      return `${happening.kind} ${happening.replica}`;
    default:
      return unreachable(happening);
  }
}

/**
 * The text of a scenario with exactly these actions on a new world. `parseScenario` reads it, `actionsOf` returns the
 * actions again.
 * @throws ConsensusError `ERR_INVALID_ARGUMENT` when a proposed command is not plain JSON
 */
export function formatActions(header: ScenarioHeader, actions: readonly Action[]): string {
  const lines = [...formatHeader(header), ''];
  let now = 0;
  for (const action of actions) {
    lines.push(action.at === now ? formatHappening(action) : `@${action.at} ${formatHappening(action)}`);
    now = Math.max(now, action.at);
  }
  return `${lines.join('\n')}\n`;
}
