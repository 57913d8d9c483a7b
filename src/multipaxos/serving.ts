/**
 * The side of catch-up that answers: it sends the chosen entries that one asks for, from memory, or from storage with
 * one load after the other. It remembers a question only while its entries are being loaded.
 */

import { tellLogBegins } from '../core/compaction.js';
import { bytesOf, entryBytes } from '../core/entries.js';
import { slice } from '../core/log.js';
import type { Entry, Index } from '../core/protocol.js';
import type { ReplicaId } from '../core/members.js';
import type { PaxosDraft } from './draft.js';
import type { CatchUp, CatchUpReply } from './messages.js';
import { commitOf, type Serving } from './state.js';

/** What is left of a question. */
type Wanted = Omit<Serving, 'load'>;

/** Sends these entries, page by page. */
function send(draft: PaxosDraft, { peer, number }: Wanted, entries: readonly Entry[], rest: Index): void {
  const { messageBytes } = draft.state.options.limits;
  const commit = commitOf(draft.state);
  let begin = 0;
  let bytes = 0;
  for (let at = 0; at <= entries.length; at++) {
    const next = entries[at];
    bytes += next === undefined ? 0 : entryBytes(next);
    if (next !== undefined && (bytes <= messageBytes || at === begin)) continue;
    const page = entries.slice(begin, at);
    draft.send(
      peer,
      { kind: 'catchUpReply', number, commit, rest, entries: page },
      0,
      page.length > 0 ? 'bulk' : 'control',
    );
    begin = at;
    bytes = next === undefined ? 0 : entryBytes(next);
  }
}

/** Sends these entries, and goes on if the answer may be longer and there is more. */
function answer(draft: PaxosDraft, wanted: Wanted, entries: readonly Entry[]): void {
  const { to, bytes } = wanted;
  const last = entries[entries.length - 1]?.index ?? to;
  const left = bytes - bytesOf(entries);
  const isWhole = last >= Math.min(to, commitOf(draft.state));
  send(draft, wanted, entries, isWhole || left > 0 ? 0 : last + 1);
  if (!isWhole && left > 0) serve(draft, { ...wanted, from: last + 1, bytes: left });
}

/** Answers from memory, or loads what is not there. What was trimmed since the question came is not there any more. */
function serve(draft: PaxosDraft, wanted: Wanted): void {
  const { log, options, serving } = draft.state;
  const { peer, number, from, to, bytes } = wanted;
  if (from < log.first) return tellLogBegins(draft, peer, number);
  const last = Math.min(to, commitOf(draft.state));
  const entries = slice(log, from, last, bytes);
  if (entries !== undefined) {
    const end = entries[entries.length - 1]?.index ?? last;
    return send(draft, wanted, entries, end < last ? end + 1 : 0);
  }
  const load = draft.load(from, Math.min(last, log.tailFrom - 1), Math.min(bytes, options.limits.loadBytes));
  draft.setServing([...serving, { ...wanted, load }]);
}

/** Whether another question of a peer may be loaded for: each holds no more than one load in memory. */
function mayLoad({ serving, options }: PaxosDraft['state'], { peer }: Wanted): boolean {
  return serving.filter((each) => each.peer === peer).length < options.limits.inflightMessages;
}

/**
 * Answers whether there are any, by both lanes: one answer comes soon, the other one behind the pages that are under
 * way, unless some are still to be loaded.
 */
function answerByBoth(draft: PaxosDraft, { peer, number, from, to }: Wanted): void {
  const commit = commitOf(draft.state);
  const rest = from <= Math.min(to, commit) ? from : 0;
  const message: CatchUpReply = { kind: 'catchUpReply', number, commit, rest, entries: [] };
  draft.send(peer, message, 0, 'control');
  if (!draft.state.serving.some((each) => each.peer === peer)) draft.send(peer, message, 0, 'bulk');
}

/** A peer asks for chosen entries, or whether there are any. A question that is asked again is loaded once. */
export function onCatchUp(draft: PaxosDraft, peer: ReplicaId, m: CatchUp): void {
  const { serving, options } = draft.state;
  const { number, from, to } = m;
  if (from < draft.state.log.first) return tellLogBegins(draft, peer, number);
  const wanted = { peer, number, from, to, bytes: Math.min(m.bytes, options.limits.inflightBytes) };
  if (m.bytes === 0) return answerByBoth(draft, wanted);
  const under = serving.find((each) => each.peer === peer && each.from === from && each.to === to);
  if (under?.number === number) return;
  if (under !== undefined) {
    return draft.setServing(serving.map((each) => (each === under ? { ...under, number } : each)));
  }
  if (mayLoad(draft.state, wanted)) serve(draft, wanted);
}

/** Sends the entries that were loaded for a peer; only those at or below the commit index are known to be chosen. */
export function onPeerLoaded(draft: PaxosDraft, load: number, entries: readonly Entry[]): void {
  const { serving } = draft.state;
  const under = serving.find((each) => each.load === load);
  if (under === undefined) return;
  draft.setServing(serving.filter((each) => each !== under));
  const commit = commitOf(draft.state);
  const fits = entries.every((entry, at) => entry.index === under.from + at && entry.index <= commit);
  if (under.from < draft.state.log.first && (entries.length === 0 || !fits)) serve(draft, under);
  else if (fits) answer(draft, under, entries);
}
