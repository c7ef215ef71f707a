import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { nginxMissing, startNginx } from '../services/nginx.ts';
import { replaceEach } from '../services/reverse-proxy.ts';
import { userMessage } from '../support/a2a-client.ts';
import type { Hector } from '../support/hector.ts';
import { proxyKinds, startBehind, TokenStream, upstream } from '../support/proxied.ts';
import { proxyStage } from '../support/proxy-stage.ts';
import { through } from '../support/through-proxy.ts';
import { TokenModel } from '../support/token-model.ts';
import { until } from '../support/until.ts';

const send = (proxy: Parameters<typeof through>[0]) =>
  through(proxy, '/agents/assistant/message:send', { body: { message: userMessage('go on') } });

for (const kind of proxyKinds) {
  describe(`${kind.name} before two Hectors`, { skip: kind.missing }, () => {
    let model: TokenModel;
    let hectors: readonly [Hector, Hector];
    before(async () => {
      model = await TokenModel.start();
    });
    after(() => model[Symbol.asyncDispose]());

    test('one is killed: what it was at work on is not sent again, and all else goes to the other', async () => {
      await using first = await startBehind(model);
      await using second = await startBehind(model);
      hectors = [first, second];
      await using proxy = await kind.start({ upstreams: hectors.map(upstream) });

      // Least connections: one after the other.
      const [one, other] = [send(proxy), send(proxy)];
      const [a, b] = [await model.next(), await model.next()];
      const running = async ({ url }: Hector) =>
        /hector_tasks_running (\d+)/.exec(await (await fetch(`${url}/metrics`)).text())?.[1];
      assert.deepEqual([await running(first), await running(second)], ['1', '1']);

      const asked = model.asked;
      await first.stop('SIGKILL');
      const statuses: number[] = [];
      for (const each of [one, other]) void each.then(({ status }) => statuses.push(status));
      await until(() => statuses.length > 0 || model.asked > asked);
      assert.equal(model.asked, asked, 'nothing was sent twice');
      assert.deepEqual(statuses, [502]);
      (a.closed ? b : a).end();
      await until(() => statuses.length === 2);
      assert.deepEqual(statuses, [502, 200]);

      for (let n = 0; n < 10; n++) {
        const sent = send(proxy);
        const answering = await model.next();
        answering.end();
        assert.equal((await sent).status, 200);
      }
      assert.equal(model.asked, asked + 10);
    });
  });
}

describe('nginx', { skip: nginxMissing }, () => {
  const kind = { name: 'nginx', missing: nginxMissing, start: startNginx } as const;
  const stage = proxyStage(kind);

  test('is reloaded and cuts no stream', async () => {
    await using proxy = await startNginx({ upstreams: [upstream(stage.hector)] });
    const stream = await TokenStream.open(proxy, stage.model);
    await proxy.reload();
    await until(async () => /gracefully shutting down/.test(await proxy.errors()));
    for (let n = 0; n < 5; n++) {
      stream.give();
      await stream.seen();
    }
    const fresh = await TokenStream.open(proxy, stage.model);
    await fresh.end();
    assert.match(await stream.end(), /token-5\./);
  });

  test('below a path, the cards have it in their URLs, and the URLs work', async () => {
    const below = (text: string) =>
      replaceEach(text, [
        ['location / {\n        proxy_pass http://hector;', 'location /hector/ {\n        proxy_pass http://hector/;'],
        ['X-Forwarded-Prefix ""', 'X-Forwarded-Prefix /hector'],
      ]);
    await using proxy = await startNginx({ upstreams: [upstream(stage.hector)], change: below });
    const { url } = JSON.parse(await (await through(proxy, '/hector/agents/assistant')).ended);
    assert.equal(url, `${proxy.origin}/hector/agents/assistant`);
    const asked = through(proxy, `${new URL(url).pathname}/message:send`, { body: { message: userMessage('go on') } });
    (await stage.model.next()).end();
    assert.equal((await asked).status, 200);
  });

  test('has nothing to say about the file, and what is logged has the id of the request', async () => {
    await using proxy = await startNginx({ upstreams: [upstream(stage.hector)] });
    const said = await proxy.check();
    assert.match(said, /test is successful/);
    assert.doesNotMatch(said, /warn|emerg/);
    const answer = await through(proxy, '/agents/assistant?secret=1', { headers: { 'user-agent': 'a "test"' } });
    await answer.ended;
    await until(async () => (await proxy.log()).length > 0);
    const [line] = await proxy.log();
    assert.equal(line?.['request_id'], answer.headers['x-request-id']);
    assert.deepEqual([line?.['path'], line?.['status'], line?.['user_agent']], ['/agents/assistant', 200, 'a "test"']);
  });
});
