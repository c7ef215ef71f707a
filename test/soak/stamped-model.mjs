import { setTimeout as sleep } from 'node:timers/promises';

let made = 0;

/**
 * A model whose answers say what they were made from. Told `say 20 every 50` it says 20 pieces, one every 50 ms, and each
 * is `[number stamp-of-the-instruction stamp-of-its-own-options number-of-the-instance]`.
 */
export default {
  apiVersion: 1,
  name: 'soak/stamped-model',
  provides: [
    {
      point: 'llm',
      name: 'stamped',
      description: 'Says what it was configured with',
      options: { type: 'object', properties: { stamp: { type: 'integer' } }, required: ['stamp'] },
      create: ({ stamp }) => stampedModel(stamp, ++made),
    },
  ],
};

function stampedModel(stamp, instance) {
  let disposed = false;
  return {
    model: 'stamped',
    async *chat({ messages }, signal) {
      const [, instruction = 'none'] = /stamp=(\d+)/.exec(textOf(messages[0])) ?? [];
      const [, pieces = '1', every = '0'] = /say (\d+) every (\d+)/.exec(textOf(messages.at(-1))) ?? [];
      for (let piece = 0; piece < Number(pieces); piece++) {
        await sleep(Number(every), undefined, { signal }).catch(() => signal.throwIfAborted());
        if (disposed) throw new Error('The model is used after it was disposed.');
        yield { type: 'text', delta: `[${piece} ${instruction} ${stamp} ${instance}]` };
      }
      yield { type: 'finish', reason: 'stop', usage: { inputTokens: 1, outputTokens: Number(pieces) } };
    },
    async [Symbol.asyncDispose]() {
      disposed = true;
    },
  };
}

function textOf(message) {
  return (message?.parts ?? []).map((part) => part.text ?? '').join('');
}
