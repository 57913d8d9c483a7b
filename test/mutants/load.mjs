/**
 * Loads this repository's TypeScript as it stands, or with the patches of a mutant in it, in this process; nothing on
 * disk is touched. Each call gives fresh copies of the files that are patched and of all that import them. All other
 * files are loaded once: modules keep no state, and what has run before runs fast. What is not patched is compiled
 * once. `node test/mutants/load.mjs <file.ts> …` runs a file.
 */

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runInThisContext } from 'node:vm';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const fromNode = createRequire(import.meta.url);
/** The package by its own name, without a build. */
const NAMES = {
  quorate: 'index.ts',
  'quorate/node': 'node.ts',
  'quorate/raft': 'raft/index.ts',
  'quorate/multipaxos': 'multipaxos/index.ts',
  'quorate/testing': 'testing/index.ts',
};
const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, esModuleInterop: true };

/** Files as they stand: what runs each, and which files of this repository it imports, at once or later. */
const compiled = new Map();
/** What the files export that were loaded as they stand, with all that they import. */
const whole = new Map();

function compile(path, text) {
  const { outputText } = ts.transpileModule(text, { fileName: path, compilerOptions });
  const body = outputText.replaceAll('import.meta.url', 'moduleUrl');
  const program = runInThisContext(`(function (exports, require, moduleUrl) {${body}\n})`, { filename: path });
  const imported = Array.from(outputText.matchAll(/\brequire\((['"])(.*?)\1\)/g), ([, , name]) => fileOf(name, path));
  return { program, imports: [...new Set(imported)].filter((file) => file !== null) };
}

function compiledOf(path) {
  if (!compiled.has(path)) compiled.set(path, compile(path, readFileSync(path, 'utf8')));
  return compiled.get(path);
}

/** All files that `entry` imports, directly or not, which are patched or import such a file. */
function touchedBy(entry, patched) {
  const importers = new Map([[entry, []]]);
  for (const path of importers.keys()) {
    for (const file of compiledOf(path).imports) {
      if (!importers.has(file)) importers.set(file, []);
      importers.get(file).push(path);
    }
  }
  const touched = new Set(patched.filter((path) => importers.has(path)));
  for (const path of touched) for (const importer of importers.get(path)) touched.add(importer);
  return touched;
}

function patchedText(path, edits) {
  let text = readFileSync(path, 'utf8');
  for (const { file, from, to } of edits) {
    const parts = text.split(from);
    if (parts.length !== 2) throw new Error(`${file}: a patch fits ${parts.length - 1} times: ${from}`);
    text = parts.join(to);
  }
  return text;
}

/** The file of this repository that an import means; `null` for everything else. */
function fileOf(specifier, parent) {
  if (Object.hasOwn(NAMES, specifier)) return resolve(ROOT, 'src', NAMES[specifier]);
  if (!specifier.startsWith('.')) return null;
  const path = resolve(parent, '..', specifier).replace(/\.js$/, '.ts');
  return path.endsWith('.ts') && existsSync(path) ? path : null;
}

/** What a file exports, with these edits in it and in whatever it imports. */
export function load(entry, edits) {
  const start = resolve(ROOT, entry);
  const touched = touchedBy(
    start,
    edits.map(({ file }) => resolve(ROOT, file)),
  );
  const fresh = new Map();
  const run = (path) => {
    const modules = touched.has(path) ? fresh : whole;
    const known = modules.get(path);
    if (known !== undefined) return known;
    const exports = {};
    modules.set(path, exports);
    const require = (specifier) => {
      const file = fileOf(specifier, path);
      if (file !== null) return run(file);
      return specifier.endsWith('load.mjs') ? { load } : fromNode(specifier);
    };
    const own = edits.filter(({ file }) => resolve(ROOT, file) === path);
    const { program } = own.length === 0 ? compiledOf(path) : compile(path, patchedText(path, own));
    program(exports, require, pathToFileURL(path).href);
    return exports;
  };
  return run(start);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) load(process.argv[2], []);
