import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fillIn } from '../../../../plugins/agents/llm/template.ts';

const variables = {
  '': { name: 'Ada', count: 0, flag: false, list: [1, 2], none: null, tricky: '{name} $& $1', constructor_: 'x' },
  user: { name: 'subject', role: 'admin' },
  temp: { ticket: 42 },
};

const table: readonly [template: string, filled: string][] = [
  ['no variables', 'no variables'],
  ['Hello {name}!', 'Hello Ada!'],
  ['Hello {{name}}!', 'Hello Ada!'],
  ['{name}{name}', 'AdaAda'],
  ['{count} {flag} {list}', '0 false [1,2]'],
  ['{user:name} is {user:role}', 'subject is admin'],
  ['{temp:ticket}', '42'],
  ['{name?} {unknown?}|', 'Ada |'],
  ['{app:region} {app:region?}|', '{app:region} |'],
  ['{unknown} {user:unknown}', '{unknown} {user:unknown}'],
  ['{none} {none?}|', '{none} |'],
  ['{tricky}', '{name} $& $1'],
  ['{constructor} {toString} {__proto__}', '{constructor} {toString} {__proto__}'],
  ['{"name": "x", "nested": {"count": 1}}', '{"name": "x", "nested": {"count": 1}}'],
  ['{"a":{name}}', '{"a":Ada}'],
  ['{ name } {name!} {9lives} {na-me} {}', '{ name } {name!} {9lives} {na-me} {}'],
  ['{other:name}', '{other:name}'],
  ['{{name} {name}}', '{Ada Ada}'],
];

for (const [template, filled] of table) {
  test(`${JSON.stringify(template)} becomes ${JSON.stringify(filled)}`, () => {
    assert.equal(fillIn(template, variables), filled);
  });
}

test('a template of many braces takes no longer than its length', () => {
  const template = '{'.repeat(200_000);
  const started = performance.now();
  assert.equal(fillIn(template, variables), template);
  assert.ok(performance.now() - started < 2_000);
});
