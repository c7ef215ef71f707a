import { test } from 'node:test';
import { testAgent } from '../../../conformance/agent.ts';
import { llmAgent, tool } from '../../../support/llm-agent.ts';
import { calls, hangs, says, scriptedLlm } from '../../../support/scripted-llm.ts';

testAgent({
  test: (name, run) => test(`llm agent: ${name}`, run),
  create: () =>
    llmAgent({
      llm: scriptedLlm(({ messages }) =>
        messages.at(-1)?.role === 'user' ? calls({ name: 'look' }, { name: 'look' }) : says('Hel', 'lo'),
      ),
      tools: [tool('look', async () => 'seen')],
    }),
  createEndless: () => llmAgent({ llm: scriptedLlm(() => [hangs()]) }),
  createCalling: (work) =>
    llmAgent({
      llm: scriptedLlm(({ messages }) => {
        const results = messages.filter(({ role }) => role === 'tool').length;
        const item = (name: string) => ({ name: work.name, arguments: { item: `${name}-${results}` } });
        return results < 2 ? calls(item('a'), item('b'), item('c')) : says('Do', 'ne');
      }),
      tools: [work],
      options: { max_parallel_tools: 2 },
    }),
});

testAgent({
  test: (name, run) => test(`llm agent with structured output: ${name}`, run),
  create: () =>
    llmAgent({
      llm: scriptedLlm(() => says('{"ok":', 'true}')),
      options: { structured_output: { schema: { type: 'object', required: ['ok'] } } },
    }),
  createEndless: () =>
    llmAgent({
      llm: scriptedLlm(() => calls({ name: 'wait' })),
      // Never ends and never looks at its signal.
      tools: [tool('wait', () => new Promise(() => {}))],
    }),
});

testAgent({
  test: (name, run) => test(`llm agent with agents as tools: ${name}`, run),
  create: () =>
    llmAgent({
      llm: scriptedLlm(({ messages }) =>
        messages.at(-1)?.role === 'user' ? calls({ name: 'helper', arguments: { request: 'x' } }) : says('done'),
      ),
      options: { agent_tools: ['helper'] },
      agents: { helper: llmAgent({ llm: scriptedLlm(() => says('Hel', 'p')) }) },
    }),
  createEndless: () =>
    llmAgent({
      llm: scriptedLlm(() => calls({ name: 'helper', arguments: { request: 'x' } })),
      options: { agent_tools: ['helper'] },
      agents: { helper: llmAgent({ llm: scriptedLlm(() => [hangs()]) }) },
    }),
});

testAgent({
  test: (name, run) => test(`llm agent with sub-agents: ${name}`, run),
  create: () =>
    llmAgent({
      llm: scriptedLlm(() => calls({ name: 'transfer_to_desk' })),
      options: { sub_agents: ['desk'] },
      agents: { desk: llmAgent({ name: 'desk', llm: scriptedLlm(() => says('Desk', '.')) }) },
    }),
  createEndless: () =>
    llmAgent({
      llm: scriptedLlm(() => calls({ name: 'transfer_to_desk' })),
      options: { sub_agents: ['desk'] },
      agents: { desk: llmAgent({ name: 'desk', llm: scriptedLlm(() => [hangs()]) }) },
    }),
});
