import { test } from 'node:test';
import { testAgent } from '../../../conformance/agent.ts';
import { saying, untilAborted } from '../../../support/agents.ts';
import { llmAgent } from '../../../support/llm-agent.ts';
import { calls, hangs, says, scriptedLlm } from '../../../support/scripted-llm.ts';
import { type Kind, workflowAgent } from '../../../support/workflow-agent.ts';

for (const kind of ['sequential', 'parallel', 'loop'] satisfies readonly Kind[]) {
  const options = kind === 'loop' ? { max_iterations: 2 } : {};
  testAgent({
    test: (name, run) => test(`${kind}: ${name}`, run),
    create: () =>
      workflowAgent(
        kind,
        { first: saying('Hel', 'lo'), second: llmAgent({ llm: scriptedLlm(() => says('a', 'b')) }) },
        options,
      ),
    createEndless: () =>
      workflowAgent(kind, { only: llmAgent({ llm: scriptedLlm(() => [hangs()]) }), other: untilAborted }, options),
    createCalling: (work) => {
      // The agents call it with items of their own, in every round.
      const calling = (name: string) =>
        llmAgent({
          name,
          llm: scriptedLlm(({ messages }) => {
            const asked = messages.filter(({ role }) => role === 'user').length;
            const item = `${name}-${asked}`;
            return messages.at(-1)?.role === 'user' ? calls({ name: work.name, arguments: { item } }) : says(name);
          }),
          tools: [work],
        });
      return workflowAgent(kind, { first: calling('first'), second: calling('second') }, options);
    },
  });
}

testAgent({
  test: (name, run) => test(`workflows in workflows: ${name}`, run),
  create: () =>
    workflowAgent('sequential', {
      both: workflowAgent('parallel', { one: saying('1'), two: saying('2') }),
      again: workflowAgent('loop', { three: saying('3') }, { max_iterations: 2 }),
    }),
  createEndless: () => workflowAgent('loop', { both: workflowAgent('parallel', { a: untilAborted, b: untilAborted }) }),
});
