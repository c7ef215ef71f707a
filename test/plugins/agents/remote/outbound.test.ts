import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Message } from '@a2a-js/sdk';
import { AgentEvent, type AgentExecutor } from '@a2a-js/sdk/server';
import { temporaryFolder } from '../../../support/extension.ts';
import { ask, card, far, json, officialServer, remoteAgent, streaming, talking } from './far-side.ts';

test('a card does not get to say that messages go to this machine or its networks', async () => {
  await using inside = await far((_, response) => json(response, {}));
  for (const where of [inside.url, 'http://169.254.169.254/latest/', `http://localhost:${new URL(inside.url).port}/`]) {
    await using cardSide = await far((_, response) => json(response, card(where)));
    await using near = await remoteAgent({ agent_card_url: `${cardSide.url}/card` });
    const { error } = await ask(near.agent, 'go');
    assert.equal(error?.code, 'outbound_refused', where);
    assert.match(String(error), /The remote agent "helper": the host ".*" is .* address.*server\.outbound\.allow/);
  }
  assert.deepEqual(inside.requests, []);
});

test('what the configuration allows a card may name, and a file of the configuration names what it likes', async (t) => {
  await using side = await talking((seen, response) => {
    const stream = streaming(response, seen.id);
    stream.event({ message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: 'here' }] } });
    stream.end();
  });
  await using cardSide = await far((_, response) => json(response, card(`${side.url}/rpc`)));
  await using allowed = await remoteAgent({ agent_card_url: `${cardSide.url}/card` }, undefined, ['127.0.0.0/8']);
  assert.equal((await ask(allowed.agent, 'go')).text, 'here');

  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'far.json'), JSON.stringify(card(`${side.url}/rpc`)));
  await using filed = await remoteAgent({ agent_card_file: 'far.json' }, folder);
  assert.equal((await ask(filed.agent, 'go')).text, 'here');
});

test('the other side hears through how many agents a message came, in either version of the protocol', async () => {
  for (const version of ['1.0', '0.3'] as const) {
    const executor: AgentExecutor = {
      async execute({ userMessage: { contextId } }, bus) {
        bus.publish(
          AgentEvent.message(
            Message.fromJSON({ messageId: 'm', contextId, role: 'ROLE_AGENT', parts: [{ text: 'hi' }] }),
          ),
        );
        bus.finished();
      },
      async cancelTask() {},
    };
    await using side = await officialServer(executor, version);
    await using near = await remoteAgent({ url: side.url });
    assert.equal((await ask(near.agent, 'go', { hops: 2 })).text, 'hi');
    const sent = side.requests.filter(({ method }) => method === 'POST');
    assert.deepEqual(
      sent.map(({ headers }) => headers['x-hector-agent-depth']),
      ['3'],
      version,
    );
  }
  await assert.rejects(remoteAgent({ url: 'http://a/', headers: { 'X-Hector-Agent-Depth': '0' } }), /must not set/);
});
