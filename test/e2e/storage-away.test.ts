import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Task } from '../../core/a2a.ts';
import { type Postgres, postgresMissing, startPostgres } from '../services/postgres.ts';
import { answer, userMessage } from '../support/a2a-client.ts';
import type { Hector } from '../support/hector.ts';
import { ask, begin, get, isOver, StepwiseFleet } from '../support/stepwise.ts';
import { until } from '../support/until.ts';

describe('a database that goes away while tasks are at work', { skip: postgresMissing }, () => {
  let server: Postgres;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server?.[Symbol.asyncDispose]());

  const fleet = async (section: string): Promise<StepwiseFleet> => {
    const database = await server.createDatabase();
    return StepwiseFleet.make({
      name: database,
      checkpoint: section,
      env: { DB_PASSWORD: server.password },
      database: `driver: postgres
host: 127.0.0.1
port: ${server.port}
database: ${database}
user: ${server.user}
password: \${DB_PASSWORD}`,
    });
  };
  const ready = async ({ url }: Hector) => (await fetch(`${url}/health/ready`)).status;
  const stored = async (all: StepwiseFleet, id: string) =>
    (await server.query(`select state from hector_tasks where id = '${id}'`, all.database))[0]?.['state'];

  test('nobody is told of an end that is not stored, and it is stored within 5 s of the return', async () => {
    await using all = await fleet('');
    const hector = await all.start();
    await all.hold(2);
    const waiting = ask(hector, 'SendMessage', { message: userMessage('work 3') });
    await until(async () => (await all.calls()).length === 2);
    const id = (await all.calls())[0]?.split(' ')[0] ?? '';
    await server.stop();
    await all.letGo(2);
    const told = await waiting;
    assert.equal(told.status, 503, JSON.stringify(told.body));
    assert.ok(Number(told.headers.get('retry-after')) > 0);
    assert.match(told.body.error?.message ?? '', /could not be stored/);
    const asked = await ask(hector, 'GetTask', { id });
    assert.equal(asked.status, 503, 'nor is anybody who asks for it');

    await server.restart();
    await until(async () => (await ready(hector)) === 200, 5_000);
    await until(async () => (await stored(all, id)) === 'TASK_STATE_COMPLETED', 5_000);
    await until(async () => (await ask(hector, 'GetTask', { id })).status === 200);
    const task = await get(hector, id);
    assert.match(answer(task), /^<1>\s*<2>\s*<3>\s*done$/, 'all of it, and nothing twice');
    assert.equal((await all.stepsOf(id)).size, 3);
  });

  test('with on_error: degrade work goes on, and what it brings is stored when the database is back', async () => {
    await using all = await fleet('on_error: degrade');
    const hector = await all.start();
    await server.stop();
    await until(async () => (await ready(hector)) === 503);
    const { body } = await ask(hector, 'SendMessage', { message: userMessage('work 2', { contextId: 'meanwhile' }) });
    const task = body.result?.['task'] as Task;
    assert.equal(task?.status.state, 'TASK_STATE_COMPLETED', JSON.stringify(body.error));
    assert.deepEqual(await get(hector, task.id), task);

    await server.restart();
    await until(async () => (await ready(hector)) === 200, 5_000);
    await until(async () => (await stored(all, task.id)) === 'TASK_STATE_COMPLETED', 5_000);
    assert.deepEqual(await get(hector, task.id), task);
    const messages = await server.query(`select sequence from hector_session_events`, all.database);
    assert.equal(messages.length, 6, 'the conversation too, once');
  });

  test('restarted again and again while tasks are at work: every task is whole, and none is told of twice', async () => {
    await using all = await fleet('');
    const hector = await all.start();
    const ids = await Promise.all(Array.from({ length: 20 }, async () => (await begin(hector, 12)).id));
    for (let time = 1; time <= 3; time++) {
      const calls = (await all.calls()).length;
      await server.stop();
      await until(async () => (await all.calls()).length > calls + 20);
      await server.restart();
      await until(async () => (await ready(hector)) === 200, 5_000);
    }
    let tasks: Task[] = [];
    await until(async () => {
      const answers = await Promise.all(ids.map((id) => ask(hector, 'GetTask', { id })));
      if (answers.some(({ status }) => status !== 200)) return false;
      tasks = answers.map(({ body }) => body.result as unknown as Task);
      return tasks.every(isOver);
    }, 60_000);
    const whole = new RegExp(`^${Array.from({ length: 12 }, (_, at) => `<${at + 1}>`).join('\\s*')}\\s*done$`);
    for (const task of tasks) {
      assert.equal(task.status.state, 'TASK_STATE_COMPLETED');
      assert.match(answer(task), whole);
    }
    const other = await all.start();
    assert.deepEqual(await Promise.all(ids.map((id) => get(other, id))), tasks, 'as another process reads it');
  });
});
