import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReverseProxy } from '../services/reverse-proxy.ts';
import { answer as answerOf, userMessage } from '../support/a2a-client.ts';
import { proxyKinds, startBehind, streams, TokenStream, upstream } from '../support/proxied.ts';
import { protocols, through } from '../support/through-proxy.ts';
import { TokenModel } from '../support/token-model.ts';

const missing = proxyKinds.map(({ missing }) => missing).find((each) => each !== false) ?? false;

/** Longer than any proxy waits that was told nothing: 60 s is nginx's own `proxy_read_timeout`. */
const seconds = 62;

test('streams of a minute arrive token by token, and an answer without one is waited for', {
  skip: missing,
}, async (t) => {
  await using model = await TokenModel.start();
  await using hector = await startBehind(model);
  const proxies: ReverseProxy[] = [];
  t.after(async () => {
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
  });
  for (const kind of proxyKinds) proxies.push(await kind.start({ upstreams: [upstream(hector)] }));

  const open: TokenStream[] = [];
  for (const proxy of proxies) {
    for (const protocol of protocols) {
      for (const name of Object.keys(streams)) open.push(await TokenStream.open(proxy, model, name, { protocol }));
    }
  }
  const silent = proxies.map((proxy) =>
    through(proxy, '/agents/assistant/message:send', { body: { message: userMessage('go on') } }),
  );
  const said = [];
  for (const _ of silent) said.push(await model.next());

  for (let n = 0; n < seconds; n++) {
    await sleep(1_000);
    for (const stream of open) stream.give();
    await Promise.all(open.map((stream) => stream.seen()));
  }
  for (const stream of open) assert.match(await stream.end(), new RegExp(`token-${seconds}\\.`));
  for (const each of said) {
    each.give('at last');
    each.end();
  }
  for (const each of silent) {
    const { status, ended } = await each;
    assert.equal(status, 200);
    assert.equal(answerOf(JSON.parse(await ended).task), 'at last');
  }
});
