/**
 * Checks the history of a host simulation's clients with the general checkers: the order of the log must explain it,
 * and so must an order found without the log.
 */

import type { History, Operation } from '../history/history.js';
import { checkLinearizable } from '../history/linearizability.js';
import { checkLogOrder, type LogOrderOptions } from '../history/linearizability-log-order.js';
import { refused, unknown, type SequentialModel } from '../history/models.js';
import type { SimulatedCall } from './calls.js';
import type { CommandLedger, HostCommand } from './machine.js';
import type { Trace } from './trace.js';

type HostInput = HostCommand | { readonly op: 'get'; readonly id: string; readonly key: string };
/** The value before a write or that a read saw; `refused` for a command that the machine refused. */
type HostOutput = { readonly value: string | null } | 'refused';

/** How often the general search may apply the model; what is harder rests on the order of the log alone. */
const STEPS = 2_000_000;
/** With more of unknown outcome, or more at once, a history is given to the log order only. */
const MANY_UNKNOWN = 10;
const LARGE_BURST = 20;

/** Registers by key: what `HostMachine` is meant to do. */
const registers: SequentialModel<string | null, HostInput, HostOutput> = {
  name: 'simulated registers',
  initial: null,
  partition: (input) => input.key,
  isRead: (input, output) => input.op === 'get' || output === 'refused',
  step(state, input, output) {
    const isKnown = output !== unknown;
    if (isKnown && output !== 'refused' && output.value !== state) return refused;
    if (input.op === 'set') return input.value;
    return input.op === 'swap' && input.from === state ? input.value : state;
  },
};

function operationOf(call: SimulatedCall): Operation<HostInput, HostOutput> {
  const { name, command, key, called, returned, outcome, position, value } = call;
  const invoked = { client: name, input: command ?? ({ op: 'get', id: name, key } as const), call: called };
  if (outcome === 'none') return { ...invoked, outcome: 'fail', return: returned, at: null };
  if (outcome !== 'ok' && outcome !== 'refused') {
    return { ...invoked, outcome: 'unknown', return: Infinity, at: null };
  }
  const at = { kind: command === null ? ('read' as const) : ('entry' as const), index: position };
  const output = outcome === 'refused' ? outcome : { value };
  return { ...invoked, outcome: 'ok', return: returned, at, output };
}

/**
 * Every run is explained by its log. Those of which little is unknown are also given to the general search, which
 * knows nothing of logs: each unknown outcome doubles what it has to try, and so does each call at the same time.
 * @param burst the most writes that a client made at once
 */
export function judgeCalls(calls: readonly SimulatedCall[], ledger: CommandLedger, trace: Trace, burst: number): void {
  const asked = calls.filter((call) => call.kind === 'write' || (call.kind === 'read' && call.outcome === 'ok'));
  const history: History<HostInput, HostOutput> = asked.map(operationOf);
  const effects: { index: number; operation: Operation }[] = [];
  history.forEach((operation) => {
    const index = operation.input.op === 'get' ? undefined : ledger.positions.get(operation.input.id);
    if (index !== undefined) effects.push({ index, operation });
  });
  const options: LogOrderOptions = { effects };
  const ordered = checkLogOrder(history, registers, options);
  if (ordered.kind !== 'linearizable') trace.violate('history/real-time-order', ordered.explanation);
  if (history.filter((operation) => operation.outcome === 'unknown').length > MANY_UNKNOWN || burst > LARGE_BURST)
    return;
  const found = checkLinearizable(history, registers, { steps: STEPS, timeout: Infinity, now: () => 0 });
  if (found.kind === 'violation') trace.violate('history/linearizable', found.explanation);
  trace.cover(found.kind === 'undecided' ? 'general checker gives up' : 'general checker');
}
