/** Every rule of the house can fail, and does not fail for what only looks like a breach. */

import { describe, expect, it } from 'vitest';
import * as checks from './checks.js';
import { evidenceLoads, importCycles, importProblems, partCycles, type Part } from './imports.js';
import { duplicateTypeNames, globalNames } from './names.js';
import { codeOf, source } from './source.js';

describe('imports', () => {
  const breaches: readonly [path: string, text: string][] = [
    ['src/core/a.ts', `import { b } from '../raft/b.js';`],
    ['src/core/a.ts', `import type { Server } from 'node:net';`],
    ['src/core/a.ts', `import { b } from 'somewhere';`],
    ['src/core/a.ts', `const b = await import('../replica/b.js');`],
    ['src/core/a.ts', `let b: import('../replica/b.js').B;`],
    ['src/core/a.ts', `import { b } from '../../test/b.js';`],
    ['src/raft/a.ts', `import type { B } from '../multipaxos/b.js';`],
    ['src/raft/a.ts', `import { b } from '../replica/errors.js';`],
    ['src/multipaxos/a.ts', `export { b } from '../raft/b.js';`],
    ['src/replica/a.ts', `import { b } from '../raft/b.js';`],
    ['src/replica/a.ts', `import { b } from '../adapters/memory.js';`],
    ['src/replica/a.ts', `import { readFile } from 'node:fs';`],
    ['src/replica/driver/a.ts', `import { b } from '../host/b.js';`],
    ['src/replica/driver/a.ts', `import type { B } from '../host/b.js';`],
    ['src/replica/driver/a.ts', `import { b } from '../storage.js';`],
    ['src/replica/driver/a.ts', `import type { B } from '../transport.js';`],
    ['src/replica/driver/a.ts', `import { b } from '../../raft/b.js';`],
    ['src/replica/driver/a.ts', `import { b } from '../../adapters/memory.js';`],
    ['src/replica/driver/a.ts', `import { readFile } from 'node:fs';`],
    ['src/machines/a.ts', `import { b } from '../core/b.js';`],
    ['src/adapters/tcp/a.ts', `import { b } from '../../replica/transport.js';`],
    ['src/adapters/tcp/a.ts', `import { type B } from '../../replica/transport.js';`],
    ['src/adapters/memory.ts', `import { readFile } from 'node:fs';`],
    ['src/adapters/memory-storage.ts', `import { readFile } from 'node:fs';`],
    ['src/adapters/tcp/a.ts', `import { b } from '../../raft/b.js';`],
    ['src/index.ts', `export { b } from './adapters/file-storage/index.js';`],
    ['src/index.ts', `export { b } from './testing/index.js';`],
    ['src/node.ts', `export { b } from './replica/b.js';`],
    ['src/testing/a.ts', `import { b } from './random.js';`],
    ['src/testing/index.ts', `export { b } from '../raft/b.js';`],
    ['src/testing/random.ts', `import { b } from './world/b.js';`],
    ['src/testing/world/a.ts', `import { b } from '../../raft/b.js';`],
    ['src/testing/world/a.ts', `import { b } from '../../adapters/memory.js';`],
    ['src/testing/world/a.ts', `import type { B } from '../checker/b.js';`],
    ['src/testing/world/a.ts', `import type { B } from '../index.js';`],
    ['src/testing/history/a.ts', `import type { B } from '../world/b.js';`],
    ['src/testing/scenario/a.ts', `import { b } from '../simulator/b.js';`],
    ['src/testing/checker/a.ts', `import { b } from '../scenario/b.js';`],
    ['src/testing/simulator/a.ts', `import { b } from '../checker/b.js';`],
    ['src/testing/host-simulation/a.ts', `import type { B } from '../world/b.js';`],
    ['src/testing/host-simulation/a.ts', `import { b } from '../simulator/b.js';`],
    ['src/raft/a.ts', `import { b } from './evidence/b.js';`],
    ['src/raft/a.ts', `import type { B } from './evidence/b.js';`],
    ['src/multipaxos/step.ts', `import { b } from './evidence/b.js';`],
    ['src/index.ts', `export type { B } from './raft/evidence/b.js';`],
    ['src/elsewhere/a.ts', `import { b } from './b.js';`],
    ['examples/a/a.ts', `import { b } from '../../src/core/b.js';`],
    ['examples/a/a.ts', `import { b } from 'somewhere';`],
  ];
  it.each(breaches)('refuses in %s: %s', (path, text) => {
    expect(importProblems(source(path, text))).toHaveLength(1);
  });

  const permitted: readonly [path: string, text: string][] = [
    ['src/core/a.ts', `import { b } from './b.js'; // not from '../raft/b.js'`],
    ['src/raft/a.ts', `import { b } from '../core/b.js';`],
    ['src/replica/driver/a.ts', `import { b } from './b.js'; import { c } from '../../core/c.js';`],
    ['src/replica/driver/a.ts', `import { b } from '../errors.js'; import type { C } from '../storage.js';`],
    ['src/replica/host/a.ts', `import { b } from '../driver/b.js'; import { c } from '../options.js';`],
    ['src/replica/a.ts', `import { b } from './host/b.js'; import { c } from './driver/c.js';`],
    ['src/adapters/tcp/a.ts', `import type { B } from '../../replica/transport.js';`],
    ['src/adapters/tcp/a.ts', `import { b } from '../../replica/errors.js';`],
    ['src/adapters/tcp/a.ts', `import { createServer } from 'node:net';`],
    ['src/index.ts', `export { b } from './adapters/memory.js';`],
    ['src/node.ts', `export { b } from './adapters/tcp/index.js';`],
    ['src/raft/index.ts', `export { b } from './evidence/b.js';`],
    ['src/raft/evidence/a.ts', `import { b } from './b.js'; import { c } from '../c.js';`],
    ['src/testing/index.ts', `export { b } from './world/b.js';`],
    ['src/testing/world/a.ts', `import { b } from '../check-input.js'; import { c } from '../../replica/driver/c.js';`],
    ['src/testing/simulator/a.ts', `import { b } from '../scenario/b.js'; import { c } from '../history/c.js';`],
    ['src/testing/host-simulation/a.ts', `import { b } from '../history/b.js'; import { c } from '../random.js';`],
    ['examples/a/a.ts', `import { b } from 'quorate/node'; import { c } from './c.js'; import 'node:fs';`],
  ];
  it.each(permitted)('permits in %s: %s', (path, text) => {
    expect(importProblems(source(path, text))).toEqual([]);
  });

  it('finds a cycle, and takes types alone for none', () => {
    const a = source('src/core/a.ts', `import { b } from './b.js';`);
    const b = source('src/core/b.ts', `import { c } from './c.js';`);
    const c = source('src/core/c.ts', `import { a } from './a.js';`);
    const types = source('src/core/c.ts', `import type { A } from './a.js';`);
    const cycle = 'src/core/a.ts → src/core/b.ts → src/core/c.ts → src/core/a.ts';
    expect(importCycles([a, b, c])).toEqual([cycle]);
    expect(importCycles([a, b, types])).toEqual([]);
  });

  it('finds a cycle of parts in the table', () => {
    const part = (files: string, values: string[], types: string[] = []): Part => ({
      files,
      values,
      types,
      node: false,
    });
    const [a, b] = [part('a/', []), part('b/', ['a/'])];
    expect(partCycles([a, b, part('c/', ['b/'])])).toEqual([]);
    expect(partCycles([part('a/', [], ['c/x']), b, part('c/', ['b/'])])).toEqual(['a/ → c/ → b/ → a/']);
  });

  it('finds the chain by which evidence is loaded, and takes types alone for none', () => {
    const entry = source('src/index.ts', `export { b } from './raft/b.js'; export type { I } from './raft/index.js';`);
    const index = source('src/raft/index.ts', `export { m } from './evidence/m.js';`);
    const model = source('src/raft/evidence/m.ts', '');
    const innocent = source('src/raft/b.ts', `import type { I } from './index.js';`);
    const guilty = source('src/raft/b.ts', `import { i } from './index.js';`);
    expect(evidenceLoads([entry, index, model, innocent], 'src/index.ts')).toEqual([]);
    expect(evidenceLoads([entry, index, model, guilty], 'src/index.ts')).toEqual([
      'src/index.ts → src/raft/b.ts → src/raft/index.ts → src/raft/evidence/m.ts',
    ]);
  });
});

describe('words', () => {
  const impure = [
    'const t = Date.now();',
    'const t = new Date();',
    'const r = Math.random();',
    'const r = Math\n  .random();',
    'setTimeout(f, 1);',
    'setInterval(f, 1);',
    'queueMicrotask(f);',
    'const f = async () => 1;',
    'let p: Promise<void>;',
    'console.log(1);',
    'process.exit(1);',
    'performance.now();',
    'const t = `${Date.now()}`;',
  ];
  it.each(impure)('are impure: %s', (text) => {
    expect(checks.impureWords(source('src/core/a.ts', text)).length).toBeGreaterThan(0);
  });

  const harmless = [
    '/** await, Date.now() and setTimeout are not for here */ const a = 1; // console',
    `const a = 'await Date.now()';`,
    'const a = `await ${b} console.log`;',
    'const a = /await/;',
    'const processed = updateDate(awaiting);',
  ];
  it.each(harmless)('are harmless: %s', (text) => {
    expect(checks.impureWords(source('src/core/a.ts', text))).toEqual([]);
  });

  it('stay at their place when the rest is blanked out', () => {
    const text = `/* one\ntwo */ a('three', /four/, \`five \${six} seven\`); // eight\n/** nine */\nb();\n`;
    const code = codeOf(source('a.ts', text));
    expect(code).toHaveLength(text.length);
    expect(code.indexOf('six')).toBe(text.indexOf('six'));
    expect(code.replace(/\s+/g, '')).toBe('a(,,six);b();');
  });

  it.each(['it.only(f);', 'describe.skip(f);', 'test.todo(f);', 'it.concurrent.only(f);', 'xit(f);'])(
    'set tests aside: %s',
    (text) => {
      expect(checks.asideTests(source('test/a.test.ts', text))).toHaveLength(1);
    },
  );

  it.each(['it.each([1])(f);', `it('only: skip', f);`, 'list.only(f);'])('set no test aside: %s', (text) => {
    expect(checks.asideTests(source('test/a.test.ts', text))).toEqual([]);
  });

  it.each(['// TODO: more', '/* FIXME */'])('are notes to oneself: %s', (text) => {
    expect(checks.leftovers(source('a.ts', text))).toHaveLength(1);
  });
});

describe('sizes', () => {
  const lines = (count: number) => 'a();\n'.repeat(count);

  it('of files', () => {
    expect(checks.oversizeFile(source('a.ts', lines(checks.LONGEST_FILE)))).toEqual([]);
    const large = checks.oversizeFile(source('a.ts', lines(checks.LONGEST_FILE + 1)));
    expect(large).toEqual([{ of: 'a.ts', lines: checks.LONGEST_FILE + 1 }]);
  });

  it('of functions, whatever their form, doc comments aside', () => {
    const body = `{\n${lines(checks.LONGEST_FUNCTION)}}`;
    const text = [
      `/**\n * Documented.\n */\nfunction declared() ${body}`,
      `const arrow = () => ${body};`,
      `class C { method() ${body} constructor() ${body} get value() ${body} }`,
      `const o = { property: function () ${body} };`,
      `call(() => ${body});`,
      `/**${'\n'.repeat(checks.LONGEST_FUNCTION)}*/\nfunction short() {}`,
    ].join('\n');
    const names = ['declared', 'arrow', 'method', 'constructor', 'value', 'property', '(anonymous)'];
    const large = checks.oversizeFunctions(source('a.ts', text));
    expect(large).toEqual(names.map((name) => ({ of: `a.ts#${name}`, lines: checks.LONGEST_FUNCTION + 2 })));
  });

  it('are excused by name, up to a limit, and only while they need it', () => {
    const exception = { of: 'a.ts', lines: 400, why: 'of a reason' };
    expect(checks.unexcused([{ of: 'a.ts', lines: 400 }], [exception])).toEqual([]);
    expect(checks.unexcused([{ of: 'a.ts', lines: 401 }], [exception])).toHaveLength(1);
    expect(checks.unexcused([{ of: 'b.ts', lines: 400 }], [])).toHaveLength(1);
    expect(checks.unexcused([], [exception])).toHaveLength(1);
  });

  it('of lines', () => {
    expect(checks.longLines(source('a.ts', `${'x'.repeat(120)}\n${'x'.repeat(121)}\n`))).toEqual([
      'a.ts:2: 121 characters',
    ]);
  });
});

describe('style', () => {
  it('wants a comment first', () => {
    expect(checks.opensWithComment(source('a.ts', '/** What it is. */\n'))).toEqual([]);
    expect(checks.opensWithComment(source('a.ts', `import 'b';\n// late\n`))).toHaveLength(1);
  });

  it.each(['enum A {}', 'const enum A {}', 'namespace A { export const b = 1; }', 'declare module A {}'])(
    'does without %s',
    (text) => {
      expect(checks.unerasable(source('a.ts', text))).toHaveLength(1);
    },
  );

  it('wants every message documented', () => {
    const text = `
      export type Message = Told | Silent | Elsewhere;
      /** Who sends it to whom. */
      export interface Told { readonly kind: 'told' }
      // No doc comment.
      export interface Silent { readonly kind: 'silent' }
      export type Inline = { readonly kind: 'a' } | { readonly kind: 'b' };
      export type Words = 'a' | 'b';
      interface NoMember {}
    `;
    expect(checks.undocumentedMessages(source('src/raft/messages.ts', text))).toEqual([
      'src/raft/messages.ts:6: Silent has no doc comment',
      'src/raft/messages.ts:7: Inline has no doc comment',
    ]);
  });
});

describe('names', () => {
  it('of types mean one thing, exported or not', () => {
    const a = source('src/a.ts', 'export interface Peer {}\ntype Own = 1;\nclass Log {}\nfunction step() {}');
    const b = source('src/b.ts', 'type Peer = string;\nexport class Log {}\nfunction step() {}');
    const c = source('src/c.ts', 'interface Peer {}\nimport type { Own } from "./a.js";\nexport type { Own };');
    expect(duplicateTypeNames([a, b, c])).toEqual(['Peer: src/a.ts, src/b.ts, src/c.ts', 'Log: src/a.ts, src/b.ts']);
  });

  it('of types may be declared in parts within a file', () => {
    expect(duplicateTypeNames([source('src/a.ts', 'interface A { b: 1 }\ninterface A { c: 1 }')])).toEqual([]);
  });

  it.each([
    'export interface Range {}',
    'class Window {}',
    'export type Record = 1;',
    'type Pick<T> = T;',
    'interface Promise {}',
    'export function open() {}',
    'function status() {}',
  ])('are not global ones: %s', (text) => {
    expect(globalNames([source('src/a.ts', `\n${text}`)])).toEqual([
      expect.stringMatching(/^src\/a\.ts:2: \w+ is a global$/),
    ]);
  });

  it.each([
    'export interface SlotRange {}',
    'export interface Storage {}',
    'export type History = 1;',
    'class A { open() {} status = 1; }',
    'const open = 1;',
    'function a() { interface Range {} }',
  ])('are free: %s', (text) => {
    expect(globalNames([source('src/a.ts', text)])).toEqual([]);
  });
});
