import { appendFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A model that works in steps: told `work 5` it calls the tool `step` five times, one after the other, saying `<n>` before
 * each, and then says `done`. Every call is written to `calls.log` beside the configuration when it is made, and takes a
 * while; one whose number there is a file `hold-<n>` for waits as long as the file is there.
 */
const textOf = ({ parts }) => parts.map(({ text }) => text ?? '').join('');

const model = {
  point: 'llm',
  name: 'stepwise',
  description: 'Works in steps',
  options: { type: 'object', properties: {} },
  create: () => ({
    model: 'stepwise',
    async *chat({ messages }) {
      const last = messages.findLastIndex(({ role }) => role === 'user');
      const steps = Number(/work (\d+)/.exec(textOf(messages[last]))?.[1] ?? 0);
      const results = messages
        .slice(last)
        .filter(({ role }) => role === 'tool')
        .flatMap(({ parts }) => parts);
      const usage = { inputTokens: 1, outputTokens: 1 };
      if (results.length < steps) {
        const n = results.length + 1;
        yield { type: 'text', delta: `<${n}>` };
        yield { type: 'tool_call', id: `call-${n}`, name: 'step', arguments: { n } };
        yield { type: 'finish', reason: 'tool_call', usage };
        return;
      }
      const unknown = results.filter(({ isError }) => isError).length;
      yield { type: 'text', delta: unknown > 0 ? `done, ${unknown} unknown` : 'done' };
      yield { type: 'finish', reason: 'stop', usage };
    },
  }),
};

const tools = {
  point: 'toolset',
  name: 'stepwise',
  description: 'Takes steps',
  options: { type: 'object', properties: { ms: { type: 'integer', default: 100 } } },
  create: ({ ms }, { folder }) => ({
    tools: async () => [
      {
        name: 'step',
        description: 'Takes a step',
        parameters: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
        async execute({ n }, { taskId, signal }) {
          const log = process.env.STEPS_FOLDER ?? folder;
          mkdirSync(log, { recursive: true });
          appendFileSync(join(log, 'calls.log'), `${taskId} ${n}\n`);
          await sleep(ms * (0.5 + Math.random()), undefined, { signal });
          while (existsSync(join(log, `hold-${n}`))) await sleep(20, undefined, { signal });
          return `step ${n} taken`;
        },
      },
    ],
  }),
};

export default { apiVersion: 1, name: 'test/stepwise', provides: [model, tools] };
