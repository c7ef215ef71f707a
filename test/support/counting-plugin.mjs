/** A model that repeats what has been said to it in the conversation. */
export default {
  apiVersion: 1,
  name: 'counting',
  provides: [
    {
      point: 'llm',
      name: 'counting',
      description: 'Counts',
      options: { type: 'object', properties: {} },
      create: () => ({
        model: 'counting',
        async *chat({ messages }) {
          const said = messages
            .filter(({ role }) => role === 'user')
            .map(({ parts }) => parts.map(({ text }) => text).join(''));
          yield { type: 'text', delta: said.join(' | ') };
          yield {
            type: 'finish',
            reason: 'stop',
            usage: { inputTokens: 1, outputTokens: 1 },
            responseModel: 'counting',
          };
        },
      }),
    },
  ],
};
