import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hopsIn } from '../../../server/a2a/hops.ts';

test('the highest that is said counts; what is no number says nothing', () => {
  for (const [said, hops] of [
    [undefined, 0],
    ['3', 3],
    ['1, 7, 2', 7],
    ['-5', 0],
    ['1e9', 0],
    ['x, 2', 2],
    ['', 0],
    [' 4 ', 4],
  ] as const) {
    assert.equal(hopsIn({ 'x-hector-agent-depth': said }), hops, said);
  }
});
