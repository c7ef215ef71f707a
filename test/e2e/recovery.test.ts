import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Task } from '../../core/a2a.ts';
import { type Postgres, postgresMissing, startPostgres } from '../services/postgres.ts';
import { answer, userMessage } from '../support/a2a-client.ts';
import type { Hector } from '../support/hector.ts';
import { openStream, parseEvents } from '../support/sse-client.ts';
import { ask, begin, get, isOver, StepwiseFleet, said } from '../support/stepwise.ts';
import { until } from '../support/until.ts';

const resuming = `checkpoint:
  enabled: true
  recovery: { auto_resume: true }`;

describe('tasks at work in a database that several processes share', { skip: postgresMissing }, () => {
  let server: Postgres;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server?.[Symbol.asyncDispose]());

  const fleet = async (checkpoint = '', stepMs = 100): Promise<StepwiseFleet> => {
    const database = await server.createDatabase();
    return StepwiseFleet.make({
      name: database,
      checkpoint,
      stepMs,
      env: { DB_PASSWORD: server.password },
      database: `driver: postgres
host: 127.0.0.1
port: ${server.port}
max_conns: 8
connect_timeout: 20s
database: ${database}
user: ${server.user}
password: \${DB_PASSWORD}`,
    });
  };
  const tasksOf = (hector: Hector, ids: readonly string[]) => Promise.all(ids.map((id) => get(hector, id)));
  const beginMany = async (hectors: readonly Hector[], count: number, steps: number): Promise<string[]> => {
    const tasks = await Promise.all(
      Array.from({ length: count }, (_, at) => begin(hectors[at % hectors.length] as Hector, steps)),
    );
    return tasks.map(({ id }) => id);
  };

  test('after SIGKILL of two processes with 100 tasks every one is continued, and no step is taken twice', async () => {
    await using all = await fleet(resuming, 400);
    const first = [await all.start(), await all.start()];
    const ids = await beginMany(first, 100, 5);
    await until(async () => (await all.calls()).length > 150, 30_000);
    await Promise.all(first.map((hector) => hector.stop('SIGKILL')));
    const begunBefore = (await all.calls()).length;
    assert.ok(begunBefore < 500, 'not all was done already');

    const [third, fourth] = [await all.start(), await all.start()];
    const started = performance.now();
    let tasks: Task[] = [];
    await until(async () => {
      tasks = await tasksOf(third, ids);
      return tasks.every(isOver);
    }, 60_000);
    console.log(`  all over ${((performance.now() - started) / 1_000).toFixed(1)} s after the restart`);
    assert.deepEqual(await tasksOf(fourth, ids), tasks, 'every process says the same');
    for (const task of tasks) {
      assert.equal(task.status.state, 'TASK_STATE_COMPLETED', said(task));
      assert.match(answer(task), /^<1>\s*<2>\s*<3>\s*<4>\s*<5>\s*done(, 1 unknown)?$/, 'all of it, and nothing twice');
      const steps = await all.stepsOf(task.id);
      for (const [n, times] of steps) assert.equal(times, 1, `step ${n} of ${task.id}`);
    }
    const listed = (await ask(fourth, 'ListTasks', { pageSize: 100 })).body.result?.['tasks'] as Task[];
    assert.equal(listed.length, 100);
    // What the conversation has: the message, its steps and one end, once.
    const sessions = await server.query(
      `select context_id, count(*)::int as n from hector_session_events group by 1`,
      all.database,
    );
    assert.equal(sessions.length, 100);
    for (const { n } of sessions) assert.equal(n, 12);
  });

  test('without auto_resume every one of 100 tasks ends as failed, saying so', async () => {
    await using all = await fleet('', 400);
    const first = [await all.start(), await all.start()];
    const ids = await beginMany(first, 100, 500);
    await Promise.all(first.map((hector) => hector.stop('SIGKILL')));
    const next = await all.start();
    let tasks: Task[] = [];
    await until(async () => {
      tasks = await tasksOf(next, ids);
      return tasks.every(isOver);
    }, 60_000);
    for (const task of tasks) {
      assert.equal(task.status.state, 'TASK_STATE_FAILED');
      assert.match(said(task), /process that worked on it ended before it was done/);
    }
  });

  test('any process answers for a task of another: get, list, subscribe and cancel', async () => {
    await using all = await fleet('', 150);
    const [here, there] = [await all.start(), await all.start()];
    await all.hold(4);
    const streamed = await openStream(
      `${here.url}/agents/worker`,
      'SendStreamingMessage',
      { message: userMessage('work 4') },
      { version: '1.0' },
    );
    await until(async () => (await all.calls()).length > 0);
    const id = (await all.calls())[0]?.split(' ')[0] ?? '';
    assert.equal((await get(there, id)).status.state, 'TASK_STATE_WORKING');
    const listed = (await ask(there, 'ListTasks', {})).body.result?.['tasks'] as Task[];
    assert.deepEqual(
      listed.map((task) => [task.id, task.status.state]),
      [[id, 'TASK_STATE_WORKING']],
    );
    const subscribed = await openStream(`${there.url}/agents/worker`, 'SubscribeToTask', { id }, { version: '1.0' });
    await until(async () => answer(await get(there, id)).includes('<4>'));
    const again = await ask(there, 'SendMessage', { message: userMessage('hurry', { taskId: id }) });
    assert.match(again.body.error?.message ?? '', /still working/);
    await all.letGo(4);

    const own = parseEvents(await streamed.text());
    const others = parseEvents(await subscribed.text());
    assert.equal(textOf(others), textOf(own));
    assert.match(textOf(own), /^<1>\s*<2>\s*<3>\s*<4>\s*done$/);
    assert.equal(lastState(others), 'TASK_STATE_COMPLETED');
    assert.deepEqual(await get(there, id), await get(here, id));
  });

  test('a cancel at another process stops the real work', async () => {
    await using all = await fleet('', 100);
    const [here, there] = [await all.start(), await all.start()];
    await all.hold(2);
    const { id } = await begin(here, 1_000);
    await until(async () => (await all.calls()).length === 2);
    const cancelled = await ask(there, 'CancelTask', { id });
    assert.equal((cancelled.body.result as unknown as Task).status.state, 'TASK_STATE_CANCELED');
    await all.letGo(2);
    assert.equal((await get(here, id)).status.state, 'TASK_STATE_CANCELED');
    assert.equal((await ask(here, 'CancelTask', { id })).body.error?.code, -32002);
    // Another task's step shows that time has passed.
    const later = await begin(here, 2);
    await until(async () => isOver(await get(here, later.id)));
    assert.equal((await all.stepsOf(id)).size, 2);
  });

  test('a process that is told to end leaves its tasks to others', async () => {
    await using all = await fleet(resuming, 150);
    const [here, there] = [await all.start(), await all.start()];
    const ids = await beginMany([here], 10, 200);
    await until(async () => (await all.calls()).length > 20);
    await here.stop('SIGTERM');
    await until(async () => (await tasksOf(there, ids)).every(({ status }) => status.state === 'TASK_STATE_WORKING'));
    const before = (await all.calls()).length;
    await until(async () => (await all.calls()).length > before + 20, 30_000);
    for (const id of ids) {
      for (const [n, times] of await all.stepsOf(id)) assert.equal(times, 1, `step ${n} of ${id}`);
      await ask(there, 'CancelTask', { id });
    }
  });

  test('eight processes with 50 turns each of one conversation: no gap, no duplicate', async () => {
    await using all = await fleet();
    const hectors = await Promise.all(Array.from({ length: 8 }, () => all.start()));
    const turns = hectors.flatMap((hector, who) =>
      Array.from({ length: 50 }, (_, turn) => ({ hector, text: `turn ${who}/${turn}` })),
    );
    await Promise.all(
      turns.map(async ({ hector, text }) => {
        const { body } = await ask(hector, 'SendMessage', { message: userMessage(text, { contextId: 'shared' }) });
        const task = body.result?.['task'] as Task;
        assert.equal(task?.status.state, 'TASK_STATE_COMPLETED', JSON.stringify(body.error ?? task?.status));
      }),
    );
    const rows = await server.query(
      'select sequence::int, message from hector_session_events order by sequence',
      all.database,
    );
    assert.deepEqual(
      rows.map(({ sequence }) => sequence),
      Array.from({ length: 800 }, (_, at) => at + 1),
    );
    const texts = rows.map(
      ({ message }) => (JSON.parse(String(message)) as { parts: { text: string }[] }).parts[0]?.text,
    );
    assert.deepEqual(texts.filter((_, at) => at % 2 === 0).sort(), turns.map(({ text }) => text).sort());
    assert.ok(
      texts.every((text, at) => at % 2 === 0 || text === 'done'),
      'each answer follows its question',
    );
  });

  test('a task whose agent is gone fails and names it', async () => {
    await using all = await fleet(resuming, 300);
    const first = await all.start();
    const { id } = await begin(first, 50);
    await first.stop('SIGKILL');
    const next = await all.start({ agent: 'other' });
    await until(
      async () =>
        (await server.query(`select state from hector_tasks where id = '${id}'`, all.database))[0]?.['state'] ===
        'TASK_STATE_FAILED',
      30_000,
    );
    const back = await all.start();
    assert.match(said(await get(back, id)), /no agent "worker"/);
    assert.ok(next);
  });

  test('a suspended process finds that others have its tasks, and changes nothing', async () => {
    await using all = await fleet(resuming, 200);
    const [here, there] = [await all.start(), await all.start()];
    const { id } = await begin(here, 12);
    await until(async () => (await all.stepsOf(id)).size >= 2);
    here.process.kill('SIGSTOP');
    await until(async () => isOver(await get(there, id)), 60_000);
    const task = await get(there, id);
    assert.equal(task.status.state, 'TASK_STATE_COMPLETED');
    here.process.kill('SIGCONT');
    await until(async () => /worked on by another process/.test(here.stderr()) || isOver(await get(here, id)), 20_000);
    assert.deepEqual(await get(here, id), task);
    assert.deepEqual(await get(there, id), task);
  });
});

test('SQLite: a process that is restarted goes on with what it had begun', async () => {
  await using all = await StepwiseFleet.make({
    database: 'driver: sqlite\ndatabase: $DATA/hector.db',
    checkpoint: resuming,
    stepMs: 100,
  });
  const first = await all.start();
  const { id } = await begin(first, 40);
  await until(async () => (await all.stepsOf(id)).size >= 3);
  await first.stop('SIGKILL');
  const next = await all.start();
  await until(async () => isOver(await get(next, id)), 60_000);
  const task = await get(next, id);
  assert.equal(task.status.state, 'TASK_STATE_COMPLETED', said(task));
  for (const [n, times] of await all.stepsOf(id)) assert.equal(times, 1, `step ${n}`);
});

const textOf = (events: ReturnType<typeof parseEvents>): string => {
  let text = '';
  for (const { data } of events) {
    const { task, artifactUpdate } = data['result'] as {
      task?: Task;
      artifactUpdate?: { artifact: Task['artifacts'][number]; append?: boolean };
    };
    if (task) text = answer(task);
    if (artifactUpdate) {
      const said = answer({ artifacts: [artifactUpdate.artifact] } as unknown as Task);
      text = artifactUpdate.append ? text + said : said;
    }
  }
  return text;
};

const lastState = (events: ReturnType<typeof parseEvents>): string | undefined =>
  (events.at(-1)?.data['result'] as { statusUpdate?: { status: Task['status'] } } | undefined)?.statusUpdate?.status
    .state;
