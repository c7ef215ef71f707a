import { definePlugin, HectorError, llmProvider, Type } from '../../core/index.ts';
import { checkedBaseUrl, remoteModel, Thinking } from './options.ts';

const usualBaseUrl = 'https://api.anthropic.com';

const anthropic = llmProvider({
  name: 'anthropic',
  description: 'Claude, over the Messages API',
  options: Type.Object({
    model: Type.String({ default: 'claude-haiku-4-5', minLength: 1 }),
    ...remoteModel,
    max_tokens: Type.Integer({ minimum: 0, default: 4096, description: 'The longest answer; 0 is 4096' }),
    thinking: Thinking,
  }),
  environment: { api_key: ['ANTHROPIC_API_KEY'], base_url: ['ANTHROPIC_BASE_URL'] },
  async create(options, context) {
    const baseUrl = checkedBaseUrl(context.name, options.base_url ?? usualBaseUrl);
    if (!options.api_key && baseUrl === usualBaseUrl) {
      throw new HectorError(
        'missing_api_key',
        `llms.${context.name} has no API key for Anthropic: set ANTHROPIC_API_KEY or api_key.`,
      );
    }
    if (options.thinking?.enabled && options.temperature !== undefined) {
      context.warn(`llms.${context.name}.temperature: a model that thinks takes no temperature, so none is sent.`);
    }
    const { anthropicModel } = await import('./anthropic-client.ts');
    return anthropicModel(baseUrl, options);
  },
});

export default definePlugin({ apiVersion: 1, name: 'hector/llm-anthropic', provides: [anthropic] });
