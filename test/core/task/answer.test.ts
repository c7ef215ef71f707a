import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Answer } from '../../../core/task/answer.ts';
import { until } from '../../support/until.ts';

interface Written {
  readonly text: string;
  readonly first: boolean;
  readonly last: boolean;
}

function answer(options: { coalesceMs?: number; coalesceMax?: number } = {}) {
  const written: Written[] = [];
  const reading = { along: true };
  const it = new Answer({
    watched: () => reading.along,
    coalesceMs: options.coalesceMs ?? 3_600_000,
    coalesceMax: options.coalesceMax ?? 32,
    write: (text, first, last) => written.push({ text, first, last }),
  });
  return { answer: it, written, reading, texts: () => written.map(({ text }) => text) };
}

test('the first piece goes out at once', () => {
  const { answer: it, written } = answer();
  it.add('Hel');
  assert.deepEqual(written, [{ text: 'Hel', first: true, last: false }]);
  it.end();
});

test('pieces in quick succession go out together, so many at most', () => {
  const { answer: it, texts } = answer({ coalesceMax: 4 });
  for (const piece of 'abcdefghij') it.add(piece);
  assert.deepEqual(texts(), ['a', 'bcde', 'fghi']);
  it.end();
  assert.deepEqual(texts(), ['a', 'bcde', 'fghi', 'j']);
});

test('pieces wait for others no longer than was said', async () => {
  const { answer: it, texts } = answer({ coalesceMs: 20 });
  it.add('a');
  it.add('b');
  it.add('c');
  assert.deepEqual(texts(), ['a']);
  await until(() => texts().length === 2);
  assert.deepEqual(texts(), ['a', 'bc']);
  it.end();
});

test('without a time to wait every piece goes out by itself', () => {
  const { answer: it, texts } = answer({ coalesceMs: 0 });
  for (const piece of 'abc') it.add(piece);
  assert.deepEqual(texts(), ['a', 'b', 'c']);
  it.end();
});

test('the end is marked, by an empty text where all has gone out', () => {
  const { answer: it, written } = answer();
  it.add('all');
  it.end();
  assert.deepEqual(written.at(-1), { text: '', first: false, last: true });
});

test('an answer without text writes nothing', () => {
  const { answer: it, written } = answer();
  it.end();
  assert.deepEqual(written, []);
});

test('while nobody reads along, text is only collected', () => {
  const { answer: it, written, reading } = answer({ coalesceMs: 0, coalesceMax: 1 });
  reading.along = false;
  for (let i = 0; i < 10_000; i++) it.add('x');
  assert.deepEqual(written, []);
  it.end();
  assert.deepEqual(written, [{ text: 'x'.repeat(10_000), first: true, last: true }]);
});

test('no timer is left behind', () => {
  const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
  const before = timers();
  const { answer: it } = answer();
  it.add('a');
  it.add('b');
  assert.equal(timers(), before + 1);
  it.end();
  assert.equal(timers(), before);
});
