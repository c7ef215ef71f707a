import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from '../../../server/push/slots.ts';
import { gate } from '../../support/a2a-serving.ts';

const forever = new AbortController().signal;

test('lanes take turns, and none has more than its share', async () => {
  const slots = new Slots({ total: 2, perLane: 1 });
  const begun: string[] = [];
  const gates = new Map(['a1', 'a2', 'a3', 'b1', 'c1'].map((name) => [name, gate()]));
  const work = [...gates].map(([name, { opened }]) =>
    slots.run(name.charAt(0), forever, async () => {
      begun.push(name);
      await opened;
    }),
  );
  const turn = () => new Promise(setImmediate);
  await turn();
  assert.deepEqual(begun, ['a1', 'b1']);
  gates.get('a1')?.open();
  await turn();
  gates.get('a2')?.open();
  await turn();
  assert.deepEqual(begun, ['a1', 'b1', 'a2', 'c1']);
  for (const { open } of gates.values()) open();
  await Promise.all(work);
  assert.deepEqual([...begun].sort(), ['a1', 'a2', 'a3', 'b1', 'c1']);
});

test('whoever leaves the line takes no place; work that fails gives its place back', async () => {
  const slots = new Slots({ total: 1, perLane: 1 });
  const held = gate();
  const first = slots.run('a', forever, () => held.opened);
  const leaving = new AbortController();
  const left = slots.run('a', leaving.signal, () => assert.fail('it began'));
  const failing = slots.run('a', forever, () => Promise.reject(new Error('no')));
  const last = slots.run('b', forever, async () => 'last');
  leaving.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  held.open();
  await first;
  await assert.rejects(failing, /no/);
  assert.equal(await last, 'last');
  await assert.rejects(
    slots.run('a', leaving.signal, async () => {}),
    /gone/,
  );
});
