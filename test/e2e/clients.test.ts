import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { answer, connect, rpc, send, userMessage } from '../support/a2a-client.ts';
import { startHector } from '../support/hector.ts';
import { until } from '../support/until.ts';

const config = `
llms:
  default: { provider: echo, delay: 3ms }
agents:
  talker: { tools: [] }
`;

/** Opens a stream and tears the socket after `bytes` of it, or after the end. */
function tear(url: string, messageId: string, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'SendStreamingMessage',
      params: {
        message: userMessage('one two three four five six seven eight nine ten', { messageId, contextId: messageId }),
      },
    });
    const headers = {
      'content-type': 'application/json',
      'a2a-version': '1.0',
      'content-length': Buffer.byteLength(body),
    };
    const req = request(url, { method: 'POST', headers, agent: false }, (res) => {
      let seen = 0;
      res.on('data', (chunk: Buffer) => {
        seen += chunk.length;
        if (seen >= bytes) res.destroy();
      });
      res.on('close', resolve);
      res.on('error', () => resolve());
    });
    req.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? resolve() : reject(error)));
    req.end(body);
    if (bytes === 0) setImmediate(() => req.destroy());
  });
}

test('1,000 clients that leave at random points: every task ends, nothing is held, the server goes on', async () => {
  await using hector = await startHector({ config });
  const url = `${hector.url}/agents/talker`;
  const client = await connect(hector.url);
  for (let round = 0; round < 10; round++) {
    const clients = Array.from({ length: 100 }, (_, i) =>
      tear(url, `leaver-${round}-${i}`, Math.floor(Math.random() * 3_000)),
    );
    await Promise.all(clients);
    assert.match(answer(await send(client, `round ${round}`)), new RegExp(`round ${round}`));
  }
  const states = async () => {
    const { body } = await rpc(url, 'ListTasks', { pageSize: 100, status: 'TASK_STATE_WORKING' }, { version: '1.0' });
    return (body.result as { tasks?: unknown[] } | undefined)?.tasks ?? [];
  };
  await until(async () => (await states()).length === 0);
  // What a client that left had begun is complete: the same message again answers with the same task, finished.
  const again = await send(client, 'x', { messageId: 'leaver-3-50', contextId: 'leaver-3-50' });
  assert.equal(again.status.state, 'TASK_STATE_COMPLETED');
  assert.match(answer(again), /ten|x/);
  assert.equal(await hector.stop(), 0, 'and it ends at once, since no work is left');
  assert.doesNotMatch(hector.stderr(), /unhandled|uncaught|ERROR/i);
});
