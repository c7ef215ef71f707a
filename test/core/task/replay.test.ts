import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { AgentEvent } from '../../../core/extension/agent.ts';
import type { TaskEvent } from '../../../core/task/event.ts';
import { maxEndedReplays } from '../../../core/task/settings.ts';
import { gate, type Run, saying, text, textOf } from '../../support/agents.ts';
import { Random } from '../../support/random.ts';
import { type Engine, engine } from '../../support/task-engine.ts';
import { answerOf, eventsOf, foldOf, outline } from '../../support/task-events.ts';
import { until } from '../../support/until.ts';

const coded = (code: string) => (error: unknown) => (error as { code?: unknown }).code === code;

/** The last number of an id: how many events the run had had. */
const numberOf = ({ id = '' }: TaskEvent): number => Number(id.slice(id.lastIndexOf('-') + 1));

const lastId = (events: readonly TaskEvent[]): string => events.at(-1)?.id ?? '';

/** All that follows an event, as one that was cut off and comes back reads it. */
const after = async ({ subscribe }: Engine, taskId: string, id: string): Promise<TaskEvent[]> => {
  const events: TaskEvent[] = [];
  for await (const event of (await subscribe(taskId, {}, id)).events(undefined, id)) events.push(event);
  return events;
};

/** Text in bursts, artifacts that grow, words about the work, and an end. */
function randomRun(random: Random): Run {
  return async function* () {
    let files = 0;
    for (let left = 20 + random.below(150); left > 0; left--) {
      const event: AgentEvent = random.one<() => AgentEvent>([
        () => text(`${left} `),
        () => text('é€𝄞 '.repeat(random.below(20))),
        () => text(`${left};`),
        () => ({ type: 'status', parts: [{ text: `at ${left}` }] }),
        () => ({ type: 'artifact', artifact: { artifactId: `file-${++files}`, parts: [{ data: left }] } }),
        () => ({
          type: 'artifact',
          artifact: { artifactId: `file-${files || 1}`, parts: [{ text: `+${left}` }] },
          append: true,
        }),
      ])();
      for (let burst = random.one([1, 1, 1, 40]); burst > 0; burst--) yield event;
      for (let wait = random.below(3); wait > 0; wait--) await turn();
    }
    if (random.below(4) === 0) yield { type: 'input_required', parts: [{ text: 'And now?' }] };
    if (random.below(8) === 0) throw new Error('That is all.');
  };
}

/** Reads a task to its end, and is cut off again and again. */
async function disturbed({ subscribe }: Engine, taskId: string, random: Random, first: AsyncIterable<TaskEvent>) {
  const seen: TaskEvent[] = [];
  let cuts = 0;
  for (let events = first; ; ) {
    let left = 1 + random.below(random.one([3, 30, 300]));
    let ended = true;
    for await (const event of events) {
      seen.push(event);
      if (--left > 0) continue;
      ended = false;
      break;
    }
    if (ended) return { seen, cuts };
    cuts++;
    for (let wait = random.one([0, 0, 1, 5, 60]); wait > 0; wait--) await turn();
    const id = lastId(seen);
    try {
      events = (await subscribe(taskId, {}, id)).events(undefined, id);
    } catch (error) {
      assert.ok(coded('task_terminal')(error), String(error));
      return { seen, cuts };
    }
  }
}

for (const [replay, runs] of [
  [100_000, 40],
  [20, 40],
  [0, 10],
] as const) {
  test(`readers that are cut off and come back read what an undisturbed one does, ${replay} events kept`, async () => {
    let cuts = 0;
    let replaced = 0;
    for (let seed = 1; seed <= runs; seed++) {
      const random = new Random(seed * 1_000 + replay);
      const coalesce = random.one(['0', '1ms', '50ms']);
      const engaged = engine(randomRun(random), {
        server: { streaming: { coalesce, coalesce_max: 1 + random.below(8), replay } },
      });
      const first = await engaged.send();
      const taskId = first.task.id;
      const whole = eventsOf(first);
      const others = await Promise.all(
        Array.from({ length: 6 }, async (_, at) => {
          const own = new Random(seed * 100 + at);
          for (let wait = own.below(30); wait > 0; wait--) await turn();
          const reader = await engaged.subscribe(taskId).catch(() => undefined);
          return reader && disturbed(engaged, taskId, own, reader.events());
        }),
      );
      const reference = await whole;
      const task = await first.settled();
      assert.deepEqual(
        reference.map(numberOf),
        reference.map((_, at) => at),
        'the undisturbed one sees every event',
      );
      const ids = new Set(reference.map(({ id }) => id));
      assert.equal(ids.size, reference.length, 'each under an id of its own');
      for (const other of others) {
        if (!other) continue;
        const { seen } = other;
        cuts += other.cuts;
        const wholeAt = seen.findLastIndex(({ type }) => type === 'task');
        if (replay === 100_000) assert.equal(wholeAt, 0, `seed ${seed}: nobody needs the whole task again`);
        if (wholeAt > 0) replaced++;
        for (const [at, event] of seen.entries()) {
          const before = seen[at - 1];
          if (event.type === 'task') {
            assert.ok(!before || numberOf(event) >= numberOf(before));
            continue;
          }
          assert.equal(
            numberOf(event),
            numberOf(before as TaskEvent) + 1,
            `seed ${seed}: nothing missed, nothing twice`,
          );
          assert.deepEqual(event, reference[numberOf(event)], `seed ${seed}`);
        }
        if (replay === 100_000) assert.deepEqual(foldOf(seen), task, `seed ${seed}`);
        else assert.ok(numberOf(seen.at(-1) as TaskEvent) <= numberOf(reference.at(-1) as TaskEvent));
      }
    }
    assert.ok(cuts > runs * 5, `${cuts} cuts`);
    if (replay < 100_000) assert.ok(replaced > 0, 'some were given the whole task again');
  });
}

test('a task that has ended gives what was missed to those who have an event of it, and an error to others', async () => {
  const engaged = engine(saying('a ', 'b ', 'c'), { server: { streaming: { coalesce: '0' } } });
  const reader = await engaged.send();
  const events = await eventsOf(reader);
  const { id } = reader.task;
  for (const [at, event] of events.entries()) {
    assert.deepEqual(await after(engaged, id, event.id ?? ''), events.slice(at + 1));
  }
  await assert.rejects(engaged.subscribe(id), coded('task_terminal'));
  await assert.rejects(engaged.subscribe(id, {}, 'garbage'), coded('task_terminal'));
  await assert.rejects(engaged.subscribe(id, { owner: 'grace' }, lastId(events)), coded('task_not_found'));
});

test('a message that is sent again goes on from the last event that its sender has', async () => {
  const more = gate();
  const engaged = engine(
    async function* () {
      yield text('a ');
      yield { type: 'status', parts: [{ text: 'thinking' }] };
      await more.opened;
      yield text('b');
    },
    { server: { streaming: { coalesce: '0' } } },
  );
  const sent = { messageId: 'once', contextId: 'c' };
  const first = await engaged.send(sent);
  const whole = eventsOf(first);
  const seen: TaskEvent[] = [];
  for await (const event of (await engaged.subscribe(first.task.id)).events()) {
    seen.push(event);
    if (numberOf(event) === 2) break;
  }
  const again = (await engaged.send(sent)).events(undefined, lastId(seen));
  more.open();
  for await (const event of again) seen.push(event);
  assert.deepEqual(seen.slice(-4), (await whole).slice(-4));
  const late: TaskEvent[] = [];
  for await (const event of (await engaged.send(sent)).events(undefined, seen.at(-2)?.id)) late.push(event);
  assert.deepEqual(late, seen.slice(-1), 'also when it has ended');
});

test('what was said while nobody read is there for one who comes back, before the agent says more', async () => {
  const [left, more] = [gate(), gate()];
  const { send, subscribe, executions } = engine(async function* () {
    yield text('a ');
    await left.opened;
    yield text('b ');
    await more.opened;
  });
  const reader = await send();
  const seen: TaskEvent[] = [];
  for await (const event of reader.events()) {
    seen.push(event);
    if (event.type === 'artifact') break;
  }
  left.open();
  await turn();
  const again = await subscribe(reader.task.id, {}, lastId(seen));
  for await (const event of again.events(undefined, lastId(seen))) {
    seen.push(event);
    if (event.type === 'artifact' && !event.lastChunk) more.open();
  }
  assert.deepEqual(outline(seen), ['SUBMITTED', 'WORKING', '=a ', '+b ', '+!', 'COMPLETED']);
  assert.equal(executions.running, 0);
});

test('a message with an id that is none begins with the whole task, at its beginning', async () => {
  const { send } = engine(saying('a'));
  const events: TaskEvent[] = [];
  for await (const event of (await send()).events(undefined, 'garbage')) events.push(event);
  assert.deepEqual(outline(events), ['SUBMITTED', 'WORKING', '=a', '+!', 'COMPLETED']);
});

test('a task that waits for its caller: what was missed, and nothing of it once it has been continued or cancelled', async () => {
  const engaged = engine(async function* (message) {
    if (textOf(message) === 'ask') yield { type: 'input_required', parts: [{ text: 'Which?' }] };
    else yield text('thanks');
  });
  const { subscribe, send, cancel } = engaged;
  const reader = await send({ text: 'ask' });
  const asked = await eventsOf(reader);
  const { id } = reader.task;
  assert.deepEqual(await after(engaged, id, asked[0]?.id ?? ''), asked.slice(1));
  assert.deepEqual(await after(engaged, id, lastId(asked)), []);
  assert.deepEqual(outline(await eventsOf(await subscribe(id))), ['INPUT_REQUIRED']);

  const answered = await eventsOf(await send({ text: 'this', taskId: id }));
  const ids = [...asked, ...answered].map((event) => event.id);
  assert.equal(new Set(ids).size, ids.length, 'no id of the first run is one of the second');
  await assert.rejects(subscribe(id, {}, lastId(asked)), coded('task_terminal'));

  const other = await send({ text: 'ask' });
  const otherEvents = await eventsOf(other);
  await cancel(other.task.id);
  await assert.rejects(subscribe(other.task.id, {}, otherEvents[0]?.id), coded('task_terminal'));
});

test('a task that was only found in the store has an id for what it is', async () => {
  const engaged = engine(async function* () {
    yield { type: 'input_required', parts: [{ text: 'Which?' }] };
  });
  const { id } = await engaged.ask();
  const [found] = await eventsOf(await engaged.subscribe(id));
  assert.ok(found?.id);
  assert.deepEqual(await after(engaged, id, found.id), []);
  await engaged.cancel(id);
  await assert.rejects(engaged.subscribe(id, {}, found.id), coded('task_terminal'));
});

test('the events of ended runs are kept for a time, and of no more than so many runs', async () => {
  const engaged = engine(saying('a'), { server: { streaming: { replay_for: '200ms' } } });
  const one = await engaged.send();
  const id = lastId(await eventsOf(one));
  await engaged.subscribe(one.task.id, {}, id);
  await until(() => engaged.subscribe(one.task.id, {}, id).then(() => false, coded('task_terminal')));

  const many = engine(saying('a'), { server: { streaming: { replay_for: '1h' } } });
  const ended: [string, string][] = [];
  for (let i = 0; i < maxEndedReplays + 10; i++) {
    const reader = await many.send();
    ended.push([reader.task.id, lastId(await eventsOf(reader))]);
  }
  const [[oldest = '', oldestId] = []] = ended;
  const [youngest = '', youngestId] = ended.at(-1) ?? [];
  await assert.rejects(many.subscribe(oldest, {}, oldestId), coded('task_terminal'));
  assert.ok(await many.subscribe(youngest, {}, youngestId));
});

test('of a run of 100,000 events the last are kept, and its answer is whole', async () => {
  const engaged = engine(
    async function* () {
      for (let i = 0; i < 100_000; i++) {
        yield text(`${i % 10}`);
        if (i % 500 === 0) await turn();
      }
    },
    { server: { streaming: { coalesce: '0', replay: 1_000 } } },
  );
  const reader = await engaged.send();
  let last: TaskEvent | undefined;
  let answer = '';
  for await (const event of reader.events()) {
    last = event;
    if (event.type === 'artifact')
      answer += event.artifact.parts.map((part) => ('text' in part ? part.text : '')).join('');
  }
  const total = numberOf(last as TaskEvent);
  assert.ok(total > 99_000, `${total} events`);
  assert.equal(answer, answerOf(await reader.settled()));
  const run = (last?.id ?? '').split('-')[0];
  assert.equal((await after(engaged, reader.task.id, `${run}-${total - 1_000}`)).length, 1_000);
  await assert.rejects(engaged.subscribe(reader.task.id, {}, `${run}-${total - 1_001}`), coded('task_terminal'));
});
