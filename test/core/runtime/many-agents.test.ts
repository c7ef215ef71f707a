import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentOrder } from '../../../core/runtime/agent-order.ts';
import { agent, reloads, retire } from './reloads.ts';

const many = (count: number, version: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${index}`, agent({ instruction: `${version}` })]));

/** How often whatever waits had its turn while something was done. */
async function turns(work: () => Promise<unknown>): Promise<number> {
  let count = 0;
  let over = false;
  const next = () => {
    count++;
    if (!over) setImmediate(next);
  };
  setImmediate(next);
  await work();
  over = true;
  return count;
}

test('requests have their turn while thousands of agents are built, rebuilt and closed', async () => {
  const { build, snapshot, pool, open } = await reloads();
  const first = await build(snapshot({ agents: many(10, 0) }));
  let second = first;
  const building = await turns(async () => {
    second = await build(snapshot({ agents: many(5_000, 1) }), first);
  });
  assert.ok(building > 5, `${building} turns while 5,000 were built`);
  await retire(first);
  assert.equal(open.size, 5_001);
  await retire(second);
  assert.equal(open.size, 0);
  assert.equal(pool.size, 0);
});

test('agents come after those they use, however many use each other in a row', () => {
  const names = Array.from({ length: 50_000 }, (_, index) => `a${index}`);
  const chain = new Map(names.map((name, index) => [name, names.slice(index + 1, index + 2)]));
  assert.deepEqual(agentOrder(chain), names.toReversed());
  const diamond = new Map([
    ['top', ['left', 'right', 'unknown']],
    ['right', ['bottom']],
    ['left', ['bottom']],
    ['bottom', []],
  ]);
  assert.deepEqual(agentOrder(diamond), ['bottom', 'left', 'right', 'top']);
});

test('agents that use each other in a circle are an error that names them', () => {
  const circle = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['b']],
  ]);
  assert.throws(() => agentOrder(circle), /in a circle: a → b → c → b\./);
});
