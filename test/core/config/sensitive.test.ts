import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secrets } from '../../../core/config/secrets.ts';
import { isSensitive, showable } from '../../../core/config/sensitive.ts';

test('names that tell of a secret, and those that only look so', () => {
  const telling =
    'api_key apikey token access_token GITHUB_TOKEN secret client_secret webhook_secret password db_password dsn read_dsn private_key AWS_SECRET_KEY aws_access_key Authorization cookie x-api-key';
  for (const name of telling.split(' ')) assert.ok(isSensitive(['tools', 'x', 'env', name]), name);
  const others =
    'max_tokens first_token token_file token_window budget_tokens keys monkey key secrets password_file author';
  for (const name of others.split(' ')) assert.ok(!isSensitive(['tools', 'x', 'env', name]), name);
});

test('a text may be shown without what is written behind such a name, however it is quoted', () => {
  const none = new Secrets([]);
  const cases: [written: string, shown: string][] = [
    ['api_key: sk-1 2 # mine', 'api_key: **** * # mine'],
    ['{ GITHUB_TOKEN: "a\\"b", x: "c" }', '{ GITHUB_TOKEN: "**"*", x: "c" }'],
    ["password: 'it''s mine'", "password: '**''* ****'"],
    ['api_key: "${KEY}"', 'api_key: "${KEY}"'],
    ['max_tokens: 100', 'max_tokens: 100'],
  ];
  for (const [written, shown] of cases) assert.equal(showable(written, none), shown);
});
