import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentEvent } from '../../../core/extension/agent.ts';
import { gate } from '../../support/a2a-serving.ts';
import { until } from '../../support/until.ts';
import { gated, hook, pushing } from './pushing.ts';
import { event, hang, receiver, state, textOf } from './receiver.ts';

const v1 = { version: '1.0' } as const;

test('a webhook is told what happens to its task, in order, in the form of 1.0', async () => {
  await using to = await receiver();
  const work = gated();
  await using p = await pushing(work.run);
  const { task } = await p.send('one two three');
  const kept = await p.webhooks.create(
    p.caller,
    hook(task.id, `${to.url}?key=1`, { token: 'tok', authentication: { scheme: 'Bearer', credentials: 'cred' } }),
    { ...v1, announce: true },
  );
  assert.match(kept.id, /^[0-9a-f-]{36}$/);
  work.open();
  await until(() => to.received.some((each) => state(each) === 'COMPLETED'));
  assert.ok(event(to.received[0] as never).task, 'the task as it is comes first');
  assert.equal(state(to.received.at(-1) as never), 'COMPLETED');
  assert.equal(textOf(to.received), 'one two three');
  for (const { headers, path } of to.received) {
    assert.equal(path, '/hook?key=1');
    assert.equal(headers['content-type'], 'application/a2a+json');
    assert.equal(headers['a2a-version'], '1.0');
    assert.equal(headers['x-a2a-notification-token'], 'tok');
    assert.equal(headers.authorization, 'Bearer cred');
  }
  const keys = to.received.map(({ headers }) => headers['idempotency-key']);
  assert.equal(new Set(keys).size, keys.length);
});

test('one created over 0.3 is told the bare task each time', async () => {
  await using to = await receiver();
  const work = gated();
  await using p = await pushing(work.run);
  const { task } = await p.send('one two');
  await p.webhooks.create(p.caller, hook(task.id, to.url), { version: '0.3', announce: true });
  work.open();
  const tasks = () => to.received.map(({ body }) => JSON.parse(body));
  await until(() => tasks().some(({ status }) => status.state === 'completed'));
  for (const each of tasks()) assert.deepEqual([each.kind, each.id], ['task', task.id]);
  assert.equal(tasks().at(-1).artifacts[0].parts[0].text, 'one two');
  for (const { headers } of to.received) {
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['a2a-version'], '0.3');
    assert.equal(headers.authorization, undefined);
  }
});

test('get, list, replace and delete; a webhook of an ended task is still there', async () => {
  await using one = await receiver();
  await using two = await receiver();
  const work = gated();
  await using p = await pushing(work.run, { push: { max_configs: 2 } });
  const { task, settled } = await p.send('a | b');
  const create = (id: string, url: string) => p.webhooks.create(p.caller, hook(task.id, url, { id }), v1);
  await create('a', one.url);
  await create('b', one.url);
  await assert.rejects(create('c', one.url), { code: 'push_limit', message: /server\.push\.max_configs/ });
  await create('a', two.url);
  await p.webhooks.delete(p.caller, task.id, 'b');
  await p.webhooks.delete(p.caller, task.id, 'never there');
  assert.equal((await p.webhooks.get(p.caller, task.id, 'a'))?.url, two.url);
  assert.equal(await p.webhooks.get(p.caller, task.id, 'b'), undefined);
  work.open();
  work.open();
  await settled();
  await until(() => two.received.some((each) => state(each) === 'COMPLETED'));
  assert.deepEqual(one.received, [], 'one was replaced and the other deleted before anything happened');
  assert.deepEqual(
    (await p.webhooks.list(p.caller, task.id)).map(({ id }) => id),
    ['a'],
  );
});

test('for another caller, another agent and no task at all there is no task', async () => {
  await using to = await receiver();
  const work = gated();
  await using p = await pushing(work.run);
  const { task } = await p.send('x');
  await p.webhooks.create(p.caller, hook(task.id, to.url, { id: 'a' }), v1);
  const none = { code: 'task_not_found' };
  for (const [caller, id] of [
    [p.caller2('mallory'), task.id],
    [p.caller2('anonymous', 'other'), task.id],
    [p.caller, 'no-such-task'],
  ] as const) {
    await assert.rejects(p.webhooks.create(caller, hook(id, to.url), v1), none);
    await assert.rejects(p.webhooks.get(caller, id, 'a'), none);
    await assert.rejects(p.webhooks.list(caller, id), none);
    await assert.rejects(p.webhooks.delete(caller, id, 'a'), none);
  }
  assert.equal((await p.webhooks.list(p.caller, task.id)).length, 1);
  work.open();
});

test('addresses that may not be reached are refused with the setting that says so', async () => {
  const work = gated();
  const resolve = async (host: string) => {
    if (host === 'nowhere.test') throw Object.assign(new Error('no'), { code: 'ENOTFOUND' });
    if (host === 'slow.test') return new Promise<never>(() => {});
    return [{ address: host === 'inside.test' ? '10.1.2.3' : '93.184.216.34', family: 4 }];
  };
  await using p = await pushing(work.run, { push: { allow_private: false, timeout: '200ms' }, resolve });
  const { task } = await p.send('x');
  const create = (url: string) => p.webhooks.create(p.caller, hook(task.id, url), v1);
  for (const url of [
    'http://127.0.0.1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://0.0.0.0/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://169.254.169.254/latest/meta-data/',
    'https://inside.test/',
  ]) {
    await assert.rejects(create(url), { code: 'push_url_refused', message: /server\.push\.allow_private/ }, url);
  }
  // What the server's names mean inside is nobody's business.
  await assert.rejects(create('https://inside.test/'), ({ message }: Error) => !message.includes('10.1.2.3'));
  const refused = { code: 'push_url_refused' };
  for (const url of ['ftp://example.test/', 'file:///etc/passwd', 'nonsense', '', 'http://u:p@example.test/']) {
    await assert.rejects(create(url), refused, url);
  }
  await assert.rejects(create('https://nowhere.test/'), { ...refused, message: /"nowhere\.test" cannot be found/ });
  await assert.rejects(create('https://slow.test/'), { ...refused, message: /"slow\.test" cannot be found/ });
  assert.equal((await create('https://outside.test/')).url, 'https://outside.test/');
  assert.equal((await p.webhooks.list(p.caller, task.id)).length, 1);
});

test('a task that ended while its webhook was being checked is told of; one that had ended before is not', async () => {
  await using to = await receiver();
  const work = gated();
  const asked = gate();
  const answered = gate();
  const resolve = async () => {
    asked.open();
    await answered.opened;
    return [{ address: '127.0.0.1', family: 4 }];
  };
  await using p = await pushing(work.run, { resolve });
  const { task, settled } = await p.send('x');
  const creating = p.webhooks.create(p.caller, hook(task.id, `http://hook.test:${to.port}/during`), v1);
  await asked.opened;
  work.open();
  await settled();
  answered.open();
  await creating;
  await p.webhooks.create(p.caller, hook(task.id, `http://hook.test:${to.port}/after`), v1);
  await p.webhooks.create(p.caller, hook(task.id, `http://hook.test:${to.port}/told`), { ...v1, announce: true });
  await until(() => to.received.length === 2);
  await p.serving.executions.close(0, 'over');
  await p.webhooks.close(2_000);
  assert.deepEqual(to.received.map(({ path }) => path).sort(), ['/during', '/told']);
  assert.ok(to.received.every((each) => state(each) === 'COMPLETED'));
});

test('a task that waits for its caller is told of, and so is what comes after', async () => {
  await using to = await receiver();
  const asking = async function* (message: { readonly parts: readonly object[] }): AsyncGenerator<AgentEvent> {
    const [part] = message.parts as { text: string }[];
    if (part?.text === 'ask') yield { type: 'input_required', parts: [{ text: 'which?' }] };
    else yield { type: 'text', delta: `had ${part?.text}` };
  };
  await using p = await pushing(asking);
  const first = await p.send('ask');
  await first.settled();
  await p.webhooks.create(p.caller, hook(first.task.id, to.url), { ...v1, announce: true });
  await until(() => to.received.length === 1);
  assert.equal(state(to.received[0] as never), 'INPUT_REQUIRED');
  await (await p.send('ask', first.task.id)).settled();
  await (await p.send('this', first.task.id)).settled();
  await until(() => to.received.some((each) => state(each) === 'COMPLETED'));
  const states = to.received.map(state).filter((each) => each !== undefined);
  const stops = states.filter((each) => each === 'INPUT_REQUIRED' || each === 'COMPLETED');
  assert.deepEqual(stops, ['INPUT_REQUIRED', 'INPUT_REQUIRED', 'COMPLETED']);
  assert.equal(textOf(to.received), 'had this');
});

test('one that is cancelled while it waits for its caller is told of', async () => {
  await using to = await receiver();
  const asking = async function* (): AsyncGenerator<AgentEvent> {
    yield { type: 'input_required', parts: [{ text: 'which?' }] };
  };
  await using p = await pushing(asking);
  const { task, settled } = await p.send('ask');
  await settled();
  await p.webhooks.create(p.caller, hook(task.id, to.url), v1);
  await p.serving.executions.cancel(p.caller, task.id);
  await until(() => to.received.length === 1);
  assert.equal(state(to.received[0] as never), 'CANCELED');
});

test('where there are too many webhooks those of ended tasks go first, and none of a task that runs', async () => {
  await using to = await receiver();
  const work = gated();
  await using p = await pushing(work.run, { limits: { webhooks: 2 } });
  const ended = await p.send('x');
  work.open();
  await ended.settled();
  const running = await p.send('a |');
  await until(async () => (await p.serving.executions.get(p.caller, running.task.id))?.artifacts.length !== 0);
  const create = (taskId: string) => p.webhooks.create(p.caller, hook(taskId, to.url), v1);
  await create(ended.task.id);
  await create(running.task.id);
  await create(running.task.id);
  assert.deepEqual(await p.webhooks.list(p.caller, ended.task.id), []);
  assert.equal((await p.webhooks.list(p.caller, running.task.id)).length, 2);
  await assert.rejects(create(ended.task.id), { code: 'push_limit' });
  work.open();
});

test('a webhook that was deleted or replaced in the middle of a delivery gets no more', async () => {
  await using to = await receiver(hang);
  await using other = await receiver();
  const work = gated();
  await using p = await pushing(work.run);
  const { task, settled } = await p.send('a | b');
  await p.webhooks.create(p.caller, hook(task.id, to.url, { id: 'gone' }), { ...v1, announce: true });
  await p.webhooks.create(p.caller, hook(task.id, to.url, { id: 'moved' }), { ...v1, announce: true });
  await until(() => to.received.length === 2);
  await p.webhooks.delete(p.caller, task.id, 'gone');
  await p.webhooks.create(p.caller, hook(task.id, other.url, { id: 'moved' }), v1);
  await until(() => to.connections === 0);
  work.open();
  work.open();
  await settled();
  await until(() => other.received.some((each) => state(each) === 'COMPLETED'));
  assert.equal(to.received.length, 2);
  assert.equal(p.serving.lines.filter(({ level }) => level === 'warn' || level === 'error').length, 0);
});
