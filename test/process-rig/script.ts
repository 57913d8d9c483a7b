/**
 * The language of the rig: one step a line, performed in order while clients ask all the time. `#` begins a comment.
 *
 *     kill a              SIGKILL                       cut a->b           connections are reset
 *     start a             if it is down                 hole a->b          accepted and swallowed: half open
 *     restart a           kill and start                freeze a->b        bytes wait
 *     close a             orderly, must end by itself   mute a->b          what b answers is swallowed
 *     stop a [2s]         SIGSTOP, with SIGCONT after   delay a->b 50ms [20ms]     at least, and up to so much more
 *     cont a              SIGCONT                       throttle a->b 5000         bytes a second
 *     sync a              every sync fails with EIO     corrupt a->b 1/2000        of all bytes have a bit flipped
 *     fill a              the disk is full              truncate a->b 3000         connections tear after so many
 *     free a              it is not any more            isolate a          cut, both ways, from all
 *     slow a 50ms         syncs take longer             heal [a->b]        the link passes again, or all do
 *     halts a             waits until it has halted     acks 50            waits for so many more acknowledgements
 *     run 300ms           lets time pass
 *
 * A member is `a`, `b`, …, `leader` (whoever leads when the step is reached), `follower` (one that does not), `all`
 * or `any`. A link is `a->b`, `a<->b`, and either end may be `*`.
 */

/** A line that is no step. */
export class ScriptError extends Error {
  readonly line: number;

  constructor(line: number, reason: string) {
    super(`line ${line}: ${reason}`);
    this.line = line;
  }
}

export const MEMBER_VERBS = [
  'kill',
  'start',
  'restart',
  'close',
  'stop',
  'cont',
  'sync',
  'fill',
  'free',
  'slow',
  'isolate',
  'halts',
] as const;
export const LINK_VERBS = [
  'cut',
  'hole',
  'freeze',
  'mute',
  'delay',
  'throttle',
  'corrupt',
  'truncate',
  'heal',
] as const;

export type MemberVerb = (typeof MEMBER_VERBS)[number];
export type LinkVerb = (typeof LINK_VERBS)[number];

export type Step =
  /** `amount`: milliseconds of `stop` (0: until `cont`) and `slow`. */
  | { readonly kind: 'member'; readonly verb: MemberVerb; readonly who: string; readonly amount: number }
  | {
      readonly kind: 'link';
      readonly verb: LinkVerb;
      readonly from: string;
      readonly to: string;
      readonly both: boolean;
      /** Milliseconds, bytes a second, one in so many, or bytes. */
      readonly amount: number;
      /** Of `delay`. */
      readonly jitter: number;
    }
  | { readonly kind: 'run'; readonly milliseconds: number }
  | { readonly kind: 'acks'; readonly count: number };

const shown = (word: string | undefined): string => JSON.stringify(word ?? '');

const WHO = /^(?:[a-z]|leader|follower|all|any)$/;
const LINK = /^([a-z]|leader|follower|\*)(<?->)([a-z]|leader|follower|\*)$/;
const MOST = 10_000_000;

/** @throws ScriptError that names the line and the reason */
export function parseScript(text: string): Step[] {
  return text.split('\n').flatMap((line, at) => {
    const words = line
      .replace(/#.*/, '')
      .trim()
      .split(/\s+/)
      .filter((word) => word !== '');
    return words.length === 0 ? [] : [parseStep(words, at + 1)];
  });
}

function parseStep([verb = '', ...rest]: readonly string[], line: number): Step {
  const most = verb === 'delay' ? 3 : 2;
  if (rest.length > most) throw new ScriptError(line, `${verb} takes no ${shown(rest[most])}`);
  if (verb === 'run') return { kind: 'run', milliseconds: duration(only(rest, verb, line), line) };
  if (verb === 'acks') return { kind: 'acks', count: whole(only(rest, verb, line), line) };
  if (isOf(MEMBER_VERBS, verb)) return memberStep(verb, rest, line);
  if (isOf(LINK_VERBS, verb)) return linkStep(verb, rest, line);
  throw new ScriptError(line, `there is no step ${shown(verb)}`);
}

function isOf<T extends string>(list: readonly T[], word: string): word is T {
  return (list as readonly string[]).includes(word);
}

function only(words: readonly string[], verb: string, line: number): string {
  if (words.length !== 1) throw new ScriptError(line, `${verb} takes one number`);
  return words[0] as string;
}

function memberStep(verb: MemberVerb, [who = '', amount]: readonly string[], line: number): Step {
  if (!WHO.test(who)) throw new ScriptError(line, `${verb}: expected a member, got ${shown(who)}`);
  const takesTime = verb === 'stop' || verb === 'slow';
  if (amount !== undefined && !takesTime) throw new ScriptError(line, `${verb} takes no ${shown(amount)}`);
  if (amount === undefined && verb === 'slow') throw new ScriptError(line, 'slow takes a time');
  return { kind: 'member', verb, who, amount: amount === undefined ? 0 : duration(amount, line) };
}

function linkStep(verb: LinkVerb, [link, amount, jitter]: readonly string[], line: number): Step {
  const [, from = '', arrow, to = ''] = LINK.exec(link ?? (verb === 'heal' ? '*->*' : '')) ?? [];
  if (arrow === undefined) throw new ScriptError(line, `${verb}: expected a link like a->b, got ${shown(link)}`);
  const step = { kind: 'link', verb, from, to, both: arrow === '<->' } as const;
  const measure = MEASURES[verb];
  if (measure === undefined) {
    if (amount !== undefined) throw new ScriptError(line, `${verb} takes no ${shown(amount)}`);
    return { ...step, amount: 0, jitter: 0 };
  }
  if (amount === undefined) throw new ScriptError(line, `${verb} takes an amount`);
  if (jitter !== undefined && verb !== 'delay') throw new ScriptError(line, `${verb} takes no ${shown(jitter)}`);
  return { ...step, amount: measure(amount, line), jitter: jitter === undefined ? 0 : duration(jitter, line) };
}

const MEASURES: Partial<Record<LinkVerb, (word: string, line: number) => number>> = {
  delay: duration,
  throttle: whole,
  truncate: whole,
  corrupt: (word, line) => {
    if (!word.startsWith('1/')) throw new ScriptError(line, `expected a share like 1/2000, got ${shown(word)}`);
    return whole(word.slice(2), line);
  },
};

function whole(word: string, line: number): number {
  const value = /^\d{1,8}$/.test(word) ? Number(word) : 0;
  if (value < 1 || value > MOST) {
    throw new ScriptError(line, `expected a whole number from 1 to ${MOST}, got ${shown(word)}`);
  }
  return value;
}

function duration(word: string, line: number): number {
  const [, number, unit] = /^(\d{1,6}(?:\.\d{1,3})?)(ms|s)$/.exec(word) ?? [];
  if (number === undefined) throw new ScriptError(line, `expected a time like 200ms or 2s, got ${shown(word)}`);
  return Math.round(Number(number) * (unit === 's' ? 1000 : 1));
}
