import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TextBuilder } from '../../core/text-builder.ts';

test('is the text of its pieces, however it is read in between', () => {
  const pieces = Array.from({ length: 1_000 }, (_, i) => (i % 7 === 0 ? '' : `p${i} `));
  for (const readEvery of [1, 3, 64, 65, 1_001]) {
    const builder = new TextBuilder('start ');
    let expected = 'start ';
    for (const [i, piece] of pieces.entries()) {
      builder.append(piece);
      expected += piece;
      if (i % readEvery === 0) assert.equal(builder.toString(), expected);
    }
    assert.equal(builder.toString(), expected);
    assert.equal(builder.length, expected.length);
  }
  assert.equal(new TextBuilder().toString(), '');
});
