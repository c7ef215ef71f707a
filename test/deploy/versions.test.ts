import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { version } from '../../server/version.ts';
import { root } from '../docs/blocks.ts';

/** Where a version of Hector is written: an image, a package, a chart, an answer. */
const written =
  /(?:verikod\/hector:|hector-|newTag: |appVersion: |^version: |VERSION=|"version":")(\d+\.\d+\.\d+)(?![\d.])/gm;

const texts = ['deploy', 'docs'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => statSync(join(root, name)).isFile()),
);

test('what is shipped and what is said of it is of the version of the package', () => {
  const found = texts.flatMap((name) =>
    [...readFileSync(join(root, name), 'utf8').matchAll(written)].map(([, of]) => ({ name, of })),
  );
  assert.ok(found.length > 15, `only ${found.length} found`);
  assert.deepEqual(
    found.filter(({ of }) => of !== version),
    [],
  );
});
