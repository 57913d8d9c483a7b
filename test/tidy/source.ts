/** One source file as the checks see it, and what several of them need to know about it. */

import ts from 'typescript';

export interface Source {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

export function source(path: string, text: string): Source {
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true) };
}

/** 1-based, as editors count. */
export function lineOf(file: Source, position: number): number {
  return file.tree.getLineAndCharacterOfPosition(position).line + 1;
}

/** Lines of a text; the line feed at its end opens no further one. */
export function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/** Calls back for a node and everything below it. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

function isText(kind: ts.SyntaxKind): boolean {
  return (
    (kind >= ts.SyntaxKind.FirstLiteralToken && kind <= ts.SyntaxKind.LastTemplateToken) ||
    kind === ts.SyntaxKind.StringLiteral ||
    kind === ts.SyntaxKind.JsxText
  );
}

/** The text with comments, strings and regular expressions blanked out; every position stays where it was. */
export function codeOf(file: Source): string {
  const kept: [start: number, end: number][] = [];
  const collect = (node: ts.Node): void => {
    if (ts.isJSDoc(node)) return;
    const children = node.getChildren(file.tree);
    for (const child of children) collect(child);
    // Trivia lies between a token's full start and its start, so comments are dropped with it.
    if (children.length === 0 && !isText(node.kind)) kept.push([node.getStart(file.tree), node.getEnd()]);
  };
  collect(file.tree);
  let code = '';
  for (const [start, end] of kept) {
    code += blank(file.text.slice(code.length, start)) + file.text.slice(start, end);
  }
  return code + blank(file.text.slice(code.length));
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}
