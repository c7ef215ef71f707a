import assert from 'node:assert/strict';
import { test } from 'node:test';
import { passages } from '../../../plugins/tools/passages.ts';
import { words } from '../../../plugins/tools/words.ts';

const cut = (text: string, size: number, overlap = 0, preserveWords = true) => [
  ...passages(text, { size, overlap, preserveWords }),
];

const prose = Array.from({ length: 500 }, (_, index) => `word${index}`).join(' ');

test('a text that fits is one passage; white space is none', () => {
  assert.deepEqual(cut('  short text\n', 100), ['short text']);
  assert.deepEqual(cut(' \n\t ', 100), []);
  assert.deepEqual(cut('', 100), []);
});

test('cuts between words, loses none, and keeps to the size', () => {
  const found = cut(prose, 100);
  assert.ok(found.length > 30);
  assert.ok(found.every((passage) => passage.length <= 100));
  assert.equal(found.join(' '), prose);
});

test('a word longer than a passage is cut all the same', () => {
  assert.deepEqual(cut('x'.repeat(250), 100), ['x'.repeat(100), 'x'.repeat(100), 'x'.repeat(50)]);
});

test('overlapping passages share whole words', () => {
  const found = cut(prose, 100, 30);
  for (const [index, passage] of found.entries()) {
    assert.match(passage, /^word\d+( word\d+)*$/);
    const next = found[index + 1];
    if (next === undefined) continue;
    const first = next.split(' ')[0] ?? '';
    assert.ok(passage.split(' ').includes(first), `"${first}" begins a passage and is in the one before it`);
  }
});

test('an overlap of nearly everything still ends, in no more passages than it must', () => {
  const found = cut(prose, 100, 99, false);
  assert.ok(found.length <= prose.length);
  assert.ok(cut(prose, 100, 90).length <= prose.length / 10 + 1);
  assert.equal(found.at(-1)?.endsWith('word499'), true);
});

test('without preserve_words the cut is where the size is over, but never within a character', () => {
  const found = cut('😀'.repeat(101), 101, 0, false);
  assert.ok(found.every((passage) => /^(😀)+$/u.test(passage)));
  assert.equal(found.join(''), '😀'.repeat(101));
  assert.ok(cut('😀'.repeat(200), 101, 51, false).every((passage) => /^(😀)+$/u.test(passage)));
});

test('writing without spaces is taken in pairs, so that it can be found', () => {
  assert.deepEqual(words('配置文件 config'), ['配置', '置文', '文件', 'config']);
  assert.deepEqual(words('max_body_size: 1MiB'), ['max', 'body', 'size', '1MiB']);
});
