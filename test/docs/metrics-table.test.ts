import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { root } from './blocks.ts';
import { pageWithMetrics } from './metrics-table.ts';

test('docs/observability.md has every metric that a server has, with its labels: npm run docs', async () => {
  const { current, expected } = await pageWithMetrics();
  assert.equal(current, expected);
});

test('docs/observability.md has every alert', async () => {
  const page = await readFile(join(root, 'docs/observability.md'), 'utf8');
  const { groups } = parse(await readFile(join(root, 'deploy/prometheus/alerts.yml'), 'utf8'));
  const names = groups.flatMap(({ rules }: { rules: { alert: string }[] }) => rules.map(({ alert }) => alert));
  const listed = [...page.matchAll(/^\| `([A-Z]\w+)` \|/gm)].map(([, name]) => name);
  assert.deepEqual(listed, names);
});
