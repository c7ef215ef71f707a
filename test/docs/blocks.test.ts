import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { cleanEnvironment, type Hector, startHector } from '../support/hector.ts';
import { type Block, blocks, root } from './blocks.ts';

const run = promisify(execFile);
const cli = join(root, 'dist/server/cli.js');
const all = blocks();
const of = (...languages: string[]) => all.filter((block) => languages.includes(block.language));
const place = (block: Block) => `${block.page}:${block.line}`;

/** What the blocks may refer to. A block under `<!-- file: NAME -->` is that file for the others; so is test/fixtures/docs. */
const environment = cleanEnvironment({
  OPENAI_API_KEY: 'sk-of-the-docs',
  ANTHROPIC_API_KEY: 'sk-ant-of-the-docs',
  API_KEY_1: 'first-key-of-the-docs',
  API_KEY_2: 'second-key-of-the-docs',
  DB_PASSWORD: 'password-of-the-docs',
});

describe('the documentation', () => {
  /** Within the repository, so that `hector` resolves to the package itself. */
  let folder: string;
  /** What the blocks call http://localhost:8080. */
  let hector: Hector;
  before(async () => {
    hector = await startHector({ config: 'llms: { default: { provider: echo } }\nagents: { assistant: {} }\n' });
    await mkdir(join(root, '.tmp'), { recursive: true });
    folder = await mkdtemp(join(root, '.tmp/docs-'));
    await cp(join(import.meta.dirname, '../fixtures/docs'), folder, { recursive: true });
    for (const { note, text } of all) {
      const name = /^file: (\S+)$/.exec(note)?.[1];
      if (name !== undefined) await writeFile(join(folder, name), text);
    }
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await hector[Symbol.asyncDispose]();
  });

  test('every block is of a kind that is run', () => {
    // That of `sql` is run by test/plugins/storage/postgres-partitions.test.ts.
    const kinds = ['yaml', 'json', 'ts', 'js', 'sh', 'sql', 'text'];
    const other = all.filter((block) => !kinds.includes(block.language));
    assert.deepEqual(
      other.map((block) => `${place(block)} ${block.language}`),
      [],
    );
    assert.ok(all.length > 12, `only ${all.length} blocks found`);
    // `text` is for what is printed and drawn; code must not hide in it.
    const hidden = of('text').filter(({ text }) => /^(import |version: |curl |\$ )/m.test(text));
    assert.deepEqual(hidden.map(place), []);
  });

  for (const block of of('yaml').filter(({ note }) => !note.startsWith('not a configuration'))) {
    test(`${place(block)}: the configuration validates`, async () => {
      const path = join(folder, `block-${block.line}.yaml`);
      await writeFile(path, block.text);
      const { stdout } = await run(process.execPath, [cli, 'validate', path, '--format', 'json'], {
        cwd: folder,
        env: environment,
      }).catch((error: { stdout: string; stderr: string }) => ({ stdout: error.stdout || error.stderr }));
      const { valid, errors } = JSON.parse(stdout) as { valid: boolean; errors: unknown[] };
      assert.ok(valid, JSON.stringify(errors, null, 2));
    });
  }

  for (const block of of('json')) {
    test(`${place(block)}: is JSON`, () => void JSON.parse(block.text));
  }

  test('the TypeScript blocks compile against the published types, and run', async () => {
    const sources = await Promise.all(
      of('ts', 'js').map(async (block, index) => {
        const path = join(folder, `block-${index}.${block.language === 'ts' ? 'ts' : 'mjs'}`);
        await writeFile(path, block.text);
        return { block, path };
      }),
    );
    const typescript = sources.filter(({ path }) => path.endsWith('.ts')).map(({ path }) => path);
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: '../../tsconfig.json',
        compilerOptions: { allowJs: true },
        include: typescript,
        exclude: [],
      }),
    );
    await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder]).catch(
      (error: { stdout: string }) => assert.fail(error.stdout),
    );
    for (const { block, path } of sources) {
      await run(process.execPath, ['--import', 'tsx', path], { cwd: folder, env: environment }).catch(
        (error: { stderr: string; stdout: string }) => assert.fail(`${place(block)}: ${error.stderr}${error.stdout}`),
      );
    }
  });

  /** The lines that install and test the repository itself are run by CI and by test/e2e/fresh-clone.test.ts. */
  const ofTheRepository = /^(npm ci && npm (start|test)|npm run (check|bench|fix).*)$/;

  /** Those that need servers or a machine of their own: `<!-- run by FILE -->`. */
  const elsewhere = ({ note, page }: Block) => {
    const runner = /^run by (\S+)/.exec(note)?.[1];
    if (runner === undefined) return false;
    assert.ok(readFileSync(join(root, runner), 'utf8').includes(page), `${runner} does not read ${page}`);
    return true;
  };

  test('the shell blocks run, against a server where they name one', async (t) => {
    const bin = join(folder, 'bin');
    await mkdir(bin, { recursive: true });
    await writeFile(join(bin, 'hector'), `#!/bin/sh\nexec "${process.execPath}" "${cli}" "$@"\n`, { mode: 0o755 });
    const env = { ...environment, PATH: `${bin}:${environment['PATH']}` };
    const work = await mkdtemp(join(tmpdir(), 'hector-docs-'));
    await cp(join(import.meta.dirname, '../fixtures/docs'), work, { recursive: true });
    try {
      for (const block of of('sh').filter((each) => !elsewhere(each))) {
        const script = block.text
          .split('\n')
          .filter((line) => !ofTheRepository.test(line))
          .join('\n')
          .replaceAll('http://localhost:8080', hector.url);
        if (script.trim() === '') continue;
        await t.test(place(block), async () => {
          const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], {
            cwd: work,
            env,
            timeout: 60_000,
          }).catch((error: { stdout: string; stderr: string }) =>
            assert.fail(`${script}\n${error.stdout}${error.stderr}`),
          );
          assert.doesNotMatch(stdout, /"error"/, script);
        });
      }
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });

  test('links within the documentation lead somewhere', () => {
    const links = [...new Set(all.map(({ page }) => page))].flatMap((page) =>
      [...readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].map(
        ([, path, heading]) => ({ page, target: path ? join(root, page, '..', path) : join(root, page), heading }),
      ),
    );
    const wrong = links.filter(
      ({ target, heading }) => !existsSync(target) || (heading !== undefined && !headings(target).has(heading)),
    );
    assert.deepEqual(wrong, []);
    assert.ok(links.length > 100, `only ${links.length} links found`);
  });
});

/** As GitHub names them in links. */
function headings(path: string): ReadonlySet<string> {
  const text = readFileSync(path, 'utf8').replaceAll(/^```.*?^```/gms, '');
  const titles = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1'),
  );
  return new Set(
    titles.map((title) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}
