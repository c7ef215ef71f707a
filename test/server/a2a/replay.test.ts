import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '../../../core/logger.ts';
import { Runtime } from '../../../core/runtime/runtime.ts';
import { Executions } from '../../../core/task/executions.ts';
import { a2aRoutes } from '../../../server/a2a/routes.ts';
import { rpc, userMessage } from '../../support/a2a-client.ts';
import { gate, type Run, text } from '../../support/agents.ts';
import { servingRoutes } from '../../support/config-serving.ts';
import { generation, inmemoryStorage } from '../../support/generation.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

/** The real HTTP side, task engine and hot swap, over one agent that a reload replaces. */
async function servingReplay(agent: Run, streaming: Record<string, string | number> = {}) {
  const storage = inmemoryStorage();
  const runtime = new Runtime<Run>({
    build: async (id, run) => generation({ id, agents: { agent: run }, storage, server: { streaming } }),
    drainMs: () => 10_000,
    abortMs: 1_000,
    maxDraining: 8,
    logger: silentLogger,
  });
  await runtime.reload(agent);
  const executions = new Executions({ logger: silentLogger });
  const serving = await servingRoutes({ runtime, own: [], routes: a2aRoutes({ executions }) });
  return {
    port: serving.port,
    url: `http://127.0.0.1:${serving.port}/agents/agent`,
    swap: (next: Run) => runtime.reload(next),
    draining: () => runtime.draining.length,
    async [Symbol.asyncDispose]() {
      await executions.close(0, 'The test is over.');
      await serving[Symbol.asyncDispose]();
      await runtime.close(1_000);
    },
  };
}

interface Frame {
  readonly id: string;
  readonly result: Record<string, unknown>;
}

interface Protocol {
  readonly version: '1.0' | undefined;
  readonly stream: string;
  readonly subscribe: string;
  message(text: string): object;
  /** The text that an event adds to the answer. */
  delta(result: Record<string, unknown>): string;
  taskId(result: Record<string, unknown>): string;
}

type Chunk = { readonly artifact: { readonly parts: readonly { readonly text: string }[] } };

const textOf = (chunk: unknown): string =>
  ((chunk as Chunk | undefined)?.artifact.parts ?? []).map((part) => part.text).join('');

const current: Protocol = {
  version: '1.0',
  stream: 'SendStreamingMessage',
  subscribe: 'SubscribeToTask',
  message: userMessage,
  delta: (result) => textOf(result['artifactUpdate']),
  taskId: (result) => (result['task'] as { id: string }).id,
};

const legacy: Protocol = {
  version: undefined,
  stream: 'message/stream',
  subscribe: 'tasks/resubscribe',
  message: (words) => ({
    kind: 'message',
    messageId: crypto.randomUUID(),
    role: 'user',
    parts: [{ kind: 'text', text: words }],
  }),
  delta: (result) => (result['kind'] === 'artifact-update' ? textOf(result) : ''),
  taskId: (result) => result['id'] as string,
};

interface Asking {
  readonly protocol?: Protocol;
  readonly lastEventId?: string | undefined;
}

function open(url: string, method: string, params: object, { protocol = current, lastEventId }: Asking = {}) {
  return fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(protocol.version && { 'a2a-version': protocol.version }),
      ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
}

/** The frames that have come whole, as they come; ends also where the connection was cut. */
async function* framesOf(response: Response): AsyncGenerator<Frame, boolean> {
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
  let rest = '';
  try {
    for await (const piece of (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + piece).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const [, id, data] = /^id: (\S+)\ndata: (.*)$/.exec(block) ?? assert.fail(`not a frame with an id: ${block}`);
        yield { id: id as string, result: (JSON.parse(data as string) as Pick<Frame, 'result'>).result };
      }
    }
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return false;
  }
  return true;
}

async function framesAfter(url: string, taskId: string, lastEventId?: string): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const frame of framesOf(await open(url, 'SubscribeToTask', { id: taskId }, { lastEventId }))) {
    frames.push(frame);
  }
  return frames;
}

const numberOf = ({ id }: Frame): number => Number(id.slice(id.lastIndexOf('-') + 1));

const words = (count: number): string[] => Array.from({ length: count }, (_, at) => `word-${at} `);

/** Says words one after the other, and at the middle waits for a gate. */
function talking(count: number, middle: Promise<void>): Run {
  return async function* () {
    for (const [at, word] of words(count).entries()) {
      if (at === count / 2) await middle;
      yield text(word);
      await sleep(1);
    }
  };
}

for (const [name, protocol] of [
  ['1.0', current],
  ['0.3', legacy],
] as const) {
  test(`a stream of A2A ${name} that is cut again and again, and across a reload, loses nothing and repeats nothing`, async () => {
    const count = 400;
    const middle = gate();
    await using serving = await servingReplay(talking(count, middle.opened), { coalesce: '0' });
    await using proxy = await startTcpProxy(serving.port);
    const url = `http://127.0.0.1:${proxy.port}/agents/agent`;

    const seen: Frame[] = [];
    let cuts = 0;
    let ended = false;
    let response = await open(url, protocol.stream, { message: protocol.message('go') }, { protocol });
    while (!ended) {
      const frames = framesOf(response);
      let until = 7 + 11 * cuts;
      for (;;) {
        const next = await frames.next();
        if (next.done) {
          ended = next.value;
          break;
        }
        seen.push(next.value);
        if (--until === 0) proxy.reset();
      }
      if (ended) break;
      cuts++;
      if (cuts === 3) {
        await serving.swap(async function* () {
          yield text('new');
        });
        assert.equal(serving.draining(), 1, 'the run goes on in the generation that it began in');
        middle.open();
      }
      const [first] = seen;
      const id = protocol.taskId(first?.result ?? {});
      response = await open(url, protocol.subscribe, { id }, { protocol, lastEventId: seen.at(-1)?.id });
    }

    assert.ok(cuts >= 5, `${cuts} cuts`);
    assert.deepEqual(
      seen.map(numberOf),
      seen.map((_, at) => at),
      'every event once, in order',
    );
    assert.equal(seen.map(({ result }) => protocol.delta(result)).join(''), words(count).join(''));
    assert.match(JSON.stringify(seen.at(-1)?.result), /"(TASK_STATE_COMPLETED|completed)"/);
    await until(() => serving.draining() === 0);
    const { body } = await rpc(serving.url, 'SendMessage', { message: userMessage('go') }, { version: '1.0' });
    assert.match(JSON.stringify(body), /"new"/);
  });
}

test('a message that is sent again, because its stream was cut, goes on where the stream was cut', async () => {
  const middle = gate();
  await using serving = await servingReplay(talking(20, middle.opened), { coalesce: '0' });
  const message = userMessage('go', { contextId: 'c' });
  const seen: Frame[] = [];
  for await (const frame of framesOf(await open(serving.url, 'SendStreamingMessage', { message }))) {
    seen.push(frame);
    if (seen.length === 5) break;
  }
  middle.open();
  const lastEventId = seen.at(-1)?.id;
  for await (const frame of framesOf(await open(serving.url, 'SendStreamingMessage', { message }, { lastEventId }))) {
    seen.push(frame);
  }
  assert.deepEqual(
    seen.map(numberOf),
    seen.map((_, at) => at),
  );
  assert.equal(seen.map(({ result }) => current.delta(result)).join(''), words(20).join(''));
});

test('a task that has ended: the rest after an event of it, an empty stream after the last, else an error', async () => {
  await using serving = await servingReplay(async function* () {
    yield text('done');
  });
  const { url } = serving;
  const frames: Frame[] = [];
  for await (const frame of framesOf(await open(url, 'SendStreamingMessage', { message: userMessage('go') }))) {
    frames.push(frame);
  }
  const taskId = current.taskId(frames[0]?.result ?? {});
  assert.deepEqual(await framesAfter(url, taskId, frames[1]?.id), frames.slice(2));

  const nothing = await open(url, 'SubscribeToTask', { id: taskId }, { lastEventId: frames.at(-1)?.id });
  assert.deepEqual(
    [nothing.status, nothing.headers.get('content-type'), await nothing.text()],
    [200, 'text/event-stream', ''],
  );
  for (const lastEventId of [undefined, '', 'garbage', `${frames[0]?.id}0`, 'x'.repeat(8_000)]) {
    const refused = await open(url, 'SubscribeToTask', { id: taskId }, { lastEventId });
    assert.match(await refused.text(), /"code":-32004.*has ended/, `after ${lastEventId?.slice(0, 20)}`);
  }
});

test('over HTTP+JSON, asked as an EventSource does: what it has missed, and at the end that there is no more', async () => {
  const middle = gate();
  await using serving = await servingReplay(talking(10, middle.opened), { coalesce: '0' });
  const { url } = serving;
  const first = framesOf(await open(url, 'SendStreamingMessage', { message: userMessage('go') }));
  const id = current.taskId(((await first.next()).value as Frame).result);
  const subscribed = (lastEventId: string) =>
    fetch(`${url}/tasks/${id}:subscribe`, { headers: { accept: 'text/event-stream', 'last-event-id': lastEventId } });
  const idsIn = (body: string) => [...body.matchAll(/^id: (\S+)$/gm)].map(([, found]) => found as string);

  const second = ((await first.next()).value as Frame).id;
  const waiting = await subscribed(second);
  assert.equal(waiting.status, 200, 'before there is anything new');
  middle.open();
  const ids = idsIn(await waiting.text());
  const rest: string[] = [];
  for await (const frame of first) rest.push(frame.id);
  assert.deepEqual(ids, rest);
  const again = await subscribed(ids[2] ?? '');
  assert.deepEqual([again.status, idsIn(await again.text())], [200, ids.slice(3)]);
  const over = await subscribed(ids.at(-1) ?? '');
  assert.deepEqual([over.status, await over.text()], [204, '']);
});

test('an id that is not known begins with the whole task, and a header that is too long is refused', async () => {
  const middle = gate();
  await using serving = await servingReplay(talking(4, middle.opened), { coalesce: '0', replay: 2 });
  const { url } = serving;
  const started = await open(url, 'SendStreamingMessage', { message: userMessage('go') });
  const frames = framesOf(started);
  const first = (await frames.next()).value as Frame;
  const id = current.taskId(first.result);
  for (let seen = 0; seen < 3; seen++) await frames.next();

  for (const lastEventId of [first.id, 'garbage', '0', `${first.id}, ${first.id}`, '"'.repeat(8_000)]) {
    const again = framesOf(await open(url, 'SubscribeToTask', { id }, { lastEventId }));
    const { value } = await again.next();
    assert.equal(current.taskId((value as Frame).result), id, `after ${lastEventId.slice(0, 20)}`);
    await again.return(true);
  }
  const tooLong = await open(url, 'SubscribeToTask', { id }, { lastEventId: 'x'.repeat(1_000_000) }).then(
    ({ status }) => status,
    // The server closes the connection while the header is still being sent.
    () => 431,
  );
  assert.equal(tooLong, 431);
  middle.open();
  let last: Frame | undefined;
  for await (const frame of frames) last = frame;
  assert.match(JSON.stringify(last?.result), /TASK_STATE_COMPLETED/, 'the other streams go on');
});
