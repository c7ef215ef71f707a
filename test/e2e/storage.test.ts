import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Task } from '../../core/a2a.ts';
import { type Postgres, postgresMissing, startPostgres } from '../services/postgres.ts';
import { rpc, userMessage } from '../support/a2a-client.ts';
import { replace } from '../support/config-status.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { until } from '../support/until.ts';

/** The guide's form, with a model that answers how much of the conversation it has got. */
const config = (database: string) => `
version: "2"
llms:
  default: { provider: counting }
plugins: [./counting.mjs]
agents:
  assistant: { llm: default, tools: [] }
databases:
  main:
${database.replace(/^/gm, '    ')}
storage:
  tasks:
    backend: sql
    database: main
  sessions:
    backend: sql
    database: main
`;
const files = {
  'counting.mjs': `
export default {
  apiVersion: 1,
  name: 'counting',
  provides: [{
    point: 'llm', name: 'counting', description: 'Counts', options: { type: 'object', properties: {} },
    create: () => ({
      model: 'counting',
      async *chat({ messages }) {
        const said = messages.filter(({ role }) => role === 'user').map(({ parts }) => parts.map(({ text }) => text).join(''));
        yield { type: 'text', delta: said.join(' | ') };
        yield { type: 'finish', reason: 'stop', usage: { inputTokens: 1, outputTokens: 1 }, responseModel: 'counting' };
      },
    }),
  }],
};
`,
};
const password = 'pg-secret-1';
const postgresDatabase = ({ port, user }: Postgres, database: string) => `driver: postgres
host: 127.0.0.1
port: ${port}
database: ${database}
user: ${user}
password: \${DB_PASSWORD}`;
const env = { DB_PASSWORD: password };

const endpoint = ({ url }: Hector) => `${url}/agents/assistant`;
const call = (hector: Hector, method: string, params: unknown) =>
  rpc(endpoint(hector), method, params, { version: '1.0' });

async function say(hector: Hector, text: string, contextId?: string): Promise<Task> {
  const { body } = await call(hector, 'SendMessage', {
    message: userMessage(text, contextId === undefined ? {} : { contextId }),
  });
  assert.equal(body.error, undefined, JSON.stringify(body.error));
  const task = body.result?.['task'] as Task;
  assert.equal(task.status.state, 'TASK_STATE_COMPLETED', JSON.stringify(task.status));
  return task;
}
const get = async (hector: Hector, id: string) =>
  (await call(hector, 'GetTask', { id })).body.result as unknown as Task;
const list = async (hector: Hector) => (await call(hector, 'ListTasks', {})).body.result?.['tasks'] as Task[];
const answer = (task: Task) =>
  task.artifacts.flatMap(({ parts }) => parts.map((part) => ('text' in part ? part.text : ''))).join('');
const ready = async ({ url }: Hector) => (await fetch(`${url}/health/ready`)).status;

/** A task and a conversation, before and after what `between` does. */
async function survives(start: () => Promise<Hector>): Promise<void> {
  let task: Task;
  let listed: Task[];
  {
    await using hector = await start();
    task = await say(hector, 'one');
    assert.equal(answer(task), 'one');
    listed = await list(hector);
    assert.equal(listed.length, 1);
    await hector.stop('SIGKILL');
  }
  await using hector = await start();
  assert.deepEqual(await get(hector, task.id), task);
  assert.deepEqual(await list(hector), listed);
  assert.equal(answer(await say(hector, 'two', task.contextId)), 'one | two');
  assert.equal((await list(hector)).length, 2);
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-storage-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('what was acknowledged survives the process', () => {
  test('in SQLite', () =>
    inFolder((folder) =>
      survives(() => startHector({ folder, files, config: config('driver: sqlite\ndatabase: data/hector.db') })),
    ));

  test('with --storage sqlite', () =>
    inFolder((folder) => {
      const text = config('driver: sqlite\ndatabase: x.db').replace(/databases:[\s\S]*/, '');
      return survives(() => startHector({ folder, files, config: text, args: ['--storage', 'sqlite'] }));
    }));

  test('in Postgres, for two at once, and in a restored dump', { skip: postgresMissing }, async () => {
    await using server = await startPostgres();
    const database = await server.createDatabase('hector');
    const text = config(postgresDatabase(server, database));
    await inFolder((folder) => survives(() => startHector({ folder, files, config: text, env })));

    await using first = await startHector({ files, config: text, env });
    await using second = await startHector({ files, config: text, env });
    const task = await say(first, 'three');
    assert.deepEqual(await get(second, task.id), task);
    assert.equal(answer(await say(second, 'four', task.contextId)), 'three | four');
    assert.deepEqual(await list(first), await list(second));

    const dump = join(server.folder, `${randomUUID()}.dump`);
    await server.tool('pg_dump', '--format=custom', `--file=${dump}`, database);
    const restored = await server.createDatabase('restored');
    await server.tool('pg_restore', '--exit-on-error', `--dbname=${restored}`, dump);
    await using third = await startHector({ files, config: config(postgresDatabase(server, restored)), env });
    assert.deepEqual(await get(third, task.id), task);
    assert.deepEqual(await list(third), await list(first));
    assert.equal(answer(await say(third, 'five', task.contextId)), 'three | four | five');
  });
});

test('a database that goes away and comes back', { skip: postgresMissing }, async () => {
  await using server = await startPostgres();
  const database = await server.createDatabase('hector');
  await using hector = await startHector({ files, config: config(postgresDatabase(server, database)), env });
  const task = await say(hector, 'one');
  assert.equal(await ready(hector), 200);

  await server.stop();
  await until(async () => (await ready(hector)) === 503);
  assert.equal((await fetch(`${hector.url}/health/live`)).status, 200);
  const gone = await call(hector, 'GetTask', { id: task.id });
  assert.equal(gone.status, 503);
  assert.ok(Number(gone.headers.get('retry-after')) > 0);
  const sent = await call(hector, 'SendMessage', { message: userMessage('lost', { contextId: task.contextId }) });
  const failed = sent.body.result?.['task'] as Task | undefined;
  if (failed) assert.equal(failed.status.state, 'TASK_STATE_FAILED');
  else assert.equal(sent.status, 503);
  assert.doesNotMatch(JSON.stringify([gone.body, sent.body]), new RegExp(`${password}|127\\.0\\.0\\.1:${server.port}`));

  await server.restart();
  await until(async () => (await ready(hector)) === 200, 5_000);
  assert.deepEqual(await get(hector, task.id), task);
  assert.match(answer(await say(hector, 'two', task.contextId)), /^one \| (lost \| )?two$/);
  assert.equal(await hector.stop(), 0);
  assert.doesNotMatch(hector.stderr(), new RegExp(password));
});

test('a database that is away at the start keeps it alive and not ready', { skip: postgresMissing }, async () => {
  await using server = await startPostgres();
  const database = await server.createDatabase('hector');
  await server.stop();
  await using hector = await startHector({ files, config: config(postgresDatabase(server, database)), env });
  assert.equal(await ready(hector), 503);
  assert.equal((await fetch(`${hector.url}/health/live`)).status, 200);
  await server.restart();
  await until(async () => (await ready(hector)) === 200, 5_000);
  assert.equal(answer(await say(hector, 'one')), 'one');
});

test('a reload keeps the connections, with a changed database it makes others', { skip: postgresMissing }, async () => {
  await using server = await startPostgres();
  const database = await server.createDatabase('hector');
  const text = config(postgresDatabase(server, database));
  await using hector = await startHector({ files, config: text, env, args: ['--watch'] });
  const connections = async () =>
    (
      await server.query(
        `select pid from pg_stat_activity where application_name = 'hector' and datname = '${database}' order by pid`,
      )
    ).map(({ pid }) => pid);
  await say(hector, 'one');
  const before = await connections();
  assert.ok(before.length > 0);
  await replace(hector, text.replace('assistant: {', 'assistant: { description: changed,'));
  await say(hector, 'two');
  const after = await connections();
  assert.ok(
    before.every((pid) => after.includes(pid)),
    `${before} were kept, of ${after}`,
  );
  await replace(hector, text.replace('driver: postgres', 'driver: postgres\n    max_conns: 3'));
  await say(hector, 'three');
  await until(async () => !(await connections()).some((pid) => before.includes(pid)));
});
