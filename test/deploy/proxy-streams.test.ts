import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rpc, userMessage } from '../support/a2a-client.ts';
import { metric } from '../support/config-status.ts';
import type { Hector } from '../support/hector.ts';
import { proxyKinds, streams, TokenStream } from '../support/proxied.ts';
import { proxyStage } from '../support/proxy-stage.ts';
import { protocols, through } from '../support/through-proxy.ts';
import { until } from '../support/until.ts';

/** The requests that Hector is answering; that which asks for them is not counted. */
const underWay = (hector: Hector) => metric(hector, 'hector_http_inflight_requests');
const running = (hector: Hector) => metric(hector, 'hector_tasks_running');

async function lastTask(hector: Hector): Promise<{ id: string; status: { state: string } }> {
  const { body } = await rpc(`${hector.url}/agents/assistant`, 'ListTasks', { pageSize: 1 }, { version: '1.0' });
  const [task] = (body.result as { tasks: { id: string; status: { state: string } }[] }).tasks;
  assert.ok(task, JSON.stringify(body));
  return task;
}

for (const kind of proxyKinds) {
  describe(`streams through ${kind.name}`, { skip: kind.missing }, () => {
    const stage = proxyStage(kind);

    for (const protocol of protocols) {
      for (const name of Object.keys(streams)) {
        test(`${name} over ${protocol}: each token is there before the next is given`, async () => {
          const stream = await TokenStream.open(stage.proxy, stage.model, name, { protocol });
          const { status, headers } = stream.answer;
          assert.equal(status, 200);
          assert.match(headers['content-type'] ?? '', /^text\/event-stream/);
          assert.equal(headers['content-encoding'], undefined);
          for (let n = 1; n <= 10; n++) {
            stream.give();
            await stream.seen();
          }
          assert.match(await stream.end(), /token-10\./);
        });
      }

      test(`${protocol}: who leaves a stream is gone for Hector too, and the task goes on`, async () => {
        const { model, hector, proxy } = stage;
        const stream = await TokenStream.open(proxy, model, 'HTTP+JSON', { protocol });
        assert.deepEqual([await underWay(hector), await running(hector)], [1, 1]);
        stream.answer.leave();
        await until(async () => (await underWay(hector)) === 0);
        assert.equal(await running(hector), 1);
        assert.equal(stream.closed, false);
        stream.finish();
        await until(async () => (await running(hector)) === 0);
        assert.equal((await lastTask(hector)).status.state, 'TASK_STATE_COMPLETED');
      });
    }

    test('a request that waits for the whole answer is dropped in the same way', async () => {
      const { model, hector, proxy } = stage;
      const leaving = new AbortController();
      const body = { message: userMessage('go on') };
      const asked = through(proxy, '/agents/assistant/message:send', { body, signal: leaving.signal });
      const refused = assert.rejects(asked, { name: 'AbortError' });
      const answering = await model.next();
      assert.equal(await underWay(hector), 1);
      leaving.abort();
      await refused;
      await until(async () => (await underWay(hector)) === 0);
      assert.equal(await running(hector), 1);
      answering.end();
      await until(async () => (await running(hector)) === 0);
    });
  });
}
