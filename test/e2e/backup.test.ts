import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { Task } from '../../core/a2a.ts';
import { postgresMissing, startPostgres } from '../services/postgres.ts';
import { answer, rpc, type Say, userMessage } from '../support/a2a-client.ts';
import { cleanEnvironment, type Hector, startHector } from '../support/hector.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const cli = join(root, 'dist/server/cli.js');

/** A model that repeats the conversation that it has got, and a workflow that asks its caller half way. */
const config = (database: string) => `
version: "2"
plugins: [./counting.mjs, ./member-plugin.mjs]
llms:
  default: { provider: counting }
agents:
  assistant: { llm: default, tools: [] }
  plain: { type: member, tag: plain }
  asker: { type: member, tag: asker, asks: Which colour? }
  flow: { type: sequential, sub_agents: [plain, asker] }
databases:
  main:
${database.replace(/^/gm, '    ')}
storage:
  tasks: { backend: sql, database: main }
  sessions: { backend: sql, database: main }
`;
const files = {
  'member-plugin.mjs': await readFile(join(root, 'test/support/member-plugin.mjs'), 'utf8'),
  'counting.mjs': await readFile(join(root, 'test/support/counting-plugin.mjs'), 'utf8'),
};

const call = ({ url }: Hector, agent: string, method: string, params: unknown) =>
  rpc(`${url}/agents/${agent}`, method, params, { version: '1.0' });

async function say(hector: Hector, agent: string, text: string, more: Say = {}): Promise<Task> {
  const { body } = await call(hector, agent, 'SendMessage', { message: userMessage(text, more) });
  assert.equal(body.error, undefined, JSON.stringify(body.error));
  return body.result?.['task'] as Task;
}
const get = async (hector: Hector, agent: string, id: string) =>
  (await call(hector, agent, 'GetTask', { id })).body.result as unknown as Task;
async function list(hector: Hector, agent: string): Promise<readonly Task[]> {
  const all: Task[] = [];
  for (let pageToken = ''; ; ) {
    const { body } = await call(hector, agent, 'ListTasks', { pageSize: 100, pageToken });
    const { tasks, nextPageToken = '' } = body.result as { tasks: Task[]; nextPageToken?: string };
    all.push(...tasks);
    pageToken = nextPageToken;
    if (pageToken === '') return all;
  }
}

/** What was there when the copy was begun, and what went on meanwhile. */
async function whileServing(hector: Hector, copy: () => Promise<unknown>) {
  const first = await say(hector, 'assistant', 'one');
  const before = await say(hector, 'assistant', 'two', { contextId: first.contextId });
  assert.equal(answer(before), 'one | two');
  const asked = await say(hector, 'flow', 'paint');
  assert.equal(asked.status.state, 'TASK_STATE_INPUT_REQUIRED');
  let turns = 0;
  let copied = false;
  const busy = Array.from({ length: 3 }, async () => {
    let contextId: string | undefined;
    for (let at = 0; !copied; at++) {
      const task = await say(hector, 'assistant', `busy ${at}`, contextId === undefined ? {} : { contextId });
      assert.equal(task.status.state, 'TASK_STATE_COMPLETED', JSON.stringify(task.status));
      contextId = task.contextId;
      turns++;
    }
  });
  await until(() => turns > 10);
  await copy();
  const meanwhile = turns;
  await until(() => turns > meanwhile + 3);
  copied = true;
  await Promise.all(busy);
  return { before, asked };
}

/** That the copy answers as the first does, for what the first had by then, and that it goes on from there. */
async function sameAnswers(
  first: Hector,
  second: Hector,
  { before, asked }: { before: Task; asked: Task },
): Promise<void> {
  const [all, copied] = [await list(first, 'assistant'), await list(second, 'assistant')];
  const ids = new Set(copied.map(({ id }) => id));
  assert.ok(copied.length > 10 && copied.length < all.length, `${copied.length} of ${all.length}: some came later`);
  assert.deepEqual(
    copied,
    all.filter(({ id }) => ids.has(id)),
  );
  for (const { id } of copied.slice(-20))
    assert.deepEqual(await get(second, 'assistant', id), await get(first, 'assistant', id));
  assert.deepEqual(await get(second, 'assistant', before.id), before);
  assert.deepEqual(await list(second, 'flow'), await list(first, 'flow'));

  const next = await say(second, 'assistant', 'three', { contextId: before.contextId });
  assert.equal(answer(next), 'one | two | three');
  for (const contextId of new Set(copied.map((task) => task.contextId))) {
    if (contextId === before.contextId) continue;
    const said = answer(await say(second, 'assistant', 'more', { contextId })).split(' | ');
    assert.deepEqual(said, [...Array.from({ length: said.length - 1 }, (_, at) => `busy ${at}`), 'more']);
    assert.equal(said.length - 1, copied.filter((task) => task.contextId === contextId).length, 'a turn for each task');
  }

  assert.deepEqual(await get(second, 'flow', asked.id), asked);
  const done = await say(second, 'flow', 'blue', { taskId: asked.id, contextId: asked.contextId });
  assert.equal(done.status.state, 'TASK_STATE_COMPLETED', JSON.stringify(done.status));
  assert.match(answer(done), /asker heard blue/);
  assert.equal((await get(first, 'flow', asked.id)).status.state, 'TASK_STATE_INPUT_REQUIRED', 'it is a copy');
}

/** What docs/storage.md tells to do is what is done here. */
async function isDocumented(...commands: readonly string[]): Promise<void> {
  const guide = await readFile(join(root, 'docs/storage.md'), 'utf8');
  for (const each of commands) assert.ok(guide.includes(`\`${each}\``), each);
}

describe('a backup that is taken while Hector serves', () => {
  test('of Postgres is restored into an empty database, as text and as an archive', {
    skip: postgresMissing,
  }, async () => {
    const forms = [
      ['pg_dump hector > backup.sql', 'psql --set ON_ERROR_STOP=1 restored < backup.sql'],
      ['pg_dump --format=custom --file=hector.dump hector', 'pg_restore --exit-on-error --dbname=restored hector.dump'],
    ] as const;
    await isDocumented('createdb restored', ...forms.flat());
    await using server = await startPostgres();
    const entry = (database: string) =>
      `driver: postgres\nhost: 127.0.0.1\nport: ${server.port}\nuser: ${server.user}\npassword: \${DB_PASSWORD}\ndatabase: ${database}`;
    const env = { DB_PASSWORD: server.password };
    await server.createDatabase('hector');
    await using first = await startHector({ files, config: config(entry('hector')), env });
    const known = await whileServing(first, async () => {
      for (const [dump] of forms) await server.shell(dump, first.folder);
    });
    for (const [, restore] of forms) {
      await server.shell('createdb restored', first.folder);
      await server.shell(restore, first.folder);
      await using second = await startHector({ files, config: config(entry('restored')), env });
      await sameAnswers(first, second, known);
      const gaps = `SELECT context_id FROM hector_sessions LEFT JOIN hector_session_events USING (owner, agent, context_id)
        GROUP BY owner, agent, context_id, last_sequence HAVING count(sequence) <> last_sequence OR max(sequence) <> last_sequence`;
      assert.deepEqual(await server.query(gaps, 'restored'), []);
      await assert.rejects(server.shell(restore, first.folder), /already exists/, 'only into an empty one');
      await second.stop();
      await server.query('DROP DATABASE restored');
    }
  });

  test('of SQLite is a whole database', async () => {
    await isDocumented('hector db backup copy.db');
    const folder = await mkdtemp(join(tmpdir(), 'hector-backup-'));
    try {
      const entry = (file: string) => `driver: sqlite\ndatabase: ${join(folder, file)}`;
      await using first = await startHector({ files, config: config(entry('hector.db')) });
      const backup = ['db', 'backup', join(folder, 'copy.db'), '--config', 'config.yaml'];
      const known = await whileServing(first, () =>
        run(process.execPath, [cli, ...backup], { cwd: first.folder, env: cleanEnvironment() }),
      );
      await using second = await startHector({ files, config: config(entry('copy.db')) });
      await sameAnswers(first, second, known);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
