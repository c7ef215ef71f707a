import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, problems } from '../../support/stand-ins.ts';

const disabled = (agents: string) =>
  `llms: { default: { provider: openai, api_key: key } }\nagents:\n  gone: { enabled: false, agent_tools: [] }\n${agents}`;

test('an agent is enabled unless it says that it is not', async () => {
  const { config } = await load(disabled('  here: { agent_tools: [] }\n'));
  assert.equal(config.agents['gone']?.enabled, false);
  assert.equal(config.agents['here']?.enabled, true);
});

test('a reference to a disabled agent is an error that says what to do', async () => {
  const [problem, ...others] = await problems(disabled('  here: { agent_tools: [gone] }\n'));
  assert.match(
    problem ?? '',
    /agents\.here\.agent_tools\[0\].*the agent "gone" is disabled\. Enable it \(agents\.gone\.enabled\)/,
  );
  assert.deepEqual(others, []);
});

test('what a disabled agent refers to need not be enabled', async () => {
  const { config } = await load(disabled('  also: { enabled: false, agent_tools: [gone] }\n'));
  assert.deepEqual(Object.keys(config.agents), ['gone', 'also']);
});
