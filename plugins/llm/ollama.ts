import { definePlugin, llmProvider, Type } from '../../core/index.ts';
import { checkedBaseUrl, defaultTemperature, effortOf, remoteModel, Thinking } from './options.ts';

const ollama = llmProvider({
  name: 'ollama',
  description: 'Models on this machine or in this network, served by Ollama',
  options: Type.Object({
    model: Type.String({ default: 'qwen3', minLength: 1 }),
    ...remoteModel,
    base_url: Type.String({
      default: 'http://localhost:11434/v1',
      minLength: 1,
      description: 'Where Ollama is; ends in /v1',
    }),
    thinking: Thinking,
  }),
  async create(options, context) {
    const { openAiModel } = await import('./openai-client.ts');
    const { thinking } = options;
    return openAiModel(
      {
        provider: 'ollama',
        api: 'chat',
        baseUrl: withVersion(checkedBaseUrl(context.name, options.base_url)),
        apiKey: options.api_key,
        temperature: options.temperature ?? defaultTemperature,
        reasons: false,
        reasoningEffort: thinking && (thinking.enabled ? effortOf(thinking) : 'none'),
      },
      options,
    );
  },
});

export default definePlugin({ apiVersion: 1, name: 'hector/llm-ollama', provides: [ollama] });

/** Ollama's own API is at the root, and that is the address which Hector's version 2 and Ollama's users write. */
function withVersion(baseUrl: string): string {
  return new URL(baseUrl).pathname === '/' ? new URL('/v1', baseUrl).href : baseUrl;
}
