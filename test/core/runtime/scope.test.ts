import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scope } from '../../../core/runtime/scope.ts';

test('undoes last-first, and one failure keeps no other from running', async () => {
  const done: number[] = [];
  const scope = new Scope();
  scope.defer(() => void done.push(1));
  scope.defer(async () => {
    throw new Error('two');
  });
  scope.defer(() => void done.push(3));
  await assert.rejects(scope[Symbol.asyncDispose](), (error: AggregateError) => error.errors.length === 1);
  assert.deepEqual(done, [3, 1]);
  await scope[Symbol.asyncDispose]();
  assert.deepEqual(done, [3, 1], 'a second dispose finds nothing to do');
});
