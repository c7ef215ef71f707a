import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryAfter, statusFailure } from '../../../plugins/llm/failure.ts';

const headers = (fields: Record<string, string> = {}) => ({ get: (name: string) => fields[name] ?? null });
const context = { who: 'the model', secrets: ['sk-very-secret', 'ab'] };
const failure = (status: number, text: string, fields?: Record<string, string>) =>
  statusFailure(context, status, headers(fields), text);

test('Retry-After is seconds, a date, or milliseconds of its own', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const after = (fields: Record<string, string>) => retryAfter(headers(fields), now);
  assert.equal(after({}), undefined);
  assert.equal(after({ 'retry-after': '2' }), 2_000);
  assert.equal(after({ 'retry-after': '0.5' }), 500);
  assert.equal(after({ 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }), 30_000);
  assert.equal(after({ 'retry-after': 'Wed, 31 Dec 2025 23:00:00 GMT' }), 0);
  assert.equal(after({ 'retry-after': 'soon' }), undefined);
  assert.equal(after({ 'retry-after-ms': '120', 'retry-after': '2' }), 120);
  assert.equal(failure(429, '', { 'retry-after': '3' }).retryAfterMs, 3_000);
});

test('finds what a server has to say wherever it says it', () => {
  const said = {
    '{"error":{"message":"no"}}': 'no',
    '{"error":"no"}': 'no',
    '{"type":"error","error":{"type":"x","message":"no"}}': 'no',
    '{"message":"no"}': 'no',
    '{"detail":"no"}': 'no',
    '{"detail":[{"loc":["body"]}]}': '{"detail":[{"loc":["body"]}]}',
    'no\n\n  and  no': 'no and no',
    '': 'nothing else',
    null: 'null',
  };
  for (const [text, sentence] of Object.entries(said))
    assert.equal(failure(400, text).message, `the model answered 400: ${sentence}`);
});

test('messages hold no secrets and are of bounded length', () => {
  assert.equal(
    failure(401, 'the key sk-very-secret is about sk-very-secret').message,
    'the model answered 401: the key *** is about ***',
  );
  assert.ok(failure(500, 'x'.repeat(100_000)).message.length < 1_100);
});

test('a quota that is used up is not asked again', () => {
  const { kind, retryable } = failure(429, '{"error":{"code":"insufficient_quota","message":"no more"}}');
  assert.deepEqual([kind, retryable], ['rate_limited', false]);
  assert.equal(failure(400, '{"error":{"code":"content_filter","message":"no"}}').kind, 'content_filter');
});
