import {
  byteSize,
  bytes,
  HectorError,
  LlmTimeouts,
  milliseconds,
  type Static,
  type TSchema,
  Type,
} from '../../core/index.ts';
import type { FailureContext } from './failure.ts';
import type { HttpOptions } from './http-exchange.ts';

export const Thinking = Type.Optional(
  Type.Object(
    {
      enabled: Type.Boolean({ default: true }),
      budget_tokens: Type.Integer({
        minimum: 1,
        default: 1024,
        description:
          'How much the model may think; where a model knows degrees only: low up to 1024, medium up to 8192, else high',
      }),
    },
    {
      additionalProperties: false,
      description: 'Whether the model thinks before it answers; absent leaves it to the model',
    },
  ),
);
export type Thinking = { readonly enabled: boolean; readonly budget_tokens: number };

/** The options of every model that is reached over HTTP. */
export const remoteModel = {
  api_key: Type.Optional(
    Type.String({ writeOnly: true, description: 'Best written as a reference to an environment variable or a file' }),
  ),
  base_url: Type.Optional(Type.String({ minLength: 1, description: 'Where the API is, if not at its usual address' })),
  temperature: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 2,
      description: 'Absent: 0.7 for the models that are known to take one, else what the model does',
    }),
  ),
  max_tokens: Type.Integer({ minimum: 0, default: 0, description: 'The longest answer; 0 leaves it to the provider' }),
  max_tool_output_length: Type.Integer({
    minimum: 0,
    default: 0,
    description: 'Characters of a tool result that the model gets to read; 0 is no limit',
  }),
  headers: Type.Optional(
    Type.Record(Type.String(), Type.String({ writeOnly: true }), { description: 'Sent with every request' }),
  ),
  max_connections: Type.Integer({ minimum: 1, default: 256, description: 'Requests beyond that wait for one to end' }),
  timeouts: LlmTimeouts,
  max_answer_size: byteSize('4MiB', 'An answer that is larger fails the call'),
} satisfies Record<string, TSchema>;

const RemoteModel = Type.Object({ ...remoteModel, model: Type.String(), thinking: Thinking });
export type RemoteModel = Static<typeof RemoteModel>;

export const defaultTemperature = 0.7;

/** For the APIs that know degrees of effort and no budget. */
export function effortOf({ budget_tokens: budget }: Thinking): 'low' | 'medium' | 'high' {
  return budget <= 1024 ? 'low' : budget <= 8192 ? 'medium' : 'high';
}

/** Fails with a sentence, so that no SDK has to fail with its own. */
export function checkedBaseUrl(name: string, text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new HectorError('invalid_base_url', `llms.${name}.base_url: "${text}" is not an http or https URL.`);
  }
  if (new URL(text).username !== '') {
    throw new HectorError(
      'invalid_base_url',
      `llms.${name}.base_url: a URL must not hold credentials; use api_key or headers.`,
    );
  }
  return text;
}

/** Who speaks, and what must stay secret. Fails on what no header can carry: the SDKs would fail later, and tell it. */
export function failureContext(provider: string, options: RemoteModel): FailureContext {
  const who = `${provider} (${options.model})`;
  const carried = { api_key: options.api_key ?? '', ...options.headers };
  for (const [name, value] of Object.entries(carried)) {
    if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value.trim())) continue;
    throw new HectorError(
      'invalid_header',
      `${who}: ${name} holds line breaks or characters that no header can carry.`,
    );
  }
  return { who, secrets: Object.values(carried).flatMap((value) => value.trim() || []) };
}

export function httpOptions(failure: FailureContext, baseUrl: string, options: RemoteModel): HttpOptions {
  return {
    ...failure,
    baseUrl,
    connectTimeoutMs: milliseconds(options.timeouts.connect),
    maxConnections: options.max_connections,
    maxAnswerSize: bytes(options.max_answer_size),
  };
}
