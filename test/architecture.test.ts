import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

/**
 * Who may import whom (docs/architecture.md). Each row: the files it speaks of, and what their imports may be. A file
 * below core/ is `core`, a package is its name.
 */
const root = join(import.meta.dirname, '..');

interface Rule {
  readonly files: RegExp;
  readonly local: RegExp;
  readonly packages: RegExp;
}

const rules: readonly Rule[] = [
  { files: /^core\//, local: /^core\//, packages: /^(ajv|ajv\/.*|yaml|typebox|undici|@opentelemetry\/api)$/ },
  { files: /^providers\//, local: /^(core\/index\.ts$|providers\/)/, packages: /./ },
  { files: /^plugins\/builtin\.ts$/, local: /^(core\/index\.ts$|plugins\/|providers\/)/, packages: /^$/ },
  { files: /^plugins\//, local: /^(core\/index\.ts$|plugins\/)/, packages: /./ },
  {
    files: /^server\/(cli|commands\/([a-z-]+\/)?[a-z-]+)\.ts$/,
    local: /^(core|server)\/|^plugins\/builtin\.ts$/,
    packages: /./,
  },
  // It alone loads the SDK.
  {
    files: /^server\/tracing\.ts$/,
    local: /^(core|server)\//,
    packages: /^(@grpc\/grpc-js|@opentelemetry\/(api|sdk-node|exporter-(zipkin|trace-otlp-(grpc|proto))))$/,
  },
  {
    files: /^server\//,
    local: /^(core|server)\//,
    packages:
      /^(koa|@koa\/router|pino|prom-client|undici|yaml|@a2a-js\/sdk(\/.*)?|@modelcontextprotocol\/(server|node))$/,
  },
  { files: /^test\/conformance\//, local: /^(core\/|test\/conformance\/)/, packages: /^$/ },
];

interface Import {
  readonly from: string;
  /** A path below the root, or a package. */
  readonly to: string;
  readonly local: boolean;
  readonly typeOnly: boolean;
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(join(root, path)).isDirectory()) return sources(path);
    return path.endsWith('.ts') ? [path] : [];
  });
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s(type\s)?(?:[^'";]*?\sfrom\s)?'([^']+)'|\bimport\('([^']+)'\)/g,
  );
  return [...found].flatMap(([, type, statement, dynamic]) => {
    const to = statement ?? dynamic ?? '';
    if (to.startsWith('node:')) return [];
    const local = to.startsWith('.');
    const path = local ? relative(root, join(root, dirname(file), to)) : to;
    return [{ from: file, to: path, local, typeOnly: type !== undefined }];
  });
}

const files = ['core', 'plugins', 'providers', 'server', 'test/conformance'].flatMap(sources);
const imports = files.flatMap(importsOf);

test('every import is one that the architecture allows', () => {
  const wrong = imports.filter(({ from, to, local }) => {
    const rule = rules.find(({ files: of }) => of.test(from));
    return !rule || !(local ? rule.local : rule.packages).test(to);
  });
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} imports ${to}`),
    [],
  );
});

test('a plugin sees its own kind only: no folder of plugins imports another', () => {
  const folder = (path: string) => path.split('/').slice(0, 2).join('/');
  const wrong = imports.filter(
    ({ from, to, local }) =>
      local && /^plugins\/[a-z]+\//.test(from) && to.startsWith('plugins/') && folder(from) !== folder(to),
  );
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} imports ${to}`),
    [],
  );
});

test('no import cycles', () => {
  const edges = new Map<string, string[]>();
  for (const { from, to, local, typeOnly } of imports) {
    if (local && !typeOnly) edges.set(from, [...(edges.get(from) ?? []), to]);
  }
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), `cycle: ${[...path, file].join(' → ')}`);
    if (done.has(file)) return;
    for (const next of edges.get(file) ?? []) walk(next, [...path, file]);
    done.add(file);
  };
  for (const file of edges.keys()) walk(file, []);
});

test('the test saw the code: more than a handful of files, and every rule has some', () => {
  assert.ok(files.length > 60, `only ${files.length} files`);
  assert.ok(imports.length > 200, `only ${imports.length} imports`);
  for (const rule of rules)
    assert.ok(
      files.some((file) => rule.files.test(file)),
      `no file matches ${rule.files}`,
    );
});
