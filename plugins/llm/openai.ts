import { definePlugin, HectorError, llmProvider, Type } from '../../core/index.ts';
import { checkedBaseUrl, defaultTemperature, effortOf, remoteModel, Thinking } from './options.ts';

const usualBaseUrl = 'https://api.openai.com/v1';

/** Models that think before they answer: they take no temperature, and a limit that includes their thoughts. */
const reasoningModel = /^(o\d|gpt-[5-9](?!.*-chat))/;

const openai = llmProvider({
  name: 'openai',
  description: 'OpenAI, and every server that is compatible with its Chat Completions (set base_url)',
  options: Type.Object({
    model: Type.String({ default: 'gpt-4o', minLength: 1 }),
    ...remoteModel,
    organization: Type.Optional(Type.String()),
    api: Type.Enum(['chat', 'responses'], {
      default: 'chat',
      description:
        'Chat Completions, which compatible servers have, or the Responses API, which shows summaries of thoughts',
    }),
    thinking: Thinking,
  }),
  environment: { api_key: ['OPENAI_API_KEY'], base_url: ['OPENAI_BASE_URL'], organization: ['OPENAI_ORG_ID'] },
  async create(options, context) {
    const { model, thinking, organization } = options;
    const baseUrl = checkedBaseUrl(context.name, options.base_url ?? usualBaseUrl);
    if (!options.api_key && baseUrl === usualBaseUrl) {
      throw new HectorError(
        'missing_api_key',
        `llms.${context.name} has no API key for OpenAI: set OPENAI_API_KEY or api_key, or base_url for a server that needs none.`,
      );
    }
    const reasons = reasoningModel.test(model);
    if (reasons && options.temperature !== undefined) {
      context.warn(`llms.${context.name}.temperature: ${model} takes no temperature, so none is sent.`);
    }
    // What a compatible server runs is not known here: it is told, and may object.
    const thinks = reasons || baseUrl !== usualBaseUrl;
    if (thinking?.enabled && !thinks)
      context.warn(`llms.${context.name}.thinking: ${model} does not think, so this has no effect.`);
    const { openAiModel } = await import('./openai-client.ts');
    return openAiModel(
      {
        provider: 'openai',
        api: options.api as 'chat' | 'responses',
        baseUrl,
        apiKey: options.api_key,
        organization,
        reasons,
        temperature: options.temperature ?? defaultTemperature,
        reasoningEffort: thinking && thinks ? (thinking.enabled ? effortOf(thinking) : 'none') : undefined,
      },
      options,
    );
  },
});

export default definePlugin({ apiVersion: 1, name: 'hector/llm-openai', provides: [openai] });
