/**
 * Loads this repository's TypeScript as it stands, or with the patches of a mutant in it: each call gives fresh copies
 * of a file and of all that it imports, in this process, and nothing on disk is touched. What is not patched is
 * compiled once. `node test/mutants/load.mjs <file.ts> …` runs a file.
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

/** Files as they stand, each as a function that runs it. */
const compiled = new Map();

function compile(path, text) {
  const { outputText } = ts.transpileModule(text, { fileName: path, compilerOptions });
  const body = outputText.replaceAll('import.meta.url', 'moduleUrl');
  return runInThisContext(`(function (exports, require, moduleUrl) {${body}\n})`, { filename: path });
}

function programOf(path, edits) {
  if (edits.length > 0) return compile(path, patchedText(path, edits));
  if (!compiled.has(path)) compiled.set(path, compile(path, readFileSync(path, 'utf8')));
  return compiled.get(path);
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
  const modules = new Map();
  const run = (path) => {
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
    programOf(path, own)(exports, require, pathToFileURL(path).href);
    return exports;
  };
  return run(resolve(ROOT, entry));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) load(process.argv[2], []);
