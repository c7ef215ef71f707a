import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gate } from '../../support/a2a-serving.ts';
import { until } from '../../support/until.ts';
import { gated, hook, type Pushing, type PushingWish, pushing, quick } from './pushing.ts';
import {
  accept,
  answer,
  cut,
  event,
  first,
  hang,
  type Reaction,
  type Receiver,
  receiver,
  state,
  textOf,
} from './receiver.ts';

const v1 = { version: '1.0' } as const;

/** A task that has ended and is told of once. */
async function delivering(react: Reaction, wish: PushingWish = {}) {
  const to = await receiver(react);
  const work = gated();
  const p = await pushing(work.run, wish);
  const { task, settled } = await p.send('answer');
  work.open();
  await settled();
  const config = hook(task.id, `${to.url}?secret=1`, {
    id: 'h',
    token: 'tok-secret',
    authentication: { scheme: 'Bearer', credentials: 'cred-secret' },
  });
  await p.webhooks.create(p.caller, config, { ...v1, announce: true });
  return {
    to,
    p,
    async [Symbol.asyncDispose]() {
      await p[Symbol.asyncDispose]();
      await to[Symbol.asyncDispose]();
    },
  };
}

const warnings = (p: Pushing) => p.serving.lines.filter(({ level }) => level === 'warn' || level === 'error');

for (const [name, react] of [
  ['a webhook that answers 500', answer(500)],
  ['one that answers 429', answer(429)],
  ['one that cuts the connection', cut],
] as const) {
  test(`${name} is tried again with the same key, until it has what it was sent`, async () => {
    await using d = await delivering(first(2, react));
    await until(() => d.to.received.length === 3);
    await d.p.webhooks.close(5_000);
    assert.equal(new Set(d.to.received.map(({ headers }) => headers['idempotency-key'])).size, 1);
    assert.equal(new Set(d.to.received.map(({ body }) => body)).size, 1);
    assert.deepEqual(warnings(d.p), []);
  });
}

test('one that does not answer is given up on in time and tried again', async () => {
  await using d = await delivering(first(1, hang), { push: { timeout: '100ms' } });
  await until(() => d.to.received.length === 2);
  await d.p.webhooks.close(5_000);
  assert.deepEqual(warnings(d.p), []);
});

test('attempts are used up, and the log says once that they are, without anything secret', async () => {
  await using d = await delivering(answer(503), { push: { max_attempts: 3 } });
  await until(() => warnings(d.p).length > 0);
  assert.equal(d.to.received.length, 3);
  const [warning] = warnings(d.p);
  assert.equal(warning?.['attempts'], 3);
  assert.match(String(warning?.['reason']), /status 503/);
  assert.equal(warning?.['agent'], 'worker');
  assert.equal(warning?.['webhook'], 'h');
  assert.doesNotMatch(JSON.stringify(d.p.serving.lines), /secret/);
});

for (const status of [400, 401, 404, 410, 422]) {
  test(`status ${status} is final`, async () => {
    await using d = await delivering(answer(status));
    await until(() => warnings(d.p).length === 1);
    assert.equal(d.to.received.length, 1);
  });
}

test('a redirect is not followed', async () => {
  await using other = await receiver();
  for (const status of [301, 302, 307, 308]) {
    await using d = await delivering(answer(status, { location: other.url }));
    await until(() => warnings(d.p).length === 1);
    assert.match(String(warnings(d.p)[0]?.['reason']), /redirects are not followed/);
    assert.equal(d.to.received.length, 1);
  }
  assert.deepEqual(other.received, []);
});

test('Retry-After is waited for, and no longer than is reasonable', async () => {
  await using seconds = await delivering(first(1, answer(503, { 'retry-after': '1' })));
  await using eternity = await delivering(first(1, answer(503, { 'retry-after': '86400' })), {
    timing: { ...quick, maxRetryAfterMs: 100 },
  });
  const date = new Date(Date.now() + 2_500).toUTCString();
  await using dated = await delivering(first(1, answer(503, { 'retry-after': date })), {
    timing: { ...quick, maxRetryAfterMs: 60_000 },
  });
  const gap = async ({ received }: Receiver) => {
    await until(() => received.length === 2);
    return (received[1]?.at ?? 0) - (received[0]?.at ?? 0);
  };
  assert.ok((await gap(seconds.to)) >= 990);
  assert.ok((await gap(eternity.to)) >= 95);
  assert.ok((await gap(dated.to)) >= 200);
});

test('a long or endless body costs no more than its connection', async () => {
  await using d = await delivering((response) => {
    response.writeHead(200);
    const write = () => void (response.destroyed || response.write('x'.repeat(64 * 1024), write));
    write();
  });
  await d.p.webhooks.close(10_000);
  assert.equal(d.to.received.length, 1);
  assert.deepEqual(warnings(d.p), []);
});

test('after something did not arrive, what follows is told as the state of the task', async () => {
  let failing = true;
  await using to = await receiver((response) => void response.writeHead(failing ? 400 : 204).end());
  const work = gated();
  await using p = await pushing(work.run);
  const { task } = await p.send('one | two | three');
  await p.webhooks.create(p.caller, hook(task.id, to.url), { ...v1, announce: true });
  work.open();
  await until(() => warnings(p).length === 1 && textOf(to.received.slice(-1)) === 'one ');
  failing = false;
  const before = to.received.length;
  work.open();
  await until(() => to.received.length > before);
  work.open();
  await until(() => to.received.some((each) => state(each) === 'COMPLETED'));
  assert.ok(event(to.received[before] as never).task, 'the first that arrives is the whole task');
  assert.equal(textOf(to.received.slice(before)), 'one two three');
});

test('a webhook that never answers costs neither its task nor other webhooks anything', async () => {
  await using silent = await receiver(hang);
  await using to = await receiver();
  const work = gated();
  await using p = await pushing(work.run, { push: { timeout: '1h' } });
  const { task, settled } = await p.send('one two');
  for (let n = 0; n < 10; n++) {
    await p.webhooks.create(p.caller, hook(task.id, silent.url), { ...v1, announce: true });
  }
  await p.webhooks.create(p.caller, hook(task.id, to.url), v1);
  work.open();
  assert.equal((await settled()).status.state, 'TASK_STATE_COMPLETED');
  await until(() => to.received.some((each) => state(each) === 'COMPLETED'));
  assert.equal(textOf(to.received), 'one two');
});

test('what is under way at once is bounded, of the process and of one origin', async () => {
  await using one = await receiver(hang);
  await using two = await receiver(hang);
  await using three = await receiver();
  const work = gated();
  const limits = { deliveries: 5, deliveriesPerOrigin: 2 };
  await using p = await pushing(work.run, { push: { timeout: '1h' }, limits });
  const { task } = await p.send('x |');
  const announced = { ...v1, announce: true };
  for (let n = 0; n < 6; n++) await p.webhooks.create(p.caller, hook(task.id, one.url), announced);
  for (let n = 0; n < 6; n++) await p.webhooks.create(p.caller, hook(task.id, two.url), announced);
  for (let n = 0; n < 6; n++) await p.webhooks.create(p.caller, hook(task.id, three.url), announced);
  await until(() => three.received.length === 6);
  assert.deepEqual([one.most, two.most, three.most], [2, 2, 1]);
});

test('a thousand events and a slow webhook: few requests, all of the answer, and the end', async () => {
  const slow = gate();
  await using to = await receiver((response) => {
    void slow.opened.then(() => response.writeHead(204).end());
  });
  const go = gate();
  await using p = await pushing(
    async function* () {
      await go.opened;
      for (let n = 0; n < 1_000; n++) {
        yield { type: 'text', delta: `${n} ` };
        yield { type: 'status', parts: [{ text: `step ${n}` }] };
      }
    },
    { push: { timeout: '1h' } },
  );
  const { task, settled } = await p.send('x');
  await p.webhooks.create(p.caller, hook(task.id, to.url), { ...v1, announce: true });
  go.open();
  await settled();
  slow.open();
  await until(() => to.received.some((each) => state(each) === 'COMPLETED'));
  assert.ok(to.received.length <= 40, `${to.received.length} requests`);
  assert.equal(textOf(to.received), Array.from({ length: 1_000 }, (_, n) => `${n} `).join(''));
});

test('pieces of an answer gather, and the end of it does not wait for them', async () => {
  await using to = await receiver();
  const work = gated();
  await using p = await pushing(work.run, { timing: { ...quick, paceMs: 60_000 } });
  const words = Array.from({ length: 20 }, (_, n) => `w${n} `);
  const { task } = await p.send(`${words.join('| ')}| end`);
  await p.webhooks.create(p.caller, hook(task.id, to.url), { ...v1, announce: true });
  work.open();
  for (const word of words) {
    const known = async () => JSON.stringify((await p.serving.executions.get(p.caller, task.id))?.artifacts ?? []);
    await until(async () => (await known()).includes(word));
    // Time to send it by itself, if that were done.
    await new Promise((resolve) => setTimeout(resolve, 20));
    work.open();
  }
  await until(() => to.received.some((each) => state(each) === 'COMPLETED'));
  assert.ok(to.received.length <= 6, `${to.received.length} requests`);
  assert.equal(textOf(to.received), `${words.join('')}end`);
});

test('at the end what waits is delivered in the time that there is', async () => {
  await using d = await delivering(first(2, answer(503)));
  await d.p.webhooks.close(10_000);
  assert.equal(d.to.received.length, 3);
  assert.deepEqual(warnings(d.p), []);
  await until(() => d.to.connections === 0);
});

test('what does not arrive by then is dropped with one line, and nothing is left open', async () => {
  await using d = await delivering(hang, { push: { timeout: '1h' } });
  await until(() => d.to.received.length === 1);
  await d.p.webhooks.close(50);
  await until(() => d.to.connections === 0);
  const lines = warnings(d.p);
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.['notifications'], 1);
  const { task } = await d.p.send('late');
  await assert.rejects(d.p.webhooks.create(d.p.caller, hook(task.id, d.to.url), v1), { code: 'closed' });
});

test('what becomes of notifications is counted: delivered, given up, and dropped at the end', async () => {
  const results: string[] = [];
  const onPushed = (result: string) => void results.push(result);
  {
    await using d = await delivering(accept, { onPushed });
    await until(() => results.length === 1);
    assert.deepEqual(results.splice(0), ['delivered']);
    await d.p.webhooks.close(5_000);
  }
  {
    await using d = await delivering(answer(503), { onPushed, push: { max_attempts: 2 } });
    await until(() => results.length === 1);
    assert.deepEqual(results.splice(0), ['failed']);
    assert.equal(d.to.received.length, 2, 'once, however many attempts it took');
  }
  await using d = await delivering(hang, { onPushed });
  await until(() => d.to.received.length === 1);
  await d.p.webhooks.close(0);
  assert.deepEqual(results, ['dropped']);
});
