import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChunkedMap } from '../../core/chunked-map.ts';
import { Random } from '../support/random.ts';

const numbered = (count: number) => new Map(Array.from({ length: count }, (_, index) => [`n${index}`, index]));

test('a map of any size is the map that it was made of, and so is one that differs from it', () => {
  const random = new Random(1);
  for (const count of [0, 1, 2, 3, 7, 128, 1_000]) {
    const model = numbered(count);
    let map = ChunkedMap.of(model);
    for (let step = 0; step < 20; step++) {
      const some = [...model.keys()].filter(() => random.below(10) === 0);
      for (const name of some) model.set(name, random.below(1_000));
      map = map.with(some.map((name) => [name, model.get(name) ?? 0]));
      assert.deepEqual([...map], [...model]);
      assert.deepEqual([...map.keys()], [...model.keys()]);
      assert.deepEqual([...map.values()], [...model.values()]);
      for (const [name, value] of model) assert.equal(map.get(name), value);
    }
    assert.deepEqual(
      [map.size, map.has('n0'), map.has('other'), map.get('other')],
      [count, count > 0, false, undefined],
    );
    const visited = new Map<string, number>();
    map.forEach((value, name) => void visited.set(name, value));
    assert.deepEqual([...visited], [...model]);
    assert.deepEqual(
      [...map.mapped(String)],
      [...model].map(([name, value]) => [name, String(value)]),
    );
  }
});

test('the map that another was made from stays as it was', () => {
  const first = ChunkedMap.of(numbered(100));
  const second = first.with([['n7', -1]]);
  assert.deepEqual([first.get('n7'), second.get('n7')], [7, -1]);
});

test('what differs in one value copies about the square root of the rest', () => {
  const first = ChunkedMap.of(numbered(10_000));
  const second = first.with([['n5000', -1]]);
  const copied = second.chunks.flatMap((chunk, at) => (chunk === first.chunks[at] ? [] : [at]));
  assert.deepEqual(copied, [second.chunkOf('n5000')]);
  assert.ok(first.chunks.length <= 128 && (first.chunks[0]?.length ?? 0) <= 128);
});

test('a name that is not there is refused, and nothing is changed', () => {
  const map = ChunkedMap.of(numbered(3));
  assert.throws(() => map.with([['other', 1]]), /no "other"/);
  assert.deepEqual([...map], [...numbered(3)]);
});
