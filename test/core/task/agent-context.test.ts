import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentContext } from '../../../core/extension/agent.ts';
import type { ChatMessage } from '../../../core/message.ts';
import { type Run, text, textOf } from '../../support/agents.ts';
import { inmemoryStorage } from '../../support/generation.ts';
import { engine } from '../../support/task-engine.ts';
import { answerOf, statusText } from '../../support/task-events.ts';

const coded = (code: string) => (error: unknown) => (error as { code?: unknown }).code === code;

const said = (role: 'user' | 'assistant', words: string): ChatMessage =>
  ({ role, parts: [{ type: 'text', text: words }] }) as ChatMessage;

/** Gives the context of each run to the test, and says `done`. */
function noting(contexts: AgentContext[]): Run {
  return async function* (_message, context) {
    contexts.push(context);
    yield text('done');
  };
}

test('an agent sees its task as it was before the message, with what earlier messages have brought', async () => {
  const tasks: AgentContext['task'][] = [];
  const { ask } = engine(async function* (message, { task }) {
    tasks.push(task);
    yield { type: 'artifact', artifact: { artifactId: textOf(message), parts: [{ text: 'made' }] } };
    if (textOf(message) !== 'last') yield { type: 'input_required', parts: [{ text: 'And then?' }] };
  });
  const { id } = await ask({ text: 'first' });
  await ask({ text: 'second', taskId: id });
  await ask({ text: 'last', taskId: id });
  assert.deepEqual(
    tasks.map(({ artifacts }) => artifacts.map(({ artifactId }) => artifactId)),
    [[], ['first'], ['first', 'second']],
  );
  assert.deepEqual(tasks.at(-1)?.history.map(textOf), ['first', 'And then?', 'second', 'And then?', 'last']);
});

test('what the caller takes and asks for is told to the agent', async () => {
  const contexts: AgentContext[] = [];
  const { ask } = engine(noting(contexts));
  await ask();
  await ask({}, { accepts: ['image/png'], extensions: new Set(['https://example.com/ext']) });
  assert.deepEqual(
    contexts.map(({ accepts }) => [...accepts]),
    [[], ['image/png']],
  );
  assert.deepEqual(
    contexts.map(({ extensions }) => [...extensions]),
    [[], ['https://example.com/ext']],
  );
  assert.deepEqual(
    contexts.map(({ depth, tools }) => [depth, tools]),
    [
      [0, []],
      [0, []],
    ],
  );
});

test('the tasks that a message refers to: the caller’s own with this agent; those of others and unknown ones are left out', async () => {
  let found: readonly string[] = [];
  const run: Run = async function* (message, context) {
    found = (await context.referenceTasks(message)).map(answerOf);
    yield text(`answer to ${textOf(message)}`);
  };
  const { ask, send } = engine(run, { agents: { agent: run, other: run } });
  const mine = await ask({ text: 'mine' });
  const theirs = await ask({ text: 'theirs', owner: 'grace' });
  const elsewhere = await ask({ text: 'elsewhere', agent: 'other' });
  const referenceTaskIds = [theirs.id, 'nowhere', mine.id, elsewhere.id];
  const message = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'sum up' }], referenceTaskIds } as const;
  await (await send({}, { message })).settled();
  assert.deepEqual(found, ['answer to mine']);
  await ask();
  assert.deepEqual(found, []);
});

test('a conversation that the caller brings along is the session, and nothing is kept', async () => {
  const storage = inmemoryStorage();
  const seen: string[][] = [];
  const { ask } = engine(
    async function* (message, { session }) {
      await session.append([said('user', textOf(message))]);
      seen.push((await session.history()).map((each) => JSON.stringify(each.parts)));
      yield text('ok');
    },
    { storage },
  );
  await ask({ text: 'kept', contextId: 'c' });
  const history = [said('user', 'before'), said('assistant', 'yes')];
  await ask({ text: 'brought', contextId: 'c' }, { history });
  await ask({ text: 'kept, too', contextId: 'c' });
  const lines = (...words: string[]) => words.map((each) => JSON.stringify([{ type: 'text', text: each }]));
  assert.deepEqual(seen, [lines('kept'), lines('before', 'yes', 'brought'), lines('kept', 'kept, too')]);
  assert.equal(history.length, 2, 'the caller’s own list is not added to');
});

test('an agent that works for another: its own session unless it is given one, one deeper, on the same task', async () => {
  const storage = inmemoryStorage();
  let own: AgentContext | undefined;
  let child: AgentContext | undefined;
  let inherits: AgentContext | undefined;
  const tool = { name: 'look', description: '', parameters: {}, execute: () => 'seen' };
  const stop = new AbortController();
  const { ask, lines } = engine(
    async function* (_message, context) {
      own = context;
      child = context.forAgent('child', { tools: [tool], streaming: true, signal: stop.signal });
      inherits = child.forAgent('heir', { session: context.session });
      await context.session.append([said('user', 'to the agent')]);
      await child.session.append([said('user', 'to the child')]);
      await inherits.session.append([said('user', 'to the heir')]);
      child.logger.info({}, 'from the child');
      context.logger.info({}, 'from the agent');
      yield text('done');
    },
    { storage },
  );
  const task = await ask({ contextId: 'c' });
  const kept = async (agent: string) =>
    (await storage.sessions.history({ owner: 'ada', agent, contextId: 'c' })).flatMap((message) =>
      message.parts.map((part) => ('text' in part ? part.text : '')),
    );
  assert.deepEqual(await kept('agent'), ['to the agent', 'to the heir']);
  assert.deepEqual(await kept('child'), ['to the child']);
  assert.deepEqual(await kept('heir'), []);
  assert.deepEqual(
    [own, child, inherits].map((context) => [context?.agent, context?.depth, context?.taskId, context?.streaming]),
    [
      ['agent', 0, task.id, false],
      ['child', 1, task.id, true],
      ['heir', 2, task.id, true],
    ],
  );
  assert.deepEqual(child?.tools, [tool]);
  assert.deepEqual(inherits?.tools, [], 'tools are given, never inherited');
  assert.equal(inherits?.signal, stop.signal);
  assert.equal(own?.task, child?.task);
  const named = (message: string) => lines.find((line) => line.message === message);
  assert.deepEqual([named('from the child')?.['agent'], named('from the child')?.['task']], ['child', task.id]);
  assert.equal(named('from the agent')?.['agent'], 'agent');
});

test('what agents hand on to each other without end fails the task', async () => {
  let deepest = 0;
  const { ask } = engine(
    async function* (_message, context) {
      for (let at = context; at.depth < 100; at = at.forAgent('next')) {
        deepest = at.depth;
        yield text('.');
      }
    },
    { server: { limits: { max_agent_depth: 3 } } },
  );
  const task = await ask();
  assert.equal(deepest, 3);
  assert.equal(task.status.state, 'TASK_STATE_FAILED');
  assert.match(statusText(task), /^The agent "next" cannot hand work to "next": 3 agents .*max_agent_depth/);
});

test('handing on too often is an error that an agent can tell from others', async () => {
  let error: unknown;
  const { ask } = engine(
    async function* (_message, context) {
      try {
        context.forAgent('one').forAgent('two');
      } catch (thrown) {
        error = thrown;
      }
      yield text('went on');
    },
    { server: { limits: { max_agent_depth: 1 } } },
  );
  assert.equal(answerOf(await ask()), 'went on');
  assert.ok(coded('too_deep')(error));
});

test('a context outlives its run, but not the session', async () => {
  const contexts: AgentContext[] = [];
  const { ask, leases } = engine(noting(contexts));
  await ask();
  while (leases() > 0) await new Promise(setImmediate);
  const [context] = contexts;
  await assert.rejects(async () => context?.session.history(), coded('task_ended'));
  await assert.rejects(async () => context?.forAgent('other').session.append([]), coded('task_ended'));
});
