import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import type { AgentEvent } from '../../../core/extension/agent.ts';
import { rpc, userMessage } from '../../support/a2a-client.ts';
import { endless, gate, parrot, servingAgents, taskIn } from '../../support/a2a-serving.ts';
import { openStream, parseEvents, readEvents } from '../../support/sse-client.ts';
import { until } from '../../support/until.ts';

const streaming = { heartbeat: '40ms', coalesce: '10ms', coalesce_max: 32, replay: 1_000, replay_for: '1m' };

interface Started {
  readonly id: string;
  readonly reader: ReadableStreamDefaultReader<string>;
  /** All that has come so far. */
  text(): string;
}

/** Opens a stream and reads as far as its first event. */
async function start(url: string, signal?: AbortSignal): Promise<Started> {
  const response = await openStream(
    url,
    'SendStreamingMessage',
    { message: userMessage('go') },
    signal ? { signal } : {},
  );
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!text.includes('\n\n')) text += (await reader.read()).value ?? '';
  const [first] = parseEvents(text);
  const { id } = taskIn({ body: first?.data ?? {} });
  return { id, reader, text: () => text };
}

async function stateOf(url: string, id: string): Promise<string> {
  return taskIn(await rpc(url, 'GetTask', { id })).status.state;
}

test('a stream that is silent says that it is still there', async () => {
  await using serving = await servingAgents({ agents: { endless: { run: endless } }, server: { streaming } });
  const url = `${serving.url}/agents/endless`;
  const { id, reader } = await start(url);

  let heartbeats = 0;
  while (heartbeats < 3) {
    const { value = '' } = await reader.read();
    heartbeats += value.split('\n').filter((line) => line.startsWith(':')).length;
  }
  await rpc(url, 'CancelTask', { id });
  let rest = '';
  for (let next = await reader.read(); !next.done; next = await reader.read()) rest += next.value;

  assert.match(JSON.stringify(parseEvents(rest).at(-1)?.data), /TASK_STATE_CANCELED/);
});

test('a stream that is not silent has no heartbeats', async () => {
  await using serving = await servingAgents({ agents: { parrot: { run: parrot } } });
  const response = await openStream(`${serving.url}/agents/parrot`, 'SendStreamingMessage', {
    message: userMessage('a b c'),
  });
  assert.doesNotMatch(await response.text(), /^:/m);
  assert.equal(response.headers.get('cache-control'), 'no-cache');
  assert.equal(response.headers.get('x-accel-buffering'), 'no');
  assert.ok(response.headers.get('x-request-id'));
});

test('every event of a stream carries the id of its request', async () => {
  await using serving = await servingAgents({ agents: { parrot: { run: parrot } } });
  const events = await readEvents(`${serving.url}/agents/parrot`, 'SendStreamingMessage', {
    message: userMessage('a b'),
  });
  assert.ok(events.length >= 3);
  for (const { data } of events) assert.deepEqual([data['jsonrpc'], data['id']], ['2.0', 'stream']);
});

test('a task goes on when its stream is cut, and its lease on the generation with it', async () => {
  const { opened, open } = gate();
  await using serving = await servingAgents({
    agents: {
      slow: {
        async *run() {
          await opened;
          yield { type: 'text', delta: 'done all the same' };
        },
      },
    },
  });
  const url = `${serving.url}/agents/slow`;
  const leaving = new AbortController();
  const { id } = await start(url, leaving.signal);

  leaving.abort();
  await until(() => serving.lines.some(({ message, aborted }) => message === 'request' && aborted === true));
  assert.equal(serving.executions.running, 1);
  open();
  await until(async () => (await stateOf(url, id)) === 'TASK_STATE_COMPLETED');

  assert.deepEqual(
    serving.lines.filter(({ level }) => level === 'error'),
    [],
  );
});

test('a task goes on when the client that waits for its answer leaves', async () => {
  const { opened, open } = gate();
  await using serving = await servingAgents({
    agents: {
      slow: {
        async *run() {
          await opened;
          yield { type: 'text', delta: 'done' };
        },
      },
    },
  });
  const url = `${serving.url}/agents/slow`;
  const leaving = new AbortController();
  const sent = fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'SendMessage',
      params: { message: userMessage('hi', { contextId: 'c' }) },
    }),
    signal: leaving.signal,
  });
  await until(() => serving.executions.running === 1);

  leaving.abort();
  await assert.rejects(sent);
  await until(() => serving.lines.some(({ message, aborted }) => message === 'request' && aborted === true));
  open();
  await until(async () => {
    const { body } = await rpc(url, 'ListTasks', { contextId: 'c' });
    const tasks = body.result?.['tasks'] as { status: { state: string } }[] | undefined;
    return tasks?.[0]?.status.state === 'TASK_STATE_COMPLETED';
  });

  assert.deepEqual(
    serving.lines.filter(({ level }) => level === 'error'),
    [],
  );
});

test('a client that does not read holds nothing up and does not make the server collect what it does not take', async () => {
  const pieces = 400;
  const piece = 'x'.repeat(16 * 1024);
  await using serving = await servingAgents({
    agents: {
      torrent: {
        async *run(): AsyncGenerator<AgentEvent> {
          for (let at = 0; at < pieces; at++) {
            yield { type: 'artifact', artifact: { artifactId: `a${at}`, parts: [{ text: piece }] } };
            await new Promise(setImmediate);
          }
        },
      },
    },
    server: { streaming },
  });
  const url = `${serving.url}/agents/torrent`;
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'SendStreamingMessage',
    params: { message: userMessage('pour', { contextId: 'c' }) },
  });

  const stalled = request(url, { method: 'POST', headers: { 'content-type': 'application/json' } });
  let unread = '';
  const received = new Promise<void>((resolve, reject) => {
    stalled.on('error', reject).on('response', (response) => {
      response.pause();
      setTimeout(
        () =>
          response
            .setEncoding('utf8')
            .on('data', (text: string) => (unread += text))
            .on('end', resolve)
            .resume(),
        300,
      );
    });
  });
  stalled.end(body);
  await until(async () => {
    const { body } = await rpc(url, 'ListTasks', { contextId: 'c' });
    const tasks = body.result?.['tasks'] as { status: { state: string } }[] | undefined;
    return tasks?.[0]?.status.state === 'TASK_STATE_COMPLETED';
  });
  await received;

  const events = parseEvents(unread);
  const whole = events.flatMap(({ data }) => JSON.stringify(data).match(/"artifactId":"a\d+"/g) ?? []);
  assert.equal(new Set(whole).size, pieces, 'late, but nothing is missing');
  assert.match(JSON.stringify(events.at(-1)?.data), /TASK_STATE_COMPLETED/);
});

test('at shutdown a stream ends with the event that says so', async () => {
  await using serving = await servingAgents({ agents: { endless: { run: endless } } });
  const { reader } = await start(`${serving.url}/agents/endless`);

  await serving.executions.close(0, 'Hector is shutting down.');
  let rest = '';
  for (let next = await reader.read(); !next.done; next = await reader.read()) rest += next.value;

  const last = JSON.stringify(parseEvents(rest).at(-1)?.data);
  assert.match(last, /TASK_STATE_FAILED/);
  assert.match(last, /shutting down/);
});

test('what is ready at once leaves in few writes', async () => {
  await using serving = await servingAgents({
    agents: {
      burst: {
        async *run(): AsyncGenerator<AgentEvent> {
          for (let at = 0; at < 60; at++)
            yield { type: 'artifact', artifact: { artifactId: `a${at}`, parts: [{ text: 'x' }] } };
        },
      },
    },
  });
  const response = await openStream(`${serving.url}/agents/burst`, 'SendStreamingMessage', {
    message: userMessage('go'),
  });
  let chunks = 0;
  let text = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    chunks++;
    text += Buffer.from(chunk).toString();
  }

  assert.ok(parseEvents(text).length >= 62);
  assert.ok(chunks <= 20, `${chunks} chunks for 62 events`);
});
