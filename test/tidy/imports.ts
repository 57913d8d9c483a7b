/** Who may import whom: the table of the house, as code. */

import { posix } from 'node:path';
import ts from 'typescript';
import { lineOf, walk, type Source } from './source.js';

export interface Import {
  readonly specifier: string;
  /** Leaves nothing behind when compiled. */
  readonly typeOnly: boolean;
  readonly line: number;
}

/** What one room of the house may use beside itself. Entries are prefixes of paths below `src/`. */
interface Room {
  /** Files that belong to it: a prefix of the path below `src/`. */
  readonly files: string;
  readonly values: readonly string[];
  readonly types: readonly string[];
  readonly node: boolean;
}

/** The first room that a file fits decides. What is in none of them may import nothing. */
const ROOMS: readonly Room[] = [
  { files: 'core/', values: [], types: [], node: false },
  { files: 'raft/', values: ['core/'], types: [], node: false },
  { files: 'multipaxos/', values: ['core/'], types: [], node: false },
  // The driver decides, and nothing that waits is in its reach: what the host does for it, it does not know.
  { files: 'replica/driver/', values: ['core/', 'replica/errors'], types: ['replica/storage'], node: false },
  { files: 'replica/', values: ['core/'], types: [], node: false },
  { files: 'machines/', values: [], types: ['core/', 'replica/'], node: false },
  // Errors are what users catch, whichever part throws them: the one thing of the host that adapters run.
  // Whoever runs in a browser may share with the others what needs no node:* (the bundles are checked for it).
  {
    files: 'adapters/memory',
    values: ['adapters/', 'core/', 'replica/errors'],
    types: ['replica/'],
    node: false,
  },
  { files: 'adapters/', values: ['core/', 'replica/errors'], types: ['replica/'], node: true },
  { files: 'testing/', values: ['core/', 'replica/', 'adapters/memory'], types: [], node: false },
  {
    files: 'index.ts',
    values: ['core/', 'raft/', 'multipaxos/', 'replica/', 'adapters/memory'],
    types: [],
    node: false,
  },
  { files: 'node.ts', values: ['adapters/'], types: [], node: true },
];

function specifierOf(node: ts.Node): { at: ts.Node; typeOnly: boolean } | null {
  if (ts.isImportDeclaration(node)) {
    // `import { type A }` still runs the file, by verbatimModuleSyntax: only `import type` counts.
    const typeOnly = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
    return { at: node.moduleSpecifier, typeOnly };
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    return { at: node.moduleSpecifier, typeOnly: node.isTypeOnly };
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return { at: node.argument.literal, typeOnly: true };
  }
  if (ts.isCallExpression(node) && node.arguments[0] !== undefined) {
    const called = node.expression;
    const loads = called.kind === ts.SyntaxKind.ImportKeyword || called.getText() === 'require';
    return loads ? { at: node.arguments[0], typeOnly: false } : null;
  }
  return null;
}

/** Everything that a file names to be loaded, dynamic imports and `import('…')` types included. */
export function importsOf(file: Source): Import[] {
  const imports: Import[] = [];
  walk(file.tree, (node) => {
    const found = specifierOf(node);
    if (found === null) return;
    const specifier = ts.isStringLiteralLike(found.at) ? found.at.text : '(computed)';
    imports.push({ specifier, typeOnly: found.typeOnly, line: lineOf(file, node.getStart()) });
  });
  return imports;
}

/** The path of the source file that a relative specifier means. */
export function resolve(from: string, specifier: string): string {
  return posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts');
}

function isForbidden(file: Source, { specifier, typeOnly }: Import): boolean {
  const path = file.path.slice('src/'.length);
  const room = ROOMS.find(({ files }) => path.startsWith(files));
  if (room === undefined) return true;
  if (specifier.startsWith('node:')) return !room.node;
  // A package: there are no runtime dependencies, and the platform's modules are written with `node:`.
  if (!specifier.startsWith('.')) return true;
  const target = resolve(file.path, specifier);
  if (!target.startsWith('src/')) return true;
  const allowed = typeOnly ? [room.files, ...room.values, ...room.types] : [room.files, ...room.values];
  return !allowed.some((prefix) => target.slice('src/'.length).startsWith(prefix));
}

/** Examples show what users write: the package by its public names, and what the platform has. */
function isForbiddenInExample(file: Source, { specifier }: Import): boolean {
  if (specifier.startsWith('.')) return !resolve(file.path, specifier).startsWith('examples/');
  return !specifier.startsWith('node:') && !/^quorate(\/|$)/.test(specifier);
}

export function importProblems(file: Source): string[] {
  const forbidden = file.path.startsWith('examples/') ? isForbiddenInExample : isForbidden;
  return importsOf(file)
    .filter((found) => forbidden(file, found))
    .map(({ specifier, typeOnly, line }) => {
      const what = typeOnly ? `the types of '${specifier}'` : `'${specifier}'`;
      return `${file.path}:${line}: may not import ${what}`;
    });
}

/**
 * Rings of files that load each other. Imports of types alone are left out: they load nothing, and within a
 * folder they are wanted, since the contract names the types of the mechanisms and those the contract's.
 * Between folders they cannot form a ring either way, the table above has none.
 */
export function importCycles(files: readonly Source[]): string[] {
  const edges = new Map<string, string[]>();
  for (const file of files) {
    const loaded = importsOf(file).filter((found) => !found.typeOnly && found.specifier.startsWith('.'));
    edges.set(
      file.path,
      loaded.map((found) => resolve(file.path, found.specifier)),
    );
  }
  const problems: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) problems.push([...trail.slice(start), path].join(' → '));
    if (start >= 0 || done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return problems;
}
