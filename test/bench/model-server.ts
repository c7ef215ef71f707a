/**
 * A model that costs nothing: OpenAI Chat Completions over bare node:http, every byte made before the first request.
 * A process of its own; tells its parent `{ port }`, and ends with it.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AnswerShape, answer, shapeOf, tokenLength } from './answer.ts';

interface Answer {
  readonly json: Buffer;
  readonly every: number;
  readonly events: readonly Buffer[];
  readonly usage: Buffer;
}

const common = { id: 'chatcmpl-bench', created: 1_700_000_000, model: 'bench' };
const event = (data: unknown): Buffer => Buffer.from(`data: ${JSON.stringify(data)}\n\n`);
const done = Buffer.from('data: [DONE]\n\n');

function prepare({ tokens, every }: AnswerShape): Answer {
  const content = answer(tokens);
  const usage = { prompt_tokens: 20, completion_tokens: tokens, total_tokens: 20 + tokens };
  const chunk = (delta: object, finish_reason: string | null) =>
    event({ ...common, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] });
  return {
    json: Buffer.from(
      JSON.stringify({
        ...common,
        object: 'chat.completion',
        choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
        usage,
      }),
    ),
    every,
    events: [
      ...Array.from({ length: tokens }, (_, index) =>
        chunk({ content: content.slice(index * tokenLength, (index + 1) * tokenLength) }, null),
      ),
      chunk({}, 'stop'),
    ],
    usage: event({ ...common, object: 'chat.completion.chunk', choices: [], usage }),
  };
}

const prepared = new Map<string, Answer | undefined>();

function find(path: string): Answer | undefined {
  if (!prepared.has(path)) {
    const shape = shapeOf(path);
    prepared.set(path, shape && prepare(shape));
  }
  return prepared.get(path);
}

function stream({ events, every, usage }: Answer, withUsage: boolean, response: http.ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  let next = 0;
  const end = () => {
    if (withUsage) response.write(usage);
    response.end(done);
  };
  if (every === 0) {
    const fill = () => {
      while (next < events.length) if (!response.write(events[next++])) return void response.once('drain', fill);
      end();
    };
    fill();
    return;
  }
  const tick = () => {
    response.write(events[next++]);
    if (next < events.length) return;
    clearInterval(timer);
    end();
  };
  const timer = setInterval(tick, every);
  response.once('close', () => clearInterval(timer));
  tick();
}

const server = http.createServer((request, response) => {
  const found = find(request.url ?? '');
  if (found === undefined || request.method !== 'POST') {
    response.writeHead(404).end();
    return;
  }
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    if (/"stream"\s*:\s*true/.test(body.toString('latin1'))) {
      stream(found, body.includes('"include_usage"'), response);
    } else {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': found.json.length });
      response.end(found.json);
    }
  });
});

server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', 4096, () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.once('disconnect', () => process.exit());
