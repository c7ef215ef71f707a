import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RateLimit } from '../../../core/config/language/rate-limiting.ts';
import type { Principal } from '../../../core/extension/auth-scheme.ts';
import type { CounterStore } from '../../../core/extension/counter-store.ts';
import { MemoryCounters } from '../../../server/rate-limiting/memory-counters.ts';
import { userMessage } from '../../support/a2a-client.ts';
import { parrot } from '../../support/a2a-serving.ts';
import { type AppServing, type AppWish, servingApp } from '../../support/app-serving.ts';
import { until } from '../../support/until.ts';

const count = (limit: number, window: RateLimit['window'] = 'month'): RateLimit => ({ type: 'count', window, limit });
const token = (limit: number, window: RateLimit['window'] = 'month'): RateLimit => ({ type: 'token', window, limit });
const tokens = { a: 'ada', b: 'bob' };

/** Costs ten tokens, and fails where it is told so. */
async function* costly(message: Parameters<typeof parrot>[0]) {
  yield { type: 'usage', usage: { inputTokens: 7, outputTokens: 3 } } as const;
  const [part] = message.parts;
  if (part && 'text' in part && part.text === 'fail') throw new Error('It failed');
  yield { type: 'text', delta: 'done' } as const;
}

const agents = { parrot, costly };
const serve = (wish: Partial<AppWish>) => servingApp({ agents, tokens, ...wish });

interface Sending {
  readonly agent?: string;
  readonly token?: string;
  readonly message?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

function send({ url }: AppServing, { agent = 'parrot', token, message = userMessage('hi'), headers }: Sending = {}) {
  return fetch(`${url}/agents/${agent}/message:send`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify({ message }),
  });
}

const statuses = async (...sent: Promise<Response>[]) => (await Promise.all(sent)).map(({ status }) => status);
const limitHeaders = ({ headers }: Response) =>
  ['limit', 'remaining', 'reset'].map((name) => headers.get(`x-ratelimit-${name}`));

test('a limit lets through what it says, and tells how much is left and until when', async (t) => {
  const now = Date.UTC(2026, 2, 1, 12, 34, 20, 500);
  t.mock.timers.enable({ apis: ['Date'], now });
  await using app = await serve({ rateLimiting: { limits: [count(2, 'minute')] } });
  const reset = String(Date.UTC(2026, 2, 1, 12, 35) / 1_000);
  assert.deepEqual(limitHeaders(await send(app, { token: 'a' })), ['2', '1', reset]);
  assert.deepEqual(limitHeaders(await send(app, { token: 'a' })), ['2', '0', reset]);
  const refused = await send(app, { token: 'a' });
  assert.equal(refused.status, 429);
  assert.deepEqual(limitHeaders(refused), ['2', '0', reset]);
  assert.equal(refused.headers.get('retry-after'), '40', 'rounded up');
  assert.match(await refused.text(), /The limit of 2 messages a minute is reached\. Try again in 40 s\./);
  t.mock.timers.tick(40_000);
  assert.equal((await send(app, { token: 'a' })).status, 200, 'the next minute');
});

test('whoever comes at the same time, no more than the limit pass', async () => {
  await using app = await serve({ rateLimiting: { limits: [count(10)] } });
  const all = await statuses(...Array.from({ length: 40 }, () => send(app, { token: 'a' })));
  assert.equal(all.filter((status) => status === 200).length, 10);
  assert.equal(all.filter((status) => status === 429).length, 30);
});

test('of several limits the tightest is told, and who is refused by the minute has lost nothing of the day', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 2, 1, 12, 34) });
  await using app = await serve({ rateLimiting: { limits: [count(4, 'day'), count(2, 'minute')] } });
  const ask = () => send(app, { token: 'a' });
  assert.deepEqual(limitHeaders(await ask()).slice(0, 2), ['2', '1']);
  assert.deepEqual(await statuses(ask(), ask(), ask()), [200, 429, 429]);
  t.mock.timers.tick(60_000);
  assert.deepEqual(limitHeaders(await ask()).slice(0, 2), ['4', '1']);
  assert.deepEqual(await statuses(ask()), [200]);
  t.mock.timers.tick(60_000);
  const refused = await ask();
  assert.match(await refused.text(), /The limit of 4 messages a day/);
});

test('users have limits of their own; what is read and what came before costs nothing', async () => {
  await using app = await serve({ rateLimiting: { limits: [count(1)] } });
  const message = userMessage('once');
  const { task } = (await (await send(app, { token: 'a', message })).json()) as { task: { id: string } };
  assert.equal((await send(app, { token: 'a' })).status, 429);
  assert.equal((await send(app, { token: 'b' })).status, 200);
  const again = (await (await send(app, { token: 'a', message })).json()) as { task: { id: string } };
  assert.equal(again.task.id, task.id, 'the same message is the same task, and not counted');
  for (const path of [`/agents/parrot/tasks/${task.id}`, '/agents/parrot/tasks', '/agents', '/v1/models']) {
    const response = await fetch(app.url + path, { headers: { authorization: 'Bearer a' } });
    assert.deepEqual([path, response.status, limitHeaders(response)[0]], [path, 200, null]);
  }
});

test('a session is a conversation of a user', async () => {
  await using app = await serve({ rateLimiting: { scope: 'session', limits: [count(1)] } });
  const inContext = (contextId: string) => userMessage('hi', { contextId });
  const ask = (token: string, contextId: string) => send(app, { token, message: inContext(contextId) });
  assert.deepEqual(await statuses(ask('a', 'one')), [200]);
  assert.deepEqual(await statuses(ask('a', 'one'), ask('a', 'two'), ask('b', 'one')), [429, 200, 200]);
  const begun = (await (await send(app, { token: 'a' })).json()) as { task: { contextId: string } };
  assert.deepEqual(await statuses(ask('a', begun.task.contextId), send(app, { token: 'a' })), [429, 200]);
});

test('keys of one user have limits of their own; a credential without a name is its user', async () => {
  const keys: Readonly<Record<string, Principal>> = {
    one: { subject: 'ada', scopes: [], claims: {}, credential: 'key-1' },
    two: { subject: 'ada', scopes: [], claims: {}, credential: 'key-2' },
    three: { subject: 'ada', scopes: [], claims: {} },
  };
  const scheme = {
    securityScheme: {},
    authenticate: async ({ headers }: { headers: Readonly<Record<string, unknown>> }) =>
      keys[String(headers['x-api-key'])],
  };
  const wish = {
    authSchemes: { key: scheme },
    server: { auth: { enabled: true, require_auth: true, excluded_paths: [] } },
  };
  const ask = (app: AppServing, key: string) => send(app, { headers: { 'x-api-key': key } });
  {
    await using app = await serve({ ...wish, tokens: undefined, rateLimiting: { scope: 'key', limits: [count(1)] } });
    assert.deepEqual(await statuses(ask(app, 'one'), ask(app, 'two'), ask(app, 'three')), [200, 200, 200]);
    assert.deepEqual(await statuses(ask(app, 'one'), ask(app, 'three')), [429, 429]);
  }
  await using app = await serve({ ...wish, tokens: undefined, rateLimiting: { scope: 'user', limits: [count(1)] } });
  assert.deepEqual(await statuses(ask(app, 'one')), [200]);
  assert.deepEqual(await statuses(ask(app, 'two')), [429]);
});

for (const scope of ['session', 'user', 'key'] as const) {
  test(`who has no name is known by his address: ${scope}`, async () => {
    await using app = await serve({
      tokens: undefined,
      server: { trusted_proxies: ['127.0.0.1'] },
      rateLimiting: { scope, limits: [count(1)] },
    });
    const message = () => userMessage('hi', { contextId: 'shared' });
    const from = (address: string) => send(app, { message: message(), headers: { 'x-forwarded-for': address } });
    assert.deepEqual(await statuses(from('203.0.113.1'), from('203.0.113.2')), [200, 200]);
    assert.deepEqual(await statuses(from('203.0.113.1')), [429]);
  });
}

test('tokens are charged when they are known, also of a task that fails, and then nothing more begins', async () => {
  await using app = await serve({ rateLimiting: { limits: [token(25)] } });
  const ask = (text: string) => send(app, { agent: 'costly', token: 'a', message: userMessage(text) });
  const remaining = (left: string) => until(async () => limitHeaders(await send(app, { token: 'a' }))[1] === left);
  assert.deepEqual(limitHeaders(await ask('hi')).slice(0, 2), ['25', '25']);
  await remaining('15');
  assert.equal((await ask('fail')).status, 200);
  await remaining('5');
  assert.equal((await ask('hi')).status, 200, 'the last may go over');
  await until(async () => (await send(app, { token: 'a' })).status === 429);
  const refused = await ask('hi');
  assert.match(await refused.text(), /The limit of 25 tokens a month is reached/);
  assert.equal((await send(app, { token: 'b' })).status, 200);
});

test('a changed limit holds for the next message, and what was counted stays', async () => {
  const limits = (limit: number) => ({ agents, tokens, rateLimiting: { limits: [count(limit)] } });
  await using app = await serve(limits(2));
  const ask = () => send(app, { token: 'a' });
  assert.deepEqual([...(await statuses(ask(), ask())), ...(await statuses(ask()))], [200, 200, 429]);
  await app.runtime.reload(limits(3));
  assert.deepEqual([...(await statuses(ask())), ...(await statuses(ask()))], [200, 429]);
  await app.runtime.reload({ agents, tokens });
  const free = await ask();
  assert.deepEqual([free.status, limitHeaders(free)[0]], [200, null]);
  await app.runtime.reload(limits(2));
  assert.deepEqual(await statuses(ask()), [429]);
});

/** Counters that are away when they are told to be. */
function failing() {
  const memory = new MemoryCounters();
  const state = { away: true };
  const whenThere = <T>(work: () => Promise<T>): Promise<T> =>
    state.away ? Promise.reject(new Error('The database is gone')) : work();
  const counters: CounterStore = {
    add: (...given) => whenThere(() => memory.add(...given)),
    read: (counter) => whenThere(() => memory.read(counter)),
    prune: async () => 0,
  };
  return { state, counters };
}

test('while the database is away messages are let in, and the log says so once, and when it is back', async () => {
  const { state, counters } = failing();
  await using app = await serve({ counters, rateLimiting: { backend: 'sql', limits: [token(100), count(1)] } });
  const ask = () => send(app, { agent: 'costly', token: 'a' });
  assert.deepEqual(await statuses(ask(), ask()), [200, 200]);
  const [told, ...more] = app.errors();
  assert.match(told?.message ?? '', /rate_limiting cannot count/);
  assert.equal(told?.['reason'], 'The database is gone');
  assert.deepEqual(more, []);
  state.away = false;
  assert.deepEqual([...(await statuses(ask())), ...(await statuses(ask()))], [200, 429]);
  assert.equal(app.lines.filter(({ message }) => message === 'rate_limiting counts again').length, 1);
});

test('on_error: refuse turns them away with 503', async () => {
  const { state, counters } = failing();
  await using app = await serve({
    counters,
    rateLimiting: { backend: 'sql', on_error: 'refuse', limits: [count(1)] },
  });
  const refused = await send(app, { token: 'a' });
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '5']);
  assert.match(await refused.text(), /"UNAVAILABLE".*RATE_LIMIT_UNAVAILABLE/);
  assert.equal(app.executions.running, 0);
  state.away = false;
  assert.equal((await send(app, { token: 'a' })).status, 200);
});
