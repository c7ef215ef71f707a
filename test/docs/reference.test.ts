import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comingPaths } from '../../core/config/coming.ts';
import { resolvedSchema } from '../../core/config/schema.ts';
import { Registry } from '../../core/plugin/registry.ts';
import { builtins } from '../../plugins/builtin.ts';
import { pageWithReference } from './reference.ts';

test('docs/configuration.md has every key, with its type and default', () => {
  const { current, expected } = pageWithReference();
  assert.ok(current === expected, 'the page is not what the schema says: run `npm run docs`');
});

test('every key that is accepted and not acted on is listed there as coming', () => {
  const { current } = pageWithReference();
  const section = current.slice(current.indexOf('### Coming'));
  const paths = comingPaths(resolvedSchema(new Registry(builtins)));
  assert.ok(paths.length > 20, `only ${paths.length} keys are coming`);
  for (const { path } of paths) assert.ok(section.includes(`\`${path}\``), `${path} is not listed`);
});
