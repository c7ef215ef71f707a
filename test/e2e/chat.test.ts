import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Message } from '@a2a-js/sdk';
import type { AgentEvent } from '../../core/index.ts';
import { officialServer } from '../plugins/agents/remote/far-side.ts';
import { rpc } from '../support/a2a-client.ts';
import { endless, servingAgents } from '../support/a2a-serving.ts';
import { keys, startTerminal } from '../support/terminal.ts';
import { until } from '../support/until.ts';

const files = {
  'config.yaml': `
llms: { default: { provider: echo, delay: 20ms } }
tools: { shop: { type: function, handler: ./shop.js } }
agents:
  assistant: { tools: [shop] }
  other: { tools: [] }
`,
  'shop.js': `export const price = {
  description: 'What a thing costs',
  parameters: { type: 'object', properties: { item: { type: 'string' } } },
  execute: async ({ item }) => '12 for ' + item,
};`,
};

describe('hector chat at a terminal', { concurrency: 2 }, () => {
  test('an agent of a file: answers, tool calls, commands, lines that go on, Ctrl-D', async () => {
    await using terminal = await startTerminal(['chat', '-c', 'config.yaml'], { files });
    await terminal.shows('> ');
    terminal.type(`hello there${keys.enter}`);
    await terminal.shows('> hello there\nhello there\n> ');
    terminal.type(`call price {"item": "tea"}${keys.enter}`);
    await terminal.shows('→ price(item: "tea")\n← price: 12 for tea\n12 for tea\n> ');
    assert.ok(terminal.raw().includes('\u001b[2m→ price'), 'dim on a terminal');
    terminal.type(`/agents${keys.enter}`);
    await terminal.shows(/\* assistant\n {2}other\n/);
    terminal.type(`/nothing${keys.enter}`);
    await terminal.shows('There is no command /nothing.');
    terminal.type(`first\\${keys.enter}`);
    await terminal.shows('… ');
    terminal.type(`//second${keys.enter}`);
    await terminal.shows('… //second\nfirst\n//second\n> ');
    terminal.type(keys.ctrlD);
    assert.equal(await terminal.exited, 0);
    assert.doesNotMatch(terminal.screen(), /info|warn/i, 'no log between the lines');
  });

  test('Ctrl-C amid an answer cancels the task on the server, what was typed meanwhile is there afterwards; at the prompt it leaves', async () => {
    await using server = await servingAgents({ agents: { worker: { run: endless } } });
    await using terminal = await startTerminal(['chat', server.url], { env: { NO_COLOR: '1' } });
    await terminal.shows('> ');
    terminal.type(`go${keys.enter}`);
    await terminal.shows('working');
    terminal.type('later');
    terminal.type(keys.ctrlC);
    await terminal.shows('working \n· canceling (once more leaves)\nCanceled.\n> later');
    const { body } = await rpc(`${server.url}/agents/worker`, 'ListTasks', {}, { version: '1.0' });
    const states = (body.result as { tasks: { status: { state: string } }[] }).tasks.map(({ status }) => status.state);
    assert.deepEqual(states, ['TASK_STATE_CANCELED']);
    assert.ok(!terminal.raw().includes('\u001b[2m'), 'no colours with NO_COLOR');
    terminal.type(keys.ctrlC);
    assert.equal(await terminal.exited, 0);
  });

  test('Ctrl-C twice leaves', async () => {
    await using server = await servingAgents({
      agents: {
        // Takes its time to end, and so does not say that it is cancelled.
        stubborn: {
          async *run(): AsyncGenerator<AgentEvent> {
            yield { type: 'text', delta: 'working ' };
            await new Promise((resolve) => setTimeout(resolve, 3_000));
          },
        },
      },
    });
    await using terminal = await startTerminal(['chat', server.url]);
    await terminal.shows('> ');
    terminal.type(`go${keys.enter}`);
    await terminal.shows('working');
    terminal.type(keys.ctrlC);
    terminal.type(keys.ctrlC);
    assert.equal(await terminal.exited, 130);
  });

  test('a question is answered with the next line, in the same task and conversation; /new begins another', async () => {
    const contexts: string[] = [];
    await using server = await servingAgents({
      agents: {
        clerk: {
          async *run(message, { task, contextId }) {
            contexts.push(contextId);
            const [part] = message.parts;
            const text = part && 'text' in part ? part.text : '';
            if (text === 'log in') yield { type: 'auth_required', parts: [{ text: 'Open https://login.example' }] };
            else if (task.history.length <= 1) yield { type: 'input_required', parts: [{ text: 'Which size?' }] };
            else yield { type: 'text', delta: `${text} it is` };
          },
        },
      },
    });
    await using terminal = await startTerminal(['chat', server.url]);
    await terminal.shows('> ');
    terminal.type(`a shirt${keys.enter}`);
    await terminal.shows('Which size?\n? ');
    terminal.type(`XL${keys.enter}`);
    await terminal.shows('XL it is\n> ');
    terminal.type(`log in${keys.enter}`);
    await terminal.shows('Open https://login.example\n· send a line when you have logged in\n? ');
    terminal.type(`/cancel${keys.enter}`);
    await terminal.shows('Canceled.\n> ');
    terminal.type(`/new${keys.enter}`);
    terminal.type(`trousers${keys.enter}`);
    await terminal.shows('Which size?\n? ', 2);
    terminal.type(`/quit${keys.enter}`);
    assert.equal(await terminal.exited, 0);
    assert.equal(new Set(contexts.slice(0, 3)).size, 1);
    assert.notEqual(contexts[3], contexts[0]);
  });

  test('a server that goes away is said to, and the chat goes on', async () => {
    const server = await servingAgents({ agents: { worker: { run: endless } } });
    await using terminal = await startTerminal(['chat', server.url]);
    await terminal.shows('> ');
    await server[Symbol.asyncDispose]();
    terminal.type(`hello?${keys.enter}`);
    await terminal.shows(/error: http.* cannot be reached: .*\n> /);
    terminal.type(keys.ctrlD);
    assert.equal(await terminal.exited, 0);
  });

  for (const version of ['1.0', '0.3'] as const) {
    test(`a conversation with the official server of A2A ${version}`, async () => {
      const contexts: string[] = [];
      await using server = await officialServer(
        {
          async execute({ contextId, userMessage }, bus) {
            contexts.push(contextId);
            const [part] = userMessage.parts;
            const text = part?.content?.$case === 'text' ? part.content.value : '';
            const answer = {
              messageId: `m${contexts.length}`,
              contextId,
              role: 'ROLE_AGENT',
              parts: [{ text: `${text}!` }],
            };
            bus.publish({ kind: 'message', data: Message.fromJSON(answer) });
            bus.finished();
          },
          async cancelTask() {},
        },
        version,
      );
      await using terminal = await startTerminal(['chat', server.url]);
      await terminal.shows(`(A2A ${version})`);
      await terminal.shows('> ');
      terminal.type(`one${keys.enter}`);
      await terminal.shows('one!\n> ');
      terminal.type(`two${keys.enter}`);
      await terminal.shows('two!\n> ');
      terminal.type(keys.ctrlD);
      assert.equal(await terminal.exited, 0);
      await until(() => contexts.length === 2);
      assert.equal(contexts[0], contexts[1]);
    });
  }
});
