/** The code blocks of a page, and what the compiler says about them. */

import { join } from 'node:path';
import ts from 'typescript';

/**
 * A block that opens with ```` ```ts ````. Words after it: `run`, it is executed as well; `continued`, it stands
 * after the block before it on the same page, and sees its names.
 */
export interface Block {
  /** The page, from the root of the repository. */
  readonly page: string;
  /** Of its first line of code on the page, 1-based. */
  readonly line: number;
  /** What it continues, and then itself. */
  readonly code: string;
  /** How many lines of `code` belong to the blocks before it. */
  readonly before: number;
  readonly run: boolean;
}

/** Fences that look like code of the package but would go unchecked. */
const UNCHECKED = new Set(['typescript', 'js', 'javascript', 'mjs', 'cjs', 'tsx', 'jsx']);

export function blocksOf(page: string, text: string): Block[] {
  const blocks: Block[] = [];
  const fence = /^```(\S+)([^\n]*)\n([\s\S]*?)^```[ \t]*$/gm;
  for (const { 1: language = '', 2: info = '', 3: own = '', index } of text.matchAll(fence)) {
    const line = text.slice(0, index).split('\n').length + 1;
    if (UNCHECKED.has(language)) throw new Error(`${page}:${line - 1}: write ts, so that the block is checked`);
    if (language !== 'ts') continue;
    const words = info.split(/\s+/).filter((word) => word !== '');
    const unknown = words.find((word) => word !== 'run' && word !== 'continued');
    if (unknown !== undefined) throw new Error(`${page}:${line - 1}: unknown word ${unknown} after ts`);
    const previous = words.includes('continued') ? blocks.at(-1) : undefined;
    const start = previous?.code ?? '';
    blocks.push({
      page,
      line,
      code: start + own,
      before: start.split('\n').length - 1,
      run: words.includes('run'),
    });
  }
  return blocks;
}

/** The settings of the repository, with the package's names mapped to its sources. */
function compilerOptions(root: string): ts.CompilerOptions {
  const path = join(root, 'tsconfig.json');
  const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(path, ts.sys.readFile).config, ts.sys, root);
  // A sample may show a value without using it.
  return {
    ...options,
    noUnusedLocals: false,
    noUnusedParameters: false,
    moduleDetection: ts.ModuleDetectionKind.Force,
  };
}

/** A host that reads the blocks as if they were files in the root of the repository. */
function hostWith(files: ReadonlyMap<string, string>, options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options, true);
  const { fileExists, readFile, getSourceFile } = host;
  return {
    ...host,
    fileExists: (path) => files.has(path) || fileExists(path),
    readFile: (path) => files.get(path) ?? readFile(path),
    getSourceFile: (path, version, ...rest) => {
      const text = files.get(path);
      return text === undefined
        ? getSourceFile(path, version, ...rest)
        : ts.createSourceFile(path, text, version, true);
    },
  };
}

/** What does not compile, as `page:line: message`. All blocks are checked in one go, each as a module of its own. */
export function typeProblems(blocks: readonly Block[], root: string): string[] {
  const options = compilerOptions(root);
  const byPath = new Map(blocks.map((block, number) => [join(root, `documented-${number}.ts`), block]));
  const files = new Map([...byPath].map(([path, block]) => [path, block.code]));
  const program = ts.createProgram([...files.keys()], options, hostWith(files, options));
  return [...byPath].flatMap(([path, block]) => {
    const file = program.getSourceFile(path);
    return ts.getPreEmitDiagnostics(program, file).flatMap((found) => {
      const line = file?.getLineAndCharacterOfPosition(found.start ?? 0).line ?? 0;
      // What a continued block inherits was reported where it stands.
      if (line < block.before) return [];
      const message = ts.flattenDiagnosticMessageText(found.messageText, ' ');
      return [`${block.page}:${block.line + line - block.before}: ${message}`];
    });
  });
}
