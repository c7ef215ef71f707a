import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { blocks } from '../docs/blocks.ts';
import { deployFile } from '../support/deploy-file.ts';

/** Their files are reached from each other, and what is not reached fails test/deploy/kubernetes.test.ts and helm.test.ts. */
const whole = ['kubernetes/', 'helm/'];

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}

const shipped = filesBelow(deployFile('')).map((path) => relative(deployFile(''), path));

/** What tests, and what they are made of, name with `deployFile('…')`, and what a page names in a block that one of them runs. */
const named = new Set([
  ...filesBelow(join(import.meta.dirname, '..'))
    .filter((path) => path.endsWith('.ts') && !path.endsWith('deploy-file.ts'))
    .flatMap((path) => [...readFileSync(path, 'utf8').matchAll(/deployFile\('([^'…]+)'\)/g)])
    .map(([, path]) => path ?? ''),
  ...blocks()
    .filter(({ note }) => note.startsWith('run by test/deploy/'))
    .flatMap(({ text }) => text.match(/(?<=\bdeploy\/)[\w./-]+/g) ?? []),
]);

const unexercised = (files: readonly string[]) =>
  files.filter((path) => !named.has(path) && !whole.some((folder) => path.startsWith(folder)));

test('every file below deploy/ is exercised by a test', () => {
  assert.ok(shipped.length > 3, `only ${shipped.length} files found`);
  assert.deepEqual(unexercised(shipped), []);
});

test('one that no test names is found', () => {
  const added = ['systemd', 'nobody.service'].join('/');
  assert.deepEqual(unexercised([...shipped, added]), [added]);
});

test('every file that a test names is there', () => {
  for (const path of named) assert.ok(statSync(deployFile(path)), path);
});
