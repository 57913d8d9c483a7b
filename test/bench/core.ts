/**
 * Committed commands a second, the core alone. See output.ts for what is measured. Each protocol is measured in a
 * process of its own, as a user has it: with two in one process every call of a shared function has two shapes.
 */

import { line, note, rounded } from './output.js';
import { systems, Trio, type AnyProtocol } from './core-trio.js';
import { eachAlone } from './processes.js';

/** Whether `seconds` have passed, asked often and looked up seldom. */
function after(seconds: number, every: number): () => boolean {
  const end = performance.now() + seconds * 1000;
  let asked = 0;
  return () => ++asked % every === 0 && performance.now() >= end;
}

function measure(
  protocol: AnyProtocol,
  mode: string,
  batch: number,
  payload: number,
  coded: boolean,
  quick: boolean,
): number {
  const depth = mode === 'closed' ? 1 : 4;
  const every = batch === 1 ? 64 : 4;
  new Trio(protocol, coded).work(batch, payload, depth, after(quick ? 0.3 : 0.8, every));
  const trio = new Trio(protocol, coded);
  const begin = performance.now();
  const count = trio.work(batch, payload, depth, after(quick ? 0.7 : 2.2, every));
  return count / ((performance.now() - begin) / 1000);
}

/** @param only the one system to be measured in this process; without it each gets a process of its own */
export function core(quick: boolean, only?: string): void {
  if (only === undefined) return eachAlone('core', quick);
  for (const [system, protocol] of systems.filter(([name]) => name === only)) {
    for (const codec of [false, true]) {
      for (const mode of ['closed', 'pipelined']) {
        for (const batch of [1, 64, 512]) {
          for (const payload of [16, 256]) {
            const perSecond = measure(protocol, mode, batch, payload, codec, quick);
            const extra = codec ? { codec } : {};
            line({ system, mode, batch, payload, ...extra, committed_per_s: rounded(perSecond, 4) });
            note(`${system} ${mode} ${batch} × ${payload} B${codec ? ', as bytes' : ''}: ${Math.round(perSecond)}/s`);
          }
        }
      }
    }
  }
}
