import { readdirSync } from 'node:fs';
import { defineConfig, type Options } from 'tsup';

/** `prefix + path below folder` → source file, for every source file below `folder`, if there is one. */
function programsIn(folder: string, prefix: string): Record<string, string> {
  const programs: Record<string, string> = {};
  try {
    for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      const name = path.replaceAll('\\', '/');
      if (name.endsWith('.ts')) programs[prefix + name.slice(0, -'.ts'.length)] = `${folder}/${name}`;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return programs;
}

/**
 * What tests and users run from the repository after `npm run build`: `.build/<example>/…`, and `.build/programs/…` for
 * tests that need a process of their own. The package stays outside, so that they run against what is shipped.
 */
const programs = { ...programsIn('examples', ''), ...programsIn('test/programs', 'programs/') };

const program: Options = {
  format: 'esm',
  // A program finds its siblings by `import.meta.url`: each is one file where its source would be.
  splitting: false,
  target: 'node20',
  removeNodeProtocol: false,
  sourcemap: 'inline',
  clean: true,
};

const everything: Options[] = [
  {
    name: 'package',
    entry: {
      index: 'src/index.ts',
      node: 'src/node.ts',
      'raft/index': 'src/raft/index.ts',
      'multipaxos/index': 'src/multipaxos/index.ts',
      'testing/index': 'src/testing/index.ts',
    },
    outDir: 'dist',
    format: ['esm', 'cjs'],
    // One copy of what the entries share, so that `instanceof` and brands hold between subpaths.
    splitting: true,
    // `Symbol.asyncDispose` in our types must not depend on the `lib` that a user has chosen.
    dts: { banner: '/// <reference lib="esnext.disposable" />' },
    target: 'es2022',
    platform: 'neutral',
    external: [/^node:/],
    removeNodeProtocol: false,
    clean: true,
  },
  { name: 'programs', entry: programs, outDir: '.build', ...program, external: [/^quorate($|\/)/] },
];

/**
 * `tsup` builds everything. `tsup <programs> --out-dir <folder>` builds these programs alone, quickly: the package's
 * sources are bundled into them, by the paths of tsconfig.json, so that `dist` is neither needed nor touched.
 */
export default defineConfig(({ entry, outDir }) => {
  if (entry === undefined) return everything;
  const sources = Array.isArray(entry) ? entry : Object.values(entry);
  // Not on standard output, which belongs to the program that is run next.
  console.error(`building ${outDir} from ${sources.join(', ')}`);
  return { ...program, noExternal: [/^quorate($|\/)/] };
});
