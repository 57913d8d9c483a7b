/** What may be called how: a name means one type, and never hides what every file has anyway. */

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { lineOf, type Source } from './source.js';

/** The declarations of the language and of browsers, as the compiler has them. */
const LIBRARY = /^lib\.(?:es.*|dom|webworker)\.d\.ts$/;

/** Names of the platform that users expect of a library like this one. */
const EXPECTED: ReadonlySet<string> = new Set(['History', 'Storage']);

interface Named {
  readonly name: string;
  readonly at: ts.Node;
  readonly isType: boolean;
}

/** What a file declares at its top: types, classes and functions. */
function namesOf(tree: ts.SourceFile): Named[] {
  return tree.statements.flatMap((statement) => {
    const isType =
      ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement) || ts.isClassDeclaration(statement);
    if (!isType && !ts.isFunctionDeclaration(statement)) return [];
    return statement.name === undefined ? [] : [{ name: statement.name.text, at: statement.name, isType }];
  });
}

/** Types, interfaces and classes of one name in several files, exported or not. */
export function duplicateTypeNames(files: readonly Source[]): string[] {
  const places = new Map<string, string[]>();
  for (const file of files) {
    for (const name of new Set(namesOf(file.tree).flatMap((each) => (each.isType ? [each.name] : [])))) {
      places.set(name, [...(places.get(name) ?? []), file.path]);
    }
  }
  return [...places].filter(([, paths]) => paths.length > 1).map(([name, paths]) => `${name}: ${paths.join(', ')}`);
}

/** Every name that the language or a browser declares for all files. */
function namesOfPlatform(): ReadonlySet<string> {
  const folder = dirname(createRequire(import.meta.url).resolve('typescript'));
  const names = new Set<string>();
  for (const path of readdirSync(folder).filter((name) => LIBRARY.test(name))) {
    const text = readFileSync(join(folder, path), 'utf8');
    const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022);
    for (const statement of tree.statements) {
      const { name } = statement as { readonly name?: ts.Identifier };
      if (name !== undefined) names.add(name.text);
      if (!ts.isVariableStatement(statement)) continue;
      for (const { name: variable } of statement.declarationList.declarations) {
        if (ts.isIdentifier(variable)) names.add(variable.text);
      }
    }
  }
  return names;
}

let platform: ReadonlySet<string> | undefined;

/** Types, classes and functions that are called like something global: a forgotten import would go unnoticed. */
export function globalNames(files: readonly Source[]): string[] {
  platform ??= namesOfPlatform();
  const taken = platform;
  return files.flatMap((file) =>
    namesOf(file.tree)
      .filter(({ name }) => taken.has(name) && !EXPECTED.has(name))
      .map(({ name, at }) => `${file.path}:${lineOf(file, at.getStart(file.tree))}: ${name} is a global`),
  );
}
