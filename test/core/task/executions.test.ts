import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Task } from '../../../core/a2a.ts';
import { errorCode, HectorError } from '../../../core/errors.ts';
import type { AgentContext, AgentEvent } from '../../../core/extension/agent.ts';
import type { StorageBackend } from '../../../core/extension/storage-backend.ts';
import { silentLogger } from '../../../core/logger.ts';
import { Executions } from '../../../core/task/executions.ts';
import { gate, type Run, saying, stubborn, text, textOf, untilAborted } from '../../support/agents.ts';
import { caller, generation, inmemoryStorage, request } from '../../support/generation.ts';
import { type Engine, engine } from '../../support/task-engine.ts';
import { answerOf, eventsOf, foldOf, outline, stateOf, statusText } from '../../support/task-events.ts';
import { until } from '../../support/until.ts';

const coded = (code: string) => (error: unknown) => (error as HectorError).code === code;

/** Waits until the agent has said so much. */
const hasSaid = ({ get }: Pick<Engine, 'get'>, taskId: string, words: string) =>
  until(async () => answerOf((await get(taskId)) as Task) === words);

const idle = ({ leases }: Pick<Engine, 'leases'>) => until(() => leases() === 0);

test('a run: the task as submitted, working, the answer, its end, completed', async () => {
  const { send, get } = engine(saying('Hello', ' there', '!'));
  const reader = await send({ text: 'hi' });
  const events = await eventsOf(reader);
  assert.deepEqual(outline(events), ['SUBMITTED', 'WORKING', '=Hello', '+ there!!', 'COMPLETED']);

  const task = foldOf(events);
  assert.deepEqual(await get(task.id), task, 'what a reader folds is what is stored');
  assert.deepEqual(await reader.settled(), task);
  assert.equal(task.artifacts.length, 1);
  assert.equal(task.artifacts[0]?.name, 'response');
  assert.deepEqual(task.artifacts[0]?.parts, [{ text: 'Hello there!' }]);
  assert.deepEqual(task.history.map(textOf), ['hi']);
  assert.equal(task.history[0]?.taskId, task.id);
  assert.equal(task.history[0]?.contextId, task.contextId);
});

test('a run that nobody reads makes the same task', async () => {
  const { ask } = engine(saying('Hello', ' there', '!'));
  const task = await ask();
  assert.equal(task.status.state, 'TASK_STATE_COMPLETED');
  assert.deepEqual(
    task.artifacts.map(({ name, parts }) => ({ name, parts })),
    [{ name: 'response', parts: [{ text: 'Hello there!' }] }],
  );
});

test('a run without any text has no answer', async () => {
  const { ask } = engine(saying());
  assert.deepEqual((await ask()).artifacts, []);
});

test('artifacts of the agent stand beside the answer, in the order of the events', async () => {
  const { send } = engine(async function* () {
    yield text('See ');
    yield { type: 'artifact', artifact: { artifactId: 'file', parts: [{ url: 'https://example.com' }] } };
    yield text('this');
    yield { type: 'artifact', artifact: { artifactId: 'file', parts: [{ text: 'more' }] }, append: true };
    yield text('.');
  });
  const events = await eventsOf(await send());
  assert.deepEqual(outline(events), ['SUBMITTED', 'WORKING', '=See ', '=?!', '+this', '+more', '+.!', 'COMPLETED']);
  assert.equal(answerOf(foldOf(events)), 'See this.|?more');
});

test('the agent is given its message, its caller and whether somebody reads along', async () => {
  let seen: AgentContext | undefined;
  const { ask } = engine(async function* (message, context) {
    seen = { ...context };
    yield text(`${message.messageId} ${textOf(message)}`);
  });
  const task = await ask({ messageId: 'm-1', text: 'hi', owner: 'grace', contextId: 'ctx' });
  assert.equal(answerOf(task), 'm-1 hi');
  assert.equal(seen?.principal.subject, 'grace');
  assert.equal(seen?.contextId, 'ctx');
  assert.equal(seen?.taskId, task.id);
  assert.equal(seen?.agent, 'agent');
  assert.equal(seen?.streaming, false);
  assert.ok(seen?.logger, 'a copy of the context has a logger, too');
});

test('readers that come at any time see the same order and end with the same task', async () => {
  const { send, subscribe } = engine(
    async function* () {
      for (let i = 0; i < 600; i++) {
        yield text(`${i} `);
        if (i % 7 === 0) await turn();
        if (i % 100 === 50) yield { type: 'artifact', artifact: { artifactId: `file-${i}`, parts: [{ data: i }] } };
      }
    },
    { server: { streaming: { coalesce: '1ms', coalesce_max: 5 } } },
  );
  const first = await send();
  const whole = eventsOf(first);
  const others: ReturnType<typeof eventsOf>[] = [];
  for (let i = 0; i < 20; i++) {
    others.push(eventsOf(await subscribe(first.task.id)));
    for (let wait = (i * 7) % 5; wait > 0; wait--) await turn();
  }

  const reference = await whole;
  const task = await first.settled();
  assert.deepEqual(foldOf(reference), task);
  const begins = new Set<number>();
  for (const events of await Promise.all(others)) {
    const later = events.slice(1);
    begins.add(later.length);
    assert.ok(
      later.length > 0 &&
        later.every((event, at) => isDeepStrictEqual(event, reference[reference.length - later.length + at])),
      'the same events',
    );
    assert.deepEqual(foldOf(events), task);
  }
  assert.ok(begins.size > 5, `the readers came at different times (${[...begins]})`);
});

test('a run goes on when every reader has left', async () => {
  const left = gate();
  const { send, get, executions } = engine(async function* () {
    yield text('before ');
    await left.opened;
    yield text('after');
  });
  const gone = new AbortController();
  const reader = await send();
  const seen: string[] = [];
  for await (const event of reader.events(gone.signal)) {
    seen.push(event.type);
    if (event.type === 'artifact') gone.abort();
  }
  assert.deepEqual(seen, ['task', 'status', 'artifact']);
  await assert.rejects(reader.settled(gone.signal), (error) => error === gone.signal.reason);
  left.open();
  await until(() => executions.running === 0);
  const task = await get(reader.task.id);
  assert.equal(task?.status.state, 'TASK_STATE_COMPLETED');
  assert.equal(answerOf(task as Task), 'before after');
});

test('a reader that never reads holds nothing up and is given the whole task when it does', async () => {
  const { send } = engine(
    async function* () {
      for (let i = 0; i < 5_000; i++) yield text('x');
    },
    { server: { streaming: { coalesce: '0' } } },
  );
  const idle = await send();
  const task = await idle.settled();
  const events = await eventsOf(idle);
  assert.ok(events.length <= 2, `${events.length} events are kept for it`);
  assert.deepEqual(foldOf(events), task);
});

test('a fast answer of 10,000 pieces reaches the readers in a fraction of the events', async () => {
  const { send } = engine(saying(...Array.from({ length: 10_000 }, () => 'token ')), {
    server: { streaming: { coalesce: '10s' } },
  });
  const events = await eventsOf(await send());
  // Task, working, the first piece, 9,999 in packs of 32 with the rest in the last, completed.
  assert.equal(events.length, 2 + 1 + Math.ceil(9_999 / 32) + 1);
  assert.equal(answerOf(foldOf(events)), 'token '.repeat(10_000));
});

test('a running task is got as far as it has come', async () => {
  const more = gate();
  const { send, get, ask } = engine(async function* (message) {
    yield text('so ');
    yield text('far');
    if (textOf(message) === 'wait') await more.opened;
  });
  const reader = await send({ text: 'wait', streaming: false });
  await hasSaid({ get }, reader.task.id, 'so far');
  assert.equal((await get(reader.task.id))?.status.state, 'TASK_STATE_WORKING');
  assert.equal(reader.task.status.state, 'TASK_STATE_SUBMITTED');
  await ask();
  more.open();
  assert.equal((await reader.settled()).status.state, 'TASK_STATE_COMPLETED');
});

test('subscribing: a running task, one that waits for its caller, and not one that has ended', async () => {
  const { ask, subscribe } = engine(async function* (message) {
    if (textOf(message) === 'ask') yield { type: 'input_required', parts: [{ text: 'Which?' }] };
  });
  const waiting = await ask({ text: 'ask' });
  assert.deepEqual(outline(await eventsOf(await subscribe(waiting.id))), ['INPUT_REQUIRED']);
  const ended = await ask();
  await assert.rejects(subscribe(ended.id), coded('task_terminal'));
  await assert.rejects(subscribe('nowhere'), coded('task_not_found'));
});

test('an agent that throws fails its task with its own sentence, without secrets', async () => {
  const { ask, lines } = engine(
    async function* () {
      yield text('so far');
      throw new HectorError('shop_closed', 'The shop is closed; the key was sk-canary-123.');
    },
    { secrets: ['sk-canary-123'] },
  );
  const task = await ask();
  assert.equal(task.status.state, 'TASK_STATE_FAILED');
  assert.equal(statusText(task), 'The shop is closed; the key was ***.');
  assert.equal(task.status.message?.role, 'ROLE_AGENT');
  assert.equal(task.status.message?.taskId, task.id);
  assert.equal(answerOf(task), 'so far', 'what it had said is kept');
  assert.ok(lines.some(({ code }) => code === 'shop_closed'));
  assert.doesNotMatch(JSON.stringify(lines), /canary/);
});

test('agents that break the contract fail their tasks', async () => {
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  const garbage: unknown[] = [
    'a string',
    null,
    undefined,
    { type: 'nonsense' },
    { type: 'text', delta: 7 },
    { type: 'artifact' },
    { type: 'artifact', artifact: { artifactId: 'x', parts: 'none' } },
    { type: 'artifact', artifact: { artifactId: 'x', parts: [null] } },
    { type: 'artifact', artifact: { artifactId: 'x', parts: [{ data: circular }] } },
    { type: 'input_required' },
  ];
  for (const event of garbage) {
    let closed = false;
    const { ask, leases } = engine(async function* () {
      try {
        yield text('fine');
        yield event as AgentEvent;
        yield text('more');
      } finally {
        closed = true;
      }
    });
    const task = await ask();
    assert.equal(task.status.state, 'TASK_STATE_FAILED', JSON.stringify(event?.toString()));
    assert.match(statusText(task), /^The agent "agent" (yielded|failed)/);
    assert.equal(answerOf(task), 'fine');
    assert.ok(closed, 'the generator was closed');
    await idle({ leases });
  }
  for (const run of [() => undefined, () => 7, () => ({ [Symbol.asyncIterator]: () => ({ next: () => 7 }) })]) {
    const { ask, leases } = engine(run as unknown as Run);
    assert.equal((await ask()).status.state, 'TASK_STATE_FAILED');
    await idle({ leases });
  }
});

test('an answer larger than a task may be fails it, and the agent is told to end', async () => {
  let ended = false;
  const { ask } = engine(async function* (_message, { signal }) {
    const megabyte = 'x'.repeat(2 ** 20);
    while (!signal.aborted) yield text(megabyte);
    ended = true;
  });
  const task = await ask();
  assert.equal(task.status.state, 'TASK_STATE_FAILED');
  assert.match(statusText(task), /larger than a task may be \(16 MiB\)/);
  const size = answerOf(task).length;
  assert.ok(size >= 15 * 2 ** 20 && size <= 16 * 2 ** 20, `${size} bytes are kept`);
  assert.ok(ended);
});

test('cancelling ends a cooperative agent, reaches its signal, and keeps what it had said', async () => {
  let reason: unknown;
  const { send, cancel, get, leases } = engine(async function* (message, context) {
    context.signal.addEventListener('abort', () => {
      reason = context.signal.reason;
    });
    yield* untilAborted(message, context);
  });
  const reader = await send();
  const events = eventsOf(reader);
  await hasSaid({ get }, reader.task.id, 'begun');
  const task = await cancel(reader.task.id);
  assert.equal(task.status.state, 'TASK_STATE_CANCELED');
  assert.ok(coded('canceled')(reason));
  assert.deepEqual(outline(await events), ['SUBMITTED', 'WORKING', '=begun', '+!', 'CANCELED']);
  assert.deepEqual(await get(reader.task.id), task);
  await assert.rejects(cancel(reader.task.id), coded('task_not_cancelable'));
  await idle({ leases });
});

test('cancelling ends a task whose agent does not listen, and its generation waits for the agent', async () => {
  const end = gate();
  const { send, cancel, get, executions, leases } = engine(stubborn(end.opened));
  const reader = await send();
  const events = eventsOf(reader);
  await hasSaid({ get }, reader.task.id, 'begun');
  const started = performance.now();
  assert.equal((await cancel(reader.task.id)).status.state, 'TASK_STATE_CANCELED');
  assert.ok(performance.now() - started < 3_000);
  assert.deepEqual(outline(await events).at(-1), 'CANCELED');
  assert.equal(executions.running, 0);

  assert.equal(leases(), 1, 'held by the agent that still runs');
  end.open();
  await idle({ leases });
});

test('an agent that goes on talking after it was cancelled is cut off at the next word', async () => {
  let closed = false;
  const { send, cancel, leases } = engine(async function* () {
    try {
      for (;;) {
        yield text('on and ');
        await turn();
      }
    } finally {
      closed = true;
    }
  });
  const reader = await send();
  assert.equal((await cancel(reader.task.id)).status.state, 'TASK_STATE_CANCELED');
  await idle({ leases });
  assert.ok(closed);
});

test('an agent that talks without ever waiting keeps nobody else waiting, and can be cancelled', async () => {
  const { send, cancel } = engine(async function* (_message, { signal }) {
    for (let i = 0; i < 1_000_000 && !signal.aborted; i++) yield text('');
  });
  const reader = await send();
  await turn();
  assert.equal((await cancel(reader.task.id)).status.state, 'TASK_STATE_CANCELED');
});

test('an agent that cannot be ended gives its generation free in the end, and can use nothing any more', async () => {
  let session: AgentContext['session'] | undefined;
  const { send, cancel, get, executions, leases } = engine(async function* (message, context) {
    session = context.session;
    yield* stubborn(new Promise(() => {}))(message, context);
  });
  const reader = await send();
  await hasSaid({ get }, reader.task.id, 'begun');
  await cancel(reader.task.id);
  assert.equal(leases(), 1);
  await session?.append([]);
  await executions.close(0, 'over');
  assert.equal(leases(), 0);
  await assert.rejects(async () => session?.append([]), coded('task_ended'));
});

test('the tasks of others are not there', async () => {
  const { send, ask, get, cancel, subscribe } = engine(untilAborted, {
    agents: { agent: untilAborted, asks: saying('x') },
  });
  const running = (await send({ agent: 'agent' })).task.id;
  const ended = (await ask({ agent: 'asks' })).id;
  for (const who of [{ owner: 'eve', agent: 'agent' }, { owner: 'eve', agent: 'asks' }, { agent: 'nobody' }]) {
    for (const id of [running, ended]) {
      assert.equal(await get(id, who), undefined);
      await assert.rejects(subscribe(id, who), coded('task_not_found'));
      await assert.rejects(cancel(id, who), coded('task_not_found'));
    }
  }
  await assert.rejects(send({ owner: 'eve', agent: 'agent', taskId: running }), coded('task_not_found'));
  await assert.rejects(send({ agent: 'asks', taskId: running }), coded('task_not_found'));
  assert.equal((await get(ended, { agent: 'asks' }))?.id, ended, 'to its own caller it is');
  await cancel(running, { agent: 'agent' });
});

test('the same message again is the same task: while it runs, when it has ended, and at the same time', async () => {
  let runs = 0;
  const go = gate();
  const { send, executions } = engine(async function* () {
    runs++;
    await go.opened;
    yield text('once');
  });
  const [one, two] = await Promise.all([send({ messageId: 'm' }), send({ messageId: 'm' })]);
  const three = await send({ messageId: 'm', contextId: one.task.contextId });
  go.open();
  const tasks = await Promise.all([one.settled(), two.settled(), three.settled()]);
  assert.equal(new Set(tasks).size, 1);
  const again = await send({ messageId: 'm' });
  assert.deepEqual(await again.settled(), tasks[0]);
  assert.deepEqual(outline(await eventsOf(again)), ['COMPLETED']);
  assert.equal(runs, 1);
  assert.equal(executions.running, 0);
});

test('the same id in another context, from another caller or to another agent is another message', async () => {
  const { ask } = engine(saying('x'), { agents: { agent: saying('x'), other: saying('x') } });
  const agent = 'agent';
  const tasks = [
    await ask({ agent, messageId: 'm' }),
    await ask({ agent, messageId: 'm', contextId: 'a' }),
    await ask({ agent, messageId: 'm', contextId: 'b' }),
    await ask({ agent, messageId: 'm', owner: 'eve' }),
    await ask({ agent: 'other', messageId: 'm' }),
  ];
  assert.equal(new Set(tasks.map(({ id }) => id)).size, tasks.length);
});

test('outside of a context, the same id with other words is another message, however many send it', async () => {
  let runs = 0;
  const { send, ask } = engine(async function* () {
    yield text(`run ${++runs}`);
  });
  const first = await ask({ messageId: 'm', text: 'one' });
  const sent = { messageId: 'm', text: 'two' };
  const readers = await Promise.all([send(sent), send(sent), send(sent)]);
  const tasks = await Promise.all(readers.map((reader) => reader.settled()));
  assert.equal(new Set(tasks.map(({ id }) => id)).size, 1);
  assert.notEqual(tasks[0]?.id, first.id);
  assert.equal(runs, 2);
  const within = await ask({ messageId: 'm', text: 'three', contextId: first.contextId });
  assert.equal(within.id, first.id, 'in a context the id is enough');
});

test('a message whose task is forgotten makes one new task, however many send it', async () => {
  let runs = 0;
  const { send, ask } = engine(
    async function* () {
      yield text(`run ${++runs}`);
    },
    { storage: inmemoryStorage({ max_tasks: 1 }) },
  );
  const first = await ask({ messageId: 'm' });
  await ask();
  const readers = await Promise.all([send({ messageId: 'm' }), send({ messageId: 'm' }), send({ messageId: 'm' })]);
  const ids = new Set(readers.map(({ task }) => task.id));
  assert.equal(ids.size, 1);
  assert.ok(!ids.has(first.id));
  assert.equal(runs, 3);
});

/** Asks which one, then says what it was told. */
const asking: Run = async function* asking(message) {
  if (message.parts.length === 1 && textOf(message) === 'book') {
    yield text('Booking. ');
    yield { type: 'input_required', parts: [{ text: 'Which one?' }] };
    return;
  }
  yield text(`Booked ${textOf(message)}.`);
};

test('a task that asks goes on with the answer', async () => {
  const { send, ask, get } = engine(asking);
  const first = await send({ text: 'book' });
  const events = await eventsOf(first);
  assert.deepEqual(outline(events), ['SUBMITTED', 'WORKING', '=Booking. ', '+!', 'INPUT_REQUIRED']);
  const waiting = foldOf(events);
  assert.deepEqual(await get(waiting.id), waiting);
  assert.equal(statusText(waiting), 'Which one?');

  const second = await send({ text: 'the blue one', taskId: waiting.id });
  assert.equal(second.task.id, waiting.id);
  assert.equal(second.task.contextId, waiting.contextId);
  const task = foldOf(await eventsOf(second));
  assert.equal(task.status.state, 'TASK_STATE_COMPLETED');
  assert.deepEqual(task.history.map(textOf), ['book', 'Which one?', 'the blue one']);
  assert.equal(
    new Set(task.artifacts.map(({ artifactId }) => artifactId)).size,
    2,
    'each run has an answer of its own',
  );
  assert.equal(answerOf(task), 'Booking. |Booked the blue one.');
  await assert.rejects(ask({ taskId: waiting.id }), coded('task_terminal'));
});

test('the answer to a question, sent twice, is taken once', async () => {
  let runs = 0;
  const { ask } = engine(async function* (message, context) {
    runs++;
    yield* asking(message, context);
  });
  const waiting = await ask({ text: 'book' });
  const answer = { text: 'red', taskId: waiting.id, messageId: 'answer' };
  const [one, two] = await Promise.all([ask(answer), ask(answer)]);
  assert.deepEqual(one, two);
  assert.deepEqual(await ask(answer), one, 'also when the task has ended');
  assert.equal(runs, 2);
});

test('what a message to a task may not be', async () => {
  const { ask, send, cancel } = engine(async function* (message, context) {
    if (textOf(message) === 'work') yield* untilAborted(message, context);
    else yield* asking(message, context);
  });
  const waiting = await ask({ text: 'book' });
  await assert.rejects(ask({ taskId: waiting.id, contextId: 'another' }), coded('context_mismatch'));
  await assert.rejects(ask({ taskId: 'nowhere' }), coded('task_not_found'));
  const working = await send({ text: 'work' });
  await assert.rejects(ask({ taskId: working.task.id }), coded('task_busy'));
  await cancel(working.task.id);
  assert.equal((await ask({ taskId: waiting.id, contextId: waiting.contextId })).status.state, 'TASK_STATE_COMPLETED');
});

test('a task that asks for credentials waits, too', async () => {
  const { ask } = engine(async function* () {
    yield { type: 'auth_required', parts: [{ text: 'Log in first.' }] };
  });
  const task = await ask();
  assert.equal(task.status.state, 'TASK_STATE_AUTH_REQUIRED');
  assert.equal(statusText(task), 'Log in first.');
});

test('what an agent does after its question is awaited, what it says is not heard', async () => {
  let saved = false;
  const { ask } = engine(async function* () {
    yield { type: 'input_required', parts: [{ text: 'Which?' }] };
    await turn();
    saved = true;
    yield text('too late');
  });
  const task = await ask();
  assert.equal(task.status.state, 'TASK_STATE_INPUT_REQUIRED');
  assert.ok(saved);
  assert.deepEqual(task.artifacts, []);
});

test('a task that waits is cancelled by its caller, or goes on, never both', async () => {
  const { ask, cancel, get } = engine(asking);
  const waiting = await ask({ text: 'book' });
  const cancelled = await cancel(waiting.id);
  assert.equal(cancelled.status.state, 'TASK_STATE_CANCELED');
  assert.deepEqual(cancelled.history.map(textOf), ['book', 'Which one?']);
  assert.deepEqual(await get(waiting.id), cancelled);
  await assert.rejects(ask({ taskId: waiting.id }), coded('task_terminal'));
});

test('while the end of a waiting task is written, no message makes it go on', async () => {
  const go = gate();
  let writes = 0;
  const { ask, cancel } = engine(asking, {
    storage: holding(async (put) => {
      if (++writes === 2) await go.opened;
      await put();
    }),
  });
  const waiting = await ask({ text: 'book' });
  const cancelled = cancel(waiting.id);
  await until(() => writes === 2);
  const answered = assert.rejects(ask({ text: 'red', taskId: waiting.id }), coded('task_terminal'));
  await turn();
  go.open();
  assert.equal((await cancelled).status.state, 'TASK_STATE_CANCELED');
  await answered;
});

test('a message sees what the one before it left in the conversation', async () => {
  const remembering: Run = async function* (message, { session }) {
    const before = await session.history();
    yield text(
      before.map(({ parts }) => parts.map((part) => (part.type === 'text' ? part.text : '')).join('')).join(','),
    );
    await session.append([{ role: 'user', parts: [{ type: 'text', text: textOf(message) }] }]);
  };
  const { ask } = engine(remembering, { agents: { agent: remembering, other: remembering } });
  const agent = 'agent';
  const { contextId } = await ask({ agent, text: 'one' });
  await ask({ agent, text: 'two', contextId });
  assert.equal(answerOf(await ask({ agent, text: 'three', contextId })), 'one,two');
  assert.equal(answerOf(await ask({ agent, contextId, owner: 'eve' })), '', 'not what another caller left');
  assert.equal(answerOf(await ask({ agent: 'other', contextId })), '', 'nor what was left with another agent');
});

/** A storage backend whose tasks are put only when the test lets them. */
function holding(put: (put: () => Promise<void>) => Promise<void>): StorageBackend {
  const { tasks, sessions, ping } = inmemoryStorage();
  return { sessions, ping, tasks: { ...tasks, put: (stored, options) => put(() => tasks.put(stored, options)) } };
}

test('a task is found while it is being written', async () => {
  const go = gate();
  let writing = false;
  const { send, get, executions } = engine(saying('x'), {
    storage: holding(async (put) => {
      writing = true;
      await go.opened;
      await put();
    }),
  });
  const reader = await send();
  const events = eventsOf(reader);
  await until(() => writing);
  const during = await get(reader.task.id);
  assert.equal(during?.status.state, 'TASK_STATE_COMPLETED');
  assert.equal(executions.running, 1);
  go.open();
  assert.equal(outline(await events).at(-1), 'COMPLETED');
  assert.equal(executions.running, 0);
  assert.deepEqual(await get(reader.task.id), during);
});

const goingOn = { on_error: 'degrade' } as const;

test('where work goes on without it, a store that fails is logged; the task ends, is still found, and goes on', async () => {
  let broken = true;
  const {
    ask,
    get,
    lines,
    generation: of,
  } = engine(asking, {
    storage: holding(async (put) => {
      if (broken) throw new Error('the disk is full');
      await put();
    }),
    keeping: goingOn,
  });
  const ended = await ask({ text: 'other' });
  assert.equal(ended.status.state, 'TASK_STATE_COMPLETED');
  assert.ok(lines.some(({ level, error }) => level === 'error' && String(error).includes('the disk is full')));
  assert.deepEqual(await get(ended.id), ended);
  assert.equal(await get(ended.id, { owner: 'eve' }), undefined);

  const waiting = await ask({ text: 'book' });
  assert.deepEqual(await get(waiting.id), waiting);
  broken = false;
  const done = await ask({ text: 'red', taskId: waiting.id });
  const stored = await of.contents.tasks.tasks.get(done.id);
  assert.deepEqual([stored?.task, stored?.owner, stored?.agent], [done, 'ada', 'agent']);
  assert.deepEqual(await get(done.id), done);
});

test('nobody is told the end of a task that the store does not take, and what was said is tried again', async () => {
  let broken = true;
  const {
    send,
    get,
    list,
    generation: of,
  } = engine(asking, {
    storage: holding(async (put) => {
      if (broken) throw new HectorError('storage_unavailable', 'The database is away.');
      await put();
    }),
  });
  mock.timers.enable({ apis: ['setTimeout'] });
  const reader = await send({ text: 'other' });
  const { id } = reader.task;
  const told = Promise.all([
    assert.rejects(reader.settled(), isAway),
    assert.rejects(eventsOf(reader), isAway, 'the stream breaks off without an end'),
  ]);
  try {
    for (let i = 0; i < 5; i++) await turn();
    mock.timers.tick(5_100);
    await told;
    await assert.rejects(get(id), isAway);
  } finally {
    mock.timers.reset();
    broken = false;
  }
  await until(async () => (await of.contents.tasks.tasks.get(id))?.task.status.state === 'TASK_STATE_COMPLETED');
  assert.equal((await get(id))?.status.state, 'TASK_STATE_COMPLETED');
  assert.equal((await list({ pageSize: 10 })).items.length, 1);
});

const isAway = (error: unknown) => errorCode(error) === 'storage_unavailable';

test('where work goes on without it, a store that does not answer holds the end of a task up for a while only', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const go = gate();
    const {
      send,
      get,
      lines,
      leases,
      generation: of,
    } = engine(saying('x'), {
      storage: holding(async (put) => {
        await go.opened;
        await put();
      }),
      keeping: goingOn,
    });
    const reader = await send({ streaming: false });
    let settled = false;
    const ended = reader.settled().finally(() => {
      settled = true;
    });
    for (let i = 0; i < 5; i++) await turn();
    mock.timers.tick(4_900);
    await turn();
    assert.equal(settled, false);
    mock.timers.tick(200);
    const task = await ended;
    assert.equal(task.status.state, 'TASK_STATE_COMPLETED');
    assert.ok(lines.some(({ level, message }) => level === 'error' && message.includes('not taken')));
    assert.deepEqual(await get(task.id), task);
    assert.equal(leases(), 1, 'the generation is kept for the store');
    go.open();
    for (let i = 0; i < 5; i++) await turn();
    assert.equal(leases(), 0);
    assert.deepEqual(await get(task.id), task);
    const later = { ...task, metadata: { written: 'by another process' } };
    await of.contents.tasks.tasks.put({ task: later, owner: 'ada', agent: 'agent' });
    assert.deepEqual(await get(task.id), later, 'from now on the store is asked');
  } finally {
    mock.timers.reset();
  }
});

test('a task is found whatever generation the caller asks through', async () => {
  const storage = inmemoryStorage();
  const { send, executions } = engine(untilAborted, { storage });
  const next = generation({ agents: { agent: saying('new') }, storage, id: 2 });
  const reader = await send();
  assert.equal((await executions.get(caller(next), reader.task.id))?.status.state, 'TASK_STATE_WORKING');
  const events = eventsOf(await executions.subscribe(caller(next), reader.task.id));
  await executions.cancel(caller(next), reader.task.id);
  assert.equal(outline(await events).at(-1), 'CANCELED');
});

test('a task keeps its generation until it has ended', async () => {
  const go = gate();
  let disposed = false;
  const of = generation({
    agents: { agent: stubborn(go.opened) },
    onDispose: () => {
      disposed = true;
    },
  });
  const executions = new Executions({ logger: silentLogger });
  const sent = request(of, { streaming: false });
  const reader = await executions.send(sent);
  sent.lease.release();
  const retired = of.retire({ drainMs: 10_000, abortMs: 1_000 });
  await turn();
  assert.equal(disposed, false);
  go.open();
  assert.equal((await reader.settled()).status.state, 'TASK_STATE_COMPLETED');
  assert.deepEqual(await retired, []);
  assert.ok(disposed);
});

test('at the drain deadline of its generation a task fails and says why, those of others go on', async () => {
  const old = generation({ agents: { agent: untilAborted } });
  const current = generation({ agents: { agent: untilAborted }, id: 2 });
  const executions = new Executions({ logger: silentLogger });
  const sent = [request(old), request(old), request(current)];
  const [one, two, other] = await Promise.all(sent.map((each) => executions.send(each)));
  for (const { lease } of sent) lease.release();
  const events = eventsOf(one as NonNullable<typeof one>);
  assert.deepEqual(await old.retire({ drainMs: 10, abortMs: 5_000 }), []);
  for (const task of [foldOf(await events), await two?.settled()]) {
    assert.equal(task?.status.state, 'TASK_STATE_FAILED');
    assert.match(statusText(task as Task), /configuration was replaced/);
  }
  assert.equal(executions.running, 1);
  await executions.cancel(caller(current), other?.task.id ?? '');
});

test('over the limit a message is refused and leaves nothing behind', async () => {
  const { send, ask, cancel, leases } = engine(
    async function* (message, context) {
      if (textOf(message) === 'work') yield* untilAborted(message, context);
    },
    { server: { limits: { max_running_tasks: 2 } } },
  );
  const readers = [await send({ text: 'work' }), await send({ text: 'work' })];
  await assert.rejects(ask({ messageId: 'm' }), coded('too_busy'));
  assert.equal(leases(), 2);
  for (const reader of readers) await cancel(reader.task.id);
  assert.equal((await ask({ messageId: 'm' })).status.state, 'TASK_STATE_COMPLETED');
});

test('closing waits for what runs and takes nothing new', async () => {
  const go = gate();
  const { send, ask, executions } = engine(stubborn(go.opened));
  const reader = await send({ messageId: 'm' });
  const closed = executions.close(60_000, 'The server shuts down.');
  await assert.rejects(ask(), coded('closed'));
  assert.equal((await send({ messageId: 'm' })).task.id, reader.task.id, 'what was sent before is no new work');
  go.open();
  await closed;
  assert.equal((await reader.settled()).status.state, 'TASK_STATE_COMPLETED');
});

test('closing ends what is not done in time as failed, for the reason given; every reader learns of it', async () => {
  const { send, subscribe, executions, get, leases } = engine(untilAborted, {
    agents: { agent: untilAborted, stubborn: stubborn(new Promise(() => {})) },
  });
  const readers = [await send({ agent: 'agent' }), await send({ agent: 'stubborn' })];
  const events = [...readers, await subscribe(readers[0]?.task.id ?? '')].map((reader) => eventsOf(reader));
  await executions.close(20, 'The server shuts down.');
  assert.equal(executions.running, 0);
  for (const seen of await Promise.all(events)) {
    const task = foldOf(seen);
    assert.equal(task.status.state, 'TASK_STATE_FAILED');
    assert.equal(statusText(task), 'The server shuts down.');
    assert.deepEqual(await get(task.id, { agent: readers[0]?.task.id === task.id ? 'agent' : 'stubborn' }), task);
  }
  assert.equal(leases(), 0);
});

test('nothing is left behind: no timer, no lease', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
  const before = timers();
  const { send, cancel, executions, leases } = engine(async function* (message, context) {
    yield text('a');
    yield text('b');
    if (textOf(message) === 'work') yield* untilAborted(message, context);
  });
  for (let i = 0; i < 20; i++) await eventsOf(await send());
  const working = await send({ text: 'work' });
  await cancel(working.task.id);
  await executions.close(1_000, 'over');
  assert.equal(timers(), before);
  await idle({ leases });
});

test('a list holds what runs and what has ended, newest first, page by page', async () => {
  const { send, ask, cancel, list } = engine(async function* (message, context) {
    if (textOf(message) === 'work') yield* untilAborted(message, context);
    if (textOf(message) === 'ask') yield { type: 'input_required', parts: [{ text: 'Which?' }] };
  });
  const running: string[] = [];
  const expected = new Set<string>();
  for (let i = 0; i < 12; i++) {
    if (i % 3 === 0) running.push((await send({ text: 'work' })).task.id);
    else expected.add((await ask({ text: i % 3 === 1 ? 'ask' : 'end' })).id);
  }
  await ask({ owner: 'eve' });
  for (const id of running) expected.add(id);

  for (const pageSize of [1, 2, 5, 12, 50]) {
    const seen: Task[] = [];
    let pageToken: string | undefined;
    do {
      const page = await list({ pageSize, ...(pageToken === undefined ? {} : { pageToken }) });
      assert.ok(page.items.length <= pageSize && page.items.length > 0);
      seen.push(...page.items);
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
    assert.equal(seen.length, expected.size, `pages of ${pageSize}`);
    assert.deepEqual(new Set(seen.map(({ id }) => id)), expected);
    const times = seen.map(({ status }) => status.timestamp);
    assert.deepEqual(times, times.toSorted().reverse());
  }
  for (const id of running) await cancel(id);
});

test('a list shows a task that goes on as it is now, not as it was stored', async () => {
  const { send, ask, cancel, list } = engine(async function* (message, context) {
    if (textOf(message) === 'ask') yield { type: 'input_required', parts: [{ text: 'Which?' }] };
    else yield* untilAborted(message, context);
  });
  const waiting = await ask({ text: 'ask', contextId: 'c' });
  await send({ text: 'work', taskId: waiting.id });
  const states = async (query: object) =>
    (await list({ pageSize: 10, ...query })).items.map(({ status }) => stateOf(status.state));
  assert.deepEqual(await states({}), ['WORKING']);
  assert.deepEqual(await states({ state: 'TASK_STATE_INPUT_REQUIRED' }), []);
  assert.deepEqual(await states({ state: 'TASK_STATE_WORKING', contextId: 'c' }), ['WORKING']);
  assert.deepEqual(await states({ contextId: 'other' }), []);
  assert.deepEqual(await states({ statusTimestampAfter: new Date(Date.now() + 60_000).toISOString() }), []);
  assert.deepEqual(await states({ statusTimestampAfter: new Date(Date.now() - 60_000).toISOString() }), ['WORKING']);
  await assert.rejects(list({ pageSize: 1, pageToken: 'none' }), coded('invalid_page_token'));
  await cancel(waiting.id);
});
