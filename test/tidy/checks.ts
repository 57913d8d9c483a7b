/** The rules of style that a machine can check. Each gives the problems of one file, as `path:line: what`. */

import ts from 'typescript';
import { codeOf, lineOf, linesOf, walk, type Source } from './source.js';

export const LONGEST_LINE = 120;
/** A file should end at 300 lines and a function at 40; what is above these is not let through. */
export const LONGEST_FILE = 350;
export const LONGEST_FUNCTION = 60;

/** A size that was argued for. */
export interface Exception {
  /** `path` for a file, `path#name` for a function. */
  readonly of: string;
  /** What it may grow to. */
  readonly lines: number;
  readonly why: string;
}

/** A size above the limit; `of` as in `Exception`. */
export interface Oversize {
  readonly of: string;
  readonly lines: number;
}

/**
 * What a pure folder may not say: anything that knows the time, draws at random, waits, or speaks to the
 * world. (`node:` and packages are a matter of imports.)
 */
const IMPURE = [
  /(?<![\w$.])Date\b/g,
  /\bMath\s*\.\s*random\b/g,
  /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/g,
  /\b(?:await|async)\b|\bnew Promise\b|\bPromise\s*[<.]/g,
  /(?<![\w$.])(?:console|performance|crypto|globalThis)\b/g,
  /(?<![\w$.])process\s*\./g,
];

/** Words of the code, comments and strings aside, that match one of the patterns. */
function wordProblems(file: Source, patterns: readonly RegExp[], verdict: string): string[] {
  const code = codeOf(file);
  return patterns.flatMap((pattern) =>
    [...code.matchAll(pattern)].map((match) => {
      const word = match[0].replace(/\s+/g, '');
      return `${file.path}:${lineOf(file, match.index)}: ${word} ${verdict}`;
    }),
  );
}

export function impureWords(file: Source): string[] {
  return wordProblems(file, IMPURE, 'has no place in a pure folder');
}

/** Tests that were set aside, or that set the others aside. */
export function asideTests(file: Source): string[] {
  const patterns = [
    /\b(?:it|test|describe|suite|bench)(?:\s*\.\s*\w+)*\s*\.\s*(?:only|skip|todo)\b/g,
    /\b(?:xit|xdescribe|fit|fdescribe)\b/g,
  ];
  return wordProblems(file, patterns, 'sets tests aside');
}

/** Notes to oneself belong in an issue. */
export function leftovers(file: Source): string[] {
  return linesOf(file.text).flatMap((line, number) => {
    const word = /\b(?:TODO|FIXME|XXX)\b/.exec(line)?.[0];
    return word === undefined ? [] : [`${file.path}:${number + 1}: ${word}`];
  });
}

export function longLines(file: Source): string[] {
  return linesOf(file.text).flatMap((line, number) =>
    line.length > LONGEST_LINE ? [`${file.path}:${number + 1}: ${line.length} characters`] : [],
  );
}

export function opensWithComment(file: Source): string[] {
  return /^\/[*/]/.test(file.text) ? [] : [`${file.path}:1: does not open with a comment on what it is for`];
}

/** Syntax that is more than types: it would have to be compiled, not erased. */
export function unerasable(file: Source): string[] {
  const problems: string[] = [];
  walk(file.tree, (node) => {
    const line = () => `${file.path}:${lineOf(file, node.getStart())}`;
    if (ts.isEnumDeclaration(node)) problems.push(`${line()}: enum ${node.name.text}`);
    if (ts.isModuleDeclaration(node)) problems.push(`${line()}: namespace ${node.name.text}`);
  });
  return problems;
}

export function oversizeFile(file: Source): Oversize[] {
  const { length } = linesOf(file.text);
  return length > LONGEST_FILE ? [{ of: file.path, lines: length }] : [];
}

/** What a function is called by: its own name, or that of what it is the value of. */
function nameOf(node: ts.SignatureDeclaration): string {
  const named = [node, node.parent].find((it) => (it as ts.NamedDeclaration).name !== undefined);
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  return (named as ts.NamedDeclaration | undefined)?.name?.getText() ?? '(anonymous)';
}

/** Functions, methods, constructors and accessors with a body, the functions inside them included. */
export function oversizeFunctions(file: Source): Oversize[] {
  const found: Oversize[] = [];
  walk(file.tree, (node) => {
    if (!ts.isFunctionLike(node) || (node as ts.FunctionLikeDeclaration).body === undefined) return;
    const lines = lineOf(file, node.getEnd()) - lineOf(file, node.getStart()) + 1;
    if (lines > LONGEST_FUNCTION) found.push({ of: `${file.path}#${nameOf(node)}`, lines });
  });
  return found;
}

/** What no exception covers, and exceptions that nothing needs. */
export function unexcused(oversize: readonly Oversize[], exceptions: readonly Exception[]): string[] {
  const excuses = new Map(exceptions.map((exception) => [exception.of, exception]));
  const tooLong = oversize
    .filter(({ of, lines }) => lines > (excuses.get(of)?.lines ?? 0))
    .map(({ of, lines }) => `${of}: ${lines} lines`);
  const unused = exceptions
    .filter(({ of }) => !oversize.some((found) => found.of === of))
    .map(({ of }) => `${of}: needs its exception no more`);
  return [...tooLong, ...unused];
}

function isDocumented(node: ts.Node): boolean {
  return ts.getJSDocCommentsAndTags(node).some(ts.isJSDoc);
}

/**
 * Members of unions of messages without a doc comment: of each union, the interfaces of the same file that it
 * names. Members written in place are documented by the comment on their union.
 */
export function undocumentedMessages(file: Source): string[] {
  const declarations = new Map<string, ts.Declaration>();
  const unions: ts.TypeAliasDeclaration[] = [];
  for (const statement of file.tree.statements) {
    if (ts.isInterfaceDeclaration(statement)) declarations.set(statement.name.text, statement);
    if (!ts.isTypeAliasDeclaration(statement)) continue;
    declarations.set(statement.name.text, statement);
    if (ts.isUnionTypeNode(statement.type)) unions.push(statement);
  }
  const silent = new Set<ts.Declaration>();
  for (const union of unions) {
    for (const member of (union.type as ts.UnionTypeNode).types) {
      const declaration = ts.isTypeReferenceNode(member)
        ? declarations.get(member.typeName.getText())
        : ts.isTypeLiteralNode(member)
          ? union
          : undefined;
      if (declaration !== undefined && !isDocumented(declaration)) silent.add(declaration);
    }
  }
  return [...silent].map((declaration) => {
    const name = (declaration as ts.NamedDeclaration).name?.getText() ?? '';
    return `${file.path}:${lineOf(file, declaration.getStart())}: ${name} has no doc comment`;
  });
}
