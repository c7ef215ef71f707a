import { definePlugin, HectorError, llmProvider, Type } from '../../core/index.ts';
import { checkedBaseUrl, defaultTemperature, effortOf, remoteModel, Thinking } from './options.ts';

const usualBaseUrl = 'https://generativelanguage.googleapis.com/v1beta/openai/';

const gemini = llmProvider({
  name: 'gemini',
  description: 'Google Gemini, through its endpoint that is compatible with OpenAI',
  options: Type.Object({
    model: Type.String({ default: 'gemini-2.5-pro', minLength: 1 }),
    ...remoteModel,
    thinking: Thinking,
  }),
  environment: { api_key: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'] },
  async create(options, context) {
    const { thinking } = options;
    const baseUrl = checkedBaseUrl(context.name, options.base_url ?? usualBaseUrl);
    if (!options.api_key && baseUrl === usualBaseUrl) {
      throw new HectorError(
        'missing_api_key',
        `llms.${context.name} has no API key for Gemini: set GEMINI_API_KEY or api_key.`,
      );
    }
    const { openAiModel } = await import('./openai-client.ts');
    return openAiModel(
      {
        provider: 'gemini',
        api: 'chat',
        baseUrl,
        apiKey: options.api_key,
        temperature: options.temperature ?? defaultTemperature,
        reasons: false,
        reasoningEffort: thinking && (thinking.enabled ? effortOf(thinking) : 'none'),
      },
      options,
    );
  },
});

export default definePlugin({ apiVersion: 1, name: 'hector/llm-gemini', provides: [gemini] });
