import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer, connect, rpc, send, userMessage } from '../support/a2a-client.ts';
import { replace } from '../support/config-status.ts';
import { startHector } from '../support/hector.ts';
import { until } from '../support/until.ts';
import { webServer } from '../support/web-server.ts';

const config = (allow: string) => `
server: { outbound: { allow: ${allow} } }
llms: { default: { provider: echo } }
tools: { web: { type: web } }
agents: { assistant: {} }
`;

test('an agent reaches what the configuration allows, from the moment that it does', async () => {
  await using server = await webServer();
  await using hector = await startHector({ config: config('[]'), args: ['--watch'] });
  const ask = async () => {
    const text = `call web_fetch ${JSON.stringify({ url: server.url })}`;
    return answer(await send(await connect(hector.url, 'assistant'), text));
  };
  assert.match(await ask(), /127\.0\.0\.1\\?" is a loopback address; list it in server\.outbound\.allow/);
  assert.equal(server.connections, 0);
  await replace(hector, config('[127.0.0.1]'));
  assert.match(await ask(), /hello/);
  await replace(hector, config('[127.0.0.2]'));
  assert.match(await ask(), /is a loopback address/);
  assert.equal(server.requests.length, 1);
});

test('webhooks may be where server.outbound.allow says', async () => {
  await using server = await webServer();
  await using hector = await startHector({ config: config('[127.0.0.1]') });
  const send = (url: string) =>
    rpc(
      `${hector.url}/agents/assistant`,
      'SendMessage',
      { message: userMessage('hello'), configuration: { taskPushNotificationConfig: { url } } },
      { version: '1.0' },
    );
  assert.match((await send('http://127.0.0.2/')).body.error?.message ?? '', /"127\.0\.0\.2" is a loopback address/);
  assert.equal((await send(`${server.url}/hook`)).body.error, undefined);
  await until(() => server.requests.some(({ body }) => body.includes('TASK_STATE_COMPLETED')));
});

const loop = (agent: string, url: string) => `
server: { limits: { max_agent_depth: 4 } }
llms: { default: { provider: echo } }
agents: { ${agent}: { type: remote, url: ${url} } }
`;

test('two Hectors whose agents hand work on to each other come to an end', async () => {
  await using ping = await startHector({ config: loop('ping', 'http://127.0.0.1:9/'), args: ['--watch'] });
  await using pong = await startHector({ config: loop('pong', `${ping.url}/agents/ping`) });
  await replace(ping, loop('ping', `${pong.url}/agents/pong`));
  const task = await send(await connect(ping.url, 'ping'), 'hello');
  assert.equal(task.status.state, 'TASK_STATE_FAILED');
  const said = JSON.stringify(task.status.message);
  assert.match(
    said,
    /does not take this message: 5 agents have handed it on already, and it takes 4 \(server\.limits\.max_agent_depth\)/,
  );
  assert.equal(said.match(/The remote agent/g)?.length, 5);
});

test('a caller can say that a message has come far, and gains nothing by saying less', async () => {
  await using hector = await startHector({
    config: loop('far', 'http://127.0.0.1:9/').replace('{ far:', '{ near: {}, far:'),
  });
  const say = async (depth: string) => {
    const response = await fetch(`${hector.url}/agents/near`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0', 'x-hector-agent-depth': depth },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendMessage', params: { message: userMessage('hi') } }),
    });
    return JSON.stringify(await response.json());
  };
  for (const depth of ['4', '-100', 'none']) assert.match(await say(depth), /TASK_STATE_COMPLETED/, depth);
  assert.match(await say('5'), /"code":-32004,.*5 agents have handed it on already/);
  assert.match(await say('99, 0'), /99 agents have handed it on already/);
});
