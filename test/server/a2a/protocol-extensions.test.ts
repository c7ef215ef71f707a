import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toolCallsExtension } from '../../../core/index.ts';
import { rest } from '../../support/a2a-bindings.ts';
import { userMessage } from '../../support/a2a-client.ts';
import { servingAgents } from '../../support/a2a-serving.ts';

/** Says which extensions its caller has asked for. */
const asked = (type: string) => ({
  config: { type },
  async *run(_message: unknown, { extensions }: { readonly extensions: ReadonlySet<string> }) {
    yield { type: 'text' as const, delta: [...extensions].join() || 'none' };
  },
});
const agents = { writer: asked('llm'), other: asked('test') };

const known = toolCallsExtension;
const cases: readonly [header: string, agent: string, said: string | undefined, active: boolean][] = [
  ['A2A-Extensions', 'writer', known, true],
  ['A2A-Extensions', 'writer', `https://example.com/x/v1 , ${known},${known}`, true],
  ['X-A2A-Extensions', 'writer', known, true],
  ['A2A-Extensions', 'writer', 'https://example.com/x/v1', false],
  ['A2A-Extensions', 'writer', ' , ', false],
  ['A2A-Extensions', 'writer', undefined, false],
  ['A2A-Extensions', 'other', known, false],
];

for (const [header, agent, said, active] of cases) {
  test(`${header}: ${said} is ${active ? 'known' : 'not known'} to ${agent}`, async () => {
    await using serving = await servingAgents({ agents });
    const url = `${serving.url}/agents/${agent}`;
    const headers = said === undefined ? {} : { [header]: said };
    const sending = { headers, body: { message: userMessage('hi') } };
    const old = { kind: 'message', messageId: 'm', role: 'user', parts: [{ kind: 'text', text: 'hi' }] };
    const call = (method: string, params: object) => ({ headers, body: { jsonrpc: '2.0', id: 1, method, params } });
    const answers = [
      ['a2a-extensions', await rest(`${url}/message:send`, sending)],
      ['a2a-extensions', await rest(`${url}/message:stream`, sending)],
      ['a2a-extensions', await rest(url, call('SendMessage', sending.body))],
      ['a2a-extensions', await rest(url, call('SendStreamingMessage', sending.body))],
      ['x-a2a-extensions', await rest(url, call('message/send', { message: old }))],
    ] as const;
    for (const [echo, answer] of answers) {
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get(echo), active ? known : null);
      assert.ok(answer.text.includes(active ? known : 'none'), answer.text);
    }
  });
}

test('the card of an agent declares what it knows, in both versions, and requires none', async () => {
  await using serving = await servingAgents({ agents });
  const card = async (agent: string) =>
    (
      await rest<{ capabilities: { extensions?: { uri: string; required: boolean }[] } }>(
        `${serving.url}/agents/${agent}`,
      )
    ).body.capabilities.extensions;
  assert.deepEqual(
    (await card('writer'))?.map(({ uri, required }) => ({ uri, required })),
    [{ uri: known, required: false }],
  );
  assert.equal(await card('other'), undefined);
});
