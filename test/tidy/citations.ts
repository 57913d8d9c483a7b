/**
 * Whatever a comment, a message or a test cites is found in this repository or in a public paper: rules by their names,
 * which docs/rules.md lists, and no numbers of pages that a reader does not have. Each check gives the problems of one
 * file, as `path:line: what`.
 */

import ts from 'typescript';
import { lineOf, linesOf, source, walk, type Source } from './source.js';

/** A text of any kind: source, Markdown, a scenario. */
export interface Text {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** One entry of docs/rules.md. */
export interface Rule {
  /** `raft/one-vote-per-term` */
  readonly name: string;
  /** 1-based. */
  readonly line: number;
  /** The files that its entry names. */
  readonly files: readonly string[];
  readonly hasSource: boolean;
}

/** The headings of docs/rules.md, and `RuleArea` in src/core/assert.ts. */
export function areasOf(rules: readonly Rule[]): readonly string[] {
  return [...new Set(rules.map(({ name }) => name.split('/', 1)[0] as string))];
}

/** Every `### area/name` with what stands below it. */
export function rulesIn(text: string): readonly Rule[] {
  const rules: { name: string; line: number; files: string[]; hasSource: boolean }[] = [];
  linesOf(text).forEach((line, at) => {
    const name = /^### (.*)$/.exec(line)?.[1];
    if (name !== undefined) rules.push({ name, line: at + 1, files: [], hasSource: false });
    const rule = rules.at(-1);
    if (rule === undefined) return;
    if (line.startsWith('- Source: ')) rule.hasSource = true;
    for (const [, path] of line.matchAll(/`((?:src|test|examples|docs)\/[^`]+\.\w+)`/g))
      rule.files.push(path as string);
  });
  return rules;
}

/** What is wrong with the list itself. @param exists whether a file is there */
export function listProblems(path: string, rules: readonly Rule[], exists: (path: string) => boolean): string[] {
  return rules.flatMap(({ name, line, files, hasSource }, at) => {
    const problems: string[] = [];
    if (!/^[a-z]+\/[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name)) problems.push(`${name} is no name`);
    if (rules.findIndex((other) => other.name === name) !== at) problems.push(`${name} is listed twice`);
    if (!hasSource) problems.push(`${name} has no source`);
    if (files.length === 0) problems.push(`${name} names no file that checks it`);
    problems.push(...files.filter((file) => !exists(file)).map((file) => `${name} names ${file}, which is not there`));
    return problems.map((problem) => `${path}:${line}: ${problem}`);
  });
}

/** Names of rules that stand in no list. @param others what may be cited beside them, the names of scenarios */
export function unknownRules({ path, text }: Text, rules: readonly Rule[], others: ReadonlySet<string>): string[] {
  const known = new Set(rules.map(({ name }) => name));
  const name = new RegExp(
    `(?<![\\w/.@-])(?:${areasOf(rules).join('|')})/[a-z0-9]+(?:-[a-z0-9]+)*(?![\\w/-]|\\.\\w|\\*)`,
    'g',
  );
  return linesOf(text).flatMap((line, at) => {
    const cited = [...line.matchAll(name)].map(([match]) => match);
    return cited
      .filter((match) => !known.has(match) && !others.has(match))
      .map((match) => `${path}:${at + 1}: ${match} is no rule of docs/rules.md`);
  });
}

/** Functions that throw an `InvariantViolation`, and which of their arguments is its text. */
const THROWERS = new Map([
  ['assert', 1],
  ['demand', 1],
  ['InvariantViolation', 0],
  ['violated', 0],
  ['violation', 0],
]);

/** The literal text at the beginning of an expression; undefined for what is put together elsewhere. */
function literalHead(node: ts.Expression | undefined): string | undefined {
  if (node === undefined) return undefined;
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node)) return node.head.text === '' ? undefined : node.head.text;
  return undefined;
}

/** Violations that do not begin with the name of a rule. The type of the text sees to those in variables. */
export function namelessViolations(file: Source, rules: readonly Rule[]): string[] {
  const known = new Set(rules.map(({ name }) => name));
  const problems: string[] = [];
  walk(file.tree, (node) => {
    if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return;
    const callee = node.expression;
    const place = ts.isIdentifier(callee) ? THROWERS.get(callee.text) : undefined;
    const text = place === undefined ? undefined : literalHead(node.arguments?.[place]);
    if (text === undefined || known.has(/^([^:]*): /.exec(text)?.[1] ?? '')) return;
    problems.push(
      `${file.path}:${lineOf(file, node.getStart())}: '${text}' does not begin with a rule of docs/rules.md`,
    );
  });
  return problems;
}

/** What numbers of absent pages look like. */
const NUMBERS = [
  /\b[A-HK-SU-Z]\d{1,2}[a-z]?\b/g,
  /(?<![\w.-])[mp]\d{1,2}[a-z]?\b(?!\.)/g,
  /\b[Bb]ugs? #?\d+/g,
  /\banchors\b/g,
  /\b[Ii]ssue #?\d+/g,
  /\b[Ll]aws? \d/g,
  /\b(?:inv\.|[Ii]nvariants?) \d+/g,
  /\b[Ss]ection \d/g,
  /(?<!(?:"|thesis|paper) ?)\(\d+\.\d+(?:, \d+)*\)/g,
];

/** What looks like such a number and is none: scopes of the model checker, names in "Paxos Made Simple", quantiles. */
const HARMLESS = /\b(?:raft|paxos) n\d(?: \w+)*|\bP1a\b|\bP2c\b|\bp(?:50|99)\b|\bm0\b|\bm1 differ\b|\bV8\b/g;

function numbersIn(text: string): readonly string[] {
  const rest = text.replace(HARMLESS, '');
  return NUMBERS.flatMap((pattern) => [...rest.matchAll(pattern)].map(([match]) => match));
}

/** The comments and strings of a source file at their places; a file of another kind as it is. */
function prose({ path, text }: Text): string {
  if (!/\.m?ts$/.test(path)) return text;
  const { tree } = source(path, text);
  const kept: [start: number, end: number][] = [];
  const collect = (node: ts.Node): void => {
    ts.forEachLeadingCommentRange(text, node.getFullStart(), (start, end) => void kept.push([start, end]));
    ts.forEachTrailingCommentRange(text, node.getEnd(), (start, end) => void kept.push([start, end]));
    if (ts.isStringLiteralLike(node) || ts.isTemplateMiddleOrTemplateTail(node) || ts.isTemplateHead(node)) {
      kept.push([node.getStart(), node.getEnd()]);
    }
    for (const child of node.getChildren(tree)) if (!ts.isJSDoc(child)) collect(child);
  };
  collect(tree);
  const blank = [...text.replace(/[^\n]/g, ' ')];
  for (const [start, end] of kept) for (let at = start; at < end; at++) blank[at] = text.charAt(at);
  return blank.join('');
}

/** Numbers of rules, bugs, laws and sections that only a page outside this repository explains. */
export function numberedCitations(file: Text): string[] {
  if (numbersIn(file.text).length === 0) return []; // most files: no need to take them apart
  return linesOf(prose(file)).flatMap((line, at) =>
    numbersIn(line).map((match) => `${file.path}:${at + 1}: ${match} is a number of a page that is not here`),
  );
}
