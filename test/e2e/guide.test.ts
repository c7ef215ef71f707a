import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { cleanEnvironment } from '../support/hector.ts';

const folder = join(import.meta.dirname, '../fixtures/guide');
const cli = join(import.meta.dirname, '../../dist/server/cli.js');
const environment = cleanEnvironment({
  OPENAI_API_KEY: 'sk-of-the-guide',
  ANTHROPIC_API_KEY: 'sk-ant-of-the-guide',
  DB_PASSWORD: 'password-of-the-guide',
  API_KEY_1: 'first-of-the-guide',
  API_KEY_2: 'second-of-the-guide',
});

/** Every document of the deployment guide that configures Hector, letter by letter. */
const documents = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

for (const name of documents) {
  test(`the deployment guide's ${name} validates with what is in the box, and prints without its secrets`, async () => {
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [cli, 'validate', join(folder, name), '--print-config'],
      { env: environment },
    );
    assert.match(stdout, /agents:/);
    assert.doesNotMatch(stdout + stderr, /of-the-guide/);
  });
}

test('there are all nine of them', () => assert.equal(documents.length, 9));
