import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ServerSentEvent, serverSentEvents } from '../../../plugins/llm/sse.ts';

function body(...chunks: (string | Uint8Array)[]) {
  return {
    cancelled: false,
    async cancel() {
      this.cancelled = true;
    },
    async *[Symbol.asyncIterator]() {
      for (const chunk of chunks) yield Buffer.from(chunk as string);
    },
  };
}

const never = () => false;

async function events(
  chunks: (string | Uint8Array)[],
  maxSize = 1_000,
  isLast = never as (event: ServerSentEvent) => boolean,
) {
  const result: ServerSentEvent[] = [];
  for await (const event of serverSentEvents('the model', body(...chunks), maxSize, isLast)) result.push(event);
  return result;
}

const text =
  ': a comment\nevent: a\ndata: {"x":1}\n\nid: 7\nretry: 10\n\ndata:first\ndata: zweite Zeile: ü€😀\n\r\nevent: b\r\ndata: 3\r\n\r\n';
const expected = [
  { event: 'a', data: '{"x":1}' },
  { event: '', data: 'first\nzweite Zeile: ü€😀' },
  { event: 'b', data: '3' },
];

test('reads events, however they are cut into packets', async () => {
  const bytes = Buffer.from(text);
  assert.deepEqual(await events([text]), expected);
  for (const size of [1, 2, 3, 7, 16]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, (i + 1) * size),
    );
    assert.deepEqual(await events(chunks), expected, `in packets of ${size}`);
  }
});

test('reads a last event without its empty line', async () => {
  assert.deepEqual(await events(['data: 1\n\ndata: [DONE]']), [
    { event: '', data: '1' },
    { event: '', data: '[DONE]' },
  ]);
  assert.deepEqual(await events(['data: 1\n\nevent: end\ndata: 2\n']), [
    { event: '', data: '1' },
    { event: 'end', data: '2' },
  ]);
});

test('refuses an event that is too large, in one line or in many', async () => {
  const tooLarge = { kind: 'too_large', message: /the model sent one event of more than 100 bytes/ };
  await assert.rejects(events(['data: ', ...Array.from({ length: 20 }, () => 'x'.repeat(10))], 100), tooLarge);
  await assert.rejects(
    events(
      Array.from({ length: 20 }, () => `data: ${'x'.repeat(10)}\n`),
      100,
    ),
    tooLarge,
  );
});

test('says nothing of what follows the last event', async () => {
  const isLast = ({ data }: ServerSentEvent) => data === 'end';
  assert.deepEqual(await events(['data: end\n\ndata: more\n\n', 'data: and more\n\n'], 1_000, isLast), [
    { event: '', data: 'end' },
  ]);
});

test('the cost of a large event is linear in its size', async () => {
  const chunks = ['data: ', ...Array.from({ length: 40_000 }, () => 'x'.repeat(100)), '\n\n'];
  const began = process.cpuUsage();
  const [only] = await events(chunks, 8_000_000);
  const { user, system } = process.cpuUsage(began);
  assert.equal(only?.data.length, 4_000_000);
  // Copying what is held with every packet would take half a minute.
  assert.ok((user + system) / 1e6 < 5, `${(user + system) / 1e6} s`);
});
