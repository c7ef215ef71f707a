import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A model that does as it is told, tools that work or do not, and an agent that asks back: `tell` is answered, `good` and `bad`
 * call a tool of that name first, `fail` fails, `hang` waits until it is given up.
 */
const textOf = ({ parts }) => parts.map(({ text }) => text ?? '').join('');

const model = {
  point: 'llm',
  name: 'metered',
  description: 'Does as it is told',
  options: { type: 'object', properties: { model: { type: 'string', default: 'metered-1' } } },
  create: ({ model }) => ({
    model,
    async *chat({ messages }, signal) {
      const last = messages.findLastIndex(({ role }) => role === 'user');
      const wish = textOf(messages[last]);
      if (/fail/.test(wish)) throw new Error('The model is broken.');
      const [tool] = /good|bad/.exec(wish) ?? [];
      const usage = { inputTokens: 7, outputTokens: 3 };
      if (tool !== undefined && messages.at(-1).role === 'user') {
        yield { type: 'tool_call', id: 'call-1', name: tool, arguments: {} };
        yield { type: 'finish', reason: 'tool_call', usage };
        return;
      }
      yield { type: 'text', delta: 'so ' };
      await sleep(/hang/.test(wish) ? 600_000 : 5, undefined, { signal });
      yield { type: 'text', delta: 'be it' };
      yield { type: 'finish', reason: 'stop', usage };
    },
  }),
};

const tools = {
  point: 'toolset',
  name: 'metered',
  description: 'One tool that works, and one that does not',
  options: { type: 'object', properties: {} },
  create: () => ({
    tools: async () => [
      {
        name: 'good',
        description: 'Works',
        parameters: { type: 'object', properties: {} },
        execute: async () => 'done',
      },
      {
        name: 'bad',
        description: 'Does not',
        parameters: { type: 'object', properties: {} },
        async execute() {
          throw Object.assign(new Error('It is broken.'), { code: 'tool_broken' });
        },
      },
    ],
  }),
};

const asker = {
  point: 'agent',
  name: 'asker',
  description: 'Asks back',
  options: { type: 'object', properties: {} },
  create: () => ({
    async *run() {
      yield { type: 'input_required', parts: [{ text: 'Which one?' }] };
    },
  }),
};

export default { apiVersion: 1, name: 'test/metered', provides: [model, tools, asker] };
