import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const dist = join(import.meta.dirname, '../dist');

/** TypeScript 5.9 leaves some dynamic imports as they are written, which only shows when one is reached in production. */
test('what was built imports nothing that was not', () => {
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.js'));
  assert.ok(files.length > 100, `only ${files.length} files; run npm run build`);
  const wrong = files.filter((path) =>
    /(?:from|import\()\s*['"]\.[^'"]*\.ts['"]/.test(readFileSync(join(dist, path), 'utf8')),
  );
  assert.deepEqual(wrong, []);
});
