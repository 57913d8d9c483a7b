import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';

const source = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url));
const report = process.env['TEST_REPORT'];

/** What needs `npm run build`, processes of its own or the package registry. `--mode unit` leaves it out. */
const BEYOND_UNITS = [
  '**/demo.test.ts',
  '**/simulate-your-machine.test.ts',
  '**/file-storage-kill.test.ts',
  '**/format.test.ts',
  '**/mutants/gate.test.ts',
  '**/process-rig/rig.test.ts',
];

export default defineConfig(({ mode }) => ({
  resolve: {
    // The package by its own name, without a build.
    alias: [
      { find: /^quorate$/, replacement: source('index.ts') },
      { find: /^quorate\/node$/, replacement: source('node.ts') },
      { find: /^quorate\/raft$/, replacement: source('raft/index.ts') },
      { find: /^quorate\/multipaxos$/, replacement: source('multipaxos/index.ts') },
      { find: /^quorate\/testing$/, replacement: source('testing/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(mode === 'unit' ? BEYOND_UNITS : [])],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // With TEST_REPORT=<file> the counts are written there too, for a program to read.
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
  },
}));
