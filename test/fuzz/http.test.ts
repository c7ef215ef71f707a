import assert from 'node:assert/strict';
import { Agent, type IncomingMessage, request } from 'node:http';
import { test } from 'node:test';
import { rpc, userMessage } from '../support/a2a-client.ts';
import { taskIn } from '../support/a2a-serving.ts';
import { startHector } from '../support/hector.ts';
import { Random } from '../support/random.ts';
import { fuzzSettings } from './mutation.ts';
import { type FuzzRequest, fuzzRequest } from './requests.ts';

const config = `
server: { openai: { enabled: true }, mcp: { enabled: true }, max_body_size: 256KB }
llms: { default: { provider: echo } }
agents: { one: {}, two: { visibility: internal } }
`;

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly type: string;
}

const parallel = 16;
/** Far beyond what any of them takes: who waits for so long waits for ever. */
const hangMs = 20_000;

test('whatever is sent to any surface, the answer is one that is meant, and the server goes on', {
  timeout: 600_000,
}, async () => {
  const { runs, seed } = fuzzSettings(3_000);
  await using hector = await startHector({ config });
  const agent = new Agent({ keepAlive: true, maxSockets: parallel });
  const statuses = new Map<number, number>();
  let next = 0;
  const worker = async () => {
    while (next < runs) {
      const at = seed + next++;
      const sent = fuzzRequest(new Random(at));
      const told = () => `FUZZ_SEED=${at} FUZZ_RUNS=1: ${show(sent)}`;
      const answer = await send(hector.url, sent, agent).catch((error: unknown) => {
        throw new Error(`no answer to ${told()}`, { cause: error });
      });
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      check(answer, told);
      if (!isError(answer)) continue;
      const again = await send(hector.url, sent, agent);
      assert.equal(again.status, answer.status, `the same mistake has another answer the second time: ${told()}`);
      assert.equal(comparable(again), comparable(answer), told());
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  agent.destroy();

  const alive = await rpc(`${hector.url}/agents/one`, 'SendMessage', { message: userMessage('still there?') });
  assert.equal(taskIn(alive).status.state, 'TASK_STATE_COMPLETED');
  assert.equal(await hector.stop(), 0);
  assert.doesNotMatch(hector.stderr(), /a request failed|unhandled|uncaught|broke off/i);
  if (runs >= 1_000) {
    const all = [...statuses.keys()];
    for (const status of [200, 400, 404, 405]) assert.ok(all.includes(status), `${status} came of it, of ${all}`);
  }
});

function send(url: string, { method, path, headers, body }: FuzzRequest, agent: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const signal = AbortSignal.timeout(hangMs);
    const length = body === undefined ? {} : { 'content-length': String(body.length) };
    const sending = request({ hostname, port, method, path, headers: { ...headers, ...length }, agent, signal });
    sending.on('error', reject);
    sending.on('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, text, type: response.headers['content-type'] ?? '' });
      });
    });
    sending.end(body);
  });
}

/** No surface has an excuse for not knowing what went wrong. */
function check({ status, text, type }: Answer, told: () => string): void {
  assert.ok(status >= 200 && status < 500, `answered ${status}: ${text.slice(0, 300)}\n${told()}`);
  assert.doesNotMatch(
    text,
    /-32603|\bat .*\.(ts|js):\d+|node_modules|\[object Object\]|Cannot read prop|is not a function/,
    told(),
  );
  if (status >= 400 && text !== '') assert.match(type, /json/, told());
  if (/json/.test(type) && text !== '') assert.doesNotThrow(() => JSON.parse(text), told());
}

const isError = ({ status, text }: Answer) => status >= 400 || /^\{"jsonrpc":"2\.0","id":[^{]*,"error"/.test(text);

/** Without what is different each time. */
const comparable = ({ text }: Answer) =>
  text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'uuid').replace(/"timestamp":"[^"]*"/g, '');

const show = ({ method, path, headers, body }: FuzzRequest) =>
  `${method} ${path} ${JSON.stringify(headers)} ${body?.toString('utf8').slice(0, 2_000) ?? ''}`;
