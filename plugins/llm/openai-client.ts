import { bytes, type ChatEvent, type ChatRequest, type LlmProvider } from '../../core/index.ts';
import { chatCompletions } from './chat-completions.ts';
import type { ChatDialect } from './chat-request.ts';
import { httpPool } from './http.ts';
import { OpenAiRequests } from './openai-requests.ts';
import { openAiResponses } from './openai-responses.ts';
import { failureContext, httpOptions, type RemoteModel } from './options.ts';

export interface OpenAiModel {
  readonly provider: string;
  readonly api: 'chat' | 'responses';
  readonly baseUrl: string;
  /** Servers that ask for no key are sent a placeholder: the SDK insists on one. */
  readonly apiKey: string | undefined;
  readonly organization?: string | undefined;
  readonly reasons: boolean;
  readonly temperature: number;
  readonly reasoningEffort: ChatDialect['reasoningEffort'];
}

/** A model behind an API of OpenAI's, whoever serves it. */
export function openAiModel(settings: OpenAiModel, options: RemoteModel): LlmProvider {
  const { baseUrl, apiKey } = settings;
  const { model } = options;
  const failure = failureContext(settings.provider, options);
  const maxAnswerSize = bytes(options.max_answer_size);
  const http = httpPool(httpOptions(failure, baseUrl, options));
  const client = new OpenAiRequests({
    baseURL: baseUrl,
    apiKey: apiKey ?? 'none',
    organization: settings.organization ?? null,
    project: null,
    adminAPIKey: null,
    webhookSecret: null,
    fetch: http.fetch,
    maxRetries: 0,
    timeout: longestTimeout,
    logLevel: 'off',
    defaultHeaders: { 'Accept-Encoding': 'identity', ...options.headers },
  });
  const dialect: ChatDialect = {
    who: failure.who,
    model,
    reasons: settings.reasons,
    temperature: settings.temperature,
    maxTokens: options.max_tokens,
    reasoningEffort: settings.reasoningEffort,
    maxToolOutputLength: options.max_tool_output_length,
  };
  const api: (request: ChatRequest, signal: AbortSignal) => AsyncIterable<ChatEvent> =
    settings.api === 'chat'
      ? chatCompletions({ client, dialect, failure, maxAnswerSize })
      : openAiResponses({ client, dialect, failure, maxAnswerSize });
  return { model, chat: api, [Symbol.asyncDispose]: () => http[Symbol.asyncDispose]() };
}

/** The deadlines are the core's; the SDK's own timer cannot be turned off, only set as far away as a timer goes. */
const longestTimeout = 2 ** 31 - 1;
