import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const source = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url));
const report = process.env['TEST_REPORT'];

/** What needs `npm run build`, processes of its own or the package registry. `--mode unit` leaves it out. */
const BEYOND_UNITS = [
  '**/demo.test.ts',
  '**/simulate-your-machine.test.ts',
  '**/examples/sessions.test.ts',
  '**/file-storage-kill.test.ts',
  '**/format.test.ts',
  '**/mutants/gate.test.ts',
  '**/process-rig/namespaces.test.ts',
  '**/process-rig/rig.test.ts',
];

/**
 * What is pure, or in memory only, and leaves its process as it was: a worker runs one file of these after the other,
 * and loads the sources once. All others have a process each.
 */
const SHARED = ['core', 'raft', 'multipaxos', 'both', 'testing', 'replica/driver', 'oracle', 'deep'].map(
  (folder) => `test/${folder}/**/*.test.ts`,
);

/**
 * The files that take longest, in this order before all others: begun last, one of them would keep one worker busy
 * while the other has nothing to do. A clean clone has no memory of how long files took.
 */
const LONGEST = [
  'examples/demo',
  'format',
  'testing/simulator/schedules',
  'testing/host-simulation/host-simulation',
  'process-rig/rig',
  'mutants/gate',
  'testing/checker/model-checker',
  'testing/simulator/simulator',
  'docs/docs',
  'oracle/oracle',
  'multipaxos/evidence/digest',
  'examples/simulate-your-machine',
  'testing/simulator/shrink',
  'both/laws',
  'both/topologies',
  'testing/world/world',
  'both/growth',
  'process-rig/namespaces',
  'adapters/file-storage-damage',
  'adapters/file-storage-kill',
  'tidy',
].map((name) => fileURLToPath(new URL(`./test/${name}.test.ts`, import.meta.url)));

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const gone = LONGEST.filter((path) => !existsSync(path));
    if (gone.length > 0) throw new Error(`vitest.config.ts names files that are not there: ${gone.join(', ')}`);
    const rankOf = ({ moduleId }: TestSpecification): number => LONGEST.indexOf(moduleId) + 1 || LONGEST.length + 1;
    return (await super.sort(files)).sort((a, b) => rankOf(a) - rankOf(b));
  }
}

// The package by its own name, without a build.
const alias = [
  { find: /^quorate$/, replacement: source('index.ts') },
  { find: /^quorate\/node$/, replacement: source('node.ts') },
  { find: /^quorate\/raft$/, replacement: source('raft/index.ts') },
  { find: /^quorate\/multipaxos$/, replacement: source('multipaxos/index.ts') },
  { find: /^quorate\/testing$/, replacement: source('testing/index.ts') },
];

/**
 * For processes that run one file: with V8's own limits a third of a short run goes into compiling the same functions
 * better and better. Later and with less inlined costs less; in a process that lives long it would gain nothing.
 */
const SHORT_LIVED = ['--interrupt-budget=400000', '--max-inlined-bytecode-size-cumulative=200'];

/** All files that have nothing in them which is too long for every change (`test/amount.ts`); `--mode deep` leaves them out. */
function withoutAmounts(): string[] {
  const paths = readdirSync(fileURLToPath(new URL('./test', import.meta.url)), { recursive: true, encoding: 'utf8' });
  const tests = paths.filter((path) => path.endsWith('.test.ts')).map((path) => `test/${path.replaceAll('\\', '/')}`);
  return tests.filter((path) => !readFileSync(new URL(path, import.meta.url), 'utf8').includes("/amount.js';"));
}

/** Nothing here measures time: a test that stands still is told from one on a slow machine, however slow that is. */
const PATIENCE = 120_000;

/** Some of the tests. What they would take over from the whole is what `--maxWorkers` could not change any more. */
function project(
  name: string,
  include: string[],
  left: string[],
  isolate: boolean,
  mode: string,
): TestProjectInlineConfiguration {
  const execArgv = isolate ? SHORT_LIVED : [];
  const isDeep = mode === 'deep';
  const env = { TEST_AMOUNT: isDeep ? 'all' : 'part' };
  const patience = isDeep ? 10 * PATIENCE : PATIENCE;
  const timeouts = { testTimeout: patience, hookTimeout: patience };
  const exclude = [...configDefaults.exclude, ...left, ...(isDeep ? withoutAmounts() : [])];
  return { resolve: { alias }, test: { name, include, exclude, isolate, pool: 'forks', execArgv, env, ...timeouts } };
}

export default defineConfig(({ mode }) => ({
  test: {
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      project('shared', SHARED, [], false, mode),
      project('apart', ['test/**/*.test.ts'], [...SHARED, ...(mode === 'unit' ? BEYOND_UNITS : [])], true, mode),
    ],
    // With TEST_REPORT=<file> the counts are written there too, for a program to read.
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
  },
}));
