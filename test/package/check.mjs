/**
 * Tries the package as users get it: packs what was built, installs the tarball in an empty folder, and
 * compiles, runs and bundles small programs there. Prints one line per check; exits with 1 if any failed.
 *
 *     node test/package/check.mjs            (after `npm run build`)
 *     node test/package/check.mjs <folder>   (tries the package of that folder instead)
 */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
// It comes with tsup.
import { build } from 'esbuild';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const programs = fileURLToPath(new URL('programs', import.meta.url));
const root = resolve(process.argv[2] ?? repository);
const scratch = mkdtempSync(join(tmpdir(), 'quorate-pack-'));
const folder = join(scratch, 'user');
let failures = 0;

/** What a command printed; throws with everything it said when it fails or hangs. */
function run(command, ...parameters) {
  const { status, stdout, stderr, error } = spawnSync(command, parameters, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
  });
  if (status === 0) return stdout;
  throw new Error(`${[command, ...parameters].join(' ')}\n${stdout}${stderr}${error ?? ''}`.trim());
}

function node(...parameters) {
  return run(process.execPath, ...parameters);
}

async function check(name, body) {
  try {
    await body();
    console.log(`ok      package: ${name}`);
  } catch (error) {
    failures += 1;
    const text = error instanceof Error ? error.message : String(error);
    console.log(`FAILED  package: ${name}\n${text.replace(/^/gm, '        ')}`);
  }
}

const own = [process.execPath, join(repository, 'node_modules/typescript/bin/tsc')];
/** The lowest TypeScript that the README names. */
const LOWEST = '5.4.5';
const lowest = ['npx', '--yes', '-p', `typescript@${LOWEST}`, 'tsc'];

/** Compiles with the repository's own types, as strictly as a user may: library files too. */
function compile(name, options, files, compiler = own) {
  const config = join(folder, `tsconfig.${name}.json`);
  const strict = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, target: 'es2022' };
  writeFileSync(config, JSON.stringify({ compilerOptions: { ...strict, ...options }, files }));
  run(...compiler, '-p', config);
}

const forNode = {
  lib: ['es2022'],
  types: ['node'],
  typeRoots: [join(repository, 'node_modules/@types')],
};
const forBrowser = { lib: ['es2022', 'dom'], types: [] };

function prepare() {
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true }));
  const copy = (name, as = name) => cpSync(join(programs, name), join(folder, as));
  for (const name of ['names.mjs', 'names.cjs', 'browser.ts', 'interchange.mts']) copy(name);
  // In a bundler's world there is one kind of module, and files are plain `.ts`.
  for (const as of ['program.mts', 'program.cts', 'bundled.ts']) copy('program.ts', as);
  for (const as of ['rig.mts', 'rig.cts', 'rig.ts']) copy('rig.ts', as);
  for (const as of ['types.mts', 'types.cts']) copy('types.ts', as);
}

function installTarball() {
  // The scripts would build once more; what was built is what is to be tried.
  const options = ['--json', '--ignore-scripts', '--pack-destination', scratch];
  const [packed] = JSON.parse(run('npm', 'pack', root, ...options));
  run('npm', 'install', '--no-audit', '--no-fund', '--offline', join(scratch, packed.filename));
  return packed.files.map((file) => file.path);
}

function checkContents(paths) {
  const allowed = /^(?:dist\/.+\.(?:js|cjs|d\.ts|d\.cts)|README\.md|LICENSE|CHANGELOG\.md|package\.json)$/;
  const strangers = paths.filter((path) => !allowed.test(path));
  if (strangers.length > 0) throw new Error(`does not belong there: ${strangers.join(', ')}`);
  for (const needed of ['README.md', 'LICENSE', 'CHANGELOG.md', 'package.json']) {
    if (!paths.includes(needed)) throw new Error(`${needed} is missing`);
  }
}

function checkManifest() {
  const manifest = JSON.parse(readFileSync(join(folder, 'node_modules/quorate/package.json'), 'utf8'));
  for (const key of ['dependencies', 'peerDependencies', 'optionalDependencies', 'bundledDependencies']) {
    if (manifest[key] !== undefined) throw new Error(`has ${key}`);
  }
  for (const hook of ['preinstall', 'install', 'postinstall']) {
    if (manifest.scripts?.[hook] !== undefined) throw new Error(`runs a script at ${hook}`);
  }
}

/** Bundles for a page. What only Node has would be left over as an import, or fail to be found. */
async function bundle(contents) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: folder, sourcefile: 'page.js' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    logLevel: 'silent',
  });
  const found = /["']node:[\w/]+["']/.exec(outputFiles[0].text)?.[0];
  if (found !== undefined) throw new Error(`the bundle still names ${found}`);
}

/** A file of the package and every file of it that it loads, whatever the kind of module. */
function loadedBy(entry, found = new Map()) {
  const path = join(folder, 'node_modules/quorate/dist', entry);
  if (found.has(path)) return found;
  const text = readFileSync(path, 'utf8');
  found.set(path, text);
  for (const [, next] of text.matchAll(/(?:\bfrom|\bimport|\brequire\()\s*["'](\.[^"']+)["']/g)) {
    loadedBy(join(dirname(entry), next), found);
  }
  return found;
}

/** The source files of evidence in what an entry loads: the bundler names each above its code. */
function evidenceIn(entry) {
  const texts = [...loadedBy(entry).values()];
  return texts.flatMap((text) => [...text.matchAll(/^\/\/ src\/\w+\/evidence\/.*$/gm)].map(([line]) => line.slice(3)));
}

/** What only the rig runs does not weigh on those who run a cluster. */
function checkEvidence() {
  for (const kind of ['js', 'cjs']) {
    for (const entry of [`index.${kind}`, `node.${kind}`]) {
      const found = evidenceIn(entry);
      if (found.length > 0) throw new Error(`${entry} loads ${found.join(', ')}`);
    }
    // Where evidence is handed on it must be seen, or nothing was looked for above.
    for (const entry of [`raft/index.${kind}`, `multipaxos/index.${kind}`]) {
      if (evidenceIn(entry).length === 0) throw new Error(`${entry} seems to load no evidence`);
    }
  }
}

function expectAgreement(file) {
  const said = node(file);
  if (said.trim() !== 'agreed') throw new Error(`${file} said ${JSON.stringify(said)}`);
}

try {
  prepare();
  let paths = null;
  await check('packs, and installs in an empty folder', () => void (paths = installTarball()));
  if (paths !== null) {
    await check('holds what users need and nothing else', () => checkContents(paths));
    await check('loads no evidence with the library itself', checkEvidence);
    await check('depends on nothing and runs nothing when installed', checkManifest);
    await check('has every name, by require', () => node('names.cjs'));
    await check('has the same names by import, and one identity', () => node('names.mjs'));
    const node16 = { ...forNode, module: 'node16', moduleResolution: 'node16' };
    await check('has types for import (node16)', () => compile('esm', node16, ['program.mts', 'rig.mts']));
    await check('has types for require (node16)', () => compile('cjs', node16, ['program.cts', 'rig.cts']));
    const typed = ['types.mts', 'types.cts', 'interchange.mts'];
    const only = { ...node16, noEmit: true };
    await check('has types that fit each other, from import and require', () => compile('typed', only, typed));
    await check(`has types for TypeScript ${LOWEST}`, () => {
      if (!readFileSync(join(repository, 'README.md'), 'utf8').includes(`TypeScript ${LOWEST.slice(0, 3)}`)) {
        throw new Error('the README names another version');
      }
      // The types of Node that the repository has are for newer compilers: only ours are looked at.
      const programs = [...typed, 'program.mts', 'program.cts', 'rig.mts', 'rig.cts'];
      compile('lowest', { ...only, skipLibCheck: true }, programs, lowest);
    });
    const bundler = { module: 'esnext', moduleResolution: 'bundler', noEmit: true };
    const bundled = { ...forNode, ...bundler };
    await check('has types for bundlers', () => compile('bundler', bundled, ['bundled.ts', 'rig.ts']));
    const page = { ...forBrowser, ...bundler };
    await check('has types for browsers', () => compile('browser', page, ['browser.ts']));
    await check('runs as an ES module', () => expectAgreement('program.mjs'));
    await check('runs as CommonJS', () => expectAgreement('program.cjs'));
    await check('tests a machine as an ES module', () => expectAgreement('rig.mjs'));
    await check('tests a machine as CommonJS', () => expectAgreement('rig.cjs'));
    for (const subpath of ['quorate', 'quorate/raft', 'quorate/multipaxos', 'quorate/testing']) {
      await check(`bundles ${subpath} for browsers`, () => bundle(`export * from '${subpath}';`));
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
if (failures > 0) {
  console.log(`package: ${failures} failed`);
  process.exitCode = 1;
}
