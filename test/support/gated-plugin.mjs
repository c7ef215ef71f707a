import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A model and tools that wait for a file beside the configuration, so that a test decides when they go on, and that write
 * to `instances.log` when one of them is made and when it is disposed.
 */
const options = {
  type: 'object',
  properties: {
    tag: { type: 'string', default: 'none' },
    waits: { type: 'string', description: 'The file that an instance waits for while it comes up' },
  },
};

export default {
  apiVersion: 1,
  name: 'test/gated',
  provides: [
    { point: 'llm', name: 'gated', description: 'Waits for a file', options, create: made(model) },
    { point: 'toolset', name: 'gated', description: 'Says its tag', options, create: made(tools) },
  ],
};

const counts = new Map();

function made(make) {
  return async ({ tag, waits }, { name, folder }) => {
    const log = (what) => appendFileSync(join(folder, 'instances.log'), `${what}\n`);
    if (waits !== undefined) {
      log(`waiting ${name} ${tag}`);
      while (!existsSync(join(folder, waits))) await sleep(20);
    }
    const count = (counts.get(`${name} ${tag}`) ?? 0) + 1;
    counts.set(`${name} ${tag}`, count);
    const instance = `${name} ${tag} ${count}`;
    log(`create ${instance}`);
    let disposed = false;
    return {
      ...make(tag, folder, () => disposed),
      async [Symbol.asyncDispose]() {
        disposed = true;
        log(`dispose ${instance}`);
      },
    };
  };
}

/** Told `hold NAME` it says its tag, waits until there is a file NAME, and says it again. */
function model(tag, folder, disposed) {
  return {
    model: 'gated',
    async *chat({ messages }, signal) {
      const text = messages
        .at(-1)
        .parts.map((part) => part.text ?? '')
        .join('');
      const [, name] = /hold (\S+)/.exec(text) ?? [];
      yield { type: 'text', delta: `begun by ${tag} ` };
      while (name !== undefined && !existsSync(join(folder, name)))
        await sleep(20, undefined, { signal }).catch(() => signal.throwIfAborted());
      if (disposed()) throw new Error('The model is used after it was disposed.');
      yield { type: 'text', delta: `finished by ${tag}` };
      yield { type: 'finish', reason: 'stop', usage: { inputTokens: 1, outputTokens: 2 } };
    },
  };
}

function tools(tag) {
  const tag_of = { name: 'tag_of', description: 'Its tag', parameters: { type: 'object' }, execute: () => tag };
  return { tools: async () => [tag_of] };
}
