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

/** What one part of the source may use beside itself. Entries are prefixes of paths below `src/`. */
export interface Part {
  /** Files that belong to it: a prefix of the path below `src/`. */
  readonly files: string;
  readonly values: readonly string[];
  readonly types: readonly string[];
  readonly node: boolean;
}

/** The tools at the root of testing: each stands alone. */
const RIG_TOOLS = ['testing/check-input', 'testing/plain-data', 'testing/random'];

/** A part of the rig, and what it may use beside the library itself: of the rig, and of nothing else. */
function rigPart(files: string, ...rig: readonly string[]): Part {
  return { files, values: ['core/', 'replica/', ...rig], types: [], node: false };
}

/** The first part that a file fits decides. What is in none of them may import nothing. */
const PARTS: readonly Part[] = [
  { files: 'core/', values: [], types: [], node: false },
  { files: 'raft/', values: ['core/'], types: [], node: false },
  { files: 'multipaxos/', values: ['core/'], types: [], node: false },
  // The driver decides, and nothing that waits is in its reach: what the host does for it, it does not know.
  { files: 'replica/driver/', values: ['core/', 'replica/errors'], types: ['replica/storage'], node: false },
  { files: 'replica/', values: ['core/'], types: [], node: false },
  { files: 'machines/', values: [], types: ['core/', 'replica/'], node: false },
  // Errors are what users catch, whichever part throws them: the one thing of the host that adapters run, but for
  // what shows a directory to people.
  // Whoever runs in a browser may share with the others what needs no node:* (the bundles are checked for it).
  {
    files: 'adapters/memory',
    values: ['adapters/', 'core/', 'replica/errors'],
    types: ['replica/'],
    node: false,
  },
  // That reads whose it is, and its snapshots as a start does.
  {
    files: 'adapters/file-storage/inspect',
    values: [
      'adapters/file-storage/',
      'adapters/storage-checks',
      'core/',
      'replica/errors',
      'replica/driver/stored-identity',
      'replica/driver/snapshot-list',
      'replica/host/snapshot-verify',
    ],
    types: ['replica/'],
    node: true,
  },
  { files: 'adapters/', values: ['core/', 'replica/errors'], types: ['replica/'], node: true },
  ...RIG_TOOLS.map((files) => rigPart(files)),
  rigPart('testing/world/', ...RIG_TOOLS),
  rigPart('testing/history/', ...RIG_TOOLS),
  rigPart('testing/scenario/', ...RIG_TOOLS, 'testing/world/'),
  rigPart('testing/checker/', ...RIG_TOOLS, 'testing/world/'),
  rigPart('testing/simulator/', ...RIG_TOOLS, 'testing/world/', 'testing/history/', 'testing/scenario/'),
  // The whole host runs over a world of its own: what one of the two believes, the other does not.
  rigPart('testing/host-simulation/', ...RIG_TOOLS, 'testing/history/'),
  rigPart('testing/index.ts', 'testing/'),
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

const EVIDENCE = /^(src\/[^/]+\/)evidence\//;

/** A protocol's evidence is for the rig: of the protocol its index hands it on, and nothing else knows it. */
function looksAtEvidence(from: string, target: string): boolean {
  const protocol = EVIDENCE.exec(target)?.[1];
  return protocol !== undefined && from !== `${protocol}index.ts` && !from.startsWith(`${protocol}evidence/`);
}

function isForbidden(file: Source, { specifier, typeOnly }: Import): boolean {
  const path = file.path.slice('src/'.length);
  const part = PARTS.find(({ files }) => path.startsWith(files));
  if (part === undefined) return true;
  if (specifier.startsWith('node:')) return !part.node;
  // A package: there are no runtime dependencies, and the platform's modules are written with `node:`.
  if (!specifier.startsWith('.')) return true;
  const target = resolve(file.path, specifier);
  if (!target.startsWith('src/') || looksAtEvidence(file.path, target)) return true;
  const allowed = typeOnly ? [part.files, ...part.values, ...part.types] : [part.files, ...part.values];
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

/** The files that each file loads. Imports of types alone load nothing. */
function loadsOf(files: readonly Source[]): Map<string, readonly string[]> {
  return new Map(
    files.map((file) => {
      const loaded = importsOf(file).filter((found) => !found.typeOnly && found.specifier.startsWith('.'));
      return [file.path, loaded.map((found) => resolve(file.path, found.specifier))] as const;
    }),
  );
}

function ringsIn(edges: ReadonlyMap<string, readonly string[]>): string[] {
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

/**
 * Cycles of files that load each other. Imports of types alone are left out: within a folder they are wanted, since the
 * contract names the types of the mechanisms and those the contract's. Between folders they cannot form a cycle either
 * way, since the table above has none.
 */
export function importCycles(files: readonly Source[]): string[] {
  return ringsIn(loadsOf(files));
}

/** Cycles in the table itself, of parts that may import each other. */
export function partCycles(parts: readonly Part[] = PARTS): string[] {
  const isIn = (part: string, whole: string): boolean => part.startsWith(whole);
  return ringsIn(
    new Map(
      parts.map(({ files, values, types }) => {
        const allowed = [...values, ...types];
        const others = parts.filter((other) => other.files !== files && !isIn(other.files, files));
        const reached = others.filter((other) => allowed.some((it) => isIn(other.files, it) || isIn(it, other.files)));
        return [files, reached.map((other) => other.files)] as const;
      }),
    ),
  );
}

/** The chains of imports by which a file loads some protocol's evidence: production must not. */
export function evidenceLoads(files: readonly Source[], from: string): string[] {
  const edges = loadsOf(files);
  const problems: string[] = [];
  const seen = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const chain = [...trail, path];
    if (EVIDENCE.test(path)) problems.push(chain.join(' → '));
    else for (const next of edges.get(path) ?? []) visit(next, chain);
  };
  visit(from, []);
  return problems;
}
